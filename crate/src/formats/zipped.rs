//! What every format in a zip archive does first: open its directory, note what is odd about it, find its members.

use std::collections::HashSet;

use super::{
    codec::{
        zip::{self, Directory},
        zip_salvage::{Found, Walk},
    },
    findings::{Findings, quoted},
};
use crate::{
    model::NoteCode,
    source::{Limits, Stop, Window},
};

/// The directory, its members in the order of their bytes, so that reading goes forward. Where it cannot be read, what
/// the members' own headers say; `walk` keeps how far that is between calls.
///
/// # Errors
/// Bytes are missing, or there is neither a directory nor a member.
pub(super) fn open(
    file: &Window,
    limits: &Limits,
    walk: &mut Option<Walk>,
    findings: &mut Findings,
) -> Result<Directory, Stop> {
    let mut directory = directory(file, limits, walk, findings, &mut |_| Ok(None))?;
    check(&directory, file, findings);
    crate::order::sort_by_key(&mut directory.members, |m| m.header);
    Ok(directory)
}

/// The directory as it is, or in its place what the members' own headers say; `known` tells how long a member is that
/// does not say it itself.
///
/// # Errors
/// Bytes are missing, or there is neither a directory nor a member.
pub(super) fn directory(
    file: &Window,
    limits: &Limits,
    walk: &mut Option<Walk>,
    findings: &mut Findings,
    known: &mut dyn FnMut(&Found) -> Result<Option<u64>, Stop>,
) -> Result<Directory, Stop> {
    let walk = match walk {
        Some(walk) => walk,
        None => match zip::directory(file, limits) {
            Err(Stop::Bad(fault)) => walk.insert(Walk::new(fault)),
            other => return other,
        },
    };
    while let Some(found) = walk.next(file)? {
        let n = match known(&found)? {
            Some(n) => n,
            None if found.sized => found.member.packed,
            None => walk.measure(file, &found)?,
        };
        let (name, end) = (quoted(&found.member.name), found.start.saturating_add(n));
        if !walk.take(file, found, n)? {
            let what = format!("the sizes after {name} are not those of its {n} bytes");
            findings.warn(NoteCode::ZipMembers, end.min(file.len()), what, "what follows it is not told apart");
        }
    }
    let directory = walk.directory(file.len());
    let whole = match &directory.salvaged {
        Some(salvage) if !directory.members.is_empty() => salvage.whole,
        _ => return Err(Stop::Bad(walk.fault.clone())),
    };
    let (n, fault) = (directory.members.len(), &walk.fault.what);
    let what = format!("{fault}; {n} members were found by their own headers, {whole} of them whole");
    findings.error(NoteCode::EndOfFile, file.len(), what, "what the directory would name beyond them is not known");
    Ok(directory)
}

/// Reads the members' own headers from number `located` on, which say where their bytes lie.
///
/// # Errors
/// Bytes are missing: call again with the same `located`.
pub(super) fn locate(
    file: &Window,
    directory: &mut Directory,
    located: &mut usize,
    findings: &mut Findings,
) -> Result<(), Stop> {
    if directory.salvaged.is_some() {
        return Ok(());
    }
    while let Some(member) = directory.members.get_mut(*located) {
        if let Some(what) = zip::local(file, member)? {
            let what = format!("{} {what}", quoted(&member.name));
            findings.warn(
                NoteCode::ZipMembers,
                member.header.min(file.len()),
                what,
                "readers differ in which they take",
            );
        }
        *located += 1;
    }
    Ok(())
}

/// What is odd about a zip itself.
pub(super) fn check(directory: &Directory, file: &Window, findings: &mut Findings) {
    if let Some((at, what)) = &directory.trouble {
        findings.error(
            NoteCode::ZipDirectory,
            (*at).min(file.len()),
            format!("The zip directory is damaged: {what}"),
            "members may be missing",
        );
    }
    if directory.prefix > 0 {
        let what = format!("{} bytes lie before the zip archive", directory.prefix);
        findings.warn(NoteCode::ZipPrefix, 0, what, "the file is two things at once; readers differ in which they see");
    }
    if directory.end < file.len() {
        let what = format!("{} bytes follow the zip archive", file.len() - directory.end);
        findings.warn(NoteCode::ZipTrailingBytes, directory.end, what, "readers differ in what they make of them");
    }
    let mut names = HashSet::new();
    let mut headers: Vec<(u64, u64)> = Vec::with_capacity(directory.members.len());
    for member in &directory.members {
        let at = member.header.min(file.len());
        if !names.insert(member.name.as_str()) {
            let what = format!("{} is there more than once", quoted(&member.name));
            findings.error(NoteCode::ZipNames, at, what, "readers differ in which they take");
        }
        if member.name.starts_with('/') || member.name.split(['/', '\\']).any(|part| part == "..") {
            let what = format!("{} would be unpacked outside its folder", quoted(&member.name));
            findings.error(NoteCode::ZipNames, at, what, "Glassbox unpacks nothing to disk");
        }
        headers.push((member.header, member.packed));
    }
    crate::order::sort(&mut headers);
    for pair in headers.windows(2) {
        if let [(start, n), (next, _)] = pair
            && start.saturating_add(*n) > *next
        {
            let what = format!("the member at byte {start} of {n} bytes overlaps the one at byte {next}");
            findings.error(
                NoteCode::ZipOverlaps,
                (*next).min(file.len()),
                what,
                "the archive is damaged, or made to unpack without end",
            );
        }
    }
}

//! The zip container: its directory, where each member's bytes lie, and bounded inflating.

use std::ops::Range;

use super::inflate;
use crate::{
    fault::Fault,
    source::{Cursor, Limits, Stop, Window},
};

const END: u32 = 0x0605_4b50;
const END64: u32 = 0x0606_4b50;
const LOCATOR64: u32 = 0x0706_4b50;
const CENTRAL: u32 = 0x0201_4b50;
pub(super) const LOCAL: u32 = 0x0403_4b50;
/// Fixed bytes of the end record, of a central and of a local header.
const END_BYTES: u64 = 22;
const CENTRAL_BYTES: u64 = 46;
pub(super) const LOCAL_BYTES: u64 = 30;
/// The longest comment after the end record.
const COMMENT_MOST: u64 = 0xffff;
/// Bytes that one member may inflate to.
const INFLATED_MOST: u64 = 64 << 20;
/// How many times its size a member may inflate to before it is taken for a bomb.
const RATIO_MOST: u64 = 1100;

/// One member as the directory has it.
#[derive(Debug, Clone)]
pub(in crate::formats) struct Member {
    pub(in crate::formats) name: String,
    pub(in crate::formats) method: u16,
    pub(in crate::formats) flags: u16,
    /// Bytes in the file, and when unpacked.
    pub(in crate::formats) packed: u64,
    pub(in crate::formats) size: u64,
    /// Where its local header starts.
    pub(in crate::formats) header: u64,
    /// Where its bytes lie; known after [`local`].
    pub(in crate::formats) at: Range<u64>,
}

impl Member {
    /// Its bytes lie in the file as they are.
    pub(in crate::formats) fn stored(&self) -> bool {
        self.method == 0 && self.packed == self.size
    }
}

/// The directory at the end of the file.
#[derive(Debug, Default)]
pub(in crate::formats) struct Directory {
    pub(in crate::formats) members: Vec<Member>,
    pub(in crate::formats) at: Range<u64>,
    /// Bytes before the archive (something else is glued in front).
    pub(in crate::formats) prefix: u64,
    /// Where the archive ends; what follows belongs to no member.
    pub(in crate::formats) end: u64,
    /// What was wrong with the directory, and where.
    pub(in crate::formats) trouble: Option<(u64, String)>,
    /// There was no directory: this is what the members' own headers say.
    pub(in crate::formats) salvaged: Option<super::zip_salvage::Salvage>,
}

/// Finds and reads the directory.
pub(in crate::formats) fn directory(file: &Window, limits: &Limits) -> Result<Directory, Stop> {
    let end_at = find_end(file)?;
    let mut end = Cursor::new(file, end_at + 8, false);
    let (_here, mut count) = (end.u16()?, u64::from(end.u16()?));
    let (mut size, mut offset) = (u64::from(end.u32()?), u64::from(end.u32()?));
    let comment = u64::from(end.u16()?);
    let mut directory_end = end_at;
    if let Some(at) = end_at.checked_sub(20)
        && Cursor::new(file, at, false).u32()? == LOCATOR64
    {
        let stated = Cursor::new(file, at + 8, false).u64()?;
        let before = at.checked_sub(56).unwrap_or(stated);
        // Where something is glued in front, the stated place is short; the record then lies just before its locator.
        for place in [stated, before] {
            if place.checked_add(56).is_some_and(|end| end <= at) && Cursor::new(file, place, false).u32()? == END64 {
                let mut record = Cursor::new(file, place + 32, false);
                (count, size, offset) = (record.u64()?, record.u64()?, record.u64()?);
                directory_end = place;
                break;
            }
        }
    }
    let wrong = |what: String| Stop::Bad(Fault::file(end_at, what).in_file(file.name()));
    if size > directory_end || size > limits.header_bytes {
        return Err(wrong(format!("a zip directory of {size} bytes announced before byte {directory_end}")));
    }
    let start = directory_end - size;
    let prefix = start.checked_sub(offset).ok_or_else(|| {
        wrong(format!("the zip directory is said to start at byte {offset}, it can start at most at {start}"))
    })?;
    let mut found = Directory { at: start..directory_end, prefix, ..Directory::default() };
    found.end = (end_at + END_BYTES).saturating_add(comment).min(file.len());
    // All of it at once: one request instead of one for each member.
    file.bytes(start..directory_end)?;
    let mut at = start;
    while at < directory_end {
        match central(file, at, directory_end, prefix)? {
            Ok((member, next)) => {
                found.members.push(member);
                at = next;
            }
            Err(what) => {
                found.trouble = Some((at, what));
                break;
            }
        }
    }
    if found.trouble.is_none() && found.members.len() as u64 != count {
        found.trouble = Some((end_at, format!("{count} members announced, {} found", found.members.len())));
    }
    Ok(found)
}

/// Where the end record starts.
fn find_end(file: &Window) -> Result<u64, Stop> {
    let short = file.len().saturating_sub(END_BYTES);
    let fits = |at: u64| -> Result<bool, Stop> { Ok(file.bytes(at..at + 4)? == END.to_le_bytes()) };
    if file.len() >= END_BYTES && fits(short)? && file.bytes(file.len() - 2..file.len())? == [0, 0] {
        return Ok(short);
    }
    let from = short.saturating_sub(COMMENT_MOST);
    let tail = file.bytes(from..file.len())?;
    let mut found = None;
    for i in (0..=tail.len().saturating_sub(END_BYTES as usize)).rev() {
        if tail.get(i..i + 4) != Some(&END.to_le_bytes()[..]) {
            continue;
        }
        found.get_or_insert(i);
        let comment = tail.get(i + 20..i + 22).map_or(0, |c| u64::from(u16::from_le_bytes([c[0], c[1]])));
        if from + i as u64 + END_BYTES + comment == file.len() {
            found = Some(i);
            break;
        }
    }
    found.map(|i| from + i as u64).ok_or_else(|| {
        let what = "a zip directory expected at the end, none found: the file was not copied whole, or it is not a zip";
        Stop::Bad(Fault::file(file.len(), what).in_file(file.name()))
    })
}

type Told<T> = Result<T, String>;

fn central(file: &Window, at: u64, end: u64, prefix: u64) -> Result<Told<(Member, u64)>, Stop> {
    if end - at < CENTRAL_BYTES {
        return Ok(Err(format!("a directory entry of at least {CENTRAL_BYTES} bytes expected, {} left", end - at)));
    }
    let mut entry = Cursor::new(file, at, false);
    let signature = entry.u32()?;
    if signature != CENTRAL {
        return Ok(Err(format!("a directory entry expected, {signature:#010x} found")));
    }
    let (_by, _needs, flags, method) = (entry.u16()?, entry.u16()?, entry.u16()?, entry.u16()?);
    let (_time, _crc) = (entry.u32()?, entry.u32()?);
    let (mut packed, mut size) = (u64::from(entry.u32()?), u64::from(entry.u32()?));
    let (name, extra, comment) = (u64::from(entry.u16()?), u64::from(entry.u16()?), u64::from(entry.u16()?));
    let (_disk, _inner, _outer) = (entry.u16()?, entry.u16()?, entry.u32()?);
    let mut header = u64::from(entry.u32()?);
    let next = at + CENTRAL_BYTES + name + extra + comment;
    if next > end {
        return Ok(Err("a directory entry leaves the directory".into()));
    }
    let name = String::from_utf8_lossy(entry.take(name)?).into_owned();
    let extra_end = entry.position() + extra;
    sizes64(&mut entry, extra_end, &mut [&mut size, &mut packed, &mut header])?;
    let header = header.saturating_add(prefix);
    Ok(Ok((Member { name, method, flags, packed, size, header, at: 0..0 }, next)))
}

/// Reads extra fields up to `end`; those of 8 bytes (zip64) take the place of the numbers that are all ones.
pub(super) fn sizes64(fields: &mut Cursor<'_>, end: u64, numbers: &mut [&mut u64]) -> Result<(), Stop> {
    while fields.position() + 4 <= end {
        let (id, n) = (fields.u16()?, u64::from(fields.u16()?));
        let field_end = fields.position() + n;
        if field_end > end {
            break;
        }
        if id == 1 {
            for value in numbers.iter_mut().filter(|v| ***v == 0xffff_ffff) {
                if fields.position() + 8 <= field_end {
                    **value = fields.u64()?;
                }
            }
        }
        fields.seek(field_end);
    }
    Ok(())
}

/// Reads a member's local header, which alone says where its bytes start; says what contradicts the directory.
pub(in crate::formats) fn local(file: &Window, member: &mut Member) -> Result<Option<String>, Stop> {
    let len = file.len();
    if member.header.checked_add(LOCAL_BYTES).is_none_or(|end| end > len) {
        return Ok(Some(format!("is said to start at byte {}, beyond the file", member.header)));
    }
    let mut cursor = Cursor::new(file, member.header, false);
    if cursor.u32()? != LOCAL {
        return Ok(Some("does not start with a member's header".into()));
    }
    let (_needs, flags, method) = (cursor.u16()?, cursor.u16()?, cursor.u16()?);
    cursor.skip(16)?;
    let (name, extra) = (u64::from(cursor.u16()?), u64::from(cursor.u16()?));
    let start = member.header + LOCAL_BYTES + name + extra;
    let Some(end) = start.checked_add(member.packed).filter(|end| *end <= len) else {
        return Ok(Some(format!("has {} bytes from byte {start}, the file ends at byte {len}", member.packed)));
    };
    let named = String::from_utf8_lossy(cursor.take(name)?).into_owned();
    member.at = start..end;
    Ok(if named != member.name {
        Some(format!("is called {named:?} in its own header"))
    } else if method != member.method {
        Some(format!("is packed by method {method} in its own header, {} in the directory", member.method))
    } else if (flags ^ member.flags) & 0x61 != 0 {
        Some(format!("has flags {flags:#x} in its own header, {:#x} in the directory", member.flags))
    } else {
        None
    })
}

/// A member's bytes, unpacked; `Err` says why they cannot be had.
pub(in crate::formats) fn unpacked(file: &Window, member: &Member) -> Result<Told<Vec<u8>>, Stop> {
    if member.size > INFLATED_MOST || member.packed > INFLATED_MOST {
        return Ok(Err(format!("{} bytes unpacked; the limit is {INFLATED_MOST}", member.size.max(member.packed))));
    }
    let raw = file.bytes(member.at.clone())?;
    match member.method {
        0 => Ok(Ok(raw.to_vec())),
        8 => {
            let most = member.packed.saturating_mul(RATIO_MOST).min(INFLATED_MOST);
            Ok(match inflate::deflated(raw, most as usize) {
                Ok(bytes) if bytes.len() as u64 == member.size => Ok(bytes),
                Ok(bytes) => Err(format!("{} bytes announced, it unpacks to {}", member.size, bytes.len())),
                Err(e) => Err(format!("cannot be unpacked: {}", e.what)),
            })
        }
        other => Ok(Err(format!("packed by method {other}; 0 (stored) and 8 (deflate) are known"))),
    }
}

/// Do these first bytes start a zip (also one without members)?
pub(in crate::formats) fn starts(head: &[u8]) -> bool {
    head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06")
}

/// The first member's name, from its own header at the start of the file.
pub(in crate::formats) fn first_name(head: &[u8]) -> Option<&str> {
    let width = head.get(26..28)?;
    let end = LOCAL_BYTES as usize + usize::from(u16::from_le_bytes([width[0], width[1]]));
    std::str::from_utf8(head.get(LOCAL_BYTES as usize..end)?).ok().filter(|_| head.starts_with(b"PK\x03\x04"))
}

/// The first unpacked bytes of a member, from at most `most` packed ones.
pub(in crate::formats) fn start_of(file: &Window, member: &Member, most: u64) -> Result<Told<Vec<u8>>, Stop> {
    let end = member.at.end.min(member.at.start.saturating_add(most));
    let raw = file.bytes(member.at.start..end)?;
    Ok(match member.method {
        0 => Ok(raw.to_vec()),
        8 => match inflate::deflated(raw, 1 << 20) {
            Ok(bytes) => Ok(bytes),
            // What came before the cut (or before damage) is what was asked for.
            Err(e) if !e.before.is_empty() => Ok(e.before),
            Err(e) => Err(format!("cannot be unpacked: {}", e.what)),
        },
        other => Err(format!("packed by method {other}; 0 (stored) and 8 (deflate) are known")),
    })
}

//! Models on this machine's disks: a file with what belongs to it in its folder, or a folder with all below it.

use std::{
    path::{Component, Path, PathBuf},
    rc::Rc,
};

use super::{Inspection, Need, complete_from_folder, open_with_missing};
use crate::{
    fault::{Blame, Fault, Result},
    source::{ByteSource, FileSource, SourceSet},
};

/// Folders within each other that are listed.
const MAX_DEPTH: usize = 6;
/// Files of a folder that are looked at.
const MAX_FILES: usize = 10_000;

/// Opens a model by paths to files and folders: of a single file also what belongs to it in its folder.
///
/// # Errors
/// A file cannot be read, a folder holds none, or the files are no model.
pub async fn open_paths(paths: &[PathBuf], need: Need<'_>) -> Result<Inspection> {
    let mut set = SourceSet::default();
    for path in paths {
        add_path(&mut set, path)?;
    }
    let folder = folder_of_one(paths);
    if let Some(folder) = folder {
        complete_from_folder(&mut set, need, &mut |names| beside(folder, names, &mut |_| {})).await?;
    }
    not_empty(&set)?;
    match folder {
        Some(folder) => open_with_missing(set, &mut |names| beside(folder, names, &mut |_| {})).await,
        None => Inspection::open(set).await,
    }
}

/// Adds a file, or the files below a folder; what of these cannot be listed or opened is left out, with the reason.
///
/// # Errors
/// The file or folder itself cannot be opened; the folder holds too many files.
pub fn add_path(set: &mut SourceSet, path: &Path) -> Result<()> {
    if path.is_dir() {
        return add_folder(set, path);
    }
    set.push(Rc::new(FileSource::open(path, file_name(path))?) as Rc<dyn ByteSource>);
    Ok(())
}

/// # Errors
/// A set without files, with the reason where one could not be read.
pub fn not_empty(set: &SourceSet) -> Result<()> {
    if !set.files().is_empty() {
        return Ok(());
    }
    let why = set.unread().first().map(|(name, why)| format!(" that can be read; {name}: {why}"));
    Err(Fault::caller(format!("the folder holds no files{}", why.unwrap_or_default())))
}

/// The folder of the only path, where that is a file.
pub fn folder_of_one(paths: &[PathBuf]) -> Option<&Path> {
    let [only] = paths else { return None };
    (!only.is_dir()).then(|| only.parent().unwrap_or(Path::new("")))
}

/// Opens files of a folder by their names; one that leads out of it, or is no regular file, is not there. `on_fault` hears why
/// one that is there cannot be opened.
pub fn beside(folder: &Path, names: &[String], on_fault: &mut dyn FnMut(&Fault)) -> Vec<Option<Rc<dyn ByteSource>>> {
    let mut open = |name: &String| {
        let inside = Path::new(name).components().all(|step| matches!(step, Component::Normal(_)));
        let path = folder.join(name);
        if !inside || !path.is_file() {
            return None;
        }
        match FileSource::open(&path, name.as_str()) {
            Ok(source) => Some(Rc::new(source) as Rc<dyn ByteSource>),
            Err(fault) => {
                on_fault(&fault);
                None
            }
        }
    };
    names.iter().map(&mut open).collect()
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.to_string_lossy(), |n| n.to_string_lossy()).into_owned()
}

/// Adds the files below a folder; what cannot be listed or opened is left out, with the reason.
fn add_folder(set: &mut SourceSet, path: &Path) -> Result<()> {
    let mut listing = Listing::default();
    walk(path, MAX_DEPTH, &mut listing)?;
    listing.files.sort();
    let named = |file: &Path| file.strip_prefix(path).unwrap_or(file).to_string_lossy().replace('\\', "/");
    for file in listing.files {
        match FileSource::open(&file, named(&file)) {
            Ok(source) => set.push(Rc::new(source) as Rc<dyn ByteSource>),
            Err(fault) => set.leave_out(named(&file), fault.what),
        }
    }
    for (folder, why) in listing.unread {
        set.leave_out(named(&folder), why);
    }
    Ok(())
}

/// What lies below a folder.
#[derive(Default)]
struct Listing {
    files: Vec<PathBuf>,
    /// Folders that cannot be listed, and why.
    unread: Vec<(PathBuf, String)>,
}

/// Regular files below a folder, also by links to them; links to folders and hidden entries are passed over. A folder
/// within that cannot be listed is kept by its name, and the listing goes on.
fn walk(folder: &Path, depth: usize, found: &mut Listing) -> Result<()> {
    let fail =
        |e: std::io::Error| Fault::source(format!("cannot be listed: {e}")).in_file(&folder.display().to_string());
    for entry in std::fs::read_dir(folder).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let kind = entry.file_type().map_err(fail)?;
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        if kind.is_dir() && depth > 0 {
            match walk(&entry.path(), depth - 1, found) {
                Err(fault) if fault.blame == Blame::Source => found.unread.push((entry.path(), fault.what)),
                other => other?,
            }
        } else if kind.is_file() || kind.is_symlink() && entry.path().is_file() {
            if found.files.len() >= MAX_FILES {
                return Err(Fault::limit(format!("more than {MAX_FILES} files")).in_file(&folder.display().to_string()));
            }
            found.files.push(entry.path());
        }
    }
    Ok(())
}

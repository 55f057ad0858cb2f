//! Files that are either written whole or not at all.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, ErrorKind, Write},
    path::{Path, PathBuf},
};

use crate::fault::{Fault, Result};

/// Bytes gathered before they are handed to the system.
const BUFFER: usize = 1 << 20;
/// Names tried for the temporary file before the folder is taken for unusable.
const NAMES: u32 = 100;

/// A file that is written under another name in its folder and takes its place only when it is complete: whatever goes wrong
/// before, what lay there stays as it was, and nothing is left behind.
pub struct Output {
    /// The file that is meant, as the user knows it.
    target: PathBuf,
    temporary: PathBuf,
    /// `None` once all bytes are written.
    file: Option<BufWriter<File>>,
    /// It has taken its place: nothing is left to remove.
    placed: bool,
}

impl Output {
    /// Starts a file. One that is there already is replaced at the end, and keeps its permissions.
    ///
    /// # Errors
    /// The path names something that is no regular file; the folder cannot be written to.
    pub fn create(path: &Path) -> Result<Self> {
        let shown = path.display().to_string();
        let fail = |e: io::Error| Fault::source(format!("cannot be written: {e}")).in_file(&shown);
        let before = match fs::metadata(path) {
            Ok(about) if !about.is_file() => {
                return Err(Fault::caller("a file to write expected, a folder or a device found").in_file(&shown));
            }
            Ok(about) => Some(about),
            Err(_) => None,
        };
        // Of a link the file that it leads to is replaced, not the link.
        let target = if before.is_some() { fs::canonicalize(path).map_err(fail)? } else { path.to_path_buf() };
        let name = target.file_name().ok_or_else(|| Fault::caller("the path names no file").in_file(&shown))?;
        for n in 0..NAMES {
            let temporary = target.with_file_name(format!(".{}.{}-{n}.part", name.display(), std::process::id()));
            match OpenOptions::new().write(true).create_new(true).open(&temporary) {
                Ok(file) => {
                    let file = BufWriter::with_capacity(BUFFER, file);
                    let made = Self { target, temporary, file: Some(file), placed: false };
                    if let (Some(before), Some(file)) = (before, &made.file) {
                        file.get_ref().set_permissions(before.permissions()).map_err(fail)?;
                    }
                    return Ok(made);
                }
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
                Err(e) => return Err(fail(e)),
            }
        }
        Err(Fault::source("its folder is full of unfinished files of this name").in_file(&shown))
    }
    /// Brings all bytes to the disk and closes the file; only its name is still to come.
    ///
    /// # Errors
    /// The last bytes cannot be written.
    pub fn settle(&mut self) -> Result<()> {
        // Closed before it is renamed: some systems rename no open file.
        let Some(mut file) = self.file.take() else { return Ok(()) };
        file.flush().and_then(|()| file.get_ref().sync_all()).map_err(|e| self.failed(&e))
    }
    /// Puts the file in its place, once its bytes have reached the disk.
    ///
    /// # Errors
    /// The last bytes cannot be written; the old file cannot be replaced. The old one is whole then.
    pub fn commit(mut self) -> Result<()> {
        self.settle()?;
        fs::rename(&self.temporary, &self.target).map_err(|e| self.failed(&e))?;
        self.placed = true;
        // The new name reaches the disk with its folder; where a folder cannot be opened, the system sees to it.
        if let Some(folder) = self.target.parent().filter(|f| !f.as_os_str().is_empty())
            && let Ok(folder) = File::open(folder)
        {
            let _ = folder.sync_all();
        }
        Ok(())
    }
    fn failed(&self, e: &io::Error) -> Fault {
        Fault::source(format!("cannot be written: {e}")).in_file(&self.target.display().to_string())
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.as_mut().ok_or(ErrorKind::BrokenPipe)?.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().ok_or(ErrorKind::BrokenPipe)?.flush()
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        // What is gathered and not written is not wanted any more.
        if let Some(file) = self.file.take() {
            drop(file.into_parts());
        }
        if !self.placed {
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn an_output_that_is_given_up_leaves_the_old_file_whole_and_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.gguf");
        fs::write(&path, b"old").unwrap();
        let mut output = Output::create(&path).unwrap();
        output.write_all(b"new, and not finished").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()).len(), 2);
        drop(output);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["model.gguf"]);
    }

    #[test]
    fn an_output_that_is_complete_takes_the_place_of_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.gguf");
        for text in ["first", "second"] {
            let mut output = Output::create(&path).unwrap();
            output.write_all(text.as_bytes()).unwrap();
            output.commit().unwrap();
            assert_eq!(fs::read(&path).unwrap(), text.as_bytes());
            assert_eq!(names(folder.path()), ["model.gguf"]);
        }
    }

    #[test]
    fn what_is_no_file_is_not_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let fault = Output::create(folder.path()).err().unwrap();
        assert!(fault.to_string().contains("a folder or a device found"), "{fault}");
        let nowhere = folder.path().join("none/model.gguf");
        assert!(Output::create(&nowhere).err().unwrap().to_string().contains("cannot be written"));
    }
}

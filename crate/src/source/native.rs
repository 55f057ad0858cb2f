//! Files on disk.

use std::{
    cell::RefCell,
    fs::{File, FileType},
    io::{Read, Seek, SeekFrom},
    ops::Range,
    path::Path,
};

use super::{ByteSource, LocalFuture};
use crate::fault::{Fault, Result};

/// An open file.
pub struct FileSource {
    name: String,
    len: u64,
    file: RefCell<File>,
}

impl FileSource {
    /// Opens `path` under the name that reports should show.
    ///
    /// # Errors
    /// The file cannot be opened, or is no regular file: a pipe could make the caller wait for ever, and a device has no length.
    pub fn open(path: &Path, name: impl Into<String>) -> Result<Self> {
        let name = name.into();
        let fail =
            |e: std::io::Error| Fault::source(format!("cannot be opened: {e}")).in_file(&path.display().to_string());
        let regular =
            |kind: FileType| match irregular(kind) {
                Some(found) => Err(Fault::source(format!("a regular file expected, {found} found"))
                    .in_file(&path.display().to_string())),
                None => Ok(()),
            };
        // Before it is opened: opening a pipe that nobody writes to never returns.
        regular(std::fs::metadata(path).map_err(fail)?.file_type())?;
        let file = File::open(path).map_err(fail)?;
        let about = file.metadata().map_err(fail)?;
        regular(about.file_type())?;
        Ok(Self { name, len: about.len(), file: RefCell::new(file) })
    }
}

/// What a thing with a path is that is no regular file.
fn irregular(kind: FileType) -> Option<&'static str> {
    if kind.is_file() {
        return None;
    }
    if kind.is_dir() {
        return Some("a folder");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt as _;
        let known = [
            (kind.is_fifo(), "a named pipe (FIFO)"),
            (kind.is_socket(), "a socket"),
            (kind.is_char_device(), "a character device"),
            (kind.is_block_device(), "a block device"),
        ];
        if let Some((_, name)) = known.into_iter().find(|(is, _)| *is) {
            return Some(name);
        }
    }
    Some("something else")
}

impl ByteSource for FileSource {
    fn name(&self) -> &str {
        &self.name
    }
    fn len(&self) -> u64 {
        self.len
    }
    fn read(&self, at: Range<u64>) -> LocalFuture<'_, Result<Vec<u8>>> {
        let read = || -> std::io::Result<Vec<u8>> {
            let mut file = self.file.borrow_mut();
            file.seek(SeekFrom::Start(at.start))?;
            let mut bytes = Vec::with_capacity((at.end - at.start).min(1 << 30) as usize);
            (&mut *file).take(at.end - at.start).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let got = read().map_err(|e| Fault::source(format!("cannot be read: {e}")).in_file(&self.name).at(at.start));
        Box::pin(async move { got })
    }
}

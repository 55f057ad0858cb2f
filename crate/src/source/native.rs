//! Files on disk.

use std::{
    cell::RefCell,
    fs::File,
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
    /// The file cannot be opened or is no regular file.
    pub fn open(path: &Path, name: impl Into<String>) -> Result<Self> {
        let name = name.into();
        let fail =
            |e: std::io::Error| Fault::source(format!("cannot be opened: {e}")).in_file(&path.display().to_string());
        let file = File::open(path).map_err(fail)?;
        let about = file.metadata().map_err(fail)?;
        if !about.is_file() {
            return Err(Fault::source("not a regular file").in_file(&path.display().to_string()));
        }
        Ok(Self { name, len: about.len(), file: RefCell::new(file) })
    }
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

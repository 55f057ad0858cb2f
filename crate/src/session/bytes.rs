//! Bytes of an open file as they are, without any reading of them.

use std::ops::Range;

use crate::{
    fault::{Fault, Result},
    source::{SourceFile, SourceSet},
};

/// The most bytes that one answer holds.
const MOST: u64 = 1 << 20;

/// Some bytes of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileBytes {
    /// The file's name.
    pub file: String,
    /// Its length.
    pub len: u64,
    /// Where `bytes` begin.
    pub start: u64,
    /// As many as were asked for, or up to the file's end.
    pub bytes: Vec<u8>,
}

/// Reads bytes of the file of this name, or of the only one.
///
/// # Errors
/// No file has the name, or there are several and none is named; `at` begins beyond the file's end or asks for more than
/// 1 MiB; the source fails.
pub async fn file_bytes(files: &SourceSet, name: Option<&str>, at: Range<u64>) -> Result<FileBytes> {
    let file = chosen(files, name)?;
    let len = file.len();
    if at.start > len {
        let what = format!("byte {} was requested; the file ends at byte {len}", at.start);
        return Err(Fault::caller(what).in_file(file.name()));
    }
    let end = at.end.min(len).max(at.start);
    if end - at.start > MOST {
        return Err(Fault::limit(format!("{} bytes requested; at most {MOST} at a time", end - at.start)));
    }
    let bytes = file.read(at.start..end).await?;
    Ok(FileBytes { file: file.name().to_owned(), len, start: at.start, bytes })
}

fn chosen<'a>(files: &'a SourceSet, name: Option<&str>) -> Result<&'a SourceFile> {
    match (name, files.files()) {
        (Some(name), _) => files.find(name).ok_or_else(|| Fault::caller(format!("no file is named \"{name}\""))),
        (None, [only]) => Ok(only),
        (None, several) => {
            let names: Vec<&str> = several.iter().take(5).map(SourceFile::name).collect();
            Err(Fault::caller(format!("{} files were given; name one of them: {}", several.len(), names.join(", "))))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        rc::Rc,
        task::{Context, Poll, Waker},
    };

    use super::*;
    use crate::source::MemorySource;

    fn read(files: &[(&str, &[u8])], name: Option<&str>, at: Range<u64>) -> Result<FileBytes> {
        let set = SourceSet::new(files.iter().map(|(n, b)| Rc::new(MemorySource::new(*n, *b)) as Rc<_>));
        let mut future = pin!(file_bytes(&set, name, at));
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(read) => read,
            Poll::Pending => panic!("memory never waits"),
        }
    }

    #[test]
    fn bytes_end_with_the_file_and_never_begin_behind_it() {
        let file: &[(&str, &[u8])] = &[("a", &[1, 2, 3, 4])];
        assert_eq!(read(file, None, 2..100).map(|r| r.bytes), Ok(vec![3, 4]));
        assert_eq!(read(file, None, 4..100).map(|r| r.bytes), Ok(vec![]));
        let beyond = read(file, None, 5..6).expect_err("beyond the end");
        assert!(beyond.to_string().contains("ends at byte 4"), "{beyond}");
    }

    #[test]
    fn of_several_files_one_is_named() {
        let files: &[(&str, &[u8])] = &[("x/a", &[1]), ("b", &[2])];
        assert_eq!(read(files, Some("a"), 0..1).map(|r| r.bytes), Ok(vec![1]));
        let unnamed = read(files, None, 0..1).expect_err("two files");
        assert!(unnamed.to_string().contains("x/a, b"), "{unnamed}");
    }
}

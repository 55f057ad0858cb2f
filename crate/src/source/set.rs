//! Files opened together, with one counter of the bytes read.

use std::{
    cell::{Cell, RefCell},
    ops::Range,
    rc::Rc,
};

use super::ByteSource;
use crate::fault::{Fault, Result};

/// The most bytes of a file's start that are kept: what a file is, is asked before it is opened, and again then.
const HEAD: u64 = 4096;

/// One file of a [`SourceSet`]; reading through it is counted.
#[derive(Clone)]
pub struct SourceFile {
    source: Rc<dyn ByteSource>,
    read: Rc<Cell<u64>>,
    /// The file's start, once it was read by itself.
    head: Rc<RefCell<Vec<u8>>>,
}

impl SourceFile {
    /// The file's name as the user knows it.
    pub fn name(&self) -> &str {
        self.source.name()
    }
    /// Length in bytes.
    pub fn len(&self) -> u64 {
        self.source.len()
    }
    /// True when there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Reads exactly `at` and counts it. The start of a file, once read, is kept and read once.
    ///
    /// # Errors
    /// A caller's fault beyond the end of the file; whatever the source reports.
    pub async fn read(&self, at: Range<u64>) -> Result<Vec<u8>> {
        if at.start > at.end || at.end > self.len() {
            return Err(Fault::caller(format!(
                "bytes {}..{} asked of a file of {} bytes",
                at.start,
                at.end,
                self.len()
            ))
            .in_file(self.name()));
        }
        let wanted = at.end - at.start;
        if at.end <= self.head.borrow().len() as u64 {
            return Ok(self.head.borrow()[at.start as usize..at.end as usize].to_vec());
        }
        let is_head = at.start == 0 && at.end <= HEAD;
        let bytes = self.source.read(at).await?;
        self.read.set(self.read.get() + bytes.len() as u64);
        if bytes.len() as u64 != wanted {
            return Err(Fault::source(format!("{wanted} bytes expected, {} read", bytes.len())).in_file(self.name()));
        }
        if is_head {
            self.head.borrow_mut().clone_from(&bytes);
        }
        Ok(bytes)
    }
}

/// The files that the user gave, opened together.
#[derive(Clone, Default)]
pub struct SourceSet {
    files: Vec<SourceFile>,
    read: Rc<Cell<u64>>,
    /// Files and folders that were meant and could not be opened: name, and why.
    unread: Vec<(String, String)>,
}

impl SourceSet {
    /// A set of sources, in the order given.
    pub fn new(sources: impl IntoIterator<Item = Rc<dyn ByteSource>>) -> Self {
        let mut set = Self::default();
        for source in sources {
            set.push(source);
        }
        set
    }
    /// Adds one file.
    pub fn push(&mut self, source: Rc<dyn ByteSource>) {
        self.files.push(SourceFile { source, read: Rc::clone(&self.read), head: Rc::default() });
    }
    /// Adds the files of another set.
    pub fn extend(&mut self, other: &Self) {
        other.files.iter().for_each(|file| self.push(Rc::clone(&file.source)));
        self.unread.extend(other.unread.iter().cloned());
    }
    /// Says that a file or folder that was meant could not be opened.
    pub fn leave_out(&mut self, name: impl Into<String>, why: impl Into<String>) {
        self.unread.push((name.into(), why.into()));
    }
    /// Files and folders that were meant and could not be opened: name, and why.
    pub fn unread(&self) -> &[(String, String)] {
        &self.unread
    }
    /// The same files, counted together, without those of this name.
    #[must_use]
    pub fn without(&self, name: &str) -> Self {
        let files = self.files.iter().filter(|file| file.name() != name).cloned().collect();
        Self { files, read: Rc::clone(&self.read), unread: self.unread.clone() }
    }
    /// The file of this name alone.
    pub fn only(&self, name: &str) -> Self {
        let files = self.files.iter().filter(|file| file.name() == name).cloned().collect();
        Self { files, read: Rc::clone(&self.read), unread: Vec::new() }
    }
    /// All files, in the order given.
    pub fn files(&self) -> &[SourceFile] {
        &self.files
    }
    /// The file of exactly this name, else of this base name where only one has it.
    pub fn find(&self, name: &str) -> Option<&SourceFile> {
        let base = |n: &str| n.rsplit('/').next().unwrap_or(n).to_owned();
        self.files.iter().find(|f| f.name() == name).or_else(|| {
            let mut same = self.files.iter().filter(|f| base(f.name()) == base(name));
            let first = same.next();
            if same.next().is_some() { None } else { first }
        })
    }
    /// Bytes read from all files since the set was made.
    pub fn bytes_read(&self) -> u64 {
        self.read.get()
    }
    /// Length of all files together, in bytes.
    pub fn bytes_total(&self) -> u64 {
        self.files.iter().map(SourceFile::len).sum()
    }
}

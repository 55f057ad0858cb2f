//! Findings about a file.

use super::{Loader, NoteCode, Why};

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Good to know.
    Info,
    /// Works, but something is odd or would trouble other readers.
    Warning,
    /// The file breaks its format, or part of it is missing.
    Error,
}

/// One finding: what, where, why it matters, what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// What kind of finding it is.
    pub code: NoteCode,
    /// How much it matters.
    pub severity: Severity,
    /// One sentence: what was found.
    pub what: String,
    /// The program that refuses the file for it.
    pub refused_by: Option<Loader>,
    /// File concerned (index into `ModelFile::files`).
    pub file: Option<usize>,
    /// Byte offset in that file.
    pub at: Option<u64>,
    /// Why it matters.
    pub why: Option<String>,
    /// What a person can do.
    pub advice: Option<String>,
}

impl Note {
    /// A note with a severity and a sentence: a remark until [`Note::code`] says more.
    pub fn new(severity: Severity, what: impl Into<String>) -> Self {
        let (code, what) = (NoteCode::Remark, what.into());
        Self { code, severity, what, refused_by: None, file: None, at: None, why: None, advice: None }
    }
    /// Says what kind of finding it is.
    #[must_use]
    pub fn code(mut self, code: NoteCode) -> Self {
        self.code = code;
        self
    }
    /// Adds the place.
    #[must_use]
    pub fn at(mut self, file: usize, at: u64) -> Self {
        self.file = Some(file);
        self.at = Some(at);
        self
    }
    /// Adds the place, where there is one: file and byte.
    #[must_use]
    pub fn place(self, place: Option<(usize, u64)>) -> Self {
        match place {
            Some((file, at)) => self.at(file, at),
            None => self,
        }
    }
    /// Adds the reason it matters, and the program that refuses the file for it.
    #[must_use]
    pub fn why<'a>(mut self, why: impl Into<Why<'a>>) -> Self {
        let why = why.into();
        self.refused_by = why.refused_by.or(self.refused_by);
        self.why = Some(why.text.into_owned());
        self
    }
    /// Adds what to do.
    #[must_use]
    pub fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }
}

//! Findings about a file.

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
    /// How much it matters.
    pub severity: Severity,
    /// One sentence: what was found.
    pub what: String,
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
    /// A note with a severity and a sentence.
    pub fn new(severity: Severity, what: impl Into<String>) -> Self {
        Self { severity, what: what.into(), file: None, at: None, why: None, advice: None }
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
    /// Adds the reason it matters.
    #[must_use]
    pub fn why(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }
    /// Adds what to do.
    #[must_use]
    pub fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }
}

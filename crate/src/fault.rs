//! What went wrong, whose doing it is, and at which byte.

use std::{fmt, future::Future, pin::Pin};

/// A future that need not be sent between threads (a browser's `Blob` cannot be).
pub type LocalFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Whose doing a fault is; decides the wording and the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// Bytes could not be read: disk, blob or network.
    Source,
    /// The file breaks its own format's rules.
    File,
    /// The file may be right, but Glassbox cannot do this with it.
    Unsupported,
    /// A named limit was reached.
    Limit,
    /// The GPU or its driver.
    Device,
    /// The person or program that asked.
    Caller,
    /// A mistake in Glassbox itself.
    Bug,
}

/// One failure, with everything a person needs to understand and act on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Whose doing.
    pub blame: Blame,
    /// One sentence: what happened, what was expected and what was found.
    pub what: String,
    /// Name of the file concerned, where there is one.
    pub file: Option<String>,
    /// Byte offset in that file.
    pub at: Option<u64>,
    /// The underlying failure.
    pub because: Option<Box<Fault>>,
    /// The file ended before what was to be read: it is cut off, or a length in it is wrong.
    pub short: bool,
}

/// Shorthand used throughout the crate.
pub type Result<T, E = Fault> = std::result::Result<T, E>;

impl Fault {
    /// A fault with a blame and a sentence.
    pub fn new(blame: Blame, what: impl Into<String>) -> Self {
        Self { blame, what: what.into(), file: None, at: None, because: None, short: false }
    }
    /// The file breaks its format's rules at byte `at`.
    pub fn file(at: u64, what: impl Into<String>) -> Self {
        Self::new(Blame::File, what).at(at)
    }
    /// Glassbox cannot do this.
    pub fn unsupported(what: impl Into<String>) -> Self {
        Self::new(Blame::Unsupported, what)
    }
    /// A limit was reached.
    pub fn limit(what: impl Into<String>) -> Self {
        Self::new(Blame::Limit, what)
    }
    /// The device failed.
    pub fn device(what: impl Into<String>) -> Self {
        Self::new(Blame::Device, what)
    }
    /// The caller asked for something that makes no sense.
    pub fn caller(what: impl Into<String>) -> Self {
        Self::new(Blame::Caller, what)
    }
    /// Reading failed.
    pub fn source(what: impl Into<String>) -> Self {
        Self::new(Blame::Source, what)
    }
    /// Glassbox itself is wrong.
    pub fn bug(what: impl Into<String>) -> Self {
        Self::new(Blame::Bug, what)
    }
    /// Adds the byte offset.
    #[must_use]
    pub fn at(mut self, at: u64) -> Self {
        self.at = Some(at);
        self
    }
    /// Adds the file name, unless one is there.
    #[must_use]
    pub fn in_file(mut self, name: &str) -> Self {
        self.file.get_or_insert_with(|| name.to_owned());
        self
    }
    /// Says that the file ended too early.
    #[must_use]
    pub fn short(mut self) -> Self {
        self.short = true;
        self
    }
    /// Adds the underlying failure.
    #[must_use]
    pub fn because(mut self, cause: Fault) -> Self {
        self.because = Some(Box::new(cause));
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file}: ")?;
        }
        if let Some(at) = self.at {
            write!(f, "byte {at}: ")?;
        }
        f.write_str(&self.what)?;
        if let Some(cause) = &self.because {
            write!(f, " (because {cause})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Fault {}

//! Fetches what a reader asks for, and a bounded piece more.

use std::ops::Range;

use super::{Limits, SourceFile, Window};
use crate::fault::{Fault, Result};

/// The first piece read of any file: enough to recognise it.
const HEAD: u64 = 4 << 10;
/// Bytes read beyond what was asked for at first.
const LEAST: u64 = 16 << 10;
/// The same after many jumps: a zip's member headers lie one between every two storages.
const JUMPING: u64 = 256;

/// One file, its window, and how far to read ahead.
///
/// Neighbouring requests raise the read-ahead up to [`Limits::read_ahead`], jumps halve it; what a
/// reader has passed is forgotten. So reading a header of n bytes costs at most n plus the limit,
/// and memory holds one piece, whatever the file's size.
pub struct Feed<'a> {
    file: &'a SourceFile,
    window: Window,
    ahead: u64,
    most: u64,
    fetched_to: u64,
    last_need: Range<u64>,
}

impl<'a> Feed<'a> {
    /// Reads the first bytes of a file (at most 4 KiB).
    ///
    /// # Errors
    /// The source fails.
    pub async fn open(file: &'a SourceFile, limits: &Limits) -> Result<Self> {
        let head = HEAD.min(file.len());
        let mut window = Window::new(file.name(), file.len());
        window.insert(0, file.read(0..head).await?);
        let most = limits.read_ahead;
        Ok(Self { file, window, ahead: LEAST.min(most), most, fetched_to: head, last_need: 0..0 })
    }
    /// What has been fetched and not yet passed.
    pub fn window(&self) -> &Window {
        &self.window
    }
    /// Fetches `need` after forgetting everything before `passed`.
    ///
    /// # Errors
    /// The source fails; a reader asks for the same bytes twice, which would never end.
    pub async fn fill(&mut self, need: Range<u64>, passed: u64) -> Result<()> {
        if need == self.last_need {
            return Err(Fault::bug(format!("bytes {}..{} were asked for twice", need.start, need.end))
                .in_file(self.file.name()));
        }
        self.last_need = need.clone();
        self.window.forget(passed.min(need.start));
        let have = self.window.rest(need.start).len() as u64;
        let start = need.start + have;
        // A second neighbour in a row means a long header, and each read of a browser's file is a round trip.
        let growth = if self.ahead > LEAST { 8 } else { 2 };
        self.ahead =
            if start == self.fetched_to { self.ahead.saturating_mul(growth) } else { (self.ahead / 2).max(JUMPING) }
                .min(self.most);
        let end = need.end.max(start.saturating_add(self.ahead)).min(self.file.len());
        if end <= start {
            return Err(
                Fault::bug(format!("no bytes to fetch for {}..{}", need.start, need.end)).in_file(self.file.name())
            );
        }
        self.window.insert(start, self.file.read(start..end).await?);
        self.fetched_to = end;
        Ok(())
    }
}

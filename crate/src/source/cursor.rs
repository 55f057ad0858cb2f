//! A little-endian or big-endian reading position in a [`Window`].

use super::{Stop, Window};
use crate::fault::Fault;

/// A position in a window; every read checks the file's end and moves on.
#[derive(Clone)]
pub struct Cursor<'w> {
    window: &'w Window,
    at: u64,
    big_endian: bool,
}

macro_rules! number {
    ($($name:ident: $t:ty),*) => {$(
        #[doc = concat!("Reads one ", stringify!($t), ".\n\n# Errors\nThe bytes are missing or beyond the end.")]
        pub fn $name(&mut self) -> Result<$t, Stop> {
            let bytes = self.take(size_of::<$t>() as u64)?;
            let mut raw = [0u8; size_of::<$t>()];
            raw.copy_from_slice(bytes);
            Ok(if self.big_endian { <$t>::from_be_bytes(raw) } else { <$t>::from_le_bytes(raw) })
        }
    )*};
}

impl<'w> Cursor<'w> {
    /// A cursor at byte `at`.
    pub fn new(window: &'w Window, at: u64, big_endian: bool) -> Self {
        Self { window, at, big_endian }
    }
    /// Where the next read starts.
    pub fn position(&self) -> u64 {
        self.at
    }
    /// Bytes from here to the end of the file.
    pub fn remaining(&self) -> u64 {
        self.window.len().saturating_sub(self.at)
    }
    /// The window read from.
    pub fn window(&self) -> &'w Window {
        self.window
    }
    /// Moves to byte `at`.
    pub fn seek(&mut self, at: u64) {
        self.at = at;
    }
    /// Moves on by `n` bytes without reading them.
    ///
    /// # Errors
    /// The file ends before.
    pub fn skip(&mut self, n: u64) -> Result<(), Stop> {
        if n > self.remaining() {
            return Err(Stop::Bad(
                Fault::file(self.at, format!("{n} bytes expected, {} left in the file", self.remaining()))
                    .in_file(self.window.name())
                    .short(),
            ));
        }
        self.at += n;
        Ok(())
    }
    /// The next `n` bytes.
    ///
    /// # Errors
    /// The bytes are missing or beyond the end.
    pub fn take(&mut self, n: u64) -> Result<&'w [u8], Stop> {
        let end = self.at.saturating_add(n);
        let bytes = self.window.bytes(self.at..end)?;
        self.at = end;
        Ok(bytes)
    }
    number!(u8: u8, i8: i8, u16: u16, i16: i16, u32: u32, i32: i32, u64: u64, i64: i64, f32: f32, f64: f64);
}

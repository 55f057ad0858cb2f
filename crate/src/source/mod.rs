//! Random-access bytes: fetched on demand, counted, never read whole.
//!
//! The outer edge is asynchronous ([`ByteSource`]); format readers are synchronous over a
//! [`Window`] of the bytes fetched so far and say what they still need with [`Stop::Need`].

use std::ops::Range;

pub use crate::fault::LocalFuture;
use crate::fault::{Fault, Result};

mod cursor;
#[cfg(not(target_arch = "wasm32"))]
pub mod disk;
mod feed;
#[cfg(all(feature = "http", not(target_arch = "wasm32")))]
mod http;
mod limits;
mod memory;
mod set;
mod window;

#[cfg(not(target_arch = "wasm32"))]
#[path = "native.rs"]
mod platform;
#[cfg(target_arch = "wasm32")]
#[path = "web.rs"]
mod platform;

pub use cursor::Cursor;
pub use feed::Feed;
#[cfg(all(feature = "http", not(target_arch = "wasm32")))]
pub use http::{Address, HttpClient, HttpOptions, HttpSource, Traffic};
pub use limits::Limits;
pub use memory::MemorySource;
pub use platform::FileSource;
pub use set::{SourceFile, SourceSet};
pub use window::{Stop, Window};

/// One file's bytes, readable at any place.
pub trait ByteSource {
    /// The name that the user knows: a file name, or a path relative to the dropped folder (`/` separated).
    fn name(&self) -> &str;
    /// Length in bytes.
    fn len(&self) -> u64;
    /// True when there are no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Reads exactly `at`; a range beyond the end is a caller's fault, a short read a source's.
    fn read(&self, at: Range<u64>) -> LocalFuture<'_, Result<Vec<u8>, Fault>>;
}

//! `File` and `Blob` objects of the browser, read by slices.

use std::ops::Range;

use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

use super::{ByteSource, LocalFuture};
use crate::fault::{Fault, Result};

/// A `Blob` (a `File` is one) with the name that reports should show; or whatever has `size` and `slice().arrayBuffer()`, as
/// the page's file at an address (`www/src/worker/remote.ts`).
pub struct FileSource {
    name: String,
    blob: web_sys::Blob,
}

impl FileSource {
    /// Keeps the handle; nothing is read.
    pub fn new(name: impl Into<String>, blob: web_sys::Blob) -> Self {
        Self { name: name.into(), blob }
    }
    fn fault(&self, at: u64, what: &str, e: &JsValue) -> Fault {
        Fault::source(format!(
            "{what}: {}",
            e.as_string()
                .or_else(|| e.dyn_ref::<js_sys::Error>().map(|e| String::from(e.message())))
                .unwrap_or_default()
        ))
        .in_file(&self.name)
        .at(at)
    }
}

impl ByteSource for FileSource {
    fn name(&self) -> &str {
        &self.name
    }
    fn len(&self) -> u64 {
        self.blob.size() as u64
    }
    fn read(&self, at: Range<u64>) -> LocalFuture<'_, Result<Vec<u8>>> {
        Box::pin(async move {
            let slice = self
                .blob
                .slice_with_f64_and_f64(at.start as f64, at.end as f64)
                .map_err(|e| self.fault(at.start, "cannot be sliced", &e))?;
            let buffer =
                JsFuture::from(slice.array_buffer()).await.map_err(|e| self.fault(at.start, "cannot be read", &e))?;
            Ok(js_sys::Uint8Array::new(&buffer).to_vec())
        })
    }
}

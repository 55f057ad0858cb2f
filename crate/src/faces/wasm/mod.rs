//! Bindings for the page's workers: every answer is the JSON of a report struct, every failure that of a
//! [`FaultReport`].
//!
//! The page's wasm is built twice from this crate: with the feature `reader` (what a file is: all that the first view
//! needs) and with the feature `runner` (tokenizing, chat templates, generating). Each build links what its bindings
//! reach and nothing else; each runs in a worker of its own.

#[cfg(feature = "reader")]
pub mod reader;
#[cfg(feature = "runner")]
pub mod runner;

use std::rc::Rc;

use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

use crate::{
    fault::Fault,
    report::FaultReport,
    session::Inspection,
    source::{ByteSource, FileSource, SourceSet},
};

/// To be called once: readable panics.
#[wasm_bindgen(start)]
fn start_up() {
    console_error_panic_hook::set_once();
}

fn throw(fault: &Fault) -> JsValue {
    json(&FaultReport::from(fault)).map_or_else(|_| JsValue::from_str(&fault.to_string()), JsValue::from)
}

fn json(report: &impl serde::Serialize) -> Result<String, JsValue> {
    serde_json::to_string(report).map_err(|e| JsValue::from_str(&format!("a report cannot be written as JSON: {e}")))
}

/// Opens the model that the files hold together.
async fn inspect(names: Vec<String>, files: Vec<web_sys::Blob>) -> Result<Rc<Inspection>, JsValue> {
    if names.len() != files.len() {
        return Err(throw(&Fault::caller("as many names as files are needed")));
    }
    let inspection = Inspection::open(sources(names, files)).await.map_err(|f| throw(&f))?;
    Ok(Rc::new(inspection))
}

fn sources(names: Vec<String>, files: Vec<web_sys::Blob>) -> SourceSet {
    SourceSet::new(
        names.into_iter().zip(files).map(|(name, blob)| Rc::new(FileSource::new(name, blob)) as Rc<dyn ByteSource>),
    )
}

/// The crate's version.
#[wasm_bindgen]
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}

//! What a file is: its description and its tensors' values.

use std::{ops::Range, rc::Rc};

use js_sys::JsString;
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

use crate::{
    report::{BlockReport, BytesReport, CheckReport, ModelReport, PeekReport},
    session::Inspection,
};

use super::{inspect, json, throw};

/// An opened model; its files stay with the browser and are read in slices.
#[wasm_bindgen]
pub struct Model {
    inspection: Rc<Inspection>,
    /// Kept on the page's side: handing it out copies nothing.
    report: JsString,
}

#[wasm_bindgen]
impl Model {
    /// Opens the model that the files hold together.
    pub async fn open(names: Vec<String>, files: Vec<web_sys::Blob>) -> Result<Model, JsValue> {
        let inspection = inspect(names, files).await?;
        let report = JsString::from(json(&ModelReport::of(&inspection).await)?);
        Ok(Self { inspection, report })
    }
    /// The `ModelReport`.
    pub fn report(&self) -> JsString {
        self.report.clone()
    }
    /// Bytes read from the files so far.
    pub fn bytes_read(&self) -> f64 {
        self.inspection.files().bytes_read() as f64
    }
    /// Items of a metadata array as a JSON array.
    pub async fn array(&self, key: String, start: f64, count: f64) -> Result<String, JsValue> {
        let items = self.inspection.array(&key, range(start, count)).await.map_err(|f| throw(&f))?;
        json(&crate::report::items(&items))
    }
    /// Rows of a tensor: a `PeekReport`.
    pub async fn peek(&self, tensor: usize, first_row: f64, rows: f64, stats: bool) -> Result<String, JsValue> {
        let before = self.inspection.files().bytes_read();
        let peek =
            self.inspection.peek(tensor, range(first_row, rows), stats, &mut |_| {}).await.map_err(|f| throw(&f))?;
        json(&PeekReport::of(&self.inspection, &peek, self.inspection.files().bytes_read() - before))
    }
    /// Values of a tensor in row-major order, from number `first` on: 4 Mi at most.
    pub async fn values(&self, tensor: usize, first: f64, count: f64) -> Result<Vec<f32>, JsValue> {
        self.inspection.values(tensor, range(first, count)).await.map_err(|f| throw(&f))
    }
    /// One block of a tensor, field by field: a `BlockReport`.
    pub async fn block(&self, tensor: usize, index: f64) -> Result<String, JsValue> {
        let block = self.inspection.block(tensor, range(index, 0.0).start).await.map_err(|f| throw(&f))?;
        json(&BlockReport::from(&block))
    }
    /// What the doctor finds, tokenizers left out: a `CheckReport`.
    pub async fn check(&self) -> Result<String, JsValue> {
        json(&CheckReport::without_tokenizer(&self.inspection).await.map_err(|f| throw(&f))?)
    }
    /// Bytes of a file as they are: a `BytesReport`.
    pub async fn bytes(&self, file: String, start: f64, count: f64) -> Result<String, JsValue> {
        let read = self.inspection.bytes(&file, range(start, count)).await.map_err(|f| throw(&f))?;
        json(&BytesReport::from(&read))
    }
}

fn range(start: f64, count: f64) -> Range<u64> {
    let start = start.max(0.0) as u64;
    start..start.saturating_add(count.max(0.0) as u64)
}

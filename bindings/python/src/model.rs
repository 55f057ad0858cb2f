//! An open model.

use std::{path::PathBuf, rc::Rc, sync::Mutex};

use glassbox::{
    fault::Fault,
    report::{
        self, BytesReport, ChatReport, CheckReport, DeviceReport, ExplainReport, ModelReport, PeekReport,
        TemplatesReport, TokensReport,
    },
    session::{
        Conversation, Data, DeviceChoice, EmbedOptions, Embedder, EncodeOptions, Generation, GpuOptions, RunSettings,
    },
};
use pollster::block_on;
use pyo3::{prelude::*, types::PyBytes};
use serde::Deserialize;

use crate::{
    fault::{json, raised},
    generate::{self, Stream},
    worker::Worker,
};

/// Texts that may share a step of an encoder.
const TOGETHER: u32 = 8;
/// Tokens that a report tells one by one.
const TOLD: usize = 1 << 20;

/// What `glassbox.Model` asks.
#[pyclass(frozen)]
pub(crate) struct Model {
    worker: Worker,
    report: Mutex<Option<String>>,
}

#[pymethods]
impl Model {
    #[new]
    fn open(py: Python<'_>, paths: Vec<PathBuf>) -> PyResult<Self> {
        Ok(Self { worker: Worker::open(py, paths)?, report: Mutex::new(None) })
    }
    /// A `ModelReport` in JSON.
    fn report(&self, py: Python<'_>) -> PyResult<String> {
        if let Ok(known) = self.report.lock()
            && let Some(text) = known.as_ref()
        {
            return Ok(text.clone());
        }
        let text = self.worker.call(py, |state| json(&block_on(ModelReport::of(&state.inspection))))?;
        if let Ok(mut known) = self.report.lock() {
            *known = Some(text.clone());
        }
        Ok(text)
    }
    /// A `CheckReport` in JSON.
    fn check(&self, py: Python<'_>) -> PyResult<String> {
        self.worker.call(py, |state| json(&block_on(CheckReport::of(&state.inspection))?))
    }
    /// Items of an array in the metadata, in JSON.
    fn array(&self, py: Python<'_>, key: String, start: u64, stop: u64) -> PyResult<String> {
        self.worker.call(py, move |state| {
            let items = block_on(state.inspection.array(&key, start..stop.max(start)))?;
            json(&report::items(&items))
        })
    }
    /// Statistics of a whole tensor: a `PeekReport` in JSON.
    fn statistics(&self, py: Python<'_>, tensor: usize) -> PyResult<String> {
        self.worker.call(py, move |state| {
            let before = state.inspection.files().bytes_read();
            let peek = block_on(state.inspection.peek(tensor, 0..0, true, &mut |_| {}))?;
            json(&PeekReport::of(&state.inspection, &peek, state.inspection.files().bytes_read() - before))
        })
    }
    /// Values `start..stop` in row-major order, as f32 in this machine's byte order.
    fn values<'py>(&self, py: Python<'py>, tensor: usize, start: u64, stop: u64) -> PyResult<Bound<'py, PyBytes>> {
        let values =
            self.worker.call(py, move |state| block_on(state.inspection.tensor_values(tensor)?.read(start..stop)))?;
        PyBytes::new_with(py, values.len() * 4, |bytes| {
            for (to, value) in bytes.chunks_exact_mut(4).zip(&values) {
                to.copy_from_slice(&value.to_ne_bytes());
            }
            Ok(())
        })
    }
    /// The bytes of the blocks that hold values `start..stop`, as they lie in the file.
    fn raw<'py>(&self, py: Python<'py>, tensor: usize, start: u64, stop: u64) -> PyResult<Bound<'py, PyBytes>> {
        let bytes =
            self.worker.call(py, move |state| block_on(state.inspection.tensor_values(tensor)?.bytes(start..stop)))?;
        Ok(PyBytes::new(py, &bytes))
    }
    /// Bytes of a file: a `BytesReport` in JSON.
    fn bytes(&self, py: Python<'_>, file: String, start: u64, stop: u64) -> PyResult<String> {
        self.worker.call(py, move |state| {
            json(&BytesReport::from(&block_on(state.inspection.bytes(&file, start..stop.max(start)))?))
        })
    }
    /// Ids of texts.
    fn encode(
        &self,
        py: Python<'_>,
        texts: Vec<String>,
        add_special: bool,
        parse_special: bool,
    ) -> PyResult<Vec<Vec<u32>>> {
        self.worker.call(py, move |state| {
            let vocabulary = block_on(state.inspection.vocabulary())?;
            texts.iter().map(|text| vocabulary.encode(text, EncodeOptions { add_special, parse_special })).collect()
        })
    }
    /// The text of ids.
    fn decode(&self, py: Python<'_>, ids: Vec<u32>) -> PyResult<String> {
        self.worker.call(py, move |state| {
            let vocabulary = block_on(state.inspection.vocabulary())?;
            match ids.iter().find(|id| vocabulary.token_text(**id).is_none()) {
                Some(id) => {
                    Err(Fault::caller(format!("the vocabulary has {} tokens, id {id} found", vocabulary.len())))
                }
                None => Ok(vocabulary.decode(&ids)),
            }
        })
    }
    /// How a text is split: a `TokensReport` in JSON, or with `steps` an `ExplainReport`.
    fn explain(
        &self,
        py: Python<'_>,
        text: String,
        add_special: bool,
        parse_special: bool,
        steps: bool,
    ) -> PyResult<String> {
        self.worker.call(py, move |state| {
            let vocabulary = block_on(state.inspection.vocabulary())?;
            let options = EncodeOptions { add_special, parse_special };
            if steps {
                return json(&ExplainReport::of(&vocabulary, vocabulary.explain(&text, options)?));
            }
            let tokenized = glassbox::session::Tokenized::new(&vocabulary, text, options)?;
            json(&TokensReport::head(&vocabulary, &tokenized, TOLD))
        })
    }
    /// The chat templates: a `TemplatesReport` in JSON.
    fn templates(&self, py: Python<'_>) -> PyResult<String> {
        self.worker.call(py, |state| json(&TemplatesReport::of(&*state.chat()?)))
    }
    /// A conversation, in JSON, as the prompt: a `ChatReport` in JSON.
    fn chat(&self, py: Python<'_>, template: Option<String>, conversation: String) -> PyResult<String> {
        self.worker.call(py, move |state| {
            let asked: Asked =
                serde_json::from_str(&conversation).map_err(|e| Fault::caller(format!("the conversation: {e}")))?;
            let (report, failed) = ChatReport::of(&*state.chat()?, template.as_deref(), asked.conversation())?;
            failed.map_or_else(|| json(&report), Err)
        })
    }
    /// Puts the weights on a device: a `DeviceReport` in JSON.
    fn load(
        &self,
        py: Python<'_>,
        device: String,
        context: Option<u32>,
        sequences: u32,
        exact: bool,
    ) -> PyResult<String> {
        let choice = choice(&device)?;
        self.worker.call(py, move |state| {
            state.generation = None;
            let settings =
                RunSettings { context, sequences, outputs: sequences, penalties: true, ..RunSettings::default() };
            let gpu = GpuOptions { exact, ..GpuOptions::default() };
            let inspection = Rc::clone(&state.inspection);
            let generation = block_on(Generation::load(inspection, choice, gpu, &settings, &mut |_| {}))?;
            let report = json(&DeviceReport::of(generation.device()))?;
            state.generation = Some(generation);
            Ok(report)
        })
    }
    /// Generates: `options` in JSON; pieces come as they are made.
    fn generate(&self, prompt: Option<String>, ids: Option<Vec<u32>>, options: String) -> PyResult<Stream> {
        generate::start(&self.worker, prompt, ids, &options)
    }
    /// Vectors of texts: f32 in this machine's byte order, and the length of one vector.
    #[allow(clippy::too_many_arguments)]
    fn embed<'py>(
        &self,
        py: Python<'py>,
        texts: Vec<String>,
        prompt: Option<String>,
        pooling: Option<String>,
        normalize: Option<bool>,
        device: String,
    ) -> PyResult<(Bound<'py, PyBytes>, usize)> {
        let choice = choice(&device)?;
        let pooling = pooling.map(|name| {
            glassbox::session::Pooling::parse(&name)
                .ok_or_else(|| raised(&Fault::caller(format!("pooling mean, cls or last expected, \"{name}\" found"))))
        });
        let options = EmbedOptions { pooling: pooling.transpose()?, normalize };
        let vectors = self.worker.call(py, move |state| {
            if state.embedder.is_none() {
                let settings = RunSettings { sequences: TOGETHER, ..RunSettings::default() };
                let inspection = Rc::clone(&state.inspection);
                state.embedder = Some(block_on(Embedder::load(
                    inspection,
                    choice,
                    GpuOptions::default(),
                    &settings,
                    options,
                    &mut |_| {},
                ))?);
            }
            let embedder = state.embedder.as_mut().ok_or_else(|| Fault::bug("no encoder is loaded"))?;
            let prompt = match prompt {
                Some(prompt) => prompt,
                None => embedder.prompt(None)?,
            };
            let asked = texts.iter().map(|text| embedder.encode(&prompt, text)).collect::<Result<Vec<_>, _>>()?;
            block_on(embedder.embed(&asked))
        })?;
        let width = vectors.first().map_or(0, |v| v.vector.len());
        let bytes = PyBytes::new_with(py, vectors.len() * width * 4, |bytes| {
            let values = vectors.iter().flat_map(|v| &v.vector);
            for (to, value) in bytes.chunks_exact_mut(4).zip(values) {
                to.copy_from_slice(&value.to_ne_bytes());
            }
            Ok(())
        })?;
        Ok((bytes, width))
    }
    /// Frees all it holds, once its work is done.
    fn close(&self) {
        self.worker.close();
    }
}

fn choice(device: &str) -> PyResult<DeviceChoice> {
    DeviceChoice::parse(device)
        .ok_or_else(|| raised(&Fault::caller(format!("a device auto, gpu or cpu expected, \"{device}\" found"))))
}

/// A conversation as the Python side writes it.
#[derive(Deserialize)]
struct Asked {
    messages: Data,
    #[serde(default)]
    tools: Data,
    #[serde(default)]
    variables: std::collections::BTreeMap<String, Data>,
    add_generation_prompt: bool,
    now: Option<i64>,
}

impl Asked {
    fn conversation(self) -> Conversation {
        Conversation {
            messages: self.messages,
            tools: self.tools,
            add_generation_prompt: self.add_generation_prompt,
            variables: self.variables.into_iter().collect(),
            now: self.now,
            ..Conversation::default()
        }
    }
}

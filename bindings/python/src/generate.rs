//! Generating, piece by piece.

use std::{
    future::ready,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    time::Duration,
};

use glassbox::{
    fault::Fault,
    report::{GeneratedReport, RunReport},
    session::{Generated, GenerationOptions, Sampling},
};
use pyo3::prelude::*;
use serde::Deserialize;

use crate::{
    fault::{json, raised},
    worker::{Worker, ended},
};

/// How often a waiting call looks for Ctrl-C.
const SIGNALS: Duration = Duration::from_millis(100);

enum Told {
    Piece(String),
    End(Result<String, Fault>),
}

/// A generation that runs: `next` gives a `GeneratedReport` in JSON, and none at the end; `finish` a `RunReport`.
#[pyclass(frozen)]
pub(crate) struct Stream {
    told: Mutex<Option<Receiver<Told>>>,
    end: Mutex<Option<String>>,
    stop: Arc<AtomicBool>,
}

/// What is asked of a generation; what is not given is as in [`GenerationOptions`].
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Asked {
    max_tokens: u32,
    temperature: f32,
    top_k: usize,
    top_p: f32,
    min_p: f32,
    seed: u64,
    repetition_penalty: f32,
    presence_penalty: f32,
    frequency_penalty: f32,
    add_special: bool,
    alternatives: bool,
    stop: Vec<String>,
    logit_bias: Vec<(u32, f32)>,
}

impl Default for Asked {
    fn default() -> Self {
        let Sampling {
            temperature,
            top_k,
            top_p,
            min_p,
            seed,
            repetition_penalty,
            presence_penalty,
            frequency_penalty,
        } = Sampling::greedy();
        Self {
            max_tokens: GenerationOptions::default().max_tokens,
            temperature,
            top_k,
            top_p,
            min_p,
            seed,
            repetition_penalty,
            presence_penalty,
            frequency_penalty,
            add_special: true,
            alternatives: false,
            stop: Vec::new(),
            logit_bias: Vec::new(),
        }
    }
}

impl Asked {
    fn options(self) -> GenerationOptions {
        GenerationOptions {
            max_tokens: self.max_tokens,
            sampling: Sampling {
                temperature: self.temperature,
                top_k: self.top_k,
                top_p: self.top_p,
                min_p: self.min_p,
                seed: self.seed,
                repetition_penalty: self.repetition_penalty,
                presence_penalty: self.presence_penalty,
                frequency_penalty: self.frequency_penalty,
            },
            add_special: self.add_special,
            alternatives: self.alternatives,
            stop: self.stop,
            logit_bias: self.logit_bias,
            ..GenerationOptions::default()
        }
    }
}

/// Starts to generate on the model's thread.
pub(crate) fn start(worker: &Worker, prompt: Option<String>, ids: Option<Vec<u32>>, options: &str) -> PyResult<Stream> {
    let asked: Asked = serde_json::from_str(options).map_err(|e| raised(&Fault::caller(format!("options: {e}"))))?;
    let (tell, told) = mpsc::channel();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    worker.send(Box::new(move |state| {
        let pieces = tell.clone();
        let mut on_token = move |token: &Generated| -> glassbox::fault::LocalFuture<'static, bool> {
            let text = json(&GeneratedReport::from(token)).unwrap_or_default();
            // Nobody listens any more: the stream was dropped.
            let gone = pieces.send(Told::Piece(text)).is_err();
            Box::pin(ready(gone || stopped.load(Ordering::Relaxed)))
        };
        let run = || {
            let generation = state.generation.as_mut().ok_or_else(|| Fault::caller("load the model first"))?;
            let options = asked.options();
            let ids = match (ids, &prompt) {
                (Some(ids), _) => ids,
                (None, Some(text)) => generation.encode(text, &options)?,
                (None, None) => return Err(Fault::caller("a prompt or its ids expected, neither found")),
            };
            let outcome = pollster::block_on(generation.generate_ids(ids, &options, &mut on_token))?;
            json(&RunReport::of(generation, outcome))
        };
        let _ = tell.send(Told::End(run()));
    }))?;
    Ok(Stream { told: Mutex::new(Some(told)), end: Mutex::new(None), stop })
}

#[pymethods]
impl Stream {
    /// The next piece; none at the end.
    fn next(&self, py: Python<'_>) -> PyResult<Option<String>> {
        loop {
            let Some(from) = self.told.lock().map_err(|_| ended())?.take() else { return Ok(None) };
            let (from, told) = py.detach(move || {
                let told = from.recv_timeout(SIGNALS);
                (from, told)
            });
            let again = !matches!(told, Ok(Told::End(_)) | Err(RecvTimeoutError::Disconnected));
            if again {
                *self.told.lock().map_err(|_| ended())? = Some(from);
            }
            match told {
                Ok(Told::Piece(piece)) => return Ok(Some(piece)),
                Ok(Told::End(outcome)) => {
                    *self.end.lock().map_err(|_| ended())? = Some(outcome.map_err(|fault| raised(&fault))?);
                    return Ok(None);
                }
                Err(RecvTimeoutError::Timeout) => py.check_signals()?,
                Err(RecvTimeoutError::Disconnected) => return Err(ended()),
            }
        }
    }
    /// What there is at the end; pieces that nobody asked for are passed over.
    fn finish(&self, py: Python<'_>) -> PyResult<Option<String>> {
        while self.next(py)?.is_some() {}
        Ok(self.end.lock().map_err(|_| ended())?.clone())
    }
    /// Ends it with the next token.
    fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.stop();
    }
}

//! `glassbox serve`: loaded models behind the HTTP API that OpenAI's clients speak.
//!
//! Two threads belong to each model, since its objects never leave the thread that made them: one runs the model, one writes prompts
//! (template and tokenizer). Handlers talk to both through bounded channels, so that what waits is counted and refused beyond a limit.

mod answer;
mod api;
mod connections;
mod encoder;
mod engine;
mod error;
mod guard;
mod metrics;
mod model;
mod queue;
mod scribe;
mod settings;
mod tools;

use std::{
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::net::TcpListener;

pub(super) use self::settings::{ModelSpec, Settings};
use self::{metrics::Metrics, model::Model};
use crate::fault::{Fault, Result};

/// What all handlers see.
struct Server {
    settings: Settings,
    models: Vec<Arc<Model>>,
    metrics: Metrics,
    /// No new requests are taken.
    is_stopping: AtomicBool,
}

impl Server {
    fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }
}

/// Loads the models and serves them until the process is told to end; `on_ready` is given the address.
///
/// # Errors
/// A model cannot be loaded; the address cannot be listened on.
pub(super) fn run(settings: Settings, on_ready: &mut dyn FnMut(&str)) -> Result<()> {
    log_by(&settings);
    settings.check()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| Fault::source(format!("the threads of the server do not start: {e}")))?;
    runtime.block_on(async {
        let listener = TcpListener::bind((settings.host.as_str(), settings.port)).await;
        let listener = listener.map_err(|e| Fault::source(format!("{}:{}: {e}", settings.host, settings.port)))?;
        let mut models = Vec::new();
        for spec in &settings.models {
            models.push(Arc::new(Model::load(spec, &settings)?));
        }
        let metrics = Metrics::default();
        let server = Arc::new(Server { settings, models, metrics, is_stopping: AtomicBool::new(false) });
        let address = listener.local_addr().map_err(|e| Fault::source(format!("the address is not known: {e}")))?;
        on_ready(&format!("http://{address}"));
        connections::serve(server, listener).await;
        Ok(())
    })
}

/// Logs go to standard error, so that standard output holds the address alone.
fn log_by(settings: &Settings) {
    let level = settings.log.parse().unwrap_or(tracing::Level::INFO);
    // Only the first call counts.
    let _ = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .try_init();
    let _ = std::io::stderr().flush();
}

//! What a server is told: by flags, environment and a TOML file.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    fault::{Fault, Result},
    session::{CacheType, DeviceChoice, GpuOptions, Need},
    source::SourceSet,
};

/// Opens the files of a path.
pub(in super::super) type OpenFiles = fn(&Path, Need<'_>) -> Result<SourceSet>;

/// A model to be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct ModelSpec {
    /// What clients call it.
    pub(in super::super) name: String,
    /// A file, a folder, or the address of a file.
    pub(in super::super) path: PathBuf,
}

impl ModelSpec {
    /// From PATH or NAME=PATH; of a path alone the name is that of its file or folder.
    pub(in super::super) fn parse(text: &Path) -> Self {
        let shown = text.to_string_lossy();
        if !text.exists()
            && let Some((name, path)) = shown.split_once('=')
            && !name.is_empty()
            && !name.contains(['/', ':'])
        {
            return Self { name: name.to_owned(), path: path.into() };
        }
        let whole = if text.is_dir() { text.canonicalize().ok() } else { None };
        let name = whole.as_deref().unwrap_or(text);
        let name = if text.is_dir() { name.file_name() } else { name.file_stem() };
        Self { name: name.map_or_else(|| "model".into(), |n| n.to_string_lossy().into_owned()), path: text.into() }
    }
}

/// Everything that a server is told.
#[derive(Clone)]
pub(in super::super) struct Settings {
    pub(in super::super) models: Vec<ModelSpec>,
    /// The address to listen on.
    pub(in super::super) host: String,
    /// 0: one that the system chooses.
    pub(in super::super) port: u16,
    /// One of these must be given; none: all are let in.
    pub(in super::super) api_keys: Vec<String>,
    /// Origins whose pages may ask; `*`: any.
    pub(in super::super) cors_origins: Vec<String>,
    /// Names, besides addresses and localhost, by which clients may call this host.
    pub(in super::super) host_names: Vec<String>,
    /// Requests that run at once, for each model.
    pub(in super::super) sequences: u32,
    /// Requests that wait, for each model.
    pub(in super::super) queue: usize,
    /// Rows of a step: prompts are read in pieces of at most so many tokens.
    pub(in super::super) chunk: u32,
    /// The longest sequence; `None`: the model's, up to 4096.
    pub(in super::super) context: Option<u32>,
    /// Element type of the KV cache.
    pub(in super::super) cache: CacheType,
    /// Passes that are switched off, by name.
    pub(in super::super) disabled_passes: Vec<String>,
    /// The most bytes of a request.
    pub(in super::super) max_body: usize,
    /// How long a request may take in all.
    pub(in super::super) request_time: Duration,
    /// How long a client may take to send a request's head, and its body.
    pub(in super::super) read_time: Duration,
    /// How long running answers may go on when the server is told to end.
    pub(in super::super) grace: Duration,
    /// Connections at once.
    pub(in super::super) connections: usize,
    pub(in super::super) device: DeviceChoice,
    pub(in super::super) gpu: GpuOptions,
    /// "error", "warn", "info", "debug" or "trace".
    pub(in super::super) log: String,
    pub(in super::super) open: OpenFiles,
}

impl Settings {
    /// # Errors
    /// Two models have one name; a number is out of range.
    pub(super) fn check(&self) -> Result<()> {
        for (i, model) in self.models.iter().enumerate() {
            if self.models[..i].iter().any(|other| other.name == model.name) {
                let what = format!("two models are named {:?}: give one of them a name with NAME=PATH", model.name);
                return Err(Fault::caller(what));
            }
        }
        if self.api_keys.iter().any(|key| key.trim().is_empty()) {
            return Err(Fault::caller("an API key is empty"));
        }
        let numbers = [
            ("sequences", u64::from(self.sequences), 1, 256),
            ("chunk", u64::from(self.chunk), 1, 4096),
            ("queue", self.queue as u64, 0, 100_000),
            ("max-body", self.max_body as u64, 1024, 1 << 30),
            ("connections", self.connections as u64, 1, 100_000),
        ];
        for (name, value, least, most) in numbers {
            if !(least..=most).contains(&value) {
                return Err(Fault::caller(format!("{name} {value}: {least} to {most} expected")));
            }
        }
        Ok(())
    }
    /// Whether only this machine can reach the server.
    pub(super) fn is_local(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_named_by_its_path_or_by_the_word_before_it() {
        for (text, name, path) in [
            ("models/tiny-q8_0.gguf", "tiny-q8_0", "models/tiny-q8_0.gguf"),
            ("small=models/tiny.gguf", "small", "models/tiny.gguf"),
            ("https://host.example/a=b/tiny.gguf", "tiny", "https://host.example/a=b/tiny.gguf"),
        ] {
            let spec = ModelSpec::parse(Path::new(text));
            assert_eq!((spec.name.as_str(), spec.path.as_path()), (name, Path::new(path)));
        }
    }
}

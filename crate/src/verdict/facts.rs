//! What the rules ask of a model.

use std::collections::HashSet;

use super::{Kind, kind};
use crate::{
    arch::{Key, Numbers},
    fault::Fault,
    formats,
    model::{FileRole, FormatId, Loader, MetaValue, ModelFile, Note, NoteCode, Place},
};

/// Findings on what a model is made of; those on the container stand before them.
const OF_MODELS: &[NoteCode] = &[
    NoteCode::Keys,
    NoteCode::MissingLayers,
    NoteCode::MissingTensors,
    NoteCode::MoreLayers,
    NoteCode::Shapes,
    NoteCode::TokenizerLists,
    NoteCode::Tokens,
    NoteCode::UnknownTensors,
    NoteCode::VocabularySize,
];
/// Names that a reason lists, at most.
const LISTED: usize = 3;

/// What Glassbox's own engine can do with a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ours {
    /// The architecture as the model names it.
    pub architecture: String,
    /// Number of layers.
    pub layers: u32,
    /// It gives logits; else hidden states.
    pub generates: bool,
}

/// A model, and what is known of it.
pub struct Facts<'a> {
    /// The model.
    pub model: &'a ModelFile,
    /// What it is for.
    pub kind: Kind,
    /// What Glassbox's engine says.
    pub ours: Result<Ours, Fault>,
    /// A tokenizer is in the file or beside it.
    pub tokenizer: bool,
    missing: Option<String>,
    notes: &'a [Note],
}

impl<'a> Facts<'a> {
    /// Gathers them; no byte is read. `notes` are the findings on the model.
    pub fn of(model: &'a ModelFile, notes: &'a [Note], ours: Result<Ours, Fault>, tokenizer: bool) -> Self {
        Self { model, kind: Kind::of(model), ours, tokenizer, missing: missing(model), notes }
    }
    /// What of the weights is not here: "model-00002-of-00002.safetensors is missing".
    pub fn missing(&self) -> Option<String> {
        self.missing.clone()
    }
    /// Why a program refuses the file, as a finding says it.
    pub(super) fn refused_by(&self, program: Loader) -> Option<String> {
        self.refused(program, |_| true)
    }
    /// Why a program refuses the file as a container, whatever it holds.
    pub(super) fn container_refused_by(&self, program: Loader) -> Option<String> {
        self.refused(program, |code| !OF_MODELS.contains(&code))
    }
    fn refused(&self, program: Loader, counts: impl Fn(NoteCode) -> bool) -> Option<String> {
        let mut found = self.notes.iter().filter(|n| n.refused_by == Some(program) && counts(n.code));
        let first = found.next()?;
        let more = match found.count() {
            0 => String::new(),
            n => format!(" (and {n} more reasons)"),
        };
        Some(format!("it would refuse the file: {}{more}", first.what))
    }
    /// A text of the metadata; empty where there is none.
    pub(super) fn text(&self, key: &str) -> &'a str {
        self.model.metadata.string(key).unwrap_or_default()
    }
    /// GGUF's architecture, where it is stated.
    pub(super) fn architecture(&self) -> Option<&'a str> {
        self.model.metadata.string("general.architecture")
    }
    /// A whole number below GGUF's architecture.
    pub(super) fn stated(&self, key: &str) -> Option<u64> {
        self.model.metadata.unsigned(&format!("{}.{key}", self.architecture()?))
    }
    /// Names of all tensors.
    pub(super) fn names(&self) -> HashSet<&'a str> {
        self.model.tensors.iter().map(|t| t.name.as_str()).collect()
    }
    /// True where a tensor's name starts so.
    pub(super) fn has_tensor(&self, start: &str) -> bool {
        self.model.tensors.iter().any(|t| t.name.starts_with(start))
    }
    /// True where a key starts so.
    pub(super) fn has_key(&self, start: &str) -> bool {
        self.model.metadata.iter().any(|(key, _)| key.starts_with(start))
    }
    /// True where `config.json` is among the files.
    pub(super) fn configured(&self) -> bool {
        configured(self.model)
    }
    /// True for weights in a folder as transformers saves them.
    pub(super) fn folder(&self) -> bool {
        match self.model.format {
            FormatId::Safetensors => true,
            FormatId::PyTorch => self.configured() || self.kind == Kind::Adapter,
            _ => false,
        }
    }
    /// `model_type` of config.json.
    pub(super) fn model_type(&self) -> &'a str {
        self.text("config.model_type")
    }
    /// The class that config.json names.
    pub(super) fn class(&self) -> &'a str {
        match self.model.metadata.array("config.architectures").and_then(|a| a.head.first()) {
            Some(MetaValue::String(class)) => class,
            _ => "",
        }
    }
    /// How the weights of a folder were quantized: `Some("")` where the method is not named.
    pub(super) fn quantized(&self) -> Option<&'a str> {
        let method = self.text("config.quantization_config.quant_method");
        (!method.is_empty() || self.has_key("config.quantization_config.")).then_some(method)
    }
    /// Quantized by MLX: groups and bits without a method.
    pub(super) fn mlx_quantized(&self) -> bool {
        self.has_key("config.quantization.") && self.quantized().is_none_or(str::is_empty)
    }
    /// True where a model takes token ids: text cannot be given without a tokenizer.
    pub fn takes_text(&self) -> bool {
        takes_text(self.model)
    }
}

/// A name from a file, short and plain enough for a sentence.
pub(super) fn shown(name: &str) -> String {
    const LONGEST: usize = 60;
    let plain = |c: char| if c.is_control() { '?' } else { c };
    let more = if name.chars().nth(LONGEST).is_some() { "…" } else { "" };
    name.chars().take(LONGEST).map(plain).collect::<String>() + more
}

/// True where a model takes token ids.
pub fn takes_text(model: &ModelFile) -> bool {
    match (&model.graph, model.format) {
        (Some(graph), FormatId::Onnx) => graph.inputs.iter().any(|v| {
            let whole = v.encoding.is_some_and(crate::tensor::Encoding::is_integer);
            // Ids are a row or several of them; a scalar is a setting.
            whole && (1..=2).contains(&v.dims.len()) && !is_setting(&v.name)
        }),
        (_, FormatId::Safetensors | FormatId::PyTorch) if configured(model) => {
            Numbers::of(model).is_some_and(|n| n.find(Key::VocabSize).is_some())
        }
        _ => true,
    }
}

/// Inputs of graphs that are whole numbers and no ids.
fn is_setting(name: &str) -> bool {
    let name = name.to_lowercase();
    ["shape", "size", "length", "sr", "axes", "axis", "scale", "mask", "timestep", "step"]
        .iter()
        .any(|w| name.split(['_', '.', '/']).any(|part| part == *w))
        || name.ends_with("shape")
}

/// True where keys that start with `config.` are those of a `config.json`.
pub(super) fn configured(model: &ModelFile) -> bool {
    model.files.iter().any(|f| f.role == FileRole::Configuration)
}

/// What of a model's weights is not here, in a sentence.
pub fn missing(model: &ModelFile) -> Option<String> {
    let several = |names: &[&str]| match names {
        [] => None,
        [one] => Some(format!("{one} is missing")),
        many if many.len() <= LISTED => Some(format!("{} files are missing: {}", many.len(), many.join(", "))),
        many => Some(format!("{} files are missing: {} ...", many.len(), many[..LISTED].join(", "))),
    };
    if kind::description(model) {
        let names: Vec<&str> = model.awaited.iter().map(|a| a.name.as_str()).collect();
        return several(&names).or(Some("the weights are not here".into()));
    }
    let mut files: Vec<&str> = model
        .tensors
        .iter()
        .filter_map(|t| if let Place::Missing { file, .. } = &t.place { Some(file.as_str()) } else { None })
        .collect();
    crate::order::sort(&mut files);
    files.dedup();
    let (short, away): (Vec<&str>, Vec<&str>) =
        files.into_iter().partition(|name| model.files.iter().any(|f| f.name == *name));
    if let Some(name) = short.first() {
        return Some(format!("{name} is incomplete: it ends before its tensors do"));
    }
    // Names as the model states them; those of splits follow from the one that is here.
    let asked = formats::missing_files(model);
    let names: Vec<&str> = if away.is_empty() { asked.iter().map(String::as_str).collect() } else { away };
    several(&names).or_else(|| {
        let cut = model.cuts.first().and_then(|cut| model.files.get(cut.file));
        cut.map(|file| format!("{} ends within its list of tensors", file.name))
    })
}

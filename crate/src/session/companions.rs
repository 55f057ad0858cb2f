//! What lies beside the one file that was given, as far as it is needed: by the names that the file states, and those that
//! Hugging Face fixes for the files beside the weights. Only names of one folder are asked for.
//!
//! At an address no folder can be listed and each question costs a request, so little is asked of the host that was named
//! ([`complete`]). On disk asking costs nothing ([`complete_from_folder`]).

use std::rc::Rc;

use super::Inspection;
use crate::{
    fault::Result,
    formats::{self, Parts},
    model::{FormatId, Place},
    source::{ByteSource, SourceSet},
};

/// What is wanted of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need<'a> {
    /// This file alone.
    Nothing,
    /// All headers, and the configuration.
    Description,
    /// One tensor's values.
    Tensor(&'a str),
    /// How text is split.
    Tokenizer,
    /// How conversations are written.
    Chat,
    /// All there is to run it.
    Run,
}

/// Opens files by their names relative to the one that was given; none where there is no such file.
pub type Beside<'a> = dyn FnMut(&[String]) -> Vec<Option<Rc<dyn ByteSource>>> + 'a;

/// Adds to one opened file what is needed of those beside it.
///
/// # Errors
/// The file cannot be read. That others are not there is none: what lacks is told when the model is opened.
pub async fn complete(files: &mut SourceSet, need: Need<'_>, beside: &mut Beside<'_>) -> Result<()> {
    let Some(first) = files.files().first().cloned() else { return Ok(()) };
    if need == Need::Nothing {
        return Ok(());
    }
    let parts = formats::parts(&first).await?;
    let mut fetch = |names: &[String]| {
        if !names.is_empty() {
            beside(names).into_iter().flatten().for_each(|source| files.push(source));
        }
        files.clone()
    };
    fetch(&of_weights(&parts, need));
    let folder = matches!(parts.format, Some(FormatId::Safetensors | FormatId::PyTorch));
    let all = fetch(&owned(side_files(need, folder, first.name())));
    if !folder || !matches!(need, Need::Tokenizer | Need::Chat | Need::Run) {
        return Ok(());
    }
    if !all.files().iter().any(|file| file.name() == "tokenizer.json") {
        fetch(&owned(&["tokenizer.model", "vocab.json", "merges.txt", "vocab.txt", "tekken.json"]));
    }
    // A folder's tokenizer says all by itself: the weights' headers need not be read for it.
    if need == Need::Tokenizer && files.files().len() > 1 {
        *files = files.without(first.name());
    }
    Ok(())
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Files beside the weights of a Hugging Face folder, or beside a tokenizer's file, by the names that are fixed.
fn side_files(need: Need<'_>, folder: bool, first: &str) -> &'static [&'static str] {
    match need {
        Need::Description if folder => &["config.json"],
        Need::Tokenizer if folder => &["tokenizer.json", "tokenizer_config.json"],
        Need::Chat if folder => &["tokenizer.json", "tokenizer_config.json", "chat_template.jinja"],
        Need::Run if folder => &["config.json", "tokenizer.json", "tokenizer_config.json"],
        Need::Tokenizer if first == "vocab.json" => &["merges.txt", "tokenizer_config.json"],
        Need::Chat if first == "tokenizer_config.json" || first.ends_with(".jinja") => &["tokenizer.json"],
        _ => &[],
    }
}

/// The files of the weights that are needed.
fn of_weights(parts: &Parts, need: Need<'_>) -> Vec<String> {
    match need {
        Need::Description | Need::Run => parts.others.clone(),
        Need::Tensor(name) => match parts.tensors.iter().find(|(tensor, _)| tensor == name) {
            Some((_, file)) => vec![file.clone()],
            // An index knows all names; a shard without one knows none of its neighbours'.
            None if parts.tensors.is_empty() => parts.others.clone(),
            None => Vec::new(),
        },
        // The first split of a GGUF holds the metadata of all.
        Need::Tokenizer | Need::Chat if parts.format == Some(FormatId::Gguf) => {
            parts.others.iter().filter(|name| name.contains("-00001-of-")).cloned().collect()
        }
        Need::Tokenizer | Need::Chat | Need::Nothing => Vec::new(),
    }
}

/// Files beside the weights of a Hugging Face folder that say what the model is.
const DESCRIBING: &[&str] = &[
    "config.json",
    "generation_config.json",
    "modules.json",
    "config_sentence_transformers.json",
    "sentence_bert_config.json",
    "1_Pooling/config.json",
    "preprocessor_config.json",
    "processor_config.json",
];
/// Dense modules that embedding models have behind their pooling.
const DENSE: &[&str] =
    &["2_Dense/config.json", "2_Dense/model.safetensors", "3_Dense/config.json", "3_Dense/model.safetensors"];
/// Files that a tokenizer or a chat template lies in.
const TOKENIZING: &[&str] = &[
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "tokenizer.model",
    "spiece.model",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "tekken.json",
    "chat_template.jinja",
    "chat_template.json",
];
/// Weights that a configuration's folder may have.
const WEIGHTS: &[&str] = &[
    "model.safetensors.index.json",
    "model.safetensors",
    "pytorch_model.bin.index.json",
    "pytorch_model.bin",
    "adapter_model.safetensors",
];

/// Adds to one file on disk what its folder holds of the same model: shards, their index, configuration and tokenizer, as
/// far as they are needed.
///
/// # Errors
/// The file cannot be read. That others are not there is none.
pub async fn complete_from_folder(files: &mut SourceSet, need: Need<'_>, beside: &mut Beside<'_>) -> Result<()> {
    let Some(first) = files.files().first().cloned() else { return Ok(()) };
    if need == Need::Nothing {
        return Ok(());
    }
    let parts = formats::parts(&first).await?;
    let mut add = |names: &[String]| {
        let new: Vec<String> =
            names.iter().filter(|n| !files.files().iter().any(|f| f.name() == **n)).cloned().collect();
        let found = if new.is_empty() { Vec::new() } else { beside(&new) };
        found.into_iter().flatten().for_each(|source| files.push(source));
        files.clone()
    };
    let text = matches!(need, Need::Tokenizer | Need::Chat);
    let name = first.name();
    match parts.format {
        Some(FormatId::Safetensors | FormatId::PyTorch) => {
            if !text {
                add(&parts.others);
                add(&parts.index.clone().into_iter().collect::<Vec<_>>());
                let all = add(&owned(DESCRIBING));
                if need == Need::Run && all.files().iter().any(|f| f.name() == "modules.json") {
                    add(&owned(DENSE));
                }
                if name.starts_with("adapter_model.") {
                    add(&owned(&["adapter_config.json"]));
                }
            }
            let all = add(&owned(TOKENIZING));
            // A folder's tokenizer says all by itself: the weights' headers need not be read for it.
            if need == Need::Tokenizer && all.files().len() > 1 {
                *files = files.without(name);
            }
        }
        Some(FormatId::Onnx) => {
            add(&owned(&["config.json"]));
            add(&owned(TOKENIZING));
        }
        // A GGUF holds all of these itself; what else lies in its folder may be another model's.
        Some(FormatId::Gguf) => {
            add(&of_weights(&parts, need));
        }
        Some(FormatId::TensorFlow) if name == "saved_model.pb" => {
            add(&owned(&["variables/variables.index"]));
        }
        Some(FormatId::Tokenizer) | None => of_no_weights(name, text, &mut add).await?,
        _ => {
            add(&parts.others);
        }
    }
    Ok(())
}

/// What belongs to a file without weights: a configuration's folder, or the other files of a tokenizer.
async fn of_no_weights(name: &str, text: bool, add: &mut dyn FnMut(&[String]) -> SourceSet) -> Result<()> {
    if matches!(name, "config.json" | "adapter_config.json") && !text {
        let all = add(&owned(WEIGHTS));
        for index in all.files().iter().filter(|f| f.name().ends_with(".index.json")) {
            add(&formats::parts(index).await?.others);
        }
        add(&owned(DESCRIBING));
        add(&owned(TOKENIZING));
        return Ok(());
    }
    // "gpt2.vocab.json" has "gpt2.merges.txt" beside it.
    let of = |known: &str| name.strip_suffix(known).filter(|p| p.is_empty() || p.ends_with('.')).map(str::to_owned);
    for (known, others) in [
        ("vocab.json", &["merges.txt", "tokenizer_config.json"][..]),
        ("merges.txt", &["vocab.json", "tokenizer_config.json"]),
        ("vocab.txt", &["tokenizer_config.json"]),
        ("tokenizer.model", &["tokenizer_config.json"]),
        ("spiece.model", &["tokenizer_config.json"]),
        ("tokenizer.json", &["tokenizer_config.json"]),
        ("tokenizer_config.json", &["tokenizer.json", "tokenizer.model"]),
        ("chat_template.jinja", &["tokenizer.json", "tokenizer_config.json"]),
    ] {
        if let Some(prefix) = of(known) {
            add(&others.iter().map(|other| format!("{prefix}{other}")).collect::<Vec<_>>());
        }
    }
    Ok(())
}

/// Opens a model, and again with the files that its headers name and that `beside` has: external data, further shards.
///
/// # Errors
/// As [`Inspection::open`].
pub async fn open_with_missing(mut files: SourceSet, beside: &mut Beside<'_>) -> Result<Inspection> {
    let inspection = Inspection::open(files.clone()).await?;
    let given = |name: &String| files.files().iter().any(|f| f.name() == name);
    let missing: Vec<String> = inspection.missing_files().into_iter().filter(|name| !given(name)).collect();
    if missing.is_empty() {
        return Ok(inspection);
    }
    let found: Vec<_> = beside(&missing).into_iter().flatten().collect();
    if found.is_empty() {
        return Ok(inspection);
    }
    found.into_iter().for_each(|source| files.push(source));
    Inspection::open(files).await
}

/// Opens a model with the file that holds one tensor's values, where the model names it: external data of ONNX, the
/// data of a TensorFlow checkpoint.
///
/// # Errors
/// As [`Inspection::open`].
pub async fn open_with_tensor(mut files: SourceSet, name: &str, beside: &mut Beside<'_>) -> Result<Inspection> {
    let inspection = Inspection::open(files.clone()).await?;
    let missing = match inspection.model().tensor(name).map(|tensor| &tensor.place) {
        Some(Place::Missing { file, .. }) if !inspection.model().files.iter().any(|f| f.name == *file) => file.clone(),
        _ => return Ok(inspection),
    };
    let found: Vec<_> = beside(&[missing]).into_iter().flatten().collect();
    if found.is_empty() {
        return Ok(inspection);
    }
    found.into_iter().for_each(|source| files.push(source));
    Inspection::open(files).await
}

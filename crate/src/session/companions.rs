//! What lies beside a file whose address was given, as far as it is needed: no folder tells, so names do.
//!
//! Only names of one folder are asked for, of the host that was named: those of the model's own parts, and those that
//! Hugging Face fixes for the files beside the weights.

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

//! What lies beside the weights of a folder: the role of each file by its name, and what its JSON says.
//!
//! Facts are taken in as metadata under a prefix of their own, so that every face shows them and the report can hold
//! them against the weights.

use super::{codec::json::Json, merge};
use crate::{
    fault::Result,
    model::{FileRole, Loader, MetaValue, ModelFile, Note, NoteCode, Severity, Why},
    source::SourceFile,
};

/// The longest side file (configuration, index) that is read.
pub(super) const SIDE_MOST: u64 = 64 << 20;
/// Modules of a pipeline whose configurations are read, at most.
const MODULES_MOST: usize = 32;

/// Files whose facts are taken in, with the prefix of their keys.
const READ: &[(&str, &str)] = &[
    ("adapter_config.json", "adapter_config"),
    ("config.json", "config"),
    ("config_sentence_transformers.json", "sentence_transformers"),
    ("generation_config.json", "generation_config"),
    ("model_index.json", "model_index"),
    ("modules.json", "modules"),
    ("preprocessor_config.json", "preprocessor"),
    ("processor_config.json", "processor"),
    ("sentence_bert_config.json", "sentence_bert"),
    ("tokenizer_config.json", "tokenizer_config"),
    ("video_preprocessor_config.json", "video_preprocessor"),
];

/// What is taken of a tokenizer's settings: the rest is its own reader's, and long.
const TOKENIZER_KEYS: &[&str] = &["tokenizer_class", "model_max_length", "bos_token", "eos_token", "auto_map"];

pub(super) fn base(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

pub(super) fn folder_of(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// What files beside the weights are, by the names that Hugging Face fixes.
pub(super) fn role(base: &str) -> Option<FileRole> {
    Some(match base {
        "config.json" => FileRole::Configuration,
        "generation_config.json" => FileRole::GenerationSettings,
        "adapter_config.json" => FileRole::AdapterConfiguration,
        "tokenizer.json" => FileRole::Tokenizer,
        "tokenizer_config.json" => FileRole::TokenizerSettings,
        "special_tokens_map.json" | "added_tokens.json" => FileRole::SpecialTokens,
        "vocab.json" | "vocab.txt" | "merges.txt" | "tokenizer.model" | "spiece.model" | "tekken.json" => {
            FileRole::Vocabulary
        }
        "chat_template.jinja" | "chat_template.json" => FileRole::ChatTemplate,
        "modules.json" | "model_index.json" | "config_sentence_transformers.json" | "sentence_bert_config.json" => {
            FileRole::Pipeline
        }
        "preprocessor_config.json" | "processor_config.json" | "video_preprocessor_config.json" => {
            FileRole::Preprocessor
        }
        "README.md" => FileRole::ModelCard,
        _ if base.ends_with(".tiktoken") => FileRole::Vocabulary,
        _ if base.ends_with(".jinja") => FileRole::ChatTemplate,
        _ => return None,
    })
}

/// Takes in what the JSON files in the model's folder `home` say; each comes with its number in `ModelFile::files`.
pub(super) async fn read_all(model: &mut ModelFile, home: &str, files: &[(usize, &SourceFile)]) -> Result<()> {
    for (number, file) in files {
        let (name, folder) = (base(file.name()), folder_of(file.name()));
        // A pipeline of several models has its list beside their folders.
        let near = folder == home || name == "model_index.json" && folder == folder_of(home);
        if let Some((_, prefix)) = READ.iter().find(|(known, _)| *known == name && near) {
            read(model, *number, file, prefix).await?;
        }
    }
    let mut paths: Vec<String> = Vec::new();
    for i in 0..MODULES_MOST {
        paths.extend(model.metadata.string(&format!("modules.{i}.path")).filter(|p| !p.is_empty()).map(str::to_owned));
    }
    for path in paths {
        let name = if home.is_empty() { format!("{path}/config.json") } else { format!("{home}/{path}/config.json") };
        if let Some((number, file)) = files.iter().find(|(_, file)| file.name() == name) {
            read(model, *number, file, &format!("module.{path}")).await?;
        }
    }
    Ok(())
}

/// True for a file in a folder that the model's pipeline names as a module's: weights there are a part of this model.
pub(super) fn is_module(model: &ModelFile, home: &str, name: &str) -> bool {
    let within = if home.is_empty() { Some(name) } else { name.strip_prefix(home).and_then(|n| n.strip_prefix('/')) };
    let Some(folder) = within.map(folder_of).filter(|folder| !folder.is_empty()) else { return false };
    (0..MODULES_MOST).any(|i| model.metadata.string(&format!("modules.{i}.path")) == Some(folder))
}

/// Why it matters that a file is not read.
fn lost(name: &str) -> Why<'static> {
    if name == "config.json" {
        Loader::Transformers
            .refuses("without it nothing says what the weights compute; transformers refuses the folder")
    } else {
        "what it says of the model is not shown, nor compared with the weights".into()
    }
}

async fn read(model: &mut ModelFile, number: usize, file: &SourceFile, prefix: &str) -> Result<()> {
    let name = base(file.name());
    if file.len() > SIDE_MOST {
        let what = format!("{name} of {} bytes is not read; the limit is {SIDE_MOST}", file.len());
        let note = Note::new(Severity::Warning, what).at(number, 0).why(lost(name));
        model.notes.push(note.code(NoteCode::SideFile).advice("such a file has a few kilobytes: get it again"));
        return Ok(());
    }
    let text = file.read(0..file.len()).await?;
    let json = match Json::parse(&text) {
        Ok(json) => json,
        Err(fault) => {
            let what = format!("{name} cannot be read: {}", fault.what);
            let note = Note::new(Severity::Error, what).at(number, fault.at.unwrap_or(0)).why(lost(name));
            model.notes.push(note.code(NoteCode::SideFile).advice("get the file again, or correct it there"));
            return Ok(());
        }
    };
    if json.get("auto_map").is_some() || json.get("auto_mapping").is_some_and(|m| !matches!(m, Json::Null)) {
        let what = format!("{name} names its own Python code (auto_map)");
        let note = Note::new(Severity::Warning, what).at(number, 0);
        let note = note.why("transformers would run it when told to trust it; Glassbox runs nothing from a folder");
        model.notes.push(note.code(NoteCode::OwnCode).advice("read that code before you set trust_remote_code"));
    }
    if prefix != "tokenizer_config" {
        merge::flatten_at(prefix, &json, &mut merge::Text::new(number, &text), None, &mut model.metadata);
        return Ok(());
    }
    for key in TOKENIZER_KEYS {
        if let Some(value) = json.get(key) {
            merge::flatten(&format!("{prefix}.{key}"), value, &mut model.metadata);
        }
    }
    let template = match json.get("chat_template") {
        Some(Json::String(text)) => Some(format!("a template of {} characters", text.chars().count())),
        Some(Json::Array(list)) => Some(format!("{} templates", list.len())),
        _ => None,
    };
    if let Some(told) = template {
        model.metadata.push(format!("{prefix}.chat_template"), MetaValue::String(told));
    }
    Ok(())
}

//! What a model is made of: each part of its folder or file, whether it is there, and whether it agrees with the rest.

mod adapter;
mod folder;
mod gguf;
mod pipeline;

use super::HierarchyReport;
use crate::model::{FileRole, FormatId, MetaValue, ModelFile, NoteCode, Place};

/// Missing files, modules and components that are listed one by one.
const LISTED: usize = 40;

/// A model while its parts are told.
struct Parts<'a> {
    model: &'a ModelFile,
    /// The folder of the weights.
    home: &'a str,
    list: Vec<HierarchyReport>,
}

/// The parts of a model, in the order of groups; empty where there is nothing but the one file.
pub(super) fn hierarchy(model: &ModelFile) -> Vec<HierarchyReport> {
    let home = model.files.first().map_or("", |f| folder_of(&f.name));
    let mut parts = Parts { model, home, list: Vec::new() };
    parts.weights();
    match model.format {
        FormatId::Gguf => parts.gguf(),
        FormatId::Safetensors | FormatId::PyTorch => parts.folder(),
        _ => {}
    }
    parts.pipeline();
    parts.preprocessing();
    parts.templates();
    parts.conversions();
    parts.list
}

fn base(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

fn folder_of(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn within(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

/// The part of a sentence that names a few of many.
fn few(names: &[String]) -> String {
    let more = if names.len() > 3 { format!(" and {} more", names.len() - 3) } else { String::new() };
    format!("{}{more}", names.iter().take(3).cloned().collect::<Vec<_>>().join(", "))
}

impl<'a> Parts<'a> {
    fn add(
        &mut self,
        group: &'static str,
        role: &str,
        file: Option<&str>,
        state: &'static str,
        detail: impl Into<String>,
    ) {
        let (role, file) = (role.to_owned(), file.map(str::to_owned));
        self.list.push(HierarchyReport { group, role, file, state, detail: detail.into() });
    }
    /// A file of the model's folder.
    fn file(&self, name: &str) -> Option<&'a str> {
        let full = within(self.home, name);
        self.model.files.iter().map(|f| f.name.as_str()).find(|n| *n == full)
    }
    fn text(&self, key: &str) -> Option<&'a str> {
        self.model.metadata.string(key).filter(|text| !text.is_empty())
    }
    fn number(&self, key: &str) -> Option<u64> {
        self.model.metadata.unsigned(key)
    }
    fn any(&self, prefix: &str) -> bool {
        self.model.metadata.iter().any(|(key, _)| key.starts_with(prefix))
    }
    /// The first finding with this code, in its words.
    fn note(&self, code: NoteCode) -> Option<&'a str> {
        self.model.notes.iter().find(|n| n.code == code).map(|n| n.what.as_str())
    }
    /// First items of a list of words.
    fn words(&self, key: &str) -> Vec<String> {
        let items = self.model.metadata.array(key).map_or(&[][..], |a| a.head.as_slice());
        items.iter().filter_map(|v| if let MetaValue::String(s) = v { Some(s.clone()) } else { None }).collect()
    }
    /// A file with a plain detail where it is here; nothing where it is not.
    fn optional(&mut self, group: &'static str, name: &str, detail: impl Into<String>) {
        if let Some(file) = self.file(name) {
            self.add(group, name, Some(file), "present", detail);
        }
    }

    fn weights(&mut self) {
        let model = self.model;
        let files: Vec<&str> = model
            .files
            .iter()
            .filter(|f| f.role.is_weights() || f.role == FileRole::ExternalData)
            .map(|f| f.name.as_str())
            .collect();
        let mut lost: Vec<&str> = Vec::new();
        let mut cut: Vec<&str> = Vec::new();
        for tensor in &model.tensors {
            if let Place::Missing { file, .. } = &tensor.place {
                let list = if model.files.iter().any(|f| f.name == *file) { &mut cut } else { &mut lost };
                if list.last() != Some(&file.as_str()) && list.len() < 10_000 {
                    list.push(file);
                }
            }
        }
        for list in [&mut lost, &mut cut] {
            crate::order::sort(list);
            list.dedup();
        }
        let role = if files.len() > 1 { "Shard" } else { "Weights" };
        for file in files.iter().take(LISTED) {
            let here = model.tensors.iter().filter(|t| match &t.place {
                Place::Here { file: n, .. } | Place::Strided { file: n, .. } => {
                    model.files.get(*n).is_some_and(|f| f.name == **file)
                }
                _ => false,
            });
            if cut.contains(file) {
                let detail = "the file ends before the tensors that its own header names";
                self.add("weights", role, Some(file), "contradicted", detail);
            } else {
                self.add("weights", role, Some(file), "present", format!("{} tensors", here.count()));
            }
        }
        if files.len() > LISTED {
            self.add("weights", "Shard", None, "present", format!("and {} more files", files.len() - LISTED));
        }
        let awaited = |file: &str| model.awaited.iter().find(|a| a.name == within(self.home, file));
        for file in lost.iter().take(LISTED) {
            let n = model
                .tensors
                .iter()
                .filter(|t| matches!(&t.place, Place::Missing { file: f, .. } if f == file))
                .count();
            let size = awaited(file).and_then(|a| a.bytes).map(|n| format!("; it has {n} bytes")).unwrap_or_default();
            let detail = format!("{file}: {n} tensors lie in it{size}; give it together with the others");
            self.add("weights", "Shard", None, "missing", detail);
        }
        if model.tensors.is_empty() {
            for file in model.awaited.iter().take(LISTED) {
                let size = file.bytes.map(|n| format!(", which has {n} bytes")).unwrap_or_default();
                let instead = file.instead.as_deref().map(|i| format!("; {i} lies in its place")).unwrap_or_default();
                self.add("weights", "Weights", None, "missing", format!("{}{size}{instead}", file.name));
            }
            if model.awaited.is_empty() && crate::verdict::description(model) {
                self.add("weights", "Weights", None, "missing", "no file of weights is here");
            }
        }
        if let Some(index) = model.files.iter().find(|f| f.role == FileRole::Index && folder_of(&f.name) == self.home) {
            match self.note(NoteCode::IndexDisagrees) {
                Some(what) => self.add("weights", "Index", Some(&index.name), "contradicted", what),
                None => {
                    self.add("weights", "Index", Some(&index.name), "present", "it says which shard holds a tensor")
                }
            }
        }
    }

    fn templates(&mut self) {
        let group = "chat template";
        let inside = self.text("tokenizer_config.chat_template");
        let mut own = false;
        for file in self.model.files.iter().filter(|f| f.role == FileRole::ChatTemplate).take(LISTED) {
            let named = folder_of(&file.name).ends_with("additional_chat_templates");
            let detail = match (named, inside) {
                (true, _) => "one of several templates, chosen by name",
                (false, Some(_)) => "it wins over the template in tokenizer_config.json",
                (false, None) => "how a conversation is written for the model",
            };
            own |= !named;
            self.add(group, base(&file.name), Some(&file.name), "present", detail);
        }
        if let (false, Some(told)) = (own, inside) {
            let told = format!("{told}, in tokenizer_config.json");
            self.add(group, "Chat template", self.file("tokenizer_config.json"), "present", told);
        }
    }

    fn preprocessing(&mut self) {
        let group = "preprocessing";
        let names = ["preprocessor_config.json", "processor_config.json", "video_preprocessor_config.json"];
        let mut any = false;
        for name in names {
            any |= self.file(name).is_some();
            let prefix = name.split("_config").next().unwrap_or(name);
            let class = ["image_processor_type", "feature_extractor_type", "processor_class", "video_processor_type"]
                .iter()
                .find_map(|k| self.text(&format!("{prefix}.{k}")));
            self.optional(group, name, class.unwrap_or("how pictures or sounds are prepared"));
        }
        let needs = self.any("config.vision_config.") || self.any("config.audio_config.");
        if needs && !any && self.file("config.json").is_some() {
            let detail = "config.json describes a part for pictures or sounds, nothing says how they are prepared";
            self.add(group, "preprocessor_config.json", None, "missing", detail);
        }
    }

    fn conversions(&mut self) {
        for file in self.model.files.iter().filter(|f| matches!(f.role, FileRole::Another(_))).take(LISTED) {
            let detail = format!("{}: open it on its own", file.role);
            self.add("conversions", base(&file.name), Some(&file.name), "present", detail);
        }
    }
}

//! Files for llama.cpp: models, and adapters, projectors and importance matrices that belong to one.

use super::{Parts, base, few};
use crate::model::{Companion, FileRole, FormatId};

impl Parts<'_> {
    /// One file for llama.cpp, and what belongs to it.
    pub(super) fn gguf(&mut self) {
        let model = self.model;
        let name = model.files.first().map(|f| f.name.as_str());
        let kind = self.text("general.type");
        let clip = self.text("general.architecture") == Some("clip");
        let beside = |role: FileRole| model.files.iter().find(|f| f.role == role).map(|f| f.name.clone());
        if kind == Some("imatrix") {
            let sets = self.words("imatrix.datasets");
            let told = if sets.is_empty() { "a text that it does not name".to_owned() } else { few(&sets) };
            return self.add("configuration", "Importance matrix", name, "present", format!("measured over {told}"));
        }
        if kind == Some("adapter") {
            let alpha = model.metadata.number("adapter.lora.alpha").map_or(String::new(), |a| format!(", alpha {a}"));
            let rank = model.tensors.iter().find(|t| t.name.ends_with(".lora_a")).and_then(|t| t.shape.0.first());
            let rank = rank.map_or(String::new(), |r| format!(", rank {r}"));
            let kind = self.text("adapter.type").unwrap_or("lora");
            self.add("adapter", "Adapter", name, "present", format!("{kind}{rank}{alpha}"));
            let of = self.text("general.base_model.0.name").or_else(|| self.text("general.architecture"));
            let of = of.unwrap_or("a model that it does not name");
            let detail = format!("{of}: llama.cpp takes both, the model by -m and the adapter by --lora");
            return self.add("adapter", "Base model", None, "missing", detail);
        }
        if kind == Some("mmproj") || clip {
            let projector = self.text("clip.projector_type").or_else(|| self.text("clip.vision.projector_type"));
            let told = projector.map_or("pictures or sounds".to_owned(), |p| format!("projector {p}"));
            self.add("preprocessing", "Projector", name, "present", told);
            return match beside(FileRole::Another(FormatId::Gguf)) {
                Some(file) => self.add(
                    "weights",
                    "Language model",
                    Some(&file),
                    "present",
                    "open it on its own to see its tensors",
                ),
                None => {
                    let detail = "the projector turns pictures or sounds into vectors for a language model, which is a file of its own";
                    self.add("weights", "Language model", None, "missing", detail);
                }
            };
        }
        if self.text("general.architecture").is_some() {
            self.add("configuration", "Configuration", name, "present", "in the file's own metadata");
        } else {
            self.add("configuration", "Configuration", None, "missing", "general.architecture is not set");
        }
        match (self.text("tokenizer.ggml.model"), model.metadata.array("tokenizer.ggml.tokens")) {
            (Some(kind), Some(tokens)) => {
                self.add(
                    "tokenizer",
                    "Tokenizer",
                    name,
                    "present",
                    format!("{kind}, {} tokens, in the file's own metadata", tokens.len),
                );
            }
            _ => {
                self.add("tokenizer", "Tokenizer", None, "missing", "no tokenizer.ggml.* keys: text cannot be encoded")
            }
        }
        if self.text("tokenizer.chat_template").is_some() {
            self.add(
                "chat template",
                "Chat template",
                name,
                "present",
                "tokenizer.chat_template, in the file's own metadata",
            );
        }
        for (what, group, told) in [
            (Companion::Projector, "preprocessing", "the part for pictures or sounds; llama.cpp takes it by --mmproj"),
            (Companion::Adapter, "adapter", "llama.cpp takes it by --lora"),
            (
                Companion::ImportanceMatrix,
                "conversions",
                "it guided or would guide the quantization; nothing needs it to run",
            ),
        ] {
            if let Some(file) = beside(FileRole::Beside(what)) {
                self.add(group, base(&file), Some(&file), "present", told);
            }
        }
    }
}

//! Models of several parts: sentence-transformers' modules, diffusers' components.

use super::{LISTED, Parts, base, few, folder_of, within};
use crate::model::MetaValue;

impl Parts<'_> {
    /// sentence-transformers: modules one after the other; diffusers: components beside each other.
    pub(super) fn pipeline(&mut self) {
        let group = "pipeline";
        let list = self.file("modules.json");
        if list.is_none() && self.file("1_Pooling/config.json").is_some() {
            let detail =
                "without it the pooling layer is not used: sentence-transformers would take the mean of all tokens";
            self.add(group, "modules.json", None, "missing", detail);
        }
        if let Some(file) = list {
            self.add(
                group,
                "modules.json",
                Some(file),
                "present",
                "the modules that turn text into a vector, in order",
            );
        }
        for i in 0..LISTED {
            let Some(kind) = self.text(&format!("modules.{i}.type")) else { break };
            let path = self.model.metadata.string(&format!("modules.{i}.path")).unwrap_or_default();
            self.module(kind.rsplit('.').next().unwrap_or(kind), path);
        }
        let version = self.text("sentence_transformers.__version__.sentence_transformers");
        let told =
            version.map_or("prompts and similarity".to_owned(), |v| format!("written by sentence-transformers {v}"));
        self.optional(group, "config_sentence_transformers.json", told);
        let most = self.number("sentence_bert.max_seq_length");
        let told = most.map_or("settings of the text encoder".to_owned(), |n| format!("at most {n} tokens of a text"));
        self.optional(group, "sentence_bert_config.json", told);
        self.components();
    }
    fn module(&mut self, kind: &str, path: &str) {
        let group = "pipeline";
        if path.is_empty() {
            let state = if self.file("config.json").is_some() { "present" } else { "missing" };
            return self.add(group, kind, self.file("config.json"), state, "the text encoder, in the folder itself");
        }
        let name = format!("{path}/config.json");
        let key = |key: &str| format!("module.{path}.{key}");
        match (kind, self.file(&name)) {
            ("Normalize", file) => self.add(group, kind, file, "present", "scales a vector to length 1; needs no file"),
            (_, None) => {
                self.add(group, kind, None, "missing", format!("modules.json names {path}, {name} is not there"));
            }
            ("Pooling", Some(file)) => {
                let modes = [
                    "cls_token",
                    "mean_tokens",
                    "max_tokens",
                    "mean_sqrt_len_tokens",
                    "weightedmean_tokens",
                    "lasttoken",
                ];
                let on = |mode: &&&str| {
                    matches!(
                        self.model.metadata.get(&key(&format!("pooling_mode_{mode}"))),
                        Some(MetaValue::Bool(true))
                    )
                };
                let modes: Vec<String> = modes.iter().filter(on).map(|m| m.replace('_', " ")).collect();
                let (width, stated) =
                    (self.number(&key("word_embedding_dimension")), self.number("config.hidden_size"));
                match (width, stated) {
                    (Some(width), Some(stated)) if width != stated => {
                        let what =
                            format!("it pools vectors of {width} values, config.json states a hidden size of {stated}");
                        self.add(group, kind, Some(file), "contradicted", what);
                    }
                    _ => self.add(group, kind, Some(file), "present", format!("by {}", few(&modes))),
                }
            }
            (_, Some(file)) => {
                let weights =
                    ["model.safetensors", "pytorch_model.bin"].iter().find_map(|w| self.file(&format!("{path}/{w}")));
                if kind == "Dense" && weights.is_none() {
                    let what = format!("{path} holds its configuration, its weights are not there");
                    self.add(group, kind, None, "missing", what);
                } else {
                    self.add(group, kind, Some(file), "present", format!("in {path}"));
                }
            }
        }
    }
    /// `model_index.json { name: [library, class] }`: each in a folder of its name.
    fn components(&mut self) {
        let model = self.model;
        let Some(index) = model.files.iter().map(|f| f.name.as_str()).find(|n| base(n) == "model_index.json") else {
            return;
        };
        let class = self.text("model_index._class_name").unwrap_or("several models that work together");
        self.add("pipeline", "model_index.json", Some(index), "present", class);
        let root = folder_of(index);
        for (key, value) in model.metadata.iter().take(10_000) {
            let (Some(name), MetaValue::Array(pair)) = (key.strip_prefix("model_index."), value) else { continue };
            let [MetaValue::String(_), MetaValue::String(class)] = pair.head.as_slice() else { continue };
            let folder = within(root, name) + "/";
            match model.files.iter().find(|f| f.name.starts_with(&folder)) {
                Some(file) => self.add("pipeline", name, Some(&file.name), "present", class.clone()),
                None => self.add("pipeline", name, None, "missing", format!("{class}: the folder {name} is not there")),
            }
        }
    }
}

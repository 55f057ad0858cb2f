//! A Hugging Face folder: its configuration, held against its weights, and its tokenizer.

use super::{Parts, base};
use crate::{
    arch::{self, Form, Key, Numbers, Role},
    model::{FormatId, MetaValue, NoteCode},
};

impl Parts<'_> {
    /// A Hugging Face folder, or weights that came from one.
    pub(super) fn folder(&mut self) {
        let adapter =
            self.any("adapter_config.") || self.model.files.iter().any(|f| base(&f.name).starts_with("adapter_model."));
        if adapter && base(self.model.files.first().map_or("", |f| &f.name)).starts_with("adapter_model.") {
            self.adapter();
            return;
        }
        self.config();
        let optional = [("generation_config.json", "how text is made where a program does not say otherwise")];
        for (name, detail) in optional {
            match self.ends_of_text() {
                Some(what) => {
                    if let Some(file) = self.file(name) {
                        self.add("configuration", name, Some(file), "contradicted", what);
                    }
                }
                None => self.optional("configuration", name, detail),
            }
        }
        self.tokenizer();
        if adapter {
            self.adapter();
        }
    }
    fn config(&mut self) {
        let name = "config.json";
        let Some(file) = self.file(name) else {
            if self.model.format == FormatId::Safetensors {
                self.add("configuration", name, None, "missing", "without it the weights have no architecture");
            }
            return;
        };
        let architecture = self.words("config.architectures");
        let told = architecture.first().cloned().or_else(|| self.text("config.model_type").map(str::to_owned));
        let against = self.config_against_weights(architecture.first().map_or("", String::as_str));
        if against.is_empty() {
            self.add(
                "configuration",
                name,
                Some(file),
                "present",
                told.unwrap_or_else(|| "it names no architecture".into()),
            );
        } else {
            self.add("configuration", name, Some(file), "contradicted", against.join("; "));
        }
    }
    /// Where the configuration and the names and shapes of the tensors disagree.
    fn config_against_weights(&self, architecture: &str) -> Vec<String> {
        let tensors = &self.model.tensors;
        // Tensors of shards that are missing are not known by shape, or not at all.
        let whole = self.note(NoteCode::MissingPart).is_none() && self.note(NoteCode::UnreadablePart).is_none();
        let mut against = Vec::new();
        if tensors.is_empty() || !whole {
            return against;
        }
        let Some(numbers) = Numbers::of(self.model) else { return against };
        let layers = tensors.iter().filter_map(|t| layer_of(&t.name)).max().map(|n| n + 1);
        if let (Some(found), Some(stated)) = (layers, numbers.stated(Key::Layers))
            && found != stated
            && found != stated.saturating_add(self.number("config.num_nextn_predict_layers").unwrap_or(0))
        {
            against.push(format!("it states {stated} layers, the weights have {found}"));
        }
        let table = Role::TokenEmbedding.row().folder;
        let embedding = tensors.iter().find(|t| {
            let name = arch::canonical(Form::Folder, &t.name);
            name.strip_suffix(".weight").is_some_and(|stem| table.contains(&stem))
        });
        if let Some(embedding) = embedding
            && let [rows, width] = embedding.shape.0.as_slice()
        {
            if let Some(stated) = numbers.stated(Key::VocabSize).filter(|n| n != rows) {
                against.push(format!("it states a vocabulary of {stated}, {} has {rows} rows", embedding.name));
            }
            let hidden = numbers.stated(Key::HiddenSize);
            // Some architectures embed in fewer dimensions than they compute in.
            if let Some(stated) = hidden.filter(|n| n != width && self.number("config.embedding_size").is_none()) {
                against.push(format!("it states a hidden size of {stated}, {} has {width} columns", embedding.name));
            }
        }
        let has = |words: &[&str]| tensors.iter().any(|t| words.iter().any(|w| t.name.contains(w)));
        let untied = matches!(self.model.metadata.get("config.tie_word_embeddings"), Some(MetaValue::Bool(false)));
        if architecture.ends_with("ForCausalLM") && untied && !has(&["lm_head", "embed_out", "output.weight"]) {
            against.push(format!(
                "{architecture} with untied embeddings needs an output layer, none is among the weights"
            ));
        }
        if architecture.ends_with("ForSequenceClassification") && !has(&["classifier", "score", "classification_head"])
        {
            against.push(format!("{architecture} needs a classifier, none is among the weights"));
        }
        against
    }
    /// Where the two configurations name different tokens as the end of a text.
    fn ends_of_text(&self) -> Option<String> {
        let config = self.number("config.eos_token_id")?;
        let one = self.number("generation_config.eos_token_id");
        let list = self.model.metadata.array("generation_config.eos_token_id").map(|a| {
            a.head
                .iter()
                .filter_map(|v| if let MetaValue::Unsigned(n, _) = v { Some(*n) } else { None })
                .collect::<Vec<_>>()
        });
        let ids = one.map(|n| vec![n]).or(list).filter(|ids| !ids.is_empty())?;
        let told: Vec<String> = ids.iter().map(u64::to_string).collect();
        (!ids.contains(&config))
            .then(|| format!("it ends a text at token {}, config.json at token {config}", told.join(" or ")))
    }
    fn tokenizer(&mut self) {
        let group = "tokenizer";
        let kinds = [
            ("tokenizer.json", "splits and vocabulary"),
            ("tokenizer.model", "a SentencePiece model, or ranks"),
            ("spiece.model", "a SentencePiece model"),
            ("tekken.json", "ranks of Mistral's tokenizer"),
            ("vocab.txt", "one word a line"),
            ("vocab.json", "a vocabulary, with its merges"),
            ("merges.txt", "merges of a vocabulary"),
        ];
        let mut any = false;
        for (name, detail) in kinds {
            any |= self.file(name).is_some();
            self.optional(group, name, detail);
        }
        let ranks = self.model.files.iter().find(|f| f.name.ends_with(".tiktoken")).map(|f| f.name.clone());
        if let Some(file) = &ranks {
            self.add(group, "Ranks", Some(file), "present", "ranks of tiktoken");
        }
        if !any && ranks.is_none() {
            if self.file("config.json").is_some() && !self.any("config.vision_config.") {
                self.add(group, "tokenizer.json", None, "missing", "text cannot be encoded without it");
            }
        } else if self.file("vocab.json").is_some()
            && self.file("merges.txt").is_none()
            && self.file("tokenizer.json").is_none()
        {
            self.add(group, "merges.txt", None, "missing", "vocab.json cannot split text without its merges");
        }
        let class = self.text("tokenizer_config.tokenizer_class").unwrap_or("settings of the tokenizer");
        self.optional(group, "tokenizer_config.json", class);
        self.optional(group, "special_tokens_map.json", "tokens with a meaning of their own");
        self.optional(group, "added_tokens.json", "tokens beside the vocabulary");
    }
}

/// The number of the layer that a tensor's name holds: "model.layers.11.mlp.up_proj.weight".
fn layer_of(name: &str) -> Option<u64> {
    let mut steps = name.split('.');
    while let Some(step) = steps.next() {
        if matches!(step, "layers" | "layer" | "h" | "blocks" | "block") {
            return steps.next()?.parse().ok();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::layer_of;

    #[test]
    fn layers_are_numbered_in_the_names_of_each_family() {
        for (name, layer) in [
            ("model.layers.11.mlp.up_proj.weight", Some(11)),
            ("encoder.layer.0.output.dense.bias", Some(0)),
            ("transformer.h.3.attn.c_attn.weight", Some(3)),
            ("model.embed_tokens.weight", None),
            ("layers.x.y", None),
        ] {
            assert_eq!(layer_of(name), layer, "{name}");
        }
    }
}

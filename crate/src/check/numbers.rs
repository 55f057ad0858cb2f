//! The sizes that a model's configuration states, from GGUF keys or config.json.

use crate::model::{FormatId, MetaValue, ModelFile};

/// One size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    /// Width of the residual stream.
    Width,
    Layers,
    /// Query heads.
    Heads,
    /// Key and value heads.
    KvHeads,
    /// Width of a query and key head.
    Head,
    /// Width of a value head.
    ValueHead,
    /// Width of the feed-forward layer.
    Ffn,
    /// Token ids.
    Vocabulary,
    /// Longest sequence.
    Positions,
    /// Kinds of tokens (BERT's segments).
    Kinds,
}

/// Size, GGUF keys below the architecture, config.json keys.
const KEYS: &[(Size, &[&str], &[&str])] = &[
    (Size::Width, &["embedding_length"], &["hidden_size", "n_embd", "d_model"]),
    (Size::Layers, &["block_count"], &["num_hidden_layers", "n_layer"]),
    (Size::Heads, &["attention.head_count"], &["num_attention_heads", "n_head"]),
    (Size::KvHeads, &["attention.head_count_kv"], &["num_key_value_heads"]),
    (Size::Head, &["attention.key_length"], &["head_dim"]),
    (Size::ValueHead, &["attention.value_length"], &[]),
    (Size::Ffn, &["feed_forward_length"], &["intermediate_size", "n_inner"]),
    (Size::Vocabulary, &["vocab_size"], &["vocab_size"]),
    (Size::Positions, &["context_length"], &["max_position_embeddings", "n_positions"]),
    (Size::Kinds, &[], &["type_vocab_size"]),
];

/// The architecture's name in the words of its format, and where a size is stated.
pub(super) struct Numbers<'a> {
    model: &'a ModelFile,
    /// "llama.", "config."
    prefix: String,
    gguf: bool,
}

impl<'a> Numbers<'a> {
    /// `None` for a model that states no configuration.
    pub(super) fn of(model: &'a ModelFile) -> Option<(&'a str, Self)> {
        let (name, prefix, gguf) = match model.format {
            FormatId::Gguf => {
                let name = model.metadata.string("general.architecture")?;
                (name, format!("{name}."), true)
            }
            FormatId::Safetensors | FormatId::PyTorch if super::configured(model) => {
                (model.metadata.string("config.model_type")?, "config.".to_owned(), false)
            }
            _ => return None,
        };
        Some((name, Self { model, prefix, gguf }))
    }
    /// The key that states a size, where one does.
    pub(super) fn key(&self, size: Size) -> Option<String> {
        let (_, gguf, config) = KEYS.iter().find(|(s, ..)| *s == size)?;
        let keys = if self.gguf { gguf } else { config };
        keys.iter().map(|k| format!("{}{k}", self.prefix)).find(|k| self.model.metadata.get(k).is_some())
    }
    /// True where a size differs from layer to layer.
    pub(super) fn varies(&self, size: Size) -> bool {
        self.key(size).is_some_and(|key| matches!(self.model.metadata.get(&key), Some(MetaValue::Array(_))))
    }
    /// A size as stated.
    pub(super) fn stated(&self, size: Size) -> Option<u64> {
        self.model.metadata.unsigned(&self.key(size)?)
    }
    /// A size as stated, or as programs work it out.
    pub(super) fn get(&self, size: Size) -> Option<u64> {
        if let Some(n) = self.stated(size) {
            return Some(n);
        }
        if self.varies(size) {
            return None;
        }
        match size {
            Size::KvHeads => self.get(Size::Heads),
            Size::Head => self.get(Size::Width)?.checked_div(self.get(Size::Heads)?),
            Size::ValueHead if self.gguf => self.get(Size::Width)?.checked_div(self.get(Size::Heads)?),
            Size::ValueHead => self.get(Size::Head),
            Size::Vocabulary => Some(self.model.metadata.array("tokenizer.ggml.tokens")?.len),
            Size::Kinds => self.model.metadata.unsigned("tokenizer.ggml.token_type_count"),
            _ => None,
        }
    }
}

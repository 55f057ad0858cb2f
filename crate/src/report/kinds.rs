//! What files are that are no model by themselves, or hold only a part of one: tokenizers, control vectors, folders
//! without weights.

use super::Fact;
use crate::{
    model::{FileRole, FormatId, MetaValue, ModelFile},
    verdict::description,
};

/// What a file is that no architecture describes; `None` leaves it to the usual words.
pub(super) fn sentence(model: &ModelFile) -> Option<String> {
    let meta = &model.metadata;
    if model.format == FormatId::Tokenizer {
        let text = |key: &str| meta.string(key).unwrap_or("unknown");
        let tokens = meta.unsigned("tokenizer.tokens").map(|n| format!(", {n} tokens")).unwrap_or_default();
        let (kind, algorithm) = (text("tokenizer.kind"), text("tokenizer.algorithm"));
        return Some(format!(
            "Tokenizer alone ({kind}, {algorithm}){tokens}: how text becomes ids, not a model on its own"
        ));
    }
    let control = meta.string("general.architecture") == Some("controlvector")
        || meta.string("general.type") == Some("control_vector");
    if model.format == FormatId::Gguf && control {
        let hint = meta.string("controlvector.model_hint").filter(|hint| !hint.is_empty());
        let of = hint.map_or("a model that it does not name".to_owned(), |hint| {
            format!("a {} model", hint.chars().take(80).collect::<String>())
        });
        let layers = meta.unsigned("controlvector.layer_count").unwrap_or(model.tensors.len() as u64);
        return Some(format!(
            "Control vector for {of}, {layers} layers: directions that llama.cpp adds between layers (--control-vector), not a model on its own"
        ));
    }
    None
}

/// What a sentence about a model ends with where its weights are not here.
pub(super) fn lacks(model: &ModelFile) -> Option<String> {
    description(model).then(|| "without its weights".to_owned())
}

/// Where files sit that hold no weights.
pub(super) fn place(model: &ModelFile) -> Option<&'static str> {
    let described = model.files.iter().any(|f| f.role == FileRole::Configuration);
    let weights = model.tensors.iter().any(|t| !matches!(t.place, crate::model::Place::Missing { .. }));
    match model.format {
        FormatId::Tokenizer => Some("This is a part of an original model: its tokenizer. The weights are elsewhere."),
        _ if description(model) => Some(
            "This is an original model's folder without its weights: it says what the model is, and cannot be run.",
        ),
        FormatId::Safetensors | FormatId::PyTorch if described && !weights => {
            Some("This is an original model's folder without its weights: its index names them, and none is here.")
        }
        _ => None,
    }
}

/// Facts of a tokenizer that lies alone.
pub(super) fn shape(model: &ModelFile) -> Vec<Fact> {
    if model.format != FormatId::Tokenizer {
        return Vec::new();
    }
    const ROWS: &[(&str, &str)] = &[
        ("Kind of file", "tokenizer.kind"),
        ("Algorithm", "tokenizer.algorithm"),
        ("Tokens", "tokenizer.tokens"),
        ("Merges", "tokenizer.merges"),
        ("Added tokens", "tokenizer.added_tokens"),
        ("Normalizer", "tokenizer.normalizer"),
        ("Normalizer", "sentencepiece.normalizer.name"),
        ("Pre-tokenizer", "tokenizer.pre_tokenizer"),
        ("Post-processor", "tokenizer.post_processor"),
        ("Decoder", "tokenizer.decoder"),
        ("Byte fallback", "sentencepiece.trainer.byte_fallback"),
        ("Control pieces", "sentencepiece.pieces.control"),
        ("User-defined pieces", "sentencepiece.pieces.user_defined"),
        ("Byte pieces", "sentencepiece.pieces.byte"),
        ("Class", "tokenizer_config.tokenizer_class"),
        ("Tokens of a text, at most", "tokenizer_config.model_max_length"),
        ("Version", "tekken.version"),
    ];
    let told = |value: &MetaValue| match value {
        MetaValue::String(s) => Some(s.clone()),
        MetaValue::Unsigned(n, _) => Some(n.to_string()),
        MetaValue::Signed(n, _) => Some(n.to_string()),
        MetaValue::Bool(b) => Some(if *b { "yes" } else { "no" }.to_owned()),
        _ => None,
    };
    ROWS.iter()
        .filter_map(|(label, key)| {
            let value = told(model.metadata.get(key)?).filter(|v| !v.is_empty())?;
            Some(Fact { label: (*label).into(), value, source: Some((*key).into()) })
        })
        .collect()
}

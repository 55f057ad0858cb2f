//! Tokens that llama.cpp treats by their text, whatever type the file gives them.
//!
//! Source: llama.cpp, the second half of `llama_vocab::impl::load` in `src/llama-vocab.cpp`.

use super::{PieceKind, table::Entry};

/// Texts that end a turn or a text.
pub(super) const END_TEXTS: &[&str] = &[
    "</s>",
    "<EOT>",
    "<end_of_turn>",
    "<end_of_utterance>",
    "<eos>",
    "<turn|>",
    "<|call|>",
    "<|calls|>",
    "<|end_of_text|>",
    "<|endoftext|>",
    "<|end|>",
    "<|eom_id|>",
    "<|eot_id|>",
    "<|flush|>",
    "<|im_end|>",
    "<|return|>",
    "<|tool_response>",
    "<｜end▁of▁sentence｜>",
    "[EOS]",
    "[EOT]",
    "[e~[",
    "_<EOT>",
];

/// Of these the first that the vocabulary has ends a text too: padding, repository and file marks of code models.
const CODE_END_TEXTS: &[&[&str]] = &[
    &["<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"],
    &["<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"],
    &["<|file_sep|>"],
];

/// Other marks of code models, which are control tokens.
const CODE_TEXTS: &[&[&str]] = &[
    &[
        "<|fim_prefix|>",
        "<fim-prefix>",
        "<fim_prefix>",
        "<｜fim▁begin｜>",
        "<PRE>",
        "▁<PRE>",
        "<|code_prefix|>",
        "<|prefix|>",
    ],
    &[
        "<|fim_suffix|>",
        "<fim-suffix>",
        "<fim_suffix>",
        "<｜fim▁hole｜>",
        "<SUF>",
        "▁<SUF>",
        "<|code_suffix|>",
        "<|suffix|>",
    ],
    &[
        "<|fim_middle|>",
        "<fim-middle>",
        "<fim_middle>",
        "<｜fim▁end｜>",
        "<MID>",
        "▁<MID>",
        "<|code_middle|>",
        "<|middle|>",
    ],
];

/// Marks that are shown in text whatever their type.
const SHOWN_TEXTS: &[&str] = &["<|channel|>", "<|constrain|>", "<|message|>", "<|start|>"];

/// Gives tokens the kinds that their texts mean; the ids that end a text by it.
pub(super) fn mark(entries: &mut [Entry]) -> Vec<u32> {
    let find = |entries: &[Entry], text: &str| entries.iter().rposition(|entry| &*entry.text == text);
    // The lists together are short, but a vocabulary is long: one pass finds what there is.
    let all = || {
        let nested = CODE_END_TEXTS.iter().chain(CODE_TEXTS).flat_map(|texts| texts.iter());
        END_TEXTS.iter().chain(SHOWN_TEXTS).chain(nested)
    };
    let present: Vec<&str> = {
        let here: std::collections::HashSet<&str> = entries.iter().map(|entry| &*entry.text).collect();
        all().copied().filter(|text| here.contains(text)).collect()
    };
    let has = |text: &str| present.contains(&text);
    let first = |texts: &[&'static str]| texts.iter().copied().find(|text| has(text));
    let mut ends: Vec<&str> = END_TEXTS.iter().copied().filter(|text| has(text)).collect();
    ends.extend(CODE_END_TEXTS.iter().filter_map(|texts| first(texts)));
    let controls: Vec<&str> = ends.iter().copied().chain(CODE_TEXTS.iter().filter_map(|texts| first(texts))).collect();
    let mut set = |text: &str, kind: PieceKind, hidden: bool| {
        if let Some(entry) = find(entries, text).and_then(|at| entries.get_mut(at)) {
            (entry.kind, entry.hidden) = (kind, hidden);
        }
    };
    for text in controls {
        set(text, PieceKind::Control, true);
    }
    for text in SHOWN_TEXTS.iter().filter(|text| has(text)) {
        set(text, PieceKind::UserDefined, false);
    }
    // In vocabularies of OpenAI's harmony kind and of Solar's, <|end|> ends a message, not the turn.
    let is_called = has("<|call|>") || has("<|calls|>");
    if has("<|end|>") && is_called && (has("<|return|>") || has("<|flush|>")) {
        set("<|end|>", PieceKind::UserDefined, false);
        ends.retain(|text| *text != "<|end|>");
    }
    if has("<|tool_response>") && has("</s>") {
        set("</s>", PieceKind::Normal, false);
        ends.retain(|text| *text != "</s>");
    }
    ends.into_iter().filter_map(|text| find(entries, text)).map(|id| id as u32).collect()
}

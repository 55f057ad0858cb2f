//! Tokenizer against embedding, and the tokenizer's lists against each other.

use super::Subject;
use crate::{
    arch::{Key, Numbers},
    formats::{Findings, quoted},
    model::{FormatId, Loader, Note, NoteCode, Severity},
};

/// Names of the token embedding: `[tokens, width]` in each.
const EMBEDDINGS: &[&str] = &[
    "token_embd.weight",
    "model.embed_tokens.weight",
    "embed_tokens.weight",
    "embeddings.word_embeddings.weight",
    "bert.embeddings.word_embeddings.weight",
    "roberta.embeddings.word_embeddings.weight",
    "transformer.wte.weight",
    "wte.weight",
    "shared.weight",
];
/// Items of a GGUF tokenizer of which there is one for each token.
const LISTS: &[&str] = &["tokenizer.ggml.scores", "tokenizer.ggml.token_type"];

/// The embedding's number and rows, where the model has one of these names in two dimensions.
pub(super) fn embedding(subject: &Subject<'_>) -> Option<(usize, u64)> {
    let tensor = EMBEDDINGS.iter().find_map(|n| subject.find(n))?;
    match subject.model.tensors[tensor].shape.0.as_slice() {
        &[rows, _] => Some((tensor, rows)),
        _ => None,
    }
}

/// Compares counts of tokens.
pub(super) fn check(subject: &Subject<'_>, findings: &mut Findings) {
    let meta = &subject.model.metadata;
    let listed = meta.array("tokenizer.ggml.tokens").map(|a| a.len);
    if let Some(tokens) = listed {
        for key in LISTS {
            let Some(n) = meta.array(key).map(|a| a.len).filter(|n| *n != tokens) else { continue };
            let what = format!("{key} has {n} items, tokenizer.ggml.tokens has {tokens}");
            let note = Note::new(Severity::Error, what)
                .place(meta.place(key))
                .why(Loader::LlamaCpp.refuses("llama.cpp refuses the file, or reads beyond the list"));
            findings.note(NoteCode::TokenizerLists, note.advice("convert the model again"));
        }
    }
    let Some((tensor, rows)) = embedding(subject) else { return };
    let (tokens, of, place) = match (listed, subject.evidence.tokens) {
        (Some(n), _) => (n, "tokenizer.ggml.tokens".to_owned(), meta.place("tokenizer.ggml.tokens")),
        (None, Some(n)) => (n, "the tokenizer next to the model".to_owned(), None),
        (None, None) => return,
    };
    let name = quoted(&subject.model.tensors[tensor].name);
    let place = place.or_else(|| subject.place(tensor));
    let gguf = subject.model.format == FormatId::Gguf;
    if tokens > rows {
        let what = format!("{of} has {tokens} tokens, the embedding {name} {rows} rows");
        let why = if gguf {
            Loader::LlamaCpp.refuses("llama.cpp refuses the file: it wants one row for each token")
        } else {
            "ids of the last tokens have no row: running them is an error or reads other memory".into()
        };
        let note = Note::new(Severity::Error, what).place(place).why(why);
        findings.note(
            NoteCode::Tokens,
            note.advice("get the tokenizer that belongs to these weights, or resize the embedding"),
        );
    } else if gguf && tokens < rows {
        let what = format!("{of} has {tokens} tokens, the embedding {name} {rows} rows");
        let note = Note::new(Severity::Error, what)
            .place(place)
            .why(Loader::LlamaCpp.refuses("llama.cpp refuses the file: it wants one row for each token"));
        findings.note(
            NoteCode::Tokens,
            note.advice("convert the model again: converters fill the list up with unused tokens"),
        );
    } else if rows / 2 > tokens {
        let what = format!("The embedding {name} has {rows} rows, {of} only {tokens} tokens");
        let note = Note::new(Severity::Warning, what)
            .place(place)
            .why("more than half of the rows can never be used: this may be another model's tokenizer");
        findings.note(NoteCode::Tokens, note.advice("compare the tokenizer with the one the model was trained with"));
    }
    // Converters that pad the embedding state its rows; a smaller number is from another version of the model.
    if let Some(numbers) = Numbers::of(subject.model)
        && gguf
        && let Some(stated) = numbers.stated(Key::VocabSize).filter(|n| *n != rows)
    {
        let key = numbers.spelling(Key::VocabSize);
        let what = format!("{key} is {stated}, the embedding {name} has {rows} rows");
        let note = Note::new(Severity::Warning, what)
            .place(meta.place(&key))
            .why("programs that trust the number make logits of another length");
        findings.note(NoteCode::VocabularySize, note.advice("convert the model again"));
    }
}

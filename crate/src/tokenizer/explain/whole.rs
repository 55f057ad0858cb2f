//! Words and characters that are tokens as they are.

use super::{
    super::{
        table::Table,
        whole::{Unit, Whole},
    },
    Budget, Word, WordToken,
    bpe::Words,
};

/// What such a vocabulary does.
pub(super) fn method(whole: &Whole) -> &'static str {
    match whole.unit {
        Unit::Word => "Whole words: each is a token, or unknown",
        Unit::Character => "Characters: each is a token, or unknown",
    }
}

/// Each part that is looked up is a word of its own; nothing merges.
pub(super) fn words(table: &Table, whole: &Whole, text: &str, base: usize, budget: &mut Budget) -> Words {
    let prepared = whole.preparation.run(text, base);
    let mut words: Vec<Word> = Vec::new();
    for (part, id) in whole.pieces(table, &prepared.text) {
        let is_byte = whole.bytes.contains(&Some(id));
        let how = match () {
            () if Some(id) == whole.unknown => "unknown",
            () if is_byte => "byte",
            () => "whole word",
        };
        let mut word = Word::of(&prepared, part.clone());
        word.tokens.push(WordToken { id, span: prepared.source(part.clone()), part: 0..part.len(), how });
        if !budget.take(1) {
            word.leave_out(budget);
        }
        words.push(word);
    }
    (vec![prepared], words)
}

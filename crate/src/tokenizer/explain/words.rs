//! The words of BERT's kind, one by one.

use super::super::{
    mapped::Mapped,
    word_piece::{self, Class, WordPiece},
};

/// Cuts a text as llama.cpp cuts it for WordPiece; every word begins with `▁`.
pub(super) fn cut(pieces: &WordPiece, text: &str, base: usize) -> Vec<Mapped> {
    let mut words = vec![Mapped::default()];
    let mut begins = true;
    for (at, c) in text.char_indices() {
        let span = base + at..base + at + c.len_utf8();
        let (c, class) = pieces.character(c);
        let is_accent = class == Class::Accent && pieces.strip_accents;
        if class == Class::Dropped || is_accent {
            continue;
        }
        let stands_alone = matches!(class, Class::Space | Class::Alone);
        if (begins || stands_alone) && words.last().is_some_and(|word| !word.text.is_empty()) {
            words.push(Mapped::default());
        }
        begins = stands_alone;
        if let Some(word) = words.last_mut().filter(|_| class != Class::Space) {
            word_piece::add(word, c, span);
        }
    }
    words.retain(|word| !word.text.is_empty());
    words
}

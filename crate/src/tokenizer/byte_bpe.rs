//! BPE with merge ranks (`gpt2`, `gemma4`, `whitespace` in GGUF): rules split, the `tokenizers` crate merges.

use std::ops::Range;

use fancy_regex::Regex;
use tokenizers::{Model, models::bpe::BPE};

use super::{
    Token, alphabet,
    mapped::Mapped,
    merges::Merges,
    splitters::{self, Digits},
};
use crate::fault::{Fault, Result};

/// One compiled rule.
pub(super) enum Split {
    Regex(Regex),
    Digits(Digits),
}

/// The merging half of such a vocabulary.
pub(super) struct ByteBpe {
    /// Applied in turn.
    pub splits: Vec<Split>,
    /// Over the byte alphabet, or over plain text.
    pub model: BPE,
    /// The merges by ids.
    pub merges: Merges,
    /// A piece that is a token as a whole is not merged.
    pub ignore_merges: bool,
    /// Set where tokens are spelt in plain UTF-8.
    pub raw: Option<Raw>,
}

/// How tokens in plain UTF-8 are spelt.
#[derive(Debug, Clone, Copy)]
pub(super) struct Raw {
    /// Spaces are written `▁`.
    pub escape: bool,
    /// A line begins with `▁`, written or not.
    pub line_prefix: bool,
    /// A run of newlines that is a token is not merged.
    pub whole_newlines: bool,
    /// White space is left out (the kind `whitespace`), and letters become small where this says so.
    pub words_only: Option<bool>,
}

impl ByteBpe {
    /// Appends the tokens of `text`, which lies at byte `base` of the whole input.
    ///
    /// Bytes without a token are left out, as llama.cpp leaves them out; the spans show it.
    pub(super) fn encode(&self, text: &str, base: usize, out: &mut Vec<Token>) -> Result<()> {
        if let Some(raw) = self.raw {
            return self.encode_raw(raw, text, base, out);
        }
        let mut spelt = String::new();
        for piece in split(&self.splits, text)? {
            let bytes = &text.as_bytes()[piece.clone()];
            spelt.clear();
            spelt.extend(bytes.iter().map(|byte| alphabet::to_char(*byte)));
            let (mut rest, mut at) = (spelt.as_str(), base + piece.start);
            for token in self.merge(&spelt)? {
                // The crate's own offsets shift where a byte has no token, so the text is followed instead.
                while !rest.starts_with(&token.value) {
                    let mut chars = rest.chars();
                    if chars.next().is_none() {
                        return Err(Fault::bug(format!("token {:?} is not in {spelt:?}", token.value)));
                    }
                    (rest, at) = (chars.as_str(), at + 1);
                }
                let end = at + token.value.chars().count();
                out.push(Token { id: token.id, span: at..end });
                (rest, at) = (&rest[token.value.len()..], end);
            }
        }
        Ok(())
    }

    fn merge(&self, piece: &str) -> Result<Vec<tokenizers::Token>> {
        self.model.tokenize(piece).map_err(|e| Fault::unsupported(format!("cannot merge: {e}")))
    }

    fn encode_raw(&self, raw: Raw, text: &str, base: usize, out: &mut Vec<Token>) -> Result<()> {
        for part in spell(raw, text, base) {
            for piece in split(&self.splits, &part.text)? {
                let spelt = &part.text[piece.clone()];
                let is_newlines = raw.whole_newlines && spelt.bytes().all(|byte| byte == b'\n');
                if let Some(id) = is_newlines.then(|| self.model.token_to_id(spelt)).flatten() {
                    out.push(Token { id, span: part.source(piece) });
                    continue;
                }
                let mut at = piece.start;
                for token in self.merge(spelt)? {
                    let byte = alphabet::parse_byte_token(&token.value);
                    let here = |at: usize| {
                        let rest = &part.text.as_bytes()[at..piece.end];
                        match byte {
                            _ if rest.starts_with(token.value.as_bytes()) => Some(token.value.len()),
                            Some(byte) => (rest.first() == Some(&byte)).then_some(1),
                            None => None,
                        }
                    };
                    let found = (at..piece.end).find_map(|at| Some((at, here(at)?)));
                    let (start, length) =
                        found.ok_or_else(|| Fault::bug(format!("token {:?} is not in {spelt:?}", token.value)))?;
                    out.push(Token { id: token.id, span: part.source(start..start + length) });
                    at = start + length;
                }
            }
        }
        Ok(())
    }
}

/// Pieces in order; together they are the whole text.
pub(super) fn split(splits: &[Split], text: &str) -> Result<Vec<Range<usize>>> {
    let mut pieces: Vec<_> = std::iter::once(0..text.len()).filter(|all| !all.is_empty()).collect();
    for split in splits {
        let mut finer = Vec::with_capacity(pieces.len() * 2);
        for piece in pieces {
            match split {
                Split::Regex(regex) => cut(regex, text, piece, &mut finer)?,
                Split::Digits(how) => {
                    let groups = splitters::group(&text[piece.clone()], *how);
                    finer.extend(groups.into_iter().map(|r| piece.start + r.start..piece.start + r.end));
                }
            }
        }
        pieces = finer;
    }
    Ok(pieces)
}

fn cut(regex: &Regex, text: &str, piece: Range<usize>, finer: &mut Vec<Range<usize>>) -> Result<()> {
    let mut done = piece.start;
    for found in regex.find_iter(&text[piece.clone()]) {
        let found = found
            .map_err(|e| Fault::limit(format!("the pre-tokenizer's regular expression gave up on this text: {e}")))?;
        let (start, end) = (piece.start + found.start(), piece.start + found.end());
        finer.extend([done..start, start..end].into_iter().filter(|r| !r.is_empty()));
        done = end;
    }
    finer.extend(Some(done..piece.end).filter(|r| !r.is_empty()));
    Ok(())
}

/// The text as the tokens spell it, in parts that are encoded one by one.
pub(super) fn spell(raw: Raw, text: &str, base: usize) -> Vec<Mapped> {
    let mut parts = vec![Mapped::default()];
    for (at, c) in text.char_indices() {
        let span = base + at..base + at + c.len_utf8();
        let mut buffer = [0; 4];
        if raw.words_only.is_some() && c.is_whitespace() {
            if parts.last().is_some_and(|part| !part.text.is_empty()) {
                parts.push(Mapped::default());
            }
            continue;
        }
        let Some(part) = parts.last_mut() else { continue };
        let begins_line = part.text.is_empty() || part.text.ends_with('\n');
        if raw.line_prefix && begins_line && !matches!(c, '\n' | ' ' | '▁') {
            part.push("▁", span.start..span.start);
        }
        if raw.escape && c == ' ' {
            part.push("▁", span);
        } else {
            let small = if raw.words_only == Some(true) { c.to_lowercase().next().unwrap_or(c) } else { c };
            part.push(small.encode_utf8(&mut buffer), span);
        }
    }
    parts
}

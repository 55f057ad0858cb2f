//! BPE with merge ranks (`gpt2`, `gemma4`, `whitespace` in GGUF): rules split, then neighbours merge.

use super::{
    Token,
    bpe::Bpe,
    mapped::Mapped,
    memo::Shared,
    routes,
    splits::{Split, split},
};
use crate::fault::Result;

/// The merging half of such a vocabulary.
pub(super) struct ByteBpe {
    /// Applied in turn.
    pub splits: Vec<Split>,
    /// Over the byte alphabet, or over plain text.
    pub model: Bpe,
    /// Set where tokens are spelt in plain UTF-8.
    pub raw: Option<Raw>,
    pub memo: Shared,
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
        self.memo.with(|memo| routes::encode_pieces(&self.splits, &self.model, memo, text, base, out))
    }

    fn encode_raw(&self, raw: Raw, text: &str, base: usize, out: &mut Vec<Token>) -> Result<()> {
        let mut found = Vec::new();
        for part in spell(raw, text, base) {
            split(&self.splits, &part.text, 0..part.text.len(), &mut |piece| {
                let spelt = &part.text[piece.clone()];
                let is_newlines = raw.whole_newlines && spelt.bytes().all(|byte| byte == b'\n');
                if let Some(id) = is_newlines.then(|| self.model.tokens().get(spelt.as_bytes())).flatten() {
                    out.push(Token { id, span: part.source(piece) });
                    return Ok(());
                }
                found.clear();
                self.model.encode(spelt, &mut found)?;
                out.extend(found.iter().map(|token| {
                    let span = piece.start + token.start as usize..piece.start + token.end as usize;
                    Token { id: token.id, span: part.source(span) }
                }));
                Ok(())
            })?;
        }
        Ok(())
    }
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

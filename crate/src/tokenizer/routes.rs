//! Short ways from a text to the tokens of a `tokenizer.json`, for the steps that most files have.
//!
//! A way looks at the text once, finds its pieces as they are written there, and asks the model
//! only for those that it has not met. What it gives equals what the file's steps give one after
//! the other ([`Pipeline::by_steps`](super::pipeline)); a test compares them over any text.

use std::borrow::Cow;

use serde_json::Value;
use tokenizers::{NormalizedString, OffsetReferential, OffsetType, PreTokenizedString};

use super::{
    Token,
    bpe::{self, Found},
    chars::{self, Chars, fate},
    json_steps::{Normals, Splits, kind, pattern_text},
    mapped::Mapped,
    memo::Memo,
    meta::{Cut, META, Stretch},
    model::Model,
    splits::{Split, split},
};
use crate::fault::{Fault, Result};

/// A way.
pub(super) enum Route {
    /// None: step by step.
    Steps,
    /// Every character shows by itself what becomes of it (BERT).
    ByChar(Box<ByChar>),
    /// Rules split, and bytes are merged (GPT-2 and after).
    ByteLevel(ByteLevel),
    /// Spaces are written `▁` (Llama, T5).
    Meta(Meta),
}

/// Where a way is used.
pub(super) struct At {
    /// Byte of the stretch in the whole text.
    pub base: usize,
    /// Whether it begins the whole text.
    pub is_first: bool,
}

impl Route {
    /// The way for a file's steps, and whether it does the normalizer's work too.
    pub(super) fn of(normals: &[Value], splits: &[Value], model: &Model, has_normalized: bool) -> (Self, bool) {
        let normal_kinds: Vec<&str> = normals.iter().map(kind).collect();
        let split_kinds: Vec<&str> = splits.iter().map(kind).collect();
        if !has_normalized
            && matches!(normal_kinds[..], [] | ["BertNormalizer"] | ["Lowercase"])
            && matches!(split_kinds[..], ["BertPreTokenizer"] | ["WhitespaceSplit"])
        {
            return (Self::ByChar(Box::new(ByChar::new(normals))), true);
        }
        if let (Some(way), Model::Bpe(_)) = (ByteLevel::of(splits), model) {
            return (Self::ByteLevel(way), false);
        }
        Meta::of(normals, splits, model, has_normalized).unwrap_or((Self::Steps, false))
    }

    /// Appends the tokens of a stretch of text; whether this way could be gone.
    pub(super) fn encode(
        &self,
        steps: (&Normals, &Splits),
        model: &Model,
        memo: &mut Memo,
        text: &str,
        at: &At,
        out: &mut Vec<Token>,
    ) -> Result<bool> {
        match (self, model) {
            (Self::ByChar(way), _) => way.encode(steps, model, memo, text, at.base, out),
            (Self::ByteLevel(way), Model::Bpe(bpe)) => way.encode(bpe, memo, text, at.base, out).map(|()| true),
            (Self::Meta(way), _) => way.encode(model, memo, text, at, out).map(|()| true),
            _ => Ok(false),
        }
    }
}

/// See [`Route::ByChar`].
pub(super) struct ByChar {
    chars: Chars,
    /// Accents are taken off, so that marks are put in order before.
    decomposes: bool,
}

impl ByChar {
    fn new(normals: &[Value]) -> Self {
        let decomposes = normals.iter().any(|step| {
            let flag = |name: &str| step.get(name).and_then(Value::as_bool);
            kind(step) == "BertNormalizer" && flag("strip_accents").or(flag("lowercase")).unwrap_or(true)
        });
        Self { chars: Chars::default(), decomposes }
    }

    fn fate(&self, steps: (&Normals, &Splits), c: char) -> u32 {
        self.chars.get(c, |c| self.learn(steps, c).unwrap_or(fate::HARD))
    }

    /// Asks the steps themselves what they make of a character between two letters.
    fn learn(&self, (normals, splits): (&Normals, &Splits), c: char) -> Option<u32> {
        let mut text = NormalizedString::from(format!("a{c}a"));
        normals.run(&mut text).ok()?;
        let mut pieces = PreTokenizedString::from(text);
        splits.run(&mut pieces).ok()?;
        let pieces = pieces.get_splits(OffsetReferential::Normalized, OffsetType::None);
        let pieces: Vec<&str> = pieces.iter().map(|(piece, ..)| *piece).collect();
        let (fate, own) = match pieces[..] {
            ["a", "a"] => (fate::SPACE, ""),
            ["a", own, "a"] => (fate::ALONE, own),
            [whole] => match whole.strip_prefix('a')?.strip_suffix('a')? {
                "" => (fate::DROPPED, ""),
                own => (fate::PART, own),
            },
            _ => return None,
        };
        if self.decomposes && !own.is_ascii() && own.chars().any(moves) {
            return None;
        }
        let mut chars = own.chars();
        match (fate, chars.next(), chars.next()) {
            (fate::PART, Some(_), Some(_)) => Some(fate::MANY),
            (fate::ALONE, Some(_), Some(_)) => None,
            (_, one, _) => Some(fate | (one.map_or(0, u32::from) << fate::BITS)),
        }
    }

    fn encode(
        &self,
        steps: (&Normals, &Splits),
        model: &Model,
        memo: &mut Memo,
        text: &str,
        base: usize,
        out: &mut Vec<Token>,
    ) -> Result<bool> {
        chars::words(text, &|c| self.fate(steps, c), &mut |start, end| {
            let part = &text[start..end];
            memo.tokens(part.as_bytes(), base + start, out, &|_, found| self.piece(steps, model, part, found))
        })
    }

    /// The tokens of a piece, by bytes of the text.
    fn piece(&self, steps: (&Normals, &Splits), model: &Model, part: &str, found: &mut Vec<Found>) -> Result<()> {
        let mut word = Mapped::default();
        for (at, c) in part.char_indices() {
            let fate = self.fate(steps, c);
            let span = at..at + c.len_utf8();
            let mut buffer = [0; 4];
            match (fate & fate::MASK, char::from_u32(fate >> fate::BITS)) {
                (fate::DROPPED, _) => {}
                (fate::MANY, _) => word.push(&steps.0.text(part.get(span.clone()).unwrap_or_default())?, span),
                (_, Some(own)) => word.push(own.encode_utf8(&mut buffer), span),
                (_, None) => return Err(Fault::bug(format!("{c:?} became no character"))),
            }
        }
        if word.text.is_empty() {
            return Ok(());
        }
        model.encode(&word.text, found)?;
        for token in found {
            let span = word.source(token.start as usize..token.end as usize);
            (token.start, token.end) = (span.start as u32, span.end as u32);
        }
        Ok(())
    }
}

/// Whether a mark may change places with one before it.
fn moves(c: char) -> bool {
    // U+0345 has a higher combining class than any other mark.
    let mut text = NormalizedString::from(format!("\u{345}{c}"));
    text.nfd();
    !text.get().starts_with('\u{345}')
}

/// See [`Route::ByteLevel`].
pub(super) struct ByteLevel {
    splits: Vec<Split>,
    /// A space goes before a text without one.
    prefix: bool,
}

impl ByteLevel {
    fn of(steps: &[Value]) -> Option<Self> {
        let (last, before) = steps.split_last()?;
        let flag = |step: &Value, name: &str, default| step.get(name).and_then(Value::as_bool).unwrap_or(default);
        if kind(last) != "ByteLevel" {
            return None;
        }
        let prefix = flag(last, "add_prefix_space", true);
        if prefix && !before.is_empty() {
            return None;
        }
        let mut splits = Vec::new();
        for step in before {
            splits.push(match kind(step) {
                "Split" => {
                    let is_plain = step.get("behavior").and_then(Value::as_str) == Some("Isolated")
                        && !flag(step, "invert", false);
                    let (pattern, is_regex) = pattern_text(step)?;
                    Split::of(pattern).ok().filter(|_| is_plain && is_regex)?
                }
                "Digits" if flag(step, "individual_digits", false) => Split::Numeric,
                _ => return None,
            });
        }
        if flag(last, "use_regex", true) {
            splits.push(Split::of(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+").ok()?);
        }
        Some(Self { splits, prefix })
    }

    fn encode(&self, bpe: &bpe::Bpe, memo: &mut Memo, text: &str, base: usize, out: &mut Vec<Token>) -> Result<()> {
        let first = out.len();
        let is_prefixed = self.prefix && !text.starts_with(' ');
        let text = if is_prefixed { Cow::Owned(format!(" {text}")) } else { Cow::Borrowed(text) };
        encode_pieces(&self.splits, bpe, memo, &text, base, out)?;
        if is_prefixed {
            for Token { span, .. } in &mut out[first..] {
                // The space that was put there is before the text.
                *span = span.start.saturating_sub(1).max(base)..span.end.saturating_sub(1).max(base);
            }
        }
        Ok(())
    }
}

/// Appends the tokens of a text that is split by rules and merged as bytes.
pub(super) fn encode_pieces(
    splits: &[Split],
    bpe: &bpe::Bpe,
    memo: &mut Memo,
    text: &str,
    base: usize,
    out: &mut Vec<Token>,
) -> Result<()> {
    split(splits, text, 0..text.len(), &mut |piece| {
        let start = base + piece.start;
        let bytes = &text.as_bytes()[piece];
        memo.tokens(bytes, start, out, &|spelt, found| bpe::encode_bytes(bpe, bytes, spelt, found))
    })
}

/// When a space is put before a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prefix {
    Never,
    Always,
    /// Unless there is one.
    Missing,
    /// Unless there is one, and only at the start of the whole text.
    FirstMissing,
}

/// See [`Route::Meta`].
pub(super) struct Meta {
    prefix: Prefix,
    cut: Cut,
    /// Words between white space are taken one by one.
    words: bool,
}

impl Meta {
    fn of(normals: &[Value], splits: &[Value], model: &Model, has_normalized: bool) -> Option<(Route, bool)> {
        let text = |step: &Value, name: &str| step.get(name).and_then(Value::as_str).map(str::to_owned);
        let runs = || if matches!(model, Model::Bpe(bpe) if bpe.cuts_before(META)) { Cut::Runs } else { Cut::No };
        let is_replace = |step: &Value| {
            kind(step) == "Replace"
                && pattern_text(step) == Some((" ", false))
                && text(step, "content").as_deref() == Some("▁")
        };
        let is_prepend = |step: &Value| kind(step) == "Prepend" && text(step, "prepend").as_deref() == Some("▁");
        // Spaces are replaced by the normalizer; nothing that may split is left after it.
        let replaced = match normals {
            [only] if is_replace(only) => Some(Prefix::Never),
            [first, second] if is_prepend(first) && is_replace(second) => Some(Prefix::Always),
            _ => None,
        };
        let is_no_split = |step: &Value| {
            kind(step) == "Split"
                && pattern_text(step) == Some((" ", false))
                && step.get("invert").and_then(Value::as_bool) != Some(true)
        };
        if let (Some(prefix), false) = (replaced, has_normalized)
            && splits.iter().all(is_no_split)
        {
            return Some((Route::Meta(Self { prefix, cut: runs(), words: false }), true));
        }
        let (words, meta) = match splits {
            [meta] => (false, meta),
            [words, meta] if kind(words) == "WhitespaceSplit" => (true, meta),
            _ => return None,
        };
        let flag = |name: &str| meta.get(name).and_then(Value::as_bool);
        if kind(meta) != "Metaspace" || text(meta, "replacement").as_deref() != Some("▁") {
            return None;
        }
        let prefix = match (text(meta, "prepend_scheme").as_deref(), flag("add_prefix_space")) {
            (Some("never"), _) | (None, Some(false)) => Prefix::Never,
            (Some("always") | None, _) => Prefix::Missing,
            (Some("first"), _) if !words => Prefix::FirstMissing,
            _ => return None,
        };
        let cut = if flag("split").unwrap_or(true) { Cut::Each } else { runs() };
        Some((Route::Meta(Self { prefix, cut, words }), false))
    }

    fn encode(&self, model: &Model, memo: &mut Memo, text: &str, at: &At, out: &mut Vec<Token>) -> Result<()> {
        if !self.words {
            return self.stretch(model, memo, text, at, out);
        }
        let mut rest = text;
        loop {
            rest = rest.trim_start_matches(char::is_whitespace);
            if rest.is_empty() {
                return Ok(());
            }
            let length = rest.find(char::is_whitespace).unwrap_or(rest.len());
            let start = text.len() - rest.len();
            self.stretch(model, memo, &rest[..length], &At { base: at.base + start, is_first: false }, out)?;
            rest = &rest[length..];
        }
    }

    /// A stretch that is written with `▁` as a whole.
    fn stretch(&self, model: &Model, memo: &mut Memo, text: &str, at: &At, out: &mut Vec<Token>) -> Result<()> {
        let has_space = || text.starts_with([' ', META]);
        let is_prefixed = match self.prefix {
            Prefix::Never => false,
            Prefix::Always => true,
            Prefix::Missing => !has_space(),
            Prefix::FirstMissing => at.is_first && !has_space(),
        };
        let stretch = Stretch { text, base: at.base, is_prefixed, cut: self.cut };
        stretch.encode(memo, out, &|spelt, found| model.encode(spelt, found))
    }
}

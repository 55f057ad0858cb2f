//! Everything between a text and its ids, as a `tokenizer.json` says it.

use tokenizers::{NormalizedString, OffsetType, PreTokenizedString, normalizer::Range as Of};

use super::{
    Token,
    added::{Added, In},
    json_steps::{Normals, Splits, gave_up},
    limits,
    memo::{Memo, Shared},
    merges::Merges,
    model::Model,
    routes::{At, Route},
};
use crate::fault::{Fault, Result};

/// The steps, and the short way where there is one.
pub(super) struct Pipeline {
    pub normals: Normals,
    pub splits: Splits,
    pub model: Model,
    pub added: Added,
    pub route: Route,
    /// Whether the short way does the normalizer's work too.
    pub route_normalizes: bool,
    pub memo: Shared,
}

/// An encoded text.
pub(super) struct Encoded {
    pub tokens: Vec<Token>,
    /// Whether spans are exact bytes, not whole characters.
    pub is_exact: bool,
}

fn boxed(fault: Fault) -> Box<dyn std::error::Error + Send + Sync> {
    Box::new(fault)
}

type Pieces = Vec<(NormalizedString, Option<Vec<tokenizers::Token>>)>;

impl Pipeline {
    /// Tokens of a text.
    pub(super) fn encode(&self, text: &str, parse_special: bool) -> Result<Encoded> {
        let mut tokens = Vec::new();
        if !matches!(self.route, Route::Steps)
            && self.memo.with(|memo| self.by_route(memo, text, parse_special, &mut tokens))?
        {
            return Ok(Encoded { tokens, is_exact: true });
        }
        Ok(Encoded { tokens: self.by_steps(text, parse_special)?, is_exact: false })
    }

    /// Appends the tokens of a text, found the short way; whether it could be gone.
    fn by_route(&self, memo: &mut Memo, text: &str, parse_special: bool, out: &mut Vec<Token>) -> Result<bool> {
        let mut is_gone = true;
        self.added.cut(text, In::Raw, parse_special, &mut |added, span| {
            match added {
                Some(id) => out.push(Token { id, span }),
                None if is_gone => is_gone = self.part(memo, &text[span.clone()], span.start, parse_special, out)?,
                None => {}
            }
            Ok(())
        })?;
        Ok(is_gone)
    }

    /// Appends the tokens of a stretch between added tokens.
    fn part(
        &self,
        memo: &mut Memo,
        text: &str,
        base: usize,
        parse_special: bool,
        out: &mut Vec<Token>,
    ) -> Result<bool> {
        let steps = (&self.normals, &self.splits);
        if self.route_normalizes {
            let at = At { base, is_first: base == 0 };
            return self.route.encode(steps, &self.model, memo, text, &at, out);
        }
        let mut changed = None;
        if !self.normals.keeps(text) {
            let mut normalized = NormalizedString::from(text);
            self.normals.run(&mut normalized)?;
            changed = Some(normalized).filter(|normalized| normalized.get() != text);
        }
        let source = |start: usize, end: usize| match &changed {
            None => start..end,
            Some(normalized) => normalized.convert_offsets(Of::Normalized(start..end)).unwrap_or(0..0),
        };
        let (first, mut is_gone) = (out.len(), true);
        let normalized = changed.as_ref().map_or(text, |normalized| normalized.get());
        self.added.cut(normalized, In::Normalized, parse_special, &mut |added, span| {
            match added {
                Some(id) => out.push(Token { id, span }),
                None => {
                    let at = At { base: span.start, is_first: base == 0 && source(span.start, span.end).start == 0 };
                    is_gone &= self.route.encode(steps, &self.model, memo, &normalized[span], &at, out)?;
                }
            }
            Ok(())
        })?;
        let mut floor = 0;
        for Token { span, .. } in &mut out[first..] {
            let is_empty = span.start == span.end;
            let found = source(span.start, span.end);
            // An empty place in a changed text is where the token before it ended.
            let start = if is_empty && changed.is_some() { floor } else { found.start.max(floor) };
            let end = if is_empty { start } else { found.end.max(start) };
            *span = base + start..base + end;
            floor = start;
        }
        Ok(is_gone)
    }

    /// Tokens of a text, found step by step by the crate's normalizers and pre-tokenizers; spans as it tells them.
    pub(super) fn by_steps(&self, text: &str, parse_special: bool) -> Result<Vec<Token>> {
        limits::check_spaces(text)?;
        let mut pieces = self.cut(text, parse_special)?;
        self.split(&mut pieces)?;
        let tokenize = |piece: &NormalizedString| {
            let mut found = Vec::new();
            self.model.encode(piece.get(), &mut found).map_err(boxed)?;
            let token =
                |place: (u32, u32), id| tokenizers::Token::new(id, String::new(), (place.0 as usize, place.1 as usize));
            Ok(found.into_iter().map(|f| token((f.start, f.end), f.id)).collect())
        };
        pieces.tokenize(tokenize).map_err(gave_up)?;
        let encoding = pieces.into_encoding(None, 0, OffsetType::Byte).map_err(gave_up)?;
        let spans = encoding.get_offsets().iter().map(|(start, end)| *start..*end);
        Ok(encoding.get_ids().iter().zip(spans).map(|(id, span)| Token { id: *id, span }).collect())
    }

    /// The text without its added tokens, normalized.
    pub(super) fn cut(&self, text: &str, parse_special: bool) -> Result<PreTokenizedString> {
        let mut pieces = PreTokenizedString::from(text);
        let cut = |part: &NormalizedString, place| self.cut_part(part, place, parse_special);
        pieces.split(|_, part| cut(&part, In::Raw).map_err(boxed)).map_err(gave_up)?;
        let normalize = |mut part: NormalizedString| {
            self.normals.run(&mut part)?;
            cut(&part, In::Normalized)
        };
        pieces.split(|_, part| normalize(part).map_err(boxed)).map_err(gave_up)?;
        Ok(pieces)
    }

    /// Cuts it into words.
    pub(super) fn split(&self, pieces: &mut PreTokenizedString) -> Result<()> {
        self.splits.run(pieces)
    }

    /// Of BPE only.
    pub(super) fn merges(&self) -> Option<&Merges> {
        match &self.model {
            Model::Bpe(bpe) => Some(bpe.merges()),
            _ => None,
        }
    }

    /// Scores by id, of Unigram only.
    pub(super) fn scores(&self) -> Vec<Option<f64>> {
        match &self.model {
            Model::Unigram(model) => model.unigram.scores.iter().copied().map(Some).collect(),
            _ => Vec::new(),
        }
    }

    fn cut_part(&self, text: &NormalizedString, place: In, parse_special: bool) -> Result<Pieces> {
        let mut pieces = Vec::new();
        self.added.cut(text.get(), place, parse_special, &mut |added, span| {
            let token = added.map(|id| vec![tokenizers::Token::new(id, String::new(), (0, span.len()))]);
            let slice = text.slice(Of::Normalized(span)).ok_or_else(|| Fault::bug("a stretch is not in the text"))?;
            pieces.push((slice, token));
            Ok(())
        })?;
        Ok(pieces)
    }
}

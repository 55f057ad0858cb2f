//! A tokenizer.json step by step: the `tokenizers` crate normalizes and splits, a plain model of our own makes the tokens.

use std::ops::Range;

use tokenizers::{NormalizedString, OffsetReferential, OffsetType, PreTokenizedString, normalizer};

use super::{
    super::{Vocabulary, limits, mapped::Mapped, model::Model, pipeline::Pipeline},
    Budget, Candidate, Choice, Part, PartKind, Word, WordToken, aligned,
    bpe::Rules,
};
use crate::fault::{Fault, Result};

/// How words become tokens.
pub(super) fn method(pipeline: &Pipeline) -> &'static str {
    match &pipeline.model {
        Model::Bpe(_) => "BPE: the pair of the lowest rank merges first",
        Model::WordPiece(_) => "WordPiece: at each place the longest token",
        Model::WordLevel(_) => "Whole words: each is a token, or unknown",
        Model::Unigram(_) => "Unigram: of all ways through a word the one of the highest sum of scores",
    }
}

fn cannot(e: tokenizers::Error) -> Fault {
    Fault::unsupported(format!("cannot encode this text: {e}"))
}

/// The text's parts, by the added tokens that are written out in it.
pub(super) fn parts(
    vocabulary: &Vocabulary,
    pipeline: &Pipeline,
    text: &str,
    parse_special: bool,
    budget: &mut Budget,
) -> Result<Vec<Part>> {
    let whole = pipeline.cut(text, parse_special)?;
    let mut parts = Vec::new();
    for (piece, span, tokens) in whole.get_splits(OffsetReferential::Original, OffsetType::Byte) {
        let span = span.0..span.1;
        parts.push(match tokens.as_ref().and_then(|tokens| tokens.first()) {
            Some(token) => Part::whole(PartKind::Special, span, token.id),
            None => Part { kind: PartKind::Text, span, id: None, prepared: Vec::new(), words: Vec::new() },
        });
        debug_assert!(tokens.as_ref().is_none_or(|tokens| tokens.len() == 1), "{piece:?}");
    }
    let normalized = texts(&whole)?;
    let mut split = whole;
    pipeline.split(&mut split)?;
    // Pre-tokenizers split each part on its own and keep the order of the source.
    let mut words = texts(&split)?.into_iter().peekable();
    let texts_of = parts.iter_mut().filter(|part| part.kind == PartKind::Text);
    let mut rest: Vec<(&mut Part, Mapped)> = texts_of.zip(normalized).collect();
    let steps = Steps::new(vocabulary, pipeline);
    let count = rest.len();
    for (nth, (part, prepared)) in rest.iter_mut().enumerate() {
        part.prepared = aligned(text, part.span.clone(), [&*prepared]);
        let is_last = nth + 1 == count;
        while let Some(word) = words.next_if(|word| is_last || word.source(0..word.text.len()).start < part.span.end) {
            part.words.push(steps.word(&word, budget)?);
        }
    }
    Ok(parts)
}

/// The pieces that are no tokens yet, each knowing where it came from.
fn texts(pieces: &PreTokenizedString) -> Result<Vec<Mapped>> {
    let mut found = Vec::new();
    pieces
        .clone()
        .split(|_, piece| {
            found.push(mapped(&piece));
            Ok(std::iter::once(piece))
        })
        .map_err(cannot)?;
    Ok(found)
}

fn mapped(piece: &NormalizedString) -> Mapped {
    let mut mapped = Mapped::default();
    let (base, _) = piece.offsets_original();
    for (at, c) in piece.get().char_indices() {
        let range = normalizer::Range::Normalized(at..at + c.len_utf8());
        let span = piece.convert_offsets(range).map_or(base..base, |span| base + span.start..base + span.end);
        let mut buffer = [0; 4];
        mapped.push(c.encode_utf8(&mut buffer), span);
    }
    mapped
}

/// The model, and what is looked up once for all words.
struct Steps<'a> {
    vocabulary: &'a Vocabulary,
    pipeline: &'a Pipeline,
    /// Unigram: by id, the unknown character's, the longest token's bytes.
    scores: Vec<f64>,
    unknown_score: f64,
    longest: usize,
}

/// How much less likely than the least likely token an unknown character is, in the crate.
const UNKNOWN_PENALTY: f64 = 10.0;
/// Look-ups that one word may cost.
const LOOK_UPS: usize = 1 << 22;

impl<'a> Steps<'a> {
    fn new(vocabulary: &'a Vocabulary, pipeline: &'a Pipeline) -> Self {
        let (mut scores, mut longest) = (Vec::new(), 0);
        if let Model::Unigram(model) = &pipeline.model {
            longest = model.tokens.iter().map(|(text, _)| text.len()).max().unwrap_or(0);
            scores.clone_from(&model.unigram.scores);
        }
        let unknown_score = scores.iter().copied().fold(f64::INFINITY, f64::min) - UNKNOWN_PENALTY;
        Self { vocabulary, pipeline, scores, unknown_score, longest }
    }

    fn word(&self, prepared: &Mapped, budget: &mut Budget) -> Result<Word> {
        let tokens = self.pipeline.model.tokens();
        let id_of = |text: &str| tokens.get(text.as_bytes());
        match &self.pipeline.model {
            Model::Bpe(bpe) => {
                let options = bpe.options();
                let rules = Rules {
                    table: &self.vocabulary.table,
                    id_of: &id_of,
                    merges: bpe.merges(),
                    unknown: options.unknown.as_deref().and_then(id_of),
                    fuse_unknown: options.fuse_unknown,
                    byte_fallback: options.byte_fallback,
                    prefix: &options.prefix,
                    suffix: &options.suffix,
                    ignore_merges: options.ignore_merges,
                };
                Ok(rules.run(prepared, 0..prepared.text.len(), budget))
            }
            Model::WordPiece(pieces) => {
                let unknown = id_of(&pieces.unknown);
                let is_long = prepared.text.chars().count() > pieces.longest;
                Ok(word_piece(prepared, id_of, &pieces.prefix, unknown, is_long, budget))
            }
            Model::WordLevel(words) => {
                let mut word = Word::of(prepared, 0..prepared.text.len());
                let all = 0..word.text.len();
                let found = id_of(&word.text).map(|id| (id, "whole word"));
                let found = found.or_else(|| id_of(&words.unknown).map(|id| (id, "unknown")));
                word.tokens.extend(found.map(|(id, how)| token(prepared, id, all, how)));
                Ok(word)
            }
            Model::Unigram(model) => self.unigram(prepared, (model.unknown, model.byte_fallback), budget),
        }
    }

    /// The best way through a word, as the crate's Unigram finds it.
    fn unigram(
        &self,
        prepared: &Mapped,
        (unknown, byte_fallback): (Option<u32>, bool),
        budget: &mut Budget,
    ) -> Result<Word> {
        let text = prepared.text.as_str();
        limits::check("look-ups for one word", text.len().saturating_mul(self.longest), LOOK_UPS)?;
        let tokens = self.pipeline.model.tokens();
        let id_of = |text: &str| tokens.get(text.as_bytes());
        // Sum of the best way to each byte, where its last token begins, and its id.
        let mut best: Vec<Option<(f64, usize, Option<u32>)>> = vec![None; text.len() + 1];
        let sum_at = |best: &[Option<(f64, usize, Option<u32>)>], at: usize| {
            best.get(at).copied().flatten().map_or(0.0, |(sum, ..)| sum)
        };
        let candidates = |at: usize, before: f64| {
            let c = text.get(at..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8);
            let mut found: Vec<(usize, Option<u32>, f64, f64)> = Vec::new();
            for end in at + 1..=(at + self.longest).min(text.len()) {
                if let Some(id) = text.get(at..end).and_then(id_of) {
                    let score = self.scores.get(id as usize).copied().unwrap_or(0.0);
                    found.push((end, Some(id), score, score + before));
                }
            }
            if !found.iter().any(|(end, ..)| *end == at + c) {
                found.push((at + c, unknown, self.unknown_score, self.unknown_score + before));
            }
            found
        };
        for at in text.char_indices().map(|(at, _)| at) {
            for (end, id, _, sum) in candidates(at, sum_at(&best, at)) {
                if best.get(end).copied().flatten().is_none_or(|(least, ..)| sum > least)
                    && let Some(slot) = best.get_mut(end)
                {
                    *slot = Some((sum, at, id));
                }
            }
        }
        let mut way = Vec::new();
        let mut end = text.len();
        while let Some((_, start, id)) = best.get(end).copied().flatten().filter(|(_, start, _)| *start < end) {
            way.push((start..end, id));
            end = start;
        }
        way.reverse();
        let mut word = Word::of(prepared, 0..text.len());
        let mut listed = true;
        for (part, _) in &way {
            let all: Vec<Candidate> = candidates(part.start, sum_at(&best, part.start))
                .into_iter()
                .map(|(end, id, score, total)| Candidate {
                    id,
                    text: text.get(part.start..end).unwrap_or_default().to_owned(),
                    score: Some(score),
                    total: Some(total),
                    taken: end == part.end,
                })
                .collect();
            listed = listed && budget.take(all.len());
            if listed {
                word.choices.push(Choice { at: part.start, candidates: all });
            }
        }
        for part in fused(way, unknown) {
            let piece = text.get(part.clone()).unwrap_or_default();
            let bytes = || piece.bytes().map(|byte| id_of(&format!("<0x{byte:02X}>"))).collect::<Option<Vec<u32>>>();
            match (id_of(piece), bytes().filter(|_| byte_fallback)) {
                (Some(id), _) => {
                    let how = if Some(id) == unknown { "unknown" } else { "" };
                    word.tokens.push(token(prepared, id, part, how));
                }
                (None, Some(ids)) => {
                    word.tokens
                        .extend(ids.into_iter().zip(part).map(|(id, at)| token(prepared, id, at..at + 1, "byte")));
                }
                (None, None) => word.tokens.extend(unknown.map(|id| token(prepared, id, part, "unknown"))),
            }
        }
        if !listed {
            word.leave_out(budget);
        }
        Ok(word)
    }
}

/// Unknown characters next to each other as one part.
fn fused(way: Vec<(Range<usize>, Option<u32>)>, unknown: Option<u32>) -> Vec<Range<usize>> {
    let mut parts: Vec<(Range<usize>, bool)> = Vec::new();
    for (part, id) in way {
        let is_unknown = id == unknown;
        match parts.last_mut() {
            Some((last, true)) if is_unknown => last.end = part.end,
            _ => parts.push((part, is_unknown)),
        }
    }
    parts.into_iter().map(|(part, _)| part).collect()
}

fn token(prepared: &Mapped, id: u32, part: Range<usize>, how: &'static str) -> WordToken {
    WordToken { id, span: prepared.source(part.clone()), part, how }
}

fn word_piece(
    prepared: &Mapped,
    id_of: impl Fn(&str) -> Option<u32>,
    prefix: &str,
    unknown: Option<u32>,
    is_long: bool,
    budget: &mut Budget,
) -> Word {
    let text = prepared.text.as_str();
    let mut word = Word::of(prepared, 0..text.len());
    let (mut at, mut listed, mut is_bad) = (0, true, is_long);
    while !is_bad && at < text.len() {
        let matched = |end: &usize| {
            let piece = text.get(at..*end)?;
            let written = if at == 0 { piece.to_owned() } else { format!("{prefix}{piece}") };
            id_of(&written).map(|id| (*end, id, written))
        };
        let ends: Vec<usize> = (at + 1..=text.len()).collect();
        let mut found: Vec<(usize, Candidate)> = ends
            .iter()
            .filter_map(matched)
            .map(|(end, id, text)| (end, Candidate { id: Some(id), text, score: None, total: None, taken: false }))
            .collect();
        let longest = found.last_mut().map(|(end, candidate)| {
            candidate.taken = true;
            (*end, candidate.id)
        });
        listed = listed && budget.take(found.len() + 1);
        if listed {
            word.choices.push(Choice { at, candidates: found.into_iter().map(|(_, candidate)| candidate).collect() });
        }
        match longest {
            Some((end, id)) => {
                word.tokens.extend(id.map(|id| token(prepared, id, at..end, "")));
                at = end;
            }
            None => is_bad = true,
        }
    }
    if is_bad {
        word.tokens = unknown.map(|id| token(prepared, id, 0..text.len(), "unknown")).into_iter().collect();
    }
    if !listed {
        word.leave_out(budget);
    }
    word
}

//! Looking through a vocabulary: tokens found by text, bytes, id or type, in a chosen order.

use std::ops::Range;

use super::{Method, PieceKind, Vocabulary, table::Entry};

/// What a token is, holes and unused ones told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenType {
    /// Ordinary text.
    Normal,
    /// BOS, EOS and the like.
    Control,
    /// Added by a person.
    UserDefined,
    /// Stands for what has no token.
    Unknown,
    /// One byte.
    Byte,
    /// Marked as unused by the file.
    Unused,
    /// An id without a token.
    Hole,
}

impl TokenType {
    /// All types in the order in which they are listed.
    pub const ALL: [Self; 7] =
        [Self::Normal, Self::Control, Self::UserDefined, Self::Unknown, Self::Byte, Self::Unused, Self::Hole];

    /// "normal", "user-defined", ...
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Control => "control",
            Self::UserDefined => "user-defined",
            Self::Unknown => "unknown",
            Self::Byte => "byte",
            Self::Unused => "unused",
            Self::Hole => "hole",
        }
    }

    /// The type of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    fn of(entry: &Entry) -> Self {
        match entry.kind {
            PieceKind::Normal if entry.text.is_empty() => Self::Hole,
            PieceKind::Normal if entry.hidden => Self::Unused,
            PieceKind::Normal => Self::Normal,
            PieceKind::Control => Self::Control,
            PieceKind::UserDefined => Self::UserDefined,
            PieceKind::Unknown => Self::Unknown,
            PieceKind::Byte => Self::Byte,
        }
    }
}

/// What is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Search {
    /// Every token.
    All,
    /// A part of a token's text or of its writing in the vocabulary; ASCII letters in either case.
    Text(String),
    /// A part of a token's bytes.
    Bytes(Vec<u8>),
    /// One id.
    Id(u32),
}

impl Search {
    /// "#123" is an id, "0xE282" or "0xE2 82" are bytes, anything else is text.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        if text.is_empty() {
            return Self::All;
        }
        if let Some(id) = text.strip_prefix('#').and_then(|id| id.parse().ok()) {
            return Self::Id(id);
        }
        if let Some(bytes) = text.strip_prefix("0x").and_then(hex_bytes) {
            return Self::Bytes(bytes);
        }
        Self::Text(text.to_owned())
    }
}

/// "e2 82" or "E282" as bytes.
fn hex_bytes(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|c| *c != ' ')
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    (rest.is_empty() && !pairs.is_empty()).then(|| pairs.iter().map(|[high, low]| high * 16 + low).collect())
}

/// In which order tokens are listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sort {
    /// By id.
    #[default]
    Id,
    /// The longest first, by bytes.
    Length,
    /// The best score or the lowest rank first; tokens without one last.
    Score,
}

/// Which tokens, in which order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenQuery {
    /// What is looked for.
    pub search: Search,
    /// Only tokens of this type; holes are listed only when asked for.
    pub kind: Option<TokenType>,
    /// The order.
    pub sort: Sort,
    /// The other way round.
    pub reverse: bool,
}

/// One token of the vocabulary.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// Its id.
    pub id: u32,
    /// As the vocabulary writes it ("Ġthe", "▁the", "<0x0A>").
    pub piece: String,
    /// The bytes that it stands for, a control token's name.
    pub bytes: Vec<u8>,
    /// What it is.
    pub kind: TokenType,
    /// Its score, where the vocabulary has scores.
    pub score: Option<f64>,
    /// The rank of the first merge that makes it, or its own, where the vocabulary has ranks.
    pub rank: Option<u32>,
}

/// Tokens that a query found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Found {
    /// How many there are.
    pub matching: usize,
    /// Those asked for.
    pub tokens: Vec<Listed>,
}

/// A vocabulary made ready to be looked through: every query is one pass over its bytes.
pub struct Catalog {
    /// The bytes of all tokens, one after the other, and where each token's end.
    bytes: Vec<u8>,
    ends: Vec<u32>,
    kinds: Vec<TokenType>,
    scores: Vec<Option<f64>>,
    ranks: Vec<Option<u32>>,
}

impl Catalog {
    /// Makes a vocabulary ready; takes some milliseconds and about ten bytes a token besides the tokens' own.
    #[must_use]
    pub fn new(vocabulary: &Vocabulary) -> Self {
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        for id in 0..vocabulary.len() as u32 {
            bytes.extend(vocabulary.table.written(id));
            // At most `limits::TOKENS` tokens of `limits::TOKEN_BYTES` bytes were read from a file of less than 4 GiB.
            ends.push(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        }
        let (scores, ranks) = marks(vocabulary);
        Self { bytes, ends, kinds: vocabulary.table.entries().iter().map(TokenType::of).collect(), scores, ranks }
    }

    /// How many tokens there are of each type.
    #[must_use]
    pub fn counts(&self) -> [(TokenType, usize); 7] {
        TokenType::ALL.map(|kind| (kind, self.kinds.iter().filter(|other| **other == kind).count()))
    }

    /// Stretches of ids of a type: where each begins and ends, the first `most` of them.
    #[must_use]
    pub fn stretches(&self, kind: TokenType, most: usize) -> Vec<Range<u32>> {
        let mut all: Vec<Range<u32>> = Vec::new();
        for (id, _) in (0..).zip(&self.kinds).filter(|(_, other)| **other == kind) {
            if let Some(last) = all.last_mut().filter(|last| last.end == id) {
                last.end = id + 1;
            } else if all.len() == most {
                break;
            } else {
                all.push(id..id + 1);
            }
        }
        all
    }

    /// "score" or "rank" where tokens have one.
    #[must_use]
    pub fn measure(&self) -> Option<&'static str> {
        if self.scores.iter().any(Option::is_some) {
            return Some("score");
        }
        self.ranks.iter().any(Option::is_some).then_some("rank")
    }

    /// Tokens of the same vocabulary, from the `first` that the query finds on.
    #[must_use]
    pub fn find(&self, vocabulary: &Vocabulary, query: &TokenQuery, first: usize, count: usize) -> Found {
        let mut ids: Vec<u32> =
            (0..vocabulary.len() as u32).filter(|id| self.matches(vocabulary, query, *id)).collect();
        match query.sort {
            Sort::Id => {}
            Sort::Length => crate::order::sort_by_key(&mut ids, |id| std::cmp::Reverse(self.part(*id).len())),
            Sort::Score => {
                let key = |id: &u32| {
                    let nth = *id as usize;
                    let score = self.scores.get(nth).copied().flatten().map(|score| -score);
                    score.or_else(|| self.ranks.get(nth).copied().flatten().map(f64::from)).unwrap_or(f64::INFINITY)
                };
                crate::order::sort_by(&mut ids, |a, b| key(a).total_cmp(&key(b)));
            }
        }
        if query.reverse {
            ids.reverse();
        }
        let matching = ids.len();
        let tokens = ids.into_iter().skip(first).take(count).map(|id| self.listed(vocabulary, id)).collect();
        Found { matching, tokens }
    }

    fn part(&self, id: u32) -> &[u8] {
        let nth = id as usize;
        let start = nth.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0, |end| *end as usize);
        self.ends.get(nth).and_then(|end| self.bytes.get(start..*end as usize)).unwrap_or_default()
    }

    fn matches(&self, vocabulary: &Vocabulary, query: &TokenQuery, id: u32) -> bool {
        let kind = self.kinds.get(id as usize).copied().unwrap_or(TokenType::Hole);
        let is_id = query.search == Search::Id(id);
        let is_kind = query.kind.map_or(kind != TokenType::Hole || is_id, |wanted| wanted == kind);
        is_kind
            && match &query.search {
                Search::All => true,
                Search::Id(_) => is_id,
                Search::Bytes(bytes) => self.part(id).windows(bytes.len().max(1)).any(|part| part == bytes),
                Search::Text(text) => {
                    let holds = |all: &[u8]| {
                        all.windows(text.len().max(1)).any(|part| part.eq_ignore_ascii_case(text.as_bytes()))
                    };
                    holds(self.part(id)) || vocabulary.token_text(id).is_some_and(|piece| holds(piece.as_bytes()))
                }
            }
    }

    fn listed(&self, vocabulary: &Vocabulary, id: u32) -> Listed {
        let nth = id as usize;
        Listed {
            id,
            piece: vocabulary.token_text(id).unwrap_or_default().to_owned(),
            bytes: self.part(id).to_vec(),
            kind: self.kinds.get(nth).copied().unwrap_or(TokenType::Hole),
            score: self.scores.get(nth).copied().flatten(),
            rank: self.ranks.get(nth).copied().flatten(),
        }
    }
}

/// Scores and ranks by id.
fn marks(vocabulary: &Vocabulary) -> (Vec<Option<f64>>, Vec<Option<u32>>) {
    let count = vocabulary.len();
    let scores = |scores: &[f32]| scores.iter().map(|score| Some(f64::from(*score))).collect();
    match &vocabulary.method {
        Method::Spm(spm) => (scores(&spm.scores), Vec::new()),
        Method::Whole(whole) => (scores(&whole.scores), Vec::new()),
        Method::Unigram(unigram) => (unigram.scores.iter().copied().map(Some).collect(), Vec::new()),
        // Counted in ten-thousandths there.
        Method::Plamo2(plamo2) => {
            (plamo2.scores.iter().map(|score| score.map(|score| score as f64 / 1e4)).collect(), Vec::new())
        }
        Method::ByteBpe(bpe) => (Vec::new(), bpe.model.merges().ranks(count)),
        Method::Ranked(ranked) => {
            let mut ranks = vec![None; count];
            for (_, rank) in ranked.ranks.iter() {
                if let Some(slot) = ranks.get_mut(rank.saturating_add(ranked.shift) as usize) {
                    *slot = Some(rank);
                }
            }
            (Vec::new(), ranks)
        }
        Method::Json(pipeline) => {
            (pipeline.scores(), pipeline.merges().map_or_else(Vec::new, |merges| merges.ranks(count)))
        }
        Method::WordPiece(_) | Method::Longest(_) => (Vec::new(), Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_is_an_id_bytes_or_a_text_by_how_it_begins() {
        assert_eq!(Search::parse("#12"), Search::Id(12));
        assert_eq!(Search::parse("0xE2 82"), Search::Bytes(vec![0xE2, 0x82]));
        assert_eq!(Search::parse("0xe282"), Search::Bytes(vec![0xE2, 0x82]));
        for text in ["#", "#a", "0x", "0xE", "0xéé", "the"] {
            assert_eq!(Search::parse(text), Search::Text(text.to_owned()));
        }
        assert_eq!(Search::parse(""), Search::All);
    }
}

//! Byte-pair encoding: of all neighbours that merge, those of the lowest rank first, the leftmost among equals.
//!
//! The tokens of a piece equal those of the `tokenizers` crate's BPE (`src/models/bpe/`), which the
//! tests ask; it is not used here because it looks up every token's text again and makes a string of it.

use std::{cmp::Reverse, collections::BinaryHeap};

use super::{alphabet, merges::Merges, slots::TextIds};
use crate::fault::{Blame, Fault, Result};

/// Up to so many symbols the next merge is looked for among all; beyond, in a queue.
const FEW: usize = 40;
/// Characters below this have their ids in an array; the byte alphabet is among them.
const COMMON: usize = 0x180;
/// No id, or no merge.
const NONE: u32 = u32::MAX;

/// A token of a piece, with the bytes of the piece that it covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub id: u32,
    pub start: u32,
    pub end: u32,
}

/// What a file says about a BPE besides tokens and merges.
#[derive(Debug, Default)]
pub(super) struct BpeOptions {
    /// Stands for a character without token.
    pub unknown: Option<String>,
    /// Neighbouring unknown characters are one token.
    pub fuse_unknown: bool,
    /// Characters without token become tokens of their bytes, `<0x0A>`.
    pub byte_fallback: bool,
    /// A piece that is a token as a whole is not merged.
    pub ignore_merges: bool,
    /// Written before every character but a piece's first.
    pub prefix: String,
    /// Written after a piece's last character.
    pub suffix: String,
}

/// A BPE vocabulary.
#[derive(Debug)]
pub(super) struct Bpe {
    tokens: TextIds,
    merges: Merges,
    common: Box<[u32]>,
    /// The token of each byte, where bytes are a fallback.
    bytes: Option<Box<[Option<u32>; 256]>>,
    /// The unknown token's id; none inside where the vocabulary lacks it.
    unknown: Option<Option<u32>>,
    options: BpeOptions,
    /// Whether every token has an id of its own.
    has_own_ids: bool,
}

fn broken(what: impl Into<String>) -> Fault {
    Fault::new(Blame::File, what)
}

/// The id that two tokens merge to, by their texts; or which token the vocabulary lacks.
pub(super) fn joined<'a>(
    tokens: &TextIds,
    (left, right): (&'a str, &'a str),
    prefix: &str,
    buffer: &'a mut String,
) -> Result<[u32; 3], &'a str> {
    buffer.clear();
    buffer.extend([left, right.get(prefix.len()..).unwrap_or_default()]);
    let id = |text: &'a str| tokens.get(text.as_bytes()).ok_or(text);
    Ok([id(left)?, id(right)?, id(buffer)?])
}

impl Bpe {
    /// From tokens with their ids, and merges in the order of their ranks.
    pub(super) fn new(tokens: TextIds, merges: Vec<[u32; 3]>, options: BpeOptions) -> Result<Self> {
        let mut common = vec![NONE; COMMON];
        for (c, id) in (0..).zip(&mut common) {
            let mut buffer = [0; 4];
            let text = char::from_u32(c).map(|c| c.encode_utf8(&mut buffer));
            *id = text.and_then(|text| tokens.get(text.as_bytes())).unwrap_or(NONE);
        }
        let bytes = options.byte_fallback.then(|| {
            let mut bytes = Box::new([None; 256]);
            for (byte, id) in bytes.iter_mut().enumerate() {
                *id = tokens.get(format!("<0x{byte:02X}>").as_bytes());
            }
            bytes
        });
        let unknown = options.unknown.as_ref().map(|text| tokens.get(text.as_bytes()));
        let mut ids: Vec<u32> = tokens.iter().map(|(_, id)| id).collect();
        ids.sort_unstable();
        let has_own_ids = ids.array_windows().all(|[a, b]| a != b);
        let merges = Merges::new(merges)?;
        Ok(Self { tokens, merges, common: common.into(), bytes, unknown, options, has_own_ids })
    }

    /// The vocabulary.
    pub(super) fn tokens(&self) -> &TextIds {
        &self.tokens
    }

    /// The merges.
    pub(super) fn merges(&self) -> &Merges {
        &self.merges
    }

    /// What the file says besides.
    pub(super) fn options(&self) -> &BpeOptions {
        &self.options
    }

    /// The rank at which two neighbours merge.
    #[inline]
    fn rank(&self, left: u32, right: u32) -> u32 {
        self.merges.get(left, right).map_or(NONE, |joined| joined.rank)
    }

    /// Whether no merge joins a token that ends without `space` to one that begins with it: then
    /// a text can be cut before each `space` that follows another character, and its parts encoded alone.
    pub(super) fn cuts_before(&self, space: char) -> bool {
        let mut buffer = [0; 4];
        let space: &str = space.encode_utf8(&mut buffer);
        let last = self.tokens.iter().map(|(_, id)| id as usize + 1).max().unwrap_or(0);
        let mut ends = vec![(false, false); last];
        for (text, id) in self.tokens.iter() {
            let (begins, ends_other) = (text.starts_with(space.as_bytes()), !text.ends_with(space.as_bytes()));
            let known = &mut ends[id as usize];
            *known = (known.0 || begins, known.1 || ends_other);
        }
        let has_affixes = !self.options.prefix.is_empty() || !self.options.suffix.is_empty();
        let joins = |[left, right, _]: &[u32; 3]| ends[*left as usize].1 && ends[*right as usize].0;
        // A whole piece that is a token would not be cut either.
        !has_affixes
            && !self.options.ignore_merges
            && self.tokens.get(space.as_bytes()).is_some()
            && !self.merges.iter().any(joins)
    }

    /// Appends the tokens of a piece.
    pub(super) fn encode(&self, piece: &str, found: &mut Vec<Found>) -> Result<()> {
        if self.options.ignore_merges
            && let Some(id) = self.tokens.get(piece.as_bytes())
        {
            found.push(Found { id, start: 0, end: piece.len() as u32 });
            return Ok(());
        }
        let first = found.len();
        self.symbols(piece, found)?;
        if found.len() - first <= FEW && self.has_own_ids {
            self.merge_few(found, first);
        } else {
            self.merge_many(found, first);
        }
        Ok(())
    }

    /// Appends the tokens of a piece's characters.
    fn symbols(&self, piece: &str, found: &mut Vec<Found>) -> Result<()> {
        let options = &self.options;
        let has_affixes = !options.prefix.is_empty() || !options.suffix.is_empty();
        let mut unknown: Option<Found> = None;
        let mut affixed = String::new();
        for (at, c) in piece.char_indices() {
            let (start, end) = (at as u32, (at + c.len_utf8()) as u32);
            let mut text = &piece[at..end as usize];
            if has_affixes {
                affixed.clear();
                let is_last = end as usize == piece.len();
                affixed.push_str(if at > 0 { &options.prefix } else { "" });
                affixed.push(c);
                affixed.push_str(if is_last { &options.suffix } else { "" });
                text = &affixed;
            }
            let id = match self.common.get(c as usize).filter(|_| !has_affixes) {
                Some(id) => *id,
                None => self.tokens.get(text.as_bytes()).unwrap_or(NONE),
            };
            if id != NONE {
                found.extend(unknown.take());
                found.push(Found { id, start, end });
                continue;
            }
            if let Some(bytes) = &self.bytes
                && text.bytes().all(|byte| bytes[usize::from(byte)].is_some())
            {
                let is_plain = text.len() == c.len_utf8();
                found.extend(text.bytes().zip(start..).filter_map(|(byte, at)| {
                    let (start, end) = if is_plain { (at, at + 1) } else { (start, end) };
                    Some(Found { id: bytes[usize::from(byte)]?, start, end })
                }));
                continue;
            }
            let Some(id) = self.unknown else { continue };
            let id = id.ok_or_else(|| {
                let name = options.unknown.as_deref().unwrap_or_default();
                broken(format!("the unknown token {name:?} is needed for {c:?} and is not in the vocabulary"))
            })?;
            match &mut unknown {
                Some(run) if options.fuse_unknown => run.end = end,
                _ => found.extend(unknown.replace(Found { id, start, end })),
            }
        }
        found.extend(unknown);
        Ok(())
    }

    fn merge_few(&self, found: &mut Vec<Found>, first: usize) {
        let mut ranks = [NONE; FEW];
        let symbols = &mut found[first..];
        let mut count = symbols.len();
        for at in 1..count {
            ranks[at - 1] = self.rank(symbols[at - 1].id, symbols[at].id);
        }
        while count > 1 {
            let (mut at, mut best) = (0, NONE);
            for (nth, rank) in ranks[..count - 1].iter().enumerate() {
                if *rank < best {
                    (at, best) = (nth, *rank);
                }
            }
            if best == NONE {
                break;
            }
            symbols[at].id = self.merges.made(best);
            symbols[at].end = symbols[at + 1].end;
            symbols.copy_within(at + 2..count, at + 1);
            ranks.copy_within(at + 1..count - 1, at);
            count -= 1;
            if at + 1 < count {
                ranks[at] = self.rank(symbols[at].id, symbols[at + 1].id);
            }
            if at > 0 {
                ranks[at - 1] = self.rank(symbols[at - 1].id, symbols[at].id);
            }
        }
        found.truncate(first + count);
    }

    fn merge_many(&self, found: &mut Vec<Found>, first: usize) {
        let symbols = &mut found[first..];
        let count = symbols.len();
        // Neighbours by place; a place that was merged into the one before has none.
        let mut before: Vec<u32> = (0..count as u32).map(|at| at.wrapping_sub(1)).collect();
        let mut after: Vec<u32> = (1..=count as u32).collect();
        let mut queue = BinaryHeap::with_capacity(count);
        let offer = |queue: &mut BinaryHeap<_>, symbols: &[Found], left: usize, right: usize| {
            let rank = self.rank(symbols[left].id, symbols[right].id);
            if rank != NONE {
                queue.push(Reverse((rank, left as u32)));
            }
        };
        for right in 1..count {
            offer(&mut queue, symbols, right - 1, right);
        }
        while let Some(Reverse((rank, left))) = queue.pop() {
            let left = left as usize;
            let right = after[left] as usize;
            if right >= count {
                continue;
            }
            // What was offered may be merged meanwhile; the crate goes by what comes of it, so that ids given twice tell.
            let now = self.rank(symbols[left].id, symbols[right].id);
            let id = self.merges.made(rank);
            if now == NONE || self.merges.made(now) != id {
                continue;
            }
            symbols[left].id = id;
            symbols[left].end = symbols[right].end;
            let next = after[right];
            after[left] = next;
            after[right] = NONE;
            if (next as usize) < count {
                before[next as usize] = left as u32;
            }
            if let Some(earlier) = usize::try_from(before[left]).ok().filter(|at| *at < count) {
                offer(&mut queue, symbols, earlier, left);
            }
            if (next as usize) < count {
                offer(&mut queue, symbols, left, next as usize);
            }
        }
        let mut at = 0;
        let mut kept = 0;
        while at < count {
            symbols[kept] = symbols[at];
            kept += 1;
            at = after[at] as usize;
        }
        found.truncate(first + kept);
    }
}

/// Tokens of a piece spelt in the byte alphabet, with the bytes that it stands for.
pub(super) fn encode_bytes(bpe: &Bpe, bytes: &[u8], spelt: &mut String, found: &mut Vec<Found>) -> Result<()> {
    spelt.clear();
    spelt.extend(bytes.iter().map(|byte| alphabet::to_char(*byte)));
    bpe.encode(spelt, found)?;
    if spelt.len() == bytes.len() {
        return Ok(());
    }
    // Characters of two bytes stand for one; the tokens come in order.
    let (mut chars, mut seen) = (0, 0);
    let mut count = |end: u32| {
        let part = spelt.as_bytes().get(seen..end as usize).unwrap_or_default();
        // Bytes that continue a character are 10xxxxxx.
        chars += part.iter().filter(|byte| **byte & 0xC0 != 0x80).count() as u32;
        seen = seen.max(end as usize);
        chars
    };
    for token in found.iter_mut() {
        (token.start, token.end) = (count(token.start), count(token.end));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bpe(tokens: &[&str], merges: &[(&str, &str)], options: BpeOptions) -> Bpe {
        let tokens = TextIds::new(tokens.iter().map(|text| text.as_bytes()).zip(0..)).unwrap();
        let mut buffer = String::new();
        let merges = merges.iter().map(|pair| joined(&tokens, *pair, &options.prefix, &mut buffer).unwrap()).collect();
        Bpe::new(tokens, merges, options).unwrap()
    }

    fn ids(bpe: &Bpe, piece: &str) -> Vec<(u32, u32, u32)> {
        let mut found = Vec::new();
        bpe.encode(piece, &mut found).unwrap();
        found.iter().map(|token| (token.id, token.start, token.end)).collect()
    }

    #[test]
    fn the_lowest_rank_merges_first_and_the_leftmost_among_equals() {
        let all = bpe(&["a", "b", "ab", "aa", "aab"], &[("a", "a"), ("a", "b"), ("aa", "b")], BpeOptions::default());
        assert_eq!(ids(&all, "aaab"), [(3, 0, 2), (2, 2, 4)]);
        assert_eq!(ids(&all, "aab"), [(4, 0, 3)]);
        assert_eq!(ids(&all, "xab"), [(2, 1, 3)], "what has no token is left out");
        assert_eq!(ids(&all, ""), []);
    }

    #[test]
    fn few_and_many_symbols_merge_alike() {
        let all = bpe(
            &["a", "b", "c", "ab", "bc", "abc", "ca", "aa", "aaaa"],
            &[("b", "c"), ("c", "a"), ("a", "b"), ("a", "a"), ("a", "bc"), ("aa", "aa")],
            BpeOptions::default(),
        );
        let mut state = 1_u32;
        for _ in 0..2000 {
            let mut text = String::new();
            for _ in 0..state % 39 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                text.push(['a', 'b', 'c'][(state >> 24) as usize % 3]);
            }
            state = state.wrapping_add(1);
            let (mut few, mut many) = (Vec::new(), Vec::new());
            all.symbols(&text, &mut few).unwrap();
            all.symbols(&text, &mut many).unwrap();
            all.merge_few(&mut few, 0);
            all.merge_many(&mut many, 0);
            assert_eq!(few, many, "{text}");
        }
    }

    #[test]
    fn a_text_may_be_cut_before_spaces_only_where_no_merge_crosses_them() {
        let safe = bpe(&["▁", "a", "▁a", "▁▁"], &[("▁", "a"), ("▁", "▁")], BpeOptions::default());
        assert!(safe.cuts_before('▁'));
        let crossing = bpe(&["▁", "a", "a▁"], &[("a", "▁")], BpeOptions::default());
        assert!(!crossing.cuts_before('▁'));
    }
}

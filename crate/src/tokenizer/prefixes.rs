//! Which tokens does a text begin with here? A sorted list, narrowed byte by byte.
//!
//! A trie would answer faster but needs a node for every byte of a file's tokens; the sorted list
//! needs four bytes a token. Work is counted, so that a vocabulary made of long runs cannot hang.

use std::cell::Cell;

use super::limits;
use crate::fault::{Fault, Result};

/// Tokens in the order of their bytes.
#[derive(Debug)]
pub(super) struct Prefixes {
    /// Bytes and id, sorted.
    tokens: Vec<(Box<[u8]>, u32)>,
    /// Where tokens that begin with each byte start; one more for the end.
    starts: Box<[u32; 257]>,
}

/// What is left of the work that one text may cost.
#[derive(Debug)]
pub(super) struct Work(Cell<u64>);

impl Work {
    /// For a text of so many bytes.
    pub(super) fn on(bytes: usize) -> Self {
        Self(Cell::new(limits::STEPS + limits::STEPS_PER_BYTE * bytes as u64))
    }

    fn step(&self) -> Result<()> {
        match self.0.get().checked_sub(1) {
            Some(left) => {
                self.0.set(left);
                Ok(())
            }
            None => Err(Fault::limit(format!(
                "the search for tokens takes more than {} steps a byte of this text",
                limits::STEPS_PER_BYTE
            ))),
        }
    }
}

impl Prefixes {
    /// Of equal tokens the one given last is found; empty ones are left out.
    pub(super) fn new(tokens: impl Iterator<Item = (Vec<u8>, u32)>) -> Self {
        let mut tokens: Vec<(Box<[u8]>, u32)> =
            tokens.filter(|(bytes, _)| !bytes.is_empty()).map(|(bytes, id)| (bytes.into_boxed_slice(), id)).collect();
        // A stable sort keeps equal tokens as given; the later one then replaces the earlier.
        crate::order::sort_by(&mut tokens, |a, b| a.0.cmp(&b.0));
        tokens.dedup_by(|later, kept| {
            let is_same = later.0 == kept.0;
            if is_same {
                kept.1 = later.1;
            }
            is_same
        });
        let mut starts = Box::new([0; 257]);
        for (byte, start) in starts.iter_mut().enumerate() {
            *start = tokens.partition_point(|(bytes, _)| bytes.first().is_some_and(|b| usize::from(*b) < byte)) as u32;
        }
        Self { tokens, starts }
    }

    /// Calls back with the length and id of every token that `text` begins with, shortest first.
    pub(super) fn walk(&self, text: &[u8], work: &Work, mut found: impl FnMut(usize, u32)) -> Result<()> {
        let Some(first) = text.first() else { return Ok(()) };
        let start = |byte: usize| self.starts[byte] as usize;
        let mut left = &self.tokens[start(usize::from(*first))..start(usize::from(*first) + 1)];
        let mut depth = 1;
        while let Some((shortest, rest)) = left.split_first() {
            work.step()?;
            if shortest.0.len() == depth {
                found(depth, shortest.1);
                left = rest;
            }
            let Some(next) = text.get(depth) else { break };
            let from = left.partition_point(|(bytes, _)| bytes.get(depth) < Some(next));
            let to = left.partition_point(|(bytes, _)| bytes.get(depth) <= Some(next));
            left = &left[from..to];
            depth += 1;
        }
        Ok(())
    }

    /// The longest token that `text` begins with.
    pub(super) fn longest(&self, text: &[u8], work: &Work) -> Result<Option<(usize, u32)>> {
        let mut longest = None;
        self.walk(text, work, |length, id| longest = Some((length, id)))?;
        Ok(longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefixes(tokens: &[&str]) -> Prefixes {
        Prefixes::new((0..).zip(tokens).map(|(id, token)| (token.as_bytes().to_vec(), id)))
    }

    #[test]
    fn every_token_that_a_text_begins_with_is_found_shortest_first() {
        let all = prefixes(&["a", "abc", "b", "", "ab", "abd", "€", "a"]);
        let mut found = Vec::new();
        all.walk(b"abcd", &Work::on(4), |length, id| found.push((length, id))).unwrap();
        assert_eq!(found, [(1, 7), (2, 4), (3, 1)]);
        let longest = |text: &str| all.longest(text.as_bytes(), &Work::on(text.len())).unwrap();
        assert_eq!((longest("abx"), longest("€"), longest("x"), longest("")), (Some((2, 4)), Some((3, 6)), None, None));
    }

    #[test]
    fn a_search_that_never_ends_is_stopped() {
        let long = "a".repeat(50_000);
        let all = prefixes(&["a", &long]);
        let text = "a".repeat(49_999);
        let work = Work::on(text.len());
        let fault = (0..text.len()).find_map(|at| all.longest(&text.as_bytes()[at..], &work).err());
        assert!(fault.is_some_and(|fault| fault.what.contains("steps")));
    }
}

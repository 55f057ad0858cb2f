//! SentencePiece's `precompiled_charsmap`: which stretches of a text become which others.
//!
//! Layout: u32 LE byte count of a double-array trie, the trie (u32 LE units), then the
//! replacements, each ending in a zero byte. Source: sentencepiece, `src/normalizer.cc`.

use super::base64;
use crate::fault::{Blame, Fault, Result};

/// Bytes of one decoded map; known ones have about 250,000.
const MAP_BYTES: usize = 1 << 24;

fn broken(what: &str) -> Fault {
    Fault::new(Blame::File, format!("precompiled_charsmap: {what}"))
}

/// A checked map.
#[derive(Debug)]
pub(super) struct Charsmap {
    units: Vec<u32>,
    texts: String,
}

/// A fault unless every walk through the map stays inside it: the crate walks it unchecked.
pub(super) fn check(base64: Option<&str>) -> Result<()> {
    let text = base64.ok_or_else(|| broken("missing"))?;
    super::limits::check("bytes in a precompiled_charsmap", text.len() / 4 * 3, MAP_BYTES)?;
    let bytes = base64::decode(text).ok_or_else(|| broken("not base64"))?;
    Charsmap::parse(&bytes).map(|_| ())
}

impl Charsmap {
    /// Reads and checks a map.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        super::limits::check("bytes in a precompiled_charsmap", bytes.len(), MAP_BYTES)?;
        let (count, rest) = bytes.split_first_chunk::<4>().ok_or_else(|| broken("too short"))?;
        let count = u32::from_le_bytes(*count) as usize;
        if count % 4 != 0 || count == 0 || count > rest.len() {
            return Err(broken("the trie's size does not fit the map"));
        }
        let (trie, texts) = rest.split_at(count);
        let texts = std::str::from_utf8(texts).map_err(|_| broken("the replacements are not UTF-8"))?;
        let units: Vec<u32> = trie.as_chunks::<4>().0.iter().map(|unit| u32::from_le_bytes(*unit)).collect();
        walk(&units, texts)?;
        Ok(Self { units, texts: texts.to_owned() })
    }

    /// The longest start of `text` that the map replaces: its length and what it becomes.
    pub(super) fn longest(&self, text: &[u8]) -> Option<(usize, &str)> {
        let mut node = offset(*self.units.first()?);
        let mut longest = None;
        for (nth, byte) in text.iter().enumerate() {
            node ^= usize::from(*byte);
            let unit = *self.units.get(node)?;
            if *byte == 0 || unit & ((1 << 31) | 0xFF) != u32::from(*byte) {
                break;
            }
            node ^= offset(unit);
            if (unit >> 8) & 1 == 1 {
                let value = self.units.get(node)? & ((1 << 31) - 1);
                longest = Some((nth + 1, value as usize));
            }
        }
        let (length, start) = longest?;
        Some((length, self.texts.get(start..)?.split('\0').next().unwrap_or_default()))
    }
}

fn offset(unit: u32) -> usize {
    ((unit >> 10) as usize) << ((unit & (1 << 9)) >> 6)
}

/// Visits every node that some text can reach.
fn walk(units: &[u32], texts: &str) -> Result<()> {
    let outside = || broken("the trie points outside itself");
    let mut seen = vec![false; units.len()];
    let mut open = vec![offset(units[0])];
    while let Some(node) = open.pop() {
        for byte in 1..=255_u8 {
            let child = node ^ usize::from(byte);
            let unit = *units.get(child).ok_or_else(outside)?;
            if unit & ((1 << 31) | 0xFF) != u32::from(byte) || std::mem::replace(&mut seen[child], true) {
                continue;
            }
            let next = child ^ offset(unit);
            if (unit >> 8) & 1 == 1 {
                let value = units.get(next).ok_or_else(outside)? & ((1 << 31) - 1);
                if !texts.is_char_boundary(value as usize) {
                    return Err(broken("a replacement starts outside the texts or inside a character"));
                }
            }
            open.push(next);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trie_that_points_outside_itself_is_refused() {
        // One unit only: its children lie outside.
        let fault = check(Some("BAAAAAAAAAA=")).unwrap_err();
        assert!(fault.what.contains("outside itself"), "{fault}");
        assert!(check(Some("")).is_err());
        assert!(check(Some("/////w==")).is_err());
    }
}

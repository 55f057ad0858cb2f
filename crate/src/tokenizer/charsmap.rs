//! Checks a SentencePiece `precompiled_charsmap` before the crate walks it unchecked.
//!
//! Layout: u32 LE byte count of a double-array trie, the trie (u32 LE units), then the
//! replacements, each ending in a zero byte. Source: sentencepiece, `src/normalizer.cc`.

use crate::fault::{Blame, Fault, Result};

/// Bytes of one decoded map; known ones have about 250,000.
const MAP_BYTES: usize = 1 << 24;

fn broken(what: &str) -> Fault {
    Fault::new(Blame::File, format!("normalizer Precompiled: {what}"))
}

/// A fault unless every walk through the map stays inside it.
pub(super) fn check(base64: Option<&str>) -> Result<()> {
    let text = base64.ok_or_else(|| broken("no precompiled_charsmap"))?;
    super::limits::check("bytes in a precompiled_charsmap", text.len() / 4 * 3, MAP_BYTES)?;
    let bytes = decode_base64(text).ok_or_else(|| broken("precompiled_charsmap is not base64"))?;
    let (count, rest) = bytes.split_first_chunk::<4>().ok_or_else(|| broken("precompiled_charsmap is too short"))?;
    let count = u32::from_le_bytes(*count) as usize;
    if count % 4 != 0 || count == 0 || count > rest.len() {
        return Err(broken("the trie's size does not fit the map"));
    }
    let (trie, texts) = rest.split_at(count);
    let texts = std::str::from_utf8(texts).map_err(|_| broken("the replacements are not UTF-8"))?;
    let units: Vec<u32> = trie.as_chunks::<4>().0.iter().map(|unit| u32::from_le_bytes(*unit)).collect();
    walk(&units, texts)
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

fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=').as_bytes();
    let mut out = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for group in digits.chunks(4) {
        let mut word = 0;
        for digit in group {
            let value = match digit {
                b'A'..=b'Z' => digit - b'A',
                b'a'..=b'z' => digit - b'a' + 26,
                b'0'..=b'9' => digit - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            word = (word << 6) | u32::from(value);
        }
        let missing = 4 - group.len();
        if missing == 3 {
            return None;
        }
        word <<= 6 * missing;
        out.extend_from_slice(&word.to_be_bytes()[1..4 - missing]);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_every_length_is_read() {
        for (text, bytes) in [("", &b""[..]), ("Zg==", b"f"), ("Zm8=", b"fo"), ("Zm9v", b"foo"), ("Zm9vYg==", b"foob")]
        {
            assert_eq!(decode_base64(text).as_deref(), Some(bytes));
        }
        assert_eq!(decode_base64("Z"), None);
        assert_eq!(decode_base64("Zm9*"), None);
    }

    #[test]
    fn a_trie_that_points_outside_itself_is_refused() {
        // One unit only: its children lie outside.
        let fault = check(Some("BAAAAAAAAAA=")).unwrap_err();
        assert!(fault.what.contains("outside itself"), "{fault}");
        assert!(check(Some("")).is_err());
        assert!(check(Some("/////w==")).is_err());
    }
}

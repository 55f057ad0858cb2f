//! RWKV's world vocabulary (`rwkv` in GGUF): at each place the longest token.
//!
//! Source: llama.cpp, `llm_tokenizer_rwkv_session` in `src/llama-vocab.cpp`. Where that would
//! search for ever (bytes that begin tokens and are none), the byte is left out here.

use super::{
    Token,
    prefixes::{Prefixes, Work},
};
use crate::fault::Result;

/// How `rwkv` vocabularies encode.
#[derive(Debug)]
pub(super) struct Longest {
    pub tokens: Prefixes,
    /// Stands for a byte that begins no token.
    pub unknown: Option<u32>,
}

impl Longest {
    /// Appends the tokens of `text`, which lies at byte `base` of the whole input.
    pub(super) fn encode(&self, text: &str, base: usize, out: &mut Vec<Token>) -> Result<()> {
        let work = Work::on(text.len());
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            let (length, id) = match self.tokens.longest(&bytes[at..], &work)? {
                Some((length, id)) => (length, Some(id)),
                None => (1, self.unknown),
            };
            out.extend(id.map(|id| Token { id, span: base + at..base + at + length }));
            at += length;
        }
        Ok(())
    }
}

/// A token as the file writes it (`\n`, `\t`, `\r`, `\xHH`, `\` before any other byte), as bytes.
pub(super) fn unescape(token: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(token.len());
    let mut bytes = token.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match bytes.next() {
            Some(b't') => out.push(b'\t'),
            Some(b'n') => out.push(b'\n'),
            Some(b'r') => out.push(b'\r'),
            Some(b'x') => {
                let digits = [bytes.next(), bytes.next()];
                let value = |digit: Option<u8>| digit.and_then(|d| char::from(d).to_digit(16));
                if let (Some(high), Some(low)) = (value(digits[0]), value(digits[1])) {
                    out.push((high * 16 + low) as u8);
                }
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::unescape;

    #[test]
    fn escapes_of_the_rwkv_vocabulary_become_bytes() {
        assert_eq!(unescape(r"a\n\t\r\\\'\x80z"), b"a\n\t\r\\'\x80z");
        assert_eq!(unescape(r"é\xff"), b"\xC3\xA9\xFF");
        assert_eq!(unescape(r"\x8"), b"");
        assert_eq!(unescape("\\"), b"");
    }
}

//! What kind of tokenizer's file this is: by its first bytes, and by its name where those do not speak against it.

use crate::formats::codec::{json::Scanner, protobuf};

/// The kinds of files that a tokenizer lies in; those that say most first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TokenizerKind {
    /// `tokenizer.json` of the tokenizers library.
    Json,
    /// Mistral's `tekken.json`.
    Tekken,
    /// SentencePiece's `.model`.
    SentencePiece,
    /// `vocab.json`, which has its `merges.txt` beside it.
    Lists,
    /// tiktoken's ranks: a token in base64 and its rank a line.
    Ranks,
    /// `vocab.txt`: a token a line.
    Words,
}

/// Top-level members of a `tokenizer.json` that other files do not have.
const JSON_MEMBERS: &[&str] =
    &["truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder"];
/// Members of its `model`.
const MODEL_MEMBERS: &[&[u8]] = &[b"\"type\"", b"\"vocab\"", b"\"merges\"", b"\"unk_token\"", b"\"unk_id\""];
/// Special tokens that BERT's vocabularies begin with.
const BERT: &[&str] = &["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
/// Lines or members below which a file says too little of itself.
const FEW: usize = 8;
/// Ids of a vocabulary (the tokenizer's own limit).
const IDS_MOST: u64 = 1 << 22;

/// The kind of a file of `len` bytes that begins with `head`.
pub fn tokenizer_kind(head: &[u8], name: &str, len: u64) -> Option<TokenizerKind> {
    by_content(head, len).or_else(|| by_name(head, name))
}

/// By content alone.
pub(super) fn by_content(head: &[u8], len: u64) -> Option<TokenizerKind> {
    let whole = head.len() as u64 >= len;
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    if text.trim_ascii_start().starts_with(b"{") {
        return json(text);
    }
    if pieces(head, len) {
        return Some(TokenizerKind::SentencePiece);
    }
    lines(text, whole)
}

/// By the name, which may have a prefix: "tokenizer.json", "gpt2.vocab.json".
fn by_name(head: &[u8], name: &str) -> Option<TokenizerKind> {
    let base = name.rsplit('/').next().unwrap_or(name);
    let is = |known: &str| base.strip_suffix(known).is_some_and(|p| p.is_empty() || p.ends_with('.'));
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let object = text.starts_with(b"{");
    // What a server or Git LFS put there instead is told for what it is.
    let foreign = text.is_empty() || text.starts_with(b"<") || text.starts_with(b"version https://git-lfs");
    match () {
        () if foreign => None,
        () if object && is("tokenizer.json") => Some(TokenizerKind::Json),
        () if object && is("tekken.json") => Some(TokenizerKind::Tekken),
        () if object && is("vocab.json") => Some(TokenizerKind::Lists),
        () if object => None,
        () if [".tiktoken"].iter().any(|end| base.ends_with(end)) => Some(TokenizerKind::Ranks),
        () if is("vocab.txt") => Some(TokenizerKind::Words),
        () if ["tokenizer.model", "spiece.model", ".bpe.model", "sentencepiece.model"]
            .iter()
            .any(|e| base.ends_with(e)) =>
        {
            // Llama 3 calls its rank file tokenizer.model; a SentencePiece model begins with the tag of its first piece.
            Some(if head.first() == Some(&0x0a) { TokenizerKind::SentencePiece } else { TokenizerKind::Ranks })
        }
        () => None,
    }
}

fn has(text: &[u8], words: &[u8]) -> bool {
    text.windows(words.len()).any(|w| w == words)
}

/// The first members of an object tell; the text may end anywhere.
fn json(text: &[u8]) -> Option<TokenizerKind> {
    if has(text, b"\"default_vocab_size\"") && has(text, b"\"pattern\"") {
        return Some(TokenizerKind::Tekken);
    }
    let mut scanner = Scanner::new(text, 0);
    scanner.expect(b'{').ok()?;
    let (mut first, mut known) = (true, 0);
    let (mut ids, mut letters, mut marked, mut other) = (0usize, 0usize, 0usize, false);
    while let Ok(true) = scanner.member(b'}', first) {
        first = false;
        let Ok(key) = scanner.string() else { break };
        if scanner.expect(b':').is_err() {
            break;
        }
        known += usize::from(JSON_MEMBERS.contains(&key.as_ref()));
        let opens = scanner.peek();
        if key == "added_tokens" && has(scanner.rest(), b"\"single_word\"") {
            known += 1;
        }
        if key == "model" && opens == Some(b'{') && MODEL_MEMBERS.iter().any(|m| has(scanner.rest(), m)) {
            return Some(TokenizerKind::Json);
        }
        if matches!(opens, Some(b'0'..=b'9')) {
            let Ok(id) = scanner.whole() else { break };
            ids += usize::from(id < IDS_MOST);
            letters += usize::from(key.chars().count() == 1);
            let marks = ["Ġ", "▁", "##", "</w>", "Ċ", "âĢ"];
            marked += usize::from(marks.iter().any(|m| key.contains(m)));
        } else {
            other = true;
            if scanner.value().is_err() {
                break;
            }
        }
    }
    if known >= 2 {
        return Some(TokenizerKind::Json);
    }
    // A map from texts to ids; one from labels to numbers has neither letters nor marks of words in it.
    (!other && ids >= 32 && (letters * 2 >= ids || marked * 4 >= ids)).then_some(TokenizerKind::Lists)
}

/// `ModelProto { 1 pieces { 1 piece, 2 score float, 3 type }, 2 trainer, 3 normalizer, 4 self test, 5 denormalizer }`.
fn pieces(head: &[u8], len: u64) -> bool {
    let (mut at, mut found) = (0usize, 0usize);
    while let Some(rest) = head.get(at..).filter(|r| !r.is_empty()) {
        let Ok(tag) = protobuf::varint(rest) else { return false };
        let Some((tag, n)) = tag else { break };
        let Ok(size) = protobuf::varint(rest.get(n..).unwrap_or(&[])) else { return false };
        let Some((size, m)) = size else { break };
        let start = at + n + m;
        let Some(end) = (start as u64).checked_add(size).filter(|end| *end <= len) else { return false };
        match tag {
            0x0a => match usize::try_from(end).ok().and_then(|end| head.get(start..end)) {
                Some(message) if piece(message) => found += 1,
                Some(_) => return false,
                None => break,
            },
            0x12 | 0x1a | 0x22 | 0x2a => {}
            _ => return false,
        }
        let Ok(next) = usize::try_from(end) else { break };
        at = next;
    }
    found > 0
}

/// A text, and a score or a type.
fn piece(message: &[u8]) -> bool {
    let (mut at, mut text, mut more) = (0, false, false);
    while let Some(rest) = message.get(at..).filter(|r| !r.is_empty()) {
        match rest {
            [0x0a, after @ ..] => {
                let Ok(Some((n, m))) = protobuf::varint(after) else { return false };
                let Some(piece) = usize::try_from(n).ok().and_then(|n| after.get(m..)?.get(..n)) else { return false };
                text |= std::str::from_utf8(piece).is_ok();
                at += 1 + m + piece.len();
            }
            [0x15, _, _, _, _, ..] => {
                more = true;
                at += 5;
            }
            [0x18, 1..=6, ..] => {
                more = true;
                at += 2;
            }
            _ => return false,
        }
    }
    text && more
}

/// Ranks, or the words of a BERT vocabulary: by their lines.
fn lines(text: &[u8], whole: bool) -> Option<TokenizerKind> {
    let valid = match std::str::from_utf8(text) {
        Ok(text) => text,
        // The first bytes of a file may end inside a character.
        Err(e) if e.error_len().is_none() && !whole => std::str::from_utf8(text.get(..e.valid_up_to())?).ok()?,
        Err(_) => return None,
    };
    let complete = if whole { valid } else { valid.rsplit_once('\n')?.0 };
    let lines: Vec<&str> = complete.lines().collect();
    let ranks = lines.iter().filter(|l| !l.is_empty()).all(|line| is_rank(line));
    if ranks && lines.len() >= FEW {
        return Some(TokenizerKind::Ranks);
    }
    let words = lines.iter().all(|l| l.len() <= 256 && !l.contains([' ', '\t']));
    let special = BERT.iter().filter(|token| lines.contains(token)).count();
    (words && special >= 2).then_some(TokenizerKind::Words)
}

/// "SGVsbG8= 9906".
pub(super) fn is_rank(line: &str) -> bool {
    let Some((token, rank)) = line.split_once(' ') else { return false };
    let letters = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=');
    !token.is_empty() && token.len() % 4 == 0 && token.bytes().all(letters) && rank.trim_end().parse::<u32>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> Option<TokenizerKind> {
        tokenizer_kind(text.as_bytes(), "anything.bin", text.len() as u64)
    }

    #[test]
    fn tokenizers_are_known_under_any_name() {
        assert_eq!(
            kind(r#"{"version":"1.0","truncation":null,"padding":null,"added_tokens":[{"#),
            Some(TokenizerKind::Json)
        );
        assert_eq!(kind(r#"{"model":{"type":"BPE","vocab":{}}}"#), Some(TokenizerKind::Json));
        assert_eq!(
            kind(r#"{"config":{"pattern":"x","num_vocab_tokens":1,"default_vocab_size":9}}"#),
            Some(TokenizerKind::Tekken)
        );
        assert_eq!(kind("[PAD]\n[UNK]\n[CLS]\nhello\n##s\n"), Some(TokenizerKind::Words));
        let ranks: String = (0..9).map(|n| format!("SGVsbG8= {n}\n")).collect();
        assert_eq!(kind(&ranks), Some(TokenizerKind::Ranks));
        let vocab: Vec<String> =
            (0..40u8).map(|n| format!("\"{}\":{n}", char::from(n + 0x30).escape_default())).collect();
        assert_eq!(kind(&format!("{{{}}}", vocab.join(","))), Some(TokenizerKind::Lists));
        let piece = b"\x0a\x0e\x0a\x05<unk>\x15\0\0\0\0\x18\x02";
        assert_eq!(tokenizer_kind(piece, "x", piece.len() as u64), Some(TokenizerKind::SentencePiece));
    }

    #[test]
    fn what_only_looks_alike_is_none() {
        assert_eq!(kind(r#"{"model_type":"llama","vocab_size":32}"#), None);
        let labels: Vec<String> = (0..40).map(|n| format!("\"LABEL_{n}\":{n}")).collect();
        assert_eq!(kind(&format!("{{{}}}", labels.join(","))), None);
        assert_eq!(kind("Two lines of a text\nthat someone wrote\n"), None);
        assert_eq!(kind(""), None);
        let page = b"<html>";
        assert_eq!(tokenizer_kind(page, "vocab.txt", 6), None);
    }
}

//! The `tokenizers` library itself, asked beside our own ways through a `tokenizer.json`.

use std::{fs, sync::LazyLock};

use glassbox::tokenizer::Vocabulary;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{PARSED, PLAIN, corpus};

/// A file as both read it.
struct Both {
    name: String,
    ours: Vocabulary,
    theirs: tokenizers::Tokenizer,
}

impl Both {
    fn of(name: &str, file: &Value) -> Self {
        let text = file.to_string();
        let mut theirs: tokenizers::Tokenizer = text.parse().unwrap_or_else(|e| panic!("{name}: {e}"));
        theirs.with_truncation(None).unwrap();
        theirs.with_padding(None);
        let ours = Vocabulary::from_json(text.as_bytes()).unwrap_or_else(|e| panic!("{name}: {e}"));
        Self { name: name.to_owned(), ours, theirs }
    }

    fn check(&self, text: &str) {
        let theirs = self.theirs.encode(text, false).map(|encoding| encoding.get_ids().to_vec());
        match (self.ours.encode(text, PARSED), theirs) {
            (Ok(ours), Ok(theirs)) => assert_eq!(ours, theirs, "{}: {text:?}", self.name),
            (Err(_), Err(_)) => {}
            (ours, theirs) => panic!("{}: {text:?}: {ours:?} here, {theirs:?} there", self.name),
        }
        // A second time, from what was kept, and with places.
        if let Ok(preview) = self.ours.preview(text, PARSED) {
            let again: Vec<u32> = preview.pieces.iter().map(|piece| piece.id).collect();
            assert_eq!(again, self.ours.encode(text, PARSED).unwrap(), "{}: {text:?}", self.name);
            let mut floor = 0;
            for piece in &preview.pieces {
                assert!(
                    piece.span.start >= floor && piece.span.start <= piece.span.end && piece.span.end <= text.len()
                );
                floor = piece.span.start;
            }
        }
        let _ = self.ours.encode(text, PLAIN);
    }
}

static FILES: LazyLock<Vec<(String, Value)>> = LazyLock::new(|| {
    let names = [
        "tokenizers/phi-3-mini.tokenizer.json",
        "tokenizers/roberta-base.tokenizer.json",
        "tokenizers/t5-small.tokenizer.json",
        "minilm/tokenizer.json",
        "hf-llama2xs/tokenizer.json",
    ];
    let read = |name: &str| {
        let file = serde_json::from_slice(&fs::read(corpus(name)?).unwrap()).unwrap();
        Some((name.to_owned(), file))
    };
    names.into_iter().filter_map(read).collect()
});

/// A byte-level BPE with some merges.
fn byte_level(pre_tokenizer: &Value, changes: &[(&str, Value)]) -> Value {
    let printable = |byte: u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    let mut shifted = 0x100;
    let mut vocab = serde_json::Map::new();
    for byte in 0..=255_u8 {
        let code = if printable(byte) {
            u32::from(byte)
        } else {
            shifted += 1;
            shifted - 1
        };
        vocab.insert(char::from_u32(code).unwrap().to_string(), json!(byte));
    }
    let merges = [
        ("Ġ", "t"),
        ("h", "e"),
        ("Ġt", "he"),
        ("l", "l"),
        ("Ġ", "Ġ"),
        ("ĠĠ", "ĠĠ"),
        ("Ã", "©"),
        ("1", "2"),
        ("Ċ", "Ċ"),
        ("'", "s"),
        ("i", "n"),
    ];
    for (nth, (left, right)) in merges.iter().enumerate() {
        vocab.insert(format!("{left}{right}"), json!(256 + nth));
    }
    let merges: Vec<String> = merges.iter().map(|(left, right)| format!("{left} {right}")).collect();
    with(
        changes,
        json!({
            "version": "1.0",
            "added_tokens": [added(300, "<|end|>", &[]), added(301, "<x>", &["normalized"])],
            "normalizer": null, "pre_tokenizer": pre_tokenizer, "post_processor": null, "decoder": null,
            "model": {"type": "BPE", "vocab": vocab, "merges": merges},
        }),
    )
}

/// A BPE over plain text with `▁`.
fn meta(normalizer: &Value, pre_tokenizer: &Value, changes: &[(&str, Value)]) -> Value {
    let mut vocab = serde_json::Map::new();
    let words = [
        "<unk>",
        "▁",
        "▁▁",
        "▁▁▁▁",
        "t",
        "h",
        "e",
        "he",
        "▁t",
        "▁the",
        "a",
        "▁a",
        "é",
        "l",
        "ll",
        "1",
        "'",
        "s",
        "中",
        "<0xE2>",
        "<0x96>",
        "<0x81>",
    ];
    for (nth, word) in words.iter().enumerate() {
        vocab.insert((*word).to_owned(), json!(nth));
    }
    let merges = ["▁ ▁", "▁▁ ▁▁", "h e", "▁ t", "▁t he", "▁ a", "l l"];
    with(
        changes,
        json!({
            "version": "1.0", "added_tokens": [added(300, "<s>", &[]), added(301, "<a>", &["rstrip"]), added(302, "<b>", &["lstrip", "single_word"])],
            "normalizer": normalizer, "pre_tokenizer": pre_tokenizer, "post_processor": null, "decoder": null,
            "model": {"type": "BPE", "vocab": vocab, "merges": merges, "unk_token": "<unk>", "fuse_unk": true},
        }),
    )
}

fn word_piece(normalizer: &Value, pre_tokenizer: &Value) -> Value {
    let words = [
        "[UNK]",
        "[CLS]",
        "the",
        "##s",
        "a",
        "##a",
        "t",
        "##h",
        "##e",
        "the##",
        "é",
        "e",
        "i",
        "##i",
        "中",
        "!",
        "'",
        "##1",
        "1",
        "ss",
        "##ss",
        "か",
        "##か",
        "##\u{3099}",
        "\u{1100}",
        "##\u{1161}",
    ];
    let vocab: serde_json::Map<String, Value> =
        words.iter().enumerate().map(|(nth, word)| ((*word).to_owned(), json!(nth))).collect();
    json!({
        "version": "1.0", "added_tokens": [added(1, "[CLS]", &[])],
        "normalizer": normalizer, "pre_tokenizer": pre_tokenizer, "post_processor": null, "decoder": null,
        "model": {"type": "WordPiece", "vocab": vocab, "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 12},
    })
}

fn unigram(pre_tokenizer: &Value, byte_fallback: bool) -> Value {
    let words = [
        ("<unk>", 0.0),
        ("▁", -2.0),
        ("▁the", -3.5),
        ("▁t", -3.0),
        ("h", -3.1),
        ("e", -3.2),
        ("he", -4.0),
        ("a", -3.0),
        ("aa", -5.9),
        ("l", -3.0),
        ("ll", -6.0),
        ("中", -6.0),
        ("<0xC3>", -9.0),
        ("<0xA9>", -9.0),
    ];
    let vocab: Vec<Value> = words.iter().map(|(word, score)| json!([word, score])).collect();
    json!({
        "version": "1.0", "added_tokens": [added(0, "<unk>", &[])],
        "normalizer": {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}, "pre_tokenizer": pre_tokenizer, "post_processor": null, "decoder": null,
        "model": {"type": "Unigram", "vocab": vocab, "unk_id": 0, "byte_fallback": byte_fallback},
    })
}

fn added(id: u32, content: &str, flags: &[&str]) -> Value {
    let flag = |name: &str| flags.contains(&name);
    json!({"id": id, "content": content, "special": true, "single_word": flag("single_word"), "lstrip": flag("lstrip"), "rstrip": flag("rstrip"), "normalized": flag("normalized")})
}

fn with(changes: &[(&str, Value)], mut file: Value) -> Value {
    for (key, value) in changes {
        file["model"][*key] = value.clone();
    }
    file
}

/// Every short way, and steps that have none.
fn own_files() -> Vec<(String, Value)> {
    let level = |prefix: bool, regex: bool| json!({"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": true, "use_regex": regex});
    let split = |pattern: &str| json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false});
    let sequence = |steps: &[Value]| json!({"type": "Sequence", "pretokenizers": steps});
    let cl100k = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
    let bert = |strip: Option<bool>, lowercase: bool, clean: bool| json!({"type": "BertNormalizer", "clean_text": clean, "handle_chinese_chars": clean, "strip_accents": strip, "lowercase": lowercase});
    let bert_split = json!({"type": "BertPreTokenizer"});
    let space = json!({"type": "Replace", "pattern": {"String": " "}, "content": "▁"});
    let prepend = json!({"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, space]});
    let metaspace = |scheme: &str, split: bool| json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": split});
    let nfc = |mut file: Value| {
        file["normalizer"] = json!({"type": "NFC"});
        file
    };
    let merge = json!({"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": false});
    let crossing = [("vocab", json!({"▁": 0, "a": 1, "a▁": 2, "<unk>": 3})), ("merges", json!(["a ▁"]))];
    let words = json!({"type": "WhitespaceSplit"});
    let mut files = vec![
        ("byte level", byte_level(&level(false, true), &[])),
        ("byte level with a space before", byte_level(&level(true, true), &[])),
        ("byte level without rules", byte_level(&level(false, false), &[])),
        ("cl100k", byte_level(&sequence(&[split(cl100k), level(false, false)]), &[])),
        (
            "cl100k, whole words first",
            byte_level(&sequence(&[split(cl100k), level(false, false)]), &[("ignore_merges", json!(true))]),
        ),
        ("cl100k, composed", nfc(byte_level(&sequence(&[split(cl100k), level(false, false)]), &[]))),
        (
            "digits alone",
            byte_level(&sequence(&[json!({"type": "Digits", "individual_digits": true}), level(false, true)]), &[]),
        ),
        ("another rule", byte_level(&sequence(&[split(r"\w+|[^\w\s]"), level(true, false)]), &[])),
        (
            "bytes with affixes",
            byte_level(&level(false, true), &[("end_of_word_suffix", json!("s")), ("unk_token", json!("a"))]),
        ),
        ("llama", meta(&prepend, &json!(null), &[])),
        ("llama with bytes", meta(&prepend, &json!(null), &[("byte_fallback", json!(true))])),
        ("llama, unknown ones apart", meta(&prepend, &json!(null), &[("fuse_unk", json!(false))])),
        ("gemma", meta(&space, &merge, &[])),
        ("merges across spaces", meta(&prepend, &json!(null), &crossing)),
        ("metaspace", meta(&json!(null), &metaspace("always", true), &[])),
        ("metaspace, first", meta(&json!(null), &metaspace("first", false), &[])),
        ("metaspace, never", meta(&json!(null), &metaspace("never", true), &[])),
        ("metaspace, small", meta(&json!({"type": "Lowercase"}), &metaspace("always", false), &[])),
        ("words of metaspace", meta(&json!(null), &sequence(&[words.clone(), metaspace("always", true)]), &[])),
        ("bert", word_piece(&bert(None, true, true), &bert_split)),
        ("bert, cased", word_piece(&bert(None, false, true), &bert_split)),
        ("bert, accents kept", word_piece(&bert(Some(false), true, true), &bert_split)),
        ("bert, accents off, as it is", word_piece(&bert(Some(true), false, false), &bert_split)),
        ("words, small", word_piece(&json!({"type": "Lowercase"}), &words)),
        ("words as they are", word_piece(&json!(null), &words)),
        ("unigram", unigram(&metaspace("always", true), false)),
        ("unigram with bytes", unigram(&metaspace("always", true), true)),
        ("unigram of words", unigram(&sequence(&[words, metaspace("always", true)]), false)),
        ("unigram, whole", unigram(&metaspace("first", false), false)),
    ];
    let mut levels = byte_level(&level(false, true), &[]);
    levels["model"] = json!({"type": "WordLevel", "vocab": {"Ġthe": 0, "<unk>": 1}, "unk_token": "<unk>"});
    files.push(("whole words", levels));
    files.into_iter().map(|(name, file)| (name.to_owned(), file)).collect()
}

thread_local! {
    static BOTH: Vec<Both> = FILES.iter().cloned().chain(own_files()).map(|(name, file)| Both::of(&name, &file)).collect();
}

fn text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        any::<char>().prop_map(String::from),
        "[ \t\r\n\u{a0}\u{3000}]{1,4}",
        "[atheslT' ]{1,8}",
        "[0-9]{1,5}",
        "[中文字の가か\u{3099}ㄱé\u{301}\u{327}\u{302e}ſßİΣ▁]{1,4}",
        prop::sample::select(vec![
            "<s>",
            "</s>",
            "<|end|>",
            "<|END|>",
            "<x>",
            "<a>",
            "  <b>  ",
            "[CLS]",
            "[cls]",
            " the",
            "the",
            "▁the",
            "👩‍👩‍👧",
            "'LL",
            "\u{0}",
            "ﬁ",
            "\u{ad}",
            "\u{1ACF}",
            "e\u{301}\u{327}",
            "<extra_id_0>",
            "<mask>",
            " <mask>",
            "<|assistant|>\n",
            "\u{600}a",
            "™",
        ])
        .prop_map(String::from),
    ];
    prop::collection::vec(part, 0..16).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn ids_of_any_text_are_those_of_the_library_whatever_way_was_gone(text in text()) {
        BOTH.with(|all| all.iter().for_each(|both| both.check(&text)));
    }
}

#[test]
fn a_long_text_has_the_library_s_ids_too() {
    let mut text = String::new();
    for nth in 0..3000 {
        let words: [&str; 10] = [
            "the",
            "The ",
            " the the",
            "\n\n  ",
            "中文字",
            "hello, world!",
            "éa",
            "12345",
            "a\u{301}",
            &"x".repeat(nth % 60),
        ];
        text.push_str(words[nth * 7 % words.len()]);
        text.push_str([" ", "", "\t", "  "][nth * 5 % 4]);
    }
    BOTH.with(|all| all.iter().for_each(|both| both.check(&text)));
}

#[test]
fn text_without_spaces_takes_time_in_proportion() {
    BOTH.with(|all| {
        for both in all.iter() {
            for part in ["a", "ha", "中", "the", "é", "1", "!", "▁"] {
                let text = part.repeat(200_000 / part.len());
                // A search that is not bounded would take minutes; a limit that is said is fine.
                if let Ok(ids) = both.ours.encode(&text, PARSED) {
                    assert!(!ids.is_empty(), "{}: {part}", both.name);
                }
            }
        }
    });
}

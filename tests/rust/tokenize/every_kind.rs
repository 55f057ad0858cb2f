//! One small vocabulary of every kind, and what holds for any text with each: what decoding gives back, and that the
//! explanation leads to the ids.

use glassbox::tokenizer::{EncodeOptions, Explanation, GgufVocabulary, PartKind, PieceKind, Vocabulary};
use proptest::prelude::*;
use serde_json::json;

use super::{gguf, small_gpt2, small_llama};

/// What a kind is known to lose.
pub(crate) enum Loss {
    /// Nothing.
    None,
    /// Exactly this: what decoding gives for a text.
    Exactly(fn(&str) -> String),
    /// More than is written down here; but after some rounds (each may lose a space at the start) nothing changes any more.
    Settles,
    /// Its decoder leaves marks of the vocabulary in the text, which another round takes for text.
    Marks,
}

/// A vocabulary with its name.
pub(crate) struct Kind {
    pub name: String,
    pub vocabulary: Vocabulary,
    pub loss: Loss,
}

fn keys(model: &str, tokens: &[(&str, i32, f32)]) -> GgufVocabulary {
    GgufVocabulary {
        model: model.into(),
        tokens: tokens.iter().map(|(text, ..)| text.as_bytes().to_vec()).collect(),
        token_types: tokens.iter().map(|(_, kind, _)| *kind).collect(),
        scores: tokens.iter().map(|(.., score)| *score).collect(),
        ..GgufVocabulary::default()
    }
}

/// Control tokens, all bytes as `<0xXX>`, and words with scores.
fn with_bytes(model: &str, words: &[(&str, f32)]) -> GgufVocabulary {
    let bytes: Vec<String> = (0..=255).map(|byte| format!("<0x{byte:02X}>")).collect();
    let mut tokens = vec![("<unk>", 2, 0.0), ("<s>", 3, 0.0), ("</s>", 3, 0.0)];
    tokens.extend(bytes.iter().map(|text| (text.as_str(), 6, 0.0)));
    tokens.extend(words.iter().map(|(text, score)| (*text, 1, *score)));
    let mut keys = keys(model, &tokens);
    keys.special = vec![("bos".into(), 1), ("eos".into(), 2), ("unknown".into(), 0)];
    keys
}

const WORDS: &[(&str, f32)] = &[
    ("▁", -2.0),
    ("a", -3.0),
    ("b", -3.0),
    ("▁a", -4.0),
    ("ab", -3.5),
    ("▁ab", -9.0),
    ("he", -5.0),
    ("h", -6.0),
    ("e", -6.0),
    ("▁the", -2.5),
    ("t", -6.5),
    ("▁t", -6.1),
    ("é", -7.0),
    ("▁▁", -3.0),
];

fn bert() -> GgufVocabulary {
    let printable: Vec<String> = (b'!'..=b'~').map(|byte| char::from(byte).to_string()).collect();
    let words: Vec<String> = printable.iter().map(|c| format!("▁{c}")).collect();
    let mut tokens = vec![("[UNK]", 2, 0.0), ("[CLS]", 3, 0.0), ("[SEP]", 3, 0.0)];
    let all = printable.iter().chain(&words).map(String::as_str);
    tokens.extend(all.chain(["▁the", "▁é", "▁中", "he"]).map(|text| (text, 1, 0.0)));
    let mut keys = keys("bert", &tokens);
    keys.special = vec![("unknown".into(), 0), ("bos".into(), 1), ("seperator".into(), 2)];
    keys
}

fn rwkv() -> GgufVocabulary {
    let mut all: Vec<String> = vec!["<s>".into()];
    all.extend((0..=255).map(|byte| format!(r"\x{byte:02x}")));
    all.extend(["he", "the", "é", r"\n\n", "  "].map(String::from));
    let tokens: Vec<(&str, i32, f32)> =
        all.iter().enumerate().map(|(nth, text)| (text.as_str(), if nth == 0 { 3 } else { 1 }, 0.0)).collect();
    keys("rwkv", &tokens)
}

fn merged(model: &str, pre: Option<&str>) -> GgufVocabulary {
    let mut keys = with_bytes(model, &[("▁", 0.0), ("h", 0.0), ("e", 0.0), ("he", 0.0), ("▁he", 0.0), ("\n\n", 0.0)]);
    keys.pre = pre.map(str::to_owned);
    keys.merges = vec![b"h e".to_vec(), "▁ he".as_bytes().to_vec()];
    keys.scores.clear();
    keys
}

/// Names of `tokenizer.ggml.pre`, one of each family of rules.
const PRES: &[&str] = &[
    "default",
    "gpt-2",
    "starcoder",
    "falcon",
    "llama-bpe",
    "dbrx",
    "chatglm-bpe",
    "jais-2",
    "minicpm5",
    "qwen2",
    "laguna",
    "qwen35",
    "ufakzeka",
    "seed-coder",
    "bailingmoe",
    "exaone-moe",
    "deepseek-llm",
    "deepseek-coder",
    "deepseek-v3",
    "spark2_5",
    "youtu",
    "bloom",
    "viking",
    "tekken",
    "gpt-4o",
    "granite-embed-multi-97m",
    "tiny_aya",
    "superbpe",
    "chameleon",
    "kimi-k2",
    "afmoe",
];

fn spaced(text: &str) -> String {
    text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Spaces are merged and go at the ends; a written ▁ is a space, and at the end it goes too.
fn sentence_piece_loss(text: &str) -> String {
    spaced(text).replace(' ', "▁").trim_end_matches('▁').replace('▁', " ")
}

/// As above, and what has no token is dropped.
fn unigram_loss(text: &str) -> String {
    sentence_piece_loss(text).chars().filter(|c| " abhteé".contains(*c)).collect()
}

/// llama.cpp merges spaces, but leaves a written ▁ at the end.
fn t5_loss(text: &str) -> String {
    spaced(text).replace('▁', " ").chars().filter(|c| " abhteé".contains(*c)).collect()
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn field(number: u64, bytes: &[u8], out: &mut Vec<u8>) {
    varint(number << 3 | 2, out);
    varint(bytes.len() as u64, out);
    out.extend(bytes);
}

/// A SentencePiece model of a type (1 Unigram, 2 BPE), as the library writes it.
fn sentence_piece(model_type: u8, has_bytes: bool) -> Vec<u8> {
    let keys = with_bytes("", WORDS);
    let mut model = Vec::new();
    for ((text, kind), score) in keys.tokens.iter().zip(&keys.token_types).zip(&keys.scores) {
        if *kind == 6 && !has_bytes {
            continue;
        }
        let mut piece = Vec::new();
        field(1, text, &mut piece);
        piece.push(0x15);
        piece.extend(score.to_le_bytes());
        piece.extend([0x18, *kind as u8]);
        field(1, &piece, &mut model);
    }
    let mut trainer = vec![0x18, model_type];
    varint(35 << 3, &mut trainer);
    trainer.push(u8::from(has_bytes));
    field(2, &trainer, &mut model);
    model
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let word = group.iter().enumerate().fold(0, |word, (nth, byte)| word | (u32::from(*byte) << (16 - 8 * nth)));
        for nth in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * nth)) as usize & 63];
            text.push(if nth <= group.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

/// r50k_base's number of ranks: the bytes, three merges, and tokens that no text has.
fn tiktoken() -> Vec<u8> {
    let mut ranks: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
    ranks.extend([b"he".to_vec(), b" t".to_vec(), b" the".to_vec(), "é".as_bytes().to_vec()]);
    let count = ranks.len() as u32;
    ranks.extend((count..50_256).map(|nth| vec![0xFF, nth as u8, (nth >> 8) as u8, 0xFF]));
    let lines = ranks.iter().enumerate().map(|(rank, bytes)| format!("{} {rank}\n", base64(bytes)));
    lines.collect::<String>().into_bytes()
}

fn tekken() -> Vec<u8> {
    let mut ranks: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
    ranks.extend([b"he".to_vec(), b" t".to_vec(), b" the".to_vec()]);
    let vocab: Vec<_> = ranks
        .iter()
        .enumerate()
        .map(|(rank, bytes)| json!({"rank": rank, "token_bytes": base64(bytes), "token_str": null}))
        .collect();
    let pattern = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
    let config = json!({
        "pattern": pattern, "default_vocab_size": 20 + ranks.len(), "default_num_special_tokens": 20, "version": "v3",
    });
    json!({"config": config, "vocab": vocab}).to_string().into_bytes()
}

/// The byte characters with their ids, and merges.
fn byte_level() -> (serde_json::Map<String, serde_json::Value>, Vec<[String; 2]>) {
    let keys = small_gpt2();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let vocab = keys.tokens[..261].iter().enumerate().map(|(id, bytes)| (text(bytes), json!(id))).collect();
    let pair = |merge: &Vec<u8>| {
        let merge = text(merge);
        let (left, right) = merge.split_once(' ').unwrap();
        [left.to_owned(), right.to_owned()]
    };
    (vocab, keys.merges.iter().map(pair).collect())
}

fn tokenizer_json(
    model: serde_json::Value,
    normalizer: serde_json::Value,
    splitter: serde_json::Value,
    decoder: serde_json::Value,
) -> Vocabulary {
    let added = |text: &str, special: bool| {
        json!({
            "id": 0, "content": text, "special": special, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false,
        })
    };
    let unknown = ["[UNK]", "<unk>"].into_iter().filter(|text| model.to_string().contains(text));
    let added: Vec<_> = unknown.map(|text| added(text, true)).chain([added("[TOOL]", false)]).collect();
    let file = json!({
        "version": "1.0", "normalizer": normalizer, "pre_tokenizer": splitter, "decoder": decoder, "model": model,
        "added_tokens": added,
    });
    Vocabulary::from_json(file.to_string().as_bytes()).unwrap()
}

fn json_kinds() -> Vec<(&'static str, Vocabulary, Loss)> {
    let null = serde_json::Value::Null;
    let (vocab, merges) = byte_level();
    let level = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
    let bpe = json!({"type": "BPE", "vocab": vocab, "merges": merges});
    let mut whole = bpe.clone();
    whole["ignore_merges"] = json!(true);
    // A BPE of characters with an unknown token, a prefix and a suffix.
    let affixed = json!({
        "type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "continuing_subword_prefix": "##", "end_of_word_suffix": "</w>",
        "vocab": {"<unk>": 0, "a": 1, "##b": 2, "##a": 3, "ab": 4, "##b</w>": 5, "##a</w>": 6, "a</w>": 7, "ab</w>": 8},
        "merges": [["a", "##b"], ["a", "##b</w>"]],
    });
    let mut bytes: serde_json::Map<String, serde_json::Value> =
        (0..=255).map(|byte| (format!("<0x{byte:02X}>"), json!(byte + 1))).collect();
    for (nth, text) in ["<unk>", "▁", "h", "e", "he", "▁he"].iter().enumerate() {
        bytes.insert((*text).to_owned(), json!(if nth == 0 { 0 } else { 256 + nth }));
    }
    let fallback = json!({
        "type": "BPE", "unk_token": "<unk>", "byte_fallback": true, "vocab": bytes, "merges": [["h", "e"], ["▁", "he"]],
    });
    let meta = json!({"type": "Sequence", "decoders": [
        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
    ]});
    let escape = json!({"type": "Replace", "pattern": {"String": " "}, "content": "▁"});
    let scores: Vec<_> =
        std::iter::once(json!(["<unk>", 0.0])).chain(WORDS.iter().map(|(text, score)| json!([text, score]))).collect();
    let unigram = json!({"type": "Unigram", "unk_id": 0, "vocab": scores});
    let space = json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true});
    let pieces = json!({
        "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 12,
        "vocab": {"[UNK]": 0, "a": 1, "##b": 2, "ab": 3, "##a": 4, "the": 5, "##e": 6, "he": 7, ",": 8},
    });
    let bert = json!({"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true});
    let words = json!({"type": "WordLevel", "unk_token": "[UNK]", "vocab": {"[UNK]": 0, "a": 1, "the": 2, ",": 3}});
    let decoded = json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true});
    vec![
        ("BPE of bytes", tokenizer_json(bpe, null.clone(), level.clone(), decoded.clone()), Loss::None),
        ("BPE of bytes, whole words first", tokenizer_json(whole, null.clone(), level, decoded), Loss::None),
        (
            "BPE with affixes",
            tokenizer_json(
                affixed,
                null.clone(),
                json!({"type": "Whitespace"}),
                json!({"type": "BPEDecoder", "suffix": "</w>"}),
            ),
            Loss::Marks,
        ),
        (
            "BPE with byte fallback",
            tokenizer_json(fallback, escape, null.clone(), meta),
            Loss::Exactly(|text| text.replace('▁', " ")),
        ),
        ("Unigram", tokenizer_json(unigram, null.clone(), space.clone(), space), Loss::Settles),
        (
            "WordPiece",
            tokenizer_json(
                pieces,
                bert.clone(),
                json!({"type": "BertPreTokenizer"}),
                json!({"type": "WordPiece", "prefix": "##", "cleanup": true}),
            ),
            Loss::Settles,
        ),
        ("WordLevel", tokenizer_json(words, bert, json!({"type": "Whitespace"}), null), Loss::Settles),
    ]
}

/// All kinds.
pub(crate) fn all() -> Vec<Kind> {
    let mut kinds = Vec::new();
    let mut add = |name: String, vocabulary: Vocabulary, loss: Loss| kinds.push(Kind { name, vocabulary, loss });
    let mut llama = small_llama();
    // A user-defined token is found in any text and makes two texts of it: tests/rust/tokenize/rules.rs.
    llama.token_types[3 + 256 + 15] = 1;
    add("llama".into(), gguf(llama.clone()), Loss::Exactly(|text| text.replace('▁', " ")));
    llama.add_space_prefix = Some(false);
    add("llama without a space before".into(), gguf(llama), Loss::Exactly(|text| text.replace('▁', " ")));
    for pre in PRES {
        let keys = GgufVocabulary { pre: Some((*pre).into()), ..small_gpt2() };
        add(format!("gpt2, pre {pre}"), gguf(keys), Loss::None);
    }
    add("bert".into(), gguf(bert()), Loss::Settles);
    let mut t5 = with_bytes("t5", WORDS);
    t5.token_types.iter_mut().filter(|kind| **kind == 6).for_each(|kind| *kind = 3);
    (t5.add_space_prefix, t5.remove_extra_whitespaces) = (Some(true), Some(true));
    add("t5".into(), gguf(t5), Loss::Exactly(t5_loss));
    add("rwkv".into(), gguf(rwkv()), Loss::Exactly(|text| without(text, &["<s>"])));
    let plamo2 = with_bytes("plamo2", &WORDS[1..]);
    let plamo2_loss = |text: &str| without(text.strip_prefix('\u{FEFF}').unwrap_or(text), &["<s>", "</s>"]);
    add("plamo2".into(), gguf(plamo2), Loss::Exactly(plamo2_loss));
    add("gemma4".into(), gguf(merged("gemma4", None)), Loss::Exactly(|text| text.replace('▁', " ")));
    let whitespace = merged("whitespace", Some("whitespace"));
    add(
        "whitespace".into(),
        gguf(whitespace),
        Loss::Exactly(|text| text.chars().filter(|c| !c.is_whitespace()).collect()),
    );
    let model =
        |model_type, has_bytes| Vocabulary::from_sentence_piece(&sentence_piece(model_type, has_bytes)).unwrap();
    add(".model, BPE".into(), model(2, true), Loss::Exactly(sentence_piece_loss));
    add(".model, Unigram".into(), model(1, true), Loss::Exactly(sentence_piece_loss));
    add(".model, BPE without bytes".into(), model(2, false), Loss::Exactly(unigram_loss));
    add(".model, Unigram without bytes".into(), model(1, false), Loss::Exactly(unigram_loss));
    let words = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##b\nab\nthe\nhe\n##e\n,\n";
    add("vocab.txt".into(), Vocabulary::from_vocab_txt(words.as_bytes(), None).unwrap(), Loss::Settles);
    let (vocab, merges) = byte_level();
    let lines: String = merges.iter().map(|[left, right]| format!("{left} {right}\n")).collect();
    let lists = Vocabulary::from_vocab_and_merges(json!(vocab).to_string().as_bytes(), lines.as_bytes(), None);
    add("vocab.json with merges.txt".into(), lists.unwrap(), Loss::None);
    add("tiktoken".into(), Vocabulary::from_tiktoken(&tiktoken()).unwrap(), Loss::None);
    add("Tekken".into(), Vocabulary::from_tekken(&tekken()).unwrap(), Loss::None);
    for (name, vocabulary, loss) in json_kinds() {
        add(format!("tokenizer.json, {name}"), vocabulary, loss);
    }
    kinds
}

thread_local! {
    static ALL: Vec<Kind> = all();
}

/// A text without the control tokens that a vocabulary's own matching takes for what they spell.
fn without(text: &str, controls: &[&str]) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let control = controls.iter().find_map(|control| rest.strip_prefix(control));
        if control.is_none() {
            kept.push(c);
        }
        rest = control.unwrap_or(&rest[c.len_utf8()..]);
    }
    kept
}

/// Texts of any characters, and of those that splitters and vocabularies treat apart.
pub(crate) fn text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        any::<char>().prop_map(String::from),
        "[ \t\r\n\u{a0}\u{3000}▁]{1,5}",
        "[a-ehtAB',.!?]{1,8}",
        "[0-9]{1,5}",
        prop::sample::select(vec![
            "<s>",
            "</s>",
            "<|end|>",
            "the",
            " the",
            "é",
            "e\u{301}",
            "👩‍👩‍👧",
            "'LL",
            "\u{0}",
            "İ",
            "ﬁ",
            "\u{FEFF}",
            "中文",
            "가",
            "▁he",
        ])
        .prop_map(String::from),
    ];
    prop::collection::vec(part, 0..16).prop_map(|parts| parts.concat())
}

const PLAIN: EncodeOptions = EncodeOptions { add_special: false, parse_special: false };

fn there_and_back(vocabulary: &Vocabulary, text: &str) -> String {
    vocabulary.decode(&vocabulary.encode(text, PLAIN).unwrap())
}

/// The ids that an explanation's steps lead to.
fn led_to(explanation: &Explanation) -> Vec<u32> {
    let ids = explanation.parts.iter().flat_map(|part| {
        let words = part.words.iter().flat_map(|word| word.tokens.iter().map(|token| token.id));
        part.id.into_iter().chain(words)
    });
    ids.collect()
}

/// The steps lead to the encoder's ids, and each shows what it says.
pub(crate) fn check_explanation(name: &str, vocabulary: &Vocabulary, text: &str, options: EncodeOptions) {
    let explanation = vocabulary.explain(text, options).unwrap();
    let ids = vocabulary.encode(text, options).unwrap();
    assert_eq!(explanation.ids, ids, "{name}: {text:?}");
    assert_eq!(led_to(&explanation), ids, "{name}: {text:?}: {:?}", explanation.parts);
    assert!(explanation.agrees && explanation.notes.iter().all(|note| !note.what.contains("do not lead")));
    let (mut floor, mut left_out) = (0, 0);
    for part in &explanation.parts {
        assert!(part.span.start >= floor && part.span.end <= text.len(), "{name}: {text:?}: {part:?}");
        floor = part.span.end;
        assert_eq!(part.id.is_none(), part.kind == PartKind::Text);
        let (from, to): (String, String) = part.prepared.iter().map(|run| (run.from.as_str(), run.to.as_str())).unzip();
        assert!(part.prepared.is_empty() || from == text[part.span.clone()], "{name}: {text:?}: {part:?}");
        assert!(part.words.is_empty() || part.prepared.is_empty() || !to.is_empty(), "{name}: {text:?}: {part:?}");
        for word in &part.words {
            left_out += usize::from(!word.listed);
            let mut count = word.symbols.len();
            for merge in &word.merges {
                count -= 1;
                assert_eq!(merge.symbols.len(), count, "{name}: {text:?}: {word:?}");
                assert!(
                    merge.at < count && (merge.rank.is_some() != merge.score.is_some()),
                    "{name}: {text:?}: {word:?}"
                );
            }
            for choice in &word.choices {
                let taken = choice.candidates.iter().filter(|candidate| candidate.taken).count();
                assert!(
                    taken == 1 || word.tokens.iter().all(|token| token.how == "unknown"),
                    "{name}: {text:?}: {word:?}"
                );
            }
        }
    }
    assert_eq!(left_out, explanation.left_out);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_kind_gives_any_text_back_but_for_the_losses_that_it_is_known_to_have(text in text()) {
        ALL.with(|all| {
            for Kind { name, vocabulary, loss } in all {
                let given_back = there_and_back(vocabulary, &text);
                match loss {
                    Loss::None => assert_eq!(given_back, text, "{name}"),
                    Loss::Exactly(lost) => assert_eq!(given_back, lost(&text), "{name}: {text:?}"),
                    Loss::Marks => {}
                    Loss::Settles => {
                        let rounds = std::iter::successors(Some(given_back.clone()), |last| Some(there_and_back(vocabulary, last)));
                        let rounds: Vec<String> = rounds.take(text.chars().count() + 3).collect();
                        assert!(rounds.array_windows().any(|[last, next]| last == next), "{name}: {text:?}: {rounds:?}");
                    }
                }
                let preview = vocabulary.preview(&text, PLAIN).unwrap();
                // A preview writes control tokens out; decoding leaves them away.
                if preview.pieces.iter().all(|piece| piece.kind != PieceKind::Control) {
                    assert_eq!(preview.roundtrips, given_back == text, "{name}: {text:?}");
                }
                assert_eq!(preview.roundtrips, !preview.notes.iter().any(|note| note.what.starts_with("Decoding")), "{name}: {text:?}");
            }
        });
    }

    #[test]
    fn the_steps_of_every_kind_lead_to_the_encoders_ids_for_any_text(text in text(), add_special: bool, parse_special: bool) {
        ALL.with(|all| {
            for Kind { name, vocabulary, .. } in all {
                check_explanation(name, vocabulary, &text, EncodeOptions { add_special, parse_special });
            }
        });
    }
}

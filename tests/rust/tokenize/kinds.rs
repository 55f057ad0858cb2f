//! Rules of the kinds `bert`, `t5`, `rwkv`, `plamo2`, `gemma4` and `whitespace`, on small vocabularies.

use glassbox::tokenizer::{GgufVocabulary, Vocabulary};
use proptest::prelude::*;

use super::{FULL, PARSED, PLAIN, gguf, small_gpt2};

/// Keys of a kind: token, type and score.
fn keys(model: &str, tokens: &[(&str, i32, f32)]) -> GgufVocabulary {
    GgufVocabulary {
        model: model.into(),
        tokens: tokens.iter().map(|(text, ..)| text.as_bytes().to_vec()).collect(),
        token_types: tokens.iter().map(|(_, kind, _)| *kind).collect(),
        scores: tokens.iter().map(|(.., score)| *score).collect(),
        ..GgufVocabulary::default()
    }
}

fn texts(vocabulary: &Vocabulary, text: &str) -> Vec<String> {
    let ids = vocabulary.encode(text, PLAIN).unwrap();
    ids.iter().map(|id| vocabulary.token_text(*id).unwrap().to_owned()).collect()
}

fn bert() -> GgufVocabulary {
    let words = ["▁hello", "▁wor", "ld", "▁,", "▁é", "▁e", "▁中", "▁文", "▁ᄀ"];
    let mut all = vec![("[UNK]", 2, 0.0), ("[CLS]", 3, 0.0), ("[SEP]", 3, 0.0)];
    all.extend(words.iter().map(|word| (*word, 1, 0.0)));
    let mut keys = keys("bert", &all);
    keys.special = vec![("unknown".into(), 0), ("bos".into(), 1), ("seperator".into(), 2)];
    keys
}

#[test]
fn bert_words_are_cut_at_spaces_punctuation_and_chinese() {
    let vocabulary = gguf(bert());
    assert_eq!(texts(&vocabulary, " Hello,WORLD 中文"), ["▁hello", "▁,", "▁wor", "ld", "▁中", "▁文"]);
    assert_eq!(
        texts(&vocabulary, "helloX hello"),
        ["[UNK]", "▁hello"],
        "a word that the tokens do not make up is one unknown"
    );
    assert_eq!(
        texts(&vocabulary, "É e\u{301} hel\u{200B}lo"),
        ["▁e", "▁e", "▁hello"],
        "accents and format characters go"
    );
    assert_eq!(vocabulary.encode("hello", FULL).unwrap(), [1, 3, 2]);
    let spans: Vec<_> =
        vocabulary.preview(" Hello,É", PLAIN).unwrap().pieces.iter().map(|piece| piece.span.clone()).collect();
    assert_eq!(spans, [1..6, 6..7, 7..9]);
}

/// llama.cpp keeps the first character of a decomposition only.
#[test]
fn bert_keeps_the_first_part_of_a_korean_syllable() {
    assert_eq!(texts(&gguf(bert()), "가"), ["▁ᄀ"]);
}

#[test]
fn bert_accents_and_capitals_stay_where_the_file_says_so() {
    let mut keys = bert();
    keys.lowercase = Some(false);
    let vocabulary = gguf(keys);
    assert_eq!(texts(&vocabulary, "é Hello"), ["▁é", "[UNK]"]);
}

fn t5() -> GgufVocabulary {
    let mut keys = keys(
        "t5",
        &[
            ("<pad>", 3, 0.0),
            ("</s>", 3, 0.0),
            ("<unk>", 2, 0.0),
            ("▁", 1, -2.0),
            ("a", 1, -3.0),
            ("b", 1, -3.0),
            ("▁a", 1, -4.0),
            ("ab", 1, -3.5),
            ("▁ab", 1, -9.0),
            ("[X Y]", 4, 0.0),
        ],
    );
    (keys.add_space_prefix, keys.remove_extra_whitespaces) = (Some(true), Some(true));
    keys
}

#[test]
fn t5_takes_the_likeliest_way_and_one_unknown_for_a_run() {
    let vocabulary = gguf(t5());
    // ▁ + ab is -5.5, ▁a + b is -7, ▁ab is -9.
    assert_eq!(texts(&vocabulary, "ab"), ["▁", "ab"]);
    assert_eq!(texts(&vocabulary, "  a   ??é a  "), ["▁a", "▁", "<unk>", "▁a"]);
    assert_eq!(texts(&vocabulary, "a[X Y]a"), ["▁a", "[X Y]", "▁a"]);
    assert_eq!(vocabulary.encode("a", FULL).unwrap(), [6, 1]);
    assert_eq!(texts(&vocabulary, "   "), Vec::<String>::new());
}

#[test]
fn rwkv_takes_the_longest_token_and_leaves_out_what_begins_none() {
    let vocabulary = gguf(keys(
        "rwkv",
        &[
            ("<s>", 3, 0.0),
            (r"a", 1, 0.0),
            (r"ab", 1, 0.0),
            (r"abcd", 1, 0.0),
            (r"\n", 1, 0.0),
            (r"\xc3", 1, 0.0),
            (r"\xa9", 1, 0.0),
            (r"é!", 1, 0.0),
        ],
    ));
    assert_eq!(vocabulary.encode("abca", PLAIN).unwrap(), [2, 1], "c begins no token");
    assert_eq!(vocabulary.encode("abcd\né", FULL).unwrap(), [3, 4, 5, 6]);
    assert_eq!(vocabulary.encode("<s>é!", PARSED).unwrap(), [0, 7]);
    assert!(vocabulary.preview("ab\né", PLAIN).unwrap().roundtrips);
    assert_eq!(vocabulary.decode(&[4, 5, 6, 7]), "\néé!");
    // Bytes that begin a token and are none: llama.cpp would search for ever.
    let vocabulary = gguf(keys("rwkv", &[("abc", 1, 0.0), ("x", 1, 0.0)]));
    assert_eq!(vocabulary.encode("abxab", PLAIN).unwrap(), [1]);
}

fn plamo2() -> GgufVocabulary {
    let mut tokens = vec![("<unk>".to_owned(), 2, 0.0), ("<s>".to_owned(), 3, 0.0)];
    tokens.extend((0..=255).map(|byte| (format!("<0x{byte:02X}>"), 6, 0.0)));
    for (text, score) in
        [("a", -3.0), ("b", -3.0), ("ab", -5.0), ("abc", -20.0), ("c", -3.0), ("bc", -5.5), ("日本", -2.0)]
    {
        tokens.push((text.to_owned(), 1, score));
    }
    let lent: Vec<(&str, i32, f32)> = tokens.iter().map(|(text, kind, score)| (text.as_str(), *kind, *score)).collect();
    keys("plamo2", &lent)
}

#[test]
fn plamo2_takes_the_best_path_and_bytes_for_the_rest() {
    let vocabulary = gguf(plamo2());
    // ab + c is -8, a + bc -8.5, abc -20.
    assert_eq!(texts(&vocabulary, "abc"), ["ab", "c"]);
    assert_eq!(texts(&vocabulary, "\u{FEFF}日本é"), ["日本", "<0xC3>", "<0xA9>"]);
    let preview = vocabulary.preview("é日本 a", FULL).unwrap();
    let spans: Vec<_> = preview.pieces.iter().map(|piece| piece.span.clone()).collect();
    assert_eq!(spans, [0..1, 1..2, 2..8, 8..9, 9..10]);
    assert!(preview.roundtrips);
    let mut broken = plamo2();
    broken.token_types[100] = 1;
    let fault = Vocabulary::from_gguf(broken).err().unwrap();
    assert!(fault.what.contains("<0x62>"), "{fault}");
}

fn gemma4() -> GgufVocabulary {
    let mut tokens: Vec<(String, i32, f32)> = vec![("<bos>".into(), 3, 0.0), ("<eos>".into(), 3, 0.0)];
    tokens.extend((0..=255).map(|byte| (format!("<0x{byte:02X}>"), 6, 0.0)));
    for text in ["▁", "h", "e", "he", "▁he", "\n", "\n\n\n"] {
        tokens.push((text.to_owned(), 1, 0.0));
    }
    let lent: Vec<(&str, i32, f32)> = tokens.iter().map(|(text, kind, score)| (text.as_str(), *kind, *score)).collect();
    let mut keys = keys("gemma4", &lent);
    keys.merges = vec![b"h e".to_vec(), "▁ he".as_bytes().to_vec()];
    keys.special = vec![("bos".into(), 0), ("eos".into(), 1)];
    keys
}

#[test]
fn gemma4_merges_plain_text_and_takes_newlines_whole() {
    let vocabulary = gguf(gemma4());
    assert_eq!(texts(&vocabulary, "he he\n\n\n\u{e9}"), ["he", "▁he", "\n\n\n", "<0xC3>", "<0xA9>"]);
    assert_eq!(texts(&vocabulary, "\n\n"), ["\n", "\n"]);
    assert_eq!(vocabulary.encode("he", FULL).unwrap()[0], 0, "BOS is added whatever the file says");
    let preview = vocabulary.preview("é he", PLAIN).unwrap();
    assert_eq!(preview.pieces.iter().map(|p| p.span.clone()).collect::<Vec<_>>(), [0..1, 1..2, 2..5]);
    assert!(preview.roundtrips);
}

#[test]
fn mmbert_begins_every_line_and_word_with_a_space_mark() {
    let mut keys = gemma4();
    (keys.model, keys.pre) = ("gpt2".into(), Some("mmbert".into()));
    keys.add_bos = Some(false);
    let vocabulary = gguf(keys);
    assert_eq!(texts(&vocabulary, "he he\nhe  he"), ["▁he", "▁he", "\n", "▁he", "▁", "▁he"]);
    let spans: Vec<_> = vocabulary.preview("he he", PLAIN).unwrap().pieces.iter().map(|p| p.span.clone()).collect();
    assert_eq!(spans, [0..2, 2..5]);
}

#[test]
fn the_kind_whitespace_drops_spaces() {
    let mut keys = small_gpt2();
    (keys.model, keys.pre) = ("whitespace".into(), Some("whitespace".into()));
    let vocabulary = gguf(keys);
    assert_eq!(texts(&vocabulary, " he  hE\nl"), ["he", "h", "E", "l"]);
}

#[test]
fn names_that_end_a_turn_are_control_tokens_whatever_their_type() {
    let mut keys = small_gpt2();
    for text in ["<|im_end|>", "<|channel|>", "<|return|>", "<|call|>"] {
        keys.tokens.push(text.as_bytes().to_vec());
        keys.token_types.push(1);
    }
    let vocabulary = gguf(keys);
    let id = |text: &str| vocabulary.id_of(text).unwrap();
    assert_eq!(vocabulary.encode("<|im_end|>", PARSED).unwrap(), [id("<|im_end|>")]);
    assert_ne!(vocabulary.encode("<|im_end|>", PLAIN).unwrap().len(), 1);
    assert_eq!(vocabulary.encode("<|channel|>", PLAIN).unwrap(), [id("<|channel|>")], "shown and found in any text");
    // With <|return|> and <|call|>, <|end|> ends a message and not the turn.
    assert!(!vocabulary.end_ids().contains(&(id("<|end|>"))) || vocabulary.end_ids().contains(&261));
    assert!(vocabulary.end_ids().contains(&id("<|return|>")) && vocabulary.end_ids().contains(&id("<|im_end|>")));
}

#[test]
fn white_space_after_special_tokens_goes_where_the_models_name_says_phi_3() {
    let mut keys = small_gpt2();
    keys.name = "Phi-3 mini".into();
    let vocabulary = gguf(keys);
    let ids = vocabulary.encode("<|end|> \n he", PARSED).unwrap();
    assert_eq!(ids, [261, vocabulary.id_of("he").unwrap()]);
}

thread_local! {
    static ALL: Vec<Vocabulary> = [bert(), t5(), plamo2(), gemma4()].map(gguf).into_iter().collect();
}

proptest! {
    #[test]
    fn every_kind_encodes_any_text_with_spans_in_order(text in "(?s).{0,40}|[ab \u{c3}\u{a9}he\n中가日本,]{0,40}") {
        ALL.with(|all| {
            for vocabulary in all {
                let preview = vocabulary.preview(&text, PARSED).unwrap();
                let mut floor = 0;
                for piece in &preview.pieces {
                    assert!(piece.span.start >= floor && piece.span.end <= text.len(), "{text:?}: {piece:?}");
                    floor = piece.span.start;
                }
            }
        });
    }

    /// But for control tokens' names, which are hidden, and a byte order mark at the start of plamo2's.
    #[test]
    fn plamo2_and_gemma4_give_any_text_back(text in "[^\u{feff}<▁]{0,40}") {
        ALL.with(|all| {
            for vocabulary in &all[2..] {
                let ids = vocabulary.encode(&text, PLAIN).unwrap();
                assert_eq!(vocabulary.decode(&ids), text);
            }
        });
    }
}

/// Bounded work: a vocabulary of long runs must end in ids or in a limit.
#[test]
fn vocabularies_of_long_runs_cannot_hang() {
    let long = "a".repeat(60_000);
    let text = "a".repeat(59_999);
    let tokens = [("<unk>", 2, 0.0), ("a", 1, -1.0), ("▁", 1, -1.0), (long.as_str(), 1, -1.0), ("</s>", 3, 0.0)];
    for kind in ["bert", "t5", "rwkv"] {
        let vocabulary = gguf(keys(kind, &tokens));
        match vocabulary.encode(&text, PLAIN) {
            Ok(ids) => assert!(ids.len() <= text.len() + 1, "{kind}"),
            Err(fault) => assert!(fault.what.contains("steps"), "{kind}: {fault}"),
        }
    }
}

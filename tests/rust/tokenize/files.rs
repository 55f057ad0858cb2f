//! Vocabularies from files of every other kind.

use std::fs;

use glassbox::{
    fault::Blame,
    tokenizer::{GgufVocabulary, Vocabulary},
};
use serde_json::{Value, json};

use super::{FULL, PARSED, PLAIN, corpus};

fn read(path: &str) -> Option<Vec<u8>> {
    Some(fs::read(corpus(path)?).unwrap())
}

fn json_of(path: &str) -> Option<Value> {
    Some(serde_json::from_slice(&read(path)?).unwrap())
}

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|id| u32::try_from(id.as_u64().unwrap()).unwrap()).collect()
}

/// Reference: the sentencepiece library 0.2.3, on 58 texts for each model.
#[test]
fn sentence_piece_models_give_the_librarys_ids() {
    let Some(reference) = json_of("tokenizers/reference.json") else { return };
    let texts = reference["texts"].as_array().unwrap();
    let mut compared = 0;
    for (path, expected) in reference["files"].as_object().unwrap() {
        if expected["kind"] != "sentencepiece" {
            continue;
        }
        let vocabulary = Vocabulary::from_sentence_piece(&read(path).unwrap()).unwrap();
        assert_eq!(vocabulary.len() as u64, expected["vocab"].as_u64().unwrap(), "{path}");
        for (text, expected) in texts.iter().zip(expected["ids"].as_array().unwrap()) {
            let text = text.as_str().unwrap();
            let preview = vocabulary.preview(text, PLAIN).unwrap();
            let found: Vec<u32> = preview.pieces.iter().map(|piece| piece.id).collect();
            assert_eq!(found, ids(expected), "{path}: {text:?}");
            let mut floor = 0;
            for piece in &preview.pieces {
                assert!(piece.span.start >= floor && piece.span.end <= text.len(), "{path}: {text:?}: {piece:?}");
                floor = piece.span.start;
            }
            compared += 1;
        }
    }
    assert_eq!(compared, 3 * texts.len());
}

/// Reference: the sentencepiece library 0.2.3 (tests/corpus/make/sentence_pieces.py), all four kinds, whatever the file's name.
#[test]
fn small_sentence_piece_models_of_every_kind_give_the_librarys_ids() {
    use glassbox::session::open_vocabulary;

    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus/sentencepiece");
    let reference: Value = serde_json::from_slice(&fs::read(folder.join("reference.json")).unwrap()).unwrap();
    let texts: Vec<&str> = reference["texts"].as_array().unwrap().iter().map(|t| t.as_str().unwrap()).collect();
    for (model, expected) in reference["models"].as_object().unwrap() {
        let bytes = fs::read(folder.join(format!("{model}.spm"))).unwrap();
        for name in ["x.spm", "m.bin", "tokenizer"] {
            let files = super::opened::in_memory(&[(name, &bytes)]);
            let vocabulary = super::opened::block_on(open_vocabulary(files)).unwrap();
            assert_eq!(vocabulary.len() as u64, expected["tokens"].as_u64().unwrap(), "{model}");
            for (text, expected) in texts.iter().zip(expected["ids"].as_array().unwrap()) {
                assert_eq!(vocabulary.encode(text, PLAIN).unwrap(), ids(expected), "{model}: {text:?}");
                let explained = vocabulary.explain(text, PLAIN).unwrap();
                assert!(explained.agrees, "{model}: {text:?}: {explained:?}");
            }
        }
    }
}

/// The pieces of a SentencePiece model, read apart from the crate's reader.
fn pieces(model: &[u8]) -> (GgufVocabulary, usize) {
    fn varint(bytes: &[u8], at: &mut usize) -> u64 {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = bytes[*at];
            *at += 1;
            value |= u64::from(byte & 0x7F) << shift;
            shift += 7;
            if byte < 0x80 {
                return value;
            }
        }
    }
    let mut keys = GgufVocabulary { model: "t5".into(), ..GgufVocabulary::default() };
    let mut at = 0;
    while at < model.len() {
        let tag = varint(model, &mut at);
        let end = varint(model, &mut at) as usize + at;
        let (mut text, mut score, mut kind) = (Vec::new(), 0.0, 1);
        while at < end {
            let inner = varint(model, &mut at);
            match inner & 7 {
                0 => {
                    let number = varint(model, &mut at);
                    kind = if inner >> 3 == 3 { number as i32 } else { kind };
                }
                2 => {
                    let length = varint(model, &mut at) as usize;
                    let bytes = model[at..at + length].to_vec();
                    at += length;
                    match (tag >> 3, inner >> 3) {
                        (1, 1) => text = bytes,
                        (3, 2) => keys.precompiled_charsmap = bytes,
                        _ => {}
                    }
                }
                5 => {
                    score = f32::from_le_bytes(model[at..at + 4].try_into().unwrap());
                    at += 4;
                }
                1 => at += 8,
                other => panic!("wire type {other}"),
            }
        }
        if tag >> 3 == 1 {
            keys.tokens.push(text);
            keys.scores.push(score);
            keys.token_types.push(kind);
        }
    }
    let count = keys.tokens.len();
    (keys, count)
}

/// The same vocabulary as a GGUF's keys must give what sentencepiece gives: llama.cpp's rules are
/// its, but for texts of white space alone.
#[test]
fn a_t5_gguf_gives_the_ids_of_its_sentence_piece_model() {
    let (Some(reference), Some(model)) =
        (json_of("tokenizers/reference.json"), read("tokenizers/t5-small.spiece.model"))
    else {
        return;
    };
    let (mut keys, count) = pieces(&model);
    assert_eq!(count, 32000);
    (keys.add_space_prefix, keys.remove_extra_whitespaces) = (Some(true), Some(true));
    let vocabulary = Vocabulary::from_gguf(keys).unwrap();
    let expected = reference["files"]["tokenizers/t5-small.spiece.model"]["ids"].as_array().unwrap();
    for (text, expected) in reference["texts"].as_array().unwrap().iter().zip(expected) {
        let text = text.as_str().unwrap();
        assert_eq!(vocabulary.encode(text, PLAIN).unwrap(), ids(expected), "{text:?}");
        let with_end = vocabulary.encode(text, FULL).unwrap();
        assert_eq!(with_end.last(), Some(&1), "EOS is added unless the file says otherwise");
    }
}

#[test]
fn vocab_txt_gives_the_ids_of_the_tokenizer_json_beside_it() {
    let (Some(reference), Some(vocab), Some(config)) =
        (json_of("tokenizers/reference.json"), read("minilm/vocab.txt"), read("minilm/tokenizer_config.json"))
    else {
        return;
    };
    let expected = &reference["files"]["minilm/tokenizer.json"];
    let with = Vocabulary::from_vocab_txt(&vocab, Some(&config)).unwrap();
    let without = Vocabulary::from_vocab_txt(&vocab, None).unwrap();
    assert!(without.notes().iter().any(|note| note.what.contains("letters are made small")), "{:?}", without.notes());
    for (nth, text) in reference["texts"].as_array().unwrap().iter().enumerate() {
        let text = text.as_str().unwrap();
        for vocabulary in [&with, &without] {
            assert_eq!(vocabulary.encode(text, FULL).unwrap(), ids(&expected["with_special"][nth]), "{text:?}");
            assert_eq!(vocabulary.encode(text, PARSED).unwrap(), ids(&expected["without_special"][nth]), "{text:?}");
        }
    }
}

/// Reference: llama.cpp's ids for the same vocabulary.
#[test]
fn vocab_json_and_merges_txt_give_gpt_2s_ids() {
    let (Some(vocab), Some(merges)) = (read("tokenizers/gpt2.vocab.json"), read("tokenizers/gpt2.merges.txt")) else {
        return;
    };
    let vocabulary = Vocabulary::from_vocab_and_merges(&vocab, &merges, None).unwrap();
    let beside =
        |ending: &str| String::from_utf8(read(&format!("vocab/ggml-vocab-gpt-2.gguf.{ending}")).unwrap()).unwrap();
    let (input, output) = (beside("inp"), beside("out"));
    for (text, line) in input.split("\n__ggml_vocab_test__\n").zip(output.lines()) {
        let expected: Vec<u32> = line.split_whitespace().map(|id| id.parse().unwrap()).collect();
        assert_eq!(vocabulary.encode(text, PLAIN).unwrap(), expected, "{text:?}");
    }
    let config = |class: &str| json!({ "tokenizer_class": class }).to_string();
    let clip = Vocabulary::from_vocab_and_merges(&vocab, &merges, Some(config("CLIPTokenizer").as_bytes()));
    assert!(clip.err().is_some_and(|fault| fault.blame == Blame::Unsupported && fault.what.contains("CLIPTokenizer")));
}

#[test]
fn a_rank_file_of_an_unknown_size_is_refused_and_names_what_is_missing() {
    let fault = Vocabulary::from_tiktoken(b"YQ== 0\nYg== 1\n").err().unwrap();
    assert_eq!(fault.blame, Blame::Unsupported);
    assert!(fault.what.contains("how text is split") && fault.what.contains("cl100k_base"), "{fault}");
    for broken in ["YQ== zero", "YQ==", "*** 0", "YQ== 4294967295"] {
        assert!(Vocabulary::from_tiktoken(broken.as_bytes()).is_err(), "{broken}");
    }
}

/// Ranks that the rules of tiktoken merge by hand: r50k_base's size, with the 256 bytes and two merges.
#[test]
fn a_rank_file_of_a_known_size_splits_and_merges_by_rank() {
    let base64 = |bytes: &[u8]| {
        const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = String::new();
        for group in bytes.chunks(3) {
            let word =
                group.iter().enumerate().fold(0, |word, (nth, byte)| word | (u32::from(*byte) << (16 - 8 * nth)));
            for nth in 0..4 {
                let digit = DIGITS[(word >> (18 - 6 * nth)) as usize & 63];
                text.push(if nth <= group.len() { char::from(digit) } else { '=' });
            }
        }
        text
    };
    let mut file = String::new();
    let mut rank = 0;
    let mut add = |bytes: &[u8]| {
        file.push_str(&format!("{} {rank}\n", base64(bytes)));
        rank += 1;
    };
    (0..=255).for_each(|byte: u8| add(&[byte]));
    add(b"he");
    add(b" t");
    (258..50_256).for_each(|nth: u32| add(&[0xFF, nth as u8, (nth >> 8) as u8, 0xFF]));
    let vocabulary = Vocabulary::from_tiktoken(file.as_bytes()).unwrap();
    assert_eq!(vocabulary.encode("he the<|endoftext|>", PARSED).unwrap(), [256, 257, 256, 50_256]);
    let preview = vocabulary.preview("é the", PLAIN).unwrap();
    assert_eq!(preview.pieces.iter().map(|p| p.id).collect::<Vec<_>>(), [0xC3, 0xA9, 257, 256]);
    assert!(preview.roundtrips);
    assert_eq!(vocabulary.end_ids(), [50_256]);
}

#[test]
fn tekken_ids_come_after_its_special_tokens() {
    let byte = |rank: u32, text: &str| json!({"rank": rank, "token_bytes": text, "token_str": null});
    let file = json!({
        "config": {"pattern": r"\p{L}+|[^\p{L}]+", "default_vocab_size": 14, "default_num_special_tokens": 10, "version": "v3"},
        // a, b, ab, space, and one beyond the vocabulary's size.
        "vocab": [byte(0, "YQ=="), byte(1, "Yg=="), byte(2, "YWI="), byte(3, "IA=="), byte(4, "Yw==")],
    });
    let vocabulary = Vocabulary::from_tekken(file.to_string().as_bytes()).unwrap();
    assert_eq!(vocabulary.len(), 14);
    assert_eq!(vocabulary.encode("ab ba[INST]", FULL).unwrap(), [1, 12, 13, 11, 10, 3]);
    let preview = vocabulary.preview("abc", PLAIN).unwrap();
    assert!(!preview.roundtrips && preview.notes.iter().any(|note| note.what.starts_with("1 bytes")));
    assert_eq!((vocabulary.bos_text(), vocabulary.eos_text()), (Some("<s>"), Some("</s>")));
}

#[test]
fn every_truncation_of_a_sentence_piece_model_is_refused_or_loads() {
    let mut model = Vec::new();
    for (text, score, kind) in [("<unk>", 0.0_f32, 2_u8), ("▁", -1.0, 1), ("a", -2.0, 1), ("▁a", -1.5, 1)] {
        let mut piece = vec![0x0A, text.len() as u8];
        piece.extend(text.as_bytes());
        piece.push(0x15);
        piece.extend(score.to_le_bytes());
        piece.extend([0x18, kind]);
        model.extend([0x0A, piece.len() as u8]);
        model.extend(piece);
    }
    model.extend([0x12, 2, 0x18, 2]);
    let vocabulary = Vocabulary::from_sentence_piece(&model).unwrap();
    assert_eq!(vocabulary.encode("  a a ", PLAIN).unwrap(), [3, 3]);
    assert_eq!(vocabulary.encode("a?!a", PLAIN).unwrap(), [3, 0, 2]);
    for length in 0..model.len() {
        if let Ok(vocabulary) = Vocabulary::from_sentence_piece(&model[..length]) {
            assert!(vocabulary.encode("  a a ", PLAIN).is_ok());
        }
    }
    for (kind, ids) in [(3, vec![3, 3]), (4, vec![1, 2, 1, 2])] {
        *model.last_mut().unwrap() = kind;
        let vocabulary = Vocabulary::from_sentence_piece(&model).unwrap();
        assert_eq!(vocabulary.encode("  a a ", PLAIN).unwrap(), ids, "model type {kind}");
    }
    *model.last_mut().unwrap() = 9;
    assert!(Vocabulary::from_sentence_piece(&model).is_err(), "model type 9");
}

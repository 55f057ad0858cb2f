//! Broken and malicious vocabularies give a fault that says what is wrong.

use glassbox::{
    fault::{Blame, Fault},
    tokenizer::{GgufVocabulary, Vocabulary},
};
use serde_json::{Value, json};

use super::{PARSED, small_gpt2, small_llama};

fn refusal(file: &Value) -> Fault {
    Vocabulary::from_json(file.to_string().as_bytes()).err().unwrap_or_else(|| panic!("accepted: {file}"))
}

/// A tokenizer.json of three tokens, with some keys replaced.
fn file(changes: &Value) -> Value {
    let mut file = json!({
        "version": "1.0",
        "added_tokens": [],
        "normalizer": null,
        "pre_tokenizer": null,
        "post_processor": null,
        "decoder": null,
        "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [["a", "b"]]},
    });
    for (key, value) in changes.as_object().unwrap() {
        file[key] = value.clone();
    }
    file
}

#[test]
fn json_that_is_no_tokenizer_is_refused() {
    for text in ["", "{", "[]", "null", "{}", "{\"model\": 3}", "\u{feff}{}"] {
        let fault = Vocabulary::from_json(text.as_bytes()).err().unwrap();
        assert_eq!(fault.blame, Blame::File, "{text:?}: {fault}");
    }
    assert!(Vocabulary::from_json(&[0xFF; 64]).is_err());
    assert!(Vocabulary::from_json("[".repeat(100_000).as_bytes()).is_err());
    assert!(Vocabulary::from_json(file(&json!({})).to_string().as_bytes()).is_ok());
}

#[test]
fn every_truncation_of_a_file_is_refused() {
    let text = file(&json!({})).to_string();
    for length in 0..text.len() {
        assert!(Vocabulary::from_json(&text.as_bytes()[..length]).is_err(), "{length}");
    }
}

#[test]
fn a_merge_that_makes_no_token_is_named() {
    let model = json!({"type": "BPE", "vocab": {"a": 0, "aaaa": 1}, "merges": [["aaaa", "aaaa"]]});
    let fault = refusal(&file(&json!({ "model": model })));
    assert!(fault.what.contains("merge 0") && fault.what.contains("aaaaaaaa"), "{fault}");
    let model = json!({"type": "BPE", "vocab": {"a": 0}, "merges": [["a", "a"]], "continuing_subword_prefix": "##"});
    let fault = refusal(&file(&json!({ "model": model })));
    assert!(fault.what.contains("shorter than the prefix"), "{fault}");
}

#[test]
fn ids_beyond_the_limit_are_refused_before_anything_is_allocated() {
    let model = json!({"type": "BPE", "vocab": {"a": 4_294_967_295_u32}, "merges": []});
    assert!(refusal(&file(&json!({ "model": model }))).what.contains("more than"));
    let model = json!({"type": "BPE", "vocab": {"a": -1}, "merges": []});
    refusal(&file(&json!({ "model": model })));
}

#[test]
fn steps_that_would_break_the_library_are_refused() {
    let split = |pattern: &str| json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false});
    for (key, value) in [
        ("pre_tokenizer", split("(")),
        ("pre_tokenizer", split(&"(".repeat(10_000))),
        ("pre_tokenizer", split(&"a".repeat(100_000))),
        ("pre_tokenizer", json!({"type": "FixedLength", "length": 0})),
        ("pre_tokenizer", json!({"type": "Sequence"})),
        ("pre_tokenizer", json!({"type": "Tomorrow"})),
        ("normalizer", json!({"type": "Precompiled", "precompiled_charsmap": "!"})),
        ("normalizer", json!({"type": "Precompiled", "precompiled_charsmap": "BAAAAAAAAAA="})),
        ("normalizer", json!({"type": "Precompiled"})),
        ("normalizer", json!({"type": "Replace", "pattern": {"Regex": "["}, "content": ""})),
        ("decoder", json!({"type": "Strip", "content": " ", "start": 0, "stop": 9})),
        ("decoder", json!({"type": "Sequence", "decoders": [{"type": "Tomorrow"}]})),
        ("post_processor", json!({"type": "BertProcessing", "sep": ["b", 1], "cls": ["x", 99]})),
        (
            "post_processor",
            json!({"type": "TemplateProcessing", "single": [{"Sequence": {"id": "B", "type_id": 0}}], "special_tokens": {}}),
        ),
        (
            "post_processor",
            json!({"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "x", "type_id": 0}}], "special_tokens": {}}),
        ),
        ("post_processor", json!({"type": "TemplateProcessing", "single": [], "special_tokens": {}})),
        ("version", json!("2.0")),
        ("model", json!({"type": "Unigram", "vocab": [["a", 0.0]], "unk_id": 7})),
        ("model", json!({"type": "Unigram", "vocab": {"a": 0}})),
        ("model", json!({"type": "BPE", "vocab": {"a": 0}, "merges": ["a b c"]})),
        ("model", json!({"type": "Tomorrow", "vocab": {"a": 0}})),
    ] {
        refusal(&file(&json!({ key: value })));
    }
}

#[test]
fn a_pattern_that_gives_up_on_a_text_is_a_fault_and_no_silent_stop() {
    let pattern = json!({"Regex": "(?:(a+)+(?!a))b\\1"});
    let text = "a".repeat(5000);
    let split = json!({"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": false});
    let replace = json!({"type": "Replace", "pattern": pattern, "content": "x"});
    for (key, value) in [("pre_tokenizer", split), ("normalizer", replace)] {
        let file = file(&json!({ key: value })).to_string();
        let vocabulary = Vocabulary::from_json(file.as_bytes()).unwrap();
        let fault = vocabulary.encode(&text, PARSED).unwrap_err();
        assert_eq!(fault.blame, Blame::Limit, "{fault}");
        assert!(vocabulary.encode("ab", PARSED).is_ok(), "one bad text does not spoil the next");
    }
}

#[test]
fn a_pattern_of_nested_counts_is_refused_or_ends() {
    for pattern in ["a{1000}{1000}{1000}", "(a{1000}){1000}(?!b)", "(?:(?:a*)*)*(?=c)", "(?:a|a)+(?!a)"] {
        let split = json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false});
        let file = file(&json!({ "pre_tokenizer": split })).to_string();
        if let Ok(vocabulary) = Vocabulary::from_json(file.as_bytes()) {
            let text = "a".repeat(5000);
            match vocabulary.encode(&text, PARSED) {
                Ok(ids) => assert_eq!(ids.len(), text.len(), "{pattern}"),
                Err(fault) => assert_eq!(fault.blame, Blame::Limit, "{pattern}: {fault}"),
            }
        }
    }
}

#[test]
fn a_text_beyond_what_the_pattern_engine_can_hold_is_a_limit() {
    let vocabulary = Vocabulary::from_gguf(GgufVocabulary { pre: Some("bloom".into()), ..small_gpt2() }).unwrap();
    assert_eq!(vocabulary.encode(&" ".repeat(600_000), PARSED).unwrap_err().blame, Blame::Limit);
    assert_eq!(vocabulary.encode(&" ".repeat(400_000), PARSED).unwrap().len(), 400_000);
    let written_out = Vocabulary::from_gguf(small_gpt2()).unwrap();
    assert_eq!(written_out.encode(&" ".repeat(600_000), PARSED).unwrap().len(), 600_000);
}

#[test]
fn counts_that_disagree_are_named() {
    let mut keys = small_llama();
    keys.scores.pop();
    let fault = Vocabulary::from_gguf(keys).err().unwrap();
    assert!(fault.what.contains("scores has") && fault.what.contains("expected"), "{fault}");
    let mut keys = small_llama();
    keys.token_types.push(1);
    assert!(Vocabulary::from_gguf(keys).err().unwrap().what.contains("token_type"));
    let mut keys = small_gpt2();
    keys.merges.clear();
    assert!(Vocabulary::from_gguf(keys).err().unwrap().what.contains("merges"));
    let mut keys = small_gpt2();
    keys.tokens.clear();
    assert!(Vocabulary::from_gguf(keys).err().unwrap().what.contains("tokens"));
}

#[test]
fn odd_vocabularies_load_with_a_note() {
    let mut keys = small_gpt2();
    keys.merges.extend([b"".to_vec(), b" ".to_vec(), b"q".to_vec(), b"q q".to_vec(), vec![0xFF, b' ', 0xFF]]);
    keys.tokens[3] = vec![0xFF, 0xFE];
    keys.tokens[4] = keys.tokens[5].clone();
    keys.special = vec![("bos".into(), u32::MAX), ("eos".into(), 9999)];
    keys.add_bos = Some(true);
    let vocabulary = Vocabulary::from_gguf(keys).unwrap();
    let said: Vec<&str> = vocabulary.notes().iter().map(|note| note.what.as_str()).collect();
    for part in ["5 of 10 merges", "not valid UTF-8", "text of another token", "outside the vocabulary"] {
        assert!(said.iter().any(|what| what.contains(part)), "{part}: {said:?}");
    }
    assert!(vocabulary.end_ids().iter().all(|id| (*id as usize) < vocabulary.len()));
    let mut keys = small_llama();
    (keys.scores, keys.token_types) = (Vec::new(), Vec::new());
    let vocabulary = Vocabulary::from_gguf(keys).unwrap();
    assert!(vocabulary.preview("the é", PARSED).unwrap().roundtrips);
    let mut keys = small_llama();
    keys.scores.iter_mut().for_each(|score| *score = f32::NAN);
    assert!(Vocabulary::from_gguf(keys).unwrap().preview("the the", PARSED).unwrap().roundtrips);
}

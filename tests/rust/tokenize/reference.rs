//! Ids and texts that other tokenizers gave.

use std::fs;

use glassbox::tokenizer::{TextStream, Vocabulary};
use serde_json::Value;

use super::{EncodeOptions, FULL, PARSED, PLAIN, corpus, gguf, gguf_keys};

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|id| u32::try_from(id.as_u64().unwrap()).unwrap()).collect()
}

fn json(path: &str) -> Option<Value> {
    Some(serde_json::from_slice(&fs::read(corpus(path)?).unwrap()).unwrap())
}

/// Ids equal llama.cpp's on every case, spans tile the text, and the text comes back.
fn check_cases(name: &str) {
    check_ids(name, true);
}

fn check_ids(name: &str, is_lossless: bool) {
    let Some(path) = corpus(&format!("vocab/ggml-vocab-{name}.gguf")) else { return };
    let beside = |ending: &str| fs::read_to_string(format!("{}.{ending}", path.display())).unwrap();
    let (input, output) = (beside("inp"), beside("out"));
    let texts: Vec<&str> = input.split("\n__ggml_vocab_test__\n").collect();
    let expected: Vec<Vec<u32>> =
        output.split('\n').map(|line| line.split_whitespace().map(|id| id.parse().unwrap()).collect()).collect();
    let vocabulary = gguf(gguf_keys::read(&path));
    let count = expected.len();
    assert_eq!(count, 47, "cases of {name}");
    for (text, expected) in texts.iter().zip(expected) {
        let preview = vocabulary.preview(text, PLAIN).unwrap();
        let found: Vec<u32> = preview.pieces.iter().map(|piece| piece.id).collect();
        assert_eq!(found, expected, "{name}: {text:?}");
        assert_eq!(vocabulary.encode(text, PLAIN).unwrap(), expected);
        let covered: usize = preview.pieces.iter().map(|piece| piece.span.len()).sum();
        if is_lossless {
            assert_eq!(covered == text.len(), preview.roundtrips, "{name}: {text:?}: {:?}", preview.notes);
        }
    }
}

#[test]
fn bert_ids_equal_llama_cpp() {
    check_ids("bert-bge", false);
}

#[test]
fn sentence_piece_ids_equal_llama_cpp() {
    check_cases("llama-spm");
}

#[test]
fn gpt_2_ids_equal_llama_cpp() {
    check_cases("gpt-2");
}

#[test]
fn llama_bpe_ids_equal_llama_cpp() {
    check_cases("llama-bpe");
}

#[test]
fn qwen2_ids_equal_llama_cpp() {
    check_cases("qwen2");
}

#[test]
fn deepseek_coder_ids_equal_llama_cpp() {
    check_cases("deepseek-coder");
}

#[test]
fn refact_ids_equal_llama_cpp() {
    check_cases("refact");
}

#[test]
fn tokenizer_json_ids_and_texts_equal_the_reference_library() {
    let Some(reference) = json("tokenizers/reference.json") else { return };
    let texts: Vec<&str> = reference["texts"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    let mut compared = 0;
    for (path, expected) in reference["files"].as_object().unwrap() {
        if !path.ends_with("tokenizer.json") {
            continue;
        }
        let vocabulary = Vocabulary::from_json(&fs::read(corpus(path).unwrap()).unwrap());
        if expected["kind"].as_str().unwrap().starts_with("rejected") {
            assert!(vocabulary.is_err(), "{path} is to be refused");
            continue;
        }
        let vocabulary = vocabulary.unwrap();
        assert_eq!(vocabulary.len() as u64, expected["vocab"].as_u64().unwrap(), "{path}");
        for (nth, text) in texts.iter().enumerate() {
            let (with, without) = (ids(&expected["with_special"][nth]), ids(&expected["without_special"][nth]));
            assert_eq!(vocabulary.encode(text, FULL).unwrap(), with, "{path}: {text:?}");
            assert_eq!(vocabulary.encode(text, PARSED).unwrap(), without, "{path}: {text:?}");
            assert_eq!(vocabulary.decode(&without), expected["decoded"][nth].as_str().unwrap(), "{path}: {text:?}");
            let mut stream = TextStream::default();
            let streamed: String = with.iter().map(|id| stream.push(&vocabulary, *id)).collect();
            assert_eq!(streamed + &stream.finish(), vocabulary.decode(&with), "{path}: {text:?}");
            compared += 1;
        }
    }
    assert_eq!(compared, 4 * texts.len());
}

#[test]
fn minilm_ids_and_tokens_equal_the_reference() {
    let (Some(reference), Some(path)) = (json("minilm/minilm_reference.json"), corpus("minilm/tokenizer.json")) else {
        return;
    };
    let vocabulary = Vocabulary::from_json(&fs::read(path).unwrap()).unwrap();
    for sentence in reference["sentences"].as_array().unwrap() {
        let preview = vocabulary.preview(sentence["text"].as_str().unwrap(), FULL).unwrap();
        let found: Vec<u32> = preview.pieces.iter().map(|piece| piece.id).collect();
        assert_eq!(found, ids(&sentence["ids"]));
        let names: Vec<&str> = found.iter().map(|id| vocabulary.token_text(*id).unwrap()).collect();
        let expected: Vec<&str> = sentence["tokens"].as_array().unwrap().iter().map(|t| t.as_str().unwrap()).collect();
        assert_eq!(names, expected);
    }
}

#[test]
fn truncation_and_padding_of_a_file_are_off_and_said_to_be() {
    let Some(path) = corpus("minilm/tokenizer.json") else { return };
    let vocabulary = Vocabulary::from_json(&fs::read(path).unwrap()).unwrap();
    let said: Vec<&str> = vocabulary.notes().iter().map(|note| note.what.as_str()).collect();
    assert!(said.iter().any(|what| what.contains("truncation")), "{said:?}");
    assert!(said.iter().any(|what| what.contains("padding")), "{said:?}");
    assert_eq!(vocabulary.encode(&"word ".repeat(1000), FULL).unwrap().len(), 1002);
    assert_eq!(vocabulary.encode("word", FULL).unwrap().len(), 3);
}

#[test]
fn the_hugging_face_llama_folder_gives_its_prompt_ids() {
    let (Some(reference), Some(path)) = (json("hf-llama2xs/reference.json"), corpus("hf-llama2xs/tokenizer.json"))
    else {
        return;
    };
    let vocabulary = Vocabulary::from_json(&fs::read(path).unwrap()).unwrap();
    let prompt = reference["prompt"].as_str().unwrap();
    assert_eq!(vocabulary.encode(prompt, FULL).unwrap(), ids(&reference["ids"]));
}

#[test]
fn llama_models_give_the_prompt_ids_and_texts_of_llama2_c() {
    for (model, file) in [("stories260K", "stories260K-f16"), ("llama2xs", "llama2xs-f16")] {
        let (Some(reference), Some(path)) =
            (json(&format!("llama/{model}.reference.json")), corpus(&format!("llama/{file}.gguf")))
        else {
            return;
        };
        let vocabulary = gguf(gguf_keys::read(&path));
        let options = EncodeOptions { add_special: true, parse_special: false };
        for case in reference["tokenization"].as_array().unwrap() {
            let text = case["text"].as_str().unwrap();
            assert_eq!(vocabulary.encode(text, options).unwrap(), ids(&case["ids"]), "{model}: {text:?}");
        }
        for case in reference["prompts"].as_array().unwrap() {
            let prompt = case["prompt"].as_str().unwrap();
            assert_eq!(vocabulary.encode(prompt, options).unwrap(), ids(&case["prompt_ids"]), "{model}: {prompt:?}");
        }
    }
}

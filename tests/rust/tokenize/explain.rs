//! What an explanation shows, on vocabularies small enough to follow by hand; and that real ones agree.

use std::fs;

use glassbox::tokenizer::{PartKind, Vocabulary, Word};
use serde_json::Value;

use super::{FULL, PARSED, PLAIN, corpus, every_kind::check_explanation, gguf, gguf_keys, small_gpt2, small_llama};

fn words(vocabulary: &Vocabulary, text: &str) -> Vec<Word> {
    vocabulary.explain(text, PLAIN).unwrap().parts.into_iter().flat_map(|part| part.words).collect()
}

#[test]
fn merges_of_byte_level_bpe_are_shown_with_their_ranks_and_what_is_left() {
    let vocabulary = gguf(small_gpt2());
    let words = words(&vocabulary, "hell the");
    assert_eq!(words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>(), ["hell", "Ġthe"]);
    assert_eq!((words[0].span.clone(), words[1].span.clone()), (0..4, 4..8));
    let steps =
        |word: &Word| word.merges.iter().map(|m| (m.rank.unwrap(), m.at, m.symbols.join(" "))).collect::<Vec<_>>();
    assert_eq!(words[1].symbols, ["Ġ", "t", "h", "e"]);
    assert_eq!(steps(&words[0]), [(0, 0, "he l l".into()), (3, 1, "he ll".into())]);
    assert_eq!(steps(&words[1]), [(0, 2, "Ġ t he".into()), (1, 0, "Ġt he".into()), (2, 0, "Ġthe".into())]);
    assert_eq!(words[1].tokens.len(), 1);
}

#[test]
fn merges_of_sentence_piece_are_shown_with_their_scores_and_the_space_that_is_added() {
    let vocabulary = gguf(small_llama());
    let explanation = vocabulary.explain("the €", PLAIN).unwrap();
    let part = &explanation.parts[0];
    let runs: Vec<(&str, &str)> = part.prepared.iter().map(|run| (run.from.as_str(), run.to.as_str())).collect();
    assert_eq!(runs, [("", "▁"), ("the", "the"), (" ", "▁"), ("€", "€")]);
    let word = &part.words[0];
    let steps: Vec<_> = word.merges.iter().map(|m| (m.left.as_str(), m.right.as_str(), m.score.unwrap())).collect();
    assert_eq!(steps, [("▁", "t", 0.0), ("h", "e", -1.0), ("▁t", "he", -2.0)]);
    let last: Vec<&str> = word.tokens.iter().map(|token| token.how).collect();
    assert_eq!(last, ["", "", "byte", "byte", "byte"]);
    assert_eq!(word.tokens[2].span, 4..5);
}

#[test]
fn special_tokens_and_those_put_around_stand_alone() {
    let vocabulary = gguf(small_llama());
    let explanation = vocabulary.explain("<s>he[TOOL]", FULL).unwrap();
    let kinds: Vec<_> = explanation.parts.iter().map(|part| (part.kind, part.span.clone())).collect();
    let expected =
        [(PartKind::Added, 0..0), (PartKind::Special, 0..3), (PartKind::Text, 3..5), (PartKind::Special, 5..11)];
    assert_eq!(kinds, expected);
}

/// ▁ + ab is -5.5, ▁a + b is -7, ▁ab is -9: the scores of tests/rust/tokenize/kinds.rs.
#[test]
fn the_best_way_of_unigram_is_shown_among_what_else_matches() {
    let all = super::every_kind::all();
    let t5 = &all.iter().find(|kind| kind.name == "t5").unwrap().vocabulary;
    let word = words(t5, "ab").remove(0);
    let first: Vec<_> =
        word.choices[0].candidates.iter().map(|c| (c.text.as_str(), c.total.unwrap(), c.taken)).collect();
    assert_eq!(first, [("▁", -2.0, true), ("▁a", -4.0, false), ("▁ab", -9.0, false)]);
    let second: Vec<_> =
        word.choices[1].candidates.iter().map(|c| (c.text.as_str(), c.total.unwrap(), c.taken)).collect();
    assert_eq!(second, [("a", -5.0, false), ("ab", -5.5, true)]);
}

#[test]
fn the_longest_match_is_shown_among_the_shorter_ones() {
    let all = super::every_kind::all();
    let rwkv = &all.iter().find(|kind| kind.name == "rwkv").unwrap().vocabulary;
    let word = words(rwkv, "thex").remove(0);
    let first: Vec<_> = word.choices[0].candidates.iter().map(|c| (c.text.as_str(), c.taken)).collect();
    assert_eq!(first, [("t", false), ("the", true)]);
    let pieces = &all.iter().find(|kind| kind.name == "tokenizer.json, WordPiece").unwrap().vocabulary;
    let explanation = pieces.explain("THEb", PLAIN).unwrap();
    let run = &explanation.parts[0].prepared[0];
    assert_eq!((run.from.as_str(), run.to.as_str()), ("THE", "the"));
    let word = &explanation.parts[0].words[0];
    let rows: Vec<Vec<(&str, bool)>> = word
        .choices
        .iter()
        .map(|choice| choice.candidates.iter().map(|c| (c.text.as_str(), c.taken)).collect())
        .collect();
    assert_eq!(rows, [vec![("the", true)], vec![("##b", true)]]);
}

#[test]
fn a_long_text_keeps_its_ids_and_says_which_steps_are_left_out() {
    let vocabulary = gguf(small_gpt2());
    let text = "hello the ".repeat(1000);
    let explanation = vocabulary.explain(&text, PLAIN).unwrap();
    assert!(explanation.agrees && explanation.left_out > 0);
    assert!(explanation.notes.iter().any(|note| note.what.contains("not listed")), "{:?}", explanation.notes);
    // One word of many symbols.
    let long = vocabulary.explain(&"l".repeat(60_000), PLAIN).unwrap();
    assert!(long.agrees && long.left_out == 1);
    let fault = vocabulary.explain(&"l".repeat(70_000), PLAIN).err().unwrap();
    assert!(fault.what.contains("text to explain"), "{fault}");
}

/// Real vocabularies of every kind that the corpus has: the steps lead to the encoder's ids for the texts of llama.cpp's
/// own tests and for those of the reference libraries.
#[test]
fn the_steps_lead_to_the_ids_for_real_vocabularies() {
    let Some(path) = corpus("tokenizers/reference.json") else { return };
    let reference: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let mut texts: Vec<String> =
        reference["texts"].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect();
    let cases = fs::read_to_string(corpus("vocab/ggml-vocab-llama-bpe.gguf.inp").unwrap()).unwrap();
    texts.extend(cases.split("\n__ggml_vocab_test__\n").map(str::to_owned));
    let check = |name: &str, vocabulary: &Vocabulary| {
        for text in &texts {
            for options in [PLAIN, PARSED, FULL] {
                check_explanation(name, vocabulary, text, options);
            }
        }
    };
    for name in ["bert-bge", "llama-spm", "gpt-2", "llama-bpe", "qwen2", "deepseek-coder", "refact"] {
        let vocabulary = gguf(gguf_keys::read(&corpus(&format!("vocab/ggml-vocab-{name}.gguf")).unwrap()));
        check(name, &vocabulary);
    }
    let mut compared = 0;
    for (path, expected) in reference["files"].as_object().unwrap() {
        let bytes = fs::read(corpus(path).unwrap()).unwrap();
        let vocabulary = if path.ends_with(".json") {
            Vocabulary::from_json(&bytes)
        } else {
            Vocabulary::from_sentence_piece(&bytes)
        };
        if expected["kind"].as_str().unwrap().starts_with("rejected") {
            continue;
        }
        check(path, &vocabulary.unwrap());
        compared += 1;
    }
    assert_eq!(compared, 7);
}

//! What is known to go wrong with tokenizers in practice is told, with a reason and what to do.

use glassbox::{
    model::{Note, Severity},
    session::Inspection,
    tokenizer::GgufVocabulary,
};
use serde_json::{Value as Json, json};

use super::{
    opened::{block_on, in_memory},
    small_gpt2, small_llama,
    writers::{Gguf, Value, string},
};

fn file(keys: &GgufVocabulary) -> Gguf {
    let mut file = Gguf { entries: Vec::new(), tensors: Vec::new(), ..Gguf::small() };
    let strings = |items: &[Vec<u8>]| Value::array(8, &items.iter().map(string).collect::<Vec<_>>());
    file.set("general.architecture", Value::text("llama"));
    file.set("tokenizer.ggml.model", Value::text(&keys.model));
    if let Some(pre) = &keys.pre {
        file.set("tokenizer.ggml.pre", Value::text(pre));
    }
    file.set("tokenizer.ggml.tokens", strings(&keys.tokens));
    let types: Vec<Vec<u8>> = keys.token_types.iter().map(|kind| kind.to_le_bytes().to_vec()).collect();
    file.set("tokenizer.ggml.token_type", Value::array(5, &types));
    if !keys.scores.is_empty() {
        let scores: Vec<Vec<u8>> = keys.scores.iter().map(|score| score.to_le_bytes().to_vec()).collect();
        file.set("tokenizer.ggml.scores", Value::array(6, &scores));
    }
    if !keys.merges.is_empty() {
        file.set("tokenizer.ggml.merges", strings(&keys.merges));
    }
    for (name, id) in &keys.special {
        file.set(&format!("tokenizer.ggml.{name}_token_id"), Value::u32(*id));
    }
    file
}

fn warnings(gguf: &Gguf, beside: &[(&str, Vec<u8>)]) -> Vec<Note> {
    let bytes = gguf.bytes();
    let mut files: Vec<(&str, &[u8])> = vec![("m.gguf", &bytes)];
    files.extend(beside.iter().map(|(name, bytes)| (*name, bytes.as_slice())));
    let inspection = block_on(Inspection::open(in_memory(&files))).unwrap();
    block_on(inspection.tokenizer_warnings())
}

/// The note that holds these words, which says why it matters.
fn find<'a>(notes: &'a [Note], severity: Severity, words: &str) -> &'a Note {
    let found = notes.iter().find(|note| note.what.contains(words)).unwrap_or_else(|| panic!("{words}: {notes:#?}"));
    assert_eq!(found.severity, severity, "{found:?}");
    assert!(found.why.is_some(), "{found:?}");
    found
}

/// The tokenizer.json of `with_digits`, whose rules are those of a pattern.
fn tokenizer_json(pattern: &str) -> Vec<u8> {
    let keys = with_digits();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let vocab: serde_json::Map<String, Json> =
        keys.tokens.iter().zip(0..).map(|(token, id)| (text(token), json!(id))).collect();
    let merges: Vec<String> = keys.merges.iter().map(|merge| text(merge)).collect();
    let level = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false});
    let split = json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false});
    let file = json!({
        "version": "1.0", "added_tokens": [], "normalizer": null, "post_processor": null,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, level]},
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "vocab": vocab, "merges": merges},
    });
    file.to_string().into_bytes()
}

const GPT2: &str = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// As `small_gpt2`, with merges that tell rules apart: of two digits, and of a space and a digit.
fn with_digits() -> GgufVocabulary {
    let mut keys = small_gpt2();
    for (left, right) in [("1", "2"), ("Ġ", "1"), ("Ġ", "12")] {
        keys.tokens.push(format!("{left}{right}").into_bytes());
        keys.token_types.push(1);
        keys.merges.push(format!("{left} {right}").into_bytes());
    }
    keys
}

#[test]
fn a_missing_or_default_pre_tokenizer_is_told_with_what_the_vocabulary_looks_like() {
    let mut keys = small_gpt2();
    keys.pre = None;
    // Padding up to GPT-2's size, and its mark.
    keys.tokens.extend((keys.tokens.len()..50_256).map(|nth| format!("pad{nth}").into_bytes()));
    keys.tokens.push(b"<|endoftext|>".to_vec());
    keys.token_types.resize(keys.tokens.len(), 1);
    let notes = warnings(&file(&keys), &[]);
    find(&notes, Severity::Warning, "names no pre-tokenizer");
    let note = find(&notes, Severity::Warning, "looks like that of GPT-2");
    assert!(note.advice.as_ref().unwrap().contains("\"gpt-2\""));
    keys.pre = Some("gpt-2".into());
    let notes = warnings(&file(&keys), &[]);
    assert!(notes.iter().all(|note| !note.what.contains("looks like")), "{notes:?}");
}

#[test]
fn a_tokenizer_file_beside_the_model_shows_that_the_rules_are_wrong_and_which_are_right() {
    let keys = GgufVocabulary { pre: Some("viking".into()), ..with_digits() };
    let beside = [("tokenizer.json", tokenizer_json(GPT2))];
    let notes = warnings(&file(&keys), &beside);
    let note = find(&notes, Severity::Warning, "probing texts otherwise");
    assert!(note.advice.as_ref().unwrap().contains("gpt-2"), "{note:?}");
    let keys = GgufVocabulary { pre: Some("gpt-2".into()), ..with_digits() };
    let notes = warnings(&file(&keys), &beside);
    assert!(notes.iter().all(|note| !note.what.contains("probing")), "{notes:?}");
}

#[test]
fn a_tokenizer_file_of_another_vocabulary_is_told() {
    let words: Vec<Json> = (0..300).map(|nth| json!([format!("w{nth}"), -1.0])).collect();
    let other = json!({
        "version": "1.0", "added_tokens": [], "normalizer": null, "pre_tokenizer": null, "post_processor": null,
        "decoder": null, "model": {"type": "Unigram", "unk_id": 0, "vocab": words},
    });
    let notes = warnings(&file(&small_gpt2()), &[("tokenizer.json", other.to_string().into_bytes())]);
    let note = find(&notes, Severity::Warning, "tokenizer.json holds another vocabulary");
    assert!(note.advice.is_some());
}

#[test]
fn missing_merges_and_unknown_kinds_are_told_as_a_tokenizer_that_cannot_be_used() {
    let keys = GgufVocabulary { merges: Vec::new(), ..small_gpt2() };
    let note = warnings(&file(&keys), &[]).remove(0);
    assert!(note.severity == Severity::Error && note.what.contains("merges is empty or missing"), "{note:?}");
    assert!(note.advice.is_some());
    let keys = GgufVocabulary { pre: Some("no-such-rules".into()), ..small_gpt2() };
    let note = warnings(&file(&keys), &[]).remove(0);
    assert!(note.severity == Severity::Warning && note.what.contains("does not guess"), "{note:?}");
}

#[test]
fn empty_and_equal_tokens_are_counted() {
    let mut keys = small_llama();
    keys.tokens[262] = Vec::new();
    keys.tokens[263] = keys.tokens[264].clone();
    let notes = warnings(&file(&keys), &[]);
    find(&notes, Severity::Info, "1 ids have no token or an empty one, the first is 262");
    assert!(notes.iter().any(|note| note.what.contains("have the text of another token")), "{notes:?}");
}

#[cfg(feature = "chat")]
#[test]
fn an_end_of_turn_that_does_not_end_a_generation_and_a_double_bos_are_told() {
    let template = |source: &str| {
        let mut keys = small_llama();
        keys.tokens.push(b"<|over|>".to_vec());
        keys.token_types.push(3);
        keys.scores.push(0.0);
        let mut file = file(&keys);
        file.set("tokenizer.chat_template", Value::text(source));
        warnings(&file, &[])
    };
    let turns =
        |end: &str| format!("{{{{ bos_token }}}}{{% for m in messages %}}{{{{ m.content + '{end}' }}}}{{% endfor %}}");
    let notes = template(&turns("<|over|>"));
    let note = find(&notes, Severity::Warning, "which does not end a generation");
    assert!(note.what.contains("\"<|over|>\"") && note.what.contains("\"</s>\"") && note.advice.is_some(), "{note:?}");
    find(&notes, Severity::Info, "writes BOS");
    let notes = template(&turns("</s>").replace("{{ bos_token }}", ""));
    assert!(notes.iter().all(|note| !note.what.contains("template")), "{notes:?}");
}

#[test]
fn a_model_without_a_tokenizer_has_no_findings_about_one() {
    let mut gguf = Gguf::small();
    gguf.entries.retain(|(key, _)| !key.starts_with(b"tokenizer"));
    assert_eq!(warnings(&gguf, &[]), []);
}

/// Ollama's converter writes "default" where it does not know the rules.
#[test]
fn a_pre_tokenizer_for_want_of_a_better_one_is_told() {
    for (architecture, pre, severity, words) in [
        ("llama4", Some("default"), Some(Severity::Warning), "are split by the rules of \"llama4\""),
        ("gptoss", Some("default"), Some(Severity::Warning), "are split by the rules of \"gpt-4o\""),
        ("llama", Some("default"), Some(Severity::Warning), "the converter did not know"),
        ("llama", None, Some(Severity::Info), "tokenizer.ggml.pre is not set"),
        ("qwen2", None, Some(Severity::Warning), "tokenizer.ggml.pre is not set"),
        ("of-my-own", Some("default"), Some(Severity::Info), "the converter did not know"),
        ("llama4", Some("llama4"), None, ""),
    ] {
        let mut file = file(&GgufVocabulary { pre: pre.map(str::to_owned), ..small_gpt2() });
        file.entries.retain(|(key, _)| key != b"general.architecture");
        file.set("general.architecture", Value::text(architecture));
        let inspection = block_on(Inspection::open(in_memory(&[("m.gguf", &file.bytes())]))).unwrap();
        let report = block_on(glassbox::report::ModelReport::of(&inspection));
        let told = report.notes.iter().find(|n| n.what.starts_with("tokenizer.ggml.pre is") && n.what.contains(words));
        let severity = severity.map(|s| if s == Severity::Warning { "warning" } else { "info" });
        assert_eq!(told.map(|n| n.severity), severity, "{architecture} {pre:?}: {:#?}", report.notes);
    }
}

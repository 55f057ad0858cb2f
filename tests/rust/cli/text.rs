//! `tokenize` and `vocab`.

use super::*;

#[test]
fn tokenize_reads_standard_input_and_gives_ids_with_spans() {
    let file = sample("gguf/sample-q8_0.gguf");
    let mut child = Command::new(env!("CARGO_BIN_EXE_glassbox"))
        .args(["tokenize", path(&file), "-", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the command starts");
    child.stdin.take().expect("piped").write_all("Once upon a time".as_bytes()).expect("written");
    let output = child.wait_with_output().expect("ends");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let pieces = report["pieces"].as_array().expect("pieces");
    assert_eq!(pieces.len(), report["ids"].as_array().expect("ids").len());
    assert_eq!(pieces[0]["start"], 0);
    assert_eq!(pieces[pieces.len() - 1]["end"], 16);
    assert_eq!(report["roundtrips"], true);
}

#[test]
fn tokenize_takes_a_vocabulary_file_alone() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("vocab.txt");
    std::fs::write(&file, "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nhello\n##s\n").expect("a written file");
    let report = json(&["tokenize", path(&file), "Hellos hello", "--add-special", "--json"]);
    assert_eq!(report["ids"], serde_json::json!([2, 5, 6, 5, 3]));
    assert!(report["tokenizer"].as_str().is_some_and(|title| title.starts_with("WordPiece (vocab.txt)")));
}

#[test]
fn tokenize_explains_a_text_step_by_step_to_the_same_ids() {
    let file = sample("gguf/sample-q8_0.gguf");
    let plain = json(&["tokenize", path(&file), "Once upon a time", "--json"]);
    let explained = json(&["tokenize", path(&file), "Once upon a time", "--explain", "--json"]);
    assert_eq!(explained["ids"], plain["ids"]);
    assert_eq!(explained["agrees"], true);
    let words = explained["parts"][0]["words"].as_array().expect("words");
    assert!(words.len() >= 4 && words.iter().any(|word| !word["merges"].as_array().expect("merges").is_empty()));
    let output = glassbox(&["tokenize", path(&file), "Once upon a time", "--explain"]);
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && shown.contains("rank ") && shown.contains(" tokens"), "{shown}");
}

#[test]
fn two_tokenizers_are_compared_and_a_difference_ends_with_1() {
    let (gguf, folder) = (sample("gguf/sample-q8_0.gguf"), sample("hf"));
    let same = json(&["tokenize", path(&gguf), "Once upon a time", "--with", path(&folder), "--json"]);
    assert_eq!((&same["same"], &same["first_cut"]), (&Value::Bool(true), &Value::Null));
    let words = tempfile::tempdir().expect("a folder");
    let other = words.path().join("vocab.txt");
    std::fs::write(&other, "[UNK]\nonce\nupon\na\ntime\n").expect("a written file");
    let output = glassbox(&["tokenize", path(&gguf), "Once upon a time", "--with", path(&other), "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["same"], false);
    assert!(!report["first_id"].is_null() && report["b"]["ids"].as_array().is_some_and(|ids| ids.len() == 4));
    let shown = glassbox(&["tokenize", path(&gguf), "Once upon a time", "--with", path(&other)]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("at character "), "{shown:?}");
}

#[test]
fn vocab_finds_tokens_by_text_id_and_type_in_any_order() {
    let file = sample("gguf/sample-q8_0.gguf");
    let all = json(&["vocab", path(&file), "--json", "--limit", "3"]);
    assert_eq!((all["size"].as_u64(), all["tokens"].as_array().map(Vec::len)), (Some(1000), Some(3)));
    let one = json(&["vocab", path(&file), "#7", "--json"]);
    assert_eq!((one["matching"].as_u64(), one["tokens"][0]["id"].as_u64()), (Some(1), Some(7)));
    let longest = json(&["vocab", path(&file), "--sort", "length", "--json"]);
    let bytes = |nth: usize| longest["tokens"][nth]["hex"].as_str().map_or(0, str::len);
    assert!(bytes(0) >= bytes(1) && bytes(1) >= bytes(2) && bytes(2) > 2);
    let control = json(&["vocab", path(&file), "--type", "control", "--json"]);
    assert!(control["tokens"].as_array().is_some_and(|tokens| tokens.iter().all(|token| token["kind"] == "control")));
    assert_eq!(glassbox(&["vocab", path(&file), "--type", "verb"]).status.code(), Some(2));
    let shown = glassbox(&["vocab", path(&file), "the"]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("tokens match"), "{shown:?}");
}

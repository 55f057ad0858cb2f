//! `glassbox edit`, `split` and `merge` as a user meets them.

use std::fs;

use super::{glassbox, json, path, sample};

#[test]
fn edit_changes_metadata_and_no_tensor() {
    let folder = tempfile::tempdir().unwrap();
    let (file, template) = (folder.path().join("model.gguf"), folder.path().join("template.jinja"));
    fs::copy(sample("gguf/sample-q8_0.gguf"), &file).unwrap();
    fs::write(&template, "{{ messages[0].content }}").unwrap();
    let words = ["edit", path(&file), "--set", "general.name=Renamed", "--chat-template", path(&template), "--json"];
    let before = fs::read(&file).unwrap();
    let planned = json(&[&words[..], &["--dry-run"]].concat());
    assert!(planned["output"]["bytes"].is_null());
    assert!(fs::read(&file).unwrap() == before);
    let report = json(&[&words[..], &["--in-place"]].concat());
    assert_eq!(report["changes"][0]["after"]["value"], "Renamed");
    assert_eq!(report["changes"], planned["changes"]);
    let inspected = json(&["inspect", path(&file), "--json"]);
    let value = |key: &str| {
        inspected["metadata"].as_array().unwrap().iter().find(|m| m["key"] == key).unwrap()["value"].clone()
    };
    assert_eq!(
        (value("general.name"), value("tokenizer.chat_template")),
        ("Renamed".into(), "{{ messages[0].content }}".into())
    );
    // The data section is the end of the file; its padding aside, nothing of it changed.
    let after = fs::read(&file).unwrap();
    assert!(before[before.len() - 100_000..] == after[after.len() - 100_000..]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    let refused = glassbox(&["edit", path(&file), "--remove", "no.such.key", "--in-place"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("there is no key no.such.key"));
    assert_eq!(glassbox(&["edit", path(&file), "--in-place"]).status.code(), Some(2));
}

#[test]
fn a_model_that_was_split_runs_and_is_merged_to_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let (prefix, merged) = (folder.path().join("part"), folder.path().join("merged.gguf"));
    let source = sample("gguf/sample-q8_0.gguf");
    let split = ["split", path(&source), "--max-tensors", "8", "-o", path(&prefix), "--json"];
    let planned = json(&[&split[..], &["--dry-run"]].concat());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    let report = json(&split);
    let files = report["files"].as_array().unwrap();
    assert_eq!(files.len(), planned["files"].as_array().unwrap().len());
    assert!(
        files.len() > 1
            && files
                .iter()
                .all(|f| f["bytes"].as_u64() == fs::metadata(f["file"].as_str().unwrap()).ok().map(|m| m.len()))
    );
    let first = files[0]["file"].as_str().unwrap();
    assert!(first.ends_with(&format!("part-00001-of-{:05}.gguf", files.len())), "{first}");
    let said = |model: &str| {
        json(&["run", model, "-p", "Once", "-n", "4", "--temp", "0", "--device", "cpu", "--json"])["text"].clone()
    };
    assert_eq!(said(first), said(path(&source)));
    json(&["merge", first, "-o", path(&merged), "--json"]);
    assert!(fs::read(&merged).unwrap() == fs::read(&source).unwrap());
    let cut = glassbox(&["split", path(&source), "--max-size", "2X"]);
    assert_eq!(cut.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&cut.stderr).contains("not a size such as 500M"));
}

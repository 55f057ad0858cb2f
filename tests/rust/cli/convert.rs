//! `glassbox convert` as a user meets it.

use std::{fs, path::PathBuf};

use super::{glassbox, json, path, root};

/// The folder of a model in the corpus.
fn folder(name: &str) -> Option<PathBuf> {
    let corpus = std::env::var_os("GLASSBOX_CORPUS").map_or_else(|| root().join("../shared/corpus"), PathBuf::from);
    let found = corpus.join("arch").join(name).join("hf");
    if !found.is_dir() {
        eprintln!(
            "skipped: needs the corpus because it converts a model's folder; GLASSBOX_CORPUS or ../shared/corpus names none"
        );
    }
    found.is_dir().then_some(found)
}

#[test]
fn a_folder_is_planned_then_written_whole_or_in_parts() {
    let Some(model) = folder("llama") else { return };
    let target = tempfile::tempdir().unwrap();
    let file = target.path().join("model.gguf");
    let planned = json(&["convert", path(&model), path(&file), "--dry-run", "--json"]);
    assert!(!file.exists());
    assert_eq!((planned["architecture"].as_str(), planned["file_type"].as_str()), (Some("llama"), Some("BF16")));
    let report = json(&["convert", path(&model), path(&file), "--json"]);
    assert_eq!(report["tensors"], planned["tensors"]);
    assert_eq!(report["files"][0]["bytes"].as_u64(), Some(fs::metadata(&file).unwrap().len()));
    // Both forms are the same model to the engine.
    let same = json(&["diff", path(&model), path(&file), "--values", "--json"]);
    assert_eq!(same["differs"], false, "{}", same["summary"]);
    let q = report["tensors"].as_array().unwrap().iter().find(|t| t["name"] == "blk.0.attn_q.weight").unwrap();
    assert_eq!(q["from"][0], "model.layers.0.self_attn.q_proj.weight");
    let checked = glassbox(&["check", path(&file)]);
    assert_eq!(checked.status.code(), Some(0), "{}", String::from_utf8_lossy(&checked.stdout));
    let parts = json(&["convert", path(&model), path(&file), "--split-max-size", "100K", "--type", "F16", "--json"]);
    let first = parts["files"][0]["file"].as_str().unwrap();
    assert!(parts["files"].as_array().unwrap().len() > 1 && first.contains("model-00001-of-"), "{first}");
    let inspected = json(&["inspect", first, "--json", "--tensors"]);
    assert_eq!(inspected["tensors"].as_array().unwrap().len(), report["tensors"].as_array().unwrap().len());
}

#[test]
fn what_cannot_be_converted_leaves_nothing_behind() {
    let target = tempfile::tempdir().unwrap();
    let (weights, out) = (target.path().join("model.safetensors"), target.path().join("model.gguf"));
    fs::write(&weights, b"\x02\0\0\0\0\0\0\0{}").unwrap();
    let refused = glassbox(&["convert", path(target.path()), path(&out)]);
    assert_eq!(refused.status.code(), Some(1), "{}", String::from_utf8_lossy(&refused.stderr));
    assert!(!out.exists() && fs::read_dir(target.path()).unwrap().count() == 1);
    let wrong = glassbox(&["convert", path(target.path()), path(&out), "--type", "Q4_K_M"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("glassbox quantize"));
    let Some(model) = folder("llama") else { return };
    for file in fs::read_dir(&model).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), target.path().join(file.file_name())).unwrap();
    }
    let own = glassbox(&["convert", path(target.path()), path(&weights)]);
    assert_eq!(own.status.code(), Some(2), "{}", String::from_utf8_lossy(&own.stderr));
    assert!(fs::read(&weights).unwrap() == fs::read(model.join("model.safetensors")).unwrap());
}

#[test]
fn a_gguf_file_becomes_a_folder_that_runs() {
    let target = tempfile::tempdir().unwrap();
    let out = target.path().join("folder");
    let source = super::sample("gguf/sample-f16.gguf");
    let report =
        json(&["convert", path(&source), path(&out), "--to", "safetensors", "--split-max-size", "200K", "--json"]);
    assert_eq!(report["format"], "safetensors");
    let names: Vec<String> =
        fs::read_dir(&out).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    for name in ["config.json", "model.safetensors.index.json"] {
        assert!(names.iter().any(|n| n == name), "{names:?}");
    }
    let same = json(&["diff", path(&source), path(&out), "--values", "--json"]);
    assert_eq!(same["counts"].as_array().map(Vec::is_empty), Some(false));
    let one =
        glassbox(&["convert", path(&source), path(&target.path().join("one.safetensors")), "--split-max-size", "200K"]);
    assert_eq!(one.status.code(), Some(2));
}

#[test]
fn tensors_are_extracted_by_patterns_into_the_format_of_their_model() {
    let target = tempfile::tempdir().unwrap();
    let (source, out) = (super::sample("gguf/sample-q8_0.gguf"), target.path().join("part.gguf"));
    let words = ["extract", path(&source), path(&out), "--tensors", "token_embd", r"^blk\.0\.attn", "--json"];
    let planned = json(&[&words[..], &["--dry-run"]].concat());
    assert!(!out.exists());
    let report = json(&words);
    assert_eq!(report["files"][0]["tensors"], planned["files"][0]["tensors"]);
    let inspected = json(&["inspect", path(&out), "--json", "--tensors"]);
    let tensors = inspected["tensors"].as_array().unwrap();
    assert!(
        tensors.len() > 1
            && tensors.iter().all(|t| {
                let name = t["name"].as_str().unwrap();
                name.contains("token_embd") || name.starts_with("blk.0.attn")
            })
    );
    let all = json(&["inspect", path(&source), "--json", "--metadata"]);
    assert_eq!(
        json(&["inspect", path(&out), "--json", "--metadata"])["metadata"].as_array().map(Vec::len),
        all["metadata"].as_array().map(Vec::len)
    );
    let none = glassbox(&["extract", path(&source), path(&out), "--tensors", "no_such_tensor"]);
    assert_eq!(none.status.code(), Some(2));
    let onto = glassbox(&["extract", path(&source), path(&source), "--tensors", "token_embd"]);
    assert_eq!(onto.status.code(), Some(2), "{}", String::from_utf8_lossy(&onto.stderr));
}

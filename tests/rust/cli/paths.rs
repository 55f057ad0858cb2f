//! What a path may be: regular files, folders, one file of a model, a tokenizer alone.

use super::*;

/// The command on one path, which must end within some seconds.
#[cfg(unix)]
fn ends(args: &[&str]) -> Output {
    use std::{sync::mpsc, thread, time::Duration};
    let child = Command::new(env!("CARGO_BIN_EXE_glassbox"))
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let id = child.id().to_string();
    let (ended, output) = mpsc::channel();
    thread::spawn(move || ended.send(child.wait_with_output()));
    match output.recv_timeout(Duration::from_secs(20)) {
        Ok(output) => output.expect("its output can be read"),
        Err(_) => {
            Command::new("kill").arg(id).status().expect("the command can be ended");
            panic!("{args:?} did not end");
        }
    }
}

#[cfg(unix)]
#[test]
fn what_is_no_regular_file_is_refused_and_never_waited_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let pipe = folder.path().join("model.gguf");
    let made = Command::new("mkfifo").arg(&pipe).status();
    if !made.is_ok_and(|status| status.success()) {
        eprintln!("skipped: a named pipe because mkfifo is not there");
        return;
    }
    let socket = folder.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
    let (pipe, socket) = (path(&pipe).to_owned(), path(&socket).to_owned());
    for (what, words) in [
        (pipe.as_str(), "a regular file expected, a named pipe (FIFO) found"),
        (&socket, "a regular file expected, a socket found"),
        ("/dev/null", "a regular file expected, a character device found"),
    ] {
        for command in ["inspect", "check", "tokenize", "hex"] {
            let output = ends(&[command, what]);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(3), "{command} {what}: {said}");
            assert!(said.contains(words), "{command} {what}: {said}");
        }
    }
    // In a folder they are passed over.
    std::fs::write(folder.path().join("x.json"), r#"{"model_type":"llama"}"#).expect("written");
    std::fs::rename(folder.path().join("x.json"), folder.path().join("config.json")).expect("renamed");
    let output = ends(&["inspect", path(folder.path())]);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
}

#[cfg(unix)]
#[test]
fn a_folder_that_cannot_be_listed_is_told_and_the_rest_is_read() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let closed = folder.path().join("closed");
    std::fs::create_dir(&closed).expect("a folder within");
    std::fs::write(closed.join("x.txt"), "x").expect("written");
    std::fs::copy(sample("gguf/sample-q8_0.gguf"), folder.path().join("m.gguf")).expect("copied");
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o000)).expect("closed");
    let is_closed = std::fs::read_dir(&closed).is_err();
    let output = glassbox(&["inspect", path(folder.path()), "--json"]);
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o755)).expect("opened again");
    let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
    assert_eq!(report["format"], "GGUF");
    if !is_closed {
        eprintln!("skipped: the note because this user may list every folder");
        return;
    }
    let told = report["notes"].as_array().is_some_and(|notes| {
        notes.iter().any(|n| n["what"].as_str().is_some_and(|w| w.contains("\"closed\" is left out: cannot be listed")))
    });
    assert!(told, "{:#}", report["notes"]);
}

/// As the addresses' command does it: shards, index, configuration, tokenizer, external data.
#[test]
fn one_file_on_disk_finds_what_its_folder_holds_of_the_same_model() {
    let hf = sample("hf");
    let alone = json(&["inspect", path(&hf.join("model-00002-of-00002.safetensors")), "--json"]);
    let folder = json(&["inspect", path(&hf), "--json"]);
    let names = |report: &Value| -> Vec<String> {
        let files = report["files"].as_array().cloned().unwrap_or_default();
        files.iter().filter_map(|f| f["name"].as_str().map(str::to_owned)).collect()
    };
    for name in ["model-00001-of-00002.safetensors", "model.safetensors.index.json", "config.json", "tokenizer.json"] {
        assert!(names(&alone).iter().any(|n| n == name), "{name}: {:?}", names(&alone));
    }
    assert_eq!(alone["tensors"], folder["tensors"]);
    assert_eq!(alone["tokenizer"], folder["tokenizer"]);
    for other in ["model.safetensors.index.json", "config.json"] {
        let report = json(&["inspect", path(&hf.join(other)), "--json"]);
        assert_eq!(report["tensors"], folder["tensors"], "{other}");
    }
    let ids = |given: &Path| json(&["tokenize", path(given), "Once upon a time", "--json"])["ids"].clone();
    assert_eq!(ids(&hf.join("model-00001-of-00002.safetensors")), ids(&hf));
}

#[test]
fn a_tokenizer_alone_opens_as_what_it_is() {
    let folder = root().join("tests/corpus/sentencepiece");
    for (file, words) in
        [("word.spm", "whole words"), ("char.spm", "single characters"), ("bpe.spm", "BPE"), ("unigram.spm", "Unigram")]
    {
        let report = json(&["inspect", path(&folder.join(file)), "--json"]);
        assert_eq!(report["format"], "tokenizer");
        assert_eq!(report["tokenizer"], *file);
        assert!(report["summary"].as_str().is_some_and(|s| s.contains(words)), "{}", report["summary"]);
        let tokens = json(&["tokenize", path(&folder.join(file)), "the fox", "--json"]);
        assert!(tokens["ids"].as_array().is_some_and(|ids| !ids.is_empty()), "{file}");
    }
}

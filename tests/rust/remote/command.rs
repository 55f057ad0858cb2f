//! The command with addresses: what it says, and what of a folder it asks for.

use std::{
    collections::HashMap,
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::Value;

use super::server::{Remote, Reply, Server};
use crate::common::writers::{self, Gguf};

/// A folder of the sample on a host.
fn sample(folder: &str) -> Server {
    let at = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus/sample").join(folder);
    let files = std::fs::read_dir(at).expect("the sample is in the repository").flatten().map(|entry| {
        let bytes = std::fs::read(entry.path()).expect("readable");
        (entry.file_name().to_string_lossy().into_owned(), bytes)
    });
    serve(files.collect())
}

fn serve(files: HashMap<String, Vec<u8>>) -> Server {
    let files: HashMap<_, _> = files.into_iter().map(|(name, bytes)| (name, Remote::of(bytes))).collect();
    Server::new(move |asked| match files.get(asked.path.rsplit('/').next().unwrap_or_default()) {
        Some(file) => file.part(asked),
        None => Reply::new(404, "<html>not found</html>").with("content-type", "text/html"),
    })
}

fn glassbox(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_glassbox")).args(args).stdin(Stdio::null()).output().expect("the command starts")
}

fn json(args: &[&str]) -> Value {
    let output = glassbox(args);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{args:?} ended with {:?}: {said}{told}", output.status.code());
    assert_eq!(said, "", "with --json nothing else is written");
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

/// Names of the files that were asked for, each once, sorted.
fn asked(server: &Server) -> Vec<String> {
    let mut names: Vec<_> =
        server.paths().iter().map(|path| path.rsplit('/').next().unwrap_or_default().to_owned()).collect();
    names.sort();
    names.dedup();
    names
}

#[test]
fn inspect_of_an_address_says_what_was_fetched_and_asks_for_nothing_beside_a_gguf() {
    let server = sample("gguf");
    let output = glassbox(&["inspect", &server.url("x/sample-q8_0.gguf")]);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.contains("Llama-architecture"), "{out}{err}");
    let host = server.host();
    assert!(err.starts_with("fetched ") && err.trim_end().ends_with(&format!("requests from {host}")), "{err}");
    assert_eq!(asked(&server), ["sample-q8_0.gguf"]);
}

#[test]
fn an_index_at_an_address_is_the_model_that_the_folder_is() {
    let server = sample("hf");
    let remote = json(&["inspect", &server.url("r/model.safetensors.index.json"), "--json"]);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus/sample/hf");
    let local = json(&["inspect", folder.to_str().expect("UTF-8"), "--json"]);
    for field in ["format", "tensors", "encodings", "architecture", "parameters", "shape"] {
        assert_eq!(remote[field], local[field], "{field}");
    }
    let (one, two) = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors");
    assert_eq!(asked(&server), ["config.json", one, two, "model.safetensors.index.json"]);
}

#[test]
fn a_shard_at_an_address_brings_its_neighbours_and_a_missing_one_is_told() {
    let server = sample("hf");
    let report = json(&["inspect", &server.url("model-00002-of-00002.safetensors"), "--json"]);
    assert_eq!(report["files"].as_array().map(Vec::len), Some(3), "both shards and config.json");
    let index =
        br#"{"weight_map":{"a":"one.safetensors","b":"../two.safetensors","c":"http://evil.example/x.safetensors"}}"#;
    let server = serve(HashMap::from([("m.safetensors.index.json".into(), index.to_vec())]));
    let output = glassbox(&["inspect", &server.url("f/m.safetensors.index.json")]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("\"one.safetensors\" is missing"), "{text}");
    assert_eq!(
        asked(&server),
        ["config.json", "m.safetensors.index.json", "one.safetensors"],
        "names stay in the folder"
    );
}

#[test]
fn splits_of_a_gguf_at_an_address_are_one_model() {
    let part = |no: u16, name: &str| {
        let mut file = Gguf::small();
        file.tensors.truncate(1);
        file.tensors[0].name = name.into();
        // Of a model that says how many layers it has, they would be missed.
        file.entries.retain(|(key, _)| key != b"llama.block_count");
        file.set("split.no", writers::Value(2, no.to_le_bytes().to_vec()));
        file.set("split.count", writers::Value(2, 3u16.to_le_bytes().to_vec()));
        file.bytes()
    };
    let name = |n: u16| format!("big-{:05}-of-00003.gguf", n + 1);
    let server = serve((0..3).map(|no| (name(no), part(no, &format!("t{no}")))).collect());
    let report = json(&["inspect", &server.url("big-00001-of-00003.gguf"), "--json"]);
    let names: Vec<_> = report["tensors"].as_array().expect("tensors").iter().map(|t| t["name"].clone()).collect();
    assert_eq!(names, ["t0", "t1", "t2"]);
    assert_eq!(asked(&server), [name(0), name(1), name(2)]);
}

#[test]
fn peek_asks_for_the_shard_that_holds_the_tensor_alone() {
    let server = sample("hf");
    let tensor = "model.embed_tokens.weight";
    let report = json(&["peek", &server.url("model.safetensors.index.json"), tensor, "--rows", "1..2", "--json"]);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus/sample/hf");
    let local = json(&["peek", folder.to_str().expect("UTF-8"), tensor, "--rows", "1..2", "--json"]);
    assert_eq!(report["values"], local["values"]);
    assert_eq!(asked(&server).len(), 2, "{:?}", asked(&server));
}

#[test]
fn peek_fetches_the_external_data_that_a_graph_names() {
    use writers::{Message, onnx_model};
    let pair = |key: &str, value: &str| Message::new().bytes(1, key).bytes(2, value);
    let tensor = Message::new().int(1, 2).int(2, 1).bytes(8, "w").int(14, 1);
    let graph = Message::new().message(5, &tensor.message(13, &pair("location", "w.bin")));
    let values: Vec<u8> = [1.5f32, -2.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    let server = serve(HashMap::from([("m.onnx".into(), onnx_model(&graph).0), ("w.bin".into(), values)]));
    let report = json(&["peek", &server.url("m.onnx"), "w", "--json"]);
    assert_eq!(report["values"], serde_json::json!([[1.5, -2.0]]));
}

#[test]
fn tokenize_asks_for_the_tokenizer_alone() {
    let server = sample("hf");
    let report = json(&["tokenize", &server.url("model.safetensors.index.json"), "Once upon a time", "--json"]);
    assert!(report["ids"].as_array().is_some_and(|ids| !ids.is_empty()));
    assert_eq!(asked(&server), ["model.safetensors.index.json", "tokenizer.json", "tokenizer_config.json"]);
    let server = sample("hf");
    let alone = json(&["tokenize", &server.url("tokenizer.json"), "Once upon a time", "--json"]);
    assert_eq!((&alone["ids"], asked(&server)), (&report["ids"], vec!["tokenizer.json".to_owned()]));
}

#[test]
fn chat_template_reads_the_templates_beside_the_weights() {
    let template = r#"{"chat_template":"{% for m in messages %}[{{ m.content }}]{% endfor %}"}"#;
    let weights = writers::small_safetensors();
    let server = serve(HashMap::from([
        ("tokenizer_config.json".into(), template.as_bytes().to_vec()),
        ("model.safetensors".into(), weights),
    ]));
    let report = json(&["chat-template", &server.url("model.safetensors"), "--user", "Hi", "--json"]);
    assert_eq!(report["text"], "[Hi]");
}

#[test]
fn check_asks_for_the_files_that_it_holds_against_each_other() {
    let server = sample("hf");
    let report = json(&["check", &server.url("model.safetensors.index.json"), "--json"]);
    assert_eq!(report["errors"], 0, "{report:#}");
    for name in ["config.json", "tokenizer.json", "model-00001-of-00002.safetensors"] {
        assert!(asked(&server).contains(&name.to_owned()), "{name} of {:?}", asked(&server));
    }
}

#[test]
fn run_of_an_address_writes_what_the_file_on_disk_writes() {
    let server = sample("gguf");
    let at = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus/sample/gguf/sample-q8_0.gguf");
    let run = |path: &str| json(&["run", path, "-p", "Once upon a time", "-n", "12", "--device", "cpu", "--json"]);
    let local = run(at.to_str().expect("UTF-8"));
    assert_eq!(run(&server.url("sample-q8_0.gguf"))["ids"], local["ids"]);
    let folder = sample("hf");
    assert!(run(&folder.url("model.safetensors.index.json"))["text"].as_str().is_some_and(|text| !text.is_empty()));
}

#[test]
fn what_a_host_does_wrong_is_a_source_fault_with_exit_code_3() {
    let server = serve(HashMap::new());
    let output = glassbox(&["inspect", &server.url("nope.gguf")]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3));
    assert!(text.contains("nope.gguf: There is no file at this address: 127.0.0.1"), "{text}");
    assert_eq!(glassbox(&["inspect", "https://me:pw@host.example/x"]).status.code(), Some(2));
}

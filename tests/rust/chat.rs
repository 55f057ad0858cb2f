//! Chat templates: what they write is what Python's jinja2 writes, set up as transformers sets it up.

#[path = "chat/command.rs"]
mod command;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use glassbox::chat::{Conversation, Data, Template};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

/// 2024-12-31 12:34:56 UTC, as in `tests/corpus/make/chat_templates.py`.
const NOW: i64 = 1_735_648_496;

fn chat(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus/chat").join(name)
}

fn json<T: DeserializeOwned>(path: &Path) -> T {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// A case of `cases.json`.
#[derive(Deserialize)]
struct Case {
    messages: Data,
    #[serde(default)]
    tools: Data,
    add_generation_prompt: bool,
    #[serde(default)]
    variables: BTreeMap<String, Data>,
}

fn conversation(case: &Case) -> Conversation {
    Conversation {
        messages: case.messages.clone(),
        tools: case.tools.clone(),
        add_generation_prompt: case.add_generation_prompt,
        bos: Some("<s>".into()),
        eos: Some("</s>".into()),
        variables: case.variables.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        now: Some(NOW),
        ..Conversation::default()
    }
}

/// Every rendering that differs from the expected one; an error is expected where Python had one.
fn differences(source: &str, expected: &Value, cases: &BTreeMap<String, Case>) -> Vec<String> {
    let template = Template { name: "default".into(), source: source.into(), from: "test".into() };
    let mut found = Vec::new();
    for (name, case) in cases {
        let rendered = template.render(&conversation(case));
        match (expected[name].as_str(), rendered) {
            (Some(expected), Ok(text)) if text == expected => {}
            (None, Err(_)) => {}
            (Some(expected), other) => found.push(format!("{name}:\n  expected {expected:?}\n  found    {other:?}")),
            (None, Ok(text)) => found.push(format!("{name}: an error expected, {text:?} found")),
        }
    }
    found
}

/// Reference: jinja2 3.1.6, by `tests/corpus/make/chat_templates.py`; texts are equal to the last byte.
#[test]
fn our_templates_render_as_python_renders_them() {
    let (cases, expected): (_, BTreeMap<String, Value>) = (json(&chat("cases.json")), json(&chat("expected.json")));
    assert!(expected.len() >= 10);
    let mut broken = Vec::new();
    for (file, expected) in &expected {
        let source = fs::read_to_string(chat("templates").join(file)).unwrap();
        broken.extend(differences(&source, expected, &cases).into_iter().map(|what| format!("{file}, {what}")));
    }
    assert!(broken.is_empty(), "{} differ:\n{}", broken.len(), broken.join("\n"));
}

/// Reference: the same script, run now, where Python with jinja2 is here; the templates are other projects'.
#[test]
fn templates_of_the_corpus_render_as_python_renders_them() {
    let root = std::env::var_os("GLASSBOX_CORPUS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus"), PathBuf::from);
    let names = ["chat.phi-3-mini", "chat.qwen3", "added-tokens"];
    let files: Vec<PathBuf> =
        names.iter().map(|name| root.join(format!("tokenizers/{name}.tokenizer_config.json"))).collect();
    if !files.iter().all(|file| file.exists()) {
        eprintln!("skipped: the corpus is not there (set GLASSBOX_CORPUS)");
        return;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus/make/chat_templates.py");
    let output = Command::new("python3").arg(script).args(&files).output();
    let Some(output) = output.ok().filter(|output| output.status.success()) else {
        eprintln!("skipped: python3 with jinja2 is not here");
        return;
    };
    let expected: Value = serde_json::from_slice(&output.stdout).unwrap();
    let cases = json(&chat("cases.json"));
    let mut broken = Vec::new();
    for file in &files {
        let source = json::<Value>(file)["chat_template"].as_str().unwrap().to_owned();
        let name = file.file_name().unwrap().to_str().unwrap();
        broken.extend(differences(&source, &expected[name], &cases).into_iter().map(|what| format!("{name}, {what}")));
    }
    assert!(broken.is_empty(), "{} differ:\n{}", broken.len(), broken.join("\n"));
}

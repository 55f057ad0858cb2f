//! `glassbox chat-template` and `glassbox run --chat`, as a user meets them.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus/sample").join(name)
}

fn glassbox(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_glassbox")).args(args).stdin(Stdio::null()).output().expect("the command starts")
}

fn json_code(args: &[&str], code: i32) -> Value {
    let output = glassbox(args);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("standard output is one JSON object and nothing else")
}

fn json(args: &[&str]) -> Value {
    json_code(args, 0)
}

fn path(p: &Path) -> &str {
    p.to_str().expect("test paths are UTF-8")
}

/// The sample's Hugging Face folder with a chat template beside it.
fn folder_with_templates() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for entry in std::fs::read_dir(sample("hf")).expect("the sample is in the repository") {
        let file = entry.expect("a readable entry").path();
        std::fs::copy(&file, folder.path().join(file.file_name().expect("a name"))).expect("a copy");
    }
    let config = serde_json::json!({
        "eos_token": "<|endoftext|>",
        "chat_template": [
            { "name": "tool_use", "template": "{{ tools | tojson }}" },
            { "name": "default", "template": "{% for m in messages %}{{ m.role }}: {{ m.content }}{{ eos_token }}\n{% endfor %}{% if add_generation_prompt %}> {% endif %}" },
        ],
    });
    std::fs::write(folder.path().join("tokenizer_config.json"), config.to_string()).expect("a written file");
    folder
}

#[test]
fn chat_template_gives_the_text_and_its_ids_with_special_tokens_parsed() {
    let folder = folder_with_templates();
    let report = json(&["chat-template", path(folder.path()), "--user", "Hi", "--json"]);
    let text = report["text"].as_str().expect("a text");
    assert_eq!(text, "user: Hi<|endoftext|>\n> ");
    assert_eq!((&report["template"], &report["templates"][1]), (&"default".into(), &"tool_use".into()));
    let tokens = json(&["tokenize", path(folder.path()), text, "--parse-special", "--json"]);
    assert_eq!(report["ids"], tokens["ids"]);
    let bare = json(&["chat-template", path(folder.path()), "--user", "Hi", "--no-generation-prompt", "--json"]);
    assert_eq!(bare["text"], "user: Hi<|endoftext|>\n");
    let output = glassbox(&["chat-template", path(folder.path()), "--name", "nope"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("default, tool_use"));
}

#[test]
fn every_template_of_a_folder_is_listed_and_a_broken_file_hides_none() {
    let folder = folder_with_templates();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("a written file");
    std::fs::create_dir(folder.path().join("additional_chat_templates")).expect("a folder");
    write("chat_template.jinja", "{{ messages[0].content }}");
    write("additional_chat_templates/rag.jinja", "{{ documents }}");
    write("chat_template.json", "{ not JSON");
    let report = json(&["chat-template", path(folder.path()), "--user", "Hi", "--json"]);
    let names = ["default", "rag", "tool_use", "default (tokenizer_config.json)"];
    let mut found: Vec<&str> =
        report["templates"].as_array().expect("names").iter().filter_map(|n| n.as_str()).collect();
    assert_eq!(found.first(), Some(&"default"));
    found.sort_unstable();
    assert_eq!(found, {
        let mut names = names;
        names.sort_unstable();
        names
    });
    assert_eq!((&report["text"], &report["from"]), (&"Hi".into(), &"chat_template.jinja".into()));
    let notes = report["notes"].to_string();
    assert!(notes.contains("could not be read") && notes.contains("chat_template.json"), "{notes}");
}

#[test]
fn tokens_of_a_written_conversation_have_their_places_in_it() {
    let folder = folder_with_templates();
    let report = json(&["chat-template", path(folder.path()), "--user", "Hi", "--json"]);
    let text = report["text"].as_str().expect("a text");
    let pieces = report["pieces"].as_array().expect("pieces");
    let place = |p: &Value, key: &str| p[key].as_u64().expect("a number") as usize;
    let special: Vec<&str> =
        pieces.iter().filter(|p| p["kind"] == "control").map(|p| &text[place(p, "start")..place(p, "end")]).collect();
    assert_eq!(special, ["<|endoftext|>"]);
    assert_eq!(pieces.len(), report["ids"].as_array().expect("ids").len());
}

#[test]
fn two_templates_are_compared_in_their_lines_and_in_what_they_write() {
    let folder = folder_with_templates();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("a written file");
    let other = "{% for m in messages %}{{ m.role }}: {{ m.content }}{{ eos_token }}\n{% endfor %}{% if add_generation_prompt %}assistant> {% endif %}";
    write("other.jinja", other);
    let report = json_code(&["chat-template", path(folder.path()), "--user", "Hi", "--diff", "other", "--json"], 1);
    assert_eq!((&report["source"]["removed"], &report["source"]["added"]), (&1.into(), &1.into()));
    let lines = report["rendered"]["lines"].as_array().expect("lines");
    let told: Vec<(&str, &str)> =
        lines.iter().map(|l| (l["change"].as_str().unwrap(), l["text"].as_str().unwrap())).collect();
    assert_eq!(told, [("same", "user: Hi<|endoftext|>\n"), ("removed", "> "), ("added", "assistant> ")]);
    // The same by a path, the other way round; and of a template with itself nothing is told.
    let file = folder.path().join("other.jinja");
    let back = json_code(&["chat-template", path(&file), "--user", "Hi", "--diff", path(folder.path()), "--json"], 1);
    assert_eq!(back["source"]["added"], 1);
    let none = json_code(&["chat-template", path(folder.path()), "--user", "Hi", "--diff", "default", "--json"], 0);
    assert_eq!(none["source"]["added"], 0);
    let output = glassbox(&["chat-template", path(folder.path()), "--user", "Hi", "--diff", "other"]);
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(shown.contains("templates: 1 lines removed, 1 added") && shown.contains("+ assistant> "), "{shown}");
    assert_eq!(glassbox(&["chat-template", path(folder.path()), "--diff", "nope"]).status.code(), Some(2));
}

#[test]
fn a_run_with_chat_begins_with_what_the_template_wrote() {
    let folder = folder_with_templates();
    let rendered = json(&["chat-template", path(folder.path()), "--user", "Hi", "--json"]);
    let run = json(&["run", path(folder.path()), "--chat", "Hi", "-n", "1", "--device", "cpu", "--json"]);
    assert_eq!(run["prompt_ids"], rendered["ids"]);
}

/// Exit code and words of a template in a file of its own.
fn ends(source: &str) -> (i32, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("chat_template.jinja");
    std::fs::write(&file, source).expect("a written file");
    let output = glassbox(&["chat-template", path(&file), "--user", "Hi", "--json"]);
    let answer: Value = serde_json::from_slice(&output.stdout).expect("one JSON object, whatever the template does");
    let what = answer["fault"]["what"].as_str().or(answer["text"].as_str()).unwrap_or_default().to_owned();
    (output.status.code().expect("an exit code, and no signal"), what)
}

#[test]
fn a_template_that_takes_all_memory_time_or_stack_is_refused_and_the_command_lives() {
    for (source, words) in [
        (
            "{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = ns.l + ns.l %}{% endfor %}{{ ns.l | length }}",
            "takes more than",
        ),
        (
            "{% set ns = namespace(l=[]) %}{% for i in range(100000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l }}",
            "takes more than",
        ),
        (
            "{% set ns = namespace(d={}) %}{% for i in range(100000) %}{% set ns.d = {'a': ns.d} %}{% endfor %}{{ ns.d | tojson }}",
            "",
        ),
        ("{{ '{:1000000000}'.format(3) }}", "a width of 1000000000"),
        ("{{ '%1000000000d' | format(3) }}", ""),
        ("{{ 'x' | center(1000000000) }}", "a width of 1000000000"),
        ("{{ 'abc' * 1000000000 }}", ""),
        ("{{ ('a' * 1000000) | list | join('b' * 1000000) }}", ""),
        ("{% for a in range(99999) %}{% for b in range(99999) %}{{ b }}{% endfor %}{% endfor %}", "takes more than"),
        ("{% macro m(n) %}{{ m(n + 1) }}{% endmacro %}{{ m(0) }}", ""),
    ] {
        let (code, what) = ends(source);
        assert!(code == 1 && what.contains(words) && what.contains("chat template"), "{source}: {code} {what}");
    }
    let (code, text) = ends("{% for m in messages %}{{ m.role | center(8) }}|{{ m.content | wordcount }}{% endfor %}");
    assert_eq!((code, text.as_str()), (0, "  user  |1"));
}

#[test]
fn a_go_template_is_named_as_what_it_is() {
    for source in [
        "{{- if .System }}{{ .System }}{{ end }}{{- range $i, $_ := .Messages }}{{ .Content }}{{ end }}",
        "<|user|>\n{{ .Prompt }}",
    ] {
        let (code, what) = ends(source);
        assert!(code == 1 && what.contains("Go template") && what.contains("Ollama"), "{code} {what}");
    }
}

#[test]
fn the_templates_kept_from_bug_reports_end_as_they_should() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/cases/2026-11");
    let Ok(expected) = std::fs::read(cases.join("expected.json")) else {
        println!("skipped: no cases in {}", cases.display());
        return;
    };
    let expected: Value = serde_json::from_slice(&expected).expect("JSON");
    let of_templates = |case: &&Value| case["file"].as_str().is_some_and(|f| f.starts_with("templates/"));
    let mut seen = 0;
    for case in expected.as_array().expect("a list").iter().filter(of_templates) {
        let file = cases.join(case["file"].as_str().expect("a name"));
        let output = glassbox(&["chat-template", path(&file), "--user", "hi", "--json"]);
        assert_eq!(output.status.code(), case["exit"].as_i64().map(|c| c as i32), "{case}");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains(case["says"].as_str().unwrap_or_default()), "{case}: {said}");
        seen += 1;
    }
    assert!(seen > 0, "no case is of a template");
}

#[test]
fn a_set_of_conversations_is_compared_with_llama_cpp_and_with_another_template() {
    let folder = folder_with_templates();
    let report = json(&["chat-template", path(folder.path()), "--conversations", "--json"]);
    let all = report["conversations"].as_array().expect("a list");
    assert_eq!(all.len(), 10);
    let named = |name: &str| all.iter().find(|c| c["name"] == name).expect("the set has it");
    assert_eq!(named("a question")["text"], "user: Who are you?<|endoftext|>\n> ");
    assert_eq!(named("a question")["llama_cpp"]["outcome"], "same");
    let parts = &named("content in parts")["llama_cpp"];
    assert_eq!((&parts["outcome"], &parts["at"]), (&"differs".into(), &6.into()));
    assert_eq!(parts["right"], "user: One.\n");
    let differs =
        json_code(&["chat-template", path(folder.path()), "--conversations", "--diff", "tool_use", "--json"], 1);
    assert_eq!(differs["conversations"][0]["other"]["outcome"], "differs");
    let output = glassbox(&["chat-template", path(folder.path()), "--conversations"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("content in parts\n  transformers") && text.contains("differs from byte 6"), "{text}");
}

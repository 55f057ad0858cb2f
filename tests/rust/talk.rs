//! `glassbox chat` from a pipe: messages, commands, what is read again and what is refused.

use std::{
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::Value;

use super::{json, path, sample};

/// A story for each turn: the model goes on from where the message ends.
const TEMPLATE: &str = "{{ bos_token }}{% for m in messages %}{{ m.content }}{% if m.role != 'user' %}{{ eos_token }}{% endif %}{% endfor %}";

/// The sample's Hugging Face folder with a chat template beside it.
fn model(template: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for entry in std::fs::read_dir(sample("hf")).expect("the sample is in the repository") {
        let file = entry.expect("a readable entry").path();
        std::fs::copy(&file, folder.path().join(file.file_name().expect("a name"))).expect("a copy");
    }
    std::fs::write(folder.path().join("chat_template.jinja"), template).expect("a written file");
    folder
}

/// A talk of these lines.
fn talk(folder: &Path, args: &[&str], lines: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_glassbox"))
        .args(["chat", path(folder), "--device", "cpu", "--exact"])
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    // A talk that cannot begin takes no lines.
    let _ = child.stdin.take().expect("a pipe").write_all(lines.as_bytes());
    child.wait_with_output().expect("the talk ends with its input")
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    (text(&output.stdout), text(&output.stderr))
}

/// The report of a talk that ends with this code.
fn report(folder: &Path, args: &[&str], lines: &str, code: i32) -> Value {
    let mut all = vec!["--json"];
    all.extend(args);
    let output = talk(folder, &all, lines);
    assert_eq!(output.status.code(), Some(code), "{}", texts(&output).1);
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

#[test]
fn the_first_answer_is_that_of_run_chat_and_comes_alone_on_standard_output() {
    let folder = model(TEMPLATE);
    let place = path(folder.path());
    let run = json(&["run", place, "--chat", "Once upon a time", "-n", "24", "--device", "cpu", "--exact", "--json"]);
    let output = talk(folder.path(), &["-n", "24"], "Once upon a time\n");
    let (out, err) = texts(&output);
    assert!(output.status.success(), "{err}");
    assert_eq!(out, format!("{}\n", run["text"].as_str().expect("a text")));
    assert!(err.contains("24 tokens at ") && err.contains("at the requested number of tokens"), "{err}");
}

#[test]
fn a_turn_reads_only_what_is_new() {
    let folder = model(TEMPLATE);
    let told = report(folder.path(), &["-n", "16"], "Once upon a time\n\nThe fox\nThe owl\n", 0);
    let turns = told["turns"].as_array().expect("turns");
    let number = |turn: &Value, name: &str| turn[name].as_u64().expect("a number");
    assert_eq!(turns.len(), 3, "an empty line is no message");
    assert_eq!(number(&turns[0], "read_tokens"), number(&turns[0], "prompt_tokens"));
    for (before, turn) in turns.iter().zip(&turns[1..]) {
        let known = number(before, "prompt_tokens") + number(before, "tokens");
        let new = number(turn, "prompt_tokens") - known;
        // The answer's last token was chosen, and not yet read.
        assert!(number(turn, "read_tokens") <= new + 1, "{turn}");
    }
    let roles: Vec<&str> =
        told["messages"].as_array().expect("messages").iter().map(|m| m["role"].as_str().expect("a role")).collect();
    assert_eq!(roles, ["user", "assistant", "user", "assistant", "user", "assistant"]);
    let (_, err) = texts(&talk(folder.path(), &["-n", "16"], "Once upon a time\nThe fox\n"));
    let (read, all) = (number(&turns[1], "read_tokens"), number(&turns[1], "prompt_tokens"));
    assert!(err.contains(&format!("{read} of {all} tokens of the conversation read")), "{err}");
}

#[test]
fn a_command_that_is_unknown_is_refused_and_the_talk_goes_on() {
    let folder = model(TEMPLATE);
    let output = talk(folder.path(), &["-n", "2"], "/nope\n/set mood calm\n/undo\n//x\n/quit\nnever read\n");
    let (out, err) = texts(&output);
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(err.contains("no command is named /nope; /help lists them"), "{err}");
    assert!(err.contains("nothing that can be set is named \"mood\"; there are tokens, temp, "), "{err}");
    assert!(err.contains("there is no message yet"), "{err}");
    assert_eq!(err.matches("tokens of the conversation read").count(), 1, "{err}");
    assert!(!out.is_empty());
}

#[test]
fn messages_are_taken_back_edited_answered_again_and_saved() {
    let folder = model(TEMPLATE);
    let file = folder.path().join("talk.json");
    let lines = format!(
        "Once upon a time\n/undo\nThe bear\n/edit The fox\n/system Tell.\n/retry\n/history\n/save {0}\n/save {0}\n",
        path(&file)
    );
    let output = talk(folder.path(), &["-n", "4"], &lines);
    let (_, err) = texts(&output);
    assert!(output.status.success(), "a talk may write its own file again: {err}");
    let saved: Value = serde_json::from_slice(&std::fs::read(&file).expect("a saved file")).expect("JSON");
    let said: Vec<[&str; 2]> = saved
        .as_array()
        .expect("a list")
        .iter()
        .map(|m| ["role", "content"].map(|key| m[key].as_str().expect("a text")))
        .collect();
    assert_eq!(said.len(), 3);
    assert_eq!(said[..2], [["system", "Tell."], ["user", "The fox"]]);
    assert!(err.contains("user: The fox") && err.contains(&format!("assistant: {}", said[2][1].trim())), "{err}");
    // It is what `chat-template` takes, and no other talk writes over it.
    let rendered = json(&["chat-template", path(folder.path()), "--messages", path(&file), "--json"]);
    assert!(rendered["text"].as_str().expect("a text").contains("Tell.<|endoftext|>The fox"));
    let output = talk(folder.path(), &["-n", "1"], &format!("/save {}\n", path(&file)));
    assert_eq!(output.status.code(), Some(1));
    assert!(texts(&output).1.contains("cannot be written"));
}

#[test]
fn settings_change_the_next_answer_and_retry_draws_another() {
    let folder = model(TEMPLATE);
    let settings = "/set temp 2\n/set top-k 0\n/set top-p 1\n/set min-p 0\n/set tokens 12\n";
    let answer = |lines: &str| {
        let told = report(folder.path(), &[], &format!("{settings}{lines}"), 0);
        let messages = told["messages"].as_array().expect("messages");
        assert_eq!(messages.len(), 2);
        messages[1]["content"].as_str().expect("a text").to_owned()
    };
    let first = answer("Once\n");
    assert_ne!(answer("Once\n/retry\n"), first);
    assert_eq!(answer("Once\n/retry\n/clear\n/set seed 0\nOnce\n"), first);
}

#[test]
fn a_conversation_beyond_the_context_is_refused_with_numbers_and_the_talk_goes_on() {
    let folder = model(TEMPLATE);
    let long = "the small red fox ".repeat(20);
    let told = report(folder.path(), &["--context", "48", "-n", "4"], &format!("Once\n{long}\nThe owl\n"), 1);
    let refused = told["refused"][0].as_str().expect("a refusal");
    assert!(refused.starts_with("the conversation has ") && refused.contains("holds 48"), "{refused}");
    assert_eq!(told["turns"].as_array().expect("turns").len(), 2, "what was refused was not said");
    assert_eq!(told["messages"].as_array().expect("messages").len(), 4);
}

#[test]
fn with_shift_the_oldest_messages_are_left_out_and_the_system_stays() {
    let folder = model(TEMPLATE);
    let lines = "Once upon a time\n".repeat(8);
    let args = ["--context", "64", "-n", "8", "--when-full", "shift", "--system", "Tell"];
    let told = report(folder.path(), &args, &lines, 0);
    let turns = told["turns"].as_array().expect("turns");
    assert_eq!(turns.len(), 8);
    let prompts: Vec<u64> = turns.iter().map(|t| t["prompt_tokens"].as_u64().expect("a number")).collect();
    assert!(prompts.iter().all(|n| *n + 8 <= 64), "{prompts:?}");
    assert!(prompts.windows(2).any(|w| w[1] < w[0]), "nothing was left out: {prompts:?}");
    assert_eq!(told["messages"].as_array().expect("messages").len(), 17, "what is left out is still remembered");
    let output = talk(folder.path(), &args, &lines);
    let (_, err) = texts(&output);
    assert!(err.contains("the context of 64 tokens was full: the first "), "{err}");
    // A message that does not fit alone is refused all the same.
    let long = "the small red fox ".repeat(40);
    let told = report(folder.path(), &args, &format!("{long}\n"), 1);
    let refused = told["refused"][0].as_str().expect("a refusal");
    assert!(refused.starts_with("the last message alone has"), "{refused}");
}

#[test]
fn thoughts_never_mix_with_the_answer() {
    let folder = model(&format!("{TEMPLATE}<think>"));
    let output = talk(folder.path(), &["-n", "6"], "Once upon a time\n/history\n");
    let (out, err) = texts(&output);
    assert!(output.status.success(), "{err}");
    assert_eq!(out, "\n", "all that was said were thoughts");
    assert!(err.contains("thoughts: "), "{err}");
}

#[test]
fn a_model_without_a_template_is_refused_with_what_to_do() {
    let output = talk(&sample("gguf/sample-q8_0.gguf"), &[], "Hello\n");
    let (out, err) = texts(&output);
    assert_eq!((output.status.code(), out.as_str()), (Some(1), ""));
    assert!(err.contains("no chat template here") && err.contains("`glassbox run -p`"), "{err}");
}

//! The command line as a user meets it: output, JSON fields, exit codes.

#[path = "cli/maps.rs"]
mod maps;
#[path = "cli/paths.rs"]
mod paths;
#[path = "cli/text.rs"]
mod text;

mod talk;

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;

#[cfg(feature = "convert")]
#[path = "cli/convert.rs"]
mod convert;
#[cfg(feature = "convert")]
#[path = "cli/quantize.rs"]
mod quantize;
#[cfg(feature = "convert")]
#[path = "cli/rewrite.rs"]
mod rewrite;
#[cfg(feature = "serve")]
#[path = "cli/serve.rs"]
mod serve;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn sample(name: &str) -> PathBuf {
    root().join("tests/corpus/sample").join(name)
}

fn glassbox(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_glassbox")).args(args).stdin(Stdio::null()).output().expect("the command starts")
}

fn json(args: &[&str]) -> Value {
    let output = glassbox(args);
    assert!(
        output.status.success(),
        "{args:?} ended with {:?}: {}",
        output.status.code(),
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("standard output is one JSON object and nothing else")
}

fn path(p: &Path) -> &str {
    p.to_str().expect("test paths are UTF-8")
}

/// The reference that the sample's own scripts wrote with float64 arithmetic.
fn reference() -> Value {
    serde_json::from_slice(&std::fs::read(sample("reference.json")).expect("the sample is in the repository"))
        .expect("JSON")
}

#[test]
fn inspect_gives_scripts_every_promised_field() {
    let report = json(&["inspect", path(&sample("gguf/sample-q8_0.gguf")), "--json"]);
    for field in [
        "format",
        "version",
        "bytes_total",
        "bytes_read",
        "architecture",
        "parameters",
        "metadata",
        "tensors",
        "encodings",
        "notes",
        "files",
    ] {
        assert!(!report[field].is_null(), "{field} is missing");
    }
    assert_eq!(report["format"], "GGUF");
    assert_eq!(report["architecture"], "llama");
    let tensor = &report["tensors"][0];
    for field in ["name", "shape", "encoding", "offset", "bytes", "file"] {
        assert!(!tensor[field].is_null(), "a tensor's {field} is missing");
    }
    let entry = &report["metadata"][0];
    assert!(entry["key"].is_string() && entry["type"].is_string());
    assert!(report["bytes_read"].as_u64() < report["bytes_total"].as_u64(), "tensor data was read");
}

#[test]
fn a_folder_is_one_model_with_its_parts_named() {
    let report = json(&["inspect", path(&sample("hf")), "--json"]);
    assert_eq!(report["format"], "safetensors");
    let parts = report["place"]["parts"].as_array().expect("parts");
    let state = |name: &str| parts.iter().find(|p| p["name"] == name).map(|p| p["state"].clone());
    assert_eq!(state("Weights"), Some("here".into()));
    assert_eq!(state("config.json"), Some("here".into()));
    assert_eq!(state("Tokenizer"), Some("here".into()));
    assert_eq!(report["runnable"], Value::Null, "the folder runs");
}

#[test]
fn inspect_for_people_says_what_it_is_and_what_runs_it() {
    let output = glassbox(&["inspect", path(&sample("gguf/sample-q8_0.gguf")), "--tensors", "--metadata"]);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    for expected in ["Llama-architecture", "Provenance", "What can run it", "token_embd.weight", "general.architecture"]
    {
        assert!(text.contains(expected), "\"{expected}\" is not in:\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "colours only on a terminal");
}

#[test]
fn peek_decodes_rows_and_statistics() {
    let file = sample("gguf/sample-q8_0.gguf");
    let report = json(&["peek", path(&file), "token_embd.weight", "--rows", "2..4", "--stats", "--json"]);
    assert_eq!(report["values"].as_array().map(Vec::len), Some(2));
    let stats = &report["stats"];
    for field in ["min", "max", "mean", "std", "zeros", "nans"] {
        assert!(!stats[field].is_null(), "{field} is missing");
    }
    let counted: u64 = stats["histogram"].as_array().expect("bins").iter().filter_map(Value::as_u64).sum();
    assert_eq!(Some(counted), stats["count"].as_u64(), "every value is in one bin");
    assert_eq!(stats["nans"], 0);
}

#[test]
fn peek_of_an_unknown_tensor_suggests_names_and_is_wrong_usage() {
    let output = glassbox(&["peek", path(&sample("gguf/sample-q8_0.gguf")), "attn_q"]);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("did you mean blk.0.attn_q.weight"), "{text}");
}

#[test]
fn a_tensor_beyond_the_end_of_a_truncated_file_is_said_to_lie_there() {
    let whole = std::fs::read(sample("gguf/sample-q8_0.gguf")).expect("the sample is in the repository");
    let folder = tempfile::tempdir().expect("a folder");
    let torn = folder.path().join("torn.gguf");
    std::fs::write(&torn, &whole[..600_000]).expect("written");
    let outputs = [
        glassbox(&["peek", path(&torn), "blk.1.ffn_up.weight"]),
        glassbox(&["run", path(&torn), "-p", "Once", "--device", "cpu"]),
    ];
    for output in outputs {
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains("beyond the end of"), "{text}");
        assert!(!text.contains("not given"), "{text}");
        assert_eq!(output.status.code(), Some(1), "{text}");
    }
}

#[test]
fn run_on_the_cpu_writes_the_story_that_the_reference_arithmetic_gives() {
    let reference = reference();
    let file = sample("gguf/sample-f16.gguf");
    // The first entry holds the exact weights, which the F16 file shares.
    let runs = reference["weights"][0]["runs"].as_array().expect("runs");
    for (prompt, run) in reference["prompts"].as_array().expect("prompts").iter().zip(runs) {
        let text = prompt["text"].as_str().expect("a prompt");
        let report = json(&["run", path(&file), "-p", text, "-n", "60", "--device", "cpu", "--json"]);
        assert_eq!(report["prompt_ids"], prompt["ids"], "ids of \"{text}\"");
        let numbers = |v: &Value| v.as_array().expect("ids").iter().filter_map(Value::as_u64).collect::<Vec<_>>();
        let (got, expected) = (numbers(&report["ids"]), numbers(&run["ids"]));
        assert!(!got.is_empty());
        assert_eq!(got[..], expected[..got.len()], "greedy ids of \"{text}\"");
    }
}

#[test]
fn the_same_seed_gives_the_same_text_and_another_seed_another() {
    let file = sample("gguf/sample-q8_0.gguf");
    let story = |seed: &str| {
        json(&[
            "run",
            path(&file),
            "-p",
            "Once upon a time",
            "-n",
            "80",
            "--temp",
            "0.9",
            "--seed",
            seed,
            "--device",
            "cpu",
            "--json",
        ])["text"]
            .as_str()
            .expect("text")
            .to_owned()
    };
    assert_eq!(story("7"), story("7"));
    assert_ne!(story("7"), story("8"));
}

#[test]
fn run_ends_at_a_text_heeds_biases_and_gives_several_samples() {
    let file = sample("gguf/sample-q8_0.gguf");
    let run = |args: &[&str]| {
        let mut all =
            vec!["run", path(&file), "-p", "Once upon a time", "-n", "30", "--device", "cpu", "--exact", "--json"];
        all.extend(args);
        json(&all)
    };
    let free = run(&[]);
    let text = free["text"].as_str().expect("a text");
    let stop = &text[5..9];
    let ended = run(&["--stop", "nowhere", "--stop", stop]);
    assert_eq!(ended["stop"], "stop text");
    assert_eq!(ended["text"].as_str(), text.find(stop).map(|at| &text[..at]));
    let first = free["ids"][0].as_u64().expect("an id");
    assert_ne!(run(&["--logit-bias", &format!("{first}=-100")])["ids"][0], free["ids"][0]);
    let samples = run(&["--samples", "3", "--temp", "1", "--seed", "4"]);
    let alone = run(&["--temp", "1", "--seed", "5"]);
    assert_eq!(samples["samples"].as_array().expect("samples").len(), 3);
    assert_eq!((&samples["samples"][1]["seed"], &samples["samples"][1]["text"]), (&5.into(), &alone["text"]));
    let args = ["run", path(&file), "-p", "Once upon a time", "--exact", "--stop", stop, "--device", "cpu", "-n", "30"];
    assert!(!String::from_utf8_lossy(&glassbox(&args).stdout).contains(stop));
    for bias in ["7:1", "99999=1"] {
        let wrong = glassbox(&["run", path(&file), "-p", "Once", "--logit-bias", bias, "--device", "cpu"]);
        assert_eq!(wrong.status.code(), Some(2), "{bias}");
    }
}

#[test]
fn exit_codes_tell_files_usage_and_devices_apart() {
    let missing = glassbox(&["inspect", "no-such-file.gguf"]);
    assert_eq!(missing.status.code(), Some(3), "a file that cannot be opened");
    assert!(String::from_utf8_lossy(&missing.stderr).contains("no-such-file.gguf"));
    assert_eq!(glassbox(&["inspect"]).status.code(), Some(2), "wrong usage");
    assert_eq!(glassbox(&["run", "x", "-p", "y", "--device", "toaster"]).status.code(), Some(2));
    let folder = tempfile::tempdir().expect("a folder");
    let text = folder.path().join("notes.gguf");
    std::fs::write(&text, "just some text, no model").expect("written");
    assert_eq!(glassbox(&["inspect", path(&text)]).status.code(), Some(1), "no model");
    let cut = folder.path().join("cut.gguf");
    let whole = std::fs::read(sample("gguf/sample-q8_0.gguf")).expect("the sample");
    std::fs::write(&cut, &whole[..whole.len() - 1000]).expect("written");
    let output = glassbox(&["inspect", path(&cut), "--json"]);
    assert_eq!(output.status.code(), Some(1), "a truncated model");
    let report: Value = serde_json::from_slice(&output.stdout).expect("what could be read is still reported");
    assert!(!report["tensors"].as_array().expect("tensors").is_empty());
}

#[test]
fn errors_are_json_too_when_json_was_asked_for() {
    let output = glassbox(&["inspect", "no-such-file.gguf", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["fault"]["blame"], "source");
}

#[test]
fn escape_sequences_in_a_file_never_reach_the_terminal() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("escape.gguf");
    let mut bytes = b"GGUF".to_vec();
    bytes.extend(3u32.to_le_bytes());
    bytes.extend(0u64.to_le_bytes());
    bytes.extend(1u64.to_le_bytes());
    for text in ["general.name", "\u{1b}]0;owned\u{7}\u{202e}evil"] {
        bytes.extend((text.len() as u64).to_le_bytes());
        bytes.extend(text.as_bytes());
        if text == "general.name" {
            bytes.extend(8u32.to_le_bytes());
        }
    }
    std::fs::write(&file, bytes).expect("written");
    let output = glassbox(&["inspect", path(&file), "--metadata"]);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(text.contains("<U+001B>") && text.contains("<U+202E>"), "{text}");
    assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'));
}

#[test]
fn a_synthetic_model_opens_runs_and_is_measured() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tiny.gguf");
    for quant in ["Q8_0", "Q4_0", "F16"] {
        json(&["synth", "--size", "tiny", "--quant", quant, "-o", path(&file), "--json"]);
        let report = json(&["inspect", path(&file), "--json"]);
        assert_eq!(report["notes"].as_array().expect("notes").iter().filter(|n| n["severity"] == "error").count(), 0);
        let speed = json(&["bench", path(&file), "-p", "8", "-n", "4", "-r", "1", "--device", "cpu", "--json"]);
        for field in ["prefill_tokens_per_s", "decode_tokens_per_s", "bytes_per_token", "dispatches_per_token"] {
            assert!(speed[field].as_f64().is_some_and(|v| v > 0.0), "{field} of {quant}: {}", speed[field]);
        }
    }
}

#[test]
fn devices_always_lists_the_cpu() {
    let report = json(&["devices", "--json"]);
    let devices = report["devices"].as_array().expect("devices");
    assert!(devices.iter().any(|d| d["backend"] == "CPU"));
}

#[test]
fn check_says_what_is_wrong_why_and_what_to_do_and_ends_with_1_for_errors() {
    let fine = glassbox(&["check", path(&sample("hf"))]);
    let text = String::from_utf8_lossy(&fine.stdout);
    assert!(fine.status.success() && text.contains("0 errors, 0 warnings"), "{text}");

    let folder = tempfile::tempdir().expect("a folder");
    for entry in std::fs::read_dir(sample("hf")).expect("the sample is in the repository") {
        let from = entry.expect("readable").path();
        std::fs::copy(&from, folder.path().join(from.file_name().expect("a name"))).expect("copied");
    }
    let config = folder.path().join("config.json");
    let text =
        std::fs::read_to_string(&config).expect("reads").replace("\"eos_token_id\": 0", "\"eos_token_id\": 4000");
    std::fs::write(&config, text).expect("written");
    let broken = glassbox(&["check", path(folder.path())]);
    let text = String::from_utf8_lossy(&broken.stdout).into_owned();
    assert_eq!(broken.status.code(), Some(1), "{text}");
    for words in ["Errors", "eos_token_id in config.json is 4000", "config.json, byte ", "why: ", "do: ", "1 error"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let output = glassbox(&["check", path(folder.path()), "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert_eq!((output.status.code(), report["errors"].as_u64()), (Some(1), Some(1)));
    assert!(report["findings"][0]["at"].as_u64() > Some(0) && report["checks"].as_array().is_some_and(|c| c.len() > 5));
}

#[test]
fn check_and_inspect_list_the_missing_byte_ranges_of_a_cut_file() {
    let whole = std::fs::read(sample("gguf/sample-q8_0.gguf")).expect("the sample is in the repository");
    let folder = tempfile::tempdir().expect("a folder");
    let torn = folder.path().join("torn.gguf");
    std::fs::write(&torn, &whole[..600_000]).expect("written");
    for command in ["check", "inspect"] {
        let output = glassbox(&[command, path(&torn)]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(1), "{text}");
        for words in ["Not whole", "1 partial", "torn.gguf (600000 bytes here)", "missing bytes 600000.."] {
            assert!(text.contains(words), "{command}: {words}: {text}");
        }
    }
}

#[test]
fn the_first_lines_have_no_stray_space() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("config.json"), r#"{"model_type":"llama"}"#).expect("written");
    for given in [folder.path().to_owned(), sample("hf"), sample("sample.onnx"), sample("gguf/sample-q8_0.gguf")] {
        let said = String::from_utf8_lossy(&glassbox(&["inspect", path(&given)]).stdout).into_owned();
        assert!(!said.lines().take(4).any(|line| line.contains(" ,")), "{said}");
    }
}

#[test]
fn exact_keeps_activations_that_are_rounded_otherwise() {
    let model = sample("gguf/sample-q8_0.gguf");
    // One token: its activations alone are rounded.
    let run = |more: &[&str]| {
        let mut args =
            vec!["run", path(&model), "--prompt-ids", "5", "-n", "0", "--logits", "--device", "cpu", "--json"];
        args.extend(more);
        let report = json(&args);
        let logits = report["logits"].as_array().expect("logits").iter().map(|l| l.as_f64().expect("a number"));
        (logits.collect::<Vec<_>>(), report["device"]["detail"].as_str().expect("detail").to_owned())
    };
    let ((rounded, plain), (exact, kept)) = (run(&[]), run(&["--exact"]));
    assert!(kept.ends_with("f32 activations") && !plain.contains("activations"), "{kept}; {plain}");
    let square = |v: f64| v * v;
    let error: f64 = rounded.iter().zip(&exact).map(|(a, b)| square(a - b)).sum();
    let relative = (error / exact.iter().map(|v| square(*v)).sum::<f64>()).sqrt();
    assert!(relative > 0.0 && relative < 0.03, "{relative}");
}

#[test]
fn run_takes_ids_and_gives_the_logits_alone() {
    let reference = reference();
    let prompt = &reference["prompts"][0]["ids"];
    let ids: Vec<String> = prompt.as_array().expect("ids").iter().map(ToString::to_string).collect();
    let model = sample("gguf/sample-f16.gguf");
    let ids = ids.join(",");
    let run = |more: &[&str]| {
        let mut args = vec!["run", path(&model), "--prompt-ids", &ids, "--device", "cpu", "--json"];
        args.extend(more);
        json(&args)
    };
    let alone = run(&["-n", "0", "--logits"]);
    assert_eq!(alone["ids"], serde_json::json!([]));
    assert_eq!(&alone["prompt_ids"], prompt);
    let logits = |report: &Value| -> Vec<f64> {
        report["logits"].as_array().expect("logits").iter().map(|l| l.as_f64().expect("a number")).collect()
    };
    let want = logits(&alone);
    // Neither passes nor a wider cache than needed change them beyond rounding; a narrow cache does, a little.
    for (more, most) in [
        (&["--disable-pass", "all"][..], 1e-3),
        (&["--disable-pass", "stack", "--disable-pass", "dead"], 1e-3),
        (&["--cache-type", "f16"], 0.05),
        (&["--cache-type", "q8_0"], 0.5),
    ] {
        let mut args = vec!["-n", "0", "--logits"];
        args.extend(more);
        let off = logits(&run(&args)).iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(off < most, "{more:?}: off by {off}");
    }
    let output = glassbox(&["run", path(&model), "--prompt-ids", "1", "--disable-pass", "nothing", "--device", "cpu"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("linear_add"), "the passes are listed");
}

#[test]
fn graph_prints_what_a_model_computes_and_which_passes_there_are() {
    let model = sample("gguf/sample-q8_0.gguf");
    let text = |args: &[&str]| String::from_utf8(glassbox(args).stdout).expect("UTF-8");
    let plain = text(&["graph", path(&model), "--plain"]);
    assert!(
        plain.contains("= Silu(") && plain.contains("blk.0.attn_q.weight") && plain.contains("f32[rows, "),
        "{plain}"
    );
    let fused = text(&["graph", path(&model)]);
    assert!(fused.contains("GatedLinear") && !fused.contains("= Silu("), "{fused}");
    assert!(fused.lines().count() < plain.lines().count());
    let program = text(&["graph", path(&model), "--program"]);
    assert!(program.contains("choice:") && program.contains("attention ("), "{program}");
    assert!(text(&["graph", "--passes"]).contains("gated_linear"));
}

#[test]
fn embed_gives_vectors_of_length_one_and_refuses_decoders() {
    let folder = std::env::var_os("GLASSBOX_CORPUS").map_or_else(|| root().join("../shared/corpus"), PathBuf::from);
    let bert = folder.join("arch/bert");
    if !bert.is_dir() {
        eprintln!("skipped: vectors of an encoder, because the corpus is not at {}", folder.display());
        return;
    }
    let about: Value =
        serde_json::from_slice(&std::fs::read(bert.join("reference.json")).expect("reads")).expect("JSON");
    let ids: Vec<String> = about["prompt_ids"].as_array().expect("ids").iter().map(ToString::to_string).collect();
    let ids = ids.join(",");
    for form in ["hf", "model.gguf"] {
        let model = bert.join(form);
        for (pooling, key) in [("mean", "mean_pooled_l2"), ("cls", "cls_l2")] {
            let args = ["embed", path(&model), "--prompt-ids", &ids, "--pooling", pooling, "--device", "cpu", "--json"];
            let report = json(&args);
            let vector: Vec<f64> =
                report["embeddings"][0].as_array().expect("a vector").iter().filter_map(Value::as_f64).collect();
            let length: f64 = vector.iter().map(|v| v * v).sum::<f64>().sqrt();
            assert!((length - 1.0).abs() < 1e-5, "{form} {pooling}: {length}");
            let want = about[key].as_array().expect("a reference");
            assert_eq!(want.len(), vector.len());
            let off = want.iter().filter_map(Value::as_f64).zip(&vector).map(|(a, b)| (a - b).abs());
            assert!(off.fold(0.0, f64::max) < 1e-4, "{form} {pooling}");
        }
    }
    let output = glassbox(&["embed", path(&sample("gguf/sample-q8_0.gguf")), "text", "--device", "cpu"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("hidden states"));
    let output = glassbox(&["run", path(&bert.join("hf")), "--prompt-ids", "1", "--device", "cpu"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("glassbox embed"));
}

/// A card is rarely at hand: the script that measures everything in one run must not have been broken in between.
#[test]
#[cfg(unix)]
fn the_gpu_script_runs_whole_on_a_software_gpu() {
    let script = root().join("tests/bench/gpu.sh");
    let output = Command::new("bash")
        .args([path(&script), env!("CARGO_BIN_EXE_glassbox"), "--rehearse"])
        .stdin(Stdio::null())
        .output()
        .expect("bash is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let all: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    let gpus = all["devices"]["devices"].as_array().expect("a list").iter().filter(|d| !d["tier"].is_null()).count();
    if gpus == 0 {
        println!("skipped: this machine has no Vulkan adapter");
        return;
    }
    for tier in all["test_ops"].as_array().expect("a list") {
        assert!(tier["passed"].as_u64() > Some(0) && tier["failed"] == 0, "{tier}");
    }
    let logits = all["logits"].as_array().expect("a list");
    assert_eq!(logits.len(), 10);
    assert!(logits.iter().all(|l| l["logits"] == 1000 && l["agrees"] == true), "{logits:?}");
    assert!(all["gap"].as_array().is_some_and(|g| g.len() > 5), "{}", all["gap"]);
    let bench = all["bench"].as_array().expect("a list");
    assert_eq!(bench.len(), 2);
    for speed in bench {
        let glassbox = &speed["glassbox"];
        assert!(
            glassbox["decode_tokens_per_s"].as_f64() > Some(0.0) && !glassbox["device"]["tier"].is_null(),
            "{speed}"
        );
    }
    assert_eq!(all["left_out"], Value::Array(Vec::new()), "{}", all["left_out"]);
}

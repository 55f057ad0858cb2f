//! Two models side by side: every architecture of the corpus as folder and as GGUF file, the sample in all its encodings, and
//! each kind of difference made on purpose.

use crate::common::files;
use std::{
    path::{Path, PathBuf},
    process::Command,
    rc::Rc,
};

use files::{block_on, corpus, in_memory};
use glassbox::{
    compare::{Compared, Options, Row, State, compare},
    report::ModelDiffReport,
    session::Inspection,
    source::{ByteSource, FileSource, SourceSet},
};
use serde_json::Value;

/// Architectures of the corpus whose two forms are known to say different things, by the names of the settings.
const SETTINGS: &[(&str, &[&str])] = &[
    // The scale of scores is that of a head in the file, of 24 in the folder.
    ("gemma2", &["config.query_pre_attn_scalar"]),
    // Any length in the file.
    ("granitehybrid", &["Context"]),
    // The key of the window is not written.
    ("mistral-window", &["config.sliding_window"]),
];

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus/sample").join(name)
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A file, or the files of a folder.
fn opened(path: &Path) -> Inspection {
    let mut set = SourceSet::default();
    let mut push = |path: &Path, name: &str| {
        set.push(Rc::new(FileSource::open(path, name).expect("the file opens")) as Rc<dyn ByteSource>);
    };
    if path.is_dir() {
        let mut names: Vec<_> =
            std::fs::read_dir(path).expect("a folder").map(|e| e.expect("an entry").path()).collect();
        names.sort();
        for file in names.iter().filter(|p| p.is_file()) {
            push(file, &file.file_name().expect("a name").to_string_lossy());
        }
    } else {
        push(path, &path.file_name().expect("a name").to_string_lossy());
    }
    block_on(Inspection::open(set)).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn in_bytes(name: &str, bytes: &[u8]) -> Inspection {
    block_on(Inspection::open(in_memory(&[(name, bytes)]))).expect("the model opens")
}

fn compared(a: &Inspection, b: &Inspection, options: Options) -> Compared {
    block_on(compare(a, b, options, &mut |_| {})).expect("models are compared")
}

const VALUES: Options = Options { values: true, headers: false, allow_rounding: false };

fn name(row: &Row) -> &str {
    row.a.iter().chain(&row.b).find_map(|s| s.names.first()).map_or("", String::as_str)
}

/// Bytes in which the only occurrence of some is replaced by as many others.
fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len(), "places of what follows stay");
    let at = bytes.windows(from.len()).position(|w| w == from).expect("the bytes are there");
    let mut out = bytes.to_vec();
    out[at..at + to.len()].copy_from_slice(to);
    out
}

#[test]
fn a_folder_and_its_gguf_file_hold_the_same_values_in_every_architecture() {
    let Some(corpus) = corpus() else { return };
    let mut folders: Vec<PathBuf> =
        std::fs::read_dir(corpus.join("arch")).expect("the corpus").map(|e| e.expect("an entry").path()).collect();
    folders.sort();
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for folder in folders.iter().filter(|f| f.join("model.gguf").is_file()) {
        let of = folder.file_name().expect("a name").to_string_lossy().into_owned();
        let (hf, gguf) = (opened(&folder.join("hf")), opened(&folder.join("model.gguf")));
        let found = compared(&hf, &gguf, Options::default());
        seen += 1;
        for note in &found.notes {
            wrong.push(format!("{of}: {note}"));
        }
        for row in found.tensors.iter().filter(|row| row.differs(true)) {
            let why = row.note.as_deref().unwrap_or_default();
            let error = row.measured.and_then(|m| m.relative_error).unwrap_or(0.0);
            wrong.push(format!("{of}: {} ({}) is {:?} {error:.2e} {why}", name(row), row.part, row.state));
        }
        let known = SETTINGS.iter().find(|(name, _)| *name == of).map_or(&[] as &[&str], |(_, names)| names);
        let named = |name: &&&str| found.settings().any(|s| s.name == **name);
        wrong.extend(known.iter().filter(|name| !named(name)).map(|name| format!("{of}: {name} is not told")));
        for setting in found.settings().filter(|s| !known.contains(&s.name.as_str())) {
            wrong.push(format!("{of}: {} is {:?} and {:?}", setting.name, setting.a, setting.b));
        }
    }
    assert!(seen >= 50, "{seen} architectures of the corpus have both forms");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_sample_in_each_encoding_is_the_folders_model_but_for_what_the_encoding_rounds() {
    let hf = opened(&sample("hf"));
    // The largest relative error of a tensor, as measured with NumPy over the same files.
    for (file, most) in [
        ("bf16", 0.0),
        ("f16", 1e-3),
        ("q8_0", 0.012),
        ("q5_0", 0.07),
        ("q5_1", 0.07),
        ("q4_0", 0.14),
        ("q4_1", 0.14),
        ("q4_k_m", 0.14),
    ] {
        let gguf = opened(&sample(&format!("gguf/sample-{file}.gguf")));
        let found = compared(&hf, &gguf, VALUES);
        let bad: Vec<&Row> = found.tensors.iter().filter(|row| row.differs(true)).collect();
        assert!(bad.is_empty(), "{file}: {bad:?}");
        assert_eq!(found.settings().count(), 0, "{file}: {:?}", found.settings().collect::<Vec<_>>());
        assert!(found.tokenizers.as_ref().is_some_and(|t| !t.differs), "{file}: {:?}", found.tokenizers);
        let worst = found.tensors.iter().filter_map(|r| r.measured?.relative_error).fold(0.0, f64::max);
        assert!(worst <= most, "{file}: {worst}");
        assert_eq!(found.differs(), worst > 0.0, "{file}: {}", found.summary());
        let allowed = compared(&hf, &gguf, Options { allow_rounding: true, ..VALUES });
        assert!(!allowed.differs(), "{file}: rounding is allowed, {}", allowed.summary());
    }
}

#[test]
fn a_model_does_not_differ_from_itself_in_any_form() {
    for path in ["hf", "gguf/sample-q4_k_m.gguf", "sample.onnx", "sample.pt"] {
        let (a, b) = (opened(&sample(path)), opened(&sample(path)));
        let found = compared(&a, &b, VALUES);
        assert!(!found.differs(), "{path}: {}", found.summary());
        assert!(!found.tensors.is_empty() && found.count(State::Equal) == found.tensors.len(), "{path}");
    }
}

#[test]
fn a_checkpoint_of_pytorch_is_compared_with_safetensors_by_name() {
    let found = compared(&opened(&sample("hf")), &opened(&sample("sample.pt")), Options::default());
    let same = found.count(State::Equal) + found.count(State::Converted);
    assert!(same > 0, "{}", found.summary());
    assert!(!found.differs(), "what one format cannot hold is no difference: {}", found.summary());
    // An ONNX graph keeps matrices the other way round, by the names of the folder.
    let found = compared(&opened(&sample("hf")), &opened(&sample("sample.onnx")), Options::default());
    let turned: Vec<&Row> = found.tensors.iter().filter(|row| row.transposed).collect();
    assert!(turned.len() >= 14 && turned.iter().all(|row| !row.differs(true)), "{}", found.summary());
    assert_eq!(found.count(State::Changed), 0, "{}", found.summary());
}

#[test]
fn two_quantizations_are_compared_tensor_by_tensor_and_layer_by_layer() {
    let (a, b) = (opened(&sample("gguf/sample-q8_0.gguf")), opened(&sample("gguf/sample-q4_0.gguf")));
    let found = compared(&a, &b, VALUES);
    assert!(found.differs() && found.count(State::Rounded) > 10, "{}", found.summary());
    assert_eq!(found.grid.rows.len(), 2, "a row for each layer");
    let column = found.grid.parts.iter().position(|p| p == "ffn down").expect("a column of the down map");
    let cell = found.grid.rows[1].cells[column].expect("each layer has one");
    assert!(cell.relative_error.is_some_and(|e| (0.01..0.2).contains(&e)), "{cell:?}");
    assert!(found.metadata.iter().any(|s| s.name == "general.file_type"), "{:?}", found.metadata);
}

#[test]
fn a_changed_value_is_found_with_its_tensor_and_its_place() {
    let bytes = read(&sample("gguf/sample-bf16.gguf"));
    let a = in_bytes("a.gguf", &bytes);
    let at = a.model().tensors.iter().position(|t| t.name == "blk.1.ffn_down.weight").expect("the tensor");
    let glassbox::model::Place::Here { at: place, .. } = &a.model().tensors[at].place else { panic!("it is here") };
    let mut changed = bytes.clone();
    // The sign of value 1000, in BF16.
    changed[place.start as usize + 2001] ^= 0x80;
    let found = compared(&a, &in_bytes("b.gguf", &changed), VALUES);
    let rows: Vec<&Row> = found.tensors.iter().filter(|row| row.state != State::Equal).collect();
    assert_eq!(rows.len(), 1, "{}", found.summary());
    let m = rows[0].measured.expect("it was measured");
    assert_eq!((name(rows[0]), m.differing, m.largest_at), ("blk.1.ffn_down.weight", 1, 1000));
    assert_eq!((rows[0].layer, rows[0].part.as_str(), rows[0].state), (Some(1), "ffn down", State::Changed));
    // Without --values, reading ends where it is settled; the finding is the same.
    let quick = compared(&a, &in_bytes("b.gguf", &changed), Options::default());
    assert_eq!(quick.count(State::Changed), 1);
    assert!(quick.summary().contains("1 changed"), "{}", quick.summary());
}

#[test]
fn a_renamed_tensor_is_recognised_by_its_values() {
    let bytes = read(&sample("gguf/sample-bf16.gguf"));
    let renamed = replaced(&bytes, b"blk.1.ffn_up.weight", b"blk.1.ffn_xy.weight");
    let found = compared(&in_bytes("a.gguf", &bytes), &in_bytes("b.gguf", &renamed), Options::default());
    let rows: Vec<&Row> = found.tensors.iter().filter(|row| row.renamed).collect();
    assert_eq!(rows.len(), 1, "{}", found.summary());
    assert_eq!((name(rows[0]), rows[0].state), ("blk.1.ffn_up.weight", State::Equal));
    assert!(found.differs(), "another name is a difference: programs look tensors up by it");
}

#[test]
fn a_changed_token_and_a_changed_setting_are_named() {
    let bytes = read(&sample("gguf/sample-q8_0.gguf"));
    let a = in_bytes("a.gguf", &bytes);
    let text = block_on(a.vocabulary()).expect("a tokenizer").token_text(900).expect("a token").to_owned();
    let mut marked = (text.len() as u64).to_le_bytes().to_vec();
    marked.extend(text.as_bytes());
    let mut other = marked.clone();
    let last = other.last_mut().expect("a byte");
    *last = if *last == b'z' { b'y' } else { b'z' };
    let found = compared(&a, &in_bytes("b.gguf", &replaced(&bytes, &marked, &other)), Options::default());
    let tokens = found.tokenizers.as_ref().expect("both have one");
    assert!(
        tokens.differs && tokens.changes.iter().any(|c| c.id == 900 && c.a.as_deref() == Some(text.as_str())),
        "{tokens:?}"
    );
    assert!(found.summary().contains("the tokenizer"), "{}", found.summary());

    let mut key = b"llama.context_length".to_vec();
    key.extend(4u32.to_le_bytes());
    let with = |n: u32| [key.as_slice(), &n.to_le_bytes()].concat();
    let found = compared(&a, &in_bytes("b.gguf", &replaced(&bytes, &with(256), &with(512))), Options::default());
    let settings: Vec<_> = found.settings().map(|s| (s.name.as_str(), s.a.as_deref(), s.b.as_deref())).collect();
    assert_eq!(settings, [("Context", Some("256"), Some("512"))]);
    assert!(found.summary().contains("1 setting"), "{}", found.summary());
}

/// The sample's folder in memory, with a file put in place of another or added.
fn folder(with: &[(&str, &[u8])]) -> Inspection {
    let mut files: Vec<(String, Vec<u8>)> = std::fs::read_dir(sample("hf"))
        .expect("the sample")
        .map(|e| e.expect("an entry").path())
        .map(|p| (p.file_name().expect("a name").to_string_lossy().into_owned(), read(&p)))
        .collect();
    for (name, bytes) in with {
        files.retain(|(other, _)| other != name);
        files.push(((*name).to_owned(), bytes.to_vec()));
    }
    files.sort();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    block_on(Inspection::open(in_memory(&files))).expect("the folder opens")
}

#[test]
fn a_changed_template_is_told_line_by_line() {
    let a = folder(&[(
        "chat_template.jinja",
        b"{{ bos_token }}\n{% for m in messages %}\n{{ m.content }}\n{% endfor %}\n",
    )]);
    let b =
        folder(&[("chat_template.jinja", b"{{ bos_token }}\n{% for m in messages %}\n{{ m.role }}\n{% endfor %}\n")]);
    let found = compared(&a, &b, Options::default());
    let lines: Vec<&str> = found.templates[0].lines.iter().map(|l| l.text.as_str()).collect();
    assert_eq!(lines, ["{% for m in messages %}", "{{ m.content }}", "{{ m.role }}", "{% endfor %}"]);
    assert!(found.differs() && found.summary().contains("chat template"), "{}", found.summary());
    // On one side alone: a difference within a form, none between a folder and a GGUF file.
    let none = opened(&sample("hf"));
    assert!(compared(&a, &none, Options::default()).differs());
    let gguf = opened(&sample("gguf/sample-bf16.gguf"));
    let across = compared(&a, &gguf, Options::default());
    assert!(across.templates.len() == 1 && !across.differs(), "{}", across.summary());
}

#[test]
fn settings_beside_the_weights_are_compared_by_their_keys() {
    let config = String::from_utf8(read(&sample("hf/config.json"))).expect("JSON is text");
    let other = config
        .replace("\"rope_theta\": 10000.0", "\"rope_theta\": 50000.0")
        .replace("\"use_cache\": true", "\"use_cache\": false");
    let found = compared(&folder(&[]), &folder(&[("config.json", other.as_bytes())]), Options::default());
    let names: Vec<&str> = found.settings().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["RoPE base", "config.use_cache"]);
    let generation = br#"{"temperature": 0.3}"#;
    let found = compared(&folder(&[]), &folder(&[("generation_config.json", generation)]), Options::default());
    assert!(found.settings().any(|s| s.name == "generation_config.json: temperature"), "{:?}", found.files);
}

#[test]
fn headers_alone_are_compared_without_a_byte_of_a_tensor() {
    let (a, b) = (opened(&sample("gguf/sample-q8_0.gguf")), opened(&sample("gguf/sample-q8_0.gguf")));
    let before = a.files().bytes_read();
    let found = compared(&a, &b, Options { headers: true, ..Options::default() });
    assert_eq!(found.count(State::Alike), found.tensors.len());
    assert!(found.summary().contains("values were not read"), "{}", found.summary());
    let data = a.model().tensor_bytes();
    assert!(a.files().bytes_read() - before < data / 4, "of the tensors nothing is read");
}

fn glassbox(args: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_glassbox")).args(args).output().expect("the command starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn the_command_ends_as_diff_does() {
    let path = |name: &str| sample(name).to_string_lossy().into_owned();
    let (hf, q8, q4) = (path("hf"), path("gguf/sample-q8_0.gguf"), path("gguf/sample-q4_0.gguf"));
    let (code, out, _) = glassbox(&["diff", &q8, &q8]);
    assert_eq!(code, Some(0));
    assert!(out.contains("No difference"), "{out}");
    let (code, out, _) = glassbox(&["diff", &hf, &q4, "--values"]);
    assert_eq!(code, Some(1));
    for words in ["relative error", "ffn down", "Layers by parts", "rounded"] {
        assert!(out.contains(words), "{words}: {out}");
    }
    assert_eq!(glassbox(&["diff", &hf, &q4, "--allow-rounding"]).0, Some(0));
    let (code, _, err) = glassbox(&["diff", &q8, &path("no-such-file")]);
    assert_eq!(code, Some(2));
    assert!(err.contains("no-such-file"), "{err}");
    let (_, help, _) = glassbox(&["diff", "--help"]);
    assert!(help.contains("0 no difference, 1 the models differ, 2 they could not be compared"), "{help}");
}

#[test]
fn the_json_of_a_comparison_equals_the_committed_one() {
    let (a, b) = (opened(&sample("hf")), opened(&sample("gguf/sample-q4_k_m.gguf")));
    let report = block_on(ModelDiffReport::of(&a, &b, VALUES, &mut |_| {})).expect("models are compared");
    let text = serde_json::to_string_pretty(&report).expect("reports are JSON") + "\n";
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/diff-sample.json");
    if std::env::var_os("GLASSBOX_BLESS").is_some() {
        std::fs::write(&golden, &text).expect("written");
    }
    let committed = std::fs::read_to_string(&golden).unwrap_or_default();
    assert!(committed == text, "changed: look at the difference with GLASSBOX_BLESS=1 and git diff");
    let json: Value = serde_json::from_str(&text).expect("JSON");
    let errors: Vec<f64> = json["weights"]
        .as_array()
        .expect("weights")
        .iter()
        .map(|w| w["values"]["relative_error"].as_f64().unwrap_or(f64::INFINITY))
        .collect();
    assert!(errors.is_sorted_by(|a, b| a >= b), "those furthest apart come first");
}

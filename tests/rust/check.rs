//! The doctor: a whole model gives no alarm; each damage gives its finding, with place, reason and advice; what is
//! missing of a cut file is told to the byte.

mod cut;
mod damage;

use crate::common::{containers, files, writers};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use files::{block_on, corpus, in_memory};
use glassbox::{
    check::{self, Evidence, Salvage},
    model::{ModelFile, Note, Place, Severity},
    report::{CheckReport, ModelReport},
    session::Inspection,
};
use writers::{Gguf, Message, Tensor, Value, onnx_model, onnx_node, onnx_tensor, onnx_value};

type Files = BTreeMap<String, Vec<u8>>;

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus/sample").join(name)
}

fn folder(path: &Path) -> Files {
    std::fs::read_dir(path)
        .expect("the folder is there")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.is_file())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(&path).expect("reads")))
        .collect()
}

fn one(name: &str, bytes: Vec<u8>) -> Files {
    [(name.to_owned(), bytes)].into()
}

fn inspection(files: &Files) -> Inspection {
    let files: Vec<(&str, &[u8])> = files.iter().map(|(n, b)| (n.as_str(), b.as_slice())).collect();
    block_on(Inspection::open(in_memory(&files))).expect("opens")
}

/// All findings, those that read bytes included; each says why it matters and what to do.
fn findings(files: &Files) -> (ModelFile, Vec<Note>) {
    let inspection = inspection(files);
    let tokens = block_on(async { Ok::<_, glassbox::fault::Fault>(inspection.tokens().await) }).expect("counts");
    let evidence = block_on(check::gather(inspection.files(), inspection.model(), tokens)).expect("gathers");
    let notes = check::all(inspection.model(), &evidence);
    for note in &notes {
        let told = |text: &Option<String>| text.as_ref().is_some_and(|t| !t.is_empty());
        assert!(told(&note.why) && told(&note.advice), "a finding without reason or advice: {note:?}");
        if let (Some(file), Some(at)) = (note.file, note.at) {
            assert!(at <= inspection.model().files[file].bytes, "a place beyond its file: {note:?}");
        }
    }
    (inspection.model().clone(), notes)
}

fn alarms(notes: &[Note]) -> Vec<&Note> {
    notes.iter().filter(|n| n.severity > Severity::Info).collect()
}

fn find<'a>(name: &str, notes: &'a [Note], severity: Severity, words: &str) -> &'a Note {
    let found = notes.iter().find(|n| n.severity == severity && n.what.contains(words));
    found.unwrap_or_else(|| panic!("{name}: {severity:?} \"{words}\" expected, {notes:#?} found"))
}

/// A llama of two layers in F32: width 32, two heads, one key head, feed-forward 64, four tokens.
fn llama() -> Gguf {
    let mut file = Gguf::small();
    file.entries.clear();
    file.tensors.clear();
    file.set("general.architecture", Value::text("llama"));
    for (key, n) in [
        ("block_count", 2),
        ("context_length", 64),
        ("embedding_length", 32),
        ("feed_forward_length", 64),
        ("attention.head_count", 2),
        ("attention.head_count_kv", 1),
    ] {
        file.set(&format!("llama.{key}"), Value::u32(n));
    }
    let tokens: Vec<Vec<u8>> = ["<unk>", "<s>", "</s>", "a"].iter().map(writers::string).collect();
    file.set("tokenizer.ggml.model", Value::text("llama"));
    file.set("tokenizer.ggml.tokens", Value::array(8, &tokens));
    file.set("tokenizer.ggml.scores", Value::array(6, &vec![vec![0; 4]; 4]));
    file.set("tokenizer.ggml.token_type", Value::array(5, &vec![vec![1, 0, 0, 0]; 4]));
    file.set("tokenizer.ggml.bos_token_id", Value::u32(1));
    file.set("tokenizer.ggml.eos_token_id", Value::u32(2));
    let mut add = |name: &str, dims: &[u64]| {
        let count = dims.iter().product::<u64>() as usize;
        let data = (0..count).flat_map(|i| (i as f32 * 0.25 + 1.0).to_le_bytes()).collect();
        file.tensors.push(Tensor { name: name.into(), dims: dims.to_vec(), kind: 0, offset: None, data });
    };
    add("token_embd.weight", &[32, 4]);
    add("output_norm.weight", &[32]);
    for i in 0..2 {
        for (name, dims) in [
            ("attn_norm", &[32][..]),
            ("attn_q", &[32, 32]),
            ("attn_k", &[32, 16]),
            ("attn_v", &[32, 16]),
            ("attn_output", &[32, 32]),
            ("ffn_norm", &[32]),
            ("ffn_gate", &[32, 64]),
            ("ffn_up", &[32, 64]),
            ("ffn_down", &[64, 32]),
        ] {
            add(&format!("blk.{i}.{name}.weight"), dims);
        }
    }
    file
}

fn set(file: &mut Gguf, key: &str, value: Value) {
    file.entries.iter_mut().find(|(k, _)| k == key.as_bytes()).expect("the key is there").1 = value;
}

fn tensor<'a>(file: &'a mut Gguf, name: &str) -> &'a mut Tensor {
    file.tensors.iter_mut().find(|t| t.name == name).expect("the tensor is there")
}

#[test]
fn whole_models_raise_no_alarm() {
    let mut all: Vec<(String, Files)> = vec![
        ("hf".into(), folder(&sample("hf"))),
        ("onnx".into(), one("sample.onnx", std::fs::read(sample("sample.onnx")).expect("reads"))),
        ("pt".into(), one("sample.pt", std::fs::read(sample("sample.pt")).expect("reads"))),
        ("own".into(), one("x.gguf", llama().bytes())),
    ];
    for (name, bytes) in folder(&sample("gguf")) {
        all.push((name.clone(), one(&name, bytes)));
    }
    for (name, files) in all {
        let (model, notes) = findings(&files);
        assert!(alarms(&notes).is_empty(), "{name}: {notes:#?}");
        assert_eq!(check::salvage(&model), None, "{name}");
        assert_eq!(check::refusals(&notes), [], "{name}");
    }
}

#[test]
fn good_files_of_other_writers_raise_no_alarm_beyond_what_is_known_of_them() {
    let Some(corpus) = corpus() else { return };
    // What is true of these files: other layouts than llama.cpp's, early versions, imports of other packages.
    let known = [
        ("gguf/", "The metadata lacks"),
        ("gguf/", "of the data"),
        ("gguf/", "order of tensors"),
        ("gguf/", "general.architecture is missing"),
        ("gguf/ratchet-test", "is no tensor of the llama architecture"),
        ("gguf/v1", "GGUF version 1"),
        ("gguf/v1", "FUGG"),
        ("gguf/v3-test_writer", "value type 13"),
        ("quant/quant-zoo.gguf", "The metadata lacks zoo."),
        ("pytorch/lightning", "import"),
        ("pytorch/torchscript-silero", "linear.py"),
        ("tensorflow/frozen", "states no versions"),
        ("onnx/light_squeezenet_output", "states no versions"),
    ];
    let mut checked = 0;
    for place in
        ["gguf", "ggml", "llama", "vocab", "quant", "safetensors", "triple", "rwkv", "tensorflow", "pytorch", "onnx"]
    {
        for (name, bytes) in folder(&corpus.join(place)) {
            let full = format!("{place}/{name}");
            let files = one(&name, bytes);
            let list: Vec<(&str, &[u8])> = files.iter().map(|(n, b)| (n.as_str(), b.as_slice())).collect();
            if block_on(Inspection::open(in_memory(&list))).is_err() {
                continue;
            }
            checked += 1;
            let (_, notes) = findings(&files);
            for note in alarms(&notes) {
                let expected = known.iter().any(|(file, words)| full.starts_with(file) && note.what.contains(words));
                assert!(expected, "{full}: {note:#?}");
            }
        }
    }
    for name in ["hf-llama2xs", "minilm"] {
        let (_, notes) = findings(&folder(&corpus.join(name)));
        assert!(alarms(&notes).is_empty(), "{name}: {notes:#?}");
    }
    assert!(checked > 60, "{checked}");
}

#[test]
fn the_report_counts_what_it_lists_and_says_what_was_read() {
    let inspection = inspection(&folder(&sample("hf")));
    let report = block_on(CheckReport::of(&inspection)).expect("reports");
    assert_eq!((report.errors, report.warnings, report.salvage.is_none()), (0, 0, true));
    // ... and the tokenizer, which is looked at apart.
    assert_eq!(report.checks.len(), check::CHECKS.len() + 1);
    assert!(report.looked_at.iter().any(|l| l.contains("tokenizer_config.json")), "{:?}", report.looked_at);
    assert!(report.bytes_read > inspection.model().files.len() as u64);
    // Without further reads the same checks find no less about the headers.
    let (_, notes) = findings(&folder(&sample("hf")));
    assert_eq!(check::all(inspection.model(), &Evidence::default()), notes);
}

#[test]
fn files_with_damage_anywhere_never_make_the_doctor_stumble() {
    let mut state = 1u64;
    let mut next = |n: u64| {
        // Numerical Recipes' linear congruence; its high bits are even enough here.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % n
    };
    let mut opened = 0;
    for (name, bytes) in [
        ("x.gguf", llama().bytes()),
        ("x.safetensors", writers::small_safetensors()),
        ("x.onnx", writers::small_onnx()),
        ("x.bin", containers::ggjt(3, 0, &[1; 128])),
        ("x.pt", containers::torch_zip()),
    ] {
        for _ in 0..300 {
            let mut harmed = bytes.clone();
            for _ in 0..1 + next(4) {
                // Mostly in the header, where numbers and names are.
                let most = if next(3) == 0 { u64::MAX } else { 700 };
                let at = next(most.min(harmed.len() as u64)) as usize;
                harmed[at] = if next(2) == 0 { next(256) as u8 } else { 0xff };
            }
            if next(4) == 0 {
                let end = next(harmed.len() as u64) as usize;
                harmed.truncate(end);
            }
            let files = in_memory(&[(name, &harmed)]);
            let Ok(inspection) = block_on(Inspection::open(files)) else { continue };
            opened += 1;
            check::salvage(inspection.model());
            block_on(CheckReport::without_tokenizer(&inspection)).expect("reads what is there");
        }
    }
    assert!(opened > 500, "{opened} opened");
}

#[test]
fn a_file_for_each_of_many_tensors_is_told_in_reasonable_time() {
    let mut graph = Message::new();
    let count = 40_000;
    for i in 0..count {
        let entry = |key: &str, value: &str| Message::new().bytes(1, key).bytes(2, value);
        let name = format!("w{i}");
        let tensor = onnx_tensor(&name, 1, &[2], &[]);
        let tensor = tensor.message(13, &entry("location", &format!("part{i}.bin"))).int(14, 1);
        graph = graph.message(5, &tensor);
    }
    let bytes = onnx_model(&graph.message(11, &onnx_value("x", &["2"])).message(12, &onnx_value("x", &["2"]))).0;
    let model = files::open_bytes("x.onnx", &bytes).expect("opens");
    let found = check::salvage(&model).expect("not whole");
    assert_eq!((found.files.len(), found.missing), (count, count as u64));
}

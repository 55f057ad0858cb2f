//! Perplexity and divergence: against NumPy's formula over logits that transformers computed, and over the engine's own.

use crate::common::files;
use std::{
    path::{Path, PathBuf},
    process::Command,
    rc::Rc,
};

use files::{block_on, corpus, on_disk};
use glassbox::{
    session::{
        DeviceChoice, EvalOptions, Evaluated, Evaluation, Generation, GpuOptions, Inspection, RunSettings, eval_context,
    },
    source::SourceSet,
};
use serde_json::Value;

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus/sample").join(name)
}

fn folder(path: &Path) -> SourceSet {
    let names: Vec<String> = std::fs::read_dir(path)
        .expect("a folder")
        .map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    on_disk(path, &names.iter().map(String::as_str).collect::<Vec<_>>())
}

fn gguf(path: &Path) -> SourceSet {
    let name = path.file_name().expect("a name").to_string_lossy().into_owned();
    on_disk(path.parent().expect("a folder"), &[&name])
}

/// On the CPU, activations kept in f32.
fn loaded(files: SourceSet, context: u32) -> Evaluated {
    let inspection = Rc::new(block_on(Inspection::open(files)).expect("the model opens"));
    let options = EvalOptions { context: Some(context), chunks: None };
    assert_eq!(eval_context(&inspection, &options).expect("a context"), context);
    let gpu = GpuOptions { exact: true, ..GpuOptions::default() };
    block_on(Evaluated::load(inspection, DeviceChoice::Cpu, gpu, context, Vec::new(), &mut |_| {}))
        .expect("the model loads")
}

fn evaluated(model: &mut Evaluated, ids: &[u32], other: Option<&mut Evaluated>) -> Evaluation {
    block_on(model.evaluate(ids, other, &EvalOptions::default(), &mut |_| {})).expect("the text is predicted")
}

/// Rows of a `.npy` file of f32.
fn npy(path: &Path, width: usize) -> Vec<Vec<f32>> {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let header = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let values: Vec<f32> =
        bytes[header..].chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().expect("four"))).collect();
    values.chunks_exact(width).map(<[f32]>::to_vec).collect()
}

/// What must come out of logits `[positions, vocabulary]` of one chunk: loss and, against others, divergence and agreement.
fn expected(ids: &[u32], logits: &[Vec<f32>], other: Option<&[Vec<f32>]>) -> (f64, f64, f64) {
    let log_softmax = |row: &[f32]| -> Vec<f64> {
        let top = row.iter().copied().fold(f32::MIN, f32::max);
        let sum: f64 = row.iter().map(|v| f64::from(v - top).exp()).sum();
        row.iter().map(|v| f64::from(v - top) - sum.ln()).collect()
    };
    let top = |row: &[f64]| row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map(|(i, _)| i);
    let (mut loss, mut divergence, mut agree, mut n) = (0.0, 0.0, 0.0, 0.0);
    for at in ids.len() / 2..ids.len() - 1 {
        let q = log_softmax(&logits[at]);
        loss -= q[ids[at + 1] as usize];
        if let Some(other) = other {
            let p = log_softmax(&other[at]);
            divergence += p.iter().zip(&q).map(|(p, q)| p.exp() * (p - q)).sum::<f64>();
            agree += f64::from(u8::from(top(&p) == top(&q)));
        }
        n += 1.0;
    }
    (loss / n, divergence / n, agree / n)
}

fn reference(path: &Path) -> (Vec<u32>, usize) {
    let json: Value =
        serde_json::from_slice(&std::fs::read(path.join("reference.json")).expect("a reference")).expect("JSON");
    let ids = json["prompt_ids"].as_array().expect("ids").iter().map(|id| id.as_u64().expect("an id") as u32).collect();
    let config: Value =
        serde_json::from_slice(&std::fs::read(path.join("hf/config.json")).expect("a config")).expect("JSON");
    (ids, config["vocab_size"].as_u64().expect("a vocabulary") as usize)
}

#[test]
fn perplexity_is_that_of_the_reference_logits() {
    let Some(corpus) = corpus() else { return };
    for name in ["llama", "qwen3", "gpt2", "mamba", "phi3"] {
        let path = corpus.join("arch").join(name);
        let (ids, vocabulary) = reference(&path);
        let logits = npy(&path.join("logits.npy"), vocabulary);
        let (loss, ..) = expected(&ids, &logits, None);
        // Two chunks of the same tokens, each read from an empty state.
        let twice = [ids.as_slice(), ids.as_slice()].concat();
        let mut model = loaded(folder(&path.join("hf")), ids.len() as u32);
        let found = evaluated(&mut model, &twice, None);
        assert_eq!((found.chunks, found.counted), (2, 2 * (ids.len() - ids.len() / 2 - 1)), "{name}");
        assert!((found.loss.mean - loss).abs() < 2e-3, "{name}: {} and {loss}", found.loss.mean);
        assert!((found.perplexity().mean.ln() - found.loss.mean).abs() < 1e-9);
        assert!((found.so_far[0].ln() - loss).abs() < 2e-3, "{name}: after the first chunk");
    }
}

#[test]
fn divergence_is_that_of_two_references() {
    let Some(corpus) = corpus() else { return };
    // The file's own runner scales scores otherwise than the folder's library, so that the two differ.
    let path = corpus.join("arch/gemma2");
    let (ids, vocabulary) = reference(&path);
    let (file, own) = (npy(&path.join("gguf-logits.npy"), vocabulary), npy(&path.join("logits.npy"), vocabulary));
    let (loss, divergence, agreement) = expected(&ids, &file, Some(&own));
    let twice = [ids.as_slice(), ids.as_slice()].concat();
    let context = ids.len() as u32;
    let (mut a, mut b) = (loaded(gguf(&path.join("model.gguf")), context), loaded(folder(&path.join("hf")), context));
    let found = evaluated(&mut a, &twice, Some(&mut b));
    let against = found.against.expect("two models");
    assert!((found.loss.mean - loss).abs() < 5e-3 * loss.max(1.0), "{} and {loss}", found.loss.mean);
    assert!(
        (against.divergence.mean - divergence).abs() < 2e-2 * divergence.max(0.1),
        "{} and {divergence}",
        against.divergence.mean
    );
    assert!((against.agreement.mean - agreement).abs() < 1e-9, "{} and {agreement}", against.agreement.mean);
}

/// Some two hundred tokens of the sample's kind.
fn story() -> String {
    "Once upon a time, there was a brave bear named Tom who lived near a big forest. One day, Tom found a red ball. "
        .repeat(9)
}

#[test]
fn the_second_half_of_each_chunk_counts_and_nothing_else() {
    let context = 40;
    let mut model = loaded(gguf(&sample("gguf/sample-q8_0.gguf")), context);
    let ids = model.encode(&story()).expect("a tokenizer");
    let found = evaluated(&mut model, &ids, None);
    let chunks = ids.len() / context as usize;
    assert!(chunks >= 3 && found.chunks == chunks && found.counted == chunks * 19, "{found:?}");
    // The same from the logits of each chunk as a prompt of its own.
    let inspection = Rc::new(block_on(Inspection::open(gguf(&sample("gguf/sample-q8_0.gguf")))).expect("it opens"));
    let settings = RunSettings { outputs: 64, rows: 64, context: Some(64), ..RunSettings::default() };
    let gpu = GpuOptions { exact: true, ..GpuOptions::default() };
    let mut runs =
        block_on(Generation::load(inspection, DeviceChoice::Cpu, gpu, &settings, &mut |_| {})).expect("it loads");
    let mut sum = 0.0;
    for chunk in ids.chunks_exact(context as usize) {
        let mut chunk = chunk.to_vec();
        if found.bos {
            chunk[0] = ids[0];
        }
        let logits = block_on(runs.prompt_logits(&chunk)).expect("logits");
        sum += expected(&chunk, &logits, None).0;
    }
    let expected = sum / chunks as f64;
    assert!((found.loss.mean - expected).abs() < 1e-4, "{} and {expected}", found.loss.mean);
}

#[test]
fn a_model_against_itself_has_no_divergence_and_a_coarser_one_has_some() {
    let open = |file: &str| loaded(gguf(&sample(&format!("gguf/sample-{file}.gguf"))), 32);
    let (mut a, mut b) = (open("q4_0"), open("q4_0"));
    let ids = a.encode(&story()).expect("a tokenizer");
    let same = evaluated(&mut a, &ids, Some(&mut b)).against.expect("two models");
    assert!(same.divergence.mean.abs() < 1e-9 && same.agreement.mean == 1.0 && same.difference.mean.abs() < 1e-9);
    let mut exact = open("f16");
    let coarse = evaluated(&mut a, &ids, Some(&mut exact)).against.expect("two models");
    let mut finer = open("q8_0");
    let fine = evaluated(&mut finer, &ids, Some(&mut exact)).against.expect("two models");
    assert!(fine.divergence.mean > 0.0 && fine.divergence.mean < coarse.divergence.mean, "{fine:?} {coarse:?}");
    assert!(coarse.quantile(0.0) <= coarse.quantile(0.5) && coarse.quantile(0.5) <= coarse.quantile(1.0));
    assert!(coarse.correlation > 0.9 && coarse.agreement.mean > 0.7, "{coarse:?}");
}

#[test]
fn a_text_that_is_too_short_is_refused_with_both_numbers() {
    let mut model = loaded(gguf(&sample("gguf/sample-q8_0.gguf")), 32);
    let ids = model.encode("Once upon a time").expect("a tokenizer");
    let fault = block_on(model.evaluate(&ids, None, &EvalOptions::default(), &mut |_| {})).expect_err("it is short");
    assert!(fault.what.contains(&format!("{} tokens", ids.len())) && fault.what.contains("64"), "{}", fault.what);
}

#[test]
fn the_command_prints_the_perplexity_and_all_of_it_as_json() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = folder.path().join("text.txt");
    std::fs::write(&text, story()).expect("written");
    let path = |p: &Path| p.to_string_lossy().into_owned();
    let run = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_glassbox")).args(args).output().expect("the command starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let (model, other) = (path(&sample("gguf/sample-q4_0.gguf")), path(&sample("hf")));
    let common = ["--text", &path(&text), "--context", "32", "--device", "cpu"].map(str::to_owned);
    let with = |more: &[&str]| {
        let mut args = vec!["eval", &model];
        args.extend(common.iter().map(String::as_str));
        args.extend(more);
        run(&args)
    };
    assert!(with(&[]).contains("Perplexity"));
    let said = with(&["--against", &other]);
    assert!(said.contains("KL divergence") && said.contains("same likeliest token"), "{said}");
    let json: Value = serde_json::from_str(&with(&["--against", &other, "--json", "--chunks", "2"])).expect("JSON");
    assert_eq!((json["chunks"].as_u64(), json["counted"].as_u64()), (Some(2), Some(30)));
    assert!(json["against"]["kl_divergence"]["mean"].as_f64().is_some_and(|d| d > 0.0));
    assert!(json["perplexity"]["mean"].as_f64().is_some_and(|p| p > 1.0));
}

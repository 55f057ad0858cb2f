//! Whole models through the session, on the CPU and on the GPU in both tiers: references and seeds.

mod engine_support;

use std::{
    future::Future,
    path::{Path, PathBuf},
    pin::pin,
    rc::Rc,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use glassbox::{
    fault::Blame,
    session::{DeviceChoice, Generation, GenerationOptions, GpuOptions, Inspection, Outcome, Sampling, StopReason},
    source::{FileSource, SourceSet},
};
use serde_json::Value;

/// The references were computed in float64 from the decoded weights: f32 sums of these small models stay this close.
const LOGIT_TOLERANCE: f64 = 1e-3;

/// Natively every future of the engine does its waiting inside `poll`.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return value;
        }
    }
}

/// One test at a time: a software GPU uses every core.
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where models run: the CPU, and the GPU in each tier.
const PLACES: [(&str, DeviceChoice, Option<&str>); 3] = [
    ("CPU", DeviceChoice::Cpu, None),
    ("core tier", DeviceChoice::Gpu, Some("core")),
    ("subgroup tier", DeviceChoice::Gpu, Some("subgroup")),
];

fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus/sample")
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as u32).collect()
}

/// A file, or every file of a folder.
fn open(path: &Path) -> Rc<Inspection> {
    let mut paths = vec![path.to_path_buf()];
    if path.is_dir() {
        paths = std::fs::read_dir(path).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_file()).collect();
        paths.sort();
    }
    let mut files = SourceSet::default();
    for path in paths {
        files.push(Rc::new(FileSource::open(&path, path.file_name().unwrap().to_string_lossy()).unwrap()));
    }
    Rc::new(block_on(Inspection::open(files)).unwrap())
}

/// The model on a device, or `None` after saying why there is none.
fn load(path: &Path, (name, choice, tier): &(&str, DeviceChoice, Option<&str>)) -> Option<Generation> {
    let gpu = GpuOptions { tier: tier.map(str::to_owned), ..GpuOptions::default() };
    match block_on(Generation::load(open(path), choice.clone(), gpu, None, &mut |_| {})) {
        Ok(generation) => {
            assert_eq!(generation.device().tier.is_some(), tier.is_some(), "{name}: {:?}", generation.device());
            Some(generation)
        }
        Err(fault) if tier.is_some() && fault.blame == Blame::Device => {
            eprintln!("skipped: {} in the {name} because {fault}", path.display());
            None
        }
        Err(fault) => panic!("{}: {fault}", path.display()),
    }
}

fn generate(generation: &mut Generation, prompt: &[u32], max_tokens: usize, sampling: Sampling) -> Outcome {
    let options = GenerationOptions {
        max_tokens: max_tokens as u32,
        sampling,
        add_special: true,
        alternatives: false,
        keep_logits: true,
    };
    let outcome =
        block_on(generation.generate_ids(prompt.to_vec(), &options, &mut |_| Box::pin(async { false }))).unwrap();
    assert_eq!(outcome.prompt_ids, prompt);
    outcome
}

/// The rows of a `.npy` file of f32 `[rows, columns]`.
fn npy(path: &Path) -> Vec<Vec<f32>> {
    let bytes = std::fs::read(path).unwrap();
    let header = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let text = std::str::from_utf8(&bytes[10..header]).unwrap();
    assert!(text.contains("'<f4'") && text.contains("'fortran_order': False"), "{text}");
    let shape = text.split("'shape': (").nth(1).unwrap().split(')').next().unwrap();
    let columns: usize = shape.split(',').nth(1).unwrap().trim().parse().unwrap();
    let values: Vec<f32> = bytes[header..].chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    values.chunks_exact(columns).map(<[f32]>::to_vec).collect()
}

fn assert_close(got: Option<&Vec<f32>>, want: &[f32], what: &str) {
    let got = got.expect("logits were kept");
    assert_eq!(got.len(), want.len(), "{what}");
    let off = got.iter().zip(want).map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max);
    assert!(off < LOGIT_TOLERANCE, "{what}: a logit is off by {off}");
}

#[test]
fn the_sample_gives_the_references_logits_and_greedy_ids_everywhere() {
    let _turn = turn();
    let reference = json(&sample().join("reference.json"));
    let prompts: Vec<Vec<u32>> = reference["prompts"].as_array().unwrap().iter().map(|p| ids(&p["ids"])).collect();
    for place in &PLACES {
        for weights in reference["weights"].as_array().unwrap() {
            let want = npy(&sample().join(weights["logits"].as_str().unwrap()));
            let files: Vec<&str> = weights["files"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
            let runnable = files.iter().filter(|f| f.ends_with(".gguf") || **f == "hf");
            // One file for each set of weights on a software GPU, all of them on the CPU.
            for file in runnable.take(if place.2.is_none() { usize::MAX } else { 1 }) {
                let Some(mut model) = load(&sample().join(file), place) else { continue };
                let what = format!("{file}, {}", place.0);
                for (i, prompt) in prompts.iter().enumerate() {
                    let outcome = generate(&mut model, prompt, 1, Sampling::greedy());
                    assert_close(outcome.logits.as_ref(), &want[i], &format!("{what}, prompt {i}"));
                }
                let run = &weights["runs"][0];
                assert!(run["min_top2_gap"].as_f64().unwrap() > LOGIT_TOLERANCE);
                let want = ids(&run["ids"]);
                let outcome = generate(&mut model, &prompts[0], want.len(), Sampling::greedy());
                // The reference's list ends with the end token, a run's does not.
                assert_eq!(outcome.stop, StopReason::EndToken, "{what}");
                assert_eq!(outcome.ids, want[..want.len() - 1], "{what}");
            }
        }
    }
}

#[test]
fn models_of_the_corpus_give_the_references_logits_and_greedy_ids_everywhere() {
    let _turn = turn();
    let Some(corpus) = engine_support::corpus("reference logits of small llamas") else { return };
    let folder = corpus.join("llama");
    let mut models: Vec<(String, Value, String)> = ["stories260K", "llama2xs"]
        .into_iter()
        .map(|m| {
            let about = json(&folder.join(format!("{m}.reference.json")))["prompts"][1].clone();
            (format!("{m}-f32.gguf"), about, format!("{m}.logits_prompt1.npy"))
        })
        .collect();
    for (file, about) in json(&folder.join("quantised.reference.json"))["files"].as_object().unwrap() {
        models.push((file.clone(), about.clone(), file.replace(".gguf", ".logits_prompt1.npy")));
    }
    assert!(models.len() >= 10, "{} models", models.len());
    for place in &PLACES {
        for (file, about, logits) in &models {
            let Some(mut model) = load(&folder.join(file), place) else { continue };
            let (prompt, sequence) = (ids(&about["prompt_ids"]), ids(&about["sequence"]));
            let what = format!("{file}, {}", place.0);
            let outcome = generate(&mut model, &prompt, sequence.len() - prompt.len(), Sampling::greedy());
            assert_close(outcome.logits.as_ref(), npy(&folder.join(logits)).last().unwrap(), &what);
            let gap = about["min_top2_gap"].as_f64().unwrap();
            if gap < LOGIT_TOLERANCE {
                eprintln!("skipped: greedy text of {what}, because its closest choice is {gap} apart");
                continue;
            }
            assert_eq!(outcome.ids, sequence[prompt.len()..], "{what}");
        }
    }
}

#[test]
fn a_seed_gives_the_golden_ids_everywhere() {
    let _turn = turn();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    // The browser's test compares with the same file.
    let golden = json(&root.join("tests/golden/seeds.json"));
    let s = &golden["sampling"];
    let number = |key: &str| s[key].as_f64().unwrap() as f32;
    let sampling = Sampling {
        temperature: number("temperature"),
        top_k: s["top_k"].as_u64().unwrap() as usize,
        top_p: number("top_p"),
        min_p: number("min_p"),
        seed: s["seed"].as_u64().unwrap(),
    };
    let most = golden["max_tokens"].as_u64().unwrap() as usize;
    for place in &PLACES {
        let Some(mut model) = load(&sample().join(golden["model"].as_str().unwrap()), place) else { continue };
        let mut tokens = 0;
        for run in golden["runs"].as_array().unwrap() {
            let options = GenerationOptions {
                max_tokens: most as u32,
                sampling: sampling.clone(),
                add_special: true,
                alternatives: false,
                keep_logits: false,
            };
            let prompt = run["prompt"].as_str().unwrap();
            let outcome = block_on(model.generate(prompt, &options, &mut |_| Box::pin(async { false }))).unwrap();
            assert_eq!(outcome.ids, ids(&run["ids"]), "{prompt:?}, {}", place.0);
            tokens += outcome.ids.len();
        }
        assert!(tokens >= 200, "{tokens} tokens");
    }
}

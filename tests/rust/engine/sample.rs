//! The sample model and small llamas of the corpus: logits, greedy ids, seeds, everywhere.

use std::path::Path;

use glassbox::session::{DeviceChoice, Generation, GpuOptions, RunSettings, Sampling, StopReason};
use serde_json::Value;

use super::support::{PLACES, block_on, corpus, generate, ids, json, load, npy, open, options, sample, turn};

/// The references were computed in float64 from the decoded weights: f32 sums of these small models stay this close.
const LOGIT_TOLERANCE: f64 = 1e-3;

fn assert_close(got: Option<&Vec<f32>>, want: &[f32], what: &str) {
    let got = got.expect("logits were kept");
    assert_eq!(got.len(), want.len(), "{what}");
    let off = got.iter().zip(want).map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max);
    assert!(off < LOGIT_TOLERANCE, "{what}: a logit is off by {off}");
}

fn keeping_logits(max_tokens: usize) -> glassbox::session::GenerationOptions {
    glassbox::session::GenerationOptions { keep_logits: true, ..options(max_tokens, Sampling::greedy()) }
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
                let Some(mut model) = load(&sample().join(file), place, &RunSettings::default()) else { continue };
                let what = format!("{file}, {}", place.0);
                for (i, prompt) in prompts.iter().enumerate() {
                    let outcome = generate(&mut model, prompt, &keeping_logits(1));
                    assert_close(outcome.logits.as_ref(), &want[i], &format!("{what}, prompt {i}"));
                }
                let run = &weights["runs"][0];
                assert!(run["min_top2_gap"].as_f64().unwrap() > LOGIT_TOLERANCE);
                let want = ids(&run["ids"]);
                let outcome = generate(&mut model, &prompts[0], &options(want.len(), Sampling::greedy()));
                // The reference's list ends with the end token, a run's does not.
                assert_eq!(outcome.stop, StopReason::EndToken, "{what}");
                assert_eq!(outcome.ids, want[..want.len() - 1], "{what}");
            }
        }
    }
}

/// Root of the mean squared error over the root of the mean square of logits, and the mean loss of each next token in nats.
fn compare(rounded: &[Vec<f32>], exact: &[Vec<f32>], text: &[u32]) -> (f64, [f64; 2]) {
    let square = |v: f64| v * v;
    let all = || rounded.iter().flatten().zip(exact.iter().flatten()).map(|(a, b)| (f64::from(*a), f64::from(*b)));
    let error = (all().map(|(a, b)| square(a - b)).sum::<f64>() / all().map(|(_, b)| square(b)).sum::<f64>()).sqrt();
    let loss = |rows: &[Vec<f32>]| {
        let of = |(row, next): (&Vec<f32>, &u32)| {
            let top = f64::from(row.iter().copied().fold(f32::MIN, f32::max));
            top + row.iter().map(|l| (f64::from(*l) - top).exp()).sum::<f64>().ln() - f64::from(row[*next as usize])
        };
        rows.iter().zip(&text[1..]).map(of).sum::<f64>() / (text.len() - 1) as f64
    };
    (error, [loss(rounded), loss(exact)])
}

#[test]
fn rounded_activations_hardly_change_logits_or_what_a_text_costs() {
    let reference = json(&sample().join("reference.json"));
    // The longest story that the exact weights write.
    let story =
        |i: usize| [ids(&reference["prompts"][i]["ids"]), ids(&reference["weights"][0]["runs"][i]["ids"])].concat();
    let stories = (0..reference["prompts"].as_array().unwrap().len()).map(story);
    let text = stories.filter(|s| s.len() <= 256).max_by_key(Vec::len).unwrap();
    for encoding in ["q4_0", "q4_1", "q4_k_m", "q5_0", "q5_1", "q8_0"] {
        let path = sample().join(format!("gguf/sample-{encoding}.gguf"));
        // A row at a time, so that every product is one whose activations are rounded.
        let settings = RunSettings { rows: 1, ..RunSettings::default() };
        let [rounded, exact] = [false, true].map(|exact| {
            let how = GpuOptions { exact, ..GpuOptions::default() };
            let mut quiet = |_| {};
            let loaded = Generation::load(open(&path), DeviceChoice::Cpu, how, &settings, &mut quiet);
            block_on(block_on(loaded).unwrap().prompt_logits(&text)).unwrap()
        });
        let (error, [loss, without]) = compare(&rounded, &exact, &text);
        println!("{encoding}: logits {error:.1e}; loss {loss:.5} of {} tokens, exact {without:.5}", text.len());
        assert!(error > 0.0 && error < 0.02, "{encoding}: {error:e}");
        assert!((loss - without).abs() < 0.01, "{encoding}: {loss} and {without}");
    }
}

#[test]
fn models_of_the_corpus_give_the_references_logits_and_greedy_ids_everywhere() {
    let _turn = turn();
    let Some(corpus) = corpus("reference logits of small llamas") else { return };
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
            let settings = RunSettings { outputs: 64, rows: 64, ..RunSettings::default() };
            let Some(mut model) = load(&folder.join(file), place, &settings) else { continue };
            let (prompt, sequence) = (ids(&about["prompt_ids"]), ids(&about["sequence"]));
            let what = format!("{file}, {}", place.0);
            let rows = block_on(model.prompt_logits(&prompt)).unwrap();
            for (at, (row, want)) in rows.iter().zip(npy(&folder.join(logits))).enumerate() {
                assert_close(Some(row), &want, &format!("{what}, position {at}"));
            }
            let gap = about["min_top2_gap"].as_f64().unwrap();
            if gap < LOGIT_TOLERANCE {
                eprintln!("skipped: greedy text of {what}, because its closest choice is {gap} apart");
                continue;
            }
            let how = options(sequence.len() - prompt.len(), Sampling::greedy());
            assert_eq!(generate(&mut model, &prompt, &how).ids, sequence[prompt.len()..], "{what}");
        }
    }
}

#[test]
fn a_hugging_face_folder_gives_the_same_model() {
    let Some(corpus) = corpus("a sharded Hugging Face folder") else { return };
    let folder = corpus.join("hf-llama2xs");
    let settings = RunSettings { outputs: 64, rows: 64, ..RunSettings::default() };
    let mut model = load(&folder, &PLACES[0], &settings).unwrap();
    let rows = block_on(model.prompt_logits(&ids(&json(&folder.join("reference.json"))["ids"]))).unwrap();
    for (at, (row, want)) in rows.iter().zip(npy(&folder.join("logits_prompt1.npy"))).enumerate() {
        assert_close(Some(row), &want, &format!("position {at}"));
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
        ..Sampling::greedy()
    };
    let most = golden["max_tokens"].as_u64().unwrap() as usize;
    for place in &PLACES {
        let path = sample().join(golden["model"].as_str().unwrap());
        let Some(mut model) = load(&path, place, &RunSettings::default()) else { continue };
        let mut tokens = 0;
        for run in golden["runs"].as_array().unwrap() {
            let prompt = run["prompt"].as_str().unwrap();
            // Chosen on the device, then on the host.
            for alternatives in [false, true] {
                let how = glassbox::session::GenerationOptions { alternatives, ..options(most, sampling.clone()) };
                let outcome = block_on(model.generate(prompt, &how, &mut |_| Box::pin(async { false }))).unwrap();
                assert_eq!(outcome.ids, ids(&run["ids"]), "{prompt:?}, {}, alternatives {alternatives}", place.0);
                tokens += outcome.ids.len();
            }
        }
        assert!(tokens >= 200, "{tokens} tokens");
    }
}

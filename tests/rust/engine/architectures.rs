//! Tiny models of every architecture that runs, against the logits of transformers and of llama.cpp.

use std::path::Path;

use glassbox::session::{EmbedOptions, Embedder, RunSettings, Sampling, passes};

use super::support::{
    PLACES, Place, block_on, corpus, everything, generate, gpu_options, ids, json, load, npy, off_by, on_device, open,
    options, turn,
};

/// Folders of the corpus whose architecture runs, and whether a fair part of the tests on a software GPU has them.
const MODELS: &[(&str, bool)] = &[
    ("bert", true),
    ("bloom", true),
    ("cohere", false),
    ("cohere2", false),
    ("deepseek2", true),
    ("distilbert", false),
    ("embeddinggemma", false),
    ("ernie45", false),
    ("exaone4", false),
    ("falcon", false),
    ("gemma", false),
    ("gemma2", false),
    ("gemma3", true),
    ("gemma3n", true),
    ("gemma4", true),
    ("glm4", false),
    ("gpt2", true),
    ("gptj", false),
    ("gptneox", true),
    ("gptneox-serial", false),
    ("gptoss", true),
    ("granite", false),
    ("granitehybrid", true),
    ("granitemoe", false),
    ("hunyuan", false),
    ("lfm2", true),
    ("llama", true),
    ("llama-biases", false),
    ("llama-linear-rope", false),
    ("llama-llama3-rope", false),
    ("llama-yarn-rope", false),
    ("mamba", true),
    ("mamba2", true),
    ("mistral-window", false),
    ("mixtral", true),
    ("modernbert", false),
    ("mpt", false),
    ("nemotron", false),
    ("nomicbert", false),
    ("olmo2", false),
    ("olmoe", false),
    ("phi2", false),
    ("phi3", false),
    ("phi3-longrope", true),
    ("qwen2", false),
    ("qwen2moe", false),
    ("qwen3", true),
    ("qwen35", true),
    ("qwen3moe", false),
    ("qwen3next", true),
    ("roberta", false),
    ("seedoss", false),
    ("smollm3", false),
    ("stablelm", false),
    ("starcoder2", false),
    ("t5encoder", true),
];

/// Per ten units of range; the README of the references says why GELU in half precision does not matter here.
const TOLERANCE: f64 = 2e-3;

/// The reference's values for one form of a model.
fn reference(folder: &Path, form: &str, name: &str) -> Vec<Vec<f32>> {
    let own = folder.join(format!("gguf-{name}.npy"));
    if form == "model.gguf" && own.exists() { npy(&own) } else { npy(&folder.join(format!("{name}.npy"))) }
}

fn check(folder: &Path, form: &str, place: &Place, disabled: &[&str]) -> Option<f64> {
    let about = json(&folder.join("reference.json"));
    let prompt = ids(&about["prompt_ids"]);
    let what = format!("{} {form}, {}, without {disabled:?}", folder.display(), place.0);
    let settings = RunSettings {
        context: Some(64),
        rows: 32,
        outputs: 32,
        disabled_passes: disabled.iter().map(|p| (*p).to_owned()).collect(),
        ..RunSettings::default()
    };
    let path = folder.join(form);
    if about["kind"] == "encoder" || folder.join("hidden.npy").exists() {
        let (inspection, choice, gpu) = (open(&path), place.1.clone(), gpu_options(place));
        let loaded = block_on(Embedder::load(inspection, choice, gpu, &settings, EmbedOptions::default(), &mut |_| {}));
        let mut model = on_device(loaded, &what, place)?;
        let off = off_by(&block_on(model.hidden(&prompt)).unwrap(), &reference(folder, form, "hidden"));
        assert!(off < TOLERANCE, "{what}: hidden states are off by {off:.1e}");
        return Some(off);
    }
    let mut model = load(&path, place, &settings)?;
    let off = off_by(&block_on(model.prompt_logits(&prompt)).unwrap(), &reference(folder, form, "logits"));
    assert!(off < TOLERANCE, "{what}: logits are off by {off:.1e}");
    let own_runner = form == "model.gguf" && folder.join("gguf-logits.npy").exists();
    let gap = about["min_top2_gap"].as_f64().unwrap();
    if gap > 2.0 * TOLERANCE && !own_runner {
        let want = ids(&about["greedy_ids"]);
        let mut how = options(want.len(), Sampling::greedy());
        how.ignore_end = true;
        assert_eq!(generate(&mut model, &prompt, &how).ids, want, "{what}");
    }
    Some(off)
}

#[test]
fn every_architecture_gives_the_references_logits_and_greedy_ids_on_the_cpu_with_all_passes_and_with_none() {
    let Some(corpus) = corpus("tiny models of every architecture") else { return };
    let none: Vec<&str> = passes().iter().map(|(name, _)| *name).collect();
    for (name, _) in MODELS {
        for form in ["hf", "model.gguf"] {
            let folder = corpus.join("arch").join(name);
            // A few have no GGUF file.
            if !folder.join(form).exists() {
                continue;
            }
            let all = check(&folder, form, &PLACES[0], &[]);
            let plain = check(&folder, form, &PLACES[0], &none);
            eprintln!("{name} {form}: off by {:.1e}, without passes {:.1e}", all.unwrap(), plain.unwrap());
        }
    }
}

#[test]
fn architectures_give_the_references_logits_and_greedy_ids_on_the_gpu_in_both_tiers() {
    let _turn = turn();
    let Some(corpus) = corpus("tiny models of every architecture") else { return };
    let none: Vec<&str> = passes().iter().map(|(name, _)| *name).collect();
    for place in &PLACES[1..] {
        for (name, _) in MODELS.iter().filter(|(_, fair)| *fair || everything()) {
            let folder = corpus.join("arch").join(name);
            let Some(off) = check(&folder, "model.gguf", place, &[]) else { return };
            eprintln!("{name}, {}: off by {off:.1e}", place.0);
            if everything() {
                check(&folder, "hf", place, &[]);
                check(&folder, "model.gguf", place, &none);
            }
        }
    }
}

/// Gemma 3n and 4 with layers that share keys and values, which the corpus has not: `tests/corpus/make/gemma.py`.
#[test]
fn layers_that_share_keys_and_values_give_the_logits_that_numpy_gives_on_every_device() {
    let _turn = turn();
    let none: Vec<&str> = passes().iter().map(|(name, _)| *name).collect();
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus/gemma");
    for place in &PLACES {
        for name in ["gemma3n", "gemma4"] {
            let folder = home.join(name);
            let about = json(&folder.join("reference.json"));
            let want: Vec<Vec<f32>> = about["logits"]
                .as_array()
                .unwrap()
                .iter()
                .map(|row| row.as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect())
                .collect();
            for disabled in [&[][..], &none[..]] {
                let disabled_passes = disabled.iter().map(|p| (*p).to_owned()).collect();
                let settings = RunSettings { outputs: 32, rows: 32, disabled_passes, ..RunSettings::default() };
                let Some(mut model) = load(&folder, place, &settings) else { return };
                let off = off_by(&block_on(model.prompt_logits(&ids(&about["prompt_ids"]))).unwrap(), &want);
                eprintln!("{name} with shared keys, {}, without {disabled:?}: off by {off:.1e}", place.0);
                assert!(off < TOLERANCE / 10.0, "{name}, {}: logits are off by {off:.1e}", place.0);
            }
        }
    }
}

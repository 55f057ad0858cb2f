//! LoRA adapters computed beside the weights, against the model with the change added to its weights by this file's own arithmetic.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use glassbox::session::{Adapter, EmbedOptions, Embedder, Generation, Inspection, RunSettings, passes};
use serde_json::json as object;

use super::support::{
    PLACES, Place, block_on, corpus, everything, gpu_options, ids, json, off_by, on_device, open, turn,
};
use crate::common::writers::{Gguf, Tensor, Value, safetensors};

/// A tensor for a file: name, shape, values.
type Named = (String, (Vec<u64>, Vec<f32>));

/// Per ten units of range. Both sides are ours; f32 sums in another order.
const TOLERANCE: f64 = 2e-4;

/// A tensor as f32: name, shape, values.
type Values = BTreeMap<String, (Vec<u64>, Vec<f32>)>;

/// All tensors of a model, decoded.
fn tensors(inspection: &Inspection) -> Values {
    let all = inspection.model().tensors.iter().enumerate();
    all.map(|(i, t)| {
        let values = block_on(inspection.peek(i, 0..u64::MAX, false, &mut |_| {})).unwrap().values;
        (t.name.clone(), (t.shape.0.clone(), values))
    })
    .collect()
}

/// A safetensors file of f32.
fn written(tensors: &Values) -> Vec<u8> {
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, (shape, values)) in tensors {
        let from = data.len();
        data.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        header.insert(name.clone(), object!({"dtype": "F32", "shape": shape, "data_offsets": [from, data.len()]}));
    }
    safetensors(&serde_json::Value::Object(header).to_string(), &data)
}

/// Numbers from -1 to 1 that are the same every time.
fn drawn(seed: u64, n: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

/// A pair: A `[rank, inputs]` and B `[outputs, rank]`, of a size that changes logits by a lot.
struct Pair {
    rank: u64,
    a: Vec<f32>,
    b: Vec<f32>,
}

impl Pair {
    fn of(seed: u64, [outputs, inputs]: [u64; 2], rank: u64) -> Self {
        let scaled = |seed, n, by: f32| drawn(seed, n).iter().map(|v| v * by).collect();
        Self { rank, a: scaled(2 * seed, rank * inputs, 0.5), b: scaled(2 * seed + 1, outputs * rank, 0.5) }
    }
    /// `scale * B A`, `[outputs, inputs]`.
    fn product(&self, scale: f64) -> Vec<f32> {
        let (rank, inputs) = (self.rank as usize, self.a.len() / self.rank as usize);
        let rows = self.b.chunks_exact(rank);
        rows.flat_map(|b| {
            (0..inputs).map(move |j| {
                let sum: f64 = (0..rank).map(|k| f64::from(b[k]) * f64::from(self.a[k * inputs + j])).sum();
                (scale * sum) as f32
            })
        })
        .collect()
    }
}

/// What a case changes of a model of the corpus.
struct Case {
    model: &'static str,
    /// Modules whose names end so.
    modules: &'static [&'static str],
    rank: u64,
    /// adapter_config.json beside the type.
    config: serde_json::Value,
    /// Alpha over the rank, or its root, as that says.
    scale: f64,
    /// GPT-2 keeps its matrices turned.
    turned: bool,
    on_gpu: bool,
}

fn cases() -> Vec<Case> {
    let llama: &[&str] = &["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "lm_head"];
    let case = |model, modules, rank, config, scale| Case {
        model,
        modules,
        rank,
        config,
        scale,
        turned: false,
        on_gpu: false,
    };
    vec![
        Case { on_gpu: true, ..case("llama", llama, 4, object!({"r": 4, "lora_alpha": 8}), 2.0) },
        // A rank that no kernel likes, and only queries and values, as most adapters have it.
        Case {
            on_gpu: true,
            ..case("qwen3", &["q_proj", "v_proj"], 3, object!({"lora_alpha": 6, "use_rslora": true}), 6.0 / 3f64.sqrt())
        },
        // Fused tensors, whose parts are maps of their own.
        case("phi3", &["qkv_proj", "gate_up_proj", "o_proj"], 8, object!({"lora_alpha": 4}), 0.5),
        Case {
            turned: true,
            ..case("gpt2", &["c_attn", "c_proj", "c_fc"], 2, object!({"lora_alpha": 2, "fan_in_fan_out": true}), 1.0)
        },
        case("bloom", &["query_key_value", "dense_h_to_4h"], 4, object!({"lora_alpha": 4}), 1.0),
        case("bert", &["query", "value", "output.dense"], 4, object!({"lora_alpha": 4}), 1.0),
        // Experts, and the router.
        Case {
            on_gpu: true,
            ..case("mixtral", &["w1", "w2", "w3", "gate", "q_proj"], 4, object!({"lora_alpha": 4}), 1.0)
        },
        // An alpha of their own for some modules.
        case("gemma3", &["o_proj"], 4, object!({"lora_alpha": 1, "alpha_pattern": {"self_attn.o_proj": 12}}), 3.0),
        case("mamba", &["in_proj", "out_proj"], 4, object!({"lora_alpha": 4}), 1.0),
    ]
}

struct Made {
    /// The model with the change in its weights.
    merged: tempfile::TempDir,
    /// PEFT's files.
    adapter: tempfile::TempDir,
    pairs: BTreeMap<String, Pair>,
}

/// Merges pairs into a copy of a model's folder, and writes them as an adapter.
fn made(case: &Case, base: &Path) -> Made {
    let mut weights = tensors(&open(base));
    let (mut adapter, mut pairs) = (Values::new(), BTreeMap::new());
    let names: Vec<String> = weights.keys().cloned().collect();
    for (seed, name) in names.iter().enumerate() {
        let Some(stem) = name.strip_suffix(".weight") else { continue };
        let ends = |module: &&str| stem == *module || stem.ends_with(&format!(".{module}"));
        if !case.modules.iter().any(ends) {
            continue;
        }
        let (shape, values) = weights.get_mut(name).unwrap();
        let &[rows, columns] = shape.as_slice() else { panic!("{name} is no matrix") };
        let [outputs, inputs] = if case.turned { [columns, rows] } else { [rows, columns] };
        let pair = Pair::of(seed as u64 + 1, [outputs, inputs], case.rank);
        let change = pair.product(case.scale);
        for (i, value) in values.iter_mut().enumerate() {
            let (row, column) = (i / columns as usize, i % columns as usize);
            *value += if case.turned { change[column * inputs as usize + row] } else { change[i] };
        }
        let prefix = format!("base_model.model.{stem}");
        adapter.insert(format!("{prefix}.lora_A.weight"), (vec![case.rank, inputs], pair.a.clone()));
        adapter.insert(format!("{prefix}.lora_B.weight"), (vec![outputs, case.rank], pair.b.clone()));
        pairs.insert(stem.to_owned(), pair);
    }
    assert!(!pairs.is_empty(), "{}: no module is named {:?}", case.model, case.modules);
    let merged = copy(base, &weights);
    Made { merged, adapter: peft(&case.config, &adapter), pairs }
}

/// A folder with a model's files and other weights.
fn copy(base: &Path, weights: &Values) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(base)
        .unwrap()
        .map(|f| f.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "json"))
    {
        std::fs::copy(&file, folder.path().join(file.file_name().unwrap())).unwrap();
    }
    std::fs::write(folder.path().join("model.safetensors"), written(weights)).unwrap();
    folder
}

/// An adapter as PEFT saves it.
fn peft(config: &serde_json::Value, tensors: &Values) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config.clone();
    config["peft_type"] = "LORA".into();
    std::fs::write(folder.path().join("adapter_config.json"), config.to_string()).unwrap();
    std::fs::write(folder.path().join("adapter_model.safetensors"), written(tensors)).unwrap();
    folder
}

/// Logits, or hidden states, of a prompt.
fn results(model: &Path, adapters: &[(&Path, f32)], place: &Place, disabled: &[&str]) -> Option<Vec<Vec<f32>>> {
    let adapters = adapters.iter().map(|(path, scale)| Adapter::new(open(path), *scale).unwrap()).collect();
    let settings = RunSettings {
        adapters,
        context: Some(64),
        rows: 16,
        outputs: 16,
        disabled_passes: disabled.iter().map(|p| (*p).to_owned()).collect(),
        ..RunSettings::default()
    };
    let prompt: Vec<u32> = (0..11).map(|i| (i * 37 + 5) % 380).collect();
    let (inspection, gpu) = (open(model), gpu_options(place));
    let what = model.display().to_string();
    if inspection.support().unwrap().generates {
        let loaded = block_on(Generation::load(inspection, place.1.clone(), gpu, &settings, &mut |_| {}));
        return Some(block_on(on_device(loaded, &what, place)?.prompt_logits(&prompt)).unwrap());
    }
    let options = EmbedOptions::default();
    let loaded = block_on(Embedder::load(inspection, place.1.clone(), gpu, &settings, options, &mut |_| {}));
    Some(block_on(on_device(loaded, &what, place)?.hidden(&prompt)).unwrap())
}

#[test]
fn an_adapter_beside_the_weights_gives_what_the_merged_model_gives_in_every_architecture_and_on_every_device() {
    let _turn = turn();
    let Some(corpus) = corpus("tiny models of every architecture") else { return };
    let none: Vec<&str> = passes().iter().map(|(name, _)| *name).collect();
    for case in cases() {
        let base = corpus.join("arch").join(case.model).join("hf");
        let made = made(&case, &base);
        for place in PLACES.iter().filter(|p| p.2.is_none() || case.on_gpu && p.2 == Some("core") || everything()) {
            let Some(want) = results(made.merged.path(), &[], place, &[]) else { continue };
            let plain = results(&base, &[], place, &[]).unwrap();
            assert!(off_by(&plain, &want) > 50.0 * TOLERANCE, "{}: the change shows", case.model);
            for disabled in [&[][..], &none[..]] {
                let got = results(&base, &[(made.adapter.path(), 1.0)], place, disabled).unwrap();
                let off = off_by(&got, &want);
                eprintln!("{}, {}: off by {off:.1e}", case.model, place.0);
                assert!(off < TOLERANCE, "{}, {}, without {disabled:?}: off by {off:.1e}", case.model, place.0);
            }
            // Half of it twice is the whole; nothing of it is the model.
            let half = (made.adapter.path(), 0.5);
            let off = off_by(&results(&base, &[half, half], place, &[]).unwrap(), &want);
            assert!(off < TOLERANCE, "{}, {}: two halves are off by {off:.1e}", case.model, place.0);
            let off = off_by(&results(&base, &[(made.adapter.path(), 0.0)], place, &[]).unwrap(), &plain);
            assert!(off < TOLERANCE, "{}, {}: nothing of it is off by {off:.1e}", case.model, place.0);
        }
    }
}

/// The names that llama.cpp's converter gives to a llama's modules.
fn gguf_name(stem: &str) -> String {
    let stem = stem.strip_prefix("model.").unwrap_or(stem);
    let parts: Vec<&str> = stem.split('.').collect();
    let [_, layer, _, module] = parts.as_slice() else { return "output".into() };
    let module = match *module {
        "q_proj" => "attn_q",
        "k_proj" => "attn_k",
        "v_proj" => "attn_v",
        "o_proj" => "attn_output",
        "gate_proj" => "ffn_gate",
        "up_proj" => "ffn_up",
        "down_proj" => "ffn_down",
        other => panic!("{other}"),
    };
    format!("blk.{layer}.{module}")
}

/// Rows of heads of `dim` as a converter of llama's queries and keys turns them: halves become turns.
fn by_turns(b: &[f32], rank: usize, dim: usize) -> Vec<f32> {
    let rows: Vec<&[f32]> = b.chunks_exact(rank).collect();
    (0..rows.len()).flat_map(|i| rows[i / dim * dim + i % 2 * (dim / 2) + i % dim / 2].to_vec()).collect()
}

fn gguf_adapter(made: &Made, dim: usize, alpha: f32) -> tempfile::TempDir {
    let mut file = Gguf { entries: Vec::new(), tensors: Vec::new(), ..Gguf::small() };
    file.set("general.type", Value::text("adapter"));
    file.set("general.architecture", Value::text("llama"));
    file.set("adapter.type", Value::text("lora"));
    file.set("adapter.lora.alpha", Value(6, alpha.to_le_bytes().to_vec()));
    for (stem, pair) in &made.pairs {
        let name = gguf_name(stem);
        let turns = name.ends_with("attn_q") || name.ends_with("attn_k");
        let b = if turns { by_turns(&pair.b, pair.rank as usize, dim) } else { pair.b.clone() };
        let mut add = |part: &str, dims: [u64; 2], values: &[f32]| {
            let data = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            file.tensors.push(Tensor {
                name: format!("{name}.weight.{part}"),
                dims: dims.to_vec(),
                kind: 0,
                offset: None,
                data,
            });
        };
        add("lora_a", [pair.a.len() as u64 / pair.rank, pair.rank], &pair.a);
        add("lora_b", [pair.rank, b.len() as u64 / pair.rank], &b);
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("adapter.gguf"), file.bytes()).unwrap();
    folder
}

#[test]
fn adapters_of_folders_and_of_gguf_files_change_models_of_both_forms_alike() {
    let _turn = turn();
    let Some(corpus) = corpus("a tiny llama in both forms") else { return };
    let home = corpus.join("arch/llama");
    let case = &cases()[0];
    let made = made(case, &home.join("hf"));
    let config = json(&home.join("hf/config.json"));
    let heads = config["num_attention_heads"].as_u64().unwrap();
    let dim = config["head_dim"].as_u64().unwrap_or(config["hidden_size"].as_u64().unwrap() / heads) as usize;
    let gguf = gguf_adapter(&made, dim, (case.scale * case.rank as f64) as f32);
    let file = gguf.path().join("adapter.gguf");
    let want = results(made.merged.path(), &[], &PLACES[0], &[]).unwrap();
    for (model, adapter) in [
        (home.join("model.gguf"), file.as_path()),
        (home.join("model.gguf"), made.adapter.path()),
        (home.join("hf"), file.as_path()),
    ] {
        let off = off_by(&results(&model, &[(adapter, 1.0)], &PLACES[0], &[]).unwrap(), &want);
        eprintln!("{} with {}: off by {off:.1e}", model.display(), adapter.display());
        assert!(off < TOLERANCE * 10.0, "{} with {}: off by {off:.1e}", model.display(), adapter.display());
    }
}

#[test]
fn an_adapter_of_single_experts_changes_experts_that_lie_in_one_tensor() {
    let _turn = turn();
    let Some(corpus) = corpus("a tiny mixtral in both forms") else { return };
    let home = corpus.join("arch/mixtral");
    let experts: &[&str] = &["w1", "w2", "w3"];
    let case = Case { modules: experts, ..cases().into_iter().find(|c| c.model == "mixtral").unwrap() };
    let made = made(&case, &home.join("hf"));
    let want = results(made.merged.path(), &[], &PLACES[0], &[]).unwrap();
    let off =
        off_by(&results(&home.join("model.gguf"), &[(made.adapter.path(), 1.0)], &PLACES[0], &[]).unwrap(), &want);
    assert!(off < TOLERANCE * 10.0, "off by {off:.1e}");
    // One expert left out is no adapter of the layer.
    let mut left = tensors(&open(made.adapter.path()));
    left.retain(|name, _| !name.contains("experts.1.w1"));
    let part = peft(&case.config, &left);
    assert!(refusal(&home.join("hf"), part.path()).contains("4 experts of which it leaves out 1"));
}

#[test]
fn a_changed_embedding_is_looked_up_and_whole_tensors_take_the_models_place() {
    let _turn = turn();
    let Some(corpus) = corpus("a tiny llama") else { return };
    let base = corpus.join("arch/llama/hf");
    let mut weights = tensors(&open(&base));
    let (shape, values) = weights.get_mut("model.embed_tokens.weight").unwrap();
    let [vocab, width] = [shape[0], shape[1]];
    let pair = Pair::of(7, [width, vocab], 4);
    // PEFT: the table changes by the transpose of B A.
    let change = pair.product(0.5);
    for (i, value) in values.iter_mut().enumerate() {
        *value += change[i % width as usize * vocab as usize + i / width as usize];
    }
    let norm: Vec<f32> = drawn(3, width).iter().map(|v| 1.0 + v / 2.0).collect();
    weights.insert("model.norm.weight".into(), (vec![width], norm.clone()));
    let head: Vec<f32> = drawn(4, vocab * width).iter().map(|v| v / 4.0).collect();
    weights.insert("lm_head.weight".into(), (vec![vocab, width], head.clone()));
    let merged = copy(&base, &weights);
    let prefix = "base_model.model.model";
    let adapter = Values::from([
        (format!("{prefix}.embed_tokens.lora_embedding_A"), (vec![4, vocab], pair.a.clone())),
        (format!("{prefix}.embed_tokens.lora_embedding_B"), (vec![width, 4], pair.b.clone())),
        (format!("{prefix}.norm.weight"), (vec![width], norm)),
        ("base_model.model.lm_head.weight".to_owned(), (vec![vocab, width], head)),
    ]);
    let adapter = peft(&object!({"lora_alpha": 2}), &adapter);
    for place in PLACES.iter().filter(|p| p.2 != Some("subgroup") || everything()) {
        let Some(want) = results(merged.path(), &[], place, &[]) else { continue };
        let off = off_by(&results(&base, &[(adapter.path(), 1.0)], place, &[]).unwrap(), &want);
        assert!(off < TOLERANCE, "{}: off by {off:.1e}", place.0);
    }
}

/// Why a model does not take an adapter.
fn refusal(model: &Path, adapter: &Path) -> String {
    let adapters = vec![Adapter::new(open(adapter), 1.0).unwrap()];
    let settings = RunSettings { adapters, ..RunSettings::default() };
    let (inspection, gpu) = (open(model), gpu_options(&PLACES[0]));
    block_on(Generation::load(inspection, PLACES[0].1.clone(), gpu, &settings, &mut |_| {}))
        .err()
        .expect("the adapter is refused")
        .to_string()
}

#[test]
fn adapters_that_do_not_fit_are_refused_with_names_and_shapes() {
    let Some(corpus) = corpus("tiny models") else { return };
    let llama = corpus.join("arch/llama/hf");
    let at = |name: &str, shape: [u64; 2]| -> (String, (Vec<u64>, Vec<f32>)) {
        (format!("base_model.model.{name}"), (shape.to_vec(), vec![0.5; (shape[0] * shape[1]) as usize]))
    };
    let module = "model.layers.0.self_attn.q_proj";
    let [a, b] = [format!("{module}.lora_A.weight"), format!("{module}.lora_B.weight")];
    let good = [at(&a, [4, 64]), at(&b, [64, 4])];
    let plain = object!({"lora_alpha": 4});
    let fault = |config: &serde_json::Value, tensors: &[Named]| {
        refusal(&llama, peft(config, &tensors.iter().cloned().collect()).path())
    };
    for (tensors, words) in [
        (
            vec![at(&a, [4, 32]), good[1].clone()],
            &["A 4 x 32 and B 64 x 4 do not fit", "model.layers.0.self_attn.q_proj.weight"][..],
        ),
        (vec![good[0].clone(), at(&b, [64, 8])], &["do not fit", "64 x 64"]),
        (vec![good[0].clone()], &["has no B"]),
        (
            vec![
                at("model.layers.9.self_attn.q_proj.lora_A.weight", [4, 64]),
                at("model.layers.9.self_attn.q_proj.lora_B.weight", [64, 4]),
            ],
            &["model.layers.9.self_attn.q_proj is no weight of the model", "3 layers"],
        ),
        (
            vec![
                at("model.layers.0.self_attn.c_attn.lora_A.weight", [4, 64]),
                at("model.layers.0.self_attn.c_attn.lora_B.weight", [64, 4]),
            ],
            &["c_attn is no weight of the model"],
        ),
        (
            vec![at("model.norm.weight", [1, 4]), good[0].clone(), good[1].clone()],
            &["takes the place of model.norm.weight", "shape 64 expected"],
        ),
        (vec![at("model.norm.weight", [1, 64])], &["takes the place of model.norm.weight"]),
    ] {
        let found = fault(&plain, &tensors);
        for word in words {
            assert!(found.contains(word), "{word:?} in {found}");
        }
    }
    for (config, word) in [
        (object!({"use_dora": true}), "DoRA"),
        (object!({"init_lora_weights": "pissa_niter_4"}), "pissa"),
        (object!({"alpha_pattern": {".*q_proj": 3}}), "only names of modules"),
    ] {
        assert!(fault(&config, &good).contains(word), "{word}");
    }
    // An adapter of another type, of another architecture, and no adapter at all.
    let other = peft(&plain, &good.iter().cloned().collect());
    std::fs::write(other.path().join("adapter_config.json"), object!({"peft_type": "IA3"}).to_string()).unwrap();
    assert!(refusal(&llama, other.path()).contains("IA3"));
    assert!(refusal(&corpus.join("arch/gpt2/model.gguf"), &gguf_of("llama").1).contains("made for llama"));
    assert!(refusal(&llama, &corpus.join("arch/llama/model.gguf")).contains("no LoRA adapter"));
    assert!(refusal(&llama, &llama).contains("adapter_config.json"));
    // One that was really trained, for a GPT-2 of another width.
    let trained = refusal(&corpus.join("arch/gpt2/hf"), &corpus.join("safetensors/lora-gpt2"));
    assert!(trained.contains("A 8 x 768 and B 2304 x 8 do not fit") && trained.contains("c_attn"), "{trained}");
}

fn gguf_of(architecture: &str) -> (tempfile::TempDir, PathBuf) {
    let mut file = Gguf { entries: Vec::new(), tensors: Vec::new(), ..Gguf::small() };
    for (key, value) in [("general.type", "adapter"), ("general.architecture", architecture), ("adapter.type", "lora")]
    {
        file.set(key, Value::text(value));
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("adapter.gguf");
    std::fs::write(&path, file.bytes()).unwrap();
    (folder, path)
}

#[test]
fn an_adapter_says_what_it_changes() {
    let Some(corpus) = corpus("a tiny llama") else { return };
    let base = corpus.join("arch/llama/hf");
    let made = made(&cases()[0], &base);
    let adapters = vec![Adapter::new(open(made.adapter.path()), 0.5).unwrap()];
    let settings = RunSettings { adapters, ..RunSettings::default() };
    let (inspection, gpu) = (open(&base), gpu_options(&PLACES[0]));
    let loaded = block_on(Generation::load(inspection, PLACES[0].1.clone(), gpu, &settings, &mut |_| {}));
    let mut model = loaded.unwrap();
    let prompt = ids(&json(&corpus.join("arch/llama/reference.json"))["prompt_ids"]);
    let how = super::support::options(2, glassbox::session::Sampling::greedy());
    let notes = super::support::generate(&mut model, &prompt, &how).notes;
    let count = made.pairs.len();
    assert!(notes.iter().any(|n| n.contains(&format!("changes {count} weights, times 0.5"))), "{notes:?}");
}

//! Architectures: models of each family, built from a folder and from a GGUF file, give the logits (of encoders the hidden
//! states) that their own library computed; damage is told with names and shapes before a byte of weights is read.

use crate::common::{files, writers};
use std::{
    cell::RefCell,
    collections::BTreeMap,
    path::{Path, PathBuf},
    rc::Rc,
};

use files::{block_on, corpus, on_disk, open};
use glassbox::{
    arch::{self, Built},
    fault::{Fault, Result},
    ir::{
        Graph, Stored, WeightId,
        eval::{Data, Environment, States, Step, evaluate},
    },
    model::{ModelFile, Place, Severity},
    session::Inspection,
    source::SourceSet,
};
use writers::{Gguf, Tensor, Value};

/// The largest difference from the reference, for each 10 units of the reference's range.
const TOLERANCE: f64 = 2e-3;

/// Families whose forward pass is written.
const RUN: &[&str] = &[
    "llama",
    "llama-biases",
    "llama-linear-rope",
    "llama-llama3-rope",
    "llama-yarn-rope",
    "mistral-window",
    "qwen2",
    "qwen3",
    "gemma3",
    "phi3",
    "phi3-longrope",
    "gpt2",
    "gptneox",
    "gptneox-serial",
    "bert",
    "roberta",
    "distilbert",
    "gemma",
    "gemma2",
    "seedoss",
    "ernie45",
    "hunyuan",
    "granite",
    "smollm3",
    "olmo2",
    "glm4",
    "exaone4",
    "cohere",
    "cohere2",
    "nemotron",
    "starcoder2",
    "phi2",
    "stablelm",
    "falcon",
    "gptj",
    "embeddinggemma",
    "modernbert",
    "nomicbert",
    "mixtral",
    "qwen2moe",
    "qwen3moe",
    "olmoe",
    "granitemoe",
    "gptoss",
    "deepseek2",
    "bloom",
    "mpt",
    "t5encoder",
    "gemma3n",
    "gemma4",
    "mamba",
    "mamba2",
    "lfm2",
    "granitehybrid",
    "qwen35",
    "qwen3next",
];

fn arch_corpus() -> Option<PathBuf> {
    let folder = corpus()?.join("arch");
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: needs arch/ of the corpus because it runs models of many architectures");
    None
}

/// A model on disk: its description and its bytes.
struct Opened {
    model: ModelFile,
    files: SourceSet,
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

fn folder(path: &Path) -> Opened {
    let mut names: Vec<String> = std::fs::read_dir(path)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.is_file())
        .map(|p| name_of(&p))
        .collect();
    // Weights come first, as a person would open them.
    names.sort_by_key(|n| (!n.ends_with(".safetensors"), n.clone()));
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let files = on_disk(path, &names);
    Opened { model: open(&files).unwrap_or_else(|f| panic!("{}: {f}", path.display())), files }
}

fn gguf(path: &Path) -> Opened {
    let files = on_disk(path, &["model.gguf"]);
    Opened { model: open(&files).unwrap_or_else(|f| panic!("{}: {f}", path.display())), files }
}

/// The forms that a model is there in: a few have no GGUF file.
fn forms(home: &Path) -> Vec<(&'static str, Opened)> {
    let mut forms = vec![("hf", folder(&home.join("hf")))];
    if home.join("model.gguf").is_file() {
        forms.push(("gguf", gguf(home)));
    }
    forms
}

impl Opened {
    /// All values of a tensor, in the order of the file.
    fn tensor(&self, index: usize) -> Rc<[f32]> {
        let tensor = &self.model.tensors[index];
        let Place::Here { file, at } = &tensor.place else { panic!("{} is not here", tensor.name) };
        let source = self.files.find(&self.model.files[*file].name).expect("the file is open");
        let bytes = block_on(source.read(at.clone())).expect("reads");
        let mut values = vec![0.0; tensor.shape.elements().expect("counts") as usize];
        tensor.encoding.spec().and_then(|s| s.decode).expect("decodes")(&bytes, &mut values);
        values.into()
    }
    /// The values of a weight: rows of tensors, as its sources say.
    fn weight(&self, graph: &Graph, id: WeightId) -> Rc<[f32]> {
        let weight = &graph.weights[id.0 as usize];
        let matrix = weight.fact.shape.len() == 2;
        let mut out = Vec::new();
        for source in &weight.sources {
            let (values, shape) = (self.tensor(source.tensor), &self.model.tensors[source.tensor].shape);
            let (rows, columns) = (shape.rows().expect("counts") as usize, shape.row_len() as usize);
            // Of a vector each value is a row.
            let row = |i: usize| -> Vec<f32> {
                match (matrix, source.stored) {
                    (false, Stored::ByOutput) => vec![values[i] + source.plus],
                    (false, _) => panic!("a vector is not turned"),
                    (true, Stored::ByOutput) => values[i * columns..(i + 1) * columns].to_vec(),
                    (true, Stored::ByInput) => (0..rows).map(|r| values[r * columns + i]).collect(),
                    (true, Stored::Stacked(s)) => {
                        let (outputs, first) = (s.outputs as usize, i / s.outputs as usize * s.pitch as usize);
                        let first = first + s.first as usize;
                        (0..s.inputs as usize).map(|r| values[(first + r) * outputs + i % outputs]).collect()
                    }
                    (_, Stored::Mxfp4 { .. } | Stored::Packed) => panic!("no model here keeps values and scales apart"),
                }
            };
            for run in 0..source.runs {
                let first = source.first + run * source.step;
                out.extend((first..first + source.run).flat_map(|i| row(i as usize)));
            }
        }
        out.into()
    }
    /// The graph's one result for a whole prompt, a row for each position, computed in steps of these lengths.
    fn results(&self, built: &Built, prompt: &[i32], steps: &[usize]) -> Vec<f32> {
        let known: RefCell<BTreeMap<u32, Rc<[f32]>>> = RefCell::default();
        let weight = |id: WeightId| -> Result<Rc<[f32]>> {
            Ok(Rc::clone(known.borrow_mut().entry(id.0).or_insert_with(|| self.weight(&built.graph, id))))
        };
        let tensor = |index: usize| Some(self.tensor(index));
        let environment = Environment { weight: &weight, tensor: &tensor };
        let (mut states, mut out, mut at) = (States::default(), Vec::new(), 0);
        for len in steps {
            let positions: Vec<i32> = (at..at + len).map(|p| p as i32).collect();
            let outputs: Vec<i32> = (0..*len).map(|p| p as i32).collect();
            let tokens = &prompt[at..at + len];
            let step =
                Step { tokens, positions: &positions, sequences: &vec![0; *len], outputs: &outputs, ..Step::default() };
            let results = evaluate(&built.graph, &environment, &mut states, &step).unwrap_or_else(|f| panic!("{f}"));
            let [(_, array)] = results.as_slice() else { panic!("one result expected") };
            let Data::F32(values) = &array.data else { panic!("floating-point values expected") };
            out.extend_from_slice(values);
            at += len;
        }
        out
    }
}

/// The values of a `.npy` file of f32.
fn npy(path: &Path) -> Vec<f32> {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let header = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let text = std::str::from_utf8(&bytes[10..header]).unwrap();
    assert!(text.contains("'<f4'") && text.contains("'fortran_order': False"), "{text}");
    bytes[header..].chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

fn prompt(folder: &Path) -> Vec<i32> {
    let text = std::fs::read_to_string(folder.join("reference.json")).expect("reads");
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    json["prompt_ids"].as_array().expect("a list").iter().map(|n| n.as_i64().expect("an id") as i32).collect()
}

/// The largest difference for each 10 units of range.
fn difference(got: &[f32], want: &[f32], name: &str) -> f64 {
    assert_eq!(got.len(), want.len(), "{name}");
    let (low, high) = want.iter().fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(f64::from(*v)), h.max(f64::from(*v))));
    let off = got.iter().zip(want).map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max);
    assert!(off.is_finite() && got.iter().all(|v| v.is_finite()), "{name}: a value that is no number");
    off / (high - low) * 10.0
}

#[test]
fn every_family_gives_the_values_of_its_own_library_from_a_folder_and_from_gguf() {
    let Some(corpus) = arch_corpus() else { return };
    let mut wrong = Vec::new();
    for name in RUN {
        let home = corpus.join(name);
        let prompt = prompt(&home);
        let file = |names: &[&str]| names.iter().map(|n| home.join(n)).find(|p| p.exists()).expect("a reference");
        for (form, opened) in forms(&home) {
            let want = match form {
                "hf" => npy(&file(&["logits.npy", "hidden.npy"])),
                _ => npy(&file(&["gguf-logits.npy", "logits.npy", "hidden.npy"])),
            };
            let built = match arch::build(&opened.model) {
                Ok(built) => built,
                Err(fault) => {
                    wrong.push(format!("{name}/{form}: {fault}"));
                    continue;
                }
            };
            assert_eq!(built.notes, Vec::<String>::new(), "{name}/{form}");
            let off = difference(&opened.results(&built, &prompt, &[prompt.len()]), &want, name);
            eprintln!("{name}/{form}: {off:.2e} per 10 units of range");
            if off > TOLERANCE {
                wrong.push(format!("{name}/{form}: off by {off:.2e}, {TOLERANCE:.0e} at most"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_prompt_in_pieces_gives_what_it_gives_at_once() {
    let Some(corpus) = arch_corpus() else { return };
    for name in ["llama", "gemma3", "gpt2", "mistral-window", "mamba", "mamba2", "lfm2", "qwen35"] {
        let opened = folder(&corpus.join(name).join("hf"));
        let built = arch::build(&opened.model).expect("builds");
        let prompt = prompt(&corpus.join(name));
        let at_once = opened.results(&built, &prompt, &[24]);
        let off = difference(&opened.results(&built, &prompt, &[7, 1, 12, 1, 3]), &at_once, name);
        assert!(off < 1e-5, "{name}: {off}");
    }
}

#[test]
fn models_of_all_architectures_raise_no_alarm() {
    let Some(corpus) = arch_corpus() else { return };
    let mut checked = 0;
    let mut alarms = Vec::new();
    for entry in std::fs::read_dir(&corpus).unwrap() {
        let home = entry.unwrap().path();
        let models = [("hf", home.join("hf").is_dir()), ("gguf", home.join("model.gguf").is_file())];
        for (form, _) in models.iter().filter(|(_, there)| *there) {
            let opened = if *form == "hf" { folder(&home.join("hf")) } else { gguf(&home) };
            let name = format!("{}/{form}", name_of(&home));
            let support = arch::support(&opened.model);
            assert!(support.known, "{name}: the table has no such architecture: {:?}", support.architecture);
            assert_eq!(support.unknown_tensors, Vec::<String>::new(), "{name}");
            let inspection = block_on(Inspection::open(opened.files)).expect("opens");
            let notes = block_on(inspection.examine_without_tokenizer()).expect("gathers").notes;
            let loud = notes.iter().filter(|n| n.severity > Severity::Info);
            alarms.extend(loud.map(|n| format!("{name}: {n:?}")));
            checked += 1;
        }
    }
    assert!(alarms.is_empty(), "{alarms:#?}");
    assert!(checked >= 109, "{checked} models");
}

#[test]
fn every_architecture_of_the_corpus_runs_or_says_what_it_needs() {
    let Some(corpus) = arch_corpus() else { return };
    for entry in std::fs::read_dir(&corpus).unwrap() {
        let home = entry.unwrap().path();
        if !home.join("hf").is_dir() {
            continue;
        }
        let name = name_of(&home);
        let support = arch::support(&folder(&home.join("hf")).model);
        match support.fault {
            None => assert!(RUN.contains(&name.as_str()), "{name} runs: the test above does not know it"),
            Some(fault) => {
                assert!(!RUN.contains(&name.as_str()), "{name}: {fault}");
                assert!(fault.what.contains("cannot be run yet"), "{name}: {fault}");
            }
        }
    }
}

/// A llama of one layer: width 32, two heads, one key head, feed-forward 64, four tokens.
fn llama() -> Gguf {
    let mut file = Gguf::small();
    file.entries.clear();
    file.tensors.clear();
    file.set("general.architecture", Value::text("llama"));
    for (key, n) in [
        ("block_count", 1),
        ("context_length", 64),
        ("embedding_length", 32),
        ("feed_forward_length", 64),
        ("attention.head_count", 2),
        ("attention.head_count_kv", 1),
        ("vocab_size", 4),
    ] {
        file.set(&format!("llama.{key}"), Value::u32(n));
    }
    file.set("llama.attention.layer_norm_rms_epsilon", Value(6, 1e-5f32.to_le_bytes().to_vec()));
    for (name, dims) in [
        ("token_embd", &[32, 4][..]),
        ("output_norm", &[32]),
        ("blk.0.attn_norm", &[32]),
        ("blk.0.attn_q", &[32, 32]),
        ("blk.0.attn_k", &[32, 16]),
        ("blk.0.attn_v", &[32, 16]),
        ("blk.0.attn_output", &[32, 32]),
        ("blk.0.ffn_norm", &[32]),
        ("blk.0.ffn_gate", &[32, 64]),
        ("blk.0.ffn_up", &[32, 64]),
        ("blk.0.ffn_down", &[64, 32]),
    ] {
        let data = vec![0; dims.iter().product::<u64>() as usize * 4];
        let name = format!("{name}.weight");
        file.tensors.push(Tensor { name, dims: dims.to_vec(), kind: 0, offset: None, data });
    }
    file
}

fn fault(harm: impl Fn(&mut Gguf)) -> Fault {
    let mut file = llama();
    harm(&mut file);
    let model = files::open_bytes("x.gguf", &file.bytes()).expect("opens");
    arch::build(&model).map(|_| ()).expect_err("a fault is expected")
}

fn set(file: &mut Gguf, key: &str, value: Value) {
    let key = format!("llama.{key}");
    match file.entries.iter_mut().find(|(k, _)| k == key.as_bytes()) {
        Some(entry) => entry.1 = value,
        None => file.set(&key, value),
    }
}

fn drop_key(file: &mut Gguf, key: &str) {
    let key = format!("llama.{key}");
    file.entries.retain(|(k, _)| k != key.as_bytes());
}

#[test]
fn what_a_model_lacks_is_told_with_names_and_shapes() {
    let whole = files::open_bytes("x.gguf", &llama().bytes()).expect("opens");
    assert_eq!(arch::build(&whole).expect("builds").graph.states.len(), 2);
    type Harm = fn(&mut Gguf);
    let harms: &[(Harm, &str)] = &[
        (|f| drop_key(f, "block_count"), "the metadata has no llama.block_count"),
        (|f| drop_key(f, "attention.layer_norm_rms_epsilon"), "no llama.attention.layer_norm_rms_epsilon"),
        (
            |f| set(f, "embedding_length", Value::u32(0)),
            "llama.embedding_length: a whole number above zero expected, 0 found",
        ),
        (|f| set(f, "embedding_length", Value::text("32")), "from 0 to 2147483647 expected, \"32\" found"),
        (|f| set(f, "block_count", Value::u32(5000)), "at most 4096 layers expected, 5000 found"),
        (|f| set(f, "attention.head_count_kv", Value::u32(3)), "2 query heads cannot share 3 key heads evenly"),
        (|f| set(f, "attention.key_length", Value::u32(1 << 30)), "are beyond what is run"),
        (|f| set(f, "rope.dimension_count", Value::u32(5)), "5 rotated values in heads of 16"),
        (|f| set(f, "rope.scaling.type", Value::text("spiral")), "rotary scaling \"spiral\" cannot be run yet"),
        (|f| set(f, "rope.scaling.type", Value::text("linear")), "the metadata has no llama.rope.scaling.factor"),
        (|f| set(f, "expert_count", Value::u32(8)), "the metadata has no llama.expert_used_count"),
        (
            |f| set(f, "feed_forward_length", Value::u32(63)),
            "tensor blk.0.ffn_gate.weight: shape 63 x 32 expected from the metadata, 64 x 32 found",
        ),
        (|f| f.tensors.retain(|t| t.name != "blk.0.ffn_up.weight"), "tensor blk.0.ffn_up.weight is missing"),
        (
            |f| f.set("general.architecture", Value::text("made-up")),
            "architecture \"made-up\" cannot be run yet (known: llama",
        ),
        (|f| f.set("general.architecture", Value::text("mamba")), "the metadata has no mamba.embedding_length"),
    ];
    for (harm, words) in harms {
        let harm = |f: &mut Gguf| {
            harm(f);
            // A key that is set again counts by its last value.
            let mut seen = std::collections::BTreeSet::new();
            let mut entries: Vec<_> = std::mem::take(&mut f.entries);
            entries.reverse();
            entries.retain(|(k, _)| seen.insert(k.clone()));
            entries.reverse();
            f.entries = entries;
        };
        let fault = fault(harm);
        assert!(fault.what.contains(words), "\"{words}\" expected, \"{}\" found", fault.what);
    }
}

#[test]
fn every_tensor_of_a_family_that_runs_is_held_against_the_configuration() {
    let Some(corpus) = arch_corpus() else { return };
    let errors = |model: &ModelFile| -> Vec<String> {
        let notes = glassbox::check::at_hand(model);
        notes.into_iter().filter(|n| n.severity == Severity::Error).map(|n| n.what).collect()
    };
    let mut told = Vec::new();
    for name in RUN {
        for (_, opened) in forms(&corpus.join(name)) {
            let names: Vec<String> = opened.model.tensors.iter().map(|t| t.name.clone()).collect();
            for (i, tensor) in names.iter().enumerate() {
                let aside = tensor.starts_with("rope_f") || tensor.starts_with("pooler");
                let mut model = opened.model.clone();
                model.tensors[i].shape.0[0] += 1;
                let shape = format!("{tensor:?} has shape");
                if !aside && !errors(&model).iter().any(|e| e.contains(&shape)) {
                    told.push(format!("{name}: {tensor} of another shape is not found"));
                }
                let mut model = opened.model.clone();
                model.tensors.remove(i);
                let missing = format!("The tensor {tensor:?} is missing");
                // Those with a parallel residual have none; the graph of the others misses it.
                let second = name == &"stablelm" && (tensor.contains("post_attention") || tensor.contains("ffn_norm"));
                // A full layer of Gemma 4 may use its keys as values, which its GGUF file does not say.
                let full = name == &"gemma4" && tensor == "blk.5.attn_v.weight";
                let free = aside || second || full || tensor.ends_with(".bias") || tensor.contains("token_type");
                let head = ["output.weight", "lm_head.weight", "embed_out.weight"].contains(&tensor.as_str());
                if !free && !head && !errors(&model).contains(&missing) {
                    told.push(format!("{name}: {tensor} is gone and not missed: {:?}", errors(&model)));
                }
            }
        }
    }
    assert!(told.is_empty(), "{told:#?}");
}

#[test]
fn real_models_of_other_writers_build() {
    let Some(corpus) = corpus() else { return };
    let mut built = 0;
    let mut refused = Vec::new();
    for place in ["llama", "gguf", "triple", "quant", "hf-llama2xs", "minilm"] {
        let home = corpus.join(place);
        let files = std::fs::read_dir(&home).into_iter().flatten().map(|e| e.unwrap().path());
        let mut models: Vec<(String, ModelFile)> = files
            .filter(|p| p.extension().is_some_and(|e| e == "gguf"))
            .filter_map(|p| {
                let name = name_of(&p);
                let model = open(&on_disk(&home, &[name.as_str()])).ok()?;
                Some((format!("{place}/{name}"), model))
            })
            .collect();
        if home.join("config.json").is_file() {
            models.push((place.to_owned(), folder(&home).model));
        }
        for (name, model) in models {
            match arch::build(&model) {
                Ok(done) => {
                    built += 1;
                    assert_eq!(done.notes, Vec::<String>::new(), "{name}");
                }
                Err(fault) => refused.push(format!("{name}: {fault}")),
            }
        }
    }
    assert!(built >= 13, "{built} built; {refused:#?}");
}

/// The folder of a model with another config.json.
fn configured(home: &Path, edit: impl Fn(&mut serde_json::Map<String, serde_json::Value>)) -> ModelFile {
    let read = |name: &str| std::fs::read(home.join("hf").join(name)).expect("reads");
    let mut config: serde_json::Value = serde_json::from_slice(&read("config.json")).expect("JSON");
    edit(config.as_object_mut().expect("an object"));
    let config = serde_json::to_vec(&config).expect("writes");
    let files = [("model.safetensors", read("model.safetensors")), ("config.json", config)];
    let files: Vec<(&str, &[u8])> = files.iter().map(|(n, b)| (*n, b.as_slice())).collect();
    open(&files::in_memory(&files)).expect("opens")
}

type Config = serde_json::Map<String, serde_json::Value>;

fn put(config: &mut Config, entries: &serde_json::Value) {
    for (key, value) in entries.as_object().expect("an object") {
        config.insert(key.clone(), value.clone());
    }
}

/// Renames keys.
fn rename(config: &mut Config, names: &[(&str, &str)]) {
    for (from, to) in names {
        let value = config.remove(*from).unwrap_or_else(|| panic!("{from} is there"));
        config.insert((*to).to_owned(), value);
    }
}

/// `rope_parameters` as configurations had it before 2025.
fn older_rope(config: &mut Config) {
    let mut rope = config.remove("rope_parameters").expect("it is there");
    let rope = rope.as_object_mut().expect("an object");
    let theta = rope.remove("rope_theta").expect("it is there");
    rename(rope, &[("rope_type", "type")]);
    config.insert("rope_theta".into(), theta);
    config.insert("rope_scaling".into(), rope.clone().into());
}

#[test]
fn older_spellings_of_a_configuration_give_the_same_numbers() {
    let Some(corpus) = arch_corpus() else { return };
    use serde_json::json;
    type Edit = fn(&mut Config);
    let cases: &[(&str, Edit)] = &[
        ("llama-linear-rope", older_rope),
        ("llama-llama3-rope", older_rope),
        ("llama-yarn-rope", older_rope),
        ("phi3-longrope", |c| {
            older_rope(c);
            put(c["rope_scaling"].as_object_mut().unwrap(), &json!({"type": "su"}));
        }),
        ("gptneox", |c| {
            c.remove("rope_parameters");
            put(c, &json!({"rotary_pct": 0.25, "rotary_emb_base": 10000}));
        }),
        ("gptneox", |c| {
            c.remove("rope_parameters");
            c.remove("num_key_value_heads");
        }),
        ("gemma3", |c| {
            c.remove("rope_parameters");
            c.remove("layer_types");
            rename(c, &[("_sliding_window_pattern", "sliding_window_pattern")]);
            put(c, &json!({"rope_theta": 1e6, "rope_local_base_freq": 10000.0}));
        }),
        ("gpt2", |c| {
            c.remove("n_inner");
            rename(c, &[("n_embd", "hidden_size"), ("n_layer", "num_hidden_layers"), ("n_positions", "n_ctx")]);
        }),
        ("qwen2", |c| put(c, &json!({"sliding_window": 8, "use_sliding_window": false}))),
        ("llama", |c| {
            c.remove("num_key_value_heads");
            c.insert("num_key_value_heads".into(), json!(2));
            c.insert("head_dim".into(), json!(null));
        }),
    ];
    for (name, edit) in cases {
        let home = corpus.join(name);
        let want = arch::build(&folder(&home.join("hf")).model).expect("builds");
        let got = arch::build(&configured(&home, edit)).unwrap_or_else(|f| panic!("{name}: {f}"));
        assert_eq!(got.hparams, want.hparams, "{name}");
        assert_eq!(got.graph.nodes.len(), want.graph.nodes.len(), "{name}");
    }
}

#[test]
fn a_head_is_the_embedding_only_where_the_model_says_so_or_is_silent() {
    let Some(corpus) = arch_corpus() else { return };
    let build = |name: &str, tied: serde_json::Value| {
        arch::build(&configured(&corpus.join(name), |c| put(c, &serde_json::json!({"tie_word_embeddings": tied}))))
    };
    use serde_json::{Value::Null, json};
    // One matrix less: transformers reads the embedding, though a head is stored.
    let (own, tied) = (build("llama", json!(false)).unwrap(), build("llama", json!(true)).unwrap());
    assert_eq!(own.graph.weights.len(), tied.graph.weights.len() + 1);
    assert_eq!(tied.notes, ["tensor lm_head.weight is not read by the forward pass"]);
    assert_eq!(build("llama", Null).unwrap().graph, own.graph);
    let missing = build("qwen3", json!(false)).map(|_| ()).expect_err("no head is stored");
    assert_eq!(missing.what, "tensor lm_head.weight is missing");
    assert_eq!(build("qwen3", Null).unwrap().graph, build("qwen3", json!(true)).unwrap().graph);
}

#[test]
fn a_text_model_within_a_larger_configuration_and_one_named_by_its_class_are_found() {
    let Some(corpus) = arch_corpus() else { return };
    let home = corpus.join("gemma3");
    let nested = configured(&home, |c| {
        let text = std::mem::take(c);
        put(c, &serde_json::json!({"model_type": "gemma3", "text_config": text, "hidden_size": 7}));
    });
    let built = arch::build(&nested).expect("builds");
    assert_eq!((built.hparams.hidden_size, built.hparams.architecture.as_str()), (64, "gemma3"));
    assert!(glassbox::check::at_hand(&nested).iter().all(|n| n.severity < Severity::Warning));
    let home = corpus.join("gptneox");
    let unnamed = configured(&home, |c| {
        c.remove("model_type");
        put(c, &serde_json::json!({"architectures": ["GPTNeoXForCausalLM"]}));
    });
    assert_eq!(arch::of(&unnamed).expect("is known").0.name, "gptneox");
    arch::build(&unnamed).expect("builds");
}

#[test]
fn windows_are_where_a_configuration_puts_them() {
    let Some(corpus) = arch_corpus() else { return };
    let windows = |name: &str, entries: serde_json::Value| -> Vec<Option<u32>> {
        let model = configured(&corpus.join(name), |c| {
            c.remove("layer_types");
            c.remove("_sliding_window_pattern");
            put(c, &entries);
        });
        let h = arch::build(&model).expect("builds").hparams;
        (0..h.layers).map(|l| h.window.at(l)).collect()
    };
    use serde_json::json;
    let all = Some(8);
    let qwen = json!({"sliding_window": 8, "use_sliding_window": true, "max_window_layers": 1});
    assert_eq!(windows("qwen2", qwen), [None, all, all]);
    assert_eq!(windows("mistral-window", json!({})), [all; 3]);
    assert_eq!(windows("mistral-window", json!({"sliding_window": 256})), [None; 3]);
    assert_eq!(windows("phi3", json!({"sliding_window": 8})), [all; 3]);
    assert_eq!(windows("gemma3", json!({})), [all, all, all, all, all, None, all]);
    assert_eq!(windows("gemma3", json!({"sliding_window_pattern": 2})), [all, None, all, None, all, None, all]);
}

#[test]
fn numbers_by_layer_are_read_from_arrays_also_of_many_layers() {
    let mut file = llama();
    let layers = 100u32;
    set(&mut file, "block_count", Value::u32(layers));
    let each: Vec<Vec<u8>> = (0..layers).map(|l| (1 + l % 2).to_le_bytes().to_vec()).collect();
    set(&mut file, "attention.head_count_kv", Value::array(4, &each));
    let first: Vec<Tensor> = file.tensors.iter().filter(|t| t.name.starts_with("blk.0.")).cloned().collect();
    for l in 1..layers {
        for tensor in &first {
            let mut tensor = tensor.clone();
            tensor.name = tensor.name.replace("blk.0.", &format!("blk.{l}."));
            if l % 2 == 1 && (tensor.name.contains("attn_k") || tensor.name.contains("attn_v")) {
                tensor.dims[1] *= 2;
                tensor.data = vec![0; tensor.data.len() * 2];
            }
            file.tensors.push(tensor);
        }
    }
    let model = files::open_bytes("x.gguf", &file.bytes()).expect("opens");
    let built = arch::build(&model).expect("builds");
    assert_eq!((built.hparams.kv_heads.at(98), built.hparams.kv_heads.at(99)), (1, 2));
    assert_eq!(built.graph.states.last().map(|s| s.width), Some(32));
    let notes = glassbox::check::at_hand(&model);
    assert!(notes.iter().all(|n| !n.what.contains("has shape")), "{notes:#?}");
}

#[test]
fn damage_anywhere_in_a_header_gives_a_graph_or_a_fault_and_never_a_panic() {
    let mut state = 7u64;
    let mut next = |n: u64| {
        // Numerical Recipes' linear congruence; its high bits are even enough here.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % n
    };
    let mut models = vec![llama().bytes()];
    if let Some(corpus) = arch_corpus() {
        let read = |name: &str| std::fs::read(corpus.join(name).join("model.gguf")).expect("reads");
        models.extend(["gemma3", "phi3-longrope", "gptneox", "bert", "llama-yarn-rope"].map(read));
    }
    let (mut opened, mut built) = (0, 0);
    for bytes in models {
        // Where numbers stand: behind the keys of the architecture.
        let name = |i: &usize| bytes[*i..].starts_with(b".attention.") || bytes[*i..].starts_with(b".rope.");
        let places: Vec<usize> = (0..4000.min(bytes.len())).filter(name).collect();
        for _ in 0..200 {
            let mut harmed = bytes.clone();
            for _ in 0..1 + next(3) {
                let near = places.get(next(places.len() as u64 + 1) as usize).map(|p| p + next(60) as usize);
                let at = near.unwrap_or(next(2000) as usize).min(harmed.len() - 1);
                harmed[at] = [0, 1, 255, next(256) as u8][next(4) as usize];
            }
            let Ok(model) = files::open_bytes("x.gguf", &harmed) else { continue };
            opened += 1;
            built += usize::from(arch::build(&model).is_ok());
            arch::support(&model);
            glassbox::check::at_hand(&model);
        }
    }
    assert!(opened > 100 && built > 10, "{opened} opened, {built} built");
}

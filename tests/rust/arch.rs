//! Architectures: models of each family, built from a folder and from a GGUF file, give the logits (of encoders the hidden
//! states) that their own library computed; damage is told with names and shapes before a byte of weights is read.

mod configurations;
mod damage;

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

fn set(file: &mut Gguf, key: &str, value: Value) {
    let key = format!("llama.{key}");
    match file.entries.iter_mut().find(|(k, _)| k == key.as_bytes()) {
        Some(entry) => entry.1 = value,
        None => file.set(&key, value),
    }
}

//! Models brought to safetensors: round trips through GGUF, and other containers as they are.

use std::path::Path;

use glassbox::{
    arch,
    convert::to_safetensors::{Options, Plan, write},
    fault::Result,
    model::{ModelFile, Place},
    source::SourceSet,
    tensor::Encoding,
};

use super::folders;
use crate::common::{containers, files, writers};

/// The files that a model becomes, by name.
fn unpacked(set: &SourceSet, options: &Options) -> Result<Vec<(String, Vec<u8>)>> {
    let model = files::open(set)?;
    let plan = files::block_on(Plan::of(set, &model, options))?;
    let mut all = Vec::new();
    for shard in &plan.shards {
        let mut out = Vec::new();
        let written = files::block_on(write(&plan, shard, set, &model, &mut out, &mut |_, _| {}))?;
        assert_eq!(written, out.len() as u64);
        all.push((shard.name.clone(), out));
    }
    all.extend(plan.beside.iter().cloned());
    Ok(all)
}

fn set(all: &[(String, Vec<u8>)]) -> SourceSet {
    files::in_memory(&all.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect::<Vec<_>>())
}

fn bytes<'a>(model: &ModelFile, all: &'a [(String, Vec<u8>)], name: &str) -> &'a [u8] {
    match &model.tensor(name).unwrap_or_else(|| panic!("{name} is missing")).place {
        Place::Here { file, at } => {
            let file = &model.files[*file].name;
            &all.iter().find(|(n, _)| n == file).unwrap().1[at.start as usize..at.end as usize]
        }
        other => panic!("{name}: {other:?}"),
    }
}

/// Folders whose weights come back from GGUF as they were.
const ROUND: &[&str] = &[
    "granite",
    "llama",
    "llama-biases",
    "llama-linear-rope",
    "llama-llama3-rope",
    "llama-yarn-rope",
    "mixtral",
    "olmo2",
    "qwen2",
    "qwen2moe",
    "qwen3",
    "qwen3moe",
    "seedoss",
    "smollm3",
];

#[test]
fn a_folder_comes_back_from_gguf_byte_for_byte_and_says_the_same() {
    let Some(corpus) = files::corpus() else { return };
    for name in ROUND {
        let path = corpus.join("arch").join(name).join("hf");
        let original = folders::folder(&path);
        let gguf = folders::converted(&original, &folders::options()).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        let back = unpacked(&files::in_memory(&[("model.gguf", &gguf)]), &Options::default());
        let back = back.unwrap_or_else(|fault| panic!("{name}: {fault}"));
        assert!(back[0].1 == std::fs::read(path.join("model.safetensors")).unwrap(), "{name}: the file differs");
        let (before, after) = (files::open(&original).unwrap(), files::open(&set(&back)).unwrap());
        let says = |model: &ModelFile| {
            format!("{:?}", arch::build(model).unwrap_or_else(|fault| panic!("{name}: {fault}")).hparams)
        };
        // The key of the window is not written to GGUF files of these.
        assert_eq!(says(&before), says(&after), "{name}");
    }
}

#[test]
fn checkpoints_of_other_containers_become_safetensors_as_they_are() {
    for (name, container) in [
        ("model.pt", containers::torch_zip()),
        ("model.pth", containers::torch_stream()),
        ("array.npy", containers::small_npy()),
    ] {
        let source = [(name.to_owned(), container)];
        let made = unpacked(&set(&source), &Options::default()).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        let (before, after) = (files::open(&set(&source)).unwrap(), files::open(&set(&made)).unwrap());
        assert!(!before.tensors.is_empty() && before.tensors.len() == after.tensors.len(), "{name}");
        for tensor in &before.tensors {
            let new = after.tensor(&tensor.name).unwrap();
            assert_eq!((&new.shape, new.encoding), (&tensor.shape, tensor.encoding), "{name}: {}", tensor.name);
            if matches!(tensor.place, Place::Here { .. }) && !before.big_endian() {
                assert!(bytes(&before, &source, &tensor.name) == bytes(&after, &made, &tensor.name), "{}", tensor.name);
            }
        }
        // The safetensors library itself reads the file.
        let (_, read) = &made[0];
        assert_eq!(safetensors_names(read).len(), before.tensors.len(), "{name}");
    }
}

/// Names in a safetensors header, whose length must be whole words.
fn safetensors_names(file: &[u8]) -> Vec<String> {
    let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    assert_eq!(length % 8, 0);
    let header: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&file[8..8 + length]).unwrap();
    header.into_iter().map(|(name, _)| name).filter(|name| name != "__metadata__").collect()
}

#[test]
fn several_files_have_an_index_and_together_all_tensors() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus/sample/gguf");
    let gguf = files::on_disk(&sample, &["sample-q8_0.gguf"]);
    let one = unpacked(&gguf, &Options { kind: Some(Encoding::F16), most: None, only: None }).unwrap();
    let many = unpacked(&gguf, &Options { kind: Some(Encoding::F16), most: Some(100_000), only: None }).unwrap();
    let shards = many.iter().filter(|(name, _)| name.ends_with(".safetensors")).count();
    assert!(shards > 1 && many.iter().any(|(name, _)| name == "model.safetensors.index.json"));
    assert!(many.iter().any(|(name, _)| name == &format!("model-00001-of-{shards:05}.safetensors")));
    let (a, b) = (files::open(&set(&one)).unwrap(), files::open(&set(&many)).unwrap());
    assert_eq!(a.tensors.len(), b.tensors.len());
    for tensor in &a.tensors {
        assert_eq!(tensor.encoding, Encoding::F16);
        assert!(bytes(&a, &one, &tensor.name) == bytes(&b, &many, &tensor.name), "{}", tensor.name);
    }
    assert!(arch::build(&b).is_ok());
}

#[test]
fn what_safetensors_has_no_place_for_is_refused() {
    let cut = writers::small_safetensors();
    let fault = unpacked(&files::in_memory(&[("a.safetensors", &cut[..40])]), &Options::default());
    assert!(fault.is_err());
    let mut wide = writers::Gguf::small();
    wide.set("general.architecture", writers::Value::text("no_such_model"));
    let made = unpacked(&files::in_memory(&[("model.gguf", &wide.bytes())]), &Options::default());
    // An architecture that is not known keeps its names.
    if let Ok(made) = made {
        assert!(made.iter().all(|(name, _)| name.ends_with(".safetensors")));
    }
    assert!(Options::kind("Q4_0").is_err());
}

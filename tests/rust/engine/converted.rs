//! Folders that were brought to GGUF run as the folders do.

use glassbox::session::{Conversion, ConvertOptions, RunSettings};

use super::support::{PLACES, block_on, corpus, ids, json, load, npy, off_by, open};

/// A few whose tensors are rearranged on the way: heads, columns, experts, norms, latent keys, rotary factors.
const MODELS: &[&str] = &["llama-llama3-rope", "gpt2", "mixtral", "gemma3", "gptneox", "deepseek2", "gptoss"];

#[test]
fn a_converted_folder_gives_the_logits_of_its_reference() {
    let Some(corpus) = corpus("tiny models that are converted") else { return };
    let target = tempfile::tempdir().unwrap();
    let settings = RunSettings { context: Some(64), rows: 32, outputs: 32, ..RunSettings::default() };
    for name in MODELS {
        let folder = corpus.join("arch").join(name);
        let (from, file) = (folder.join("hf"), target.path().join(format!("{name}.gguf")));
        let inspection = open(&from);
        let options = ConvertOptions::default();
        let work = block_on(Conversion::plan(&inspection, &options, &from, &file, None)).unwrap();
        block_on(work.write(&mut |_| {})).unwrap();
        let own = folder.join("gguf-logits.npy");
        let want = npy(&if own.exists() { own } else { folder.join("logits.npy") });
        let prompt = ids(&json(&folder.join("reference.json"))["prompt_ids"]);
        let mut model = load(&file, &PLACES[0], &settings).unwrap();
        let off = off_by(&block_on(model.prompt_logits(&prompt)).unwrap(), &want);
        assert!(off < 2e-3, "{name}: logits are off by {off:.1e}");
    }
}

//! Vectors and scores of texts, against a plain float64 forward pass in NumPy (`tests/corpus/make/heads.py`), and against
//! sentence-transformers' own vectors where the corpus has them.

use std::path::{Path, PathBuf};

use glassbox::{
    fault::Blame,
    session::{Classifier, EmbedOptions, Embedder, RunSettings},
};

use super::support::{PLACES, Place, block_on, corpus, gpu_options, json, on_device, open, turn};

/// The tiny encoders with heads.
fn heads() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus/heads")
}

/// A logit may differ by this: f32 against f64.
const TOLERANCE: f64 = 2e-4;

fn settings() -> RunSettings {
    RunSettings { sequences: 4, ..RunSettings::default() }
}

/// A folder with what lies in folders within it, or a file.
fn open_all(path: &Path) -> std::rc::Rc<glassbox::session::Inspection> {
    use glassbox::source::{FileSource, SourceSet};
    if !path.is_dir() {
        return open(path);
    }
    let mut paths = Vec::new();
    let mut folders = vec![path.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap().path();
            if entry.is_dir() { folders.push(entry) } else { paths.push(entry) }
        }
    }
    paths.sort();
    let mut files = SourceSet::default();
    for file in paths {
        let name = file.strip_prefix(path).unwrap().to_string_lossy().into_owned();
        files.push(std::rc::Rc::new(FileSource::open(&file, name).unwrap()));
    }
    std::rc::Rc::new(block_on(glassbox::session::Inspection::open(files)).unwrap())
}

fn classifier(path: &Path, place: &Place) -> Option<Classifier> {
    let (choice, gpu) = (place.1.clone(), gpu_options(place));
    let loaded = block_on(Classifier::load(open_all(path), choice, gpu, &settings(), &mut |_| {}));
    on_device(loaded, &path.display().to_string(), place)
}

fn embedder(path: &Path, place: &Place, options: EmbedOptions) -> Option<Embedder> {
    let (choice, gpu) = (place.1.clone(), gpu_options(place));
    let loaded = block_on(Embedder::load(open_all(path), choice, gpu, &settings(), options, &mut |_| {}));
    on_device(loaded, &path.display().to_string(), place)
}

fn texts(list: &serde_json::Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|t| t["text"].as_str().unwrap().to_owned()).collect()
}

#[track_caller]
fn close(got: &[f64], want: &serde_json::Value, what: &str) {
    let want: Vec<f64> = want.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    assert_eq!(got.len(), want.len(), "{what}");
    for (g, w) in got.iter().zip(&want) {
        assert!((g - w).abs() < TOLERANCE, "{what}: {got:?}, {want:?} expected");
    }
}

#[test]
fn heads_of_every_kind_give_the_logits_that_numpy_gives() {
    let reference = json(&heads().join("reference.json"));
    for name in ["bert", "bert-rank", "xlm-roberta", "distilbert", "modernbert"] {
        let about = &reference[name];
        let mut model = classifier(&heads().join(name), &PLACES[0]).unwrap();
        let labels: Vec<&str> = about["labels"].as_array().unwrap().iter().map(|l| l.as_str().unwrap()).collect();
        assert_eq!(model.labels(), labels, "{name}");
        let asked = texts(&about["classify"]);
        let scored = block_on(model.classify(&asked)).unwrap();
        for (scored, want) in scored.iter().zip(about["classify"].as_array().unwrap()) {
            close(&scored.logits, &want["logits"], name);
        }
        let sums: Vec<f64> = scored.iter().map(|s| s.scores.iter().sum()).collect();
        match model.scoring().name() {
            "softmax" => assert!(sums.iter().all(|s| (s - 1.0).abs() < 1e-9), "{name}: {sums:?}"),
            other => assert_eq!(other, "sigmoid", "{name}: one label, or labels by themselves"),
        }
    }
}

#[test]
fn rerankers_score_pairs_of_texts_with_the_second_texts_kinds_on_every_device() {
    let _turn = turn();
    let reference = json(&heads().join("reference.json"));
    for place in &PLACES {
        for (name, path) in
            [("bert-rank", "bert-rank"), ("xlm-roberta", "xlm-roberta"), ("xlm-roberta", "xlm-roberta.gguf")]
        {
            let about = &reference[name]["rank"];
            let Some(mut model) = classifier(&heads().join(path), place) else { return };
            let scored = block_on(model.rank(about["query"].as_str().unwrap(), &texts(&about["texts"]))).unwrap();
            for (scored, want) in scored.iter().zip(about["texts"].as_array().unwrap()) {
                close(&scored.logits, &want["logits"], path);
                let sigmoid = 1.0 / (1.0 + (-scored.logits[0]).exp());
                assert!((scored.scores[0] - sigmoid).abs() < 1e-12);
            }
        }
    }
}

#[test]
fn models_without_a_head_or_with_several_labels_are_refused_by_name() {
    let load = |path: PathBuf| {
        let gpu = gpu_options(&PLACES[0]);
        block_on(Classifier::load(open_all(&path), PLACES[0].1.clone(), gpu, &settings(), &mut |_| {}))
    };
    let mut model = load(heads().join("bert")).ok().unwrap();
    let fault = block_on(model.rank("x", &["the fox".to_owned()])).unwrap_err();
    assert!(fault.what.contains("gives 3 (no, yes, maybe)"), "{fault}");
    // The same weights under a class that has no head for texts.
    let folder = tempfile::tempdir().unwrap();
    for file in ["model.safetensors", "tokenizer.json"] {
        std::fs::copy(heads().join("bert").join(file), folder.path().join(file)).unwrap();
    }
    let mut config = json(&heads().join("bert/config.json"));
    for class in ["BertForTokenClassification", "BertForMaskedLM"] {
        config["architectures"] = serde_json::json!([class]);
        std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
        let fault = load(folder.path().to_path_buf()).err().unwrap();
        assert_eq!(fault.blame, Blame::Unsupported);
        assert!(fault.what.contains("no head") && fault.what.contains(class), "{fault}");
    }
}

#[test]
fn a_pipelines_prompts_lengths_poolings_and_dense_maps_give_the_vectors_that_numpy_gives() {
    let reference = json(&heads().join("reference.json"));
    let mut model = embedder(&heads().join("pipeline"), &PLACES[0], EmbedOptions::default()).unwrap();
    assert!(model.normalizes());
    let opened = open_all(&heads().join("pipeline"));
    let notes: Vec<&str> = opened.model().notes.iter().map(|n| n.what.as_str()).collect();
    assert!(!notes.iter().any(|n| n.contains("another")), "the dense map is a part of this model: {notes:?}");
    assert_eq!(model.prompt(None).unwrap(), "", "the default prompt is named, and empty");
    let fault = model.prompt(Some("document")).unwrap_err();
    assert!(fault.what.contains("query") && fault.what.contains("document"), "{fault}");
    let cases = reference["pipeline"].as_array().unwrap();
    let asked: Vec<_> = cases
        .iter()
        .map(|case| {
            let prompt = model.prompt(case["prompt"].as_str()).unwrap();
            model.encode(&prompt, case["text"].as_str().unwrap()).unwrap()
        })
        .collect();
    let made = block_on(model.embed(&asked)).unwrap();
    for (made, case) in made.iter().zip(cases) {
        assert_eq!(made.ids.len() as u64, case["tokens"].as_u64().unwrap(), "{case}");
        let vector: Vec<f64> = made.vector.iter().map(|v| f64::from(*v)).collect();
        close(&vector, &case["vector"], &case["text"].to_string());
    }
    // Nineteen words, of which six fit between the two special tokens.
    assert_eq!(made.iter().map(|m| m.cut).collect::<Vec<_>>(), [0, 0, 0, 13, 0]);
}

#[test]
fn what_is_asked_for_goes_before_what_the_files_say() {
    let options = EmbedOptions { pooling: glassbox::session::Pooling::parse("max"), normalize: Some(false) };
    let gpu = gpu_options(&PLACES[0]);
    let loaded = block_on(Embedder::load(
        open_all(&heads().join("pipeline")),
        PLACES[0].1.clone(),
        gpu,
        &settings(),
        options,
        &mut |_| {},
    ));
    // One pooling in place of two: the dense map reads vectors of twice the width.
    let fault = loaded.err().unwrap();
    assert!(fault.what.contains("dense map of 32 values behind vectors of 16"), "{fault}");
    let mut model =
        embedder(&heads().join("bert"), &PLACES[0], EmbedOptions { normalize: Some(false), ..EmbedOptions::default() })
            .unwrap();
    let asked = model.encode("", "the fox").unwrap();
    let plain = block_on(model.embed(std::slice::from_ref(&asked))).unwrap().remove(0).vector;
    let mut scaled = embedder(&heads().join("bert"), &PLACES[0], EmbedOptions::default()).unwrap();
    let one = block_on(scaled.embed(&[asked])).unwrap().remove(0).vector;
    let length = plain.iter().map(|v| v * v).sum::<f32>().sqrt();
    assert!((length - 1.0).abs() > 0.01, "these hidden states have no length of 1 by chance");
    assert!(plain.iter().zip(&one).all(|(p, o)| (p / length - o).abs() < 1e-6));
}

/// MiniLM's vectors of a few sentences, by file: those of its weights (a folder that `GLASSBOX_MINILM` names, since the corpus
/// has no room for it) and of the quantised file.
#[test]
fn minilm_gives_the_vectors_of_its_reference() {
    let Some(corpus) = corpus("MiniLM") else { return };
    let own = corpus.join("minilm");
    let mut cases = vec![(own.join("all-MiniLM-L6-v2-q4_k_m.gguf"), own.join("minilm_q4_k_m_reference.json"))];
    match std::env::var_os("GLASSBOX_MINILM") {
        Some(folder) => cases.push((PathBuf::from(folder), own.join("minilm_reference.json"))),
        None => eprintln!("skipped: MiniLM's folder, because GLASSBOX_MINILM names none"),
    }
    for (path, reference) in cases {
        let mut model = embedder(&path, &PLACES[0], EmbedOptions::default()).unwrap();
        for case in json(&reference)["sentences"].as_array().unwrap() {
            let text = case["text"].as_str().unwrap();
            let asked = model.encode("", text).unwrap();
            let made = block_on(model.embed(&[asked])).unwrap().remove(0);
            assert_eq!(made.ids, super::support::ids(&case["ids"]), "{text}");
            let want: Vec<f32> =
                case["embedding"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect();
            let off = made.vector.iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            eprintln!("{}: {text:?} is off by {off:.1e}", path.display());
            assert!(off < 1e-4, "{}: {text:?} is off by {off}", path.display());
        }
    }
}

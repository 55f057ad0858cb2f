//! Reports of the sample's files equal the committed ones (`GLASSBOX_BLESS=1` rewrites them).
//! The same files are what the page's tests compare with, so native and wasm give one report.

use crate::common::samples;
use std::{collections::BTreeSet, path::Path, rc::Rc};

use glassbox::{
    report::ModelReport,
    session::Inspection,
    source::{ByteSource, MemorySource, SourceSet},
};

/// Golden name, files of the set.
const CASES: &[(&str, &[&str])] = &[
    ("sample-q8_0", &["gguf/sample-q8_0.gguf"]),
    ("sample-q4_k_m", &["gguf/sample-q4_k_m.gguf"]),
    ("sample-onnx", &["sample.onnx"]),
    ("sample-pt", &["sample.pt"]),
    (
        "sample-hf",
        &[
            "hf/config.json",
            "hf/generation_config.json",
            "hf/model-00001-of-00002.safetensors",
            "hf/model-00002-of-00002.safetensors",
            "hf/model.safetensors.index.json",
            "hf/special_tokens_map.json",
            "hf/tokenizer.json",
            "hf/tokenizer_config.json",
        ],
    ),
];

/// Memory sources are ready at once: one poll is enough for every step.
fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let std::task::Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
}

/// The report of files that are opened together, as `--json` prints it.
fn report(files: &[(String, Vec<u8>)]) -> String {
    let sources =
        files.iter().map(|(name, bytes)| Rc::new(MemorySource::new(name, bytes.clone())) as Rc<dyn ByteSource>);
    let inspection = now(Inspection::open(SourceSet::new(sources))).expect("the sample opens");
    serde_json::to_string_pretty(&now(ModelReport::of(&inspection))).expect("reports are JSON") + "\n"
}

/// Compares with the committed report, or rewrites it.
fn is_as_committed(name: &str, text: &str) -> bool {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden").join(format!("{name}.json"));
    if std::env::var_os("GLASSBOX_BLESS").is_some() {
        std::fs::write(&golden, text).expect("written");
    }
    std::fs::read_to_string(&golden).unwrap_or_default() == text
}

#[test]
fn reports_of_the_sample_equal_the_committed_ones() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus/sample");
    let read = |file: &&str| {
        let bytes = std::fs::read(root.join(file)).expect("the sample is in the repository");
        (file.rsplit('/').next().expect("a name").to_owned(), bytes)
    };
    let reports = CASES.iter().map(|(name, files)| (name, report(&files.iter().map(read).collect::<Vec<_>>())));
    let wrong: Vec<_> = reports.filter(|(name, text)| !is_as_committed(name, text)).map(|(name, _)| name).collect();
    assert!(wrong.is_empty(), "changed: {wrong:?}; look at the difference with GLASSBOX_BLESS=1 and git diff");
}

#[test]
fn reports_of_a_small_file_of_every_format_equal_the_committed_ones() {
    let samples = samples::all();
    let names: BTreeSet<&str> = samples.iter().map(samples::Sample::name).collect();
    assert_eq!(names.len(), samples.len(), "a name is a file of its own");
    let formats: BTreeSet<String> = samples
        .iter()
        .map(|sample| {
            let text = report(&sample.files);
            let name = format!("small/{}", sample.name());
            assert!(is_as_committed(&name, &text), "{name} changed: see GLASSBOX_BLESS=1 and git diff");
            serde_json::from_str::<serde_json::Value>(&text).expect("JSON")["format"].to_string()
        })
        .collect();
    assert_eq!(formats.len(), glassbox::formats::FORMATS.len(), "every format has a report: {formats:?}");
}

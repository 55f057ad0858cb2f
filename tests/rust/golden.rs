//! Reports of the sample's files equal the committed ones (`GLASSBOX_BLESS=1` rewrites them).
//! The same files are what the page's tests compare with, so native and wasm give one report.

use std::{path::Path, rc::Rc};

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

#[test]
fn reports_of_the_sample_equal_the_committed_ones() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut wrong = Vec::new();
    for (name, files) in CASES {
        let sources = files.iter().map(|f| {
            let bytes =
                std::fs::read(root.join("tests/corpus/sample").join(f)).expect("the sample is in the repository");
            let base = f.rsplit('/').next().expect("a name");
            Rc::new(MemorySource::new(base, bytes)) as Rc<dyn ByteSource>
        });
        let set = SourceSet::new(sources);
        let inspection = now(Inspection::open(set)).expect("the sample opens");
        let report = now(ModelReport::of(&inspection));
        let text = serde_json::to_string_pretty(&report).expect("reports are JSON") + "\n";
        let golden = root.join("tests/golden").join(format!("{name}.json"));
        if std::env::var_os("GLASSBOX_BLESS").is_some() {
            std::fs::write(&golden, &text).expect("written");
        }
        if std::fs::read_to_string(&golden).unwrap_or_default() != text {
            wrong.push(*name);
        }
    }
    assert!(wrong.is_empty(), "changed: {wrong:?}; look at the difference with GLASSBOX_BLESS=1 and git diff");
}

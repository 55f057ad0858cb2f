//! Opening models, references, and the places where models run.

use std::{
    future::Future,
    path::{Path, PathBuf},
    pin::pin,
    rc::Rc,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use glassbox::{
    fault::Blame,
    session::{DeviceChoice, Generation, GenerationOptions, GpuOptions, Inspection, Outcome, RunSettings, Sampling},
    source::{FileSource, SourceSet},
};
use serde_json::Value;

/// Natively every future of the engine does its waiting inside `poll`.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return value;
        }
    }
}

/// The corpus, where this machine has it.
pub(crate) fn corpus(why: &str) -> Option<PathBuf> {
    let dir = std::env::var_os("GLASSBOX_CORPUS")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/corpus")), PathBuf::from);
    if !dir.is_dir() {
        eprintln!("skipped: {why}, because the corpus is not at {}", dir.display());
        return None;
    }
    Some(dir)
}

/// Whether everything is to be run, not a fair part.
pub(crate) fn everything() -> bool {
    std::env::var_os("GLASSBOX_ALL_GPU").is_some()
}

/// One test at a time: a software GPU uses every core.
static TURN: Mutex<()> = Mutex::new(());

pub(crate) fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A device, and the tier that it is forced to.
pub(crate) type Place = (&'static str, DeviceChoice, Option<&'static str>);

/// Where models run: the CPU, and the GPU in each tier.
pub(crate) const PLACES: [Place; 3] = [
    ("CPU", DeviceChoice::Cpu, None),
    ("core tier", DeviceChoice::Gpu, Some("core")),
    ("subgroup tier", DeviceChoice::Gpu, Some("subgroup")),
];

pub(crate) fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus/sample")
}

pub(crate) fn json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

pub(crate) fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as u32).collect()
}

/// A file, or every file of a folder.
pub(crate) fn open(path: &Path) -> Rc<Inspection> {
    let mut paths = vec![path.to_path_buf()];
    if path.is_dir() {
        paths = std::fs::read_dir(path).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_file()).collect();
        paths.sort();
    }
    let mut files = SourceSet::default();
    for path in paths {
        files.push(Rc::new(FileSource::open(&path, path.file_name().unwrap().to_string_lossy()).unwrap()));
    }
    Rc::new(block_on(Inspection::open(files)).unwrap())
}

pub(crate) fn gpu_options(place: &Place) -> GpuOptions {
    GpuOptions { tier: place.2.map(str::to_owned), exact: true, ..GpuOptions::default() }
}

/// What a load gave, or `None` after saying why there is no such device.
pub(crate) fn on_device<T>(loaded: glassbox::fault::Result<T>, what: &str, place: &Place) -> Option<T> {
    match loaded {
        Ok(model) => Some(model),
        Err(fault) if place.2.is_some() && fault.blame == Blame::Device => {
            eprintln!("skipped: {what} in the {} because {fault}", place.0);
            None
        }
        Err(fault) => panic!("{what}, {}: {fault}", place.0),
    }
}

/// The model on a device, or `None` after saying why there is none.
pub(crate) fn load(path: &Path, place: &Place, settings: &RunSettings) -> Option<Generation> {
    let loaded = block_on(Generation::load(open(path), place.1.clone(), gpu_options(place), settings, &mut |_| {}));
    let model = on_device(loaded, &path.display().to_string(), place)?;
    assert_eq!(model.device().tier.is_some(), place.2.is_some(), "{}: {:?}", place.0, model.device());
    Some(model)
}

pub(crate) fn options(max_tokens: usize, sampling: Sampling) -> GenerationOptions {
    GenerationOptions { max_tokens: max_tokens as u32, sampling, ..GenerationOptions::default() }
}

pub(crate) fn generate(model: &mut Generation, prompt: &[u32], options: &GenerationOptions) -> Outcome {
    let outcome = block_on(model.generate_ids(prompt.to_vec(), options, &mut |_| Box::pin(async { false }))).unwrap();
    assert_eq!(outcome.prompt_ids, prompt);
    outcome
}

/// The rows of a `.npy` file of f32 or f64 `[rows, columns]`.
pub(crate) fn npy(path: &Path) -> Vec<Vec<f32>> {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let header = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let text = std::str::from_utf8(&bytes[10..header]).unwrap();
    assert!(text.contains("'fortran_order': False"), "{text}");
    let shape = text.split("'shape': (").nth(1).unwrap().split(')').next().unwrap();
    let columns: usize = shape.split(',').nth(1).unwrap().trim().parse().unwrap();
    let body = &bytes[header..];
    let values: Vec<f32> = if text.contains("'<f8'") {
        body.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap()) as f32).collect()
    } else {
        assert!(text.contains("'<f4'"), "{text}");
        body.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
    };
    values.chunks_exact(columns).map(<[f32]>::to_vec).collect()
}

/// The largest difference, per ten units of the reference's range.
pub(crate) fn off_by(got: &[Vec<f32>], want: &[Vec<f32>]) -> f64 {
    assert_eq!(got.len(), want.len(), "rows");
    let (mut off, mut low, mut high) = (0f64, f64::MAX, f64::MIN);
    for (got, want) in got.iter().zip(want) {
        assert_eq!(got.len(), want.len(), "values of a row");
        for (g, w) in got.iter().zip(want) {
            let (g, w) = (f64::from(*g), f64::from(*w));
            assert!(g.is_finite());
            off = off.max((g - w).abs());
            (low, high) = (low.min(w), high.max(w));
        }
    }
    off / ((high - low) / 10.0).max(1.0)
}

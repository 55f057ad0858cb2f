//! One pure function per reader: bytes in, a well-formed description or a fault out, the same for any chunk size.
//! Each tells the sentences that the reader said, so that new sayings are noticed.
#![allow(dead_code, unreachable_pub, reason = "each user takes its part")]

use glassbox::{
    fault::{Fault, Result},
    formats::FORMATS,
    model::{FormatId, ModelFile},
    source::{Limits, Stop, Window},
};

use super::corpus::outcome;
use super::files::{assert_well_formed, in_memory, open};

/// How the bytes reach a reader.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Arrival {
    /// All at once.
    Whole,
    /// Only what is asked for, and what is passed is forgotten.
    Asked,
    /// What is asked for with some bytes around it, after a piece from elsewhere.
    Scattered,
}

/// Runs a format's reader over bytes that arrive in some way.
pub fn read(id: FormatId, bytes: &[u8], arrival: Arrival) -> Result<ModelFile> {
    let format = FORMATS.iter().find(|f| f.id() == id).expect("a reader");
    let len = bytes.len() as u64;
    let mut window = Window::new("f", len);
    let insert = |window: &mut Window, from: u64, to: u64| {
        let (from, to) = (from.min(len), to.min(len));
        window.insert(from, bytes[from as usize..to.max(from) as usize].to_vec());
    };
    if arrival == Arrival::Whole {
        insert(&mut window, 0, len);
    }
    let limits = Limits::default();
    let mut reader = format.reader();
    let mut last = None;
    loop {
        match reader.advance(&window, &limits) {
            Ok(()) => return Ok(reader.finish(&window)),
            Err(Stop::Bad(fault)) => return Err(fault),
            Err(Stop::Need(need)) => {
                assert!(need.end <= len && need.start < need.end, "only bytes of the file are needed: {need:?}");
                assert_ne!(Some(&need), last.as_ref(), "what was given is not asked for again");
                if arrival == Arrival::Asked {
                    window.forget(reader.position());
                } else {
                    let far = need.end.wrapping_mul(7) % len;
                    insert(&mut window, far, far + 11);
                }
                let extra = if arrival == Arrival::Asked { 0 } else { 5 };
                insert(&mut window, need.start.saturating_sub(extra), need.end + extra);
                last = Some(need);
            }
        }
    }
}

/// Every way of arrival tells the same, and opening gives a well-formed description.
fn check(id: FormatId, name: &str, bytes: &[u8]) -> Result<ModelFile, Fault> {
    let whole = read(id, bytes, Arrival::Whole);
    for arrival in [Arrival::Asked, Arrival::Scattered] {
        let other = read(id, bytes, arrival);
        // NaN is not equal to itself: compare what is printed.
        assert_eq!(format!("{whole:?}"), format!("{other:?}"), "{arrival:?}");
    }
    let opened = open(&in_memory(&[(name, bytes)]));
    if let Ok(model) = &opened {
        assert_well_formed(model);
    }
    opened
}

/// GGUF.
pub fn gguf(bytes: &[u8]) -> Vec<String> {
    outcome(&check(FormatId::Gguf, "fuzz.gguf", bytes))
}

/// safetensors; what the crate accepts must open, with the crate's tensors.
pub fn safetensors(bytes: &[u8]) -> Vec<String> {
    let ours = check(FormatId::Safetensors, "fuzz.safetensors", bytes);
    let said = outcome(&ours);
    if let Ok(theirs) = ::safetensors::SafeTensors::deserialize(bytes) {
        let model = ours.unwrap_or_else(|fault| panic!("the crate accepts what we refuse: {fault}"));
        for (name, view) in theirs.iter() {
            let found = model.tensors.iter().filter(|t| t.name == name);
            let same = |t: &&glassbox::model::TensorEntry| {
                t.shape.0 == view.shape().iter().map(|d| *d as u64).collect::<Vec<_>>()
            };
            assert!(found.clone().any(|t| same(&t)), "{name} as the crate has it");
        }
    }
    said
}

/// ONNX.
pub fn onnx(bytes: &[u8]) -> Vec<String> {
    outcome(&check(FormatId::Onnx, "fuzz.onnx", bytes))
}

/// PyTorch archives and streams.
pub fn pytorch(bytes: &[u8]) -> Vec<String> {
    outcome(&check(FormatId::PyTorch, "fuzz.pt", bytes))
}

/// Pickles by themselves.
pub fn pickle(bytes: &[u8]) -> Vec<String> {
    outcome(&check(FormatId::Pickle, "fuzz.pkl", bytes))
}

/// NumPy arrays.
pub fn numpy(bytes: &[u8]) -> Vec<String> {
    outcome(&check(FormatId::Numpy, "fuzz.npy", bytes))
}

/// GGML before GGUF.
pub fn ggml(bytes: &[u8]) -> Vec<String> {
    outcome(&check(FormatId::Ggml, "fuzz.bin", bytes))
}

/// llama2.c.
pub fn llama2c(bytes: &[u8]) -> Vec<String> {
    outcome(&check(FormatId::Llama2c, "fuzz.bin", bytes))
}

/// Importance matrices.
pub fn imatrix(bytes: &[u8]) -> Vec<String> {
    outcome(&check(FormatId::Imatrix, "fuzz.dat", bytes))
}

/// TensorFlow graphs and checkpoints.
pub fn tensorflow(bytes: &[u8]) -> Vec<String> {
    outcome(&check(FormatId::TensorFlow, "fuzz.pb", bytes))
}

/// TensorFlow Lite.
pub fn tflite(bytes: &[u8]) -> Vec<String> {
    outcome(&check(FormatId::TfLite, "fuzz.tflite", bytes))
}

/// Keras and other HDF5.
pub fn keras(bytes: &[u8]) -> Vec<String> {
    outcome(&check(FormatId::Keras, "fuzz.h5", bytes))
}

/// Tokenizers in files of their own.
pub fn tokenizer(bytes: &[u8]) -> Vec<String> {
    outcome(&check(FormatId::Tokenizer, "fuzz.model", bytes))
}

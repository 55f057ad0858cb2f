//! Values that were sampled: numbers, or what a broken download or conversion leaves.

use super::{Subject, evidence::Sample};
use crate::{
    formats::{Findings, quoted},
    model::{Note, NoteCode, Severity},
    tensor::Encoding,
};

/// A tensor of fewer bytes may well be all zeros: biases are.
const ZEROS_LEAST: u64 = 64 << 10;

/// Looks for NaN, infinity, and large tensors that are zero wherever they were read.
pub(super) fn check(subject: &Subject<'_>, findings: &mut Findings) {
    let mut zeros: Vec<usize> = Vec::new();
    for sample in &subject.evidence.samples {
        let Some(entry) = subject.model.tensors.get(sample.tensor) else { continue };
        if let Some((at, value)) = odd(subject, sample) {
            let name = quoted(&entry.name);
            let told = if sample.whole { "" } else { " (sampled at its beginning, middle and end)" };
            let what = format!("{name} ({}) holds {value}{told}", entry.encoding);
            let place = subject.place(sample.tensor).map(|(file, _)| (file, at));
            let note = Note::new(Severity::Error, what).place(place);
            let note = note.why("one such value spreads through every later number: the model writes nonsense");
            findings.note(
                NoteCode::Values,
                note.advice(
                    "get the file again and compare its checksum; if it is the same, the conversion went wrong",
                ),
            );
        }
        let large = entry.bytes.is_some_and(|n| n >= ZEROS_LEAST) && entry.shape.0.len() > 1;
        if large && sample.pieces.iter().all(|(_, bytes)| bytes.iter().all(|b| *b == 0)) {
            zeros.push(sample.tensor);
        }
    }
    let Some(&first) = zeros.first() else { return };
    let name = quoted(&subject.model.tensors[first].name);
    let what = format!("{} large tensors are nothing but zeros where they were read; the first is {name}", zeros.len());
    let note = Note::new(Severity::Warning, what).place(subject.place(first));
    let note =
        note.why("programs that reserve a file's length before they download it leave zeros where they have not come");
    findings.note(NoteCode::Zeros, note.advice("finish the download, or get the file again and compare its checksum"));
}

/// The first value that is no number, as text, and the byte offset of its block.
fn odd(subject: &Subject<'_>, sample: &Sample) -> Option<(u64, &'static str)> {
    let spec = subject.model.tensors.get(sample.tensor)?.encoding.spec()?;
    let decode = spec.decode?;
    let entry = subject.model.tensors.get(sample.tensor)?;
    // Masks hold minus infinity on purpose, graphs keep them among their constants; an f64 may be too large for an f32.
    let masks = subject.model.graph.is_some() || entry.name.contains("mask") || entry.encoding == Encoding::F64;
    let (len, size) = (spec.block_len as usize, spec.block_bytes as usize);
    for (at, bytes) in &sample.pieces {
        let mut values = vec![0f32; bytes.len() / size * len];
        decode(bytes, &mut values);
        if let Some(i) = values.iter().position(|v| v.is_nan() || v.is_infinite() && !masks) {
            let value = if values[i].is_nan() { "a value that is not a number (NaN)" } else { "an infinite value" };
            return Some((at + (i / len * size) as u64, value));
        }
    }
    None
}

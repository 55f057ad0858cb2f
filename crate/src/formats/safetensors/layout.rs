//! Placing the tensors, and what is wrong with their places.

use super::header::{Header, Stated};
use crate::{
    formats::findings::{Findings, quoted},
    model::{Loader, NoteCode, Place, TensorEntry, Why},
    source::Window,
    tensor::{Encoding, EncodingSpec, Shape},
};

const REFUSED: Why<'static> = Loader::Safetensors.refuses("the safetensors library refuses the file");

/// The tensors with their places; `data` is where the data starts.
pub(super) fn place(header: Header, data: u64, file: &Window, findings: &mut Findings) -> Vec<TensorEntry> {
    check_cover(&header, data, file, findings);
    if !data.is_multiple_of(8) {
        let what = format!("The data starts at byte {data}, no multiple of 8");
        findings.info(NoteCode::Alignment, data.min(file.len()), what, "values cannot be mapped in place");
    }
    if header.complete && header.tensors.is_empty() {
        findings.info(NoteCode::Empty, 8, "The file holds no tensors", "");
    }
    header.tensors.into_iter().map(|stated| entry(stated, data, file, findings)).collect()
}

fn entry(stated: Stated, data: u64, file: &Window, findings: &mut Findings) -> TensorEntry {
    let Stated { name, dtype, shape, offsets: (begin, end), at } = stated;
    let shape = Shape(shape);
    let encoding = Encoding::from_safetensors(&dtype);
    let spec = encoding.and_then(Encoding::spec);
    let told = || quoted(&name);
    if name.is_empty() {
        findings.info(NoteCode::UnnamedTensors, at, "A tensor has no name", "");
    }
    // Bytes times the block's length, which divides them unless the last byte is only partly filled.
    let scaled = spec.and_then(|s| Some(u128::from(shape.elements()?) * u128::from(s.block_bytes)));
    match (spec, scaled) {
        (None, _) => {
            let what = format!("{} is of dtype {}, which Glassbox does not know", told(), quoted(&dtype));
            findings.error(NoteCode::Dtypes, at, what, REFUSED);
        }
        (Some(_), None) => {
            let what = format!("{} of shape {shape} has more elements than 64 bits count", told());
            findings.error(NoteCode::Sizes, at, what, REFUSED);
        }
        (Some(spec), Some(scaled)) if scaled % u128::from(spec.block_len) != 0 => {
            let what = format!("{} of shape {shape} and {dtype} does not fill whole bytes", told());
            findings.error(NoteCode::Sizes, at, what, REFUSED);
        }
        (Some(spec), Some(scaled)) => {
            let (need, found) = (scaled / u128::from(spec.block_len), end.saturating_sub(begin));
            let start = data.saturating_add(begin);
            if begin <= end && need != u128::from(found) {
                let what =
                    format!("{} of shape {shape} and {dtype} takes {need} bytes, its offsets span {found}", told());
                findings.error(NoteCode::Sizes, at, what, REFUSED);
            } else if found > 0 && start % u64::from(spec.block_bytes) != 0 && spec.block_len == 1 {
                let what =
                    format!("{} starts at byte {start} of the file, no multiple of {}", told(), spec.block_bytes);
                findings.info(NoteCode::AlignmentOfTensors, at, what, "readers that map values in place must copy it");
            }
        }
    }
    let place = match (data.checked_add(begin), data.checked_add(end)) {
        (Some(start), Some(end)) if start <= end && end <= file.len() => Place::Here { file: 0, at: start..end },
        (Some(start), Some(end)) if start <= end => Place::Missing { file: file.name().to_owned(), at: start..end },
        _ => Place::Absent,
    };
    let whole = |n: u128, spec: &EncodingSpec| {
        let len = u128::from(spec.block_len);
        n.is_multiple_of(len).then(|| u64::try_from(n / len).ok()).flatten()
    };
    let bytes = match (scaled, spec) {
        (Some(n), Some(spec)) => whole(n, spec),
        (_, Some(_)) => None,
        (_, None) => end.checked_sub(begin),
    };
    TensorEntry { name, shape, encoding: encoding.unwrap_or(Encoding::Unknown), place, bytes }
}

/// The format demands that tensors cover the data without holes, overlaps or trailing bytes.
fn check_cover(header: &Header, data: u64, file: &Window, findings: &mut Findings) {
    let mut order: Vec<&Stated> = header.tensors.iter().collect();
    crate::order::sort_by_key(&mut order, |t| t.offsets);
    let len = file.len().saturating_sub(data);
    let mut done = 0u64;
    let mut cut: Vec<&Stated> = Vec::new();
    for tensor in order {
        let (begin, end) = tensor.offsets;
        let name = || quoted(&tensor.name);
        if begin > end {
            let what = format!("{} ends at {end}, before it begins at {begin}", name());
            findings.error(NoteCode::Offsets, tensor.at, what, REFUSED);
            continue;
        }
        if begin > done {
            let what = format!("Nothing names bytes {done}..{begin} of the data, before {}", name());
            findings.error(NoteCode::Holes, tensor.at, what, REFUSED);
        } else if begin < done {
            let what = format!("{} (bytes {begin}..{end} of the data) overlaps what ends at {done}", name());
            findings.error(NoteCode::Overlaps, tensor.at, what, REFUSED);
        }
        if end > len {
            cut.push(tensor);
        }
        done = done.max(end);
    }
    if let Some(first) = cut.first() {
        let (begin, end) = first.offsets;
        let what = format!(
            "The file ends at byte {}, its tensors at byte {}: {} of {} are missing or incomplete, the first is {} (bytes {begin}..{end} of the data)",
            file.len(),
            data.saturating_add(done),
            cut.len(),
            header.tensors.len(),
            quoted(&first.name)
        );
        findings.error(NoteCode::EndOfFile, file.len(), what, "the file was not copied whole, or an offset is wrong");
    } else if header.complete && len > done {
        let what = format!("{} bytes follow the last tensor", len - done);
        findings.error(NoteCode::Trailing, data.saturating_add(done), what, REFUSED);
    }
}

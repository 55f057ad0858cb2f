//! From what a pickle says of tensors to entries of the list: places, what is lost, what is shared.

use std::ops::Range;

use super::{Source, Stated};
use crate::formats::findings::{Findings, quoted};
use crate::model::{Loader, NoteCode, Place, TensorEntry};
use crate::tensor::Shape;

/// Where each tensor's bytes are, by storage; `bytes_of` gives a storage's range in file 0. Of a file that was `cut`,
/// a storage that is not found lies somewhere beyond its end.
pub(in crate::formats::pytorch) fn entries(
    stated: Vec<Stated>,
    file: &str,
    file_len: u64,
    at: u64,
    cut: bool,
    findings: &mut Findings,
    bytes_of: impl Fn(&str) -> Option<Range<u64>>,
) -> Vec<TensorEntry> {
    let mut entries = Vec::with_capacity(stated.len());
    for tensor in stated {
        let Stated { name, shape, strides, encoding, source, offset, elements } = tensor;
        let shape = Shape(shape);
        let bytes = shape.elements().and_then(|n| encoding.bytes(n, shape.row_len()));
        let width = encoding.spec().map_or(0, |s| u64::from(s.block_bytes));
        let told = quoted(&name);
        // One past the last element that the view reaches.
        let reach = match (&strides, shape.elements()) {
            (_, Some(0)) => Some(0),
            (None, Some(n)) => offset.checked_add(n),
            (Some(strides), Some(_)) => shape
                .0
                .iter()
                .zip(strides)
                .try_fold(offset, |last, (d, s)| last.checked_add((d - 1).checked_mul(*s)?))
                .and_then(|last| last.checked_add(1)),
            (_, None) => None,
        };
        let fits = reach.is_some_and(|reach| reach <= elements);
        if !fits && source != Source::Nowhere {
            let what =
                format!("{told} of shape {shape} from element {offset} leaves its storage of {elements} elements");
            findings.error(NoteCode::Views, at, what, Loader::PyTorch.refuses("PyTorch refuses the file"));
        }
        let range = match &source {
            Source::Storage(key) => bytes_of(key),
            Source::Bytes(range) => Some(range.clone()),
            _ => None,
        };
        let view = range.clone().and_then(|range| {
            let first = range.start.checked_add(offset.checked_mul(width)?)?;
            let last = range.start.checked_add(reach?.max(offset).checked_mul(width)?)?;
            Some((first..last, range.end))
        });
        let place = match (source, view) {
            (Source::Nowhere, _) => Place::Absent,
            (Source::Escaped, _) => Place::Inline,
            (Source::Storage(_), None) if cut => Place::Missing { file: file.to_owned(), at: 0..0 },
            (Source::Storage(key), None) => {
                let what =
                    format!("{told} names storage {}, which the file does not hold as plain bytes", quoted(&key));
                findings.error(NoteCode::Storages, at, what, "its values cannot be shown");
                Place::Absent
            }
            (_, Some((view, end))) if fits && width > 0 && view.end <= end && view.end <= file_len => match strides {
                None => Place::Here { file: 0, at: view },
                Some(strides) => Place::Strided { file: 0, at: view, strides },
            },
            (_, Some((view, end))) => {
                if fits && end < view.end && !cut {
                    let what = format!("{told} ends at byte {}, its storage at byte {end}", view.end);
                    findings.error(NoteCode::Storages, at, what, "the file was not copied whole, or a size is wrong");
                }
                Place::Missing { file: file.to_owned(), at: view }
            }
            _ => Place::Absent,
        };
        entries.push(TensorEntry { name, shape, encoding, place, bytes });
    }
    if cut {
        lost(&entries, file_len, findings);
    }
    shared(&entries, at, findings);
    entries
}

/// How many tensors a file that was not copied whole does not hold, and which is the first.
fn lost(entries: &[TensorEntry], len: u64, findings: &mut Findings) {
    let mut lost =
        entries.iter().filter_map(|t| if let Place::Missing { at, .. } = &t.place { Some((t, at)) } else { None });
    let Some((first, at)) = lost.next() else { return };
    let told =
        if at.is_empty() { "its place is not known".to_owned() } else { format!("bytes {}..{}", at.start, at.end) };
    let what = format!(
        "The file ends at byte {len}: {} of {} tensors are missing or incomplete, the first is {} ({told})",
        lost.count() + 1,
        entries.len(),
        quoted(&first.name)
    );
    findings.error(NoteCode::EndOfFile, len, what, "the file was not copied whole");
}

/// Tensors of the same bytes are counted once in a file, though each is listed.
fn shared(entries: &[TensorEntry], at: u64, findings: &mut Findings) {
    let mut places: Vec<(u64, u64, usize)> = entries
        .iter()
        .enumerate()
        .filter_map(|(i, t)| match &t.place {
            Place::Here { at, .. } | Place::Strided { at, .. } if at.start < at.end => Some((at.start, at.end, i)),
            _ => None,
        })
        .collect();
    crate::order::sort(&mut places);
    for pair in places.windows(2) {
        if let [(start, end, a), (other, _, b)] = pair
            && other < end
        {
            let (a, b) = (quoted(&entries[*a].name), quoted(&entries[*b].name));
            let how = if start == other { "the same bytes" } else { "overlapping bytes" };
            findings.info(NoteCode::SharedStorages, at, format!("{a} and {b} are views of {how} of one storage"), "");
        }
    }
    let views = entries.iter().filter(|t| matches!(t.place, Place::Strided { .. })).count();
    if views > 0 {
        let what =
            format!("{views} tensors are views whose values do not lie one behind the other (transposed or sliced)");
        findings.info(NoteCode::Views, at, what, "they are put in order when shown");
    }
}

//! The byte map: every byte of a file in exactly one section.

use std::ops::Range;

use crate::model::{Place, Section, SectionKind, TensorEntry};

/// Builds the map of one file of `len` bytes from its fixed parts and its tensors.
///
/// `parts` are header ranges in order. Between them and the tensors lies [`SectionKind::Padding`] where it is
/// shorter than `alignment` and ends on a multiple of it, else a gap; after the last tensor, trailing bytes.
/// Where tensors overlap, each byte goes to the one that starts first.
pub(super) fn map(
    file: usize,
    len: u64,
    parts: &[(Range<u64>, SectionKind)],
    tensors: &[TensorEntry],
    alignment: u64,
) -> Vec<Section> {
    let mut known: Vec<(Range<u64>, SectionKind)> = parts.to_vec();
    for (i, tensor) in tensors.iter().enumerate() {
        // A strided view covers its bytes with holes; the map shows the whole run.
        if let Place::Here { file: f, at } | Place::Strided { file: f, at, .. } = &tensor.place
            && *f == file
        {
            known.push((at.clone(), SectionKind::Tensor(i)));
        }
        if let Place::Chunked { file: f, chunks, .. } = &tensor.place
            && *f == file
        {
            known.extend(chunks.list.iter().map(|chunk| (chunk.at.clone(), SectionKind::Tensor(i))));
        }
    }
    // Ends second: of two that start together the shorter comes first and both get their bytes.
    crate::order::sort_by_key(&mut known, |(at, _)| (at.start, at.end));
    let mut sections = Vec::with_capacity(known.len() * 2 + 1);
    let mut done = 0;
    for (at, kind) in known {
        let (start, end) = (at.start.max(done).min(len), at.end.min(len));
        if end <= start {
            continue;
        }
        if start > done {
            sections.push(Section { file, at: done..start, kind: between(done, start, alignment) });
        }
        sections.push(Section { file, at: start..end, kind });
        done = end;
    }
    if done < len {
        let padding = alignment > 0 && len - done < alignment && len.is_multiple_of(alignment);
        let kind = if padding { SectionKind::Padding } else { SectionKind::Trailing };
        sections.push(Section { file, at: done..len, kind });
    }
    sections
}

/// The parts of `within` that no tensor covers, for files in which tensors lie among what describes them.
pub(super) fn around(within: Range<u64>, kind: SectionKind, tensors: &[TensorEntry]) -> Vec<(Range<u64>, SectionKind)> {
    let mut known: Vec<(u64, u64)> = tensors
        .iter()
        .filter_map(|t| match &t.place {
            Place::Here { at, .. } | Place::Strided { at, .. } => Some((at.start, at.end)),
            _ => None,
        })
        .collect();
    crate::order::sort(&mut known);
    let (mut parts, mut from) = (Vec::new(), within.start);
    for (start, end) in known {
        if from < start.min(within.end) {
            parts.push((from..start.min(within.end), kind));
        }
        from = from.max(end);
    }
    if from < within.end {
        parts.push((from..within.end, kind));
    }
    parts
}

fn between(from: u64, to: u64, alignment: u64) -> SectionKind {
    let padding = alignment > 0 && to - from < alignment && to.is_multiple_of(alignment);
    if padding { SectionKind::Padding } else { SectionKind::Gap }
}

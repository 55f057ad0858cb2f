//! GGUF's tensor list: reading it, placing the tensors, and what is odd about them.

use std::collections::HashSet;

use super::{
    ALIGNMENT, GgufReader, Phase,
    value::{self, Layout},
};
use crate::{
    fault::Fault,
    formats::{
        findings::{Findings, quoted},
        sections,
    },
    model::{Cut, FormatId, Loader, ModelFile, NoteCode, Place, SectionKind, TensorEntry, Version},
    source::{Cursor, Limits, Stop, Window},
    tensor::{Encoding, Shape},
};

/// Dimensions above are taken for damage; ggml allows 4.
const DIMS_MOST: u32 = 64;
/// ggml's own maximum of dimensions.
const DIMS_GGML: usize = 4;
/// ggml's longest name, with its closing NUL.
const NAME_GGML: usize = 64;

/// One line of the tensor list as stated.
pub(super) struct Info {
    name: String,
    shape: Shape,
    encoding: Encoding,
    /// Size in bytes, where known.
    bytes: Option<u64>,
    /// Relative to the data section.
    offset: u64,
    /// Where the line itself starts.
    at: u64,
}

impl Info {
    fn new(name: String, mut shape: Vec<u64>, id: u32, offset: u64, at: u64) -> Self {
        // ggml counts the fastest dimension first.
        shape.reverse();
        let (shape, encoding) = (Shape(shape), Encoding::from_ggml(id));
        let bytes = shape.elements().and_then(|n| encoding.bytes(n, shape.row_len()));
        Self { name, shape, encoding, bytes, offset, at }
    }
    /// A line at `at` that lies wholly in `bytes`, and its length there; `None` leaves a line that is not fetched, or
    /// odd, to the careful way, which says what is wrong and where.
    fn plain(layout: Layout, bytes: &[u8], at: u64, limits: &Limits) -> Option<(Self, usize)> {
        let end = layout.string_end(bytes, 0)?;
        let name = std::str::from_utf8(bytes.get(usize::from(layout.width())..end)?).ok()?;
        let (dims, mut rest) = layout.split_u32(bytes.get(end..)?)?;
        if dims as usize > DIMS_GGML || name.len() as u64 > limits.string_bytes {
            return None;
        }
        let mut shape = Vec::with_capacity(DIMS_GGML);
        for _ in 0..dims {
            let (n, after) = layout.split_count(rest)?;
            shape.push(n);
            rest = after;
        }
        let (id, rest) = layout.split_u32(rest)?;
        let (offset, rest) = layout.split_u64(rest)?;
        Some((Self::new(name.to_owned(), shape, id, offset, at), bytes.len() - rest.len()))
    }
}

impl GgufReader {
    /// Reads one line of the tensor list.
    pub(super) fn tensor(&mut self, file: &Window, limits: &Limits) -> Result<(), Stop> {
        if self.infos.len() as u64 == self.head.tensors {
            self.complete = true;
            self.phase = Phase::Done;
            return Ok(());
        }
        if self.infos.len() as u64 == limits.tensors {
            return Err(Fault::limit(format!("more than {} tensors", limits.tensors)).at(self.at).into());
        }
        let (layout, at) = (self.layout(), self.at);
        if let Some((info, len)) = Info::plain(layout, file.rest(at), at, limits) {
            self.at = at + len as u64;
            self.infos.push(info);
            return Ok(());
        }
        let mut cursor = Cursor::new(file, at, layout.big_endian);
        let (name, valid) = value::string(&mut cursor, layout, limits, "a tensor's name")?;
        let dims_at = cursor.position();
        let dims = cursor.u32()?;
        if dims > DIMS_MOST {
            let what = format!("{dims} dimensions of {}; ggml has at most {DIMS_GGML}", quoted(&name));
            return Err(Fault::file(dims_at, what).in_file(file.name()).into());
        }
        let mut shape = Vec::with_capacity(dims as usize);
        for _ in 0..dims {
            shape.push(layout.count(&mut cursor)?);
        }
        let id = cursor.u32()?;
        // Offsets are 64-bit in every version.
        let offset = cursor.u64()?;
        self.at = cursor.position();
        if !valid {
            self.findings.warn(NoteCode::Names, at, format!("The tensor name {} is not UTF-8", quoted(&name)), "");
        }
        self.infos.push(Info::new(name, shape, id, offset, at));
        Ok(())
    }
}

/// The finished description of the file.
pub(super) fn model(reader: GgufReader, file: &Window) -> ModelFile {
    let GgufReader { head, at, metadata, metadata_end, infos, complete, short, alignment, mut findings, .. } = reader;
    let alignment = alignment.unwrap_or(ALIGNMENT);
    // Without its end, the list does not tell where the data starts: nothing can be placed.
    let data = complete.then(|| at.next_multiple_of(alignment));
    for info in &infos {
        check(info, &mut findings);
    }
    check_names(&infos, &mut findings);
    let places = match data {
        Some(data) => Layer { data, alignment, len: file.len(), name: file.name() }.place(&infos, &mut findings),
        None => vec![Place::Absent; infos.len()],
    };
    let tensors: Vec<TensorEntry> = infos
        .into_iter()
        .zip(places)
        .map(|(Info { name, shape, encoding, bytes, .. }, place)| TensorEntry { name, shape, encoding, place, bytes })
        .collect();
    // Later parts of a split model leave it to the first.
    let first = metadata.unsigned("split.no").is_none_or(|no| no == 0);
    if complete && first && !tensors.is_empty() && metadata.string("general.architecture").is_none() {
        findings.warn(
            NoteCode::Architecture,
            head.end,
            "general.architecture is missing",
            "llama.cpp needs it to run the file",
        );
    }
    let parts = [
        (0..head.end, SectionKind::Header),
        (head.end..metadata_end, SectionKind::Metadata),
        (metadata_end..at, SectionKind::TensorList),
    ];
    let sections = sections::map(0, file.len(), &parts, &tensors, alignment);
    ModelFile {
        format: FormatId::Gguf,
        version: Version::counted(u64::from(head.version)).big_endian(head.big_endian),
        files: Vec::new(),
        metadata,
        tensors,
        graph: None,
        sections,
        notes: findings.finish(),
        cuts: short.then_some(Cut { file: 0, needs: None, announced: Some(head.tensors) }).into_iter().collect(),
        awaited: Vec::new(),
    }
}

/// What is odd about one line by itself.
fn check(info: &Info, findings: &mut Findings) {
    let name = || quoted(&info.name);
    let dims = &info.shape.0;
    if info.name.is_empty() {
        findings.warn(NoteCode::UnnamedTensors, info.at, "A tensor has no name", "nothing can look it up");
    }
    if info.name.len() >= NAME_GGML {
        let what = format!("The name {} has {} bytes", name(), info.name.len());
        findings.warn(
            NoteCode::LongNames,
            info.at,
            what,
            Loader::LlamaCpp.refuses("llama.cpp refuses names of 64 bytes and more"),
        );
    }
    if dims.len() > DIMS_GGML {
        let what = format!("{} has {} dimensions", name(), dims.len());
        findings.warn(NoteCode::Dimensions, info.at, what, Loader::LlamaCpp.refuses("llama.cpp refuses more than 4"));
    }
    if dims.iter().any(|d| i64::try_from(*d).is_err())
        || info.shape.elements().is_none_or(|n| i64::try_from(n).is_err())
    {
        let what = format!("{} of shape {} has more elements than 63 bits count", name(), info.shape);
        findings.error(
            NoteCode::Sizes,
            info.at,
            what,
            Loader::LlamaCpp
                .refuses("such a tensor cannot exist; its bytes are not placed; llama.cpp refuses the file"),
        );
    } else if dims.contains(&0) {
        findings.info(
            NoteCode::EmptyTensors,
            info.at,
            format!("{} is empty: shape {}", name(), info.shape),
            "llama.cpp refused empty dimensions before mid-2026",
        );
    }
    match info.encoding {
        Encoding::UnknownGgml(_) => {
            let what = format!("{} is of {}, whose size Glassbox does not know", name(), info.encoding);
            findings.warn(
                NoteCode::Types,
                info.at,
                what,
                Loader::LlamaCpp.refuses("its size follows only from the next tensor; llama.cpp refuses the file"),
            );
        }
        encoding => check_size(info, encoding, findings),
    }
}

/// Whole blocks in each row, and a size that 64 bits count.
fn check_size(info: &Info, encoding: Encoding, findings: &mut Findings) {
    let countable = info.shape.elements().is_some_and(|n| i64::try_from(n).is_ok());
    if info.bytes.is_some() || !countable {
        return;
    }
    let Some(block) = encoding.spec().map(|s| u64::from(s.block_len)) else { return };
    let (name, row) = (quoted(&info.name), info.shape.row_len());
    if row % block != 0 {
        let what = format!("Rows of {name} hold {row} elements, no multiple of {encoding}'s {block}");
        findings.error(
            NoteCode::Rows,
            info.at,
            what,
            Loader::LlamaCpp.refuses("the rows cannot be stored; llama.cpp refuses the file"),
        );
    } else {
        let what = format!("{name} of shape {} takes more bytes than 64 bits count", info.shape);
        findings.error(
            NoteCode::Sizes,
            info.at,
            what,
            Loader::LlamaCpp
                .refuses("such a tensor cannot exist; its bytes are not placed; llama.cpp refuses the file"),
        );
    }
}

fn check_names(infos: &[Info], findings: &mut Findings) {
    let mut seen = HashSet::with_capacity(infos.len());
    for info in infos {
        if !seen.insert(info.name.as_str()) {
            let what = format!("More than one tensor is named {}", quoted(&info.name));
            findings.error(
                NoteCode::DuplicateNames,
                info.at,
                what,
                Loader::LlamaCpp.refuses("two readers may see two models; llama.cpp refuses the file"),
            );
        }
    }
}

/// The data section.
struct Layer<'a> {
    data: u64,
    alignment: u64,
    len: u64,
    name: &'a str,
}

impl Layer<'_> {
    /// Places every tensor: in the file, beyond its end, or nowhere.
    fn place(&self, infos: &[Info], findings: &mut Findings) -> Vec<Place> {
        let starts: Vec<Option<u64>> = infos.iter().map(|info| self.data.checked_add(info.offset)).collect();
        let key = |i: usize| (starts[i].unwrap_or(u64::MAX), infos[i].bytes.unwrap_or(0));
        let order = crate::order::indices(infos.len(), &mut |a, b| key(a).cmp(&key(b)));
        let ends = self.ends(infos, &starts, &order);
        self.check_offsets(infos, findings);
        self.check_overlap(infos, &starts, &ends, &order, findings);
        let mut cut: Vec<usize> = Vec::new();
        let places = (0..infos.len())
            .map(|i| {
                let info = &infos[i];
                let (Some(start), Some(end)) = (starts[i], ends[i]) else {
                    if starts[i].is_none() || info.bytes.is_some() {
                        let what = format!("{} would end beyond 64 bits: offset {}", quoted(&info.name), info.offset);
                        findings.error(
                            NoteCode::Offsets,
                            info.at,
                            what,
                            Loader::LlamaCpp.refuses("its bytes are not placed; llama.cpp refuses the file"),
                        );
                    }
                    return Place::Absent;
                };
                if end > self.len || start > self.len {
                    cut.push(i);
                    return Place::Missing { file: self.name.to_owned(), at: start..end };
                }
                Place::Here { file: 0, at: start..end }
            })
            .collect();
        self.check_end(infos, &starts, &ends, &mut cut, findings);
        places
    }
    /// Where each tensor ends; one of unknown size at the next one's start.
    fn ends(&self, infos: &[Info], starts: &[Option<u64>], order: &[usize]) -> Vec<Option<u64>> {
        let mut ends = vec![None; infos.len()];
        // The nearest start after the tensor at hand; equal starts do not bound each other.
        let (mut next, mut current) = (self.len, None);
        for &i in order.iter().rev() {
            let Some(start) = starts[i] else { continue };
            if current != Some(start) {
                if let Some(passed) = current {
                    next = passed;
                }
                current = Some(start);
            }
            ends[i] = match infos[i].encoding {
                Encoding::UnknownGgml(_) if infos[i].shape.elements().is_some() => Some(next.max(start)),
                _ => infos[i].bytes.and_then(|n| start.checked_add(n)),
            };
        }
        ends
    }
    /// llama.cpp expects each tensor exactly where the padded sizes before it end.
    fn check_offsets(&self, infos: &[Info], findings: &mut Findings) {
        let mut expected = Some(0u64);
        for info in infos {
            let name = || quoted(&info.name);
            if info.offset % self.alignment != 0 {
                let what = format!("{} starts at {}, no multiple of {}", name(), info.offset, self.alignment);
                findings.warn(
                    NoteCode::AlignmentOfTensors,
                    info.at,
                    what,
                    Loader::LlamaCpp.refuses("llama.cpp refuses the file"),
                );
            } else if let Some(at) = expected
                && at != info.offset
            {
                let what = format!("{} starts at {} of the data, {at} expected", name(), info.offset);
                findings.warn(
                    NoteCode::OrderOfTensors,
                    info.at,
                    what,
                    Loader::LlamaCpp.refuses("llama.cpp refuses gaps and another order"),
                );
            }
            let padded = |n: u64| info.offset.checked_add(n)?.checked_next_multiple_of(self.alignment);
            expected = info.bytes.and_then(padded);
        }
    }
    fn check_overlap(
        &self,
        infos: &[Info],
        starts: &[Option<u64>],
        ends: &[Option<u64>],
        order: &[usize],
        findings: &mut Findings,
    ) {
        let mut last: Option<(u64, usize)> = None;
        for &i in order {
            let (Some(start), Some(end)) = (starts[i], ends[i]) else { continue };
            if end == start {
                continue;
            }
            if let Some((before, j)) = last
                && start < before
            {
                let (a, b) = (quoted(&infos[j].name), quoted(&infos[i].name));
                let what = format!("{b} (bytes {start}..{end}) overlaps {a}, which ends at byte {before}");
                findings.error(
                    NoteCode::Overlaps,
                    infos[i].at,
                    what,
                    Loader::LlamaCpp.refuses("no writer stores tensors so; llama.cpp refuses the file"),
                );
            }
            if last.is_none_or(|(before, _)| end > before) {
                last = Some((end, i));
            }
        }
    }
    /// Is the file as long as its tensors say?
    fn check_end(
        &self,
        infos: &[Info],
        starts: &[Option<u64>],
        ends: &[Option<u64>],
        cut: &mut Vec<usize>,
        findings: &mut Findings,
    ) {
        crate::order::sort_by_key(cut, |i| starts[*i]);
        let last = ends.iter().flatten().copied().max().unwrap_or(0);
        let padded = last.checked_next_multiple_of(self.alignment).unwrap_or(u64::MAX);
        if let Some(&first) = cut.first() {
            let (start, end) = (starts[first].unwrap_or(0), ends[first].unwrap_or(0));
            let what = format!(
                "The file ends at byte {}, its tensors at byte {last}: {} of {} are missing or incomplete, the first is {} (bytes {start}..{end})",
                self.len,
                cut.len(),
                infos.len(),
                quoted(&infos[first].name)
            );
            findings.error(
                NoteCode::EndOfFile,
                self.len,
                what,
                Loader::LlamaCpp.refuses(
                    "the file was not copied whole, or a tensor's offset is wrong; llama.cpp refuses the file",
                ),
            );
        } else if !infos.is_empty() && self.len < padded {
            let what = format!("The padding after the last tensor is cut: the file ends at byte {}", self.len);
            findings.info(NoteCode::Padding, self.len, what, "no value is lost");
        } else if infos.is_empty() && self.len > self.data {
            let what = format!("{} bytes follow a header without tensors", self.len - self.data);
            findings.warn(NoteCode::Trailing, self.data, what, "nothing names these bytes");
        } else if self.len > padded && !infos.is_empty() {
            let what = format!("{} bytes follow the last tensor", self.len - last);
            findings.warn(NoteCode::Trailing, last, what, "nothing names these bytes");
        }
    }
}

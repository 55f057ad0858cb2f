//! llama.cpp's importance matrices before they became GGUF files (`imatrix.dat`, until July 2025): no magic, so the
//! numbers must fit. Source: llama.cpp `tools/imatrix/imatrix.cpp` (load_imatrix_legacy).
//!
//! ```text
//! entries i32 | for each: name length i32 | name | calls i32 | values i32 | values f32... |
//! then, in files of 2024 and later: chunks i32 | length i32 | name of the text
//! ```

use super::{
    Format, Match, Reader,
    findings::{Findings, quoted},
    sections,
};
use crate::{
    fault::Fault,
    model::{
        Cut, FormatId, MetaType, MetaValue, Metadata, ModelFile, NoteCode, Place, SectionKind, TensorEntry, Version,
    },
    source::{Cursor, Limits, Stop, Window},
    tensor::{Encoding, Shape},
};

/// Names longer than this are taken for damage.
const NAME_MOST: u64 = 255;
/// Entries of one file; one for each matrix of a model.
const ENTRIES_MOST: u64 = 1_000_000;

pub(super) struct Imatrix;

impl Format for Imatrix {
    fn id(&self) -> FormatId {
        FormatId::Imatrix
    }
    fn sniff(&self, head: &[u8], _name: &str, len: u64) -> Match {
        if is_first_entry(head, len) { Match::ByContent } else { Match::No }
    }
    fn reader(&self) -> Box<dyn Reader> {
        Box::<ImatrixReader>::default()
    }
}

/// True where the first bytes are a count, and a name as ggml gives matrices with the number of its values.
fn is_first_entry(head: &[u8], len: u64) -> bool {
    let number = |at: usize| -> Option<u64> {
        let bytes: [u8; 4] = head.get(at..at.checked_add(4)?)?.try_into().ok()?;
        u64::try_from(i32::from_le_bytes(bytes)).ok()
    };
    let first = || {
        let (count, name_len) = (number(0)?, number(4).filter(|n| (1..=NAME_MOST).contains(n))? as usize);
        let name = head.get(8..8 + name_len)?;
        let (_calls, values) = (number(8 + name_len)?, number(12 + name_len)?);
        let plausible = name.ends_with(b".weight") && name.iter().all(|b| b.is_ascii_graphic());
        let fits = values > 0 && (16 + name_len as u64).checked_add(values.checked_mul(4)?)? <= len;
        Some((1..=ENTRIES_MOST).contains(&count) && plausible && fits)
    };
    first() == Some(true)
}

#[derive(Default)]
struct ImatrixReader {
    at: u64,
    count: Option<u64>,
    entries: Vec<TensorEntry>,
    /// How often a matrix was used while it was measured, at most.
    calls: u32,
    metadata: Metadata,
    /// Bytes of names and counts, for the byte map.
    lists: Vec<std::ops::Range<u64>>,
    cut: bool,
    findings: Findings,
}

impl Reader for ImatrixReader {
    fn advance(&mut self, file: &Window, limits: &Limits) -> Result<(), Stop> {
        loop {
            match self.step(file, limits) {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(Stop::Bad(fault)) if self.count.is_some() => {
                    let at = fault.at.unwrap_or(self.at).min(file.len());
                    let what = format!("The file could not be read to its end: {}", fault.what);
                    self.findings.error(NoteCode::Cut, at, what, "the file is damaged or was not copied whole");
                    self.cut = true;
                    return Ok(());
                }
                Err(stop) => return Err(stop),
            }
        }
    }
    fn position(&self) -> u64 {
        self.at
    }
    fn finish(self: Box<Self>, file: &Window) -> ModelFile {
        self.model(file)
    }
}

impl ImatrixReader {
    /// Reads the count, an entry, or what follows them; false at the end.
    fn step(&mut self, file: &Window, limits: &Limits) -> Result<bool, Stop> {
        let mut cursor = Cursor::new(file, self.at, false);
        let Some(count) = self.count else {
            let count = u64::from(cursor.u32()?);
            if !(1..=ENTRIES_MOST).contains(&count) {
                return Err(Fault::file(0, format!("{count} entries; 1 to {ENTRIES_MOST} expected")).into());
            }
            self.count = Some(count);
            self.at = cursor.position();
            return Ok(true);
        };
        if self.entries.len() as u64 == count {
            return self.trailer(file).map(|()| false);
        }
        if self.entries.len() as u64 == limits.tensors {
            return Err(Fault::limit(format!("more than {} tensors; the limit", limits.tensors)).at(self.at).into());
        }
        let start = self.at;
        let name_len = u64::from(cursor.u32()?);
        if !(1..=NAME_MOST).contains(&name_len) {
            let what = format!("a name of {name_len} bytes; 1 to {NAME_MOST} expected");
            return Err(Fault::file(start, what).into());
        }
        let name = String::from_utf8_lossy(cursor.take(name_len)?).into_owned();
        let calls = cursor.u32()?;
        let values = u64::from(cursor.u32()?);
        let from = cursor.position();
        let bytes = values * 4;
        let place = match from + bytes <= file.len() {
            true => Place::Here { file: 0, at: from..from + bytes },
            false => Place::Missing { file: file.name().to_owned(), at: from..from + bytes },
        };
        if values == 0 {
            let what = format!("{} has no values", quoted(&name));
            self.findings.warn(NoteCode::EmptyTensors, start, what, "llama-quantize refuses the file");
        }
        self.lists.push(start..from);
        self.calls = self.calls.max(calls);
        let shape = Shape(vec![values]);
        self.entries.push(TensorEntry { name, shape, encoding: Encoding::F32, place, bytes: Some(bytes) });
        self.at = from + bytes;
        if self.at > file.len() {
            let what = format!("the values end at byte {}, the file at byte {}", self.at, file.len());
            self.at = file.len();
            return Err(Fault::file(file.len(), what).into());
        }
        Ok(true)
    }
    /// How many chunks were measured, and of which text.
    fn trailer(&mut self, file: &Window) -> Result<(), Stop> {
        let left = file.len().saturating_sub(self.at);
        if left == 0 {
            let what = "The file ends after its entries, without the number of chunks and the name of the text";
            let why = "files before 2024 end so; a later one was cut";
            self.findings.info(NoteCode::Unstated, self.at, what, why);
        }
        if left < 8 {
            return Ok(());
        }
        let mut cursor = Cursor::new(file, self.at, false);
        let (chunks, len) = (cursor.u32()?, u64::from(cursor.u32()?));
        if len > left - 8 {
            return Ok(());
        }
        let text = String::from_utf8_lossy(cursor.take(len)?).into_owned();
        self.metadata.push("imatrix.chunk_count", MetaValue::Unsigned(u64::from(chunks), MetaType::U32));
        self.metadata.push("imatrix.dataset", MetaValue::String(text));
        self.lists.push(self.at..cursor.position());
        self.at = cursor.position();
        Ok(())
    }
    fn model(mut self, file: &Window) -> ModelFile {
        let mut metadata = std::mem::take(&mut self.metadata);
        let count = self.count.unwrap_or(0);
        metadata.push("imatrix.entries", MetaValue::Unsigned(count, MetaType::U32));
        metadata.push("imatrix.calls", MetaValue::Unsigned(u64::from(self.calls), MetaType::U32));
        if !self.cut && self.at < file.len() {
            let what = format!("{} bytes follow the last entry", file.len() - self.at);
            self.findings.warn(NoteCode::TrailingBytes, self.at, what, "nothing names these bytes");
        }
        let mut parts = vec![(0..4.min(file.len()), SectionKind::Header)];
        parts.extend(self.lists.into_iter().map(|list| (list, SectionKind::TensorList)));
        let sections = sections::map(0, file.len(), &parts, &self.entries, 0);
        let cut = Cut { file: 0, needs: None, announced: Some(count) };
        ModelFile {
            format: FormatId::Imatrix,
            version: Version::from("imatrix.dat"),
            files: Vec::new(),
            metadata,
            tensors: self.entries,
            graph: None,
            sections,
            notes: self.findings.finish(),
            cuts: self.cut.then_some(cut).into_iter().collect(),
            awaited: Vec::new(),
        }
    }
}

//! safetensors (`README.md`, Format, of huggingface/safetensors).
//!
//! ```text
//! n u64 | n bytes of JSON {"name": {"dtype", "shape", "data_offsets": [begin, end]}, "__metadata__": {...}} | data
//! ```
//! The crate `safetensors` describes places by `usize`, 32 bits in a browser, and takes the last of repeated names;
//! so the header is read here, with 64-bit places, and every oddity noted. Tests hold it against the crate.

mod header;
mod layout;

use super::{Format, Match, Reader, findings::Findings};
use crate::{
    fault::Fault,
    model::{Cut, FormatId, ModelFile, NoteCode, SectionKind, Version},
    source::{Cursor, Limits, Stop, Window},
};

/// The longest header that the format allows.
const HEADER_MOST: u64 = 100_000_000;

pub(super) struct Safetensors;

impl Format for Safetensors {
    fn id(&self) -> FormatId {
        FormatId::Safetensors
    }
    fn sniff(&self, head: &[u8], name: &str, len: u64) -> Match {
        let Some((n, text)) = head.split_first_chunk::<8>() else { return Match::No };
        let n = u64::from_le_bytes(*n);
        let text = text.trim_ascii_start();
        // A length above the limit is still recognised, by what only such a header starts with.
        let plausible = (2..=HEADER_MOST).contains(&n) || text.starts_with(b"{\"") && n < 1 << 40;
        let fits = n.checked_add(8).is_some_and(|end| end <= len);
        match text.first() {
            Some(b'{') if plausible && (fits || text.starts_with(b"{\"")) => Match::ByContent,
            _ if name.ends_with(".safetensors") => Match::ByName,
            _ => Match::No,
        }
    }
    fn reader(&self) -> Box<dyn Reader> {
        Box::<SafetensorsReader>::default()
    }
}

#[derive(Default)]
struct SafetensorsReader {
    length: u64,
    header: header::Header,
    findings: Findings,
    done: bool,
}

impl Reader for SafetensorsReader {
    fn advance(&mut self, file: &Window, limits: &Limits) -> Result<(), Stop> {
        if self.done {
            return Ok(());
        }
        self.length = Cursor::new(file, 0, false).u64()?;
        let most = HEADER_MOST.min(limits.header_bytes);
        if self.length > most {
            let what = format!("a header of {} bytes announced; the limit is {most}", self.length);
            return Err(Fault::limit(what).at(0).in_file(file.name()).into());
        }
        let end = (8 + self.length).min(file.len());
        let text = file.bytes(8..end)?;
        if text.trim_ascii_start().first().is_some_and(|b| *b != b'{') {
            let what = format!("'{{' expected, byte {:#04x} found: no safetensors header", text[0]);
            return Err(Fault::file(8, what).in_file(file.name()).into());
        }
        if 8 + self.length > file.len() {
            let what = format!(
                "The header is cut: it should end at byte {}, the file ends at byte {}",
                8 + self.length,
                file.len()
            );
            self.findings.error(NoteCode::Cut, file.len(), what, "the file was not copied whole");
        }
        header::read(text, &mut self.header, &mut self.findings, limits);
        self.done = true;
        Ok(())
    }
    fn position(&self) -> u64 {
        0
    }
    fn finish(self: Box<Self>, file: &Window) -> ModelFile {
        let mut reader = *self;
        let data = 8 + reader.length;
        let metadata = std::mem::take(&mut reader.header.metadata);
        let tensors = layout::place(reader.header, data, file, &mut reader.findings);
        let list = 8.min(file.len())..data.min(file.len());
        let parts = [(0..list.start, SectionKind::Header), (list, SectionKind::TensorList)];
        let announced = Cut { file: 0, needs: Some(data), announced: None };
        let sections = super::sections::map(0, file.len(), &parts, &tensors, 0);
        ModelFile {
            format: FormatId::Safetensors,
            version: Version::default(),
            files: Vec::new(),
            metadata,
            tensors,
            graph: None,
            sections,
            notes: reader.findings.finish(),
            cuts: (data > file.len()).then_some(announced).into_iter().collect(),
            awaited: Vec::new(),
        }
    }
}

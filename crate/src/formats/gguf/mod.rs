//! GGUF, versions 1 to 3, either byte order (`ggml/include/gguf.h`, `docs/gguf.md`).
//!
//! ```text
//! "GGUF" | version u32 | tensors | entries | key type value ... | name dims type offset ... | padding | data
//! ```
//! Counts and lengths are u32 in version 1 and u64 later. Whatever can be read is listed; what llama.cpp
//! would refuse is noted with its reason.

mod array;
mod tensors;
mod value;

use std::collections::HashSet;

use self::{
    array::Walk,
    tensors::Info,
    value::{Layout, kind},
};
use super::{
    Format, Match, Reader,
    findings::{Findings, quoted},
};
use crate::{
    fault::Fault,
    model::{FormatId, Loader, MetaType, MetaValue, Metadata, ModelFile, NoteCode},
    source::{Cursor, Limits, Stop, Window},
};

pub(super) use value::Layout as ArrayLayout;

/// Alignment where `general.alignment` says nothing.
const ALIGNMENT: u64 = 32;
/// Alignments above are taken for damage (proposed cap of ggml PR #1516).
const ALIGNMENT_MOST: u64 = 1 << 20;
/// The newest version of the format.
const NEWEST: u32 = 3;

pub(super) struct Gguf;

impl Format for Gguf {
    fn id(&self) -> FormatId {
        FormatId::Gguf
    }
    fn sniff(&self, head: &[u8], _name: &str, _len: u64) -> Match {
        if head.starts_with(b"GGUF") || head.starts_with(b"FUGG") { Match::ByContent } else { Match::No }
    }
    fn reader(&self) -> Box<dyn Reader> {
        Box::<GgufReader>::default()
    }
}

#[derive(Default, PartialEq, Clone, Copy)]
enum Phase {
    #[default]
    Start,
    Metadata,
    Tensors,
    Done,
}

/// What the header promises.
#[derive(Default, Clone, Copy)]
struct Head {
    version: u32,
    big_endian: bool,
    tensors: u64,
    entries: u64,
    /// Where the key/value metadata starts.
    end: u64,
}

/// Reads a header piece by piece; `at` is the first byte not yet understood.
#[derive(Default)]
struct GgufReader {
    phase: Phase,
    at: u64,
    head: Head,
    /// An array value that is being walked: its key, where the entry starts.
    walk: Option<(String, u64, Walk)>,
    keys: HashSet<String>,
    metadata: Metadata,
    entries_read: u64,
    metadata_end: u64,
    infos: Vec<Info>,
    /// Everything was read to its end.
    complete: bool,
    /// The file ended before the header did.
    short: bool,
    /// `general.alignment`, and where it is stated.
    alignment: Option<u64>,
    findings: Findings,
}

impl Reader for GgufReader {
    fn advance(&mut self, file: &Window, limits: &Limits) -> Result<(), Stop> {
        loop {
            let step = match self.phase {
                Phase::Start => {
                    self.start(file, limits)?;
                    Ok(())
                }
                Phase::Done => return Ok(()),
                _ if self.at > limits.header_bytes => {
                    Err(Fault::limit(format!("the header is longer than {} bytes", limits.header_bytes))
                        .at(self.at)
                        .into())
                }
                Phase::Metadata => self.entry(file, limits),
                Phase::Tensors => self.tensor(file, limits),
            };
            match step {
                Ok(()) => {}
                Err(Stop::Bad(fault)) => self.give_up(&fault),
                Err(need) => return Err(need),
            }
        }
    }
    fn position(&self) -> u64 {
        self.walk.as_ref().map_or(self.at, |(_, _, walk)| walk.position())
    }
    fn finish(self: Box<Self>, file: &Window) -> ModelFile {
        tensors::model(*self, file)
    }
}

impl GgufReader {
    fn layout(&self) -> Layout {
        Layout { big_endian: self.head.big_endian, wide: self.head.version >= 2 }
    }
    fn start(&mut self, file: &Window, limits: &Limits) -> Result<(), Stop> {
        let mut cursor = Cursor::new(file, 0, false);
        let swapped = cursor.take(4)? == b"FUGG";
        // The magic is never swapped in big-endian files; a version whose low half is empty tells them (1 as 0x01000000).
        let raw = cursor.u32()?;
        let big_endian = raw & 0xffff == 0 && raw != 0;
        let version = if big_endian { raw.swap_bytes() } else { raw };
        if version == 0 || version > NEWEST {
            let fault = Fault::unsupported(format!("GGUF version {version}; Glassbox knows 1 to {NEWEST}"));
            return Err(fault.at(4).in_file(file.name()).into());
        }
        let mut cursor = Cursor::new(file, 8, big_endian);
        let layout = Layout { big_endian, wide: version >= 2 };
        let (tensors, entries) = (layout.count(&mut cursor)?, layout.count(&mut cursor)?);
        let end = cursor.position();
        self.head = Head { version, big_endian, tensors, entries, end };
        let width = u64::from(layout.width());
        let fits = |n: u64, least: u64| n.checked_mul(least).is_some_and(|all| all <= cursor.remaining());
        if swapped {
            self.swapped_magic(file, end)?;
        }
        if version == 1 {
            self.findings.warn(
                NoteCode::Version1,
                4,
                "GGUF version 1, of August 2023",
                Loader::LlamaCpp.refuses("llama.cpp refuses version 1"),
            );
        }
        if entries > limits.metadata {
            let what = format!("{entries} metadata entries announced; the limit is {}", limits.metadata);
            return Err(Fault::limit(what).at(8 + width).in_file(file.name()).into());
        }
        if !fits(entries, width + 5) {
            let what =
                format!("{entries} metadata entries announced; the {} bytes left hold fewer", cursor.remaining());
            self.findings.error(
                NoteCode::Counts,
                8 + width,
                what,
                Loader::LlamaCpp.refuses("the count is wrong or the file is cut short; llama.cpp refuses the file"),
            );
        }
        if tensors > limits.tensors || !fits(tensors, 2 * width + 8) {
            let what = format!("{tensors} tensors announced; the {} bytes left hold fewer", cursor.remaining());
            self.findings.error(
                NoteCode::Counts,
                8,
                what,
                Loader::LlamaCpp.refuses("the count is wrong or the file is cut short; llama.cpp refuses the file"),
            );
        }
        self.at = end;
        self.metadata_end = end;
        self.phase = Phase::Metadata;
        Ok(())
    }
    /// Files of the very first writers start with "FUGG"; those of the draft before it type every name.
    fn swapped_magic(&mut self, file: &Window, end: u64) -> Result<(), Stop> {
        if file.len() >= end + 8 {
            // The draft's first field is 8, the type of the key; here it is the key's length and letters follow.
            let mut cursor = Cursor::new(file, end, false);
            if cursor.u32()? == 8 && cursor.u32()? < 1 << 16 {
                let what = "GGUF of a draft before version 1, in which every name is preceded by its type";
                return Err(Fault::unsupported(what).at(end).in_file(file.name()).into());
            }
        }
        self.findings.warn(
            NoteCode::Magic,
            0,
            "The file starts with FUGG, GGUF spelt backwards",
            Loader::LlamaCpp.refuses("llama.cpp refuses this magic"),
        );
        Ok(())
    }
    /// Reads one key and its value.
    fn entry(&mut self, file: &Window, limits: &Limits) -> Result<(), Stop> {
        let layout = self.layout();
        if let Some((_, _, walk)) = &mut self.walk {
            let array = walk.advance(file, layout, limits)?;
            let Some((key, at, walk)) = self.walk.take() else { return Ok(()) };
            self.at = walk.position();
            if array.item == MetaType::Array {
                let what = format!("{} is an array of arrays", quoted(&key));
                self.findings.warn(
                    NoteCode::NestedArrays,
                    at,
                    what,
                    Loader::LlamaCpp.refuses("llama.cpp refuses arrays of arrays"),
                );
            }
            if walk.broken_text > 0 {
                let what = format!("{} of the first strings of {} are not UTF-8", walk.broken_text, quoted(&key));
                self.findings.info(NoteCode::ArrayText, at, what, "token pieces may be parts of characters");
            }
            self.push(key, at, MetaValue::Array(array));
            return Ok(());
        }
        if self.entries_read == self.head.entries {
            self.metadata_end = self.at;
            self.phase = Phase::Tensors;
            return Ok(());
        }
        let at = self.at;
        let mut cursor = Cursor::new(file, at, layout.big_endian);
        let (key, valid) = value::string(&mut cursor, layout, limits, "a metadata key")?;
        let type_at = cursor.position();
        let id = cursor.u32()?;
        let Some(kind) = kind(id) else {
            let what = format!("value type {id} of {}; GGUF defines 0 to 12", quoted(&key));
            return Err(Fault::file(type_at, what).in_file(file.name()).into());
        };
        let value_at = cursor.position();
        let value = match kind {
            MetaType::Array => {
                self.check_key(&key, valid, at);
                self.walk = Some((key, at, Walk::start(value_at)));
                return Ok(());
            }
            MetaType::String => {
                let (text, valid) = value::string(&mut cursor, layout, limits, "a metadata string")?;
                if !valid {
                    let what = format!("The value of {} is not UTF-8; broken bytes are shown as �", quoted(&key));
                    self.findings.warn(NoteCode::Text, value_at, what, "GGUF strings are UTF-8");
                }
                MetaValue::String(text)
            }
            MetaType::Bool => {
                let raw = cursor.u8()?;
                if raw > 1 {
                    let what = format!("The boolean {} is stored as {raw}", quoted(&key));
                    self.findings.info(
                        NoteCode::Booleans,
                        value_at,
                        what,
                        "0 and 1 are usual; anything but 0 is read as true",
                    );
                }
                MetaValue::Bool(raw != 0)
            }
            kind => value::number(&mut cursor, kind)?,
        };
        self.check_key(&key, valid, at);
        self.at = cursor.position();
        if key == "general.alignment" {
            self.set_alignment(&value, value_at);
        }
        self.push(key, at, value);
        Ok(())
    }
    fn push(&mut self, key: String, at: u64, value: MetaValue) {
        if key == "general.alignment" && matches!(value, MetaValue::Array(_)) {
            self.set_alignment(&value, at);
        }
        if !self.keys.insert(key.clone()) {
            let what = format!("The key {} appears more than once; the first counts", quoted(&key));
            self.findings.error(
                NoteCode::DuplicateKeys,
                at,
                what,
                Loader::LlamaCpp.refuses("two readers may see two values; llama.cpp refuses the file"),
            );
        }
        self.metadata.push_at(key, value, 0, at);
        self.entries_read += 1;
        self.metadata_end = self.at;
    }
    fn check_key(&mut self, key: &str, valid: bool, at: u64) {
        if key.is_empty() {
            self.findings.error(
                NoteCode::EmptyKeys,
                at,
                "A metadata key is empty",
                Loader::LlamaCpp.refuses("llama.cpp refuses the file"),
            );
        }
        if key.len() > usize::from(u16::MAX) {
            let what = format!("A metadata key of {} bytes", key.len());
            self.findings.warn(NoteCode::LongKeys, at, what, "keys have at most 65535 bytes");
        }
        if !valid {
            self.findings.warn(NoteCode::Keys, at, format!("The key {} is not UTF-8", quoted(key)), "keys are ASCII");
        }
    }
    fn set_alignment(&mut self, value: &MetaValue, at: u64) {
        if self.keys.contains("general.alignment") {
            return;
        }
        let stated = match value {
            MetaValue::Unsigned(n, _) => Some(*n),
            MetaValue::Signed(n, _) => u64::try_from(*n).ok(),
            _ => None,
        };
        if value.kind() != MetaType::U32 {
            let what = format!("general.alignment is of type {}, u32 expected", value.kind().name());
            self.findings.error(NoteCode::Alignment, at, what, Loader::LlamaCpp.refuses("llama.cpp refuses the file"));
        }
        match stated {
            Some(n) if n.is_power_of_two() && n <= ALIGNMENT_MOST => self.alignment = Some(n),
            Some(n) => {
                let what = format!("general.alignment is {n}; a power of two up to {ALIGNMENT_MOST} expected");
                self.findings.error(
                    NoteCode::Alignment,
                    at,
                    what,
                    Loader::LlamaCpp.refuses("32 is assumed; llama.cpp refuses the file"),
                );
            }
            None => {}
        }
    }
    /// Notes why the header could not be read to its end; what was read stays.
    fn give_up(&mut self, fault: &Fault) {
        if let Some((key, at, walk)) = self.walk.take() {
            let what = format!("The array {} could not be read to its end", quoted(&key));
            self.findings.error(NoteCode::Cut, walk.position(), what, "its entry is left out");
            self.at = at;
        }
        let what = format!(
            "The header could not be read to its end: {}. Shown are {} of {} metadata entries and {} of {} tensors",
            fault.what,
            self.entries_read,
            self.head.entries,
            self.infos.len(),
            self.head.tensors
        );
        self.findings.error(
            NoteCode::Cut,
            fault.at.unwrap_or(self.at),
            what,
            Loader::LlamaCpp.refuses("the file is damaged or was not copied whole; llama.cpp refuses the file"),
        );
        self.short = fault.short;
        self.phase = Phase::Done;
    }
}

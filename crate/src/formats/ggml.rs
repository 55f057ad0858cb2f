//! The containers before GGUF: ggml (no version), ggmf, ggjt and ggla, with the layouts of llama.cpp, whisper.cpp (speech,
//! parakeet, voice activity) and rwkv.cpp. Sources: llama.cpp's `convert_llama_ggml_to_gguf.py`, whisper.cpp's and rwkv.cpp's loaders.
//!
//! ```text
//! magic | [version u32] | hyper-parameters u32... | [filters] | [tokens] | tensors to the end of the file:
//!     dims u32 | name length u32 | type u32 | sizes u32... | name | [to a multiple of 32] | values
//! ```
//! The magic does not say which layout follows; what the numbers say of each other does.

mod guess;
mod layouts;
mod vad;

use guess::{unversioned, whisper_size};
use layouts::Layout;

use std::ops::Range;

use super::{
    Format, Match, Reader,
    findings::{Findings, quoted},
    sections,
};
use crate::{
    fault::Fault,
    model::{
        Cut, FormatId, MetaArray, MetaType, MetaValue, Metadata, ModelFile, Note, NoteCode, Place, SectionKind,
        Severity, TensorEntry,
    },
    source::{Cursor, Limits, Stop, Window},
    tensor::{Encoding, Shape},
};

/// Longest token and tensor name (llama.cpp's converter has the same limit).
const NAME_MOST: u64 = 4096;
const DIMS_MOST: u32 = 4;
/// Values are padded to this from the start of the file in ggjt and ggla.
const ALIGNMENT: u64 = 32;

pub(super) struct Ggml;

impl Format for Ggml {
    fn id(&self) -> FormatId {
        FormatId::Ggml
    }
    fn sniff(&self, head: &[u8], _name: &str, _len: u64) -> Match {
        let known = [b"lmgg", b"fmgg", b"tjgg", b"algg"].iter().any(|magic| head.starts_with(*magic));
        if known { Match::ByContent } else { Match::No }
    }
    fn reader(&self) -> Box<dyn Reader> {
        Box::<GgmlReader>::default()
    }
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Part {
    #[default]
    Header,
    Tokens,
    Tensors,
}

#[derive(Default)]
struct GgmlReader {
    part: Part,
    magic: [u8; 4],
    version: u32,
    layout: Layout,
    values: Vec<u32>,
    /// What a VAD header says, and its layers.
    vad: (Vec<(String, MetaValue)>, u32),
    /// Mel filters have no bins: the size of the FFT is 0.
    no_bins: bool,
    /// Which block layouts the file has: 1 before, 2 after the order of nibbles changed, 3 with f16 scales.
    era: u32,
    at: u64,
    header_end: u64,
    tokens_end: u64,
    tokens_stated: u64,
    tokens: Vec<MetaValue>,
    entries: Vec<TensorEntry>,
    lists: Vec<Range<u64>>,
    findings: Findings,
    cut: Option<Cut>,
    done: bool,
}

impl Reader for GgmlReader {
    fn advance(&mut self, file: &Window, limits: &Limits) -> Result<(), Stop> {
        if self.part == Part::Header {
            self.header(file)?;
            self.part = Part::Tokens;
        }
        if self.part == Part::Tokens {
            self.read_tokens(file, limits)?;
            self.part = Part::Tensors;
            self.tokens_end = self.at;
        }
        while !self.done {
            if self.at >= file.len() {
                self.done = true;
            } else if self.entries.len() as u64 >= limits.tensors {
                let what = format!("more than {} tensors; the limit", limits.tensors);
                self.findings.error(NoteCode::Limits, self.at, what, "the rest is not listed");
                self.done = true;
            } else {
                self.tensor(file)?;
            }
        }
        Ok(())
    }
    fn position(&self) -> u64 {
        self.at
    }
    fn finish(self: Box<Self>, file: &Window) -> ModelFile {
        self.model(file)
    }
}

impl GgmlReader {
    fn header(&mut self, file: &Window) -> Result<(), Stop> {
        let mut cursor = Cursor::new(file, 0, false);
        self.magic.copy_from_slice(cursor.take(4)?);
        let versioned = &self.magic != b"lmgg";
        self.version = if versioned { cursor.u32()? } else { 0 };
        let start = cursor.position();
        let wrong = |what: String| Stop::Bad(Fault::unsupported(what).at(4).in_file(file.name()));
        self.layout = match (&self.magic, self.version) {
            (b"fmgg", 100 | 101) => Layout::Rwkv,
            (b"fmgg", 1) | (b"tjgg", 1..=3) => Layout::Llama,
            (b"algg", 1) => Layout::Lora,
            (b"lmgg", _) => unversioned(file, start)?,
            (magic, version) => {
                let name: String = magic.iter().rev().map(|b| char::from(*b)).collect();
                return Err(wrong(format!(
                    "{name} version {version}; ggmf 1, 100 and 101, ggjt 1 to 3 and ggla 1 are known"
                )));
            }
        };
        let mut values = Vec::new();
        for _ in self.layout.names() {
            values.push(cursor.u32()?);
        }
        if self.layout == Layout::Vad
            && let Some(vad) = vad::read(file, start)?
        {
            cursor.seek(vad.end);
            self.vad = (vad.entries, vad.layers);
        }
        if matches!(self.layout, Layout::Whisper | Layout::Parakeet) {
            let (n_mel, n_fft) = (u64::from(cursor.u32()?), u64::from(cursor.u32()?));
            self.no_bins = n_fft == 0 || self.layout == Layout::Parakeet && values.get(7) == Some(&0);
            cursor.skip((n_mel * n_fft).saturating_mul(4))?;
            if self.layout == Layout::Parakeet {
                let window = u64::from(cursor.u32()?);
                cursor.skip(window * 4)?;
                cursor.skip(u64::from(values.get(13).copied().unwrap_or(0)) * 4)?;
            }
        }
        self.era = match (&self.magic, self.version, self.layout) {
            (b"tjgg", version, _) => version,
            (b"fmgg", 101, _) | (b"algg", ..) | (.., Layout::Vad) => 3,
            // ftype carries the number of ggml's block layouts, times 1000.
            (.., Layout::Whisper | Layout::Parakeet | Layout::Gpt2) => ftype(self.layout, &values) / 1000 + 1,
            _ => 1,
        };
        self.values = values;
        self.header_end = cursor.position();
        self.tokens_stated = match self.layout {
            Layout::Llama => u64::from(self.values.first().copied().unwrap_or(0)),
            Layout::Whisper | Layout::Parakeet | Layout::Gpt2 => u64::from(cursor.u32()?),
            Layout::Rwkv | Layout::Lora | Layout::Vad => 0,
        };
        // Only now: what lies before `at` is not asked for again, and a missing byte above starts the header anew.
        self.at = cursor.position();
        let most = (file.len() - self.at) / self.least_token();
        if self.tokens_stated > most {
            let what = format!("{} tokens announced, the file has room for {most}", self.tokens_stated);
            self.findings.error(
                NoteCode::Counts,
                self.at,
                what,
                "the file was not copied whole, or the number is wrong",
            );
        }
        Ok(())
    }
    /// True where a score follows each token.
    fn scored(&self) -> bool {
        self.layout == Layout::Llama && self.version > 0
    }
    fn least_token(&self) -> u64 {
        if self.scored() { 8 } else { 4 }
    }
    fn read_tokens(&mut self, file: &Window, limits: &Limits) -> Result<(), Stop> {
        while (self.tokens.len() as u64) < self.tokens_stated {
            let mut cursor = Cursor::new(file, self.at, false);
            let token = (|| {
                let n = u64::from(cursor.u32()?);
                if n > NAME_MOST.min(limits.string_bytes) {
                    let what = format!("a token of at most {NAME_MOST} bytes expected, {n} announced");
                    return Err(Fault::file(cursor.position() - 4, what).in_file(file.name()).into());
                }
                let text = cursor.take(n)?;
                let text = String::from_utf8_lossy(text).into_owned();
                if self.scored() {
                    cursor.skip(4)?;
                }
                Ok(text)
            })();
            match token {
                Ok(text) => {
                    self.tokens.push(MetaValue::String(text));
                    self.at = cursor.position();
                }
                Err(Stop::Need(range)) => return Err(Stop::Need(range)),
                Err(Stop::Bad(fault)) => {
                    let what =
                        format!("{} of {} tokens could be read: {}", self.tokens.len(), self.tokens_stated, fault.what);
                    self.findings.error(
                        NoteCode::Tokens,
                        self.at,
                        what,
                        "the file was not copied whole, or is damaged",
                    );
                    self.cut(fault.short, None);
                    self.done = true;
                    break;
                }
            }
        }
        Ok(())
    }
    fn tensor(&mut self, file: &Window) -> Result<(), Stop> {
        let mut cursor = Cursor::new(file, self.at, false);
        let read = (|| -> Result<(TensorEntry, u64), Stop> {
            let start = cursor.position();
            let bad = |what: String| Stop::Bad(Fault::file(start, what));
            let (dims, name, kind) = (cursor.u32()?, u64::from(cursor.u32()?), cursor.u32()?);
            if dims > DIMS_MOST {
                return Err(bad(format!("a tensor of at most {DIMS_MOST} dimensions expected, {dims} found")));
            }
            if name == 0 || name > NAME_MOST {
                return Err(bad(format!("a tensor's name of 1 to {NAME_MOST} bytes expected, {name} announced")));
            }
            let mut sizes = Vec::new();
            for _ in 0..dims {
                sizes.push(u64::from(cursor.u32()?));
            }
            sizes.reverse();
            let name = String::from_utf8_lossy(cursor.take(name)?).into_owned();
            let mut at = cursor.position();
            if matches!(&self.magic, b"tjgg" | b"algg") {
                at = at.next_multiple_of(ALIGNMENT);
            }
            let shape = Shape(sizes);
            let encoding = self.encoding(kind);
            let bytes = shape.elements().and_then(|n| encoding.bytes(n, shape.row_len()));
            let Some(bytes) = bytes else {
                return Err(bad(format!("{} of shape {shape} and {encoding} has no known size", quoted(&name))));
            };
            let end =
                at.checked_add(bytes).ok_or_else(|| bad(format!("{} would end beyond 64 bits", quoted(&name))))?;
            let place = if end <= file.len() {
                Place::Here { file: 0, at: at..end }
            } else {
                Place::Missing { file: file.name().to_owned(), at: at..end }
            };
            Ok((TensorEntry { name, shape, encoding, place, bytes: Some(bytes) }, end))
        })();
        match read {
            Ok((entry, end)) => {
                let data = match &entry.place {
                    Place::Here { at, .. } | Place::Missing { at, .. } => at.start,
                    _ => self.at,
                };
                self.lists.push(self.at..cursor.position());
                if end > file.len() {
                    let what = format!(
                        "{} lies at bytes {data}..{end}, the file ends at byte {}",
                        quoted(&entry.name),
                        file.len()
                    );
                    self.findings.error(
                        NoteCode::EndOfFile,
                        file.len(),
                        what,
                        "the file was not copied whole; later tensors are not listed",
                    );
                    self.cut(true, Some(end));
                    self.done = true;
                }
                self.entries.push(entry);
                self.at = end.min(file.len());
            }
            Err(Stop::Need(range)) => return Err(Stop::Need(range)),
            Err(Stop::Bad(fault)) => {
                let what =
                    format!("after {} tensors, what follows is not a tensor: {}", self.entries.len(), fault.what);
                self.findings.error(
                    NoteCode::Tensors,
                    self.at,
                    what,
                    "the file was not copied whole, or its layout is another",
                );
                self.cut(fault.short, None);
                self.done = true;
            }
        }
        Ok(())
    }
    /// The list of tensors ends with the file, not by itself.
    fn cut(&mut self, short: bool, needs: Option<u64>) {
        self.cut = short.then(|| Cut { file: 0, needs, announced: self.expected() });
    }
    /// How many tensors a model of the stated number of layers has, where that is known.
    fn expected(&self) -> Option<u64> {
        let value = |i: usize| self.values.get(i).map(|v| u64::from(*v));
        Some(match self.layout {
            Layout::Llama => 3 + 9 * value(4)?,
            Layout::Whisper => 11 + 15 * value(4)? + 24 * value(8)?,
            Layout::Rwkv => 6 + 18 * value(2)?,
            // A Fourier basis, weights and biases of the encoder, four of the LSTM, two of the last convolution.
            Layout::Vad => 7 + 2 * u64::from(self.vad.1),
            _ => return None,
        })
    }
    /// A type number in the meaning of the file's program and time.
    fn encoding(&self, kind: u32) -> Encoding {
        let kind = match (self.layout, kind) {
            // rwkv.cpp numbers types by itself.
            (Layout::Rwkv, 0..=3) => kind,
            (Layout::Rwkv, 5) => 4,
            (Layout::Rwkv, 6) => 5,
            (Layout::Rwkv, 7) => 6,
            (Layout::Rwkv, 8) => 7,
            (Layout::Rwkv, 9) => 8,
            (Layout::Rwkv, other) => return Encoding::UnknownGgml(other),
            _ => kind,
        };
        match (self.era, kind) {
            (1, 2) => Encoding::Q4_0_V1,
            (1, 3) => Encoding::Q4_1_V1,
            (1 | 2, 4) => Encoding::Q4_2,
            (1 | 2, 5) => Encoding::Q4_3,
            (1, 6) => Encoding::Q5_0_V1,
            (1, 7) => Encoding::Q5_1_V1,
            (2, 2) => Encoding::Q4_0_V2,
            (2, 3) => Encoding::Q4_1_V2,
            (1 | 2, 8) => Encoding::Q8_0_V2,
            _ => Encoding::from_ggml(kind),
        }
    }
    /// LLaMA models of 13 B and more came in 2 to 8 files, `model.bin`, `model.bin.1`, ...: each holds a slice of every
    /// tensor, and nothing in it says which.
    fn parts(&self, file: &Window, findings: &mut Findings) {
        let width = self.values.get(1).map_or(0, |n| u64::from(*n));
        let embedding = self.entries.iter().find(|t| t.name == "tok_embeddings.weight");
        let slice = embedding.map_or(0, |t| t.shape.row_len());
        if self.layout == Layout::Llama && slice > 0 && slice < width && width.is_multiple_of(slice) {
            let n = width / slice;
            let what =
                format!("Rows hold {slice} of {width} values: this is one of {n} files with a slice of each tensor");
            let note = Note::new(Severity::Warning, what)
                .why("the other files are model.bin, model.bin.1 and so on; one alone cannot run");
            let advice = "llama.cpp of before April 2023 joined them; a GGUF file of the same model is whole";
            findings.add(NoteCode::Parts, 0, note.advice(advice).at(0, self.tokens_end.min(file.len())));
        }
    }
    fn model(mut self, file: &Window) -> ModelFile {
        let mut metadata = Metadata::default();
        metadata.push("ggml.program", MetaValue::String(self.layout.program().into()));
        for (name, value) in self.layout.names().iter().zip(&self.values) {
            metadata.push(format!("ggml.{name}"), MetaValue::Unsigned(u64::from(*value), MetaType::U32));
        }
        if self.layout == Layout::Whisper {
            metadata.push("ggml.size", MetaValue::String(whisper_size(&self.values).into()));
        }
        for (key, value) in std::mem::take(&mut self.vad.0) {
            metadata.push(key, value);
        }
        let tokens = std::mem::take(&mut self.tokens);
        if !tokens.is_empty() {
            let array = MetaArray { item: MetaType::String, len: tokens.len() as u64, head: tokens, place: None };
            metadata.push("ggml.tokens", MetaValue::Array(array));
        }
        let mut findings = std::mem::take(&mut self.findings);
        if self.layout == Layout::Llama {
            let why = "the file states no context length, no FFN size, no RoPE base and no groups of heads";
            findings.info(NoteCode::Unstated, 0, "Programs of that time knew these numbers by themselves", why);
        }
        if self.no_bins {
            let why = "sound cannot be turned into the spectrum that the model reads";
            findings.warn(
                NoteCode::Header,
                4,
                "The size of the Fourier transform (FFT) is 0: there are no mel filters",
                why,
            );
        }
        self.parts(file, &mut findings);
        if self.entries.is_empty() && self.layout != Layout::Lora {
            findings.info(
                NoteCode::Empty,
                self.tokens_end.min(file.len()),
                "The file holds no tensors: a vocabulary alone",
                "",
            );
        }
        if let Some(expected) = self.expected().filter(|n| !self.entries.is_empty() && *n != self.entries.len() as u64)
        {
            let what = format!("{} tensors are there; a model of so many layers has {expected}", self.entries.len());
            findings.warn(
                NoteCode::Count,
                file.len(),
                what,
                "the file was cut between two tensors, or holds a variant",
            );
            let between = Cut { file: 0, needs: None, announced: Some(expected) };
            self.cut = self.cut.or((expected > self.entries.len() as u64).then_some(between));
        }
        let quantized = self.entries.iter().any(|t| t.encoding.spec().is_some_and(|s| s.block_len > 1));
        if quantized && self.era < 3 {
            let what = format!("Quantized blocks are laid out as ggml did before May 2023 (layout {} of 3)", self.era);
            findings.info(
                NoteCode::OldBlocks,
                0,
                what,
                "today's llama.cpp cannot read them; their values are shown as they were meant",
            );
        }
        let mut parts = vec![
            (0..self.header_end, SectionKind::Header),
            (self.header_end..self.tokens_end.max(self.header_end), SectionKind::Metadata),
        ];
        parts.extend(self.lists.into_iter().map(|list| (list, SectionKind::TensorList)));
        let sections = sections::map(0, file.len(), &parts, &self.entries, ALIGNMENT);
        let name: String = self.magic.iter().rev().map(|b| char::from(*b)).collect();
        let version =
            if self.version > 0 { format!("{name} v{}", self.version) } else { format!("{name} without version") };
        ModelFile {
            format: FormatId::Ggml,
            version: format!("{version}, as {} writes it", self.layout.program()).into(),
            files: Vec::new(),
            metadata,
            tensors: self.entries,
            graph: None,
            sections,
            notes: findings.finish(),
            cuts: self.cut.into_iter().collect(),
            awaited: Vec::new(),
        }
    }
}

fn ftype(layout: Layout, values: &[u32]) -> u32 {
    layout.names().iter().zip(values).find(|(n, _)| **n == "ftype").map_or(0, |(_, v)| *v)
}

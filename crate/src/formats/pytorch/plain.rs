//! Python pickles by themselves: what they hold as a tree, arrays among it, and the X-ray.

use super::objects::{Tree, entries};
use crate::{
    fault::Fault,
    formats::{
        Format, Match, Reader,
        codec::pickle::{self, Status},
        findings::Findings,
        sections,
        xray::{Place, Seen, Stream},
    },
    model::{FormatId, ModelFile, NoteCode, SectionKind},
    source::{Limits, Stop, Window},
};

/// Any pickle that is no PyTorch file.
pub(in crate::formats) struct Pickle;

impl Format for Pickle {
    fn id(&self) -> FormatId {
        FormatId::Pickle
    }
    fn sniff(&self, head: &[u8], name: &str, len: u64) -> Match {
        if pickle::plausible(head, head.len() as u64 >= len) {
            Match::ByContent
        } else if [".pkl", ".pickle", ".joblib"].iter().any(|end| name.ends_with(end)) {
            Match::ByName
        } else {
            Match::No
        }
    }
    fn reader(&self) -> Box<dyn Reader> {
        Box::new(PickleReader(None))
    }
}

struct PickleReader(Option<Box<Plain>>);

impl Reader for PickleReader {
    fn advance(&mut self, file: &Window, _limits: &Limits) -> Result<(), Stop> {
        self.0.get_or_insert_with(|| Box::new(Plain::new(FormatId::Pickle, file.len()))).advance(file)
    }
    fn position(&self) -> u64 {
        0
    }
    fn finish(self: Box<Self>, file: &Window) -> ModelFile {
        self.0.unwrap_or_else(|| Box::new(Plain::new(FormatId::Pickle, file.len()))).finish(file)
    }
}

/// The reader of a whole file of pickles.
pub(super) struct Plain {
    format: FormatId,
    stream: Stream,
}

impl Plain {
    pub(super) fn new(format: FormatId, len: u64) -> Self {
        Self { format, stream: Stream::new(0..len) }
    }
    pub(super) fn advance(&mut self, file: &Window) -> Result<(), Stop> {
        self.stream.run(file)?;
        let first = self.stream.read.first();
        // Nothing that a pickle could be: say so instead of showing an empty one.
        if first
            .is_none_or(|m| m.status == Status::Broken && m.imports.is_empty() && m.calls.is_empty() && m.opcodes < 8)
        {
            let (at, why) = first.and_then(|m| m.trouble.clone()).unwrap_or((0, "the file is empty".into()));
            let packed = file.len() > 2 && matches!(file.bytes(0..2)?, [0x78, 0x01 | 0x5e | 0x9c | 0xda]);
            let why =
                if packed { "a zlib stream found, as joblib.dump writes with compress; unpack it first" } else { &why };
            let what = format!("a pickle or a PyTorch archive expected: {why}");
            return Err(Fault::file(at.min(file.len()), what).in_file(file.name()).into());
        }
        Ok(())
    }
    pub(super) fn finish(self, file: &Window) -> ModelFile {
        let mut findings = Findings::default();
        let mut seen = Seen::default();
        let (mut tree, mut parts) = (Tree::default(), Vec::new());
        let many = self.stream.read.len() > 1;
        for (i, machine) in self.stream.read.iter().enumerate() {
            let name = if many { format!("pickle {}", i + 1) } else { "the pickle".into() };
            seen.add(machine, &Place { name: &name, unpacked: None }, file.len(), &mut findings);
            tree.add(machine, &if many { i.to_string() } else { String::new() }, u64::from(u32::MAX));
            parts.push((machine.start..machine.at.min(file.len()), SectionKind::Metadata));
        }
        if many {
            let what = format!("{} pickles lie one behind the other", self.stream.read.len());
            findings.info(NoteCode::Pickles, 0, what, "pickle.load reads the first only; other loaders go on");
        }
        if !self.stream.rest.is_empty() {
            let rest = &self.stream.rest;
            let what = format!("{} bytes after the last pickle are not a pickle", rest.end - rest.start);
            findings.warn(NoteCode::TrailingBytes, rest.start, what, "they were not understood");
        }
        seen.finish(0, &mut findings);
        let mut metadata = std::mem::take(&mut tree.metadata);
        seen.tell(&mut metadata);
        tree.tell(0, &mut findings);
        let tensors = entries(tree.tensors, file.name(), file.len(), 0, false, &mut findings, |_| None);
        let sections = sections::map(0, file.len(), &parts, &tensors, 0);
        let protocol = self.stream.read.first().map_or(0, |m| m.protocol);
        ModelFile {
            format: self.format,
            version: format!("protocol {protocol}").into(),
            files: Vec::new(),
            metadata,
            tensors,
            graph: None,
            sections,
            notes: findings.finish(),
            cuts: Vec::new(),
            awaited: Vec::new(),
        }
    }
}

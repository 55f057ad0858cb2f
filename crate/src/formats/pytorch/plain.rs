//! Python pickles by themselves: what they hold as a tree, arrays among it, and the X-ray.

use super::objects::{Tree, entries};
use crate::{
    fault::Fault,
    formats::{
        Format, Match, Reader,
        codec::{
            inflate,
            pickle::{self, Status},
        },
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
        let start = Packing::of(head).map(|packing| packing.start(head));
        let packed = start.is_some_and(|start| pickle::plausible(&start, false));
        if packed || pickle::plausible(head, head.len() as u64 >= len) {
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

/// How a whole file of pickles is compressed: `joblib.dump(compress=...)` and `DataFrame.to_pickle` write such files.
#[derive(Clone, Copy)]
enum Packing {
    Zlib,
    Gzip,
}

/// A compressed file of pickles is unpacked up to this.
const UNPACKED_MOST: u64 = 64 << 20;

impl Packing {
    fn of(head: &[u8]) -> Option<Self> {
        match head {
            [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..] => Some(Self::Zlib),
            [0x1f, 0x8b, 8, ..] => Some(Self::Gzip),
            _ => None,
        }
    }
    fn name(self) -> &'static str {
        match self {
            Self::Zlib => "zlib",
            Self::Gzip => "gzip",
        }
    }
    fn unpack(self, raw: &[u8], most: usize) -> Result<Vec<u8>, inflate::Broken> {
        match self {
            Self::Zlib => inflate::zlib(raw, most),
            Self::Gzip => inflate::gzip(raw, most),
        }
    }
    /// What the first bytes unpack to.
    fn start(self, head: &[u8]) -> Vec<u8> {
        self.unpack(head, 64 << 10).unwrap_or_else(|e| e.before)
    }
}

/// The reader of a whole file of pickles.
pub(super) struct Plain {
    format: FormatId,
    stream: Stream,
    /// The unpacked bytes of a compressed file.
    packed: Option<(Packing, Window)>,
}

impl Plain {
    pub(super) fn new(format: FormatId, len: u64) -> Self {
        Self { format, stream: Stream::new(0..len), packed: None }
    }
    pub(super) fn advance(&mut self, file: &Window) -> Result<(), Stop> {
        if self.packed.is_none()
            && let Some(packing) = Packing::of(file.bytes(0..file.len().min(4))?)
        {
            self.unpack(file, packing)?;
        }
        self.stream.run(self.packed.as_ref().map_or(file, |(_, window)| window))?;
        let first = self.stream.read.first();
        // Nothing that a pickle could be: say so instead of showing an empty one.
        if first
            .is_none_or(|m| m.status == Status::Broken && m.imports.is_empty() && m.calls.is_empty() && m.opcodes < 8)
        {
            let (at, why) = first.and_then(|m| m.trouble.clone()).unwrap_or((0, "the file is empty".into()));
            let what = format!("a pickle or a PyTorch archive expected: {why}");
            return Err(Fault::file(at.min(file.len()), what).in_file(file.name()).into());
        }
        Ok(())
    }
    fn unpack(&mut self, file: &Window, packing: Packing) -> Result<(), Stop> {
        let name = packing.name();
        if file.len() > UNPACKED_MOST {
            let what =
                format!("{} bytes of a {name} stream; the limit is {UNPACKED_MOST}: unpack it first", file.len());
            return Err(Fault::limit(what).at(0).in_file(file.name()).into());
        }
        let raw = file.bytes(0..file.len())?;
        let bytes = packing.unpack(raw, UNPACKED_MOST as usize).map_err(|e| {
            let what = format!("a {name} stream of at most {UNPACKED_MOST} bytes expected: {}", e.what);
            Stop::from(Fault::file(0, what).in_file(file.name()))
        })?;
        let len = bytes.len() as u64;
        let mut window = Window::new(file.name().to_owned(), len);
        window.insert(0, bytes);
        self.stream = Stream::new(0..len);
        self.packed = Some((packing, window));
        Ok(())
    }
    pub(super) fn finish(self, file: &Window) -> ModelFile {
        let unpacked = self.packed.as_ref().map(|_| 0);
        let mut findings = Findings::default();
        if let Some((packing, window)) = &self.packed {
            let what = format!("The file is compressed by {}: {} bytes unpacked", packing.name(), window.len());
            findings.info(NoteCode::Packed, 0, what, "values of its arrays are not shown; unpack it to see them");
        }
        let mut seen = Seen::default();
        let (mut tree, mut parts) = (Tree::default(), Vec::new());
        let many = self.stream.read.len() > 1;
        for (i, machine) in self.stream.read.iter().enumerate() {
            let name = if many { format!("pickle {}", i + 1) } else { "the pickle".into() };
            seen.add(machine, &Place { name: &name, unpacked }, file.len(), &mut findings);
            tree.add(machine, &if many { i.to_string() } else { String::new() }, u64::from(u32::MAX));
            if unpacked.is_none() {
                parts.push((machine.start..machine.at.min(file.len()), SectionKind::Metadata));
            }
        }
        if many {
            let what = format!("{} pickles lie one behind the other", self.stream.read.len());
            findings.info(NoteCode::Pickles, 0, what, "pickle.load reads the first only; other loaders go on");
        }
        if !self.stream.rest.is_empty() {
            let rest = &self.stream.rest;
            let what = format!("{} bytes after the last pickle are not a pickle", rest.end - rest.start);
            findings.warn(NoteCode::TrailingBytes, unpacked.unwrap_or(rest.start), what, "they were not understood");
        }
        if unpacked.is_some() {
            parts.push((0..file.len(), SectionKind::Metadata));
            tree.forget_places();
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
            version: match &self.packed {
                Some((packing, _)) => format!("protocol {protocol}, {}", packing.name()).into(),
                None => format!("protocol {protocol}").into(),
            },
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

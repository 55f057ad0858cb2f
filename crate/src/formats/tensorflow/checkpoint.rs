//! Checkpoints: the index of a V2 checkpoint is a table whose values say in which shard a tensor lies; a V1 checkpoint
//! is a table that holds the values themselves ([`super::slices`]).

use super::{
    encoding, shape,
    slices::{self, Slices},
    table::{self, FOOTER},
};
use crate::{
    fault::Fault,
    formats::{
        codec::protobuf::{Wire, field},
        findings::{Findings, quoted},
        sections,
    },
    model::{
        Flavour, FormatId, Loader, MetaType, MetaValue, Metadata, ModelFile, NoteCode, Place, SectionKind, TensorEntry,
        Version,
    },
    source::{Limits, Stop, Window},
    tensor::Shape,
};

#[derive(Default)]
pub(super) struct Checkpoint {
    /// Places and sizes of the blocks, and how many were read.
    blocks: Option<Vec<(u64, u64)>>,
    read: usize,
    v1: Option<Box<Slices>>,
    tensors: Vec<TensorEntry>,
    seen_header: bool,
    shards: u64,
    big_endian: bool,
    slices: u64,
    findings: Findings,
    done: bool,
}

impl Checkpoint {
    pub(super) fn advance(&mut self, file: &Window, limits: &Limits) -> Result<(), Stop> {
        if self.done {
            return Ok(());
        }
        if self.blocks.is_none() {
            self.blocks = Some(table::blocks(file)?);
        }
        while let Some(&(at, size)) = self.blocks.as_ref().and_then(|b| b.get(self.read)) {
            let block = table::block(file, at, size)?;
            let window = block.window(file);
            if self.read == 0
                && let Some(first) = block.entries.first().filter(|e| e.key.is_empty())
                && slices::here(window, &first.value)?
            {
                self.v1 = Some(Box::default());
            }
            if let Some(slices) = &mut self.v1 {
                slices.take(file, &block, limits)?;
            } else {
                if file.len() > limits.header_bytes {
                    let what = format!("an index of {} bytes; the limit is {}", file.len(), limits.header_bytes);
                    return Err(Fault::limit(what).at(0).into());
                }
                // The index is small beside its shards: all of it at once, so that no entry is taken in twice.
                window.bytes(0..window.len())?;
                if !self.take(window, &block, limits).map_err(|stop| placed(stop, file, &block))? {
                    break;
                }
            }
            self.read += 1;
        }
        if !self.seen_header && self.v1.is_none() {
            self.findings.error(
                NoteCode::Header,
                0,
                "The index has no header entry",
                Loader::TensorFlow.refuses("TensorFlow refuses it"),
            );
        }
        self.done = true;
        Ok(())
    }
    /// Takes in a block of an index; false at a limit.
    fn take(&mut self, window: &Window, block: &table::Block, limits: &Limits) -> Result<bool, Stop> {
        for entry in &block.entries {
            // Where a packed entry lies is where its block lies.
            let at = if block.unpacked.is_some() { block.at } else { entry.value.start };
            if self.tensors.len() as u64 >= limits.tensors {
                self.findings.error(
                    NoteCode::Limits,
                    at,
                    format!("more than {} tensors; the limit", limits.tensors),
                    "",
                );
                return Ok(false);
            }
            if entry.key.is_empty() {
                self.seen_header = true;
                self.header(window, entry)?;
            } else {
                self.tensor(window, entry, at)?;
            }
        }
        Ok(true)
    }
    /// `BundleHeaderProto { 1 num_shards, 2 endianness, 3 version }`.
    fn header(&mut self, file: &Window, entry: &table::Entry) -> Result<(), Stop> {
        let mut at = entry.value.start;
        while at < entry.value.end {
            let found = field(file, at, entry.value.end)?;
            match (found.number, found.wire) {
                (1, Wire::Varint(n)) => self.shards = n,
                (2, Wire::Varint(n)) => self.big_endian = n == 1,
                _ => {}
            }
            at = found.end();
        }
        Ok(())
    }
    /// `BundleEntryProto { 1 dtype, 2 shape, 3 shard_id, 4 offset, 5 size, 6 crc32c, 7 slices }`.
    fn tensor(&mut self, file: &Window, entry: &table::Entry, told_at: u64) -> Result<(), Stop> {
        let name = String::from_utf8_lossy(&entry.key).into_owned();
        let (mut kind, mut dims, mut shard, mut offset, mut size, mut slices) = (0, Vec::new(), 0, 0, 0, 0u64);
        let mut at = entry.value.start;
        while at < entry.value.end {
            let found = field(file, at, entry.value.end)?;
            match (found.number, found.wire) {
                (1, Wire::Varint(n)) => kind = n,
                (2, Wire::Bytes(_)) => {
                    dims = shape(file, found.payload, found.end().min(entry.value.end))?.unwrap_or_default()
                }
                (3, Wire::Varint(n)) => shard = n,
                (4, Wire::Varint(n)) => offset = n,
                (5, Wire::Varint(n)) => size = n,
                (7, Wire::Bytes(_)) => slices += 1,
                _ => {}
            }
            at = found.end();
        }
        let encoding = encoding(kind);
        let told = quoted(&name);
        if dims.iter().any(|d| *d < 0) {
            self.findings.error(NoteCode::Sizes, told_at, format!("{told} has a negative dimension"), "");
        }
        let shape = Shape(dims.iter().map(|d| u64::try_from(*d).unwrap_or(0)).collect());
        let bytes = shape.elements().and_then(|n| encoding.bytes(n, shape.row_len()));
        if let Some(bytes) = bytes.filter(|n| *n != size && slices == 0) {
            let what = format!("{told} of shape {shape} and {encoding} takes {bytes} bytes, the index states {size}");
            self.findings.error(NoteCode::Sizes, told_at, what, "the values cannot be told apart");
        }
        if shard >= self.shards.max(1) {
            let what = format!("{told} lies in shard {shard} of {}", self.shards);
            self.findings.error(NoteCode::Shards, told_at, what, "there is no such shard");
        }
        self.slices += u64::from(slices > 0);
        let place = match offset.checked_add(size) {
            Some(end) if slices == 0 => {
                Place::Missing { file: shard_name(file.name(), shard, self.shards), at: offset..end }
            }
            _ => Place::Absent,
        };
        self.tensors.push(TensorEntry { name, shape, encoding, place, bytes: bytes.or(Some(size)) });
        Ok(())
    }
    pub(super) fn model(mut self, file: &Window) -> ModelFile {
        if let Some(slices) = self.v1.take() {
            return slices.model(file);
        }
        let mut metadata = Metadata::default();
        metadata.push("checkpoint.shards", MetaValue::Unsigned(self.shards, MetaType::U64));
        if self.slices > 0 {
            let what =
                format!("{} tensors are stored in slices, which are listed as tensors of their own", self.slices);
            self.findings.info(NoteCode::Slices, 0, what, "");
        }
        let len = file.len();
        let parts = [
            (0..len.saturating_sub(FOOTER), SectionKind::TensorList),
            (len.saturating_sub(FOOTER)..len, SectionKind::Header),
        ];
        let sections = sections::map(0, len, &parts, &[], 0);
        ModelFile {
            format: FormatId::TensorFlow,
            version: Version::from("checkpoint (V2)").of(Flavour::Checkpoint).big_endian(self.big_endian),
            files: Vec::new(),
            metadata,
            tensors: self.tensors,
            graph: None,
            sections,
            notes: self.findings.finish(),
            cuts: Vec::new(),
            awaited: Vec::new(),
        }
    }
}

/// `model.index` has its values in `model.data-00000-of-00001`.
fn shard_name(index: &str, shard: u64, shards: u64) -> String {
    let base = index.rsplit('/').next().unwrap_or(index);
    format!("{}.data-{shard:05}-of-{:05}", base.strip_suffix(".index").unwrap_or(base), shards.max(1))
}

/// A fault within an unpacked block, at the block's own place.
fn placed(stop: Stop, file: &Window, block: &table::Block) -> Stop {
    match stop {
        Stop::Bad(fault) if block.unpacked.is_some() => {
            Stop::Bad(Fault::file(block.at, format!("in a packed block: {}", fault.what)).in_file(file.name()))
        }
        other => other,
    }
}

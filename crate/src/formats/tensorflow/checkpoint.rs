//! The index of a V2 checkpoint: a sorted table of blocks (as LevelDB has), whose values say in which shard a tensor lies.
//!
//! ```text
//! blocks | index block | footer of 48 bytes: two handles (varints), padding, magic
//! block: entries {shared varint, unshared varint, value length varint, key suffix, value} | restarts u32... | count u32
//!        | compression u8 | checksum u32
//! ```

use std::ops::Range;

use super::{encoding, shape};
use crate::{
    fault::Fault,
    formats::{
        codec::protobuf::{Wire, field, varint},
        findings::{Findings, quoted},
        sections,
    },
    model::{FormatId, MetaType, MetaValue, Metadata, ModelFile, Place, SectionKind, TensorEntry},
    source::{Cursor, Limits, Stop, Window},
    tensor::Shape,
};

const MAGIC: u64 = 0xdb47_7524_8b80_fb57;
const FOOTER: u64 = 48;
/// Compression byte and checksum after each block.
const TRAILER: u64 = 5;
const KEY_MOST: usize = 4096;
/// Bytes of all keys of a block: they share beginnings, so few bytes could claim many.
const KEYS_MOST: usize = 64 << 20;

#[derive(Default)]
pub(super) struct Checkpoint {
    tensors: Vec<TensorEntry>,
    shards: u64,
    big_endian: bool,
    slices: u64,
    findings: Findings,
    done: bool,
}

struct Entry {
    key: Vec<u8>,
    value: Range<u64>,
}

impl Checkpoint {
    pub(super) fn advance(&mut self, file: &Window, limits: &Limits) -> Result<(), Stop> {
        if self.done {
            return Ok(());
        }
        // The table is small beside its shards and is read whole; a restart after a fetch walks it again.
        let mut fresh = Self::default();
        fresh.read(file, limits)?;
        *self = fresh;
        self.done = true;
        Ok(())
    }
    fn read(&mut self, file: &Window, limits: &Limits) -> Result<(), Stop> {
        let bad = |at: u64, what: String| Stop::Bad(Fault::file(at, what).in_file(file.name()));
        if file.len() > limits.header_bytes {
            return Err(Fault::limit(format!(
                "an index of {} bytes; the limit is {}",
                file.len(),
                limits.header_bytes
            ))
            .at(0)
            .into());
        }
        let whole = file.bytes(0..file.len())?;
        let Some(start) = file.len().checked_sub(FOOTER) else {
            return Err(bad(0, format!("a table of at least {FOOTER} bytes expected, {} found", file.len())));
        };
        let magic = Cursor::new(file, file.len() - 8, false).u64()?;
        if magic != MAGIC {
            let what = "the end of a checkpoint's table expected, something else found: the file was not copied whole";
            return Err(bad(file.len(), what.into()));
        }
        let footer = whole.get(start as usize..).unwrap_or(&[]);
        let mut handles = [0u64; 4];
        let mut used = 0;
        for handle in &mut handles {
            let read = varint(footer.get(used..).unwrap_or(&[])).ok().flatten();
            let (value, n) = read.ok_or_else(|| bad(start, "the table's footer holds no handles".into()))?;
            *handle = value;
            used += n;
        }
        let mut seen_header = false;
        let mut passed = 0;
        let [.., at, size] = handles;
        for block in entries(file, at, size)? {
            let place = whole.get(block.value.start as usize..block.value.end as usize).unwrap_or(&[]);
            let handle = varint(place).ok().flatten().and_then(|(at, n)| Some((at, varint(place.get(n..)?).ok()??.0)));
            let Some((at, size)) = handle else {
                return Err(bad(block.value.start, "a block's place expected in the index block".into()));
            };
            // Blocks lie one behind the other: the same one named often would cost time without end.
            if at < passed {
                return Err(bad(
                    block.value.start,
                    format!("a block at byte {at}, before the end of the one before at {passed}"),
                ));
            }
            passed = at.saturating_add(size);
            for entry in entries(file, at, size)? {
                if self.tensors.len() as u64 >= limits.tensors {
                    self.findings.error(
                        "limits",
                        entry.value.start,
                        format!("more than {} tensors; the limit", limits.tensors),
                        "",
                    );
                    return Ok(());
                }
                if entry.key.is_empty() {
                    seen_header = true;
                    self.header(file, &entry)?;
                } else {
                    self.tensor(file, &entry)?;
                }
            }
        }
        if !seen_header {
            self.findings.error("header", 0, "The index has no header entry", "TensorFlow refuses it");
        }
        Ok(())
    }
    /// `BundleHeaderProto { 1 num_shards, 2 endianness, 3 version }`; in a V1 checkpoint field 1 is a message.
    fn header(&mut self, file: &Window, entry: &Entry) -> Result<(), Stop> {
        let mut at = entry.value.start;
        while at < entry.value.end {
            let found = field(file, at, entry.value.end)?;
            match (found.number, found.wire) {
                (1, Wire::Varint(n)) => self.shards = n,
                (2, Wire::Varint(n)) => self.big_endian = n == 1,
                (1, Wire::Bytes(_)) => {
                    let what = "a TensorFlow V1 checkpoint (values inside the table), which is named but not read";
                    return Err(Fault::unsupported(what).at(at).in_file(file.name()).into());
                }
                _ => {}
            }
            at = found.end();
        }
        Ok(())
    }
    /// `BundleEntryProto { 1 dtype, 2 shape, 3 shard_id, 4 offset, 5 size, 6 crc32c, 7 slices }`.
    fn tensor(&mut self, file: &Window, entry: &Entry) -> Result<(), Stop> {
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
            self.findings.error("sizes", entry.value.start, format!("{told} has a negative dimension"), "");
        }
        let shape = Shape(dims.iter().map(|d| u64::try_from(*d).unwrap_or(0)).collect());
        let bytes = shape.elements().and_then(|n| encoding.bytes(n, shape.row_len()));
        if let Some(bytes) = bytes.filter(|n| *n != size && slices == 0) {
            let what = format!("{told} of shape {shape} and {encoding} takes {bytes} bytes, the index states {size}");
            self.findings.error("sizes", entry.value.start, what, "the values cannot be told apart");
        }
        if shard >= self.shards.max(1) {
            let what = format!("{told} lies in shard {shard} of {}", self.shards);
            self.findings.error("shards", entry.value.start, what, "there is no such shard");
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
        let mut metadata = Metadata::default();
        metadata.push("checkpoint.shards", MetaValue::Unsigned(self.shards, MetaType::U64));
        if self.slices > 0 {
            let what =
                format!("{} tensors are stored in slices, which are listed as tensors of their own", self.slices);
            self.findings.info("slices", 0, what, "");
        }
        let len = file.len();
        let parts = [
            (0..len.saturating_sub(FOOTER), SectionKind::TensorList),
            (len.saturating_sub(FOOTER)..len, SectionKind::Header),
        ];
        let sections = sections::map(0, len, &parts, &[], 0);
        let order = if self.big_endian { ", big endian" } else { "" };
        ModelFile {
            format: FormatId::TensorFlow,
            version: format!("checkpoint (V2){order}"),
            files: Vec::new(),
            metadata,
            tensors: self.tensors,
            graph: None,
            sections,
            notes: self.findings.finish(),
            cuts: Vec::new(),
        }
    }
}

/// `model.index` has its values in `model.data-00000-of-00001`.
fn shard_name(index: &str, shard: u64, shards: u64) -> String {
    let base = index.rsplit('/').next().unwrap_or(index);
    format!("{}.data-{shard:05}-of-{:05}", base.strip_suffix(".index").unwrap_or(base), shards.max(1))
}

/// All entries of a block.
fn entries(file: &Window, at: u64, size: u64) -> Result<Vec<Entry>, Stop> {
    let bad = |at: u64, what: String| Stop::Bad(Fault::file(at.min(file.len()), what).in_file(file.name()));
    let end = at.checked_add(size).filter(|end| end.saturating_add(TRAILER) <= file.len());
    let Some(end) = end.filter(|_| size >= 4) else {
        return Err(bad(at, format!("a block of {size} bytes at byte {at} leaves the file of {} bytes", file.len())));
    };
    let compression = Cursor::new(file, end, false).u8()?;
    if compression != 0 {
        let what = format!("a block compressed by method {compression}, which is not read (0 is plain, 1 is Snappy)");
        return Err(Fault::unsupported(what).at(end).in_file(file.name()).into());
    }
    let restarts = u64::from(Cursor::new(file, end - 4, false).u32()?);
    let data_end = restarts.checked_mul(4).and_then(|n| (end - 4).checked_sub(n)).filter(|e| *e >= at);
    let data_end = data_end
        .ok_or_else(|| bad(end - 4, format!("{restarts} restarts announced, the block has no room for them")))?;
    let bytes = file.bytes(at..data_end)?;
    let (mut found, mut key, mut i, mut keys) = (Vec::new(), Vec::new(), 0usize, 0usize);
    while i < bytes.len() {
        let mut numbers = [0usize; 3];
        for number in &mut numbers {
            let read = varint(bytes.get(i..).unwrap_or(&[])).ok().flatten();
            let (value, n) = read.ok_or_else(|| bad(at + i as u64, "an entry's lengths expected".into()))?;
            *number = usize::try_from(value).unwrap_or(usize::MAX);
            i += n;
        }
        let [shared, unshared, length] = numbers;
        let middle = i.checked_add(unshared);
        let last = middle.and_then(|m| m.checked_add(length)).filter(|last| *last <= bytes.len());
        let (Some(middle), Some(last)) = (middle, last) else {
            return Err(bad(at + i as u64, "an entry leaves its block".into()));
        };
        if shared > key.len() || shared + unshared > KEY_MOST {
            return Err(bad(at + i as u64, format!("an entry shares {shared} bytes with a key of {}", key.len())));
        }
        key.truncate(shared);
        key.extend_from_slice(bytes.get(i..middle).unwrap_or(&[]));
        keys += key.len();
        if keys > KEYS_MOST {
            return Err(Fault::limit(format!("keys of more than {KEYS_MOST} bytes; the limit"))
                .at(at + i as u64)
                .into());
        }
        found.push(Entry { key: key.clone(), value: at + middle as u64..at + last as u64 });
        i = last;
    }
    Ok(found)
}

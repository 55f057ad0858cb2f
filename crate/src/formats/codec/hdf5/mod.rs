//! HDF5, the part that Keras and h5py write: superblocks 0 to 3, also behind a user block; object headers 1 and 2; groups
//! by symbol table, by links in the header or in a heap; contiguous, compact and chunked datasets, attributes. What is stored
//! otherwise is named.
//! Source: the HDF5 File Format Specification, version 3.

mod attribute;
mod chunks;
mod dense;

use std::{collections::HashSet, ops::Range};

pub(in crate::formats) use chunks::Found;
pub(crate) use chunks::unfiltered;

use crate::{
    fault::Fault,
    source::{Cursor, Stop, Window},
};

/// The signature at the start.
pub(in crate::formats) const SIGNATURE: &[u8] = b"\x89HDF\r\n\x1a\n";
const UNDEFINED: u64 = u64::MAX;
/// Objects, links of a group and messages of an object, at most.
const OBJECTS_MOST: usize = 500_000;
const MESSAGES_MOST: u64 = 65_536;
/// Nodes of the tree of one group, at most.
const NODES_MOST: usize = 100_000;
const NAME_MOST: u64 = 1024;
/// Bytes of one attribute's value, at most.
const VALUE_MOST: u64 = 4 << 20;
/// Bytes of all names and attribute values together, at most: a few bytes of a file could name them often.
const TEXT_MOST: u64 = 64 << 20;
const DIMS_MOST: u8 = 32;
/// Bytes of a fill value, at most: the widest element is a complex number of 16.
const FILL_MOST: u64 = 64;

/// What the elements are.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::formats) enum Kind {
    Integer {
        bytes: u32,
        signed: bool,
        big_endian: bool,
    },
    Float {
        bytes: u32,
        big_endian: bool,
    },
    /// Fixed-length text.
    Text(u32),
    /// Text of any length, in the global heap.
    LongText,
    /// An enumeration over bytes: h5py's booleans.
    Bool,
    Other(u8, u32),
}

/// Where a dataset's bytes are.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::formats) enum Layout {
    /// One run of bytes in the file.
    Plain(Range<u64>),
    /// In chunks, as the header states them; their index is read once all of the header is known.
    Stated(chunks::Chunked),
    /// In chunks of these sizes, packed by these filters.
    Chunked(Vec<u64>, Vec<String>, Found),
    /// Not written yet, or in another file.
    Nowhere,
}

#[derive(Debug)]
pub(in crate::formats) struct Dataset {
    pub(in crate::formats) path: String,
    pub(in crate::formats) dims: Vec<u64>,
    pub(in crate::formats) kind: Kind,
    pub(in crate::formats) layout: Layout,
    pub(in crate::formats) header: u64,
}

/// An attribute's value: texts, or a word for what it is.
#[derive(Debug)]
pub(in crate::formats) struct Attribute {
    pub(in crate::formats) path: String,
    pub(in crate::formats) name: String,
    pub(in crate::formats) values: Vec<String>,
    pub(in crate::formats) scalar: bool,
}

/// A file, object by object.
#[derive(Debug)]
pub(in crate::formats) struct Hdf5 {
    base: u64,
    end: u64,
    opened: bool,
    pub(in crate::formats) version: u8,
    waiting: Vec<(String, u64)>,
    seen: HashSet<u64>,
    text: u64,
    pub(in crate::formats) groups: u64,
    pub(in crate::formats) datasets: Vec<Dataset>,
    pub(in crate::formats) attributes: Vec<Attribute>,
    /// Header ranges, for the byte map.
    pub(in crate::formats) headers: Vec<Range<u64>>,
    /// What was not followed or is wrong: error or not, where, what.
    pub(in crate::formats) findings: Vec<(bool, u64, String)>,
}

/// One object's messages, as far as they matter.
#[derive(Default)]
struct Object {
    dims: Option<Vec<u64>>,
    kind: Option<Kind>,
    layout: Option<Layout>,
    filters: Vec<String>,
    fill: Vec<u8>,
    links: Vec<(String, u64)>,
    attributes: Vec<(String, Vec<String>, bool)>,
    group: bool,
    ranges: Vec<Range<u64>>,
    odd: Vec<(bool, u64, String)>,
    text: u64,
}

impl Hdf5 {
    /// A file that lies at these bytes of a window.
    pub(in crate::formats) fn new(at: Range<u64>) -> Self {
        Self {
            base: at.start,
            end: at.end,
            opened: false,
            version: 0,
            waiting: Vec::new(),
            seen: HashSet::new(),
            text: 0,
            groups: 0,
            datasets: Vec::new(),
            attributes: Vec::new(),
            headers: Vec::new(),
            findings: Vec::new(),
        }
    }
    fn bad(&self, at: u64, what: impl Into<String>) -> Stop {
        Stop::Bad(Fault::file(at.min(self.end), what))
    }
    /// A stated address as a place in the window.
    fn place(&self, address: u64, bytes: u64) -> Result<u64, Stop> {
        let at = self.base.checked_add(address).filter(|at| at.checked_add(bytes).is_some_and(|end| end <= self.end));
        at.ok_or_else(|| {
            self.bad(
                self.end,
                format!("{bytes} bytes at address {address} leave the file of {} bytes", self.end - self.base),
            )
        })
    }
    /// Reads on.
    ///
    /// # Errors
    /// `Need`; `Bad` where not even the superblock could be read. What is wrong later is a finding.
    pub(in crate::formats) fn run(&mut self, file: &Window) -> Result<(), Stop> {
        if !self.opened {
            let root = self.superblock(file)?;
            self.waiting.push((String::new(), root));
            self.opened = true;
        }
        while let Some((path, address)) = self.waiting.last().cloned() {
            if self.seen.contains(&address) {
                self.waiting.pop();
                continue;
            }
            let object = match self.object(file, address) {
                Ok(object) => object,
                Err(Stop::Need(range)) => return Err(Stop::Need(range)),
                Err(Stop::Bad(fault)) => {
                    let name = if path.is_empty() { "the root group".into() } else { format!("{path:?}") };
                    let what = format!("{name} cannot be read: {}", fault.what);
                    self.findings.push((true, fault.at.unwrap_or(self.end), what));
                    Object::default()
                }
            };
            self.waiting.pop();
            self.seen.insert(address);
            self.text += object.text;
            if self.text > TEXT_MOST || self.seen.len() + self.waiting.len() + object.links.len() > OBJECTS_MOST {
                self.findings.push((
                    true,
                    self.end,
                    format!("more than {OBJECTS_MOST} objects or {TEXT_MOST} bytes of names; the limit"),
                ));
                break;
            }
            self.take(path, address, object);
        }
        Ok(())
    }
    fn take(&mut self, path: String, address: u64, object: Object) {
        self.headers.extend(object.ranges);
        let named = if path.is_empty() { String::new() } else { format!("{path}: ") };
        self.findings.extend(object.odd.into_iter().map(|(bad, at, what)| (bad, at, format!("{named}{what}"))));
        for (name, values, scalar) in object.attributes {
            self.attributes.push(Attribute { path: path.clone(), name, values, scalar });
        }
        if let (Some(dims), Some(kind), Some(layout)) = (object.dims, object.kind, object.layout) {
            let layout = match layout {
                _ if !object.filters.is_empty() && !matches!(layout, Layout::Chunked(..)) => {
                    let what = "packed as a whole, which is not unpacked".to_owned();
                    Layout::Chunked(Vec::new(), object.filters, Err(what))
                }
                plain => plain,
            };
            self.datasets.push(Dataset { path, dims, kind, layout, header: self.base.saturating_add(address) });
            return;
        }
        if object.group {
            self.groups += 1;
        }
        // Last first, so that the first is read next.
        for (name, address) in object.links.into_iter().rev() {
            let full = if path.is_empty() { name } else { format!("{path}/{name}") };
            self.text += full.len() as u64;
            self.waiting.push((full, address));
        }
    }
    fn superblock(&mut self, file: &Window) -> Result<u64, Stop> {
        let mut cursor = Cursor::new(file, self.base, false);
        if cursor.take(8)? != SIGNATURE {
            return Err(self.bad(self.base, "the HDF5 signature expected, something else found"));
        }
        self.version = cursor.u8()?;
        let root = match self.version {
            0 | 1 => {
                let (_free_version, _root_version) = (cursor.u8()?, cursor.u8()?);
                let (_reserved, _shared_version) = (cursor.u8()?, cursor.u8()?);
                let sizes = (cursor.u8()?, cursor.u8()?);
                self.sizes(sizes)?;
                let (_reserved, _leaf_k, _internal_k, _flags) =
                    (cursor.u8()?, cursor.u16()?, cursor.u16()?, cursor.u32()?);
                if self.version == 1 {
                    let (_chunk_k, _reserved) = (cursor.u16()?, cursor.u16()?);
                }
                let (base, _free_space) = (cursor.u64()?, cursor.u64()?);
                self.stated_end(cursor.u64()?.saturating_sub(base));
                let (_driver, _name) = (cursor.u64()?, cursor.u64()?);
                cursor.u64()?
            }
            2 | 3 => {
                let sizes = (cursor.u8()?, cursor.u8()?);
                self.sizes(sizes)?;
                let (_flags, base, _extension) = (cursor.u8()?, cursor.u64()?, cursor.u64()?);
                self.stated_end(cursor.u64()?.saturating_sub(base));
                cursor.u64()?
            }
            other => {
                let what = format!("superblock version {other}; 0 to 3 are known");
                return Err(Stop::Bad(Fault::unsupported(what).at(self.base + 8)));
            }
        };
        self.headers.push(self.base..cursor.position());
        Ok(root)
    }
    /// `end` counts from the base, which lies behind a user block.
    fn stated_end(&mut self, end: u64) {
        let have = self.end - self.base;
        if end > have && !self.opened {
            let what = format!("The file should end at byte {end}, it ends at byte {have}: it was not copied whole");
            self.findings = vec![(true, self.end, what)];
        }
    }
    fn sizes(&self, (offsets, lengths): (u8, u8)) -> Result<(), Stop> {
        if (offsets, lengths) == (8, 8) {
            return Ok(());
        }
        let what = format!("addresses of {offsets} bytes and lengths of {lengths}; 8 and 8 are read");
        Err(Stop::Bad(Fault::unsupported(what).at(self.base)))
    }
    fn object(&self, file: &Window, address: u64) -> Result<Object, Stop> {
        let mut object = Object::default();
        let at = self.place(address, 16)?;
        let mut cursor = Cursor::new(file, at, false);
        let new = cursor.take(4)? == b"OHDR";
        // Blocks of messages: where they lie, and how a message's head is laid out.
        let mut blocks: Vec<Range<u64>> = Vec::new();
        let mut ordered = false;
        if new {
            let (version, flags) = (cursor.u8()?, cursor.u8()?);
            if version != 2 {
                return Err(self.bad(at, format!("object header version {version}")));
            }
            ordered = flags & 4 != 0;
            if flags & 0x20 != 0 {
                let (_read, _written, _changed, _made) = (cursor.u32()?, cursor.u32()?, cursor.u32()?, cursor.u32()?);
            }
            if flags & 0x10 != 0 {
                let (_compact_most, _dense_least) = (cursor.u16()?, cursor.u16()?);
            }
            let size = match flags & 3 {
                0 => u64::from(cursor.u8()?),
                1 => u64::from(cursor.u16()?),
                2 => u64::from(cursor.u32()?),
                _ => cursor.u64()?,
            };
            let start = cursor.position();
            blocks.push(start..start.saturating_add(size));
        } else {
            cursor.seek(at);
            let version = cursor.u8()?;
            if version != 1 {
                return Err(self.bad(at, format!("object header version {version}; 1 or 2 expected")));
            }
            let (_reserved, _messages, _references) = (cursor.u8()?, cursor.u16()?, cursor.u32()?);
            let size = u64::from(cursor.u32()?);
            blocks.push(at + 16..(at + 16).saturating_add(size));
        }
        object.ranges.push(at..cursor.position().max(at + 16));
        let (mut next, mut messages) = (0, 0);
        while let Some(block) = blocks.get(next).cloned() {
            next += 1;
            if block.end > self.end {
                return Err(self.bad(
                    block.start,
                    format!("messages up to byte {}, the file ends at byte {}", block.end, self.end),
                ));
            }
            object.ranges.push(block.clone());
            let mut at = block.start;
            let head = if new { 4 + 2 * u64::from(ordered) } else { 8 };
            while at + head <= block.end {
                messages += 1;
                if messages > MESSAGES_MOST {
                    return Err(self.bad(at, format!("more than {MESSAGES_MOST} messages; the limit")));
                }
                let mut cursor = Cursor::new(file, at, false);
                let kind = if new { u16::from(cursor.u8()?) } else { cursor.u16()? };
                let size = u64::from(cursor.u16()?);
                let flags = cursor.u8()?;
                let body = at + head..at + head + size;
                if body.end > block.end {
                    // Padding at the end of a block of version 2 is shorter than a message.
                    if new && kind == 0 {
                        break;
                    }
                    return Err(self.bad(at, format!("a message of {size} bytes leaves its block")));
                }
                if flags & 2 == 0 {
                    self.message(file, kind, body.clone(), new, &mut object, &mut blocks)?;
                } else if matches!(kind, 1 | 3 | 8) {
                    object.odd.push((
                        false,
                        at,
                        "a part of it is shared with other objects, which is not followed".into(),
                    ));
                }
                at = body.end;
            }
        }
        if let (Some(dims), Some(Layout::Stated(stated))) = (&object.dims, &object.layout) {
            let found = match self.chunks(file, stated, dims, &object.filters, &object.fill) {
                Ok(found) => found,
                Err(Stop::Need(range)) => return Err(Stop::Need(range)),
                Err(Stop::Bad(fault)) => {
                    let what = format!("its chunks cannot be found: {}", fault.what);
                    object.odd.push((true, fault.at.unwrap_or(self.end), what));
                    Err("in chunks that cannot be found".into())
                }
            };
            object.layout = Some(Layout::Chunked(stated.sizes.clone(), object.filters.clone(), found));
        }
        Ok(object)
    }
    fn message(
        &self,
        file: &Window,
        kind: u16,
        body: Range<u64>,
        new: bool,
        object: &mut Object,
        blocks: &mut Vec<Range<u64>>,
    ) -> Result<(), Stop> {
        let mut cursor = Cursor::new(file, body.start, false);
        match kind {
            0x01 => object.dims = Some(self.dims(file, &body)?),
            0x03 => object.kind = Some(self.kind(file, &body)?),
            0x02 => {
                object.group = true;
                let (_version, flags) = (cursor.u8()?, cursor.u8()?);
                let _order_most = if flags & 1 != 0 { cursor.u64()? } else { 0 };
                let (heap, names) = (cursor.u64()?, cursor.u64()?);
                if heap != UNDEFINED {
                    self.dense(file, heap, names, object)?;
                }
            }
            0x04 | 0x05 => object.fill = self.fill(file, kind == 5, &body)?,
            0x06 => self.link(file, &body, object)?,
            0x08 => object.layout = Some(self.layout(file, &body)?),
            0x0b => object.filters = self.filters(file, &body)?,
            0x07 => object.odd.push((false, body.start, "its values lie in another file, which is not opened".into())),
            0x0c => self.attribute(file, &body, object)?,
            0x10 => {
                let (address, size) = (cursor.u64()?, cursor.u64()?);
                let at = self.place(address, size)?;
                // The second kind of block starts with a signature and ends with a checksum.
                let inner =
                    if new { (at + 4).min(at + size)..(at + size).saturating_sub(4).max(at) } else { at..at + size };
                if blocks.iter().any(|b| b.start == inner.start) || blocks.len() > 1024 {
                    return Err(self.bad(body.start, "messages that continue in a circle"));
                }
                if inner.start < inner.end {
                    blocks.push(inner);
                }
            }
            0x11 => {
                object.group = true;
                let (tree, heap) = (cursor.u64()?, cursor.u64()?);
                self.symbols(file, tree, heap, object)?;
            }
            0x15 => {
                let (_version, flags) = (cursor.u8()?, cursor.u8()?);
                let _order_most = if flags & 1 != 0 { cursor.u16()? } else { 0 };
                if cursor.u64()? != UNDEFINED {
                    object.odd.push((
                        false,
                        body.start,
                        "its attributes are stored densely, which is not followed".into(),
                    ));
                }
            }
            _ => {}
        }
        Ok(())
    }
    fn dims(&self, file: &Window, body: &Range<u64>) -> Result<Vec<u64>, Stop> {
        let mut cursor = Cursor::new(file, body.start, false);
        let (version, rank, _flags) = (cursor.u8()?, cursor.u8()?, cursor.u8()?);
        // Version 1 has five reserved bytes, version 2 a kind (scalar, simple, null).
        cursor.skip(if version == 1 { 5 } else { 1 })?;
        if rank > DIMS_MOST || u64::from(rank) * 8 > body.end.saturating_sub(cursor.position()) {
            return Err(self.bad(body.start, format!("{rank} dimensions, which do not fit")));
        }
        (0..rank).map(|_| cursor.u64()).collect()
    }
    fn kind(&self, file: &Window, body: &Range<u64>) -> Result<Kind, Stop> {
        let mut cursor = Cursor::new(file, body.start, false);
        let (class, bits, _more_bits) = (cursor.u8()? & 15, cursor.u8()?, cursor.u16()?);
        let bytes = cursor.u32()?;
        Ok(match class {
            0 => Kind::Integer { bytes, signed: bits & 8 != 0, big_endian: bits & 1 != 0 },
            1 => Kind::Float { bytes, big_endian: bits & 1 != 0 },
            3 => Kind::Text(bytes),
            8 if bytes == 1 => Kind::Bool,
            9 if bits & 15 == 1 => Kind::LongText,
            other => Kind::Other(other, bytes),
        })
    }
    fn layout(&self, file: &Window, body: &Range<u64>) -> Result<Layout, Stop> {
        let mut cursor = Cursor::new(file, body.start, false);
        let version = cursor.u8()?;
        let (class, first) = if version >= 3 {
            (cursor.u8()?, 0)
        } else {
            let rank = u64::from(cursor.u8()?);
            let (class, _reserved, _more) = (cursor.u8()?, cursor.u8()?, cursor.u32()?);
            (class, rank)
        };
        Ok(match (version, class) {
            (3.., 0) => {
                let n = u64::from(cursor.u16()?);
                let at = cursor.position();
                Layout::Plain(at..(at + n).min(body.end).max(at))
            }
            (3.., 1) => {
                let (address, size) = (cursor.u64()?, cursor.u64()?);
                self.run_of(address, size)
            }
            (1 | 2, 1) => {
                let address = cursor.u64()?;
                let mut size = 1u64;
                for _ in 0..first.min(u64::from(DIMS_MOST)) {
                    size = size.saturating_mul(u64::from(cursor.u32()?));
                }
                self.run_of(address, size)
            }
            (version, 2) => {
                let flags = if version > 3 { cursor.u8()? } else { 0 };
                let (rank, width) = match version {
                    0..=2 => (first, 4),
                    3 => (u64::from(cursor.u8()?), 4),
                    _ => (u64::from(cursor.u8()?), u64::from(cursor.u8()?)),
                };
                let tree = if version > 3 { UNDEFINED } else { cursor.u64()? };
                if rank > u64::from(DIMS_MOST) + 1
                    || !(1..=8).contains(&width)
                    || cursor.position() + rank * width > body.end
                {
                    return Err(
                        self.bad(body.start, format!("chunks of {rank} sizes (flags {flags}), which do not fit"))
                    );
                }
                let size = |raw: &[u8]| raw.iter().rev().fold(0u64, |n, b| n << 8 | u64::from(*b));
                let mut sizes = (0..rank).map(|_| Ok(size(cursor.take(width)?))).collect::<Result<Vec<u64>, Stop>>()?;
                // The last is the size of an element.
                let width = sizes.pop().unwrap_or(0);
                let index = if version > 3 { index(&mut cursor, flags)? } else { chunks::Index::Tree(tree) };
                Layout::Stated(chunks::Chunked { sizes, width, index, plain_edges: version > 3 && flags & 1 != 0 })
            }
            _ => Layout::Nowhere,
        })
    }
    /// The value of elements that were never written; empty for zero.
    fn fill(&self, file: &Window, new: bool, body: &Range<u64>) -> Result<Vec<u8>, Stop> {
        let mut cursor = Cursor::new(file, body.start, false);
        let stated = if new {
            match (cursor.u8()?, cursor.u8()?) {
                (3, flags) => flags & 0x20 != 0,
                (version, _allocated) => {
                    let (_written, defined) = (cursor.u8()?, cursor.u8()?);
                    version == 1 || defined != 0
                }
            }
        } else {
            true
        };
        if !stated || cursor.position() + 4 > body.end {
            return Ok(Vec::new());
        }
        let n = u64::from(cursor.u32()?);
        if n > FILL_MOST || cursor.position() + n > body.end {
            return Ok(Vec::new());
        }
        Ok(cursor.take(n)?.to_vec())
    }
    /// The names of the filters that chunks pass through when written.
    fn filters(&self, file: &Window, body: &Range<u64>) -> Result<Vec<String>, Stop> {
        let mut cursor = Cursor::new(file, body.start, false);
        let (version, count) = (cursor.u8()?, cursor.u8()?);
        if version == 1 {
            let (_reserved, _more) = (cursor.u16()?, cursor.u32()?);
        }
        let mut found = Vec::new();
        for _ in 0..count {
            // Of version 2 a filter of HDF5's own has no name, and may have no values.
            if cursor.position() + if version == 1 { 8 } else { 6 } > body.end {
                break;
            }
            let id = cursor.u16()?;
            let name = if version == 1 || id >= 256 { u64::from(cursor.u16()?) } else { 0 };
            let (_flags, values) = (cursor.u16()?, u64::from(cursor.u16()?));
            let padded = if version == 1 { name.next_multiple_of(8) } else { name };
            let pad = if version == 1 { values % 2 } else { 0 };
            cursor.seek(cursor.position() + padded + (values + pad) * 4);
            found.push(match id {
                1 => "deflate".to_owned(),
                2 => "shuffle".to_owned(),
                3 => "fletcher32".to_owned(),
                4 => "szip".to_owned(),
                5 => "nbit".to_owned(),
                6 => "scale-offset".to_owned(),
                32000 => "lzf".to_owned(),
                other => format!("filter {other}"),
            });
        }
        Ok(found)
    }
    fn run_of(&self, address: u64, size: u64) -> Layout {
        let start = self.base.checked_add(address).filter(|_| address != UNDEFINED);
        match start.and_then(|start| Some(start..start.checked_add(size)?)) {
            Some(range) => Layout::Plain(range),
            None => Layout::Nowhere,
        }
    }
    fn link(&self, file: &Window, body: &Range<u64>, object: &mut Object) -> Result<(), Stop> {
        object.group = true;
        let mut cursor = Cursor::new(file, body.start, false);
        let (_version, flags) = (cursor.u8()?, cursor.u8()?);
        let kind = if flags & 8 != 0 { cursor.u8()? } else { 0 };
        let _order = if flags & 4 != 0 { cursor.u64()? } else { 0 };
        let _letters = if flags & 0x10 != 0 { cursor.u8()? } else { 0 };
        let n = match flags & 3 {
            0 => u64::from(cursor.u8()?),
            1 => u64::from(cursor.u16()?),
            2 => u64::from(cursor.u32()?),
            _ => cursor.u64()?,
        };
        if n > NAME_MOST || n > body.end.saturating_sub(cursor.position()) {
            return Err(self.bad(body.start, format!("a link's name of {n} bytes")));
        }
        let name = String::from_utf8_lossy(cursor.take(n)?).into_owned();
        object.text += n;
        if kind == 0 {
            object.links.push((name, cursor.u64()?));
        } else {
            let what = if kind == 1 { "a soft link" } else { "a link into another file" };
            object.odd.push((kind != 1, body.start, format!("{name:?} is {what}, which is not followed")));
        }
        Ok(())
    }
    /// The members of a group by its tree of symbol nodes and its heap of names.
    fn symbols(&self, file: &Window, tree: u64, heap: u64, object: &mut Object) -> Result<(), Stop> {
        let at = self.place(heap, 32)?;
        let mut cursor = Cursor::new(file, at, false);
        if cursor.take(4)? != b"HEAP" {
            return Err(self.bad(at, "a heap of names expected, something else found"));
        }
        let _version_and_reserved = cursor.u32()?;
        let (size, _free, data) = (cursor.u64()?, cursor.u64()?, cursor.u64()?);
        let names = self.place(data, size)?;
        object.ranges.push(at..at + 32);
        object.ranges.push(names..names + size);
        let (mut nodes, mut seen) = (vec![tree], HashSet::new());
        while let Some(node) = nodes.pop() {
            if !seen.insert(node) || seen.len() > NODES_MOST {
                return Err(self.bad(at, "a tree of symbols in a circle, or too large"));
            }
            let at = self.place(node, 8)?;
            let mut cursor = Cursor::new(file, at, false);
            let signature = cursor.take(4)?;
            if signature == b"TREE" {
                let (_kind, _level, used) = (cursor.u8()?, cursor.u8()?, u64::from(cursor.u16()?));
                let size = 24 + 16 * used;
                self.place(node, size)?;
                object.ranges.push(at..at + size);
                let (_left, _right, _first_key) = (cursor.u64()?, cursor.u64()?, cursor.u64()?);
                let mut children = Vec::new();
                for _ in 0..used {
                    children.push(cursor.u64()?);
                    if cursor.position() + 8 <= self.end {
                        cursor.skip(8)?;
                    }
                }
                children.reverse();
                nodes.append(&mut children);
            } else if signature == b"SNOD" {
                let (_version, _reserved) = (cursor.u8()?, cursor.u8()?);
                let used = u64::from(cursor.u16()?);
                self.place(node, 8 + 40 * used)?;
                object.ranges.push(at..at + 8 + 40 * used);
                for _ in 0..used {
                    let (offset, header, cache) = (cursor.u64()?, cursor.u64()?, cursor.u32()?);
                    let (_reserved, _scratch) = (cursor.u32()?, cursor.take(16)?);
                    let name = self.name(file, names, size, offset)?;
                    object.text += name.len() as u64 + 16;
                    if object.text > TEXT_MOST {
                        return Err(self.bad(at, format!("names of more than {TEXT_MOST} bytes; the limit")));
                    }
                    if cache == 2 {
                        object.odd.push((false, at, format!("{name:?} is a soft link, which is not followed")));
                    } else {
                        object.links.push((name, header));
                    }
                }
            } else {
                return Err(self.bad(at, "a node of a tree of symbols expected, something else found"));
            }
        }
        Ok(())
    }
    fn name(&self, file: &Window, names: u64, size: u64, offset: u64) -> Result<String, Stop> {
        if offset >= size {
            return Err(self.bad(names, format!("a name at {offset} of a heap of {size} bytes")));
        }
        let end = names + size.min(offset + NAME_MOST);
        let bytes = file.bytes(names + offset..end)?;
        let n = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
        Ok(String::from_utf8_lossy(bytes.get(..n).unwrap_or(bytes)).into_owned())
    }
}

/// How a layout of version 4 says where its chunks lie.
fn index(cursor: &mut Cursor<'_>, flags: u8) -> Result<chunks::Index, Stop> {
    use chunks::Index;
    Ok(match cursor.u8()? {
        1 => {
            let filtered = if flags & 2 != 0 { Some((cursor.u64()?, cursor.u32()?)) } else { None };
            Index::Single(cursor.u64()?, filtered)
        }
        2 => Index::Implicit(cursor.u64()?),
        3 => {
            let _page_bits = cursor.u8()?;
            Index::Fixed(cursor.u64()?)
        }
        4 => Index::Other("an extensible array"),
        5 => Index::Other("a B-tree of version 2"),
        _ => Index::Other("an index of an unknown kind"),
    })
}

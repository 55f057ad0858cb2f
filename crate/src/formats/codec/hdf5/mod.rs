//! HDF5, the part that Keras and h5py write: superblocks 0 to 3, also behind a user block; object headers 1 and 2; groups
//! by symbol table, by links in the header or in a heap; contiguous, compact and chunked datasets, attributes. What is stored
//! otherwise is named.
//! Source: the HDF5 File Format Specification, version 3.

mod attribute;
mod chunks;
mod dense;
mod groups;
mod messages;

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

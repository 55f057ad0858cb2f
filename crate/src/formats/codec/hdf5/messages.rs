//! Messages of object headers: shapes, types, layouts, fill values, filters.

use std::ops::Range;

use super::{DIMS_MOST, FILL_MOST, Hdf5, Kind, Layout, Object, UNDEFINED, chunks, index};
use crate::source::{Cursor, Stop, Window};

impl Hdf5 {
    pub(super) fn message(
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
    pub(super) fn dims(&self, file: &Window, body: &Range<u64>) -> Result<Vec<u64>, Stop> {
        let mut cursor = Cursor::new(file, body.start, false);
        let (version, rank, _flags) = (cursor.u8()?, cursor.u8()?, cursor.u8()?);
        // Version 1 has five reserved bytes, version 2 a kind (scalar, simple, null).
        cursor.skip(if version == 1 { 5 } else { 1 })?;
        if rank > DIMS_MOST || u64::from(rank) * 8 > body.end.saturating_sub(cursor.position()) {
            return Err(self.bad(body.start, format!("{rank} dimensions, which do not fit")));
        }
        (0..rank).map(|_| cursor.u64()).collect()
    }
    pub(super) fn kind(&self, file: &Window, body: &Range<u64>) -> Result<Kind, Stop> {
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
}

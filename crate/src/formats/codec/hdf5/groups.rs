//! Groups: links in headers, symbol tables and local heaps.

use std::{collections::HashSet, ops::Range};

use super::{Hdf5, NAME_MOST, NODES_MOST, Object, TEXT_MOST};
use crate::source::{Cursor, Stop, Window};

impl Hdf5 {
    pub(super) fn link(&self, file: &Window, body: &Range<u64>, object: &mut Object) -> Result<(), Stop> {
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
    pub(super) fn symbols(&self, file: &Window, tree: u64, heap: u64, object: &mut Object) -> Result<(), Stop> {
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

//! Links of large groups: a tree of hashed names (B-tree, version 2) points into a heap (fractal heap) of link messages.
//!
//! ```text
//! BTHD: facts, the root node       BTIN: records, then children {address, records[, all records below]}
//! BTLF: records                    record: hash u32 | heap id: kind u8 | offset | length
//! FRHP: facts, the root block      FHIB: addresses of rows of blocks, which double from the third row on
//! FHDB: header, messages
//! ```

use std::{collections::HashSet, ops::Range};

use super::{Hdf5, NODES_MOST, OBJECTS_MOST, Object, TEXT_MOST, UNDEFINED};
use crate::source::{Cursor, Stop, Window};

/// Blocks within blocks, at most: each level covers at least twice the bytes of the one below.
const LEVELS_MOST: u32 = 64;
/// Signature, version and kind before a node's records, and the checksum behind them.
const NODE_HEAD: u64 = 6;
const NODE_FRAME: u64 = 10;

/// A heap's own facts.
struct Heap {
    header: u64,
    /// Bytes of an offset within the heap.
    offset_bytes: u64,
    /// Blocks in a row, and bytes of the first.
    width: u64,
    start: u64,
    /// Bytes of the largest block that holds messages.
    largest: u64,
    root: u64,
    /// Rows of the root block; 0 where it holds messages itself.
    rows: u64,
}

/// Bytes that the number `most` takes.
fn bytes_for(most: u64) -> u64 {
    u64::from(most.max(1).ilog2()) / 8 + 1
}

/// A little-endian number of at most 8 bytes.
fn number(raw: &[u8]) -> u64 {
    raw.iter().take(8).rev().fold(0, |n, b| n << 8 | u64::from(*b))
}

impl Hdf5 {
    /// Adds the links of a group that stores them so.
    pub(super) fn dense(&self, file: &Window, heap: u64, tree: u64, object: &mut Object) -> Result<(), Stop> {
        let heap = self.heap(file, heap, object)?;
        let ids = self.records(file, tree, object)?;
        let known = object.links.len();
        for id in ids {
            let Some((kind, rest)) = id.split_first() else { continue };
            let (offset, length) = rest.split_at(rest.len().min(heap.offset_bytes as usize));
            if kind >> 4 & 3 != 0 {
                return Err(self.bad(heap.header, "a link outside the heap's own blocks, which is not followed"));
            }
            let message = self.in_heap(file, &heap, number(offset), number(length), object)?;
            self.link(file, &message, object)?;
            if object.text > TEXT_MOST {
                return Err(self.bad(heap.header, format!("names of more than {TEXT_MOST} bytes; the limit")));
            }
        }
        // The tree is in the order of hashes; people look for names.
        let mut links = object.links.split_off(known);
        crate::order::sort_by(&mut links, |a, b| a.0.cmp(&b.0));
        object.links.append(&mut links);
        Ok(())
    }
    fn heap(&self, file: &Window, address: u64, object: &mut Object) -> Result<Heap, Stop> {
        let header = self.place(address, 146)?;
        let mut cursor = Cursor::new(file, header, false);
        if cursor.take(4)? != b"FRHP" {
            return Err(self.bad(header, "a heap of links expected, something else found"));
        }
        let (_version, _id_bytes, filters) = (cursor.u8()?, cursor.u16()?, cursor.u16()?);
        let (_flags, _managed_most, _next_huge, _huge_tree) =
            (cursor.u8()?, cursor.u32()?, cursor.u64()?, cursor.u64()?);
        let (_free, _free_manager, _managed, _allocated) = (cursor.u64()?, cursor.u64()?, cursor.u64()?, cursor.u64()?);
        let (_iterator, _objects) = (cursor.u64()?, cursor.u64()?);
        let (_huge_bytes, _huge, _tiny_bytes, _tiny) = (cursor.u64()?, cursor.u64()?, cursor.u64()?, cursor.u64()?);
        let (width, start, largest) = (u64::from(cursor.u16()?), cursor.u64()?, cursor.u64()?);
        let (bits, _first_rows, root) = (u64::from(cursor.u16()?), cursor.u16()?, cursor.u64()?);
        let rows = u64::from(cursor.u16()?);
        let fits = width.is_power_of_two() && start.is_power_of_two() && largest.is_power_of_two();
        if !fits || largest < start || !(1..=64).contains(&bits) || filters > 0 {
            return Err(self.bad(header, "a heap of links in plain blocks that double expected"));
        }
        object.ranges.push(header..cursor.position());
        Ok(Heap { header, offset_bytes: bits.div_ceil(8), width, start, largest, root, rows })
    }
    /// The place of `n` bytes at an offset of the heap.
    fn in_heap(
        &self,
        file: &Window,
        heap: &Heap,
        offset: u64,
        n: u64,
        object: &mut Object,
    ) -> Result<Range<u64>, Stop> {
        let wrong = || self.bad(heap.header, format!("{n} bytes at {offset} of a heap that does not reach there"));
        let (mut block, mut rows, mut base, mut size) = (heap.root, heap.rows, 0u64, heap.start);
        for _ in 0..LEVELS_MOST {
            // Signature, version, the heap's address, and where in the heap the block starts.
            let head = 4 + 1 + 8 + heap.offset_bytes;
            let within = offset.checked_sub(base).ok_or_else(wrong)?;
            if rows == 0 {
                let at = self.place(block, size)?;
                if Cursor::new(file, at, false).take(4)? != b"FHDB" {
                    return Err(self.bad(at, "a block of links expected, something else found"));
                }
                let end = within.checked_add(n).filter(|end| within >= head && *end <= size).ok_or_else(wrong)?;
                if object.ranges.last() != Some(&(at..at + size)) {
                    object.ranges.push(at..at + size);
                }
                return Ok(at + within..at + end);
            }
            let (mut before, mut row) = (0u64, 0);
            size = heap.start;
            let column = loop {
                let span = size.checked_mul(heap.width).ok_or_else(wrong)?;
                if within - before < span {
                    break (within - before) / size;
                }
                before = before.checked_add(span).ok_or_else(wrong)?;
                row += 1;
                if row >= rows {
                    return Err(wrong());
                }
                // The first two rows are of equal blocks.
                size = if row == 1 { size } else { size.checked_mul(2).ok_or_else(wrong)? };
            };
            let entry = (row * heap.width + column) * 8 + head;
            let at = self.place(block, entry + 8)?;
            if Cursor::new(file, at, false).take(4)? != b"FHIB" {
                return Err(self.bad(at, "a block of places expected, something else found"));
            }
            block = Cursor::new(file, at + entry, false).u64()?;
            if block == UNDEFINED {
                return Err(wrong());
            }
            base += before + column * size;
            rows =
                if size <= heap.largest { 0 } else { u64::from((size / heap.start / heap.width).max(1).ilog2()) + 1 };
        }
        Err(wrong())
    }
    /// The heap ids of all records of a tree of names.
    fn records(&self, file: &Window, tree: u64, object: &mut Object) -> Result<Vec<Vec<u8>>, Stop> {
        let header = self.place(tree, 38)?;
        let mut cursor = Cursor::new(file, header, false);
        if cursor.take(4)? != b"BTHD" {
            return Err(self.bad(header, "a tree of names expected, something else found"));
        }
        let (_version, kind, node) = (cursor.u8()?, cursor.u8()?, u64::from(cursor.u32()?));
        let (record, depth) = (u64::from(cursor.u16()?), u32::from(cursor.u16()?));
        let (_split, _merge, root) = (cursor.u8()?, cursor.u8()?, cursor.u64()?);
        let count = u64::from(cursor.u16()?);
        object.ranges.push(header..header + 38);
        if kind != 5 || !(5..=64).contains(&record) || depth > 16 || node < NODE_FRAME + record {
            return Err(self.bad(header, "a tree of names with records of 5 to 64 bytes expected"));
        }
        if count == 0 || root == UNDEFINED {
            return Ok(Vec::new());
        }
        // How many records a node of each level holds at most decides how wide the counts in its parents are.
        let leaf = (node - NODE_FRAME) / record;
        let (one, mut below, mut widths) = (bytes_for(leaf), leaf, vec![0u64]);
        for _ in 0..depth {
            let pointer = 8 + one + widths.last().copied().unwrap_or(0);
            let most = (node - NODE_FRAME).saturating_sub(pointer) / (record + pointer);
            below = (most + 1).saturating_mul(below).saturating_add(most);
            widths.push(bytes_for(below));
        }
        let (mut found, mut seen) = (Vec::new(), HashSet::new());
        let mut waiting = vec![(root, count, depth)];
        while let Some((address, n, level)) = waiting.pop() {
            if !seen.insert(address) || seen.len() > NODES_MOST || found.len() > OBJECTS_MOST {
                return Err(self.bad(header, "a tree of names in a circle, or too large"));
            }
            // Of a child that is a leaf no count of all below is stated.
            let total = if level > 1 { widths.get(level as usize - 1).copied().unwrap_or(0) } else { 0 };
            let pointer = if level > 0 { 8 + one + total } else { 0 };
            let children = if level > 0 { n + 1 } else { 0 };
            let bytes = NODE_HEAD + n * record + children * pointer;
            if bytes > node {
                return Err(self.bad(header, format!("{n} records in a node of {node} bytes")));
            }
            let at = self.place(address, bytes)?;
            let mut cursor = Cursor::new(file, at, false);
            if cursor.take(4)? != if level > 0 { b"BTIN" } else { b"BTLF" } {
                return Err(self.bad(at, "a node of a tree of names expected, something else found"));
            }
            let (_version, _kind) = (cursor.u8()?, cursor.u8()?);
            object.ranges.push(at..at + bytes);
            for _ in 0..n {
                let (_hash, id) = (cursor.u32()?, cursor.take(record - 4)?);
                found.push(id.to_vec());
            }
            for _ in 0..children {
                let child = cursor.u64()?;
                let n = number(cursor.take(one)?);
                let _all = cursor.take(total)?;
                waiting.push((child, n, level - 1));
            }
        }
        Ok(found)
    }
}

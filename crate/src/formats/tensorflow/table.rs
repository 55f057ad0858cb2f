//! The sorted table under checkpoints (as LevelDB has it): blocks of entries, found through a block of their places.
//!
//! ```text
//! blocks | index block | footer of 48 bytes: two handles (varints), padding, magic
//! block: entries {shared varint, unshared varint, value length varint, key suffix, value} | restarts u32... | count u32
//!        | compression u8 | checksum u32
//! ```

use std::ops::Range;

use crate::{
    fault::Fault,
    formats::codec::{protobuf::varint, snappy},
    source::{Cursor, Stop, Window},
};

const MAGIC: u64 = 0xdb47_7524_8b80_fb57;
/// Bytes at the file's end.
pub(super) const FOOTER: u64 = 48;
/// Compression byte and checksum after each block.
const TRAILER: u64 = 5;
const KEY_MOST: usize = 4096;
/// Bytes of all keys of a block: they share beginnings, so few bytes could claim many.
const KEYS_MOST: usize = 64 << 20;
/// Packed blocks are unpacked up to this size.
const PACKED_MOST: u64 = 64 << 20;
/// The three numbers before a key take at most this many bytes.
const LENGTHS_MOST: u64 = 30;

/// One entry; where its value lies in the block's [`Block::window`].
pub(super) struct Entry {
    pub(super) key: Vec<u8>,
    pub(super) value: Range<u64>,
}

/// A block's entries: in the file as they are, or unpacked.
pub(super) struct Block {
    pub(super) entries: Vec<Entry>,
    pub(super) unpacked: Option<Window>,
    /// Where the block starts in the file.
    pub(super) at: u64,
}

impl Block {
    /// Where the values lie.
    pub(super) fn window<'a>(&'a self, file: &'a Window) -> &'a Window {
        self.unpacked.as_ref().unwrap_or(file)
    }
}

fn bad(file: &Window, at: u64, what: impl Into<String>) -> Stop {
    Stop::Bad(Fault::file(at.min(file.len()), what).in_file(file.name()))
}

/// Places and sizes of all blocks, in the order of their bytes.
pub(super) fn blocks(file: &Window) -> Result<Vec<(u64, u64)>, Stop> {
    let Some(start) = file.len().checked_sub(FOOTER) else {
        return Err(bad(file, 0, format!("a table of at least {FOOTER} bytes expected, {} found", file.len())));
    };
    let footer = file.bytes(start..file.len())?;
    if Cursor::new(file, file.len() - 8, false).u64()? != MAGIC {
        let what = "the end of a checkpoint's table expected, something else found: the file was not copied whole";
        return Err(bad(file, file.len(), what));
    }
    let mut handles = [0u64; 4];
    let mut used = 0;
    for handle in &mut handles {
        let read = varint(footer.get(used..).unwrap_or(&[])).ok().flatten();
        let (value, n) = read.ok_or_else(|| bad(file, start, "the table's footer holds no handles"))?;
        *handle = value;
        used += n;
    }
    let [.., at, size] = handles;
    let index = block(file, at, size)?;
    let window = index.window(file);
    let mut found = Vec::with_capacity(index.entries.len());
    let mut passed = 0;
    for entry in &index.entries {
        let place = window.bytes(entry.value.clone())?;
        let handle = varint(place).ok().flatten().and_then(|(at, n)| Some((at, varint(place.get(n..)?).ok()??.0)));
        let told = if index.unpacked.is_some() { index.at } else { entry.value.start };
        let Some((at, size)) = handle else {
            return Err(bad(file, told, "a block's place expected in the index block"));
        };
        // Blocks lie one behind the other: the same one named often would cost time without end.
        if at < passed {
            return Err(bad(file, told, format!("a block at byte {at}, before the end of the one before at {passed}")));
        }
        passed = at.saturating_add(size);
        found.push((at, size));
    }
    Ok(found)
}

/// All entries of a block.
pub(super) fn block(file: &Window, at: u64, size: u64) -> Result<Block, Stop> {
    let end = at.checked_add(size).filter(|end| end.saturating_add(TRAILER) <= file.len());
    let Some(end) = end.filter(|_| size >= 4) else {
        return Err(bad(
            file,
            at,
            format!("a block of {size} bytes at byte {at} leaves the file of {} bytes", file.len()),
        ));
    };
    match Cursor::new(file, end, false).u8()? {
        0 => Ok(Block { entries: entries(file, at..end)?, unpacked: None, at }),
        1 if size <= PACKED_MOST => {
            let Some(bytes) = snappy::unpacked(file.bytes(at..end)?) else {
                return Err(bad(
                    file,
                    at,
                    format!("a block of {size} bytes packed by Snappy expected, other bytes found"),
                ));
            };
            let len = bytes.len() as u64;
            let mut window = Window::new(file.name(), len);
            window.insert(0, bytes);
            let entries = entries(&window, 0..len).map_err(|stop| match stop {
                // A byte of the unpacked block is no byte of the file.
                Stop::Bad(fault) => bad(file, at, format!("in a packed block: {}", fault.what)),
                need => need,
            })?;
            Ok(Block { entries, unpacked: Some(window), at })
        }
        1 => Err(Fault::limit(format!("a packed block of {size} bytes; the limit is {PACKED_MOST}")).at(at).into()),
        other => {
            let what = format!("a block compressed by method {other}, which is not read (0 is plain, 1 is Snappy)");
            Err(Fault::unsupported(what).at(end).in_file(file.name()).into())
        }
    }
}

fn entries(file: &Window, block: Range<u64>) -> Result<Vec<Entry>, Stop> {
    let (at, end) = (block.start, block.end);
    if end - at < 4 {
        return Err(bad(file, at, format!("a block of at least 4 bytes expected, {} found", end - at)));
    }
    let restarts = u64::from(Cursor::new(file, end - 4, false).u32()?);
    let data_end = restarts.checked_mul(4).and_then(|n| (end - 4).checked_sub(n)).filter(|e| *e >= at);
    let data_end = data_end
        .ok_or_else(|| bad(file, end - 4, format!("{restarts} restarts announced, the block has no room for them")))?;
    let (mut found, mut key, mut i, mut keys) = (Vec::new(), Vec::new(), at, 0usize);
    while i < data_end {
        // Values are passed over: in V1 checkpoints they are the tensors.
        let head = file.bytes(i..data_end.min(i + LENGTHS_MOST))?;
        let (mut numbers, mut used) = ([0u64; 3], 0);
        for number in &mut numbers {
            let read = varint(head.get(used..).unwrap_or(&[])).ok().flatten();
            let (value, n) = read.ok_or_else(|| bad(file, i, "an entry's lengths expected"))?;
            *number = value;
            used += n;
        }
        let [shared, unshared, length] = numbers;
        let middle = (i + used as u64).checked_add(unshared);
        let last = middle.and_then(|m| m.checked_add(length)).filter(|last| *last <= data_end);
        let (Some(middle), Some(last)) = (middle, last) else {
            return Err(bad(file, i, "an entry leaves its block"));
        };
        if shared > key.len() as u64 || shared.saturating_add(unshared) > KEY_MOST as u64 {
            return Err(bad(file, i, format!("an entry shares {shared} bytes with a key of {}", key.len())));
        }
        key.truncate(shared as usize);
        key.extend_from_slice(file.bytes(middle - unshared..middle)?);
        keys += key.len();
        if keys > KEYS_MOST {
            return Err(Fault::limit(format!("keys of more than {KEYS_MOST} bytes; the limit")).at(i).into());
        }
        found.push(Entry { key: key.clone(), value: middle..last });
        i = last;
    }
    Ok(found)
}

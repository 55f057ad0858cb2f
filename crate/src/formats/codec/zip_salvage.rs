//! A zip that lost its end: members are found by their own headers, from the file's start on.
//!
//! ```text
//! PK\3\4 | 26 bytes of facts | name | extra | bytes | [PK\7\8 | crc | packed | size]   one behind the other
//! ```
//! Writers that do not go back (PyTorch's is one) leave the sizes 0 in the header and state them behind the bytes.
//! Such a member's end is what its reader knows of it, or the first record behind it that states the very distance.

use std::ops::Range;

use super::zip::{self, Directory, Member};
use crate::{
    fault::Fault,
    source::{Cursor, Stop, Window},
};

/// The record behind a member whose header does not state its sizes.
const DESCRIPTOR: u32 = 0x0807_4b50;
/// Bytes of that record with sizes of 4 bytes each, and of 8 bytes each.
const DESCRIPTOR_BYTES: [u64; 2] = [16, 24];
/// Bytes searched for such records in one file; what lies behind them is then not told apart.
const SEARCHED_MOST: u64 = 16 << 20;
/// Bytes searched at once.
const STEP: u64 = 64 << 10;
/// Flag: sizes stand behind the bytes.
const SIZES_BEHIND: u16 = 8;

/// A member by its own header; how long it is may not be known yet.
pub(in crate::formats) struct Found {
    pub(in crate::formats) member: Member,
    /// Where its bytes start.
    pub(in crate::formats) start: u64,
    /// The header states how long it is.
    pub(in crate::formats) sized: bool,
}

/// How far the walk is.
pub(in crate::formats) struct Walk {
    /// Why there is no directory.
    pub(in crate::formats) fault: Fault,
    members: Vec<Member>,
    at: u64,
    searched: u64,
    /// Where the search for the end of the member at hand goes on.
    search: Option<u64>,
    cut: Option<Range<u64>>,
    /// The last member's end was not found.
    unended: bool,
}

impl Walk {
    /// At the start of a file whose directory cannot be read because of `fault`.
    pub(in crate::formats) fn new(fault: Fault) -> Self {
        Self { fault, members: Vec::new(), at: 0, searched: 0, search: None, cut: None, unended: false }
    }
    /// The next member, or `None` where no whole header follows.
    pub(in crate::formats) fn next(&self, file: &Window) -> Result<Option<Found>, Stop> {
        let header = self.at;
        if header.checked_add(zip::LOCAL_BYTES).is_none_or(|end| end > file.len()) {
            return Ok(None);
        }
        let mut cursor = Cursor::new(file, header, false);
        if cursor.u32()? != zip::LOCAL {
            return Ok(None);
        }
        let (_needs, flags, method) = (cursor.u16()?, cursor.u16()?, cursor.u16()?);
        let (_time, _date, _crc) = (cursor.u16()?, cursor.u16()?, cursor.u32()?);
        let (mut packed, mut size) = (u64::from(cursor.u32()?), u64::from(cursor.u32()?));
        let (name, extra) = (u64::from(cursor.u16()?), u64::from(cursor.u16()?));
        let start = cursor.position() + name + extra;
        if start > file.len() {
            return Ok(None);
        }
        let name = String::from_utf8_lossy(cursor.take(name)?).into_owned();
        zip::sizes64(&mut cursor, start, &mut [&mut size, &mut packed])?;
        let sized = flags & SIZES_BEHIND == 0 || packed > 0;
        let member = Member { name, method, flags, packed, size, header, at: 0..0 };
        Ok(Some(Found { member, start, sized }))
    }
    /// Takes a member of `n` bytes in. True where the sizes behind it, if there are any, say the same.
    pub(in crate::formats) fn take(&mut self, file: &Window, found: Found, n: u64) -> Result<bool, Stop> {
        let Found { mut member, start, sized } = found;
        let end = start.saturating_add(n);
        let behind =
            if end <= file.len() && member.flags & SIZES_BEHIND != 0 { descriptor(file, end, n)? } else { None };
        // Nothing is asked for from here on.
        let (mut fits, mut next) = (true, end);
        if end > file.len() {
            self.cut = Some(start..end);
        } else if let Some((size, width)) = behind {
            member.size = size;
            next = end + width;
        } else if member.flags & SIZES_BEHIND != 0 {
            // Where the file ends within the record, the member is whole all the same.
            fits = file.len() - end < DESCRIPTOR_BYTES[0];
        }
        self.at = next;
        member.packed = n;
        if !sized && member.method == 0 {
            member.size = n;
        }
        member.at = start..end.min(file.len());
        self.members.push(member);
        self.search = None;
        Ok(fits)
    }
    /// How long a member is whose header does not say: searches the record behind it. Where there is none, all that
    /// is left is taken for its beginning.
    pub(in crate::formats) fn measure(&mut self, file: &Window, found: &Found) -> Result<u64, Stop> {
        loop {
            let from = self.search.unwrap_or(found.start);
            if from.saturating_add(DESCRIPTOR_BYTES[0]) > file.len() || self.searched > SEARCHED_MOST {
                self.unended = true;
                return Ok(file.len() - found.start);
            }
            let to = from.saturating_add(STEP).min(file.len());
            let bytes = file.bytes(from..to)?;
            let magic = DESCRIPTOR.to_le_bytes();
            for i in (0..bytes.len()).filter(|i| bytes.get(*i..i + 4) == Some(&magic[..])) {
                let at = from + i as u64;
                if descriptor(file, at, at - found.start)?.is_some() {
                    return Ok(at - found.start);
                }
            }
            self.searched += to - from;
            // The last three bytes may start a record.
            self.search = Some(if to == file.len() { to } else { to - 3 });
        }
    }
    /// What was found, in the place of the directory that is not there.
    pub(in crate::formats) fn directory(&mut self, len: u64) -> Directory {
        let end = self.at.min(len);
        let whole = self.members.len() - usize::from(self.cut.is_some() || self.unended);
        Directory {
            members: std::mem::take(&mut self.members),
            at: end..end,
            end,
            salvaged: Some(Salvage { cut: self.cut.take(), whole }),
            ..Directory::default()
        }
    }
}

/// What is known of a zip without its directory.
#[derive(Debug)]
pub(in crate::formats) struct Salvage {
    /// Where the bytes of the last member would lie: they go on beyond the file's end.
    pub(in crate::formats) cut: Option<Range<u64>>,
    /// Members whose bytes are all there.
    pub(in crate::formats) whole: usize,
}

/// The record at `at` behind `n` bytes: the unpacked size and the record's length; `None` where there is none of `n`.
fn descriptor(file: &Window, at: u64, n: u64) -> Result<Option<(u64, u64)>, Stop> {
    for width in DESCRIPTOR_BYTES {
        if at.checked_add(width).is_none_or(|end| end > file.len()) {
            continue;
        }
        let mut cursor = Cursor::new(file, at, false);
        let (magic, _crc) = (cursor.u32()?, cursor.u32()?);
        let (packed, size) = if width == DESCRIPTOR_BYTES[0] {
            (u64::from(cursor.u32()?), u64::from(cursor.u32()?))
        } else {
            (cursor.u64()?, cursor.u64()?)
        };
        if magic == DESCRIPTOR && packed == n {
            return Ok(Some((size, width)));
        }
    }
    Ok(None)
}

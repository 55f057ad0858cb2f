//! Attributes: small named values of an object, and the heap that holds their long texts.

use std::ops::Range;

use super::{Hdf5, Kind, NAME_MOST, Object, TEXT_MOST, VALUE_MOST};
use crate::source::{Cursor, Stop, Window};

impl Hdf5 {
    pub(super) fn attribute(&self, file: &Window, body: &Range<u64>, object: &mut Object) -> Result<(), Stop> {
        let mut cursor = Cursor::new(file, body.start, false);
        let (version, _flags) = (cursor.u8()?, cursor.u8()?);
        let sizes = [u64::from(cursor.u16()?), u64::from(cursor.u16()?), u64::from(cursor.u16()?)];
        let _letters = if version >= 3 { cursor.u8()? } else { 0 };
        let padded = |n: u64| if version == 1 { n.next_multiple_of(8) } else { n };
        let name_at = cursor.position();
        let kind_at = name_at + padded(sizes[0]);
        let space_at = kind_at + padded(sizes[1]);
        let data = space_at + padded(sizes[2]);
        if data > body.end || sizes[0] > NAME_MOST {
            return Err(self.bad(body.start, "an attribute leaves its message"));
        }
        let name = file.bytes(name_at..name_at + sizes[0])?;
        let name = String::from_utf8_lossy(name).trim_end_matches('\0').to_owned();
        let kind = self.kind(file, &(kind_at..space_at))?;
        let dims = self.dims(file, &(space_at..data))?;
        let count = dims.iter().try_fold(1u64, |n, d| n.checked_mul(*d)).unwrap_or(u64::MAX);
        let width = match kind {
            Kind::Text(n) => u64::from(n),
            Kind::LongText => 16,
            Kind::Integer { bytes, .. } | Kind::Float { bytes, .. } => u64::from(bytes),
            Kind::Bool => 1,
            Kind::Other(..) => 0,
        };
        let room = body.end - data;
        let fits = width > 0 && count.checked_mul(width).is_some_and(|n| n <= room);
        let mut values = Vec::new();
        if fits && count <= 65_536 {
            for i in 0..count {
                let value = self.value(file, &kind, data + i * width, width)?;
                object.text += value.len() as u64 + 24;
                if object.text > TEXT_MOST {
                    return Err(self.bad(body.start, format!("attributes of more than {TEXT_MOST} bytes; the limit")));
                }
                values.push(value);
            }
        } else {
            values.push(format!("{count} values of {kind:?}"));
        }
        object.attributes.push((name, values, dims.is_empty()));
        Ok(())
    }
    fn value(&self, file: &Window, kind: &Kind, at: u64, width: u64) -> Result<String, Stop> {
        let raw = file.bytes(at..at + width)?;
        let bits = |big: bool| -> u64 {
            let fold = |n: u64, b: &u8| n << 8 | u64::from(*b);
            if big { raw.iter().fold(0, fold) } else { raw.iter().rev().fold(0, fold) }
        };
        Ok(match kind {
            Kind::Text(_) => String::from_utf8_lossy(raw).trim_end_matches('\0').to_owned(),
            Kind::Bool => (raw.first() == Some(&1)).to_string(),
            Kind::Integer { bytes, signed, big_endian } if *bytes <= 8 => {
                let shift = 64 - 8 * bytes.max(&1);
                let bits = bits(*big_endian);
                if *signed { ((bits << shift) as i64 >> shift).to_string() } else { bits.to_string() }
            }
            Kind::Float { bytes: 4, big_endian } => f32::from_bits(bits(*big_endian) as u32).to_string(),
            Kind::Float { bytes: 8, big_endian } => f64::from_bits(bits(*big_endian)).to_string(),
            Kind::LongText => {
                let mut cursor = Cursor::new(file, at, false);
                let (n, heap, index) = (u64::from(cursor.u32()?), cursor.u64()?, cursor.u32()?);
                self.long_text(file, n, heap, index)?
            }
            _ => format!("{} bytes", raw.len()),
        })
    }
    /// A text in the global heap.
    fn long_text(&self, file: &Window, n: u64, heap: u64, index: u32) -> Result<String, Stop> {
        if n == 0 {
            return Ok(String::new());
        }
        if n > VALUE_MOST {
            return Ok(format!("a text of {n} bytes; the limit is {VALUE_MOST}"));
        }
        let at = self.place(heap, 16)?;
        let mut cursor = Cursor::new(file, at, false);
        if cursor.take(4)? != b"GCOL" {
            return Err(self.bad(at, "a heap of texts expected, something else found"));
        }
        let _version_and_reserved = cursor.u32()?;
        let size = cursor.u64()?;
        let end = self.place(heap, size)? + size;
        while cursor.position() + 16 <= end {
            let (id, _uses) = (cursor.u16()?, cursor.u16()?);
            let _reserved = cursor.u32()?;
            let bytes = cursor.u64()?;
            if u32::from(id) == index && bytes >= n {
                return Ok(String::from_utf8_lossy(cursor.take(n)?).trim_end_matches('\0').to_owned());
            }
            if id == 0 {
                break;
            }
            let next = bytes
                .checked_next_multiple_of(8)
                .and_then(|b| cursor.position().checked_add(b))
                .filter(|next| *next <= end);
            cursor.seek(next.ok_or_else(|| self.bad(cursor.position(), "an item leaves its heap"))?);
        }
        Err(self.bad(at, format!("item {index} is not in its heap")))
    }
}

//! GGUF's scalar values and strings.

use crate::{
    fault::Fault,
    model::{MetaType, MetaValue},
    source::{Cursor, Limits, Stop},
};

/// What the version and byte order fix: version 1 counts with 32 bits, later ones with 64.
#[derive(Clone, Copy)]
pub(in crate::formats) struct Layout {
    pub(in crate::formats) big_endian: bool,
    pub(in crate::formats) wide: bool,
}

impl Layout {
    /// Bytes of a count or string length.
    pub(in crate::formats) fn width(self) -> u8 {
        if self.wide { 8 } else { 4 }
    }
    /// Reads a count or length.
    pub(in crate::formats) fn count(self, cursor: &mut Cursor<'_>) -> Result<u64, Stop> {
        if self.wide { cursor.u64() } else { Ok(u64::from(cursor.u32()?)) }
    }
    /// The fewest bytes that one item of a type takes; exact for numbers.
    pub(in crate::formats) fn least_bytes(self, item: MetaType) -> u64 {
        match item {
            MetaType::U8 | MetaType::I8 | MetaType::Bool => 1,
            MetaType::U16 | MetaType::I16 => 2,
            MetaType::U32 | MetaType::I32 | MetaType::F32 => 4,
            MetaType::U64 | MetaType::I64 | MetaType::F64 => 8,
            MetaType::String => u64::from(self.width()),
            MetaType::Array => 4 + u64::from(self.width()),
        }
    }
    /// Where a string that starts at `from` ends, if `bytes` hold all of it.
    pub(in crate::formats) fn string_end(self, bytes: &[u8], from: usize) -> Option<usize> {
        let (n, rest) = self.split_count(bytes.get(from..)?)?;
        let n = usize::try_from(n).ok()?;
        (n <= rest.len()).then(|| bytes.len() - rest.len() + n)
    }
    /// A count or length, and the bytes after it.
    pub(super) fn split_count(self, bytes: &[u8]) -> Option<(u64, &[u8])> {
        if self.wide { self.split_u64(bytes) } else { self.split_u32(bytes).map(|(n, rest)| (u64::from(n), rest)) }
    }
    /// A u32, and the bytes after it.
    pub(super) fn split_u32(self, bytes: &[u8]) -> Option<(u32, &[u8])> {
        let (raw, rest) = bytes.split_first_chunk()?;
        Some((if self.big_endian { u32::from_be_bytes(*raw) } else { u32::from_le_bytes(*raw) }, rest))
    }
    /// A u64, and the bytes after it.
    pub(super) fn split_u64(self, bytes: &[u8]) -> Option<(u64, &[u8])> {
        let (raw, rest) = bytes.split_first_chunk()?;
        Some((if self.big_endian { u64::from_be_bytes(*raw) } else { u64::from_le_bytes(*raw) }, rest))
    }
}

/// The type of a GGUF type number.
pub(super) fn kind(id: u32) -> Option<MetaType> {
    MetaType::ALL.get(usize::try_from(id).ok()?).copied()
}

/// Reads one number or boolean.
pub(super) fn number(cursor: &mut Cursor<'_>, kind: MetaType) -> Result<MetaValue, Stop> {
    Ok(match kind {
        MetaType::U8 => MetaValue::Unsigned(cursor.u8()?.into(), kind),
        MetaType::U16 => MetaValue::Unsigned(cursor.u16()?.into(), kind),
        MetaType::U32 => MetaValue::Unsigned(cursor.u32()?.into(), kind),
        MetaType::U64 => MetaValue::Unsigned(cursor.u64()?, kind),
        MetaType::I8 => MetaValue::Signed(cursor.i8()?.into(), kind),
        MetaType::I16 => MetaValue::Signed(cursor.i16()?.into(), kind),
        MetaType::I32 => MetaValue::Signed(cursor.i32()?.into(), kind),
        MetaType::I64 => MetaValue::Signed(cursor.i64()?, kind),
        MetaType::F32 => MetaValue::Float(cursor.f32()?.into(), kind),
        MetaType::F64 => MetaValue::Float(cursor.f64()?, kind),
        MetaType::Bool => MetaValue::Bool(cursor.u8()? != 0),
        MetaType::String | MetaType::Array => return Err(Fault::bug("no number").into()),
    })
}

/// The bytes of a string: its length is checked against the file and the limit before anything is asked for.
pub(super) fn string_bytes<'w>(
    cursor: &mut Cursor<'w>,
    layout: Layout,
    limits: &Limits,
    what: &str,
) -> Result<&'w [u8], Stop> {
    let at = cursor.position();
    let n = layout.count(cursor)?;
    if n > cursor.remaining() {
        return Err(Fault::file(at, format!("{what} of {n} bytes expected, {} left in the file", cursor.remaining()))
            .in_file(cursor.window().name())
            .short()
            .into());
    }
    if n > limits.string_bytes {
        return Err(Fault::limit(format!("{what} of {n} bytes; the limit is {}", limits.string_bytes)).at(at).into());
    }
    cursor.take(n)
}

/// A string, and whether it was UTF-8.
pub(super) fn string(
    cursor: &mut Cursor<'_>,
    layout: Layout,
    limits: &Limits,
    what: &str,
) -> Result<(String, bool), Stop> {
    let bytes = string_bytes(cursor, layout, limits, what)?;
    Ok(match std::str::from_utf8(bytes) {
        Ok(text) => (text.to_owned(), true),
        Err(_) => (String::from_utf8_lossy(bytes).into_owned(), false),
    })
}

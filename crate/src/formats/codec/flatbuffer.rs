//! FlatBuffers: tables, vectors and strings by bounds-checked offsets; nothing is trusted, nothing is copied.

use crate::{
    fault::Fault,
    source::{Cursor, Stop, Window},
};

/// A table: where it starts, and its vtable with its length.
#[derive(Clone, Copy)]
pub(in crate::formats) struct Table<'w> {
    file: &'w Window,
    at: u64,
    vtable: u64,
    vtable_bytes: u64,
}

/// A vector: where its first item is, and how many there are.
#[derive(Debug, Clone, Copy)]
pub(in crate::formats) struct Vector {
    pub(in crate::formats) at: u64,
    pub(in crate::formats) len: u64,
}

fn wrong(file: &Window, at: u64, what: impl Into<String>) -> Stop {
    Stop::Bad(Fault::file(at.min(file.len()), what).in_file(file.name()))
}

impl<'w> Table<'w> {
    /// The root table, which the offset at byte 0 names.
    pub(in crate::formats) fn root(file: &'w Window) -> Result<Self, Stop> {
        let at = Cursor::new(file, 0, false).u32()?;
        Self::at(file, u64::from(at))
    }
    fn at(file: &'w Window, at: u64) -> Result<Self, Stop> {
        let back = Cursor::new(file, at, false).i32()?;
        let vtable =
            i64::try_from(at).ok().and_then(|at| at.checked_sub(i64::from(back))).and_then(|v| u64::try_from(v).ok());
        let vtable = vtable.ok_or_else(|| wrong(file, at, "a table's vtable lies before the file"))?;
        let vtable_bytes = u64::from(Cursor::new(file, vtable, false).u16()?);
        if vtable_bytes < 4 || vtable.checked_add(vtable_bytes).is_none_or(|end| end > file.len()) {
            return Err(wrong(file, vtable, format!("a vtable of {vtable_bytes} bytes")));
        }
        Ok(Self { file, at, vtable, vtable_bytes })
    }
    /// Where field `n` lies; `None` where it has its default.
    fn field(&self, n: u64) -> Result<Option<u64>, Stop> {
        let place = 4 + 2 * n;
        if place + 2 > self.vtable_bytes {
            return Ok(None);
        }
        let offset = Cursor::new(self.file, self.vtable + place, false).u16()?;
        Ok((offset != 0).then(|| self.at + u64::from(offset)))
    }
    pub(in crate::formats) fn u8(&self, n: u64) -> Result<u8, Stop> {
        self.field(n)?.map_or(Ok(0), |at| Cursor::new(self.file, at, false).u8())
    }
    pub(in crate::formats) fn u32(&self, n: u64) -> Result<u32, Stop> {
        self.field(n)?.map_or(Ok(0), |at| Cursor::new(self.file, at, false).u32())
    }
    pub(in crate::formats) fn u64(&self, n: u64) -> Result<u64, Stop> {
        self.field(n)?.map_or(Ok(0), |at| Cursor::new(self.file, at, false).u64())
    }
    /// A vector of items of `size` bytes; empty where it is absent.
    pub(in crate::formats) fn vector(&self, n: u64, size: u64) -> Result<Vector, Stop> {
        let Some(at) = self.field(n)? else { return Ok(Vector { at: 0, len: 0 }) };
        let start = at + u64::from(Cursor::new(self.file, at, false).u32()?);
        let len = u64::from(Cursor::new(self.file, start, false).u32()?);
        let room = self.file.len().saturating_sub(start + 4);
        if len > room / size.max(1) {
            return Err(wrong(
                self.file,
                start,
                format!("a vector of {len} items of {size} bytes, {room} bytes are left"),
            ));
        }
        Ok(Vector { at: start + 4, len })
    }
    /// Table number `i` of a vector of tables.
    pub(in crate::formats) fn item(&self, vector: Vector, i: u64) -> Result<Self, Stop> {
        let at = vector.at + 4 * i;
        Self::at(self.file, at + u64::from(Cursor::new(self.file, at, false).u32()?))
    }
    /// Numbers of a vector of u32 (or i32), at most `most`.
    ///
    /// # Errors
    /// The bytes are missing or beyond the end; there are more.
    pub(in crate::formats) fn numbers(&self, n: u64, most: u64) -> Result<Vec<u32>, Stop> {
        let vector = self.vector(n, 4)?;
        if vector.len > most {
            let what = format!("a list of {} numbers; the limit is {most}", vector.len);
            return Err(Fault::limit(what).at(vector.at).in_file(self.file.name()).into());
        }
        let mut cursor = Cursor::new(self.file, vector.at, false);
        (0..vector.len).map(|_| cursor.u32()).collect()
    }
    /// A string, cut to `most` bytes.
    pub(in crate::formats) fn text(&self, n: u64, most: u64) -> Result<String, Stop> {
        let vector = self.vector(n, 1)?;
        let bytes = self.file.bytes(vector.at..vector.at + vector.len.min(most))?;
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }
}

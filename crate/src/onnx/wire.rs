//! The protobuf wire format over bytes in memory.

use crate::fault::{Fault, Result};

/// One field's value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Field<'a> {
    Int(u64),
    Bytes(&'a [u8], u64),
    Fixed32(u32),
    Fixed64(u64),
}

/// A reading position in a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wire<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where the message starts in its file.
    base: u64,
}

impl<'a> Wire<'a> {
    pub(super) fn new(bytes: &'a [u8], base: u64) -> Self {
        Self { bytes, at: 0, base }
    }
    /// Place in the file.
    pub(super) fn place(&self) -> u64 {
        self.base + self.at as u64
    }
    fn bad(&self, what: &str) -> Fault {
        Fault::file(self.place(), what)
    }
    pub(super) fn done(&self) -> bool {
        self.at >= self.bytes.len()
    }
    pub(super) fn varint(&mut self) -> Result<u64> {
        let mut value = 0u64;
        for i in 0..10 {
            let byte = *self.bytes.get(self.at).ok_or_else(|| self.bad("a varint expected, the message ends"))?;
            self.at += 1;
            value |= u64::from(byte & 0x7f) << (7 * i);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.bad("a varint of at most 10 bytes expected"))
    }
    fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let bytes = self.at.checked_add(n).and_then(|end| self.bytes.get(self.at..end)).ok_or_else(|| {
            self.bad(&format!("{n} bytes expected, the message has {} left", self.bytes.len() - self.at))
        })?;
        self.at += n;
        Ok(bytes)
    }
    pub(super) fn fixed32(&mut self) -> Result<u32> {
        let mut raw = [0; 4];
        raw.copy_from_slice(self.take(4)?);
        Ok(u32::from_le_bytes(raw))
    }
    pub(super) fn fixed64(&mut self) -> Result<u64> {
        let mut raw = [0; 8];
        raw.copy_from_slice(self.take(8)?);
        Ok(u64::from_le_bytes(raw))
    }
    /// The next field, none at the message's end.
    pub(super) fn next(&mut self) -> Result<Option<(u32, Field<'a>)>> {
        if self.done() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).map_err(|_| self.bad("a protobuf field number below 2^29 expected"))?;
        let field = match tag & 7 {
            0 => Field::Int(self.varint()?),
            1 => Field::Fixed64(self.fixed64()?),
            2 => {
                let n =
                    usize::try_from(self.varint()?).map_err(|_| self.bad("a length beyond this machine's memory"))?;
                let place = self.place();
                Field::Bytes(self.take(n)?, place)
            }
            5 => Field::Fixed32(self.fixed32()?),
            other => return Err(self.bad(&format!("a protobuf wire type 0, 1, 2 or 5 expected, {other} found"))),
        };
        Ok(Some((number, field)))
    }
}

impl<'a> Field<'a> {
    pub(super) fn int(self) -> i64 {
        match self {
            Self::Int(n) | Self::Fixed64(n) => n as i64,
            Self::Fixed32(n) => i64::from(n),
            Self::Bytes(..) => 0,
        }
    }
    pub(super) fn float(self) -> f32 {
        match self {
            Self::Fixed32(n) => f32::from_bits(n),
            _ => 0.0,
        }
    }
    pub(super) fn bytes(self) -> &'a [u8] {
        match self {
            Self::Bytes(bytes, _) => bytes,
            _ => &[],
        }
    }
    pub(super) fn text(self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }
    /// The message inside.
    pub(super) fn message(self) -> Wire<'a> {
        match self {
            Self::Bytes(bytes, base) => Wire::new(bytes, base),
            _ => Wire::new(&[], 0),
        }
    }
    /// One integer, or a packed list of them.
    pub(super) fn ints(self, into: &mut Vec<i64>) -> Result<()> {
        match self {
            Self::Bytes(..) => {
                let mut wire = self.message();
                while !wire.done() {
                    into.push(wire.varint()? as i64);
                }
            }
            other => into.push(other.int()),
        }
        Ok(())
    }
    /// One float, or a packed list of them.
    pub(super) fn floats(self, into: &mut Vec<f32>) -> Result<()> {
        match self {
            Self::Bytes(..) => {
                let mut wire = self.message();
                while !wire.done() {
                    into.push(f32::from_bits(wire.fixed32()?));
                }
            }
            other => into.push(other.float()),
        }
        Ok(())
    }
    /// One double, or a packed list of them.
    pub(super) fn doubles(self, into: &mut Vec<f64>) -> Result<()> {
        match self {
            Self::Bytes(..) => {
                let mut wire = self.message();
                while !wire.done() {
                    into.push(f64::from_bits(wire.fixed64()?));
                }
            }
            Self::Fixed64(n) => into.push(f64::from_bits(n)),
            _ => {}
        }
        Ok(())
    }
}

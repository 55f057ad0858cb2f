//! The protobuf wire format over bytes in memory, as far as SentencePiece's files need it.
//!
//! `formats/codec/protobuf.rs` reads windows of files that need not be here; a tokenizer file is here whole.

use crate::fault::{Blame, Fault, Result};

/// A field's value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
    Fixed64(u64),
}

/// The fields of a message in order.
pub(super) struct Fields<'a> {
    message: &'a [u8],
    /// Where the message begins in the file.
    base: usize,
    at: usize,
}

impl<'a> Fields<'a> {
    pub(super) fn of(message: &'a [u8], base: usize) -> Self {
        Self { message, base, at: 0 }
    }

    /// Where in the file the next field begins.
    pub(super) fn place(&self) -> usize {
        self.base + self.at
    }

    fn broken(&self, what: &str) -> Fault {
        Fault::new(Blame::File, what).at(self.place() as u64)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.message.len());
        let Some(end) = end else {
            let left = self.message.len() - self.at;
            return Err(self.broken(&format!("{count} bytes of a protobuf message expected, {left} are left")));
        };
        let taken = &self.message[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u64> {
        let mut value = 0;
        for nth in 0..10 {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7F) << (7 * nth);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.broken("a protobuf varint of at most 10 bytes expected"))
    }

    /// The next field's number and value; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Value<'a>)>> {
        if self.at >= self.message.len() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let fixed = |bytes: &[u8]| bytes.iter().rev().fold(0, |value, byte| (value << 8) | u64::from(*byte));
        let value = match tag & 7 {
            0 => Value::Number(self.varint()?),
            1 => Value::Fixed64(fixed(self.take(8)?)),
            2 => {
                let length = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
                Value::Bytes(self.take(length)?)
            }
            5 => Value::Fixed32(fixed(self.take(4)?) as u32),
            other => return Err(self.broken(&format!("a protobuf wire type 0, 1, 2 or 5 expected, {other} found"))),
        };
        Ok(Some((tag >> 3, value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_and_a_message_that_ends_early_is_told_with_its_place() {
        let bytes = [0x08, 0x96, 0x01, 0x12, 0x02, b'h', b'i', 0x1D, 0, 0, 0x80, 0x3F];
        let mut fields = Fields::of(&bytes, 100);
        assert_eq!(fields.next().unwrap(), Some((1, Value::Number(150))));
        assert_eq!(fields.next().unwrap(), Some((2, Value::Bytes(b"hi"))));
        assert_eq!(fields.next().unwrap(), Some((3, Value::Fixed32(0x3F80_0000))));
        assert_eq!(fields.next().unwrap(), None);
        let mut fields = Fields::of(&bytes[..6], 100);
        fields.next().unwrap();
        assert_eq!(fields.next().unwrap_err().at, Some(105));
    }
}

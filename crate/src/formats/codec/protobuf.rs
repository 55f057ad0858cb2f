//! The protobuf wire format, field by field over a window; payloads are named, not read.

use crate::{
    fault::Fault,
    source::{Stop, Window},
};

/// The longest a varint gets: 64 bits in groups of 7.
const VARINT_MOST: usize = 10;

/// What follows a field's tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::formats) enum Wire {
    Varint(u64),
    Fixed64(u64),
    /// Length of the payload, which starts at [`Field::payload`].
    Bytes(u64),
    GroupStart,
    GroupEnd,
    Fixed32(u32),
}

/// One field.
#[derive(Debug, Clone, Copy)]
pub(in crate::formats) struct Field {
    pub(in crate::formats) number: u32,
    pub(in crate::formats) wire: Wire,
    /// Where the value's bytes start: the payload of `Bytes`, else where the next field is.
    pub(in crate::formats) payload: u64,
}

impl Field {
    /// Where the next field starts; saturates where a length leaves 64 bits.
    pub(in crate::formats) fn end(&self) -> u64 {
        match self.wire {
            Wire::Bytes(n) => self.payload.saturating_add(n),
            _ => self.payload,
        }
    }
}

/// A varint at the start of `bytes` and its length; `None` where the bytes end within it.
/// Bits beyond 64 are dropped, as protobuf's own readers do; more than ten bytes are an error.
pub(in crate::formats) fn varint(bytes: &[u8]) -> Result<Option<(u64, usize)>, ()> {
    let mut value = 0u64;
    for (i, byte) in bytes.iter().take(VARINT_MOST).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return Ok(Some((value, i + 1)));
        }
    }
    if bytes.len() >= VARINT_MOST { Err(()) } else { Ok(None) }
}

/// Reads the field at `at` of a message that ends at `end`.
pub(in crate::formats) fn field(file: &Window, at: u64, end: u64) -> Result<Field, Stop> {
    let mut reading = Reading { file, at, end };
    let tag = reading.varint()?;
    let number = u32::try_from(tag >> 3).ok().filter(|n| (1..1 << 29).contains(n)).ok_or_else(|| {
        Fault::file(at, format!("a protobuf field number from 1 to 2^29 - 1 expected, {} found", tag >> 3))
    })?;
    let wire = match tag & 7 {
        0 => Wire::Varint(reading.varint()?),
        1 => Wire::Fixed64(u64::from_le_bytes(reading.fixed()?)),
        2 => Wire::Bytes(reading.varint()?),
        3 => Wire::GroupStart,
        4 => Wire::GroupEnd,
        5 => Wire::Fixed32(u32::from_le_bytes(reading.fixed()?)),
        other => {
            return Err(Fault::file(at, format!("a protobuf wire type from 0 to 5 expected, {other} found")).into());
        }
    };
    Ok(Field { number, wire, payload: reading.at })
}

struct Reading<'w> {
    file: &'w Window,
    at: u64,
    end: u64,
}

impl Reading<'_> {
    fn varint(&mut self) -> Result<u64, Stop> {
        let room = self.end.min(self.file.len()).saturating_sub(self.at).min(VARINT_MOST as u64);
        let here = self.file.rest(self.at);
        let here = here.get(..room as usize).unwrap_or(here);
        match varint(here) {
            Ok(Some((value, n))) => {
                self.at += n as u64;
                Ok(value)
            }
            Ok(None) if (here.len() as u64) < room => Err(Stop::Need(self.at..self.at + room)),
            Ok(None) => Err(Fault::file(self.at, format!("a varint expected, only {room} bytes are left")).into()),
            Err(()) => Err(Fault::file(self.at, "a varint of at most 10 bytes expected").into()),
        }
    }
    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        let to = self.at.saturating_add(N as u64);
        if to > self.end {
            let left = self.end.saturating_sub(self.at);
            return Err(Fault::file(self.at, format!("{N} bytes expected, the message has {left} left")).into());
        }
        let mut raw = [0; N];
        raw.copy_from_slice(self.file.bytes(self.at..to)?);
        self.at = to;
        Ok(raw)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(bytes: &[u8]) -> Window {
        let mut window = Window::new("f", bytes.len() as u64);
        window.insert(0, bytes.to_vec());
        window
    }

    #[test]
    fn varints_of_every_length_are_read_and_longer_ones_refused() {
        for bits in 0..64 {
            let value = 1u64 << bits;
            let mut bytes = Vec::new();
            let mut rest = value;
            while rest >= 0x80 {
                bytes.push(rest as u8 | 0x80);
                rest >>= 7;
            }
            bytes.push(rest as u8);
            assert_eq!(varint(&bytes), Ok(Some((value, bytes.len()))));
            assert_eq!(varint(&bytes[..bytes.len() - 1]), Ok(None));
        }
        assert_eq!(varint(&[0xff; 11]), Err(()));
    }

    #[test]
    fn a_field_that_leaves_its_message_is_bad_even_when_the_file_goes_on() {
        // Field 1, fixed64, in a message of 4 bytes; the file has 20.
        let mut bytes = vec![0x09];
        bytes.extend([0; 19]);
        assert!(matches!(field(&window(&bytes), 0, 4), Err(Stop::Bad(f)) if f.at == Some(1)));
        assert!(matches!(field(&window(&bytes), 0, 20), Ok(Field { number: 1, wire: Wire::Fixed64(0), payload: 9 })));
    }

    #[test]
    fn missing_bytes_are_needed_not_bad() {
        let mut window = Window::new("f", 100);
        window.insert(0, vec![0x82]);
        assert!(matches!(field(&window, 0, 100), Err(Stop::Need(r)) if r == (0..10)));
        window.insert(1, vec![0x01, 0x05]);
        assert!(matches!(field(&window, 0, 100), Ok(Field { number: 16, wire: Wire::Bytes(5), payload: 3 })));
    }
}

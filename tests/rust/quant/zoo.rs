//! Finds tensors in the zoo file with the least of GGUF that does it: little endian, version 3, few value types.
//!
//! On purpose not the crate's own reader: the codecs are tested against nothing but the file.

use std::{collections::BTreeMap, ops::Range};

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> &'a [u8] {
        self.at += n;
        &self.bytes[self.at - n..self.at]
    }
    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take(4).try_into().unwrap())
    }
    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take(8).try_into().unwrap())
    }
    fn string(&mut self) -> String {
        let len = self.u64() as usize;
        String::from_utf8(self.take(len).to_vec()).unwrap()
    }
    fn skip_value(&mut self, kind: u32) {
        match kind {
            0 | 1 | 7 => _ = self.take(1),
            2 | 3 => _ = self.take(2),
            4..=6 => _ = self.take(4),
            10..=12 => _ = self.take(8),
            8 => _ = self.string(),
            9 => {
                let (kind, count) = (self.u32(), self.u64());
                (0..count).for_each(|_| self.skip_value(kind));
            }
            other => panic!("value type {other}"),
        }
    }
}

/// ggml type, elements and place by tensor name.
pub(crate) fn tensors(file: &[u8], size: impl Fn(u32, u64) -> u64) -> BTreeMap<String, (u32, u64, Range<usize>)> {
    let mut r = Reader { bytes: file, at: 0 };
    assert_eq!((r.take(4), r.u32()), (&b"GGUF"[..], 3));
    let (tensors, pairs) = (r.u64(), r.u64());
    for _ in 0..pairs {
        assert_ne!(r.string(), "general.alignment");
        let kind = r.u32();
        r.skip_value(kind);
    }
    let infos: Vec<_> = (0..tensors)
        .map(|_| {
            let (name, dims) = (r.string(), r.u32());
            let elements: u64 = (0..dims).map(|_| r.u64()).product();
            (name, r.u32(), elements, r.u64() as usize)
        })
        .collect();
    let data = r.at.next_multiple_of(32);
    let place = |(name, kind, elements, at): (String, u32, u64, usize)| {
        (name, (kind, elements, data + at..data + at + size(kind, elements) as usize))
    };
    infos.into_iter().map(place).collect()
}

//! The little of .npz (a zip of .npy) that reference floats need: deflated or stored members, `<f4` in C order.

use std::collections::BTreeMap;

fn u16_at(b: &[u8], at: usize) -> usize {
    usize::from(u16::from_le_bytes(b[at..at + 2].try_into().unwrap()))
}
fn u32_at(b: &[u8], at: usize) -> usize {
    u32::from_le_bytes(b[at..at + 4].try_into().unwrap()) as usize
}

/// Arrays by name, without ".npy".
pub(crate) fn read(zip: &[u8]) -> BTreeMap<String, Vec<f32>> {
    let end = zip.windows(4).rposition(|w| w == b"PK\x05\x06").expect("a zip directory end");
    let (count, mut at) = (u16_at(zip, end + 10), u32_at(zip, end + 16));
    let mut arrays = BTreeMap::new();
    for _ in 0..count {
        assert_eq!(&zip[at..at + 4], b"PK\x01\x02");
        let (method, packed, local) = (u16_at(zip, at + 10), u32_at(zip, at + 20), u32_at(zip, at + 42));
        let name_len = u16_at(zip, at + 28);
        let name = String::from_utf8(zip[at + 46..at + 46 + name_len].to_vec()).unwrap();
        at += 46 + name_len + u16_at(zip, at + 30) + u16_at(zip, at + 32);
        let data = local + 30 + u16_at(zip, local + 26) + u16_at(zip, local + 28);
        let bytes = &zip[data..data + packed];
        let npy = if method == 0 { bytes.to_vec() } else { inflate(bytes) };
        arrays.insert(name.trim_end_matches(".npy").to_owned(), floats(&npy));
    }
    arrays
}

fn floats(npy: &[u8]) -> Vec<f32> {
    assert_eq!(&npy[..8], b"\x93NUMPY\x01\x00");
    let header = std::str::from_utf8(&npy[10..10 + u16_at(npy, 8)]).unwrap();
    assert!(header.contains("'<f4'") && header.contains("'fortran_order': False"), "{header}");
    npy[10 + header.len()..].as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, n: usize) -> usize {
        (0..n).fold(0, |value, i| {
            let bit = usize::from(self.bytes[self.at / 8] >> (self.at % 8) & 1);
            self.at += 1;
            value | bit << i
        })
    }
}

/// A canonical Huffman code: symbols ordered by length, and how many there are of each.
struct Code {
    counts: [usize; 16],
    symbols: Vec<usize>,
}

impl Code {
    fn new(lengths: &[usize]) -> Self {
        let mut counts = [0; 16];
        lengths.iter().for_each(|l| counts[*l] += 1);
        counts[0] = 0;
        let mut symbols: Vec<usize> = (0..lengths.len()).filter(|s| lengths[*s] > 0).collect();
        symbols.sort_by_key(|s| lengths[*s]);
        Self { counts, symbols }
    }
    fn read(&self, bits: &mut Bits) -> usize {
        let (mut code, mut first, mut index) = (0, 0, 0);
        for count in &self.counts[1..] {
            code |= bits.take(1);
            if code < first + count {
                return self.symbols[index + code - first];
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        panic!("no such code");
    }
}

/// RFC 1951.
fn inflate(bytes: &[u8]) -> Vec<u8> {
    let (mut bits, mut out) = (Bits { bytes, at: 0 }, Vec::new());
    loop {
        let last = bits.take(1) == 1;
        match bits.take(2) {
            0 => {
                let at = bits.at.div_ceil(8);
                let len = u16_at(bytes, at);
                out.extend_from_slice(&bytes[at + 4..at + 4 + len]);
                bits.at = (at + 4 + len) * 8;
            }
            1 => {
                let mut lengths = [8; 288];
                lengths[144..256].fill(9);
                lengths[256..280].fill(7);
                compressed(&mut bits, &mut out, &Code::new(&lengths), &Code::new(&[5; 30]));
            }
            2 => {
                let (literals, distances) = dynamic(&mut bits);
                compressed(&mut bits, &mut out, &literals, &distances);
            }
            other => panic!("block type {other}"),
        }
        if last {
            return out;
        }
    }
}

fn dynamic(bits: &mut Bits) -> (Code, Code) {
    const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
    let (literals, distances, lengths) = (bits.take(5) + 257, bits.take(5) + 1, bits.take(4) + 4);
    let mut of_lengths = [0; 19];
    for symbol in &ORDER[..lengths] {
        of_lengths[*symbol] = bits.take(3);
    }
    let code = Code::new(&of_lengths);
    let mut all = Vec::new();
    while all.len() < literals + distances {
        let (value, times) = match code.read(bits) {
            16 => (*all.last().unwrap(), bits.take(2) + 3),
            17 => (0, bits.take(3) + 3),
            18 => (0, bits.take(7) + 11),
            length => (length, 1),
        };
        all.extend(std::iter::repeat_n(value, times));
    }
    (Code::new(&all[..literals]), Code::new(&all[literals..]))
}

fn compressed(bits: &mut Bits, out: &mut Vec<u8>, literals: &Code, distances: &Code) {
    loop {
        match literals.read(bits) {
            256 => return,
            literal @ 0..256 => out.push(literal as u8),
            length => {
                let length = match length - 257 {
                    n @ 0..8 => n + 3,
                    28 => 258,
                    n => ((4 + n % 4) << (n / 4 - 1)) + 3 + bits.take(n / 4 - 1),
                };
                let distance = match distances.read(bits) {
                    n @ 0..4 => n + 1,
                    n => ((2 + n % 2) << (n / 2 - 1)) + 1 + bits.take(n / 2 - 1),
                };
                (0..length).for_each(|_| out.push(out[out.len() - distance]));
            }
        }
    }
}

//! The tar container: headers of 512 bytes with octal numbers, each before its member's bytes.

use std::ops::Range;

use crate::source::{Stop, Window};

/// Headers and members fill whole blocks of this many bytes.
pub(in crate::formats) const BLOCK: u64 = 512;
/// Members, at most.
const MEMBERS_MOST: usize = 100_000;

/// One member.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::formats) struct Member {
    pub(in crate::formats) name: String,
    pub(in crate::formats) header: u64,
    /// Where its bytes lie; of a file that was cut, also beyond its end.
    pub(in crate::formats) at: Range<u64>,
}

/// A header's name and size; `None` where its sum is not that of its bytes.
fn header(block: &[u8]) -> Option<(String, u64, u8)> {
    let block: &[u8; BLOCK as usize] = block.try_into().ok()?;
    let (name, size, sum, kind) = (&block[..100], &block[124..136], &block[148..156], block[156]);
    // The sum is taken with blanks in its own place.
    let summed: u64 =
        block.iter().enumerate().map(|(i, b)| if (148..156).contains(&i) { 32 } else { u64::from(*b) }).sum();
    (octal(sum)? == summed).then_some(())?;
    let name = name.split(|b| *b == 0).next().unwrap_or_default();
    let name = String::from_utf8_lossy(name).trim_start_matches("./").to_owned();
    Some((name, octal(size)?, kind))
}

/// Octal digits between blanks and zeros; from 8 GiB on GNU's big-endian bytes behind a set bit.
fn octal(field: &[u8]) -> Option<u64> {
    if let [0x80, bytes @ ..] = field {
        let fits = bytes.iter().rev().skip(8).all(|b| *b == 0);
        return fits.then(|| bytes.iter().fold(0, |n, b| n << 8 | u64::from(*b)));
    }
    let digits = field.iter().copied().filter(|b| !matches!(b, 0 | b' '));
    let mut n = 0u64;
    for digit in digits {
        n = n.checked_mul(8)?.checked_add(u64::from(digit.checked_sub(b'0').filter(|d| *d < 8)?))?;
    }
    Some(n)
}

/// The first member's name, where these bytes start a tar archive.
pub(in crate::formats) fn first_name(head: &[u8]) -> Option<String> {
    header(head.get(..BLOCK as usize)?).map(|(name, ..)| name)
}

/// Takes in the members from byte `at` on; leaves `at` behind the last. What follows it is zeros, or no tar.
pub(in crate::formats) fn members(file: &Window, at: &mut u64, found: &mut Vec<Member>) -> Result<(), Stop> {
    while at.checked_add(BLOCK).is_some_and(|end| end <= file.len()) && found.len() < MEMBERS_MOST {
        let Some((name, size, kind)) = header(file.bytes(*at..*at + BLOCK)?) else { break };
        let start = *at + BLOCK;
        let Some(next) = start.checked_add(size).and_then(|end| end.checked_next_multiple_of(BLOCK)) else { break };
        // Plain files; what describes the next member (long names, owners) is passed over.
        if matches!(kind, 0 | b'0') {
            found.push(Member { name, header: *at, at: start..start + size });
        }
        *at = next;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_or_behind_a_set_bit() {
        assert_eq!(octal(b"00000001750\0"), Some(1000));
        assert_eq!(octal(b" 17 \0"), Some(15));
        assert_eq!(octal(&[0x80, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0]), Some(2 << 32));
        assert_eq!(octal(b"0000008"), None);
        assert_eq!(octal(&[0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]), None);
    }
}

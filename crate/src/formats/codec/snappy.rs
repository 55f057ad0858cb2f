//! Snappy's raw form (`google/snappy`, `format_description.txt`): a length, then literals and copies of what came before.

/// A copy of 64 bytes takes 3: nothing unpacks to more than this many times its size.
const RATIO_MOST: usize = 22;

/// Unpacks all of `packed`; `None` where it breaks the format or states another length than it has.
pub(in crate::formats) fn unpacked(packed: &[u8]) -> Option<Vec<u8>> {
    let (len, tags) = length(packed)?;
    if len > packed.len().saturating_mul(RATIO_MOST) {
        return None;
    }
    let mut out = Vec::with_capacity(len);
    follow(tags, len, &mut out)?;
    (out.len() == len).then_some(out)
}

/// The first bytes of what starts as `head`, where that starts with a literal; empty where it is no Snappy.
pub(in crate::formats) fn start(head: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    if let Some((len, tags)) = length(head)
        && len > 0
        && tags.first().is_some_and(|tag| tag & 3 == 0 && *tag >= 4 << 2)
    {
        // It ends within what is there of it.
        let _ = follow(tags, len.min(head.len().saturating_mul(RATIO_MOST)), &mut out);
    }
    out
}

fn length(packed: &[u8]) -> Option<(usize, &[u8])> {
    let (len, n) = super::protobuf::varint(packed).ok()??;
    Some((usize::try_from(u32::try_from(len).ok()?).ok()?, packed.get(n..)?))
}

/// Follows the tags until there are none left; `None` where one of them leads out of the bytes.
fn follow(mut tags: &[u8], most: usize, out: &mut Vec<u8>) -> Option<()> {
    while let [tag, rest @ ..] = tags {
        let little = |n: usize| Some(rest.get(..n)?.iter().rev().fold(0usize, |v, b| v << 8 | usize::from(*b)));
        let high = usize::from(tag >> 2);
        let (len, offset, behind) = match tag & 3 {
            0 => {
                // Up to 60 bytes in the tag itself, else in the 1 to 4 bytes behind it.
                let width = high.saturating_sub(59);
                let len = (if width == 0 { high } else { little(width)? }).checked_add(1)?;
                let bytes = rest.get(width..width.checked_add(len)?);
                if let Some(bytes) = bytes.filter(|b| b.len() <= most - out.len()) {
                    out.extend_from_slice(bytes);
                    tags = rest.get(width + len..)?;
                    continue;
                }
                // Cut within a literal: what is there of it.
                let left = rest.get(width..)?;
                out.extend_from_slice(left.get(..left.len().min(most - out.len()))?);
                return None;
            }
            1 => (4 + (high & 7), usize::from(tag >> 5) << 8 | little(1)?, 1),
            2 => (high + 1, little(2)?, 2),
            _ => (high + 1, little(4)?, 4),
        };
        let from = out.len().checked_sub(offset).filter(|_| offset > 0 && len <= most - out.len())?;
        // It may reach into what it writes.
        for i in from..from + len {
            let byte = *out.get(i)?;
            out.push(byte);
        }
        tags = rest.get(behind..)?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_copies_of_each_width_are_followed() {
        // "abcd", a copy of 4 from 4 back, one of 8 from 8 back that overlaps nothing, one of 6 from 1 back.
        let packed = [22, 3 << 2, b'a', b'b', b'c', b'd', 1, 4, 7 << 2 | 2, 8, 0, 5 << 2 | 3, 1, 0, 0, 0];
        assert_eq!(unpacked(&packed).as_deref(), Some(&b"abcdabcdabcdabcddddddd"[..]));
        let long = [&[101, 60 << 2, 100][..], &[7; 101]].concat();
        assert_eq!(unpacked(&long), Some(vec![7; 101]));
        assert_eq!(unpacked(&[0]), Some(Vec::new()));
    }

    #[test]
    fn what_breaks_the_format_gives_nothing() {
        for packed in [
            &[][..],
            &[4],
            // A copy from before the start, of distance 0, beyond the stated length; a literal without its bytes.
            &[4, 1, 1],
            &[8, 3 << 2, 1, 2, 3, 4, 1, 0],
            &[5, 3 << 2, 1, 2, 3, 4, 1, 4],
            &[9, 8 << 2, 1, 2],
            // More than 22 times its size.
            &[0xff, 0xff, 0xff, 0x7f, 0, 1],
        ] {
            assert_eq!(unpacked(packed), None, "{packed:?}");
        }
        assert_eq!(start(&[200, 1, 9 << 2, 1, 2, 3, 4, 5]), [1, 2, 3, 4, 5]);
        assert!(start(&[200, 1, 0, 1]).is_empty());
    }
}

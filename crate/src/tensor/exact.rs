//! Values where f32 would lose digits: as f64, and as text.

use super::Encoding;

/// Decodes whole blocks to f64: exact for all but 64-bit integers beyond 2^53 (nearest then) and imaginary parts (dropped).
///
/// Returns how many values were written: those of the whole blocks that both slices hold, 0 without a decoder.
pub fn decode_f64(encoding: Encoding, blocks: &[u8], out: &mut [f64]) -> usize {
    match encoding {
        Encoding::F64 => each(blocks, out, f64::from_le_bytes),
        Encoding::C128 => {
            each(blocks, out, |b: [u8; 16]| f64::from_le_bytes(b.first_chunk().copied().unwrap_or_default()))
        }
        Encoding::I64 => each(blocks, out, |b| i64::from_le_bytes(b) as f64),
        Encoding::U64 => each(blocks, out, |b| u64::from_le_bytes(b) as f64),
        Encoding::I32 => each(blocks, out, |b| i32::from_le_bytes(b).into()),
        Encoding::U32 => each(blocks, out, |b| u32::from_le_bytes(b).into()),
        other => through_f32(other, blocks, out),
    }
}

fn each<const N: usize>(bytes: &[u8], out: &mut [f64], value: impl Fn([u8; N]) -> f64) -> usize {
    let elements = bytes.as_chunks::<N>().0;
    for (out, bytes) in out.iter_mut().zip(elements) {
        *out = value(*bytes);
    }
    out.len().min(elements.len())
}

fn through_f32(encoding: Encoding, blocks: &[u8], out: &mut [f64]) -> usize {
    let Some((spec, decode)) = encoding.spec().and_then(|s| Some((s, s.decode?))) else { return 0 };
    let (len, size) = (spec.block_len as usize, spec.block_bytes as usize);
    let count = (blocks.len() / size).min(out.len() / len);
    // A few blocks at a time: the buffer stays small whatever the length.
    let step = 1024usize.div_ceil(len);
    let mut floats = vec![0.0; step.min(count) * len];
    for (bytes, out) in blocks[..count * size].chunks(step * size).zip(out[..count * len].chunks_mut(step * len)) {
        decode(bytes, &mut floats[..out.len()]);
        for (out, value) in out.iter_mut().zip(&floats) {
            *out = f64::from(*value);
        }
    }
    count * len
}

/// Values of whole blocks as people write them: integers with all digits, floats with as many as tell them apart,
/// booleans as words (another byte than 0 and 1 with its number), complex numbers as `1.5-2i`.
///
/// `None` without a decoder.
pub fn texts(encoding: Encoding, blocks: &[u8]) -> Option<Vec<String>> {
    Some(match encoding {
        Encoding::F64 => list(blocks, |b| f64::from_le_bytes(b).to_string()),
        Encoding::I64 => list(blocks, |b| i64::from_le_bytes(b).to_string()),
        Encoding::U64 => list(blocks, |b| u64::from_le_bytes(b).to_string()),
        Encoding::I32 => list(blocks, |b| i32::from_le_bytes(b).to_string()),
        Encoding::U32 => list(blocks, |b| u32::from_le_bytes(b).to_string()),
        Encoding::Bool => list(blocks, |[b]| match b {
            0 => "false".into(),
            1 => "true".into(),
            other => format!("true ({other})"),
        }),
        Encoding::C64 => list(blocks, |b: [u8; 8]| {
            let [re, im] = *b.as_chunks::<4>().0 else { return String::new() };
            format!("{}{:+}i", f32::from_le_bytes(re), f32::from_le_bytes(im))
        }),
        Encoding::C128 => list(blocks, |b: [u8; 16]| {
            let [re, im] = *b.as_chunks::<8>().0 else { return String::new() };
            format!("{}{:+}i", f64::from_le_bytes(re), f64::from_le_bytes(im))
        }),
        other => {
            let spec = other.spec()?;
            let mut values = vec![0.0; blocks.len() / spec.block_bytes as usize * spec.block_len as usize];
            spec.decode?(blocks, &mut values);
            values.iter().map(f32::to_string).collect()
        }
    })
}

fn list<const N: usize>(bytes: &[u8], text: impl Fn([u8; N]) -> String) -> Vec<String> {
    bytes.as_chunks::<N>().0.iter().map(|b| text(*b)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_that_f32_cannot_hold_keep_all_their_digits() {
        let big = [i64::MAX, i64::MIN, (1 << 53) + 1];
        let bytes: Vec<u8> = big.iter().flat_map(|v| v.to_le_bytes()).collect();
        assert_eq!(texts(Encoding::I64, &bytes).unwrap(), big.map(|v| v.to_string()));
        let mut out = [0.0; 2];
        assert_eq!(decode_f64(Encoding::U32, &u32::MAX.to_le_bytes(), &mut out), 1);
        assert_eq!(out[0], f64::from(u32::MAX));
    }

    #[test]
    fn doubles_keep_what_f32_would_round() {
        let mut out = [0.0; 1];
        assert_eq!(decode_f64(Encoding::F64, &0.1f64.to_le_bytes(), &mut out), 1);
        assert_eq!(out[0], 0.1);
        assert_eq!(texts(Encoding::F64, &0.1f64.to_le_bytes()).unwrap(), ["0.1"]);
    }

    #[test]
    fn complex_numbers_and_odd_booleans_are_spelt_out() {
        let bytes: Vec<u8> = [1.5f32, -2.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        assert_eq!(texts(Encoding::C64, &bytes).unwrap(), ["1.5-2i"]);
        assert_eq!(texts(Encoding::Bool, &[0, 1, 7]).unwrap(), ["false", "true", "true (7)"]);
        assert_eq!(texts(Encoding::String, &[0]), None);
    }

    #[test]
    fn blocks_reach_f64_through_f32_in_steps() {
        let bytes: Vec<u8> = (0..34 * 100u32).map(|i| (i % 60) as u8).collect();
        let mut narrow = vec![0.0; 3200];
        Encoding::Q8_0.spec().unwrap().decode.unwrap()(&bytes, &mut narrow);
        let mut wide = vec![0.0; 3200];
        assert_eq!(decode_f64(Encoding::Q8_0, &bytes, &mut wide), 3200);
        assert!(narrow.iter().zip(&wide).all(|(n, w)| f64::from(*n).to_bits() == w.to_bits()));
    }
}

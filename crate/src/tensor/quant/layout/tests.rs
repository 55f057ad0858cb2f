//! The table of fields against the codecs.

use super::*;
use crate::tensor::ENCODINGS;

fn laid_out() -> impl Iterator<Item = (&'static crate::tensor::EncodingSpec, Layout)> {
    ENCODINGS.iter().filter_map(|spec| Some((spec, of(spec.encoding)?)))
}

/// Bytes of a block in which every field of these roles is `fill`, and the rest is some pattern.
fn block(layout: &Layout, roles: &[Role], fill: u8) -> Vec<u8> {
    let part = |f: &Field| {
        if roles.contains(&f.role) { vec![fill; f.bytes] } else { (1..=f.bytes).map(|i| i as u8).collect() }
    };
    layout.fields.iter().flat_map(part).collect()
}

#[test]
fn every_block_encoding_that_is_decoded_has_fields_that_fill_its_block() {
    for spec in ENCODINGS.iter().filter(|s| s.block_len >= 16 && s.decode.is_some()) {
        let layout = of(spec.encoding).unwrap_or_else(|| panic!("{spec:?} has no layout"));
        let bytes: usize = layout.fields.iter().map(|f| f.bytes).sum();
        assert_eq!(bytes, spec.block_bytes as usize, "{spec:?}");
    }
    assert!(laid_out().all(|(spec, _)| spec.block_len >= 16 && spec.decode.is_some()));
}

#[test]
fn numbers_that_byte_order_concerns_lie_inside_one_field() {
    for (spec, layout) in laid_out() {
        let mut ends = vec![0];
        ends.extend(layout.fields.iter().scan(0, |at, f| {
            *at += f.bytes;
            Some(*at)
        }));
        for (words, n) in spec.words.iter().flat_map(|w| (0..w.count).map(move |n| (w, n))) {
            let (from, to) = (words.at + n * words.width, words.at + (n + 1) * words.width);
            assert!(ends.windows(2).any(|e| e[0] <= from && to <= e[1]), "{spec:?}: bytes {from} to {to}");
        }
    }
}

#[test]
fn scales_and_minima_of_zero_make_every_weight_zero() {
    for (spec, layout) in laid_out().filter(|(s, _)| s.encoding != Encoding::MXFP4) {
        let scaled = layout.fields.iter().any(|f| f.role == Role::Scale || f.stored == Stored::UE4M3);
        let roles: &[Role] = if scaled { &[Role::Scale, Role::Minimum] } else { &[Role::GroupScales] };
        let roles = if spec.encoding == Encoding::NVFP4 { &[Role::GroupScales] } else { roles };
        let mut out = vec![1.0; spec.block_len as usize];
        (spec.decode.unwrap())(&block(&layout, roles, 0), &mut out);
        assert!(out.iter().all(|v| *v == 0.0), "{spec:?}: {out:?}");
    }
}

#[test]
fn a_scale_twice_as_large_makes_every_weight_twice_as_large() {
    // f16 1.0 and 2.0, f32 1.0 and 2.0.
    for (spec, layout) in laid_out() {
        let Some(at) = layout.fields.iter().position(|f| f.role == Role::Scale) else { continue };
        let start: usize = layout.fields[..at].iter().map(|f| f.bytes).sum();
        let (one, two): (&[u8], &[u8]) = match layout.fields[at].stored {
            Stored::F16 => (&[0, 0x3c], &[0, 0x40]),
            Stored::F32 => (&[0, 0, 0x80, 0x3f], &[0, 0, 0, 0x40]),
            _ => (&[127], &[128]),
        };
        let decoded = |scale: &[u8]| {
            let mut bytes = block(&layout, &[Role::Minimum], 0);
            bytes[start..start + scale.len()].copy_from_slice(scale);
            let mut out = vec![0.0; spec.block_len as usize];
            (spec.decode.unwrap())(&bytes, &mut out);
            assert_eq!(layout.fields[at].stored.numbers(scale), [if scale == one { 1.0 } else { 2.0 }]);
            out
        };
        let (once, twice) = (decoded(one), decoded(two));
        assert!(once.iter().any(|v| *v != 0.0), "{spec:?}");
        assert!(once.iter().zip(&twice).all(|(a, b)| a * 2.0 == *b), "{spec:?}");
    }
}

#[test]
fn numbers_of_a_field_are_what_its_bytes_say() {
    assert_eq!(Stored::Nibbles.numbers(&[0x21, 0x43]), [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(Stored::I8.numbers(&[0xff, 1]), [-1.0, 1.0]);
    assert_eq!(Stored::I16.numbers(&[0xfe, 0xff]), [-2.0]);
    assert_eq!(Stored::UE4M3.numbers(&[0x38, 0x7f]), [1.0, 0.0]);
    assert_eq!(Stored::SixBits.numbers(&[63; 12]).len(), 16);
    assert_eq!(Stored::SignedSixBits.numbers(&[0; 12]), [-32.0; 16]);
    assert!(Stored::SixBits.numbers(&[0; 3]).is_empty() && Stored::Packed.numbers(&[1]).is_empty());
}

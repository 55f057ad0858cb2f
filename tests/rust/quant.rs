//! Encodings: decoding against libggml's own floats, encoding against stated errors, and what must hold for any bytes.

use std::path::PathBuf;

use glassbox::tensor::{ENCODINGS, Encoding, EncodingSpec, Histogram, Shape, Stats, TensorView, swap_to_little, texts};
use proptest::prelude::*;

#[path = "quant/npz.rs"]
mod npz;
#[path = "quant/zoo.rs"]
mod zoo;

/// A corpus file, or `None` after saying aloud that it is missing.
fn corpus(file: &str) -> Option<Vec<u8>> {
    let root = std::env::var_os("GLASSBOX_CORPUS")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/corpus")), PathBuf::from);
    let path = root.join(file);
    match std::fs::read(&path) {
        Ok(bytes) => Some(bytes),
        Err(e) => {
            eprintln!("skipped: needs {} because it holds the reference values ({e})", path.display());
            None
        }
    }
}

fn spec(encoding: Encoding) -> &'static EncodingSpec {
    encoding.spec().unwrap_or_else(|| panic!("{encoding} has no row"))
}

fn decode(spec: &EncodingSpec, bytes: &[u8]) -> Vec<f32> {
    let mut out = vec![f32::NAN; bytes.len() / spec.block_bytes as usize * spec.block_len as usize];
    spec.decode.unwrap_or_else(|| panic!("{} has no decoder", spec.name))(bytes, &mut out);
    out
}

fn zoo_tensors(file: &[u8]) -> Vec<(&'static EncodingSpec, &[u8])> {
    let size = |kind, elements| Encoding::from_ggml(kind).bytes(elements, 1536).unwrap();
    let tensors = zoo::tensors(file, size).into_values();
    tensors.map(|(kind, _, at)| (spec(Encoding::from_ggml(kind)), &file[at])).collect()
}

#[test]
fn every_encoding_of_the_zoo_decodes_to_the_very_floats_of_libggml() {
    let (Some(file), Some(npz)) = (corpus("quant/quant-zoo.gguf"), corpus("quant/quant-zoo.dequant.npz")) else {
        return;
    };
    let references = npz::read(&npz);
    let tensors = zoo_tensors(&file);
    assert_eq!(tensors.len(), 27, "F32 and 26 more");
    for (spec, bytes) in tensors {
        let ours = decode(spec, bytes);
        let theirs = &references[&spec.name.to_lowercase()];
        assert_eq!(ours.len(), theirs.len(), "{}", spec.name);
        for (i, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
            assert_eq!(ours.to_bits(), theirs.to_bits(), "{} element {i}: {ours} is not {theirs}", spec.name);
        }
    }
}

#[test]
fn q8_0_and_the_16_bit_floats_encode_to_the_very_bytes_of_libggml() {
    let Some(file) = corpus("quant/quant-zoo.gguf") else { return };
    let tensors = zoo_tensors(&file);
    let find = |e| tensors.iter().find(|(s, _)| s.encoding == e).unwrap();
    let values = decode(spec(Encoding::F32), find(Encoding::F32).1);
    for encoding in [Encoding::F16, Encoding::BF16, Encoding::Q8_0] {
        let (spec, theirs) = find(encoding);
        let mut ours = vec![0; theirs.len()];
        spec.encode.unwrap()(&values, &mut ours);
        let differ = ours.iter().zip(*theirs).filter(|(a, b)| a != b).count();
        assert_eq!(differ, 0, "{}: {differ} of {} bytes differ", spec.name, ours.len());
    }
}

#[test]
fn every_dtype_of_the_safetensors_zoo_decodes_to_its_reference() {
    let (Some(file), Some(json)) = (corpus("quant/dtype-zoo.safetensors"), corpus("quant/dtype-zoo.json")) else {
        return;
    };
    let references: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let file = safetensors::SafeTensors::deserialize(&file).unwrap();
    let floats = |v: &serde_json::Value| -> Vec<f32> {
        v.as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect()
    };
    let mut compared = 0;
    for (name, tensor) in file.iter() {
        let encoding = Encoding::from_safetensors(&tensor.dtype().to_string()).unwrap();
        let ours = decode(spec(encoding), tensor.data());
        assert_eq!(ours.len(), tensor.shape().iter().product::<usize>(), "{name}");
        if let Some(reference) = references.get(name) {
            assert_eq!(ours, floats(reference), "{name}");
            compared += 1;
        }
    }
    assert_eq!(compared, references.as_object().unwrap().len());
    let f32s = decode(spec(Encoding::F32), file.tensor("f32").unwrap().data());
    let f64s = decode(spec(Encoding::F64), file.tensor("f64").unwrap().data());
    assert_eq!(f32s, f64s, "the same numbers, once wider");
}

#[test]
fn the_table_is_sorted_and_agrees_with_every_look_up() {
    assert!(ENCODINGS.is_sorted_by(|a, b| a.encoding < b.encoding), "binary search needs the order of the enum");
    for s in ENCODINGS {
        assert_eq!(s.encoding.spec().unwrap().name, s.name);
        assert!(s.block_len > 0 && s.block_bytes > 0 && !s.about.is_empty(), "{}", s.name);
        if let Some(id) = s.ggml {
            assert_eq!((Encoding::from_ggml(id), s.encoding.ggml()), (s.encoding, Some(id)));
        }
        if let Some(name) = s.safetensors {
            assert_eq!((Encoding::from_safetensors(name), s.encoding.safetensors()), (Some(s.encoding), Some(name)));
        }
        if let Some((id, name)) = s.onnx {
            assert_eq!((Encoding::from_onnx(id), s.encoding.onnx()), (s.encoding, Some(id)));
            assert_eq!(s.encoding.onnx_name(), Some(name));
        }
        for w in s.words {
            assert!(w.at + w.width * w.count <= s.block_bytes as usize, "{}: {w:?} leaves the block", s.name);
        }
    }
    assert_eq!(ENCODINGS.iter().filter(|s| s.safetensors.is_some()).count(), 22, "all dtypes of safetensors 0.8");
    assert_eq!(ENCODINGS.iter().filter(|s| s.onnx.is_some()).count(), 25, "ONNX 1 to 26 but STRING");
    let ggml =
        |s: &&EncodingSpec| s.ggml.is_some_and(|id| id < 43 && !(31..=33).contains(&id) && !(36..=38).contains(&id));
    assert_eq!(ENCODINGS.iter().filter(ggml).count(), 35, "ggml's 43 numbers but 8 removed ones");
}

#[test]
fn numbers_that_no_table_knows_are_named_not_refused() {
    assert_eq!(Encoding::from_ggml(99).name(), "ggml type 99");
    assert_eq!(Encoding::from_ggml(4).name(), "ggml type 4 (Q4_2, removed)");
    assert_eq!(Encoding::from_ggml(144).name(), "ggml type 144 (IQ4_KS, ik_llama.cpp only)");
    assert_eq!(Encoding::from_ggml(u32::MAX), Encoding::UnknownGgml(u32::MAX));
    assert_eq!(Encoding::from_onnx(8), Encoding::String);
    assert_eq!(Encoding::from_onnx(-1).name(), "ONNX type -1");
    assert_eq!(Encoding::from_onnx(27).onnx(), Some(27));
    assert_eq!(Encoding::from_safetensors("F12"), None);
    assert_eq!(Encoding::UnknownGgml(99).bytes(32, 32), None);
}

#[test]
fn byte_counts_are_those_of_whole_blocks_and_never_wrap() {
    assert_eq!(Encoding::Q4_K.bytes(512, 256), Some(288));
    assert_eq!(Encoding::Q4_K.bytes(512, 128), None, "rows must be whole blocks");
    assert_eq!(Encoding::Q4_0.bytes(33, 32), None, "no whole number of blocks");
    assert_eq!(Encoding::I4.bytes(5, 5), Some(3), "ONNX pads the last byte");
    assert_eq!(Encoding::F6_E2M3.bytes(8, 8), Some(6));
    assert_eq!(Encoding::F64.bytes(u64::MAX, 1), None);
    assert_eq!(Encoding::Q8_K.bytes(u64::MAX - 255, 256), None);
    assert_eq!(Encoding::Q4_K.bytes(0, 0), Some(0));
}

#[test]
fn packed_elements_come_out_lowest_bits_first() {
    let decoded = |e, bytes: &[u8]| decode(spec(e), bytes);
    assert_eq!(decoded(Encoding::U4, &[0x21, 0xf0]), [1.0, 2.0, 0.0, 15.0]);
    assert_eq!(decoded(Encoding::I4, &[0x87]), [7.0, -8.0]);
    assert_eq!(decoded(Encoding::U2, &[0b11_10_01_00]), [0.0, 1.0, 2.0, 3.0]);
    assert_eq!(decoded(Encoding::I2, &[0b11_10_01_00]), [0.0, 1.0, -2.0, -1.0]);
    assert_eq!(decoded(Encoding::F4, &[0xf1]), [0.5, -6.0]);
    // Codes 1, 2, 31, 63 of E2M3: 0.125, 0.25, 7.5, -7.5.
    let word = 1u32 | 2 << 6 | 31 << 12 | 63 << 18;
    assert_eq!(decoded(Encoding::F6_E2M3, &word.to_le_bytes()[..3]), [0.125, 0.25, 7.5, -7.5]);
    assert_eq!(decoded(Encoding::F6_E3M2, &word.to_le_bytes()[..3]), [0.0625, 0.125, 28.0, -28.0]);
}

#[test]
fn encodings_that_the_zoo_lacks_decode_by_their_layout() {
    let half_two = [0x00, 0x40];
    let q2_0 = [&half_two[..], &[0b11_10_01_00], &[0b01_01_01_01; 15]].concat();
    let values = decode(spec(Encoding::Q2_0), &q2_0);
    assert_eq!((&values[..4], values[4..].iter().all(|v| *v == 0.0)), (&[-2.0, 0.0, 2.0, 4.0][..], true));
    let q8_1 = [&half_two[..], &[0, 0], &[1], &[0xff], &[0; 30]].concat();
    assert_eq!(decode(spec(Encoding::Q8_1), &q8_1)[..3], [2.0, -2.0, 0.0]);
    let q8_k = [&0.5f32.to_le_bytes()[..], &[0x80], &[0; 255], &[9; 32]].concat();
    assert_eq!(decode(spec(Encoding::Q8_K), &q8_k)[..2], [-64.0, 0.0]);
}

/// Relative root mean square error that encoding bell-shaped values may cost.
const MOST_ERROR: [(Encoding, f64); 14] = [
    (Encoding::F32, 0.0),
    (Encoding::F16, 0.0004),
    (Encoding::BF16, 0.003),
    (Encoding::Q8_0, 0.008),
    (Encoding::Q4_0, 0.12),
    (Encoding::Q4_1, 0.10),
    (Encoding::Q5_0, 0.06),
    (Encoding::Q5_1, 0.05),
    (Encoding::Q2_K, 0.40),
    (Encoding::Q3_K, 0.22),
    (Encoding::Q4_K, 0.10),
    (Encoding::Q5_K, 0.05),
    (Encoding::Q6_K, 0.025),
    (Encoding::IQ4_NL, 0.10),
];

/// Bell-shaped values from a fixed seed, in blocks of very different size.
fn bell(count: usize) -> Vec<f32> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut uniform = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 24) as f32
    };
    let scale = |i: usize| [0.02, 1.0, 30.0][i / 256 % 3];
    (0..count).map(|i| scale(i) * ((0..12).map(|_| uniform()).sum::<f32>() - 6.0)).collect()
}

fn relative_error(exact: &[f32], other: &[f32]) -> f64 {
    let square = |f: &dyn Fn(usize) -> f64| (0..exact.len()).map(|i| f(i) * f(i)).sum::<f64>();
    (square(&|i| f64::from(exact[i] - other[i])) / square(&|i| f64::from(exact[i]))).sqrt()
}

#[test]
fn encoding_and_decoding_costs_no_more_than_the_stated_error() {
    assert_eq!(ENCODINGS.iter().filter(|s| s.encode.is_some()).count(), MOST_ERROR.len());
    let values = bell(256 * 96);
    for (encoding, most) in MOST_ERROR {
        let spec = spec(encoding);
        let mut bytes = vec![0; encoding.bytes(values.len() as u64, 256).unwrap() as usize];
        spec.encode.unwrap()(&values, &mut bytes);
        // Block by block scale group: a fault in the small ones must not drown in the large.
        let decoded = decode(spec, &bytes);
        for part in 0..3 {
            let pick = |v: &[f32]| -> Vec<f32> { v.chunks(256).skip(part).step_by(3).flatten().copied().collect() };
            let error = relative_error(&pick(&values), &pick(&decoded));
            assert!(error <= most, "{} part {part}: {error:.5} is more than {most}", spec.name);
            assert!(most == 0.0 || error > most / 20.0, "{}: {error:.5} is too good to be true", spec.name);
        }
    }
}

#[test]
fn zeros_survive_every_encoder_exactly() {
    for spec in ENCODINGS.iter().filter(|s| s.encode.is_some()) {
        let mut bytes = vec![0xaa; 256 / spec.block_len as usize * spec.block_bytes as usize];
        spec.encode.unwrap()(&[0.0; 256], &mut bytes);
        assert!(decode(spec, &bytes).iter().all(|v| *v == 0.0), "{}", spec.name);
    }
}

/// Bytes of one block with multi-byte numbers, and where they are: what ggml's structs say.
#[test]
fn byte_order_turns_the_numbers_and_leaves_the_quants() {
    let swapped = |e: Encoding| {
        let mut block: Vec<u8> = (0..spec(e).block_bytes).map(|i| i as u8).collect();
        swap_to_little(e, &mut block);
        (0..block.len()).filter(|i| usize::from(block[*i]) != *i & 255).collect::<Vec<_>>()
    };
    assert_eq!(swapped(Encoding::Q4_0), [0, 1]);
    assert_eq!(swapped(Encoding::Q5_1), [0, 1, 2, 3]);
    assert_eq!(swapped(Encoding::Q2_K), [80, 81, 82, 83]);
    assert_eq!(swapped(Encoding::Q6_K), [208, 209]);
    assert_eq!(swapped(Encoding::IQ4_XS), [0, 1, 2, 3]);
    assert_eq!(swapped(Encoding::IQ1_S), [&[0, 1][..], &(34..50).collect::<Vec<_>>()].concat());
    assert_eq!(swapped(Encoding::IQ2_XS), (0..66).collect::<Vec<_>>());
    assert_eq!(swapped(Encoding::Q8_K), [&[0, 1, 2, 3][..], &(260..292).collect::<Vec<_>>()].concat());
    assert!(
        swapped(Encoding::MXFP4).is_empty() && swapped(Encoding::NVFP4).is_empty() && swapped(Encoding::I8).is_empty()
    );
    let mut double = 1.5f64.to_be_bytes();
    swap_to_little(Encoding::F64, &mut double);
    assert_eq!(decode(spec(Encoding::F64), &double), [1.5]);
}

fn any_encoding() -> impl Strategy<Value = &'static EncodingSpec> {
    (0..ENCODINGS.len()).prop_map(|row| &ENCODINGS[row])
}

/// Numbers of every kind: any bit pattern, and ordinary ones.
fn any_value() -> impl Strategy<Value = f32> {
    prop_oneof![3 => -1e3f32..1e3, 1 => any::<u32>().prop_map(f32::from_bits), 1 => Just(0.0), 1 => Just(-0.0)]
}

proptest! {
    #[test]
    fn any_bytes_of_any_length_decode_without_panic(
        spec in any_encoding(), bytes in prop::collection::vec(any::<u8>(), 0..1200), len in 0usize..1500,
    ) {
        let untouched = f32::from_bits(0x7fc1_2345);
        let mut out = vec![untouched; len];
        if let Some(decode) = spec.decode {
            decode(&bytes, &mut out);
            let blocks = (bytes.len() / spec.block_bytes as usize).min(len / spec.block_len as usize);
            let rest = &out[blocks * spec.block_len as usize..];
            prop_assert!(rest.iter().all(|v| v.to_bits() == untouched.to_bits()), "{} wrote too far", spec.name);
        }
        let whole = bytes.len() / spec.block_bytes as usize * spec.block_len as usize;
        let texts = texts(spec.encoding, &bytes);
        prop_assert_eq!(texts.map(|t| t.len()), spec.decode.map(|_| whole));
        let mut wide = vec![0.0; len];
        glassbox::tensor::decode_f64(spec.encoding, &bytes, &mut wide);
    }

    #[test]
    fn any_values_of_any_length_encode_without_panic(
        spec in any_encoding(), values in prop::collection::vec(any_value(), 0..600), len in 0usize..700,
    ) {
        let mut bytes = vec![0xa5; len];
        if let Some(encode) = spec.encode {
            encode(&values, &mut bytes);
            let blocks = (values.len() / spec.block_len as usize).min(len / spec.block_bytes as usize);
            let rest = &bytes[blocks * spec.block_bytes as usize..];
            prop_assert!(rest.iter().all(|b| *b == 0xa5), "{} wrote too far", spec.name);
        }
    }

    #[test]
    fn swapping_byte_order_twice_changes_nothing(
        spec in any_encoding(), bytes in prop::collection::vec(any::<u8>(), 0..1200),
    ) {
        let mut swapped = bytes.clone();
        swap_to_little(spec.encoding, &mut swapped);
        swap_to_little(spec.encoding, &mut swapped);
        prop_assert_eq!(swapped, bytes);
    }

    #[test]
    fn a_view_of_some_rows_is_a_slice_of_all(
        spec in any_encoding(), rows in 1u64..6, width in 1u64..5, seed in any::<u8>(), from in 0u64..6, to in 0u64..6,
    ) {
        let row_len = if spec.ggml.is_some() { width * u64::from(spec.block_len) } else { width };
        let shape = Shape(vec![rows, row_len]);
        let bytes: Vec<u8> = (0..spec.encoding.bytes(rows * row_len, row_len).unwrap())
            .map(|i| (i as u8).wrapping_mul(31).wrapping_add(seed)).collect();
        let view = TensorView::new(spec.encoding, &shape, &bytes);
        prop_assert_eq!(view.is_ok(), spec.decode.is_some());
        let Ok(view) = view else { return Ok(()) };
        let all = view.decode(0..rows).unwrap();
        prop_assert_eq!(all.len() as u64, rows * row_len);
        let some = view.decode(from..to);
        prop_assert_eq!(some.is_ok(), from <= to && to <= rows);
        if let Ok(some) = some {
            let bits = |v: &[f32]| v.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&some), bits(&all[(from * row_len) as usize..(to * row_len) as usize]));
        }
    }

    /// Tolerance: 1e-12 of the largest magnitude, for sums of up to a few thousand doubles.
    #[test]
    fn statistics_equal_a_plain_computation(values in prop::collection::vec(any_value(), 0..3000)) {
        let mut stats = Stats::default();
        stats.add(&values);
        let finite: Vec<f64> = values.iter().filter(|v| v.is_finite()).map(|v| f64::from(*v)).collect();
        prop_assert_eq!(stats.count, values.len() as u64);
        prop_assert_eq!(stats.nans, values.iter().filter(|v| v.is_nan()).count() as u64);
        prop_assert_eq!(stats.infinities, values.iter().filter(|v| v.is_infinite()).count() as u64);
        prop_assert_eq!(stats.zeros, values.iter().filter(|v| **v == 0.0).count() as u64);
        prop_assert_eq!(stats.finite(), finite.len() as u64);
        if finite.is_empty() { return Ok(()) }
        let n = finite.len() as f64;
        let mean = finite.iter().sum::<f64>() / n;
        let std = (finite.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
        let most = finite.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
        prop_assert_eq!(f64::from(stats.min), finite.iter().copied().fold(f64::INFINITY, f64::min));
        prop_assert_eq!(f64::from(stats.max), finite.iter().copied().fold(f64::NEG_INFINITY, f64::max));
        prop_assert!((stats.mean - mean).abs() <= 1e-12 * most, "mean {} and {mean}", stats.mean);
        prop_assert!((stats.std - std).abs() <= 1e-12 * most, "std {} and {std}", stats.std);
    }

    /// Mean and deviation may differ in their last digits: 1e-12 of the largest magnitude.
    #[test]
    fn cutting_a_stream_anywhere_changes_no_count_and_no_extreme(
        values in prop::collection::vec(any_value(), 0..9000), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let (mut whole, mut parts) = (Stats::default(), Stats::default());
        let (mut bins, mut bins_of_parts) = (Histogram::new(-100.0, 100.0, 17), Histogram::new(-100.0, 100.0, 17));
        whole.add(&values);
        bins.add(&values);
        let mut ends: Vec<usize> = cuts.iter().map(|c| c.index(values.len() + 1)).collect();
        ends.extend([0, values.len()]);
        ends.sort_unstable();
        for pair in ends.windows(2) {
            parts.add(&values[pair[0]..pair[1]]);
            bins_of_parts.add(&values[pair[0]..pair[1]]);
        }
        prop_assert_eq!((whole.count, whole.zeros, whole.nans, whole.infinities),
                        (parts.count, parts.zeros, parts.nans, parts.infinities));
        prop_assert_eq!((whole.min.to_bits(), whole.max.to_bits()), (parts.min.to_bits(), parts.max.to_bits()));
        let most = f64::from(whole.min.abs().max(whole.max.abs()));
        prop_assert!((whole.mean - parts.mean).abs() <= 1e-12 * most);
        prop_assert!((whole.std - parts.std).abs() <= 1e-12 * most);
        prop_assert_eq!(&bins, &bins_of_parts);
        prop_assert_eq!(bins.counts.iter().sum::<u64>() + whole.nans, values.len() as u64);
    }
}

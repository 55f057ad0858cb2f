//! The formats beside GGUF, safetensors and ONNX: values, what is wrong with files, and files that were cut.

mod cut;
mod damage;
mod hdf5;
mod pickle_kinds;

#[path = "containers/pickles.rs"]
mod pickles;

use crate::common::{containers, files};
use std::path::Path;

use containers::*;
use files::{assert_well_formed, block_on, corpus, in_memory, on_disk, open, open_bytes};
use glassbox::{
    model::{ModelFile, Place, Severity},
    session::Inspection,
    source::SourceSet,
};

/// All values of a tensor.
fn values(files: SourceSet, tensor: &str) -> Vec<f32> {
    block_on(async {
        let open = Inspection::open(files).await.expect("the files open");
        let index = open.tensor_index(tensor).expect(tensor);
        open.peek(index, 0..u64::MAX, false, &mut |_| {}).await.expect(tensor).values
    })
}

fn small_values(name: &str, bytes: &[u8], tensor: &str) -> Vec<f32> {
    values(in_memory(&[(name, bytes)]), tensor)
}

fn noted(model: &ModelFile, severity: Severity, words: &str) -> bool {
    model.notes.iter().any(|n| n.severity == severity && n.what.contains(words) && n.at.is_some())
}

fn hdf5(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus/containers");
    std::fs::read(folder.join(name)).expect("the sample is in the repository")
}

#[test]
fn own_files_of_each_format_decode_to_what_was_written() {
    for (name, bytes) in [("m.pt", torch_zip()), ("m.pth", torch_stream())] {
        assert_eq!(small_values(name, &bytes, "a"), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "{name}");
        assert_eq!(small_values(name, &bytes, "t"), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0], "{name}: the transposed view");
        assert_eq!(small_values(name, &bytes, "b"), [2.0, 3.0], "{name}: a view from element 1");
    }
    let archive = tar(&torch_tar_members());
    assert_eq!(small_values("m.pt", &archive, "a"), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!(small_values("m.pt", &archive, "t"), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0], "tar: the transposed view");
    assert_eq!(small_values("m.pt", &archive, "b"), [2.0, 3.0], "tar: a view from element 1");
    assert_eq!(small_values("m.pt", &archive, "v"), [5.0, 6.0], "tar: a storage that is part of another");
    assert_eq!(small_values("model.ckpt", &checkpoint_v1(false), "kernel"), [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(small_values("model.ckpt", &checkpoint_v1(false), "bias"), [0.5, -0.5]);
    let packed = checkpoint_packed();
    let files = in_memory(&[("c.index", &packed), ("c.data-00000-of-00001", &checkpoint().1)]);
    assert_eq!(values(files, "layer/kernel"), [1.0, 2.0, 3.0, 4.0], "an index packed by Snappy");
    assert_eq!(small_values("x.npy", &small_npy(), "x"), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!(small_values("x.npz", &small_npz(), "y")[0], 0x0707_0707_0707_0707u64 as f32);
    assert_eq!(small_values("g.pb", &graph_def(), "w"), [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(small_values("m.tflite", &tflite(), "w"), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!(small_values("m.bin", &llama2c(), "layers.0.attention_norm.weight"), [12.0, 13.0, 14.0, 15.0]);
    let (index, shard) = checkpoint();
    let files = in_memory(&[("c.index", &index), ("c.data-00000-of-00001", &shard)]);
    assert_eq!(values(files, "layer/kernel"), [1.0, 2.0, 3.0, 4.0]);
    // float32 0..6 as 2 x 3, and float64 [0.5, -0.25], written by h5py in both generations of the format.
    for name in ["old.h5", "new.h5"] {
        assert_eq!(small_values(name, &hdf5(name), "layer/kernel"), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0], "{name}");
        assert_eq!(small_values(name, &hdf5(name), "layer/bias"), [0.5, -0.25], "{name}");
    }
    assert_eq!(small_values("tiny.keras", &hdf5("tiny.keras"), "layer/kernel"), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
}

/// Blocks by hand: scale 2 and nibbles 0 to 15, twice.
#[test]
fn quantized_blocks_are_decoded_in_the_layout_of_their_time() {
    let scale = 2f32.to_le_bytes();
    let pairs: Vec<u8> = (0..16u8).map(|j| (2 * j % 16) | ((2 * j + 1) % 16) << 4).collect();
    let halves: Vec<u8> = (0..16u8).map(|j| j | j << 4).collect();
    let expected: Vec<f32> = (0..32).map(|i| ((i % 16) as f32 - 8.0) * 2.0).collect();
    for (version, block) in [
        (1, [&scale[..], &pairs].concat()),
        (2, [&scale[..], &halves].concat()),
        (3, [&[0x00, 0x40][..], &halves].concat()),
    ] {
        let file = ggjt(version, 2, &block);
        assert_eq!(small_values("m.bin", &file, "output.weight"), expected, "ggjt v{version}");
        assert_eq!(small_values("m.bin", &file, "norm.weight"), [1.5, -2.0]);
        assert_eq!(open_bytes("m.bin", &file).expect("opens").metadata.array("ggml.tokens").expect("tokens").len, 2);
    }
}

/// References: numpy over the storages' bytes, by an unpickler of stubs (`tests/corpus/make/export_containers.py` has it),
/// h5py, and the bytes of the shard read by eye.
#[test]
fn real_files_decode_to_what_numpy_reads() {
    let Some(corpus) = corpus() else { return };
    let read = |file: &str, tensor: &str| values(on_disk(&corpus, &[file]), tensor);
    let close = |found: &[f32], expected: &[f32], what: &str| {
        assert!(found.len() >= expected.len(), "{what}");
        for (a, b) in found.iter().zip(expected) {
            assert!((a - b).abs() <= 1e-6 * b.abs().max(1e-3), "{what}: {b} expected, {a} found");
        }
    };
    let fortran = read("pytorch/candle-fortran_tensor_3d.pth", "tensor_fortran");
    assert_eq!(fortran, (1..=24).map(|n| n as f32).collect::<Vec<_>>());
    assert_eq!(read("pytorch/burn/bfloat16.pt", "tensor"), [1.5, -2.5, 3.5]);
    close(&read("pytorch/burn/legacy_with_offsets.pt", "tensor2"), &[2.0, 2.1, 2.2, 2.3, 2.4], "offsets");
    close(&read("pytorch/burn/legacy_uncloned_views.pt", "tensor2"), &[50.0, 51.0, 52.0, 53.0], "views");
    close(
        &read("pytorch/burn/legacy_shared_storage.pt", "view3"),
        &[0.153_853_64, 1.822_124_1, 0.622_265_76],
        "shared",
    );
    close(&read("triple/mnist.pt", "conv1.weight"), &[0.162_276_88, -0.236_593_71, -0.182_715_27], "mnist");
    close(
        &read("pytorch/lpips-v0.0-alex.pth", "lin3.model.1.weight"),
        &[0.115_015_42, 0.047_309_86, 0.133_806_65],
        "lpips",
    );
    let bias = read("tensorflow/churn-ann.h5", "model_weights/dense_3/sequential/dense_3/bias");
    close(&bias, &[-0.386_152_74, -0.497_115_82, -1.095_081_4, -0.365_229_3], "h5");
    let regression =
        ["tensorflow/ckptv2-regression/model.index", "tensorflow/ckptv2-regression/model.data-00000-of-00001"];
    close(&values(on_disk(&corpus, &regression), "W"), &[f32::from_bits(0x3e5b_18cc)], "checkpoint");
    assert_eq!(read("pytorch/candle-test.npy", "candle-test"), (0..10).map(|n| n as f32).collect::<Vec<_>>());
}

/// rwkv.cpp quantized the FP32 file itself: a 5-bit level is at most half a step of 1/16 (Q5_0) of the block's largest
/// value away, 1/31 of its range (Q5_1); one step is allowed, and 1e-6 where the f16 scale itself is subnormal.
#[test]
fn quantized_rwkv_files_lie_within_a_step_of_the_unquantized_one() {
    let Some(corpus) = corpus() else { return };
    let read =
        |kind: &str, tensor: &str| values(on_disk(&corpus, &[&format!("rwkv/tiny-rwkv-4v0-660K-{kind}.bin")]), tensor);
    for tensor in ["blocks.0.att.key.weight", "blocks.2.ffn.value.weight"] {
        let exact = read("FP32", tensor);
        for (kind, step) in [("Q5_0", 1.0 / 16.0), ("Q5_1", 2.0 / 31.0), ("FP16", 1.0 / 1024.0)] {
            let found = read(kind, tensor);
            assert_eq!(found.len(), exact.len());
            for (block, (a, b)) in found.chunks(32).zip(exact.chunks(32)).enumerate() {
                let largest = b.iter().fold(0f32, |m, v| m.max(v.abs()));
                for (a, b) in a.iter().zip(b) {
                    assert!((a - b).abs() <= step * largest + 1e-6, "{kind} {tensor} block {block}: {b} as {a}");
                }
            }
        }
    }
}

#[test]
fn the_samples_checkpoint_holds_the_values_of_its_other_forms() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus/sample");
    let names = [
        "hf/model-00001-of-00002.safetensors",
        "hf/model-00002-of-00002.safetensors",
        "hf/model.safetensors.index.json",
    ];
    for tensor in ["model.embed_tokens.weight", "model.layers.0.self_attn.q_proj.weight", "model.norm.weight"] {
        assert_eq!(
            values(on_disk(&sample, &["sample.pt"]), tensor),
            values(on_disk(&sample, &names), tensor),
            "{tensor}"
        );
    }
    let model = open(&on_disk(&sample, &["sample.pt"])).expect("opens");
    assert!(model.notes.iter().any(|n| n.what.contains("views of the same bytes")), "the tied embedding is told");
}

#[test]
fn pytorch_shards_are_one_model_and_a_missing_one_is_named() {
    let shard = |name: &str, value: f32| {
        let object = dict(&[(name, tensor("FloatStorage", "0", 2, 0, &[2], &[1]))]);
        zip(&[member("archive/data.pkl", object), member("archive/data/0", floats(&[value, 2.0]))], 64)
    };
    let (one, two) = (shard("a", 1.0), shard("b", 5.0));
    let index = br#"{"metadata": {"total_size": 16}, "weight_map": {"a": "pytorch_model-00001-of-00002.bin", "b": "pytorch_model-00002-of-00002.bin"}}"#;
    let names =
        ["pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin", "pytorch_model.bin.index.json"];
    let both = [(names[0], one.as_slice()), (names[1], two.as_slice()), (names[2], index.as_slice())];
    let model = open(&in_memory(&both)).expect("opens");
    assert_well_formed(&model);
    assert_eq!(model.tensors.iter().map(|t| t.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert!(model.notes.iter().all(|n| n.severity == Severity::Info), "{:#?}", model.notes);
    assert_eq!(values(in_memory(&both), "b"), [5.0, 2.0]);
    let part = open(&in_memory(&both[1..])).expect("opens");
    assert!(part.notes.iter().any(|n| n.what.contains("pytorch_model-00001-of-00002.bin\" is missing")));
    assert!(matches!(part.tensor("a").map(|t| &t.place), Some(Place::Missing { .. })));
}

#[test]
fn a_checkpoint_without_its_shard_lists_its_tensors_and_names_the_file() {
    let (index, _) = checkpoint();
    let model = open_bytes("c.index", &index).expect("opens");
    assert_eq!(model.tensors.len(), 2);
    assert!(model.notes.iter().any(|n| n.what.contains("c.data-00000-of-00001\" is missing")), "{:#?}", model.notes);
}

#[test]
fn a_v1_checkpoint_lists_its_tensors_plain_or_packed() {
    for packed in [false, true] {
        let model = open_bytes("model.ckpt", &checkpoint_v1(packed)).expect("opens");
        assert_well_formed(&model);
        assert_eq!((model.format.name(), model.version.text.as_str()), ("TensorFlow", "checkpoint (V1)"));
        let found: Vec<_> =
            model.tensors.iter().map(|t| (t.name.as_str(), t.shape.0.as_slice(), t.encoding.name())).collect();
        let row = |name, shape: &'static [u64], kind: &'static str| (name, shape, kind.into());
        assert_eq!(
            found,
            [
                row("bias", &[2], "F32"),
                row("kernel", &[2, 2], "F32"),
                row("parts", &[2], "F32"),
                row("step", &[], "I64")
            ]
        );
        let inline = |name: &str| model.tensor(name).expect(name).place == Place::Inline;
        assert_eq!((inline("kernel"), inline("parts"), inline("step")), (packed, true, true));
        assert!(noted(&model, Severity::Info, "\"parts\" is stored in 2 slices"), "{:#?}", model.notes);
    }
}

/// The layout of whisper.cpp's `whisper_vad_init_with_params`: its numbers, then tensors as in every other layout.
fn vad() -> Vec<u8> {
    let mut file = b"lmgg".to_vec();
    let number = |file: &mut Vec<u8>, n: u32| file.extend(n.to_le_bytes());
    number(&mut file, 10);
    file.extend(b"silero-16k");
    for n in [6, 2, 0, 512, 64, 1, 129, 128, 3, 128, 128, 128, 1] {
        number(&mut file, n);
    }
    for (name, kind, values) in
        [("_model.stft.forward_basis_buffer", 1u32, 2u32), ("_model.decoder.decoder.2.bias", 0, 1)]
    {
        for n in [1, name.len() as u32, kind, values] {
            number(&mut file, n);
        }
        file.extend(name.as_bytes());
        file.extend(if kind == 0 { vec![0, 0, 0x80, 0x3f] } else { vec![0, 0x3c, 0, 0x40] });
    }
    file
}

#[test]
fn the_layout_of_voice_activity_detection_is_read() {
    let model = open_bytes("ggml-silero.bin", &vad()).expect("opens");
    assert_well_formed(&model);
    assert!(model.version.text.contains("voice activity detection"), "{}", model.version);
    assert_eq!(model.metadata.string("ggml.vad.type"), Some("silero-16k"));
    assert_eq!(model.metadata.unsigned("ggml.vad.encoder.0.out_channels"), Some(128));
    assert_eq!(small_values("v.bin", &vad(), "_model.stft.forward_basis_buffer"), [1.0, 2.0]);
    assert!(
        noted(&model, Severity::Warning, "2 tensors are there; a model of so many layers has 9"),
        "{:#?}",
        model.notes
    );
    for end in 0..vad().len() {
        if let Ok(part) = open_bytes("v.bin", &vad()[..end]) {
            assert_well_formed(&part);
        }
    }
}

/// A parakeet header: hyper-parameters, filters, window, durations, tokens, no tensors.
fn parakeet(n_fft: u32, bins: u32) -> Vec<u8> {
    let mut file = b"lmgg".to_vec();
    let mut numbers = vec![2, 100, 8, 2, 1, 4, 1, n_fft, 8, 16, 3, 8, 1, 2, 10, 4, bins];
    numbers.extend(vec![0; 4 * bins as usize]);
    numbers.extend([3, 0, 0, 0, 0, 1, 2, 1, 97, 1, 98]);
    for (i, n) in numbers.iter().enumerate() {
        // Texts of tokens are bytes: the last two and what lies between.
        if i + 1 == numbers.len() || i + 3 == numbers.len() {
            file.push(*n as u8);
        } else {
            file.extend(n.to_le_bytes());
        }
    }
    file
}

#[test]
fn a_parakeet_header_whose_fft_size_is_zero_is_read_and_told() {
    let words = "The size of the Fourier transform (FFT) is 0";
    for (n_fft, bins, told) in [(512, 2, false), (0, 2, true), (512, 0, true), (0, 0, true)] {
        let model = open_bytes("p.bin", &parakeet(n_fft, bins)).expect("opens");
        assert_well_formed(&model);
        assert!(model.version.text.contains("parakeet"), "{}", model.version);
        assert_eq!(model.metadata.array("ggml.tokens").map(|a| a.len), Some(2), "{n_fft} {bins}");
        assert_eq!(noted(&model, Severity::Warning, words), told, "{n_fft} {bins}: {:#?}", model.notes);
    }
}

#[test]
fn a_numpy_file_cut_in_its_header_opens_as_cut() {
    let whole = small_npy();
    let header = 10 + usize::from(u16::from_le_bytes([whole[8], whole[9]]));
    for end in 6..header {
        let model = open_bytes("x.npy", &whole[..end]).unwrap_or_else(|fault| panic!("cut at {end}: {fault}"));
        assert_well_formed(&model);
        assert_eq!(model.cuts.len(), 1, "cut at {end}");
        assert!(noted(&model, Severity::Error, "within its header"), "cut at {end}: {:#?}", model.notes);
        if end >= 10 {
            assert_eq!(model.cuts[0].needs, Some(header as u64), "cut at {end}");
        }
    }
    let nearly = open_bytes("x.npy", &whole[..header - 1]).expect("opens");
    assert_eq!(nearly.tensors.len(), 1, "type and shape were stated before the cut");
}

//! The formats beside GGUF, safetensors and ONNX: values, what is wrong with files, and files that were cut.

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

const DEFLATED: [u8; 25] = [
    0x6b, 0x60, 0x4a, 0xce, 0x2f, 0xe6, 0x2a, 0xae, 0x2c, 0x2e, 0x49, 0xcd, 0xe5, 0x8a, 0x60, 0x62, 0x60, 0x60, 0xc8,
    0x29, 0x6e, 0x0d, 0xd2, 0x03, 0x00,
];

fn noted(model: &ModelFile, severity: Severity, words: &str) -> bool {
    model.notes.iter().any(|n| n.severity == severity && n.what.contains(words) && n.at.is_some())
}

#[test]
fn what_is_wrong_with_a_file_is_named_with_its_place() {
    use Severity::{Error, Info, Warning};
    let object = |entry: Vec<u8>| dict(&[("x", entry)]);
    let torch = |object: Vec<u8>| zip(&[member("m/data.pkl", object), member("m/data/0", floats(&[1.0, 2.0]))], 64);
    let evil = b"\x80\x02cos\nsystem\nX\x02\0\0\0ls\x85R.".to_vec();
    let mut locked = member("m/other.pkl", &evil);
    locked.flags = 1;
    let mut renamed = member("m/data.pkl", object(text("a")));
    renamed.local_name = Some("m/data.pkX".into());
    let mut stream = torch_stream();
    stream.extend(b"\x80\x02cos\nsystem\nX\x02\0\0\0ls\x85R.");
    let cases: Vec<(&str, &str, Vec<u8>, Severity, &str)> = vec![
        (
            "a view beyond its storage",
            "m.pt",
            torch(object(tensor("FloatStorage", "0", 2, 1, &[2], &[1]))),
            Error,
            "leaves its storage of 2 elements",
        ),
        (
            "a storage longer than its member",
            "m.pt",
            torch(object(tensor("FloatStorage", "0", 9, 0, &[9], &[1]))),
            Error,
            "its storage at byte",
        ),
        (
            "a storage that is not there",
            "m.pt",
            torch(object(tensor("FloatStorage", "7", 2, 0, &[2], &[1]))),
            Error,
            "names storage \"7\"",
        ),
        (
            "a negative size",
            "m.pt",
            torch(object(tensor("FloatStorage", "0", 2, 0, &[-2], &[1]))),
            Error,
            "a shape that is not understood",
        ),
        (
            "a huge shape",
            "m.pt",
            torch(object(tensor("FloatStorage", "0", 2, 0, &[i32::MAX, i32::MAX, i32::MAX], &[1, 1, 1]))),
            Error,
            "leaves its storage",
        ),
        (
            "a storage class of no known type",
            "m.pt",
            torch(object(tensor("OddStorage", "0", 2, 0, &[2], &[1]))),
            Error,
            "a storage that is not understood",
        ),
        (
            "a call beside the tensors",
            "m.pt",
            zip(&[member("m/data.pkl", object(b"cos\nsystem\nX\x02\0\0\0ls\x85R".to_vec()))], 64),
            Error,
            "would import os.system (GLOBAL at byte",
        ),
        (
            "a pickle under another name",
            "m.pt",
            zip(&[member("m/data.pkl", object(text("a"))), member("m/readme.txt", &evil)], 64),
            Error,
            "would import os.system",
        ),
        (
            "a pickle that is said to be encrypted",
            "m.pt",
            zip(&[member("m/data.pkl", object(text("a"))), locked], 64),
            Error,
            "would import os.system",
        ),
        ("a pickle after the storages", "m.pth", stream, Error, "a pickle after the storages would import os.system"),
        (
            "two members of one name",
            "m.pt",
            zip(&[member("m/data.pkl", object(text("a"))), member("m/data.pkl", object(text("b")))], 64),
            Error,
            "is there more than once",
        ),
        ("a member with two names", "m.pt", zip(&[renamed], 64), Warning, "in its own header"),
        (
            "a path that leaves the folder",
            "m.pt",
            zip(&[member("m/data.pkl", object(text("a"))), member("m/../../x", "a")], 64),
            Error,
            "outside its folder",
        ),
        (
            "bytes after the archive",
            "m.pt",
            [torch_zip(), vec![1; 9]].concat(),
            Warning,
            "9 bytes follow the zip archive",
        ),
        (
            "a byte order of no kind",
            "m.pt",
            zip(&[member("m/data.pkl", object(text("a"))), member("m/byteorder", "middle")], 64),
            Error,
            "\"little\" or \"big\" expected",
        ),
        (
            "a pickle within a pickle",
            "x.pkl",
            [&b"\x80\x02B"[..], &(evil.len() as u32).to_le_bytes(), &evil, b"."].concat(),
            Error,
            "a pickle within the pickle would import os.system",
        ),
        (
            "a pickle of protocol 0 within a byte string of an array",
            "m.pt",
            {
                let inner = b"cos\nsystem\n(S'ls'\ntR.";
                let bytes = [&[b'C', inner.len() as u8][..], inner].concat();
                zip(&[member("m/data.pkl", object(bytes))], 64)
            },
            Error,
            "a pickle within data.pkl would import os.system",
        ),
        (
            "a part of a model in several files",
            "model.bin.1",
            {
                let mut file = b"fmgg\x01\0\0\0".to_vec();
                // A vocabulary of 1, 8 wide, no layers; one token with its score; half of each row.
                let numbers = [1u32, 8, 1, 1, 0, 4, 0, 1].iter().flat_map(|n| n.to_le_bytes());
                file.extend(numbers.chain(*b"a").chain([0; 4]));
                file.extend([2u32, 21, 0, 4, 1].iter().flat_map(|n| n.to_le_bytes()));
                file.extend(b"tok_embeddings.weight");
                file.extend(floats(&[1.0, 2.0, 3.0, 4.0]));
                file
            },
            Warning,
            "this is one of 2 files with a slice of each tensor",
        ),
        ("a pickle with too many POPs", "x.pkl", b"\x80\x02N00N.".to_vec(), Warning, "a value expected on the stack"),
        (
            "a pickle with a name made while loading",
            "x.pkl",
            b"\x80\x04\x8c\x02os\x8c\x03sys\x93\x8c\x01x\x93.".to_vec(),
            Error,
            "would import <os.sys>.x",
        ),
        ("an extension code", "x.pkl", b"\x80\x02\x82\x05N0.".to_vec(), Error, "extension registry"),
        (
            "attributes of a module",
            "x.pkl",
            b"\x80\x02cmod\nthing\n}X\x01\0\0\0aK\x01sb.".to_vec(),
            Error,
            "would set attributes of mod.thing",
        ),
        (
            "a call of a result",
            "x.pkl",
            b"\x80\x02coperator\nattrgetter\nX\x01\0\0\0a\x85R)R.".to_vec(),
            Error,
            "would call operator.attrgetter",
        ),
        (
            "objects in an array",
            "x.npy",
            npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n", &evil),
            Error,
            "would import os.system",
        ),
        (
            "an array beyond the end",
            "x.npy",
            npy("{'descr': '<f4', 'fortran_order': False, 'shape': (9,), }\n", &[0; 8]),
            Error,
            "takes 36 bytes, 8 are there",
        ),
        (
            "an array of more than 64 bits",
            "x.npy",
            npy("{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999, 9999999999), }\n", &[0; 8]),
            Error,
            "more elements than 64 bits count",
        ),
        (
            "a structured array",
            "x.npy",
            npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }\n", &[0; 8]),
            Info,
            "listed but not decoded",
        ),
        ("a tar archive without its storages", "m.pt", tar(&torch_tar_members()[..3]), Error, "storages not found"),
        (
            "a tensor of a storage that is not there",
            "m.pt",
            {
                let mut members = torch_tar_members();
                // One storage announced less than there is.
                assert_eq!(members[3].1[2..4], [b'J', 2]);
                members[3].1[3] = 1;
                tar(&members)
            },
            Error,
            "which is not there",
        ),
        (
            "an import in a tar archive",
            "m.pt",
            {
                let mut members = torch_tar_members();
                members[1].1 = evil.clone();
                tar(&members)
            },
            Error,
            "would import os.system",
        ),
        (
            "a checkpoint that names more than it holds",
            "model.ckpt",
            {
                let mut file = checkpoint_v1(false);
                let at = file.windows(4).rposition(|w| w == b"step").expect("the value's name");
                file[at] = b'S';
                file
            },
            Error,
            "\"step\" is named, the table holds no values of it",
        ),
        (
            "no versions in a graph",
            "g.pb",
            graph_def()[..graph_def().len() - 4].to_vec(),
            Warning,
            "states no versions",
        ),
    ];
    for (what, name, bytes, severity, words) in &cases {
        let model = open_bytes(name, bytes).unwrap_or_else(|fault| panic!("{what}: {fault}"));
        assert_well_formed(&model);
        assert!(noted(&model, *severity, words), "{what}: {severity:?} {words:?} expected: {:#?}", model.notes);
    }
    for (what, name, bytes, words) in [
        ("a zip without a model", "m.zip", zip(&[member("a.txt", "hello")], 1), "no pickle among them"),
        ("a zip cut in its first header", "m.pt", torch_zip()[..28].to_vec(), "a zip directory expected"),
        ("ggjt of the future", "m.bin", ggjt(9, 2, &[0; 20]), "ggjt version 9"),
        (
            "a table without its end",
            "c.index",
            checkpoint().0[..90].to_vec(),
            "the end of a checkpoint's table expected",
        ),
        (
            "a packed block that breaks",
            "c.index",
            {
                let mut file = checkpoint_packed();
                file[42] = 0xff;
                file
            },
            "a block of",
        ),
        ("a root beyond the file", "m.tflite", b"\xff\xff\0\0TFL3\0\0\0\0".to_vec(), "expected"),
        (
            "a superblock of the future",
            "m.h5",
            b"\x89HDF\r\n\x1a\n\x09aaaaaaaaaaaaaaaa".to_vec(),
            "superblock version 9",
        ),
    ] {
        let fault = open_bytes(name, &bytes).err().unwrap_or_else(|| panic!("{what} opened"));
        assert!(fault.what.contains(words) && fault.at.is_some(), "{what}: {words:?} expected: {fault:?}");
    }
    // What is there of a vocabulary is shown.
    let model = open_bytes("m.bin", &[&b"tjgg\x03\0\0\0"[..], &[0xff; 28]].concat()).expect("opens");
    let note = model.notes.iter().find(|n| n.what.contains("tokens announced")).expect("noted");
    assert!(note.severity == Error && note.at.is_some(), "{note:?}");
}

/// Readers stop at an encrypted member or one whose headers disagree; Python's pickle module gets to it all the same.
#[test]
fn a_pickle_is_seen_whatever_the_flags_of_its_member_say() {
    let evil = b"\x80\x02cos\nsystem\nX\x02\0\0\0ls\x85R.";
    for flags in [0x1, 0x20, 0x40, 0x61, 0x800] {
        for name in ["m/other.pkl", "m/notes.txt", "m/data/0"] {
            let mut hidden = member(name, evil);
            hidden.flags = flags;
            let bytes = zip(&[member("m/data.pkl", dict(&[("x", text("a"))])), hidden], 64);
            let model = open_bytes("m.pt", &bytes).expect("opens");
            assert!(noted(&model, Severity::Error, "would import os.system"), "{flags:#x} {name}: {:#?}", model.notes);
        }
    }
}

#[test]
fn a_pickle_in_a_deflated_member_is_seen() {
    // Python's zlib over the pickle of protocol 2 that calls os.system('ls').
    let mut hidden = member("m/notes.txt", DEFLATED);
    (hidden.method, hidden.unpacked) = (8, Some(23));
    let bytes = zip(&[member("m/data.pkl", dict(&[("x", text("a"))])), hidden], 64);
    let model = open_bytes("m.pt", &bytes).expect("opens");
    assert!(
        noted(&model, Severity::Error, "would import os.system (GLOBAL at byte 2 of it, unpacked)"),
        "{:#?}",
        model.notes
    );
}

/// Where each tensor is: "here", "missing" from a byte on, or "lost" where its place is not known.
fn places(model: &ModelFile) -> Vec<(&str, String)> {
    let told = |place: &Place| match place {
        Place::Here { .. } | Place::Strided { .. } => "here".to_owned(),
        Place::Missing { at, .. } if at.is_empty() => "lost".to_owned(),
        Place::Missing { at, .. } => format!("missing {}..{}", at.start, at.end),
        other => format!("{other:?}"),
    };
    model.tensors.iter().map(|t| (t.name.as_str(), told(&t.place))).collect()
}

#[test]
fn a_pytorch_archive_that_lost_its_end_lists_its_tensors_by_what_is_left() {
    let start =
        |whole: &[u8], name: &str| match &open_bytes("m.pt", whole).expect("opens").tensor(name).expect(name).place {
            Place::Here { at, .. } | Place::Strided { at, .. } => at.start,
            other => panic!("{other:?}"),
        };
    for whole in [torch_zip(), zip_forward(&torch_members(), 64)] {
        let (a, b) = (start(&whole, "a"), start(&whole, "b") - 2);
        let cut =
            |at: u64| open_bytes("m.pt", &whole[..at as usize]).unwrap_or_else(|fault| panic!("cut at {at}: {fault}"));
        // Without its directory alone, it is whole.
        let all = cut(b + 8 + 90);
        assert_eq!(places(&all), [("a", "here".into()), ("t", "here".into()), ("b", "here".into())]);
        assert_eq!(all.metadata.number("epoch"), Some(7.0));
        assert!(noted(&all, Severity::Error, "members were found by their own headers"), "{:#?}", all.notes);
        assert_eq!(small_values("m.pt", &whole[..(b + 98) as usize], "t"), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        assert_eq!(all.cuts.iter().map(|c| c.announced).collect::<Vec<_>>(), [Some(3)], "more must follow");
        // In the middle of the second storage: its bytes are placed beyond the end.
        let part = cut(b + 3);
        assert_eq!(
            places(&part),
            [("a", "here".into()), ("t", "here".into()), ("b", format!("missing {}..{}", b + 2, b + 6))]
        );
        assert!(noted(&part, Severity::Error, "1 of 3 tensors are missing or incomplete, the first is \"b\""));
        // Before the second storage's header: nothing says where it would lie.
        let one = cut(a + 24);
        assert_eq!(places(&one), [("a", "here".into()), ("t", "here".into()), ("b", "lost".into())]);
        // In the first storage.
        let none = cut(a + 5);
        let lies = format!("missing {}..{}", a, a + 24);
        assert_eq!(places(&none), [("a", lies.clone()), ("t", lies), ("b", "lost".into())]);
        // Only the description is there.
        assert_eq!(places(&cut(a - 70)).len(), 3);
    }
}

#[test]
fn storages_before_their_description_are_found_by_the_sizes_behind_them() {
    let mut members = torch_members();
    members.rotate_left(2);
    // A storage that holds what looks like the sizes of another.
    members[0].data = [b"PK\x07\x08\0\0\0\0\x09\0\0\0\x09\0\0\0".as_slice(), &[0; 8]].concat();
    let whole = zip_forward(&members, 64);
    let directory = whole.windows(4).position(|w| w == b"PK\x01\x02").expect("a directory");
    let model = open_bytes("m.pt", &whole[..directory]).expect("opens");
    assert_well_formed(&model);
    assert_eq!(places(&model), [("a", "here".into()), ("t", "here".into()), ("b", "here".into())]);
}

#[test]
fn real_pytorch_archives_without_their_end_list_what_the_whole_ones_do() {
    let Some(corpus) = corpus() else { return };
    for name in ["triple/mnist.pt", "llama/llama2xs.ckpt.pt", "pytorch/torchscript-tch-foo.pt"] {
        let bytes = std::fs::read(corpus.join(name)).expect(name);
        let directory = bytes.windows(4).rposition(|w| w == b"PK\x05\x06").expect("an end");
        let whole = open_bytes("m.pt", &bytes).expect(name);
        let part = open_bytes("m.pt", &bytes[..directory]).expect(name);
        assert_well_formed(&part);
        assert!(part.tensors == whole.tensors, "{name}: {:#?}", part.notes);
        let half = open_bytes("m.pt", &bytes[..bytes.len() / 2]).expect(name);
        assert_well_formed(&half);
        assert!(half.notes.iter().any(|n| n.severity == Severity::Error && n.at.is_some()), "{name}");
    }
}

/// Every prefix is told to be one, and lists no tensor otherwise than the whole file does.
fn truncations(name: &str, bytes: &[u8], least: Severity) {
    truncations_of(name, bytes, bytes.len(), least);
}

/// The same for cuts before byte `last`.
fn truncations_of(name: &str, bytes: &[u8], last: usize, least: Severity) {
    let whole = open_bytes(name, bytes).expect("the whole file opens");
    for end in 0..last {
        let Ok(part) = open_bytes(name, &bytes[..end]) else { continue };
        assert_well_formed(&part);
        let told = part.notes.iter().any(|n| n.severity >= least && !whole.notes.contains(n));
        assert!(told, "{name} cut at {end} of {}: nothing noted", bytes.len());
        for tensor in &part.tensors {
            let Some(same) = whole.tensor(&tensor.name) else { panic!("{name} cut at {end}: {} appears", tensor.name) };
            assert_eq!((&tensor.shape, tensor.encoding), (&same.shape, same.encoding), "{name} cut at {end}");
            if let Place::Here { .. } | Place::Strided { .. } = tensor.place {
                assert_eq!(tensor.place, same.place, "{name} cut at {end}");
            }
        }
    }
}

#[test]
fn every_truncation_of_a_pytorch_file_is_told() {
    truncations("m.pt", &torch_zip(), Severity::Warning);
    truncations("m.pt", &zip_forward(&torch_members(), 64), Severity::Warning);
    truncations("m.pth", &torch_stream(), Severity::Warning);
    // The blocks of zeros at its end, and those that fill its last member, say nothing.
    let members = torch_tar_members();
    let said = tar(&members).len() - 1024 - (512 - members[3].1.len() % 512);
    truncations_of("m.pt", &tar(&members), said, Severity::Warning);
    truncations("x.pkl", &dict(&[("a", text("b")), ("c", b"]q\0(K\x01K\x02e".to_vec())]), Severity::Warning);
}

#[test]
fn every_truncation_of_a_numpy_file_is_told() {
    truncations("x.npy", &small_npy(), Severity::Warning);
    truncations("x.npz", &small_npz(), Severity::Warning);
}

#[test]
fn every_truncation_of_a_file_before_gguf_is_told() {
    // Cut right behind the vocabulary it is what llama.cpp's vocabulary files are: said, but no fault.
    truncations("m.bin", &ggjt(3, 2, &[1; 18]), Severity::Info);
    truncations("m.bin", &ggjt(1, 2, &[1; 20]), Severity::Info);
    truncations("m.bin", &llama2c(), Severity::Warning);
}

#[test]
fn every_truncation_of_a_tensorflow_file_is_told() {
    truncations("g.pb", &graph_def(), Severity::Warning);
    truncations("c.index", &checkpoint().0, Severity::Warning);
    truncations("c.index", &checkpoint_packed(), Severity::Warning);
    truncations("model.ckpt", &checkpoint_v1(false), Severity::Warning);
    truncations("m.tflite", &tflite(), Severity::Warning);
}

/// Written by h5py 3 with the newest layout: groups of more than eight links keep them in a heap, 120 of them in several
/// blocks of it; a user block of 512 bytes lies before.
#[test]
fn links_in_a_heap_and_a_user_block_are_followed() {
    let model = open_bytes("dense.h5", &hdf5("dense.h5")).expect("opens");
    assert_well_formed(&model);
    let names: Vec<&str> = model.tensors.iter().map(|t| t.name.as_str()).collect();
    let expected: Vec<String> = (0..20)
        .map(|i| format!("few/v{i:02}"))
        .chain((0..120).map(|i| format!("many/of_a_rather_long_name_{i:03}")))
        .collect();
    assert_eq!(names, expected);
    assert!(noted(&model, Severity::Info, "512 bytes lie before the HDF5 part"), "{:#?}", model.notes);
    assert_eq!(small_values("dense.h5", &hdf5("dense.h5"), "few/v17"), [17.0]);
    assert_eq!(small_values("dense.h5", &hdf5("dense.h5"), "many/of_a_rather_long_name_119"), [119.0]);
    assert!(model.notes.iter().all(|n| n.severity == Severity::Info), "{:#?}", model.notes);
}

#[test]
fn chunks_and_their_filters_are_named() {
    for (name, tensor, words) in [
        ("chunks.h5", "plain", "\"plain\" is stored in chunks of 2 x 4"),
        ("chunks.h5", "packed", "chunks of 2 x 4, packed by shuffle, deflate, fletcher32"),
        ("chunks_new.h5", "packed", "chunks of 2 x 4, packed by shuffle, deflate"),
    ] {
        let model = open_bytes(name, &hdf5(name)).expect("opens");
        assert_well_formed(&model);
        assert_eq!(model.tensor(tensor).map(|t| t.shape.0.clone()), Some(vec![4, 6]));
        assert!(noted(&model, Severity::Info, words), "{name}: {:#?}", model.notes);
    }
}

/// Reference: h5py 3.16 wrote numbers that count up (tests/corpus/make/export_containers.py); compared exactly.
#[test]
fn values_in_chunks_are_those_that_h5py_wrote() {
    let count = |n: u16| (0..n).map(f32::from).collect::<Vec<f32>>();
    for (name, tensor, expected) in [
        ("chunks.h5", "plain", count(24)),
        ("chunks.h5", "packed", count(24)),
        ("chunks_new.h5", "packed", count(24)),
        ("chunked.h5", "uneven", count(5 * 7 * 3)),
        ("chunked.h5", "checked", count(9)),
        ("chunked.h5", "many", count(600)),
        ("chunked.h5", "grown", [0.0, 1.0, 2.0, 3.0, 0.0, 0.0, 0.0, 0.0].to_vec()),
        ("chunked_new.h5", "single", count(6)),
        ("chunked_new.h5", "single_plain", count(6)),
        ("chunked_new.h5", "array", count(25)),
        ("chunked_new.h5", "array_plain", count(25)),
        ("chunked_new.h5", "pages", count(1100)),
        ("chunked_new.h5", "implicit", count(20)),
    ] {
        let bytes = hdf5(name);
        assert_well_formed(&open_bytes(name, &bytes).expect("opens"));
        assert_eq!(small_values(name, &bytes, tensor), expected, "{name}: {tensor}");
    }
    let part = small_values("chunked.h5", &hdf5("chunked.h5"), "part");
    let filled: Vec<f32> = (0..24).map(|i| if i / 4 < 2 && i % 4 < 2 { 1.0 } else { 7.5 }).collect();
    assert_eq!(part, filled, "what was never written has the fill value");
}

#[test]
fn rows_of_chunks_are_read_one_by_one_and_all_together_alike() {
    let inspection = block_on(Inspection::open(in_memory(&[("c.h5", &hdf5("chunked.h5"))]))).expect("opens");
    let index = inspection.tensor_index("uneven").expect("it is there");
    let peek = |rows| block_on(inspection.peek(index, rows, false, &mut |_| {})).expect("rows");
    let all = peek(0..u64::MAX).values;
    let single: Vec<f32> = (0..35).flat_map(|row| peek(row..row + 1).values).collect();
    assert_eq!(single, all);
}

#[test]
fn chunks_that_are_not_followed_are_listed_with_the_reason() {
    for (name, tensor, words) in [
        ("chunked.h5", "lzf", "packed by lzf, which is not unpacked"),
        ("chunked_new.h5", "extensible", "behind an extensible array, which is not followed"),
        ("chunked_new.h5", "tree", "behind a B-tree of version 2, which is not followed"),
    ] {
        let model = open_bytes(name, &hdf5(name)).expect("opens");
        assert_eq!(model.tensor(tensor).map(|t| t.place.clone()), Some(Place::Inline), "{tensor}");
        let said = model.notes.iter().any(|n| n.why.as_deref().is_some_and(|why| why.contains(words)));
        assert!(said, "{tensor}: {:#?}", model.notes);
    }
}

/// Whatever byte is another, values come out or a fault with a place; and memory is bounded by what the header states.
#[test]
fn damaged_chunks_are_faults_and_nothing_else() {
    let whole = hdf5("chunked.h5");
    let mut faults = 0;
    for at in (0..whole.len()).step_by(61) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x5a;
        let Ok(inspection) = block_on(Inspection::open(in_memory(&[("c.h5", &bytes)]))) else { continue };
        assert_well_formed(inspection.model());
        for tensor in 0..inspection.model().tensors.len() {
            let peeked = block_on(inspection.peek(tensor, 0..4, false, &mut |_| {}));
            faults += usize::from(peeked.is_err());
        }
    }
    assert!(faults > 0, "some damage was met");
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

#[test]
fn every_truncation_of_a_keras_file_is_told() {
    for name in ["old.h5", "new.h5", "tiny.keras", "chunks_new.h5"] {
        truncations(name, &hdf5(name), Severity::Warning);
    }
}

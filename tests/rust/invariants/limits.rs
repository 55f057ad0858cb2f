//! Each limit is a named constant, and reaching it is told with its number.

use glassbox::{formats, source::Limits};

use crate::common::{
    containers::{
        checkpoint, dict, ggjt, graph_def, member, npy, small_npz, text, tflite, torch_members, torch_zip, zip,
    },
    files::{block_on, in_memory},
    writers::{Gguf, Message, Value, onnx_model, onnx_node, onnx_tensor, safetensors, small_onnx, small_safetensors},
};

/// All that is told of a file: its fault, or its notes.
fn told(name: &str, bytes: &[u8], limits: &Limits) -> String {
    match block_on(formats::open(&in_memory(&[(name, bytes)]), limits)) {
        Err(fault) => fault.to_string(),
        Ok(model) => model.notes.iter().map(|note| note.what.clone()).collect::<Vec<_>>().join("\n"),
    }
}

#[test]
fn every_limit_of_a_reader_can_be_lowered_and_says_that_it_was_reached() {
    let usual = Limits::default();
    let header = Limits { header_bytes: 64, ..usual.clone() };
    let string = Limits { string_bytes: 4, ..usual.clone() };
    let tensors = Limits { tensors: 1, ..usual.clone() };
    let metadata = Limits { metadata: 1, ..usual };
    for (what, name, bytes, limits, words) in [
        ("header_bytes", "x.gguf", Gguf::small().bytes(), &header, "longer than 64 bytes"),
        ("header_bytes", "x.safetensors", small_safetensors(), &header, "the limit is 64"),
        ("header_bytes", "c.index", checkpoint().0, &header, "the limit is 64"),
        ("string_bytes", "x.gguf", Gguf::small().bytes(), &string, "the limit is 4"),
        ("string_bytes", "x.onnx", small_onnx(), &Limits { string_bytes: 1, ..string.clone() }, "the limit is 1"),
        ("tensors", "x.gguf", Gguf::small().bytes(), &tensors, "3 tensors announced"),
        ("tensors", "x.safetensors", small_safetensors(), &tensors, "more than 1 tensors"),
        ("tensors", "x.onnx", small_onnx(), &tensors, "more than 1 tensors"),
        ("tensors", "x.bin", ggjt(3, 2, &[1; 18]), &tensors, "more than 1 tensors; the limit"),
        ("tensors", "c.index", checkpoint().0, &tensors, "more than 1 tensors; the limit"),
        ("tensors", "g.pb", graph_def(), &tensors, "1 tensors; the limit"),
        ("metadata", "x.gguf", Gguf::small().bytes(), &metadata, "the limit is 1"),
    ] {
        let said = told(name, &bytes, limits);
        assert!(said.contains(words), "{what} of {name}: \"{words}\" expected, found:\n{said}");
    }
}

/// A PyTorch archive with one more pickle, deflated, that says it unpacks to `size`.
fn packed(size: u32) -> Vec<u8> {
    let mut bomb = member("m/more.pkl", [3, 0]);
    (bomb.method, bomb.unpacked) = (8, Some(size));
    zip(&[torch_members(), vec![bomb]].concat(), 64)
}

#[test]
#[allow(clippy::too_many_lines, reason = "one table")]
fn every_limit_is_a_named_constant_with_a_diagnostic_that_says_it_was_reached() {
    let gguf = |harm: fn(&mut Gguf)| {
        let mut file = Gguf::small();
        harm(&mut file);
        file.bytes()
    };
    let ones = |n: usize| vec!["1"; n].join(",");
    let shape = |dims: usize| format!(r#"{{"a":{{"dtype":"U8","shape":[{}],"data_offsets":[0,1]}}}}"#, ones(dims));
    let nested = |n: usize| format!(r#"{{"__metadata__":{}"#, "[".repeat(n));
    let mut graph = Message::new().bytes(2, "g");
    for _ in 0..60 {
        graph = Message::new().message(1, &Message::new().message(5, &Message::new().message(6, &graph)));
    }
    let wide = Message::new().message(5, &onnx_tensor("w", 2, &[1; 65], &[0]));
    let pickled = |opcodes: Vec<u8>| [b"\x80\x02".to_vec(), opcodes, b"N.".to_vec()].concat();
    let tensor_shape = (0..65).fold(Message::new(), |m, _| m.message(2, &Message::new().int(1, 1)));
    let value = Message::new().message(8, &Message::new().int(1, 1).message(2, &tensor_shape).bytes(4, [0; 4]));
    let constant =
        Message::new().bytes(1, "w").bytes(2, "Const").message(5, &Message::new().bytes(1, "value").message(2, &value));
    let tensorflow = Message::new().message(1, &constant).message(4, &Message::new().int(1, 21));
    for (constant, name, bytes, words) in [
        ("gguf::DIMS_MOST", "x.gguf", gguf(|f| f.tensors[0].dims = vec![1; 65]), "65 dimensions"),
        ("gguf::ALIGNMENT_MOST", "x.gguf", gguf(|f| f.set("general.alignment", Value::u32(1 << 21))), "up to 1048576"),
        (
            "gguf::DEEPEST",
            "x.gguf",
            gguf(|f| {
                let inner = Value::array(0, &[vec![1]]).1;
                let deep = (0..9).fold(inner, |d, _| [&9u32.to_le_bytes()[..], &1u64.to_le_bytes(), &d].concat());
                f.set("deep", Value(9, deep));
            }),
            "nested more than 8 deep",
        ),
        (
            "safetensors::HEADER_MOST",
            "x.safetensors",
            [&100_000_001u64.to_le_bytes()[..], b"{\"a\":{}}"].concat(),
            "the limit is 100000000",
        ),
        ("safetensors::DIMS_MOST", "x.safetensors", safetensors(&shape(65), &[0]), "at most 64 numbers"),
        ("json::DEEPEST", "x.safetensors", safetensors(&nested(500), &[]), "nested more than 64 deep"),
        ("onnx::DEEPEST", "x.onnx", onnx_model(&graph).0, "nested more than 100 deep"),
        (
            "onnx::DIMS_MOST",
            "x.onnx",
            onnx_model(&wide.message(1, &onnx_node("A", &["w"], &["y"]))).0,
            "more than 64 dimensions",
        ),
        (
            "numpy::DIMS_MOST",
            "x.npy",
            npy(&format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({},), }}\n", ones(65)), &[0]),
            "at most 64 sizes",
        ),
        (
            "numpy::HEADER_MOST",
            "x.npy",
            [&b"\x93NUMPY\x02\x00"[..], &(1u32 << 21).to_le_bytes(), &[b' '; 64]].concat(),
            "the limit is 1048576",
        ),
        ("zip::INFLATED_MOST", "m.pt", packed((64 << 20) + 1), "the limit is 67108864"),
        ("pickle::NODES_MOST", "x.pkl", pickled(b"K\x01".repeat(2_000_001)), "more than 2000000 values; the limit"),
        ("pickle::OPCODES_MOST", "x.pkl", pickled(b"N0".repeat(8_000_001)), "more than 16000000 opcodes; the limit"),
        ("tensorflow::DIMS_MOST", "g.pb", tensorflow.0, "more than 64 dimensions; the limit"),
    ] {
        let said = told(name, &bytes, &Limits::default());
        assert!(said.contains(words), "{constant}: \"{words}\" expected, found:\n{said}");
    }
}

/// Constants of the readers that bound what a file may make them do, but are no refusal of their own: where one is
/// reached, something else tells. `(file, constant, what tells)`.
const TOLD_OTHERWISE: &[(&str, &str, &str)] = &[
    ("codec/hdf5/mod.rs", "NAME_MOST", "the name's own length"),
    ("codec/hdf5/mod.rs", "NODES_MOST", "a tree in a circle, or too large"),
    ("codec/pickle/mod.rs", "CALLS_MOST", "the count of calls that are not told one by one"),
    ("codec/pickle/mod.rs", "LINE_MOST", "a line without a line feed"),
    ("codec/protobuf.rs", "VARINT_MOST", "the encoding's own rule"),
    ("codec/snappy.rs", "RATIO_MOST", "the packing's own rule: it cannot pack more"),
    ("codec/tar.rs", "MEMBERS_MOST", "the rest of the archive is a gap of the byte map"),
    ("codec/zip.rs", "COMMENT_MOST", "the format's own rule"),
    ("codec/zip.rs", "RATIO_MOST", "deflate's own rule: it cannot pack more"),
    ("codec/zip_salvage.rs", "SEARCHED_MOST", "members whose end was not found"),
    ("codec/hdf5/dense.rs", "LEVELS_MOST", "a heap of more levels than 64 bits have"),
    ("codec/pickle/mod.rs", "NESTED_MOST", "pickles within pickles beyond it are not followed"),
    ("ggml/vad.rs", "NAME_MOST", "the file is not taken for this layout"),
    ("ggml/vad.rs", "LAYERS_MOST", "the file is not taken for this layout"),
    ("ggml/vad.rs", "SIZE_MOST", "the file is not taken for this layout"),
    ("tokenizer_file/pieces.rs", "TEXT_MOST", "a name is cut"),
    ("tokenizer_file/sniff.rs", "IDS_MOST", "the file is not taken for a vocabulary"),
    ("tokenizer_file/mod.rs", "JSON_MOST", "the smaller of it and Limits::header_bytes"),
    ("codec/hdf5/chunks.rs", "NODES_MOST", "a tree of chunks in a circle, or too large"),
    ("codec/hdf5/mod.rs", "FILL_MOST", "elements that were never written are shown as zero"),
    ("keras.rs", "USER_BLOCK_MOST", "the places where a signature is looked for"),
    ("side.rs", "MODULES_MOST", "modules of a pipeline beyond it are not named"),
    ("keras.rs", "CONFIG_MOST", "the configuration is not shown"),
    ("llama2c.rs", "LAYERS_MOST", "the file is not taken for this format"),
    ("merge.rs", "SHARDS_MOST", "tensors of an index that no shard holds"),
    ("onnx/attribute.rs", "ITEMS_MOST", "a list is cut"),
    ("onnx/attribute.rs", "TEXT_MOST", "a text is cut"),
    ("onnx/tensor.rs", "DIMS_MOST", "more than 64 dimensions, in walk.rs"),
    ("onnx/walk.rs", "DOC_MOST", "a description is cut"),
    ("pytorch/archive.rs", "JSON_MOST", "an archive without objects"),
    ("pytorch/archive.rs", "TEXT_MOST", "a version is not shown"),
    ("pytorch/objects.rs", "DEEPEST", "the count of values that are not shown"),
    ("pytorch/objects.rs", "DIMS_MOST", "a tensor whose shape is not understood"),
    ("pytorch/objects.rs", "LIST_MOST", "the list's length in place of its items"),
    ("pytorch/tar.rs", "DIMS_MOST", "the number of sizes and strides"),
    ("safetensors/header.rs", "DIMS_MOST", "at most 64 numbers"),
    ("safetensors/mod.rs", "HEADER_MOST", "the smaller of it and Limits::header_bytes"),
    ("tensorflow/graph.rs", "INPUTS_MOST", "inputs of one node are cut"),
    ("tensorflow/graph.rs", "NAME_MOST", "a name is cut"),
    ("tensorflow/slices.rs", "NAME_MOST", "a name is cut"),
    ("tensorflow/table.rs", "KEY_MOST", "an entry's lengths"),
    ("tensorflow/table.rs", "LENGTHS_MOST", "the encoding's own rule"),
    ("tflite.rs", "DIMS_MOST", "the limit that a list of numbers names"),
    ("tflite.rs", "NAME_MOST", "a name is cut"),
    ("xray/mod.rs", "PICKLES_MOST", "bytes behind the last pickle that was followed"),
    ("xray/mod.rs", "VALUES_MOST", "bytes behind the last pickle that was followed"),
    ("gguf/tensors.rs", "DIMS_MOST", "the number of dimensions"),
];

/// Every constant of a reader whose name says that it bounds something is named in a message, or listed above.
#[test]
fn every_limit_is_named_where_it_is_told() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/formats");
    let mut folders = vec![root.clone()];
    let (mut found, mut untold) = (0, Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("readable").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("readable");
            let file = path.strip_prefix(&root).expect("below").to_string_lossy().replace('\\', "/");
            for line in text.lines() {
                let Some((_, rest)) = line.split_once("const ") else { continue };
                let name = rest.split(':').next().unwrap_or_default();
                if !line.contains(": u64 =") && !line.contains(": usize =") && !line.contains(": u32 =") {
                    continue;
                }
                if !(name.ends_with("_MOST") || name == "DEEPEST") {
                    continue;
                }
                found += 1;
                // A folder's constants are told by any of its files.
                let own = folder != root;
                let spoken = |text: &str| text.contains(&format!("{{{name}}}"));
                let beside = std::fs::read_dir(&folder).into_iter().flatten().flatten();
                let in_a_message = spoken(&text)
                    || own && beside.filter_map(|e| std::fs::read_to_string(e.path()).ok()).any(|t| spoken(&t));
                let row = TOLD_OTHERWISE.iter().any(|(f, n, _)| *f == file && *n == name);
                if !in_a_message && !row {
                    untold.push(format!("{file}: {name}"));
                }
            }
        }
    }
    assert!(found >= 40, "only {found} limits found");
    assert!(untold.is_empty(), "limits that no message names and no row explains: {untold:#?}");
}

#[test]
fn a_limit_leaves_what_was_read_before_it() {
    let limits = Limits { tensors: 1, ..Limits::default() };
    for (name, bytes) in [("x.safetensors", small_safetensors()), ("x.bin", ggjt(3, 2, &[1; 18]))] {
        let model = block_on(formats::open(&in_memory(&[(name, &bytes)]), &limits)).expect(name);
        assert_eq!(model.tensors.len(), 1, "{name}");
    }
    // Small files of the other containers stay under every limit.
    for (name, bytes) in
        [("m.pt", torch_zip()), ("x.npz", small_npz()), ("m.tflite", tflite()), ("x.pkl", dict(&[("a", text("b"))]))]
    {
        assert!(!told(name, &bytes, &Limits::default()).contains("the limit"), "{name}");
    }
}

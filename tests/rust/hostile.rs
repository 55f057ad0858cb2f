//! Files that are wrong: each fault is named with its place, nothing panics, nothing wrong is listed.

mod contradictions;
mod gguf;

#[path = "../fuzz/corpus.rs"]
mod corpus;
#[path = "../fuzz/targets.rs"]
mod targets;

use crate::common::{files, writers};
use files::{assert_well_formed, corpus, open_bytes};
use glassbox::model::{ModelFile, Place, Severity};
use writers::{Gguf, Message, Value, onnx_model, onnx_node, onnx_tensor, safetensors, small_onnx, small_safetensors};

/// What must come of a broken file.
enum Verdict {
    /// It opens without a warning.
    Clean,
    /// It opens; a note of this severity with a place contains these words.
    Note(Severity, &'static str),
    /// It does not open; the fault has a place and contains these words.
    Refused(&'static str),
}
use Verdict::{Clean, Note, Refused};

fn judge(name: &str, file: &str, bytes: &[u8], verdict: &Verdict) -> Option<ModelFile> {
    match (open_bytes(file, bytes), verdict) {
        (Ok(model), Clean) => {
            assert_well_formed(&model);
            let worst = model.notes.first().map(|n| n.severity);
            assert!(worst < Some(Severity::Warning), "{name}: {:?}", model.notes);
            Some(model)
        }
        (Ok(model), Note(severity, words)) => {
            assert_well_formed(&model);
            let found = model.notes.iter().any(|n| n.severity == *severity && n.what.contains(words) && n.at.is_some());
            assert!(found, "{name}: {severity:?} \"{words}\" expected, {:#?} found", model.notes);
            Some(model)
        }
        (Err(fault), Refused(words)) => {
            assert!(fault.what.contains(words) && fault.at.is_some(), "{name}: \"{words}\" expected, {fault:?} found");
            None
        }
        (Ok(model), Refused(_)) => panic!("{name}: opened with {:#?}", model.notes),
        (Err(fault), _) => panic!("{name}: {fault}"),
    }
}

/// `Model { 1: 4, 2 { 10 { 1 "out", 2 (a text of 130 bytes), 3 {} } }, 500 {} }` of Core ML.
const CORE_ML_LONG: &[u8] = b"\x08\x04\x12\x8f\x01\x52\x8c\x01\x0a\x03out\x12\x82\x01\
    aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\
    aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\x1a\x00\xa2\x1f\x00";

#[test]
fn every_safetensors_oddity_is_named_and_the_crate_never_accepts_what_we_refuse() {
    use Severity::{Error, Info, Warning};
    let a = r#""a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}"#;
    let cases: &[(&str, String, &[u8], Verdict, bool)] = &[
        ("valid", format!("{{{a}}}"), &[1, 2], Clean, true),
        ("empty header", "{}".into(), &[], Note(Info, "no tensors"), true),
        (
            "duplicate name, other dtype",
            format!(r#"{{{a},"a":{{"dtype":"I8","shape":[2],"data_offsets":[0,2]}}}}"#),
            &[1, 2],
            Note(Error, "names \"a\" more than once"),
            true,
        ),
        (
            "duplicate metadata key",
            format!(r#"{{"__metadata__":{{"x":"1","x":"2"}},{a}}}"#),
            &[1, 2],
            Note(Warning, "__metadata__ names \"x\" more than once"),
            true,
        ),
        (
            "extra entry",
            r#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2],"more":[1]}}"#.into(),
            &[1, 2],
            Note(Warning, "an entry \"more\""),
            true,
        ),
        (
            "null metadata",
            format!(r#"{{"__metadata__":null,{a}}}"#),
            &[1, 2],
            Note(Warning, "__metadata__ is null"),
            true,
        ),
        (
            "metadata not strings",
            format!(r#"{{"__metadata__":{{"x":1}},{a}}}"#),
            &[1, 2],
            Note(Error, "is no string"),
            false,
        ),
        ("leading blanks", format!("  {{{a}}}"), &[1, 2], Note(Warning, "starts with white space"), true),
        ("trailing newline", format!("{{{a}}}\n\t"), &[1, 2], Note(Warning, "other white space"), true),
        ("trailing NUL", format!("{{{a}}}\0"), &[1, 2], Note(Error, "followed by other bytes"), false),
        (
            "hole",
            r#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}"#.into(),
            &[1, 2, 3],
            Note(Error, "Nothing names bytes 0..1"),
            false,
        ),
        (
            "overlap",
            format!(r#"{{{a},"b":{{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}}}"#),
            &[1, 2, 3],
            Note(Error, "overlaps what ends at 2"),
            false,
        ),
        ("trailing byte", format!("{{{a}}}"), &[1, 2, 3], Note(Error, "1 bytes follow the last tensor"), false),
        ("too short", format!("{{{a}}}"), &[1], Note(Error, "missing or incomplete, the first is \"a\""), false),
        (
            "size mismatch",
            r#"{"a":{"dtype":"U16","shape":[2],"data_offsets":[0,2]}}"#.into(),
            &[1, 2],
            Note(Error, "takes 4 bytes, its offsets span 2"),
            false,
        ),
        (
            "end before begin",
            r#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[2,0]}}"#.into(),
            &[1, 2],
            Note(Error, "ends at 0, before it begins at 2"),
            false,
        ),
        (
            "part of a byte",
            r#"{"a":{"dtype":"F4","shape":[3],"data_offsets":[0,1]}}"#.into(),
            &[1],
            Note(Error, "does not fill whole bytes"),
            false,
        ),
        (
            "unknown dtype",
            r#"{"a":{"dtype":"Q9","shape":[2],"data_offsets":[0,2]}}"#.into(),
            &[1, 2],
            Note(Error, "dtype \"Q9\""),
            false,
        ),
        (
            "empty tensor inside another",
            format!(r#"{{{a},"e":{{"dtype":"U8","shape":[0],"data_offsets":[1,1]}}}}"#),
            &[1, 2],
            Note(Error, "overlaps"),
            false,
        ),
        (
            "shape overflow",
            r#"{"a":{"dtype":"U8","shape":[4294967296,4294967296,2],"data_offsets":[0,2]}}"#.into(),
            &[1, 2],
            Note(Error, "more elements than 64 bits"),
            false,
        ),
        (
            "zero after overflow",
            r#"{"a":{"dtype":"U8","shape":[4294967296,4294967296,0],"data_offsets":[0,0]}}"#.into(),
            &[],
            Clean,
            false,
        ),
        ("misaligned", r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}  "#.into(), &[0; 4], Clean, true),
        (
            "unnamed",
            r#"{"":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}"#.into(),
            &[1, 2],
            Note(Info, "no name"),
            true,
        ),
        (
            "negative shape",
            r#"{"a":{"dtype":"U8","shape":[-2],"data_offsets":[0,2]}}"#.into(),
            &[1, 2],
            Note(Error, "a whole number"),
            false,
        ),
        (
            "no dtype",
            r#"{"a":{"shape":[2],"data_offsets":[0,2]}}"#.into(),
            &[1, 2],
            Note(Error, "states no dtype"),
            false,
        ),
        (
            "three offsets",
            r#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2,3]}}"#.into(),
            &[1, 2],
            Note(Error, "at most 2 numbers"),
            false,
        ),
        ("not an object", r#"{"a":5}"#.into(), &[], Note(Error, "'{' expected, '5' found"), false),
        (
            "deep",
            format!(r#"{{"__metadata__":{}"#, "[".repeat(500)),
            &[],
            Note(Error, "nested more than 64 deep"),
            false,
        ),
        ("an array", "[1,2,3]".into(), &[], Refused("'{' expected"), false),
    ];
    for (name, header, data, verdict, crate_accepts) in cases {
        let bytes = safetensors(header, data);
        judge(name, "x.safetensors", &bytes, verdict);
        let theirs = ::safetensors::SafeTensors::deserialize(&bytes).is_ok();
        assert_eq!(theirs, *crate_accepts, "{name}: the crate's verdict");
    }
    let huge = [&(100_000_001u64).to_le_bytes()[..], b"{\"a\":{}}"].concat();
    judge("header too long", "x.safetensors", &huge, &Refused("the limit is 100000000"));
}

#[test]
fn every_onnx_fault_is_named() {
    use Severity::Error;
    let graph = |m: Message| onnx_model(&m).0;
    let cases: Vec<(&str, Vec<u8>, Verdict)> = vec![
        (
            "raw too short",
            graph(Message::new().message(5, &onnx_tensor("w", 1, &[2], &[0; 4]))),
            Note(Error, "takes 8 bytes, it holds 4"),
        ),
        (
            "negative dimension",
            graph(Message::new().message(5, &onnx_tensor("w", 1, &[u64::MAX], &[]))),
            Note(Error, "negative dimension"),
        ),
        (
            "too many elements",
            graph(Message::new().message(5, &onnx_tensor("w", 1, &[1 << 40, 1 << 40], &[]))),
            Note(Error, "more elements"),
        ),
        (
            "unknown type",
            graph(Message::new().message(5, &onnx_tensor("w", 99, &[1], &[0]))),
            Note(Error, "data type 99"),
        ),
        (
            "no values",
            graph(Message::new().message(5, &Message::new().int(1, 2).int(2, 1).bytes(8, "w"))),
            Note(Error, "holds no values"),
        ),
        (
            "two kinds of values",
            graph(Message::new().message(5, &onnx_tensor("w", 1, &[1], &[0; 4]).bytes(4, [0; 4]))),
            Note(Error, "more than one way"),
        ),
        (
            "two initializers of one name",
            graph(
                Message::new()
                    .message(5, &onnx_tensor("w", 2, &[1], &[0]))
                    .message(5, &onnx_tensor("w", 2, &[1], &[0])),
            ),
            Note(Error, "More than one initializer"),
        ),
        ("nested length too long", graph(Message::new().bytes(1, [0x0a, 0x50, b'x'])), Note(Error, "beyond its end")),
        ("wire type 7", graph(Message::new().bytes(1, [0x0f])), Note(Error, "wire type from 0 to 5 expected, 7 found")),
        ("field number 0", graph(Message::new().bytes(1, [0x02, 0x00])), Note(Error, "field number")),
        ("varint of 11 bytes", graph(Message::new().bytes(1, [0xff; 11])), Note(Error, "at most 10 bytes")),
        ("group never closed", graph(Message::new().bytes(1, [0x0b])), Note(Error, "could not be read to its end")),
        ("group closed that is not open", graph(Message::new().bytes(1, [0x0c])), Note(Error, "none is open")),
        (
            "no graph",
            Message::new().int(1, 8).bytes(2, "p").message(8, &Message::new().int(2, 17)).0,
            Note(Error, "no graph"),
        ),
        (
            "no operator set",
            Message::new().int(1, 8).message(7, &Message::new().message(1, &onnx_node("A", &[], &[]))).0,
            Note(Error, "no operator set"),
        ),
        (
            "external without place",
            graph(Message::new().message(5, &Message::new().int(1, 1).int(2, 1).bytes(8, "w").int(14, 1))),
            Note(Error, "does not name"),
        ),
        ("no onnx", b"\x01\x02\x03\x04\x05\x06".to_vec(), Refused("")),
    ];
    for (name, bytes, verdict) in &cases {
        judge(name, "x.onnx", bytes, verdict);
    }
    // 200,000 groups and 5,000 graphs within graphs: neither the stack nor the limit breaks.
    let groups = graph(Message([&[0x12, 1, b'g'][..], &[0x0b; 200_000]].concat()));
    judge("deep groups", "x.onnx", &groups, &Note(Error, "nested more than 100 deep"));
    let mut inner = Message::new().bytes(2, "g");
    for _ in 0..2000 {
        let attribute = Message::new().message(6, &inner);
        inner = Message::new().message(1, &Message::new().message(5, &attribute));
    }
    judge("deep graphs", "x.onnx", &graph(inner), &Note(Error, "nested more than 100 deep"));
}

#[test]
fn a_closed_group_is_passed_over() {
    let mut node = onnx_node("Relu", &["x"], &["y"]);
    // Group 126 with a varint and an empty group 2 in it.
    node.0.extend([0xf3, 0x07, 0x08, 0x01, 0x13, 0x14, 0xf4, 0x07]);
    let bytes = onnx_model(&Message::new().message(1, &node).message(1, &onnx_node("Neg", &["y"], &["z"]))).0;
    let model = judge("closed group", "x.onnx", &bytes, &Clean).expect("opens");
    assert_eq!(model.graph.map(|g| g.nodes.len()), Some(2));
}

/// Every prefix of a valid file is told to be one, and lists nothing that the whole file does not hold.
fn truncations(name: &str, bytes: &[u8]) {
    let whole = open_bytes(name, bytes).expect("the whole file opens");
    for end in 0..bytes.len() {
        let Ok(part) = open_bytes(name, &bytes[..end]) else { continue };
        assert_well_formed(&part);
        let told = part.notes.iter().any(|n| !whole.notes.contains(n));
        assert!(told, "{name} cut at {end} of {}: nothing noted", bytes.len());
        assert!(part.tensors.len() <= whole.tensors.len());
        for (a, b) in part.tensors.iter().zip(&whole.tensors) {
            // A constant is named after its node's output, which may be cut off.
            assert!(a.name == b.name || a.name.is_empty(), "cut at {end}");
            assert_eq!((&a.shape, a.encoding), (&b.shape, b.encoding), "{name} cut at {end}");
            if let Place::Here { .. } = a.place {
                assert_eq!(a.place, b.place, "{name} cut at {end}");
            }
        }
        for ((ka, va), (kb, vb)) in part.metadata.iter().zip(whole.metadata.iter()) {
            assert_eq!((ka, va), (kb, vb), "{name} cut at {end}");
        }
    }
}

#[test]
fn every_truncation_of_a_gguf_file_is_told() {
    truncations("x.gguf", &Gguf::small().bytes());
    truncations("x.gguf", &writers::Plain::file(1, true));
    let mut vocabulary = Gguf::small();
    vocabulary.tensors.clear();
    truncations("x.gguf", &vocabulary.bytes());
}

#[test]
fn every_truncation_of_a_safetensors_file_is_told() {
    truncations("x.safetensors", &small_safetensors());
}

#[test]
fn every_truncation_of_an_onnx_file_is_told() {
    truncations("x.onnx", &small_onnx());
}

#[test]
fn every_hostile_file_of_the_corpus_is_refused_or_noted_with_its_place() {
    let Some(corpus) = corpus() else { return };
    for (name, words) in
        [("corrupted.onnx", "text, not a model"), ("lfs-pointer.gguf", "a Git LFS pointer, not the model itself")]
    {
        let bytes = std::fs::read(corpus.join("hostile").join(name)).expect(name);
        judge(name, name, &bytes, &Refused(words));
    }
    let bytes = std::fs::read(corpus.join("hostile/duplicate_keys_in_header.safetensors")).expect("reads");
    judge("duplicates", "x.safetensors", &bytes, &Note(Severity::Error, "names \"key01\" more than once"));
}

#[test]
fn files_of_other_formats_are_named_politely() {
    for (bytes, words) in [
        (&b"<!DOCTYPE html><html>"[..], "a saved web page"),
        (b"\xef\xbb\xbf\n  <!doctype HTML>\n<head>", "a saved web page"),
        (b"<?xml version=\"1.0\"?>\n<html xmlns=\"http://www.w3.org/1999/xhtml\">", "a saved web page"),
        (b"{\"error\":\"Invalid credentials\"}", "server's error message"),
        (b"{\n  \"message\" : \"Not Found\"\n}", "server's error message"),
        (b"Entry not found", "server's error message"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "git lfs pull"),
        (b"\x1c\0\0\0ORTM\0\0\0\0", "an ONNX Runtime model (.ort) (ONNX Runtime runs it; the .onnx file"),
        (b"\x1c\0\0\0ODTC\0\0\0\0", "an ONNX Runtime training checkpoint"),
        (b"\x1c\0\0\0ET12\0\0\0\0", "an ExecuTorch program (ExecuTorch runs it on phones"),
        (b"\x1c\0\0\0PTMF\0\0\0\0", "a PyTorch Mobile model"),
        (b"\x1c\0\0\0CIR0\0\0\0\0", "a Circle model"),
        (b"\x1c\0\0\0MSL2\0\0\0\0", "a MindSpore Lite model"),
        (b"qsgg\x02\0\0\0", "a llama.cpp state file"),
        (b"PYTORCH1\0\0", "a container of the PyTorch 1.0 preview"),
        (b"\xfd7zXZ\0\0", "xz-compressed (unpack it first)"),
        (b"\x28\xb5\x2f\xfd\0", "zstd-compressed"),
        (b"BZh91AY", "bzip2-compressed"),
        (b"7z\xbc\xaf\x27\x1c\0\x04", "a 7z archive"),
        (b"Rar!\x1a\x07\x01\0", "a RAR archive"),
        (b"%PDF-1.7", "a PDF document"),
        (b"LITERTLM\x01\0\0\0", "a LiteRT-LM container"),
        (b"ptrt\x01\0\0\0", "a TensorRT engine"),
        (
            b"<?xml version=\"1.0\"?>\n<net name=\"m\" version=\"11\">",
            "an OpenVINO model description (IR) (OpenVINO runs it together with the .bin",
        ),
        (b"nsgg\x09\0\0\0", "a llama.cpp session file"),
        (b"qsgg\x02\0\0\0", "a llama.cpp state file"),
        (b"\x0d\xc0\x01\0\0\x12\x03GPL", "a network of Leela Chess Zero"),
        // The same, packed by Python's gzip.
        (
            b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff\xe3\x3d\xc0\xc8\xc0\x20\xc4\xec\x1e\xe0\x03\x00\xb6\x40\x88\xda\x0a\x00\x00\x00",
            "in it: a network of Leela Chess Zero",
        ),
        // Version 1 begins as a SavedModel does; a description of more than 127 bytes has a longer length.
        (b"\x08\x01\x12\x0f\x0a\x0d\x0a\x05image\x1a\x04\x22\x02\x08\x01\xa2\x1f\x00", "a Core ML model"),
        (CORE_ML_LONG, "a Core ML model"),
        (b"\x08\x04\x12\x20\x0a\x0a", "a Core ML model (Xcode and coremltools open it"),
        (b"\0\x7d\0\0\x05\0\0\0 \xe2\x81\x87 \0\0\0\0\0\0\0\0", "probably a ggml vocabulary"),
        (b"\x1f\x8b\x08\0", "gzip-compressed"),
        (b"", "empty"),
        (b"\x80\x04\x95\x05\0", "the beginning of a Python pickle"),
        (b"\0\0\0\0\0\0\0\0", "nothing but zeros"),
        (b"\x01\xff\0\0\0\0\0\0", "no known format (it starts with 01 ff 00 00 00 00 00 00)"),
    ] {
        judge(words, "model.gguf", bytes, &Refused(words));
    }
}

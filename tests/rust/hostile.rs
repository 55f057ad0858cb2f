//! Files that are wrong: each fault is named with its place, nothing panics, nothing wrong is listed.

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

/// llama.cpp's malformed kinds (tests/test-gguf.cpp), rebuilt.
#[test]
#[allow(clippy::too_many_lines, reason = "one table")]
fn every_malformed_gguf_kind_of_llama_cpp_is_named() {
    use Severity::{Error, Info, Warning};
    type Break = fn(&mut Gguf);
    let kinds: &[(&str, Break, Verdict)] = &[
        ("header bad magic", |f| f.magic = *b"GGUX", Refused("no known format")),
        ("header bad version 0", |f| f.version = 0, Refused("GGUF version 0")),
        ("header bad version 1", |f| f.version = 1, Note(Warning, "version 1")),
        ("header bad version future", |f| f.version = 4, Refused("GGUF version 4; Glassbox knows 1 to 3")),
        (
            "header bad n_tensors",
            |f| f.tensor_count = Some(u64::MAX),
            Note(Error, "18446744073709551615 tensors announced"),
        ),
        ("header bad n_kv", |f| f.entry_count = Some(u64::MAX), Refused("metadata entries announced; the limit is")),
        ("header n_kv too many by one", |f| f.entry_count = Some(6), Note(Error, "could not be read to its end")),
        ("header empty", |f| (f.entries.clear(), f.tensors.clear()).0, Clean),
        ("kv bad key size", |f| f.set("x", Value(4, vec![])), Note(Error, "could not be read to its end")),
        ("kv empty key", |f| f.set("", Value::u32(1)), Note(Error, "key is empty")),
        (
            "kv bad type",
            |f| f.set("k", Value(13, vec![0; 4])),
            Note(Error, "value type 13 of \"k\"; GGUF defines 0 to 12"),
        ),
        ("kv bad array type", |f| f.set("k", Value::array(14, &[])), Note(Error, "array item type 14")),
        (
            "kv duplicate key",
            |f| f.set("general.name", Value::text("b")),
            Note(Error, "\"general.name\" appears more than once"),
        ),
        ("kv bad alignment", |f| f.set("general.alignment", Value::u32(13)), Note(Error, "general.alignment is 13")),
        ("kv zero alignment", |f| f.set("general.alignment", Value::u32(0)), Note(Error, "general.alignment is 0")),
        ("kv huge alignment", |f| f.set("general.alignment", Value::u32(1 << 31)), Note(Error, "a power of two up to")),
        (
            "kv alignment of wrong type",
            |f| f.set("general.alignment", Value(10, 32u64.to_le_bytes().to_vec())),
            Note(Error, "general.alignment is of type u64"),
        ),
        ("kv odd boolean", |f| f.set("b", Value(7, vec![2])), Note(Info, "stored as 2")),
        ("kv text not utf-8", |f| f.set("t", Value(8, writers::string(b"\xff\xfe"))), Note(Warning, "is not UTF-8")),
        ("kv success", |f| f.tensors.clear(), Clean),
        ("tensors bad name size", |f| f.tensors[0].name = "n".repeat(64), Note(Warning, "has 64 bytes")),
        ("tensors no name", |f| f.tensors[0].name.clear(), Note(Warning, "has no name")),
        ("tensors bad n_dims", |f| f.tensors[0].dims = vec![3, 2, 1, 1, 1], Note(Warning, "has 5 dimensions")),
        ("tensors absurd n_dims", |f| f.tensors[0].dims = vec![1; 65], Note(Error, "65 dimensions of \"a\"")),
        ("tensors bad shape", |f| f.tensors[0].dims = vec![u64::MAX], Note(Error, "more elements than 63 bits")),
        ("tensors zero dim", |f| (f.tensors[0].dims = vec![0, 2], f.tensors[0].data.clear()).0, Note(Info, "is empty")),
        (
            "tensors ne too big",
            |f| f.tensors[0].dims = vec![1 << 40, 1 << 40],
            Note(Error, "more elements than 63 bits"),
        ),
        (
            "tensors nbytes too big",
            |f| f.tensors[0].dims = vec![1 << 31, 1 << 31],
            Note(Error, "more bytes than 64 bits"),
        ),
        ("tensors bad type", |f| f.tensors[0].kind = 9999, Note(Warning, "ggml type 9999")),
        ("tensors removed type", |f| f.tensors[0].kind = 4, Note(Warning, "ggml type 4 (Q4_2, removed)")),
        ("tensors rows not whole blocks", |f| f.tensors[1].dims = vec![31, 2], Note(Error, "no multiple of Q8_0's 32")),
        ("tensors bad offset", |f| f.tensors[1].offset = Some(64), Note(Warning, "64 of the data, 32 expected")),
        ("tensors offset beyond 64 bits", |f| f.tensors[2].offset = Some(u64::MAX - 31), Note(Error, "beyond 64 bits")),
        (
            "tensors duplicate name",
            |f| f.tensors[1].name = "a".into(),
            Note(Error, "More than one tensor is named \"a\""),
        ),
        ("tensors bad alignment", |f| f.tensors[1].offset = Some(33), Note(Warning, "no multiple of 32")),
        (
            "tensors inconsistent alignment",
            |f| f.set("general.alignment", Value::u32(64)),
            Note(Warning, "starts at 32, no multiple of 64"),
        ),
        ("tensors success", |_| {}, Clean),
        (
            "tensors custom alignment",
            |f| {
                f.alignment = 64;
                f.set("general.alignment", Value::u32(64));
            },
            Clean,
        ),
        ("data overlap", |f| f.tensors[1].offset = Some(0), Note(Error, "overlaps")),
        (
            "data beyond the end",
            |f| f.tensors[2].offset = Some(1 << 20),
            Note(Error, "missing or incomplete, the first is \"c\""),
        ),
        ("data mem size overflow", |f| f.tensors[2].dims = vec![(1 << 62) - 64], Note(Error, "the first is \"c\"")),
    ];
    for (name, harm, verdict) in kinds {
        let mut file = Gguf::small();
        harm(&mut file);
        judge(name, "x.gguf", &file.bytes(), verdict);
    }
    let mut short = Gguf::small().bytes();
    short.truncate(short.len() - 40);
    let model = judge("data not enough", "x.gguf", &short, &Note(Error, "the first is \"c\"")).expect("opens");
    assert!(
        matches!(model.tensors[2].place, Place::Missing { .. }) && matches!(model.tensors[1].place, Place::Here { .. })
    );
    let mut long = Gguf::small().bytes();
    long.extend([0; 100]);
    judge("data trailing", "x.gguf", &long, &Note(Warning, "bytes follow the last tensor"));
    let mut length = Gguf::small().bytes();
    length[24..32].copy_from_slice(&u64::MAX.to_le_bytes());
    judge(
        "key of 2^64 bytes",
        "x.gguf",
        &length,
        &Note(Error, "a metadata key of 18446744073709551615 bytes expected"),
    );
}

#[test]
fn arrays_that_promise_too_much_or_nest_too_deep_are_stopped() {
    let mut file = Gguf::small();
    let mut lie = 8u32.to_le_bytes().to_vec();
    lie.extend((1u64 << 61).to_le_bytes());
    file.set("lie", Value(9, lie));
    let model =
        judge("array length", "x.gguf", &file.bytes(), &Note(Severity::Error, "items announced")).expect("opens");
    assert_eq!((model.metadata.len(), model.tensors.len()), (5, 0));

    let mut file = Gguf::small();
    let mut deep = Value::array(0, &[vec![1]]).1;
    for _ in 0..10_000 {
        deep = [&9u32.to_le_bytes()[..], &1u64.to_le_bytes(), &deep].concat();
    }
    file.set("deep", Value(9, deep));
    judge("array depth", "x.gguf", &file.bytes(), &Note(Severity::Error, "nested more than 8 deep"));
}

#[test]
fn a_tensor_of_unknown_type_ends_where_the_next_begins() {
    let mut file = Gguf::small();
    file.tensors[0].kind = 200;
    let model = open_bytes("x.gguf", &file.bytes()).expect("opens");
    let (Place::Here { at: a, .. }, Place::Here { at: b, .. }) = (&model.tensors[0].place, &model.tensors[1].place)
    else {
        panic!("placed")
    };
    assert_eq!((a.end, model.tensors[0].bytes), (b.start, None));
}

#[test]
fn a_fault_in_each_of_many_tensors_is_told_in_a_few_notes() {
    let mut file = Gguf::small();
    let one = file.tensors[0].clone();
    file.tensors = (0..500)
        .map(|i| {
            let mut t = one.clone();
            t.name = format!("t{i}");
            t.kind = 300;
            t
        })
        .collect();
    let model = open_bytes("x.gguf", &file.bytes()).expect("opens");
    assert!(model.notes.len() < 40, "{}", model.notes.len());
    assert!(model.notes.iter().any(|n| n.what.contains("492 more of this kind: types")), "{:#?}", model.notes);
}

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

/// A message that states an expectation and what was found: the two must not say the same.
fn contradiction(text: &str) -> Option<String> {
    let number = |word: &str| word.trim_matches(|c: char| !c.is_ascii_digit() && c != '-').parse::<f64>().ok();
    let words: Vec<&str> = text.split_whitespace().collect();
    for (i, word) in words.iter().enumerate() {
        if !word.starts_with("expected") {
            continue;
        }
        let before = &words[..i];
        // Up to the end of the clause, whose last word says what the number is.
        let after: Vec<&str> = words[i + 1..].iter().copied().take(6).collect();
        let end = after
            .iter()
            .position(|w| ["found", "announced", "given", "left", "are", "there"].contains(&w.trim_matches(',')));
        let Some(found) = end.and_then(|end| after[..end].iter().find_map(|w| number(w))) else { continue };
        let tail = |n: usize| before.iter().rev().take(n).copied().collect::<Vec<_>>();
        let says = |phrase: &[&str]| before.windows(phrase.len()).rev().take(12).any(|w| w == phrase);
        let last = tail(12).iter().find_map(|w| number(w));
        let wrong = match last {
            Some(limit) if says(&["at", "most"]) => found <= limit,
            Some(limit) if says(&["at", "least"]) => found >= limit,
            Some(limit) if says(&["below"]) => found < limit,
            Some(high) if before.windows(2).rev().take(6).any(|w| w[0] == "to" && number(w[1]) == Some(high)) => {
                let low = before.windows(3).rev().find_map(|w| (w[1] == "to").then(|| number(w[0])).flatten());
                low.is_some_and(|low| (low..=high).contains(&found))
            }
            Some(exact)
                if number(tail(1).first().unwrap_or(&"")) == Some(exact) || says(&["bytes"]) && tail(2).len() == 2 =>
            {
                !says(&["of"]) && found == exact
            }
            _ => says(&["above", "zero"]) && found > 0.0,
        };
        if wrong {
            return Some(text.to_owned());
        }
    }
    None
}

#[test]
fn the_check_for_contradictions_knows_one() {
    for wrong in [
        "llama.block_count: a whole number above zero expected, 2147483648 found",
        "a name of at most 64 bytes expected, 64 announced",
        "a number from 1 to 4 expected, 3 found",
        "8 bytes expected, 8 left in the file",
    ] {
        assert!(contradiction(wrong).is_some(), "{wrong}");
    }
    for right in [
        "a name of at most 64 bytes expected, 65 announced",
        "a number from 1 to 4 expected, 7 found",
        "8 bytes expected, 7 left in the file",
        "a string expected, ',' found",
        "a number above zero expected, -1 found",
    ] {
        assert!(contradiction(right).is_none(), "{right}");
    }
}

/// Every sentence about the corpus' hostile files, the inputs that the fuzzer found, and each of them with a byte changed.
#[test]
fn what_is_expected_and_what_is_found_never_contradict() {
    let mut inputs: Vec<(String, Vec<u8>)> = Vec::new();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus");
    for entry in std::fs::read_dir(root).expect("the corpus of the fuzzer is in the repository").flatten() {
        let target = entry.path().file_stem().expect("a name").to_string_lossy().into_owned();
        inputs.extend(corpus::load(&target).into_iter().map(|bytes| (format!("fuzz.{target}"), bytes)));
    }
    if let Some(corpus) = corpus() {
        let mut folders = vec![corpus.join("hostile")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("readable").flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else if entry.metadata().is_ok_and(|m| m.len() < 1 << 20) {
                    let name = path.file_name().expect("a name").to_string_lossy().into_owned();
                    inputs.push((name, std::fs::read(&path).expect("readable")));
                }
            }
        }
    }
    let (mut said, mut wrong) = (0, std::collections::BTreeSet::new());
    for (name, bytes) in &inputs {
        for changed in 0..8usize {
            let mut bytes = bytes.clone();
            if changed > 0 && !bytes.is_empty() {
                let at = (changed * 7919) % bytes.len();
                bytes[at] = bytes[at].wrapping_add(1 << (changed % 8));
            }
            let texts: Vec<String> = match open_bytes(name, &bytes) {
                Ok(model) => model.notes.into_iter().map(|n| n.what).collect(),
                Err(fault) => vec![fault.to_string()],
            };
            said += texts.len();
            wrong.extend(texts.iter().filter_map(|text| contradiction(text)));
        }
    }
    assert!(said > 1000, "only {said} sentences");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

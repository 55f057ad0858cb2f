//! Malformed GGUF files, of the kinds that llama.cpp tests and others.

use super::*;

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

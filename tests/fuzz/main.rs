//! A bounded fuzz run of every reader: valid files, mutated with knowledge of their structure, and random bytes.
//!
//! `GLASSBOX_FUZZ_CASES=1000000 cargo test --test fuzz` runs longer. A failing case is printed by proptest in its
//! smallest form.

#[path = "../rust/common/files.rs"]
mod files;
mod targets;
#[path = "../rust/common/writers.rs"]
mod writers;

use proptest::{prelude::*, sample::Index, test_runner::TestRunner};

/// One change to a file.
#[derive(Debug, Clone)]
enum Change {
    Byte(Index, u8),
    /// Overwrites 1, 2, 4 or 8 bytes by a number that readers stumble over.
    Number(Index, usize, u64),
    Cut(Index),
    Remove(Index, usize),
    Repeat(Index, usize),
    Insert(Index, Vec<u8>),
    /// Copies bytes from one place over another.
    Copy(Index, Index, usize),
}

fn change() -> impl Strategy<Value = Change> {
    let number = prop_oneof![
        Just(0u64),
        Just(1),
        Just(2),
        Just(3),
        Just(8),
        Just(9),
        Just(0x7f),
        Just(0xff),
        Just(0x7fff_ffff),
        Just(0xffff_ffff),
        Just(1 << 32),
        Just(u64::MAX),
        Just(u64::MAX - 7),
        Just(1 << 63),
        Just((1 << 63) - 1),
        0u64..5000,
        any::<u64>()
    ];
    let at = any::<Index>;
    prop_oneof![
        3 => (at(), any::<u8>()).prop_map(|(i, b)| Change::Byte(i, b)),
        4 => (at(), prop_oneof![Just(1usize), Just(2), Just(4), Just(8)], number).prop_map(|(i, w, n)| Change::Number(i, w, n)),
        1 => at().prop_map(Change::Cut),
        1 => (at(), 1usize..40).prop_map(|(i, n)| Change::Remove(i, n)),
        1 => (at(), 1usize..40).prop_map(|(i, n)| Change::Repeat(i, n)),
        1 => (at(), prop::collection::vec(any::<u8>(), 1..12)).prop_map(|(i, b)| Change::Insert(i, b)),
        1 => (at(), at(), 1usize..24).prop_map(|(i, j, n)| Change::Copy(i, j, n)),
    ]
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    let len = bytes.len();
    if len == 0 {
        return;
    }
    match change {
        Change::Byte(i, b) => bytes[i.index(len)] = *b,
        Change::Number(i, width, n) => {
            let at = i.index(len);
            for (to, from) in bytes[at..].iter_mut().zip(&n.to_le_bytes()[..*width]) {
                *to = *from;
            }
        }
        Change::Cut(i) => bytes.truncate(i.index(len)),
        Change::Remove(i, n) => {
            let at = i.index(len);
            bytes.drain(at..(at + n).min(len));
        }
        Change::Repeat(i, n) => {
            let at = i.index(len);
            let piece = bytes[at..(at + n).min(len)].to_vec();
            bytes.splice(at..at, piece);
        }
        Change::Insert(i, piece) => {
            let at = i.index(len);
            bytes.splice(at..at, piece.iter().copied());
        }
        Change::Copy(i, j, n) => {
            let (from, to) = (i.index(len), j.index(len));
            let piece = bytes[from..(from + n).min(len)].to_vec();
            for (to, from) in bytes[to..].iter_mut().zip(piece) {
                *to = from;
            }
        }
    }
}

/// Runs a target on mutated seeds and on random bytes behind a start that gets it recognised.
fn run(target: fn(&[u8]), seeds: Vec<Vec<u8>>, start: &'static [u8]) {
    for seed in &seeds {
        target(seed);
    }
    let cases = std::env::var("GLASSBOX_FUZZ_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(3000);
    let mutated =
        (prop::sample::select(seeds), prop::collection::vec(change(), 1..6)).prop_map(|(mut bytes, changes)| {
            changes.iter().for_each(|c| apply(&mut bytes, c));
            bytes
        });
    let random = prop::collection::vec(any::<u8>(), 0..300).prop_map(move |tail| [start, &tail].concat());
    let input = prop_oneof![9 => mutated, 1 => random];
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    TestRunner::new(config)
        .run(&input, |bytes| {
            target(&bytes);
            Ok(())
        })
        .unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn the_gguf_reader_survives() {
    let mut types = writers::Gguf::small();
    for (key, value) in writers::Value::one_of_each() {
        types.set(key, value);
    }
    types.set("general.alignment", writers::Value::u32(32));
    let seeds = vec![
        writers::Gguf::small().bytes(),
        types.bytes(),
        writers::Plain::file(1, false),
        writers::Plain::file(2, true),
        writers::Plain::file(3, true),
    ];
    run(targets::gguf, seeds, b"GGUF\x03\0\0\0");
}

#[test]
fn the_safetensors_reader_survives() {
    let zoo = writers::safetensors(
        r#"{"a":{"dtype":"F8_E4M3","shape":[2,2],"data_offsets":[0,4]},"b\u00e9":{"dtype":"F4","shape":[4],"data_offsets":[4,6]},"e":{"dtype":"F64","shape":[0,9],"data_offsets":[6,6]}}  "#,
        &[1; 6],
    );
    run(targets::safetensors, vec![writers::small_safetensors(), zoo], b"\x20\0\0\0\0\0\0\0{\"");
}

#[test]
fn the_onnx_reader_survives() {
    let external = {
        use writers::{Message, onnx_model};
        let entry = Message::new().bytes(1, "location").bytes(2, "x.bin");
        let t = Message::new().int(1, 4).int(2, 1).bytes(8, "w").message(13, &entry).int(14, 1);
        let sparse = Message::new().message(1, &t).message(2, &t).int(3, 4);
        onnx_model(&Message::new().message(5, &t).message(15, &sparse)).0
    };
    run(targets::onnx, vec![writers::small_onnx(), external], b"\x08\x08\x12\x01x\x3a");
}

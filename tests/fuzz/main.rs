//! A bounded fuzz run of every reader: valid files, mutated with knowledge of their structure, and random bytes.
//!
//! `GLASSBOX_FUZZ_CASES=1000000 cargo test --release --test fuzz` runs longer; with `GLASSBOX_FUZZ_KEEP=1` it also
//! replaces the committed inputs in `corpus/` by what it found. A failing case is printed by proptest in its smallest
//! form.

#[path = "../rust/common/mod.rs"]
mod common;
mod corpus;
mod targets;

use common::{containers, files, writers};
use std::cell::RefCell;

use corpus::Found;
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

/// Cases between two looks at what was found.
const ROUND: u32 = 20_000;

/// Runs a target on its corpus, on mutated inputs and on random bytes behind a start that gets it recognised. An input
/// to which the reader says something new is mutated in its turn.
fn run(name: &str, target: fn(&[u8]) -> Vec<String>, seeds: Vec<Vec<u8>>, start: &'static [u8]) {
    let found = RefCell::new(Found::default());
    let given: Vec<Vec<u8>> = seeds.into_iter().chain(corpus::load(name)).collect();
    for input in &given {
        found.borrow_mut().see(target(input), input);
    }
    let known = found.borrow().len();
    let cases = std::env::var("GLASSBOX_FUZZ_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(3000);
    let mut left: u32 = cases;
    while left > 0 {
        let round = left.min(ROUND);
        left -= round;
        let pool: Vec<Vec<u8>> = given.iter().cloned().chain(found.borrow().inputs()).collect();
        let mutated =
            (prop::sample::select(pool), prop::collection::vec(change(), 1..6)).prop_map(|(mut bytes, changes)| {
                changes.iter().for_each(|c| apply(&mut bytes, c));
                bytes
            });
        let random = prop::collection::vec(any::<u8>(), 0..300).prop_map(move |tail| [start, &tail].concat());
        let input = prop_oneof![9 => mutated, 1 => random];
        let config = ProptestConfig { cases: round, failure_persistence: None, ..ProptestConfig::default() };
        TestRunner::new(config)
            .run(&input, |bytes| {
                let said = target(&bytes);
                found.borrow_mut().see(said, &bytes);
                Ok(())
            })
            .unwrap_or_else(|e| panic!("{e}"));
    }
    println!("{name}: {cases} cases, {} sentences ({known} known before)", found.borrow().len());
    if std::env::var_os("GLASSBOX_FUZZ_KEEP").is_some() {
        corpus::save(name, &found.borrow());
    }
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
    run("gguf", targets::gguf, seeds, b"GGUF\x03\0\0\0");
}

#[test]
fn the_safetensors_reader_survives() {
    let zoo = writers::safetensors(
        r#"{"a":{"dtype":"F8_E4M3","shape":[2,2],"data_offsets":[0,4]},"b\u00e9":{"dtype":"F4","shape":[4],"data_offsets":[4,6]},"e":{"dtype":"F64","shape":[0,9],"data_offsets":[6,6]}}  "#,
        &[1; 6],
    );
    run("safetensors", targets::safetensors, vec![writers::small_safetensors(), zoo], b"\x20\0\0\0\0\0\0\0{\"");
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
    run("onnx", targets::onnx, vec![writers::small_onnx(), external], b"\x08\x08\x12\x01x\x3a");
}

#[test]
fn the_pytorch_reader_survives() {
    use containers::{member, torch_stream, torch_zip, zip};
    // A deflated member is what Python's zlib made of a pickle of one text.
    let mut packed =
        member("m/extra.pkl", [0x6b, 0x60, 0x8a, 0x60, 0x64, 0x60, 0x60, 0x48, 0x2c, 0x64, 0xd0, 0x03, 0x00]);
    packed.method = 8;
    packed.unpacked = Some(11);
    let two = zip(&[member("m/data.pkl", containers::torch_object()), packed], 64);
    // Without their directories: members are found by their own headers.
    let mut cut = torch_zip();
    cut.truncate(cut.len() - 30);
    let mut forward = containers::zip_forward(&containers::torch_members(), 64);
    forward.truncate(forward.len() - 30);
    let seeds = vec![torch_zip(), torch_stream(), two, cut, forward, containers::tar(&containers::torch_tar_members())];
    run("pytorch", targets::pytorch, seeds, b"PK\x03\x04\x14\0\0\0\0\0");
}

#[test]
fn the_pickle_reader_survives() {
    let old = b"(lp0\nI1\naL-5L\naF2.5\naVx\\u00e9\np1\naS'a'\naI01\na(i__main__\nX\np2\n(dp3\nS'k'\nNsba.".to_vec();
    let new = b"\x80\x04\x95\x20\0\0\0\0\0\0\0\x8c\x08builtins\x94\x8c\x04eval\x94\x93\x94\x8c\x011\x94\x85\x94R\x94."
        .to_vec();
    let object = containers::torch_object();
    let two = [new.as_slice(), object.as_slice()].concat();
    run("pickle", targets::pickle, vec![old, new, object, two], b"\x80\x04");
}

#[test]
fn the_numpy_reader_survives() {
    let objects =
        containers::npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n", b"\x80\x02cos\nsystem\n)R.");
    run("numpy", targets::numpy, vec![containers::small_npy(), containers::small_npz(), objects], b"\x93NUMPY\x01\0");
}

#[test]
fn the_ggml_reader_survives() {
    let mut whisper = b"lmgg".to_vec();
    for n in [1u32, 2, 4, 1, 0, 2, 4, 1, 0, 1, 0, 1, 2, 0, 0, 1, 1, 97] {
        whisper.extend(n.to_le_bytes());
    }
    let mut rwkv = b"fmgg".to_vec();
    for n in [101u32, 2, 2, 0, 0, 1, 1, 0, 2] {
        rwkv.extend(n.to_le_bytes());
    }
    rwkv.extend(b"e");
    rwkv.extend([0; 8]);
    let mut vad = b"lmgg\x06\0\0\0silero".to_vec();
    for n in [6u32, 2, 0, 512, 64, 1, 2, 2, 1, 2, 2, 2, 1, 1, 1, 0, 1] {
        vad.extend(n.to_le_bytes());
    }
    vad.extend(b"b\0\0\0\0");
    let seeds = vec![containers::ggjt(1, 2, &[1; 20]), containers::ggjt(3, 2, &[1; 18]), whisper, rwkv, vad];
    run("ggml", targets::ggml, seeds, b"lmgg");
}

#[test]
fn the_imatrix_reader_survives() {
    run("imatrix", targets::imatrix, vec![containers::imatrix()], b"\x01\0\0\0");
}

#[test]
fn the_llama2c_reader_survives() {
    let mut two = b"24ka\x02\0\0\0".to_vec();
    two.extend(containers::llama2c().into_iter().take(28));
    two.extend([1, 4, 0, 0, 0]);
    two.resize(600, 0);
    run("llama2c", targets::llama2c, vec![containers::llama2c(), two], b"24ka\x01\0\0\0");
}

#[test]
fn the_tensorflow_reader_survives() {
    use writers::Message;
    let graph = Message(containers::graph_def());
    let info = Message::new().bytes(4, "serve").bytes(5, "2.15");
    let meta = Message::new().message(1, &info).message(2, &graph).message(5, &Message::new().bytes(1, "sign"));
    let saved = Message::new().int(1, 1).message(2, &meta).0;
    let seeds = vec![
        graph.0,
        saved,
        containers::checkpoint().0,
        containers::checkpoint_packed(),
        containers::checkpoint_v1(false),
        containers::checkpoint_v1(true),
    ];
    run("tensorflow", targets::tensorflow, seeds, b"\x0a\x20\x0a\x01");
}

#[test]
fn the_tflite_reader_survives() {
    run("tflite", targets::tflite, vec![containers::tflite()], b"\x10\0\0\0TFL3");
}

#[test]
fn the_keras_reader_survives() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus/containers");
    let seeds = ["old.h5", "new.h5", "tiny.keras", "dense.h5", "chunks.h5", "chunks_new.h5", "chunked_new.h5"]
        .map(|n| std::fs::read(folder.join(n)).expect("the sample is in the repository"));
    run("keras", targets::keras, seeds.to_vec(), b"\x89HDF\r\n\x1a\n");
}

#[test]
fn the_tokenizer_reader_survives() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus/sentencepiece");
    let read = |name: &str| std::fs::read(folder.join(name)).expect("the sample is in the repository");
    let json = br#"{"version":"1.0","truncation":null,"padding":null,"added_tokens":[{"id":2,"content":"<s>","special":true}],"model":{"type":"BPE","vocab":{"a":0,"b":1},"merges":["a b"]}}"#;
    let ranks: String = (0..9).map(|n| format!("SGVsbG8= {n}\n")).collect();
    let seeds = vec![
        read("word.spm"),
        read("unigram.spm"),
        json.to_vec(),
        ranks.into_bytes(),
        b"[PAD]\n[UNK]\n[CLS]\nhello\n##s\n".to_vec(),
        br#"{"config":{"pattern":"x","default_vocab_size":3},"vocab":[{"rank":0}],"special_tokens":[]}"#.to_vec(),
    ];
    run("tokenizer", targets::tokenizer, seeds, b"\x0a\x0e\x0a\x05<unk>\x15\0\0\0\0\x18\x02");
}

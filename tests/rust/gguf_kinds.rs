//! The 33 kinds of GGUF files with which llama.cpp tests its own reader (`tests/test-gguf.cpp`), made by generators of our
//! own from a seed: each gets the verdict that llama.cpp gives, and its reason in words.

use crate::common::{files, writers};
use files::{assert_well_formed, open_bytes};
use glassbox::{
    check,
    model::{ModelFile, Note, Place, Severity},
    random::Random,
};
use writers::{Gguf, Tensor, Value};

/// Files made of each kind.
const SEEDS: u64 = 24;

/// Numbers and bytes for the made files.
struct Numbers(Random);

impl Numbers {
    fn below(&mut self, n: u64) -> u64 {
        self.0.word() % n
    }
    fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| self.0.word() as u8).collect()
    }
}

/// Type number, elements of a block, bytes of a block: F32, F16, Q4_0, Q8_0, Q4_K, I8, BF16.
const TYPES: &[(u32, u64, u64)] =
    &[(0, 1, 4), (1, 1, 2), (2, 32, 18), (8, 32, 34), (12, 256, 144), (24, 1, 1), (30, 1, 2)];

/// Metadata of every type, and 2 to 9 tensors of 1 to 4 dimensions.
fn valid(random: &mut Numbers) -> Gguf {
    let mut file = Gguf::small();
    file.version = if random.below(4) == 0 { 2 } else { 3 };
    file.entries.clear();
    file.tensors.clear();
    file.set("general.architecture", Value::text("test"));
    for (name, value) in Value::one_of_each() {
        // llama.cpp has no arrays of arrays.
        if name != "nested" && random.below(3) > 0 {
            file.set(&format!("kv.{name}.{}", random.below(1000)), value);
        }
    }
    for i in 0..2 + random.below(8) {
        let (kind, len, size) = TYPES[random.below(TYPES.len() as u64) as usize];
        let mut dims = vec![len * (1 + random.below(3))];
        dims.extend((0..random.below(4)).map(|_| 1 + random.below(4)));
        let bytes = dims.iter().product::<u64>() / len * size;
        let data = random.bytes(bytes as usize);
        file.tensors.push(Tensor { name: format!("tensor.{i}"), dims, kind, offset: None, data });
    }
    file
}

fn aligned(file: &mut Gguf, alignment: u32) {
    file.set("general.alignment", Value::u32(alignment));
}

/// What must come of a file.
enum Verdict {
    /// llama.cpp loads it; so it opens without a warning and holds what was written.
    Loads,
    /// llama.cpp refuses it; it opens, a note with a place has these words, and the reasons name llama.cpp.
    Refused(&'static str),
    /// llama.cpp refuses it, and nothing of it can be shown: a fault with a place has these words.
    Nothing(&'static str),
}
use Verdict::{Loads, Nothing, Refused};

/// llama.cpp's name of a kind, what makes a file one of it, and the verdict.
type Kind = (&'static str, fn(&mut Gguf, &mut Numbers), Verdict);

/// The tensor that is harmed: any but the last, so that others follow it.
fn some<'a>(file: &'a mut Gguf, random: &mut Numbers) -> &'a mut Tensor {
    let n = random.below(file.tensors.len() as u64 - 1) as usize;
    &mut file.tensors[n]
}

/// An F32 tensor of these dimensions in place of another one.
fn of_dims(file: &mut Gguf, random: &mut Numbers, dims: &[u64]) {
    let tensor = some(file, random);
    tensor.kind = 0;
    tensor.dims = dims.to_vec();
}

const KINDS: &[Kind] = &[
    ("HEADER_BAD_MAGIC", |f, _| f.magic = *b"FGGU", Nothing("no known format")),
    ("HEADER_BAD_VERSION_0", |f, _| f.version = 0, Nothing("GGUF version 0")),
    ("HEADER_BAD_VERSION_1", |f, _| f.version = 1, Refused("GGUF version 1")),
    ("HEADER_BAD_VERSION_FUTURE", |f, r| f.version = 4 + r.below(1000) as u32, Nothing("Glassbox knows 1 to 3")),
    ("HEADER_BAD_N_TENSORS", |f, r| f.tensor_count = Some(u64::MAX - r.below(1 << 32)), Refused("tensors announced")),
    (
        "HEADER_BAD_N_KV",
        |f, r| f.entry_count = Some(u64::MAX - r.below(1 << 32)),
        Nothing("metadata entries announced; the limit is"),
    ),
    (
        "HEADER_EMPTY",
        |f, _| {
            f.entries.clear();
            f.tensors.clear();
        },
        Loads,
    ),
    ("KV_BAD_KEY_SIZE", |f, _| f.entries[0].0 = vec![b'k'; 0], Refused("key")),
    (
        "KV_EMPTY_KEY",
        |f, r| {
            let n = r.below(f.entries.len() as u64) as usize;
            f.entries[n].0.clear();
        },
        Refused("A metadata key is empty"),
    ),
    (
        "KV_BAD_TYPE",
        |f, r| {
            let n = r.below(f.entries.len() as u64) as usize;
            f.entries[n].1.0 = 13 + r.below(1000) as u32;
        },
        Refused("GGUF defines 0 to 12"),
    ),
    (
        "KV_DUPLICATE_KEY",
        |f, r| {
            let n = r.below(f.entries.len() as u64) as usize;
            let twice = f.entries[n].clone();
            f.entries.push(twice);
        },
        Refused("appears more than once"),
    ),
    (
        "KV_BAD_ALIGN",
        |f, r| {
            f.tensors.clear();
            aligned(f, [0, 13, 24, 33][r.below(4) as usize]);
        },
        Refused("a power of two up to"),
    ),
    (
        "KV_WRONG_TYPE_ALIGN",
        |f, r| {
            f.set(
                "general.alignment",
                [Value::text("32"), Value(10, 32u64.to_le_bytes().to_vec()), Value(2, vec![32, 0])]
                    [r.below(3) as usize]
                    .clone(),
            )
        },
        Refused("general.alignment is of type"),
    ),
    ("KV_SUCCESS", |f, _| f.tensors.clear(), Loads),
    (
        "TENSORS_BAD_NAME_SIZE",
        |f, r| {
            let n = 64 + r.below(100) as usize;
            some(f, r).name = "n".repeat(n);
        },
        Refused("bytes"),
    ),
    (
        "TENSORS_BAD_N_DIMS",
        |f, r| {
            let n = 5 + r.below(60) as usize;
            some(f, r).dims = vec![1; n];
        },
        Refused("dimensions"),
    ),
    (
        "TENSORS_BAD_SHAPE",
        |f, r| {
            let n = u64::MAX - r.below(1 << 62);
            of_dims(f, r, &[n]);
        },
        Refused("more elements than 63 bits count"),
    ),
    (
        "TENSORS_ZERO_DIM",
        |f, r| {
            let t = some(f, r);
            *t.dims.last_mut().expect("one at least") = 0;
            t.data.clear();
        },
        Loads,
    ),
    (
        "TENSORS_NE_TOO_BIG",
        |f, r| of_dims(f, r, &[1 << 30, 1 << 30, 1 << 30]),
        Refused("more elements than 63 bits count"),
    ),
    ("TENSORS_NBYTES_TOO_BIG", |f, r| of_dims(f, r, &[1 << 31, 1 << 31]), Refused("more bytes than 64 bits count")),
    (
        "TENSORS_BAD_TYPE",
        |f, r| {
            let n = 43 + r.below(57) as u32;
            some(f, r).kind = n;
        },
        Refused("ggml type"),
    ),
    (
        "TENSORS_BAD_OFFSET",
        |f, r| {
            let n = f.tensors.len() - 1;
            f.tensors[n].offset = Some((1 + r.below(1 << 40)) * 32 + (1 << 50));
        },
        Refused("of the data"),
    ),
    (
        "TENSORS_DUPLICATE_NAME",
        |f, _| {
            let name = f.tensors[0].name.clone();
            f.tensors.last_mut().expect("two at least").name = name;
        },
        Refused("More than one tensor is named"),
    ),
    ("TENSORS_BAD_ALIGN", |f, r| aligned(f, [0, 13, 24, 33][r.below(4) as usize]), Refused("a power of two up to")),
    (
        "TENSORS_INCONSISTENT_ALIGN",
        |f, _| {
            one_byte(f);
            aligned(f, 1024);
        },
        Refused("no multiple of 1024"),
    ),
    ("TENSORS_SUCCESS", |_, _| {}, Loads),
    (
        "TENSORS_CUSTOM_ALIGN",
        |f, r| {
            let n = 8 << r.below(8);
            f.alignment = n as usize;
            aligned(f, n);
        },
        Loads,
    ),
    (
        "DATA_NOT_ENOUGH_DATA",
        |f, _| {
            let t = f.tensors.last_mut().expect("two at least");
            t.kind = 0;
            t.dims = vec![4096];
            t.data = vec![1; 64];
        },
        Refused("are missing or incomplete"),
    ),
    ("DATA_BAD_ALIGN", |f, r| aligned(f, [0, 13, 24, 33][r.below(4) as usize]), Refused("a power of two up to")),
    (
        "DATA_INCONSISTENT_ALIGN",
        |f, _| {
            one_byte(f);
            f.alignment = 64;
            aligned(f, 32);
        },
        Refused("expected"),
    ),
    (
        "DATA_MEM_SIZE_OVERFLOW",
        |f, _| {
            sized(f, 0, 1 << 60);
            sized(f, 1, (1 << 60) - 8);
        },
        Refused("bits"),
    ),
    ("DATA_SUCCESS", |_, _| {}, Loads),
    (
        "DATA_CUSTOM_ALIGN",
        |f, r| {
            let n = 64 << r.below(5);
            f.alignment = n as usize;
            aligned(f, n);
        },
        Loads,
    ),
];

/// A first tensor of one byte, so that the second one's place shows the alignment.
fn one_byte(file: &mut Gguf) {
    let first = &mut file.tensors[0];
    (first.kind, first.dims, first.data) = (24, vec![1], vec![7]);
}

/// Tensor number `i` as `n` doubles, which follow the one before without a gap.
fn sized(file: &mut Gguf, i: usize, n: u64) {
    file.tensors.truncate(2);
    let tensor = &mut file.tensors[i];
    (tensor.kind, tensor.dims, tensor.data) = (28, vec![n], vec![1; 64]);
    tensor.offset = Some(i as u64 * (1 << 63));
}

fn refusal(notes: &[Note]) -> Option<String> {
    check::refusals(notes).into_iter().find(|r| r.program.name() == "llama.cpp").map(|r| r.because)
}

fn holds_what_was_written(name: &str, model: &ModelFile, file: &Gguf) {
    assert_eq!(model.metadata.len(), file.entries.len(), "{name}");
    assert_eq!(model.tensors.len(), file.tensors.len(), "{name}");
    let bytes = file.bytes();
    for (entry, tensor) in model.tensors.iter().zip(&file.tensors) {
        let dims: Vec<u64> = tensor.dims.iter().rev().copied().collect();
        assert_eq!(
            (&entry.name, &entry.shape.0, entry.encoding),
            (&tensor.name, &dims, glassbox::tensor::Encoding::from_ggml(tensor.kind)),
            "{name}"
        );
        let Place::Here { at, .. } = &entry.place else { panic!("{name}: {} is not placed", entry.name) };
        assert_eq!(&bytes[at.start as usize..at.end as usize], tensor.data, "{name}: {}", entry.name);
    }
}

#[test]
fn all_33_kinds_get_llama_cpp_s_verdict_with_its_reason() {
    assert_eq!(KINDS.len(), 33);
    for (number, (name, harm, verdict)) in KINDS.iter().enumerate() {
        for seed in 0..SEEDS {
            let told = format!("{name}, seed {seed}");
            let mut random = Numbers(Random(seed << 8 | number as u64));
            let mut file = valid(&mut random);
            harm(&mut file, &mut random);
            let mut bytes = file.bytes();
            if *name == "KV_BAD_KEY_SIZE" {
                // The first key's length, of the order that llama.cpp's test writes.
                bytes[24..32].copy_from_slice(&(u64::MAX - random.below(1 << 32)).to_le_bytes());
            }
            match (open_bytes("x.gguf", &bytes), verdict) {
                (Ok(model), Loads) => {
                    assert_well_formed(&model);
                    let alarms: Vec<_> = model
                        .notes
                        .iter()
                        .filter(|n| n.severity > Severity::Info && !n.what.contains("general.architecture"))
                        .collect();
                    assert!(alarms.is_empty(), "{told}: {alarms:#?}");
                    assert_eq!(refusal(&model.notes), None, "{told}");
                    assert_eq!(check::salvage(&model), None, "{told}");
                    holds_what_was_written(&told, &model, &file);
                }
                (Ok(model), Refused(words)) => {
                    assert_well_formed(&model);
                    let note = model.notes.iter().find(|n| n.severity > Severity::Info && n.what.contains(words));
                    let note = note.unwrap_or_else(|| panic!("{told}: \"{words}\" expected, {:#?} found", model.notes));
                    assert!(note.at.is_some() && note.advice.is_some(), "{told}: {note:?}");
                    assert!(refusal(&model.notes).is_some(), "{told}: nothing names llama.cpp: {:#?}", model.notes);
                }
                (Err(fault), Nothing(words)) => {
                    assert!(
                        fault.what.contains(words) && fault.at.is_some(),
                        "{told}: \"{words}\" expected, {fault:?} found"
                    );
                }
                (Ok(model), Nothing(_)) => panic!("{told}: opened with {:#?}", model.notes),
                (Err(fault), _) => panic!("{told}: {fault}"),
            }
        }
    }
}

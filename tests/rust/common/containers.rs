//! Small writers for the formats beside GGUF, safetensors and ONNX: zip, pickles, PyTorch, NumPy, GGML, llama2.c,
//! TensorFlow, TensorFlow Lite. HDF5 files come from `tests/corpus/make/export_containers.py`.
#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]

use super::writers::Message;

/// A member of a zip archive, stored as it is.
#[derive(Clone)]
pub struct Member {
    pub name: String,
    pub data: Vec<u8>,
    /// The name in its own header, where that shall differ.
    pub local_name: Option<String>,
    pub flags: u16,
    pub method: u16,
    /// Its length unpacked, where it is packed.
    pub unpacked: Option<u32>,
}

pub fn member(name: &str, data: impl AsRef<[u8]>) -> Member {
    Member { name: name.into(), data: data.as_ref().to_vec(), local_name: None, flags: 0, method: 0, unpacked: None }
}

/// A zip archive of stored members; `align` pads each member's bytes as PyTorch does.
pub fn zip(members: &[Member], align: usize) -> Vec<u8> {
    archive(members, align, false)
}

/// The same as PyTorch's own writer makes it: it never goes back, so that sizes stand behind the bytes.
pub fn zip_forward(members: &[Member], align: usize) -> Vec<u8> {
    archive(members, align, true)
}

fn archive(members: &[Member], align: usize, behind: bool) -> Vec<u8> {
    let (mut out, mut central) = (Vec::new(), Vec::new());
    for m in members {
        let header = out.len() as u32;
        let local = m.local_name.as_ref().unwrap_or(&m.name).as_bytes();
        let start = out.len() + 30 + local.len() + 4;
        let pad = start.next_multiple_of(align.max(1)) - start;
        let size = (m.data.len() as u32).to_le_bytes();
        let sizes = [size, m.unpacked.map_or(size, u32::to_le_bytes)].concat();
        let fixed = |out: &mut Vec<u8>, sizes: &[u8]| {
            out.extend([20, 0]);
            out.extend((m.flags | if behind { 0x808 } else { 0 }).to_le_bytes());
            out.extend(m.method.to_le_bytes());
            out.extend([0; 8]);
            out.extend(sizes);
        };
        out.extend(b"PK\x03\x04");
        fixed(&mut out, if behind { &[0; 8] } else { &sizes });
        out.extend((local.len() as u16).to_le_bytes());
        out.extend((pad as u16 + 4).to_le_bytes());
        out.extend(local);
        out.extend(b"FB");
        out.extend((pad as u16).to_le_bytes());
        out.extend(vec![b'Z'; pad]);
        out.extend(&m.data);
        if behind {
            out.extend(b"PK\x07\x08\0\0\0\0");
            out.extend(&sizes);
        }
        central.extend(b"PK\x01\x02\x14\0");
        fixed(&mut central, &sizes);
        central.extend((m.name.len() as u16).to_le_bytes());
        central.extend([0; 12]);
        central.extend(header.to_le_bytes());
        central.extend(m.name.as_bytes());
    }
    let at = out.len() as u32;
    out.extend(&central);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend((members.len() as u16).to_le_bytes());
    out.extend((members.len() as u16).to_le_bytes());
    out.extend((central.len() as u32).to_le_bytes());
    out.extend(at.to_le_bytes());
    out.extend([0, 0]);
    out
}

/// Pickle opcodes of protocol 2 for a text.
pub fn text(s: &str) -> Vec<u8> {
    [b"X", &(s.len() as u32).to_le_bytes()[..], s.as_bytes()].concat()
}

fn int(n: i32) -> Vec<u8> {
    [b"J", &n.to_le_bytes()[..]].concat()
}

fn tuple(items: &[Vec<u8>]) -> Vec<u8> {
    [b"(", items.concat().as_slice(), b"t"].concat()
}

/// `_rebuild_tensor_v2` of a storage, as opcodes.
pub fn tensor(class: &str, key: &str, elements: i32, offset: i32, shape: &[i32], strides: &[i32]) -> Vec<u8> {
    let ints = |v: &[i32]| tuple(&v.iter().map(|n| int(*n)).collect::<Vec<_>>());
    let storage =
        tuple(&[text("storage"), format!("ctorch\n{class}\n").into_bytes(), text(key), text("cpu"), int(elements)]);
    let args =
        [[storage, b"Q".to_vec()].concat(), int(offset), ints(shape), ints(strides), b"\x89".to_vec(), b"N".to_vec()];
    [b"ctorch._utils\n_rebuild_tensor_v2\n".to_vec(), tuple(&args), b"R".to_vec()].concat()
}

/// A pickle of protocol 2 of a dict.
pub fn dict(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut out = b"\x80\x02}(".to_vec();
    for (key, value) in entries {
        out.extend(text(key));
        out.extend(value);
    }
    out.extend(b"u.");
    out
}

/// Floats as bytes.
pub fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// The object of the small PyTorch files: a matrix, its transposed view, a vector, and numbers beside them.
pub fn torch_object() -> Vec<u8> {
    dict(&[
        ("a", tensor("FloatStorage", "0", 6, 0, &[2, 3], &[3, 1])),
        ("t", tensor("FloatStorage", "0", 6, 0, &[3, 2], &[1, 3])),
        ("b", tensor("HalfStorage", "1", 4, 1, &[2], &[1])),
        ("epoch", int(7)),
        ("name", text("tiny")),
    ])
}

/// The members of the small PyTorch archive, in the order of `torch.save`.
pub fn torch_members() -> Vec<Member> {
    vec![
        member("m/data.pkl", torch_object()),
        member("m/byteorder", "little"),
        member("m/data/0", floats(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])),
        member("m/data/1", [0x00, 0x3c, 0x00, 0x40, 0x00, 0x42, 0x00, 0x44]),
        member("m/version", "3\n"),
    ]
}

pub fn torch_zip() -> Vec<u8> {
    zip(&torch_members(), 64)
}

pub fn torch_stream() -> Vec<u8> {
    let mut out = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.".to_vec();
    out.extend(dict(&[("little_endian", b"\x88".to_vec())]));
    out.extend(torch_object());
    out.extend([b"\x80\x02](".to_vec(), text("0"), text("1"), b"e.".to_vec()].concat());
    out.extend(6u64.to_le_bytes());
    out.extend(floats(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
    out.extend(4u64.to_le_bytes());
    out.extend([0x00, 0x3c, 0x00, 0x40, 0x00, 0x42, 0x00, 0x44]);
    out
}

/// A tar archive of plain files.
pub fn tar(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, data) in members {
        let mut header = [0u8; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[124..135].copy_from_slice(format!("{:011o}", data.len()).as_bytes());
        header[156] = b'0';
        header[257..263].copy_from_slice(b"ustar\0");
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|b| u32::from(*b)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        out.extend(header);
        out.extend(data);
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out.resize(out.len() + 1024, 0);
    out
}

/// A pickle of protocol 2 of one value.
fn pickled(value: &[u8]) -> Vec<u8> {
    [b"\x80\x02", value, b"."].concat()
}

/// The members of PyTorch's archive before 0.1.10, with the tensors of [`torch_object`] and a storage that is part of another.
pub fn torch_tar_members() -> Vec<(&'static str, Vec<u8>)> {
    let class = |name: &str| format!("ctorch\n{name}\n").into_bytes();
    let of = |key: i32, place: Vec<u8>, name: &str| pickled(&tuple(&[int(key), place, class(name)]));
    let mut storages = pickled(&int(2));
    storages.extend(of(10, text("cpu"), "FloatStorage"));
    storages.extend(6i64.to_le_bytes());
    storages.extend(floats(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
    storages.extend(of(11, text("cpu"), "HalfStorage"));
    storages.extend(4i64.to_le_bytes());
    storages.extend([0x00, 0x3c, 0x00, 0x40, 0x00, 0x42, 0x00, 0x44]);
    let view = tuple(&[int(12), int(10), int(4), int(2)]);
    storages.extend(pickled(&[b"](".to_vec(), view, b"e".to_vec()].concat()));
    let mut tensors = pickled(&int(4));
    for (key, storage, kind, shape, strides, offset) in [
        (20, 10, "FloatTensor", &[2i64, 3][..], &[3i64, 1][..], 0i64),
        (21, 10, "FloatTensor", &[3, 2], &[1, 3], 0),
        (22, 11, "HalfTensor", &[2], &[1], 1),
        (23, 12, "FloatTensor", &[2], &[1], 0),
    ] {
        tensors.extend(pickled(&tuple(&[int(key), int(storage), class(kind)])));
        tensors.extend((shape.len() as i32).to_le_bytes());
        tensors.extend([0xee; 4]);
        tensors.extend(shape.iter().chain(strides).flat_map(|n| n.to_le_bytes()));
        tensors.extend(offset.to_le_bytes());
    }
    let stored = |key: i32| [int(key), b"Q".to_vec()].concat();
    let object = dict(&[("a", stored(20)), ("t", stored(21)), ("b", stored(22)), ("v", stored(23)), ("epoch", int(7))]);
    let facts = dict(&[("little_endian", b"\x88".to_vec())]);
    vec![("sys_info", facts), ("pickle", object), ("tensors", tensors), ("storages", storages)]
}

pub fn npy(header: &str, data: &[u8]) -> Vec<u8> {
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend((header.len() as u16).to_le_bytes());
    out.extend(header.as_bytes());
    out.extend(data);
    out
}

pub fn small_npy() -> Vec<u8> {
    npy("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }\n", &floats(&[1.0, 4.0, 2.0, 5.0, 3.0, 6.0]))
}

pub fn small_npz() -> Vec<u8> {
    zip(
        &[
            member("x.npy", small_npy()),
            member("y.npy", npy("{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }\n", &[7; 16])),
        ],
        1,
    )
}

/// A ggjt file of a llama without layers; `version` 1 to 3, `kind` and `block` of the one quantized tensor.
pub fn ggjt(version: u32, kind: u32, block: &[u8]) -> Vec<u8> {
    let mut out = b"tjgg".to_vec();
    for n in [version, 2, 32, 256, 1, 0, 32, 2] {
        out.extend(n.to_le_bytes());
    }
    for token in ["<unk>", "a"] {
        out.extend((token.len() as u32).to_le_bytes());
        out.extend(token.as_bytes());
        out.extend(0f32.to_le_bytes());
    }
    let mut tensor = |name: &str, dims: &[u32], kind: u32, data: &[u8]| {
        for n in [dims.len() as u32, name.len() as u32, kind] {
            out.extend(n.to_le_bytes());
        }
        out.extend(dims.iter().flat_map(|d| d.to_le_bytes()));
        out.extend(name.as_bytes());
        out.resize(out.len().next_multiple_of(32), 0);
        out.extend(data);
    };
    tensor("tok_embeddings.weight", &[32, 2], kind, &[block, block].concat());
    tensor("norm.weight", &[2], 0, &floats(&[1.5, -2.0]));
    tensor("output.weight", &[32, 1], kind, block);
    out
}

/// A llama2.c model of version 0: one layer, width 4.
pub fn llama2c() -> Vec<u8> {
    let mut out = Vec::new();
    for n in [4i32, 8, 1, 2, 1, 3, 2] {
        out.extend(n.to_le_bytes());
    }
    let count = 3 * 4 + 4 + 16 + 8 + 8 + 16 + 4 + 32 + 32 + 32 + 4 + 2 + 2;
    out.extend(floats(&(0..count).map(|i| i as f32).collect::<Vec<_>>()));
    out
}

/// A TensorFlow shape.
fn shape(dims: &[u64]) -> Message {
    dims.iter().fold(Message::new(), |m, d| m.message(2, &Message::new().int(1, *d)))
}

fn attribute(key: &str, value: &Message) -> Message {
    Message::new().bytes(1, key).message(2, value)
}

/// A frozen graph: a placeholder, two constants, an operator, and the versions.
pub fn graph_def() -> Vec<u8> {
    let content = Message::new().int(1, 1).message(2, &shape(&[2, 2])).bytes(4, floats(&[1.0, 2.0, 3.0, 4.0]));
    let filled = Message::new().int(1, 3).message(2, &shape(&[3])).int(7, 9);
    let constant = |name: &str, value: &Message| {
        Message::new()
            .bytes(1, name)
            .bytes(2, "Const")
            .message(5, &attribute("value", &Message::new().message(8, value)))
    };
    let input = Message::new()
        .bytes(1, "x")
        .bytes(2, "Placeholder")
        .message(5, &attribute("dtype", &Message::new().int(6, 1)))
        .message(5, &attribute("shape", &Message::new().message(7, &shape(&[1, 2]))));
    let product = Message::new().bytes(1, "y").bytes(2, "MatMul").bytes(3, "x").bytes(3, "w");
    Message::new()
        .message(1, &input)
        .message(1, &constant("w", &content))
        .message(1, &constant("n", &filled))
        .message(1, &product)
        .message(4, &Message::new().int(1, 21))
        .0
}

/// A block of a checkpoint's table, with its trailer.
fn block(entries: &[(&[u8], Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (key, value) in entries {
        let lengths = Message::new().raw_varint(0).raw_varint(key.len() as u64).raw_varint(value.len() as u64);
        out.extend(lengths.0);
        out.extend(*key);
        out.extend(value);
    }
    out.extend([0, 0, 0, 0, 1, 0, 0, 0]);
    out
}

/// Snappy's raw form of bytes, with copies for runs of one byte alone.
pub fn snappy(bytes: &[u8]) -> Vec<u8> {
    let mut out = Message::new().raw_varint(bytes.len() as u64).0;
    let mut at = 0;
    while at < bytes.len() {
        let run = bytes[at..].iter().take_while(|b| at > 0 && **b == bytes[at - 1]).count().min(64);
        if run >= 4 {
            out.extend([((run - 1) << 2) as u8 | 2, 1, 0]);
            at += run;
        } else {
            let n = bytes.len().min(at + 40) - at;
            out.push(((n - 1) << 2) as u8);
            out.extend(&bytes[at..at + n]);
            at += n;
        }
    }
    out
}

/// A table of blocks, each plain or packed by Snappy.
fn table(blocks: &[Vec<u8>], packed: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let handle = |at: usize, size: usize| Message::new().raw_varint(at as u64).raw_varint(size as u64).0;
    let mut put = |block: &[u8]| {
        let block = if packed { snappy(block) } else { block.to_vec() };
        let at = out.len();
        out.extend(&block);
        out.extend([u8::from(packed), 0, 0, 0, 0]);
        handle(at, block.len())
    };
    let places: Vec<Vec<u8>> = blocks.iter().map(|b| put(b)).collect();
    let keys: Vec<Vec<u8>> = (0..places.len()).map(|i| vec![b'a' + i as u8]).collect();
    let mut footer = put(&block(&[]));
    let entries: Vec<(&[u8], Vec<u8>)> = keys.iter().map(Vec::as_slice).zip(places).collect();
    footer.extend(put(&block(&entries)));
    footer.resize(40, 0);
    out.extend(footer);
    out.extend(0xdb47_7524_8b80_fb57u64.to_le_bytes());
    out
}

/// A V1 checkpoint: a matrix as packed floats, a vector as plain bytes, whole numbers spelt, and one tensor in two slices.
pub fn checkpoint_v1(packed: bool) -> Vec<u8> {
    let whole = Message::new().message(1, &Message::new());
    let part = |start: u64| Message::new().message(1, &Message::new().int(1, start).int(2, 1));
    let meta = |name: &str, dims: &[u64], kind: u64, slices: &[Message]| {
        let m = Message::new().bytes(1, name).message(2, &shape(dims)).int(3, kind);
        slices.iter().fold(m, |m, s| m.message(4, s))
    };
    let tensors = [
        meta("bias", &[2], 1, std::slice::from_ref(&whole)),
        meta("kernel", &[2, 2], 1, std::slice::from_ref(&whole)),
        meta("parts", &[2], 1, &[part(0), part(1)]),
        meta("step", &[], 9, std::slice::from_ref(&whole)),
    ];
    let header = tensors.iter().fold(Message::new(), |m, t| m.message(1, t));
    let data = |name: &str, slice: &Message, values: Message| {
        let saved = Message::new().bytes(1, name).message(2, slice).message(3, &values);
        Message::new().message(2, &saved).0
    };
    let first = block(&[(b"", Message::new().message(1, &header.message(2, &Message::new().int(1, 1))).0)]);
    let second = block(&[
        (b"\0\x01bias", data("bias", &whole, Message::new().bytes(4, floats(&[0.5, -0.5])))),
        (b"\0\x01kernel", data("kernel", &whole, Message::new().int(1, 1).bytes(5, floats(&[1.0, 2.0, 3.0, 4.0])))),
        (b"\0\x01parts0", data("parts", &part(0), Message::new().bytes(5, floats(&[1.0])))),
        (b"\0\x01parts1", data("parts", &part(1), Message::new().bytes(5, floats(&[2.0])))),
        (b"\0\x01step", data("step", &whole, Message::new().bytes(10, [42]))),
    ]);
    table(&[first, second], packed)
}

/// The index of [`checkpoint`] with its blocks packed by Snappy.
pub fn checkpoint_packed() -> Vec<u8> {
    table(&[checkpoint_block()], true)
}

/// A checkpoint's index of two tensors in one shard, and the shard.
pub fn checkpoint() -> (Vec<u8>, Vec<u8>) {
    (table(&[checkpoint_block()], false), floats(&[0.5, -0.5, 1.0, 2.0, 3.0, 4.0]))
}

fn checkpoint_block() -> Vec<u8> {
    let entry = |dims: &[u64], offset: u64, size: u64| {
        Message::new().int(1, 1).message(2, &shape(dims)).int(4, offset).int(5, size).0
    };
    block(&[
        (b"", Message::new().int(1, 1).message(3, &Message::new().int(1, 1)).0),
        (b"layer/bias", entry(&[2], 0, 8)),
        (b"layer/kernel", entry(&[2, 2], 8, 16)),
    ])
}

/// A value of a FlatBuffer, for a writer that puts each thing behind what names it.
pub enum Flat {
    U8(u8),
    U32(u32),
    Table(Vec<(u16, Flat)>),
    Tables(Vec<Flat>),
    Ints(Vec<u32>),
    Bytes(Vec<u8>),
}

impl Flat {
    /// Writes the thing and returns where it starts.
    fn write(&self, out: &mut Vec<u8>) -> usize {
        out.resize(out.len().next_multiple_of(4), 0);
        match self {
            Flat::U8(_) | Flat::U32(_) => unreachable!("scalars lie in their table"),
            Flat::Bytes(bytes) => {
                let at = out.len();
                out.extend((bytes.len() as u32).to_le_bytes());
                out.extend(bytes);
                at
            }
            Flat::Ints(ints) => {
                let at = out.len();
                out.extend((ints.len() as u32).to_le_bytes());
                out.extend(ints.iter().flat_map(|n| n.to_le_bytes()));
                at
            }
            Flat::Tables(items) => {
                let at = out.len();
                out.extend((items.len() as u32).to_le_bytes());
                out.resize(out.len() + 4 * items.len(), 0);
                for (i, item) in items.iter().enumerate() {
                    let place = at + 4 + 4 * i;
                    let target = item.write(out);
                    out[place..place + 4].copy_from_slice(&((target - place) as u32).to_le_bytes());
                }
                at
            }
            Flat::Table(fields) => {
                let slots = fields.iter().map(|(n, _)| n + 1).max().unwrap_or(0);
                let vtable = out.len();
                let size = (4 + 2 * slots).next_multiple_of(4);
                out.extend((4 + 2 * slots).to_le_bytes());
                out.extend((4 + 4 * fields.len() as u16).to_le_bytes());
                out.resize(vtable + usize::from(size), 0);
                let at = out.len();
                out.extend(((at - vtable) as u32).to_le_bytes());
                out.resize(at + 4 + 4 * fields.len(), 0);
                for (i, (n, value)) in fields.iter().enumerate() {
                    let place = at + 4 + 4 * i;
                    let slot = vtable + 4 + 2 * usize::from(*n);
                    out[slot..slot + 2].copy_from_slice(&((place - at) as u16).to_le_bytes());
                    match value {
                        Flat::U8(n) => out[place] = *n,
                        Flat::U32(n) => out[place..place + 4].copy_from_slice(&n.to_le_bytes()),
                        other => {
                            let target = other.write(out);
                            out[place..place + 4].copy_from_slice(&((target - place) as u32).to_le_bytes());
                        }
                    }
                }
                at
            }
        }
    }
}

/// A TensorFlow Lite model: one fully connected layer without bias.
pub fn tflite() -> Vec<u8> {
    use Flat::{Bytes, Ints, Table, Tables, U8, U32};
    let tensor = |name: &str, shape: &[u32], buffer: u32| {
        Table(vec![(0, Ints(shape.to_vec())), (1, U8(0)), (2, U32(buffer)), (3, Bytes(name.into()))])
    };
    let graph = Table(vec![
        (0, Tables(vec![tensor("x", &[1, 2], 0), tensor("w", &[3, 2], 1), tensor("y", &[1, 3], 0)])),
        (1, Ints(vec![0])),
        (2, Ints(vec![2])),
        (3, Tables(vec![Table(vec![(0, U32(0)), (1, Ints(vec![0, 1])), (2, Ints(vec![2]))])])),
        (4, Bytes(b"main".to_vec())),
    ]);
    let buffers = Tables(vec![Table(vec![]), Table(vec![(0, Bytes(floats(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])))])]);
    let model = Table(vec![
        (0, U32(3)),
        (1, Tables(vec![Table(vec![(0, U8(9)), (3, U32(9))])])),
        (2, Tables(vec![graph])),
        (3, Bytes(b"by hand".to_vec())),
        (4, buffers),
    ]);
    let mut out = vec![0; 8];
    out[4..8].copy_from_slice(b"TFL3");
    let root = model.write(&mut out) as u32;
    out[..4].copy_from_slice(&root.to_le_bytes());
    out
}

/// An importance matrix of before GGUF: two entries, then the number of chunks and the name of the text.
pub fn imatrix() -> Vec<u8> {
    let mut out = 2u32.to_le_bytes().to_vec();
    for (name, values) in [("blk.0.attn_q.weight", 4u32), ("blk.0.ffn_down.weight", 2)] {
        out.extend((name.len() as u32).to_le_bytes());
        out.extend(name.as_bytes());
        out.extend(7u32.to_le_bytes());
        out.extend(values.to_le_bytes());
        out.extend((0..values).flat_map(|i| (i as f32 + 0.5).to_le_bytes()));
    }
    out.extend(7u32.to_le_bytes());
    out.extend(5u32.to_le_bytes());
    out.extend(b"a.txt");
    out
}

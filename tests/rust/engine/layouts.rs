//! The same weights as other programs lay them out: experts in one tensor or one by one, gate and up in one, latent maps joined,
//! MXFP4 in two tensors. Made here from the corpus' models, whose own layouts are held against references elsewhere.

use std::{path::Path, rc::Rc};

use glassbox::{
    session::{DeviceChoice, Generation, GpuOptions, Inspection, RunSettings},
    source::{ByteSource, MemorySource, SourceSet},
};

use super::support::{block_on, corpus, ids, json, npy, off_by};

/// Per ten units of range.
const TOLERANCE: f64 = 2e-3;

/// A tensor of a file: element type (a number in GGUF files), shape with the slowest dimension first, bytes.
#[derive(Clone)]
struct Named {
    name: String,
    kind: String,
    shape: Vec<usize>,
    data: Vec<u8>,
}

impl Named {
    fn new(name: impl Into<String>, kind: &str, shape: &[usize], data: Vec<u8>) -> Self {
        Self { name: name.into(), kind: kind.to_owned(), shape: shape.to_vec(), data }
    }
}

/// Takes a tensor out of a list.
fn take(tensors: &mut Vec<Named>, name: &str) -> Named {
    let at = tensors.iter().position(|t| t.name == name).unwrap_or_else(|| panic!("{name} is there"));
    tensors.remove(at)
}

/// The tensors of a safetensors file.
fn safetensors(path: &Path) -> Vec<Named> {
    let bytes = std::fs::read(path).unwrap();
    let start = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..start]).unwrap();
    let numbers = |v: &serde_json::Value| -> Vec<usize> {
        v.as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect()
    };
    let all = header.as_object().unwrap().iter().filter(|(name, _)| *name != "__metadata__");
    all.map(|(name, t)| {
        let at = numbers(&t["data_offsets"]);
        let data = bytes[start + at[0]..start + at[1]].to_vec();
        Named::new(name, t["dtype"].as_str().unwrap(), &numbers(&t["shape"]), data)
    })
    .collect()
}

fn to_safetensors(tensors: &[Named]) -> Vec<u8> {
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for t in tensors {
        let at = [data.len(), data.len() + t.data.len()];
        header.insert(t.name.clone(), serde_json::json!({ "dtype": t.kind, "shape": t.shape, "data_offsets": at }));
        data.extend_from_slice(&t.data);
    }
    let header = serde_json::to_vec(&header).unwrap();
    [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat()
}

/// A GGUF file: its keys and values as bytes, how many there are, its tensors.
struct Gguf {
    keys: Vec<u8>,
    count: u64,
    tensors: Vec<Named>,
}

/// Reads numbers one behind the other.
struct Reader<'a>(&'a [u8], usize);

impl Reader<'_> {
    fn number(&mut self, bytes: usize) -> u64 {
        let mut all = [0; 8];
        all[..bytes].copy_from_slice(&self.0[self.1..self.1 + bytes]);
        self.1 += bytes;
        u64::from_le_bytes(all)
    }
    fn text(&mut self) -> String {
        let len = self.number(8) as usize;
        self.1 += len;
        String::from_utf8(self.0[self.1 - len..self.1].to_vec()).unwrap()
    }
    fn skip(&mut self, kind: u64) {
        match kind {
            0 | 1 | 7 => self.1 += 1,
            2 | 3 => self.1 += 2,
            4..=6 => self.1 += 4,
            8 => drop(self.text()),
            9 => {
                let (item, n) = (self.number(4), self.number(8));
                (0..n).for_each(|_| self.skip(item));
            }
            _ => self.1 += 8,
        }
    }
}

fn padded(n: usize) -> usize {
    n.next_multiple_of(32)
}

impl Gguf {
    fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap();
        let mut r = Reader(&bytes, 8);
        let (tensors, count) = (r.number(8), r.number(8));
        let start = r.1;
        for _ in 0..count {
            r.text();
            let kind = r.number(4);
            r.skip(kind);
        }
        let keys = bytes[start..r.1].to_vec();
        let mut infos = Vec::new();
        for _ in 0..tensors {
            let name = r.text();
            let dims = r.number(4);
            let mut shape: Vec<usize> = (0..dims).map(|_| r.number(8) as usize).collect();
            shape.reverse();
            infos.push((name, shape, r.number(4), r.number(8) as usize));
        }
        let data = padded(r.1);
        let tensors = infos.into_iter().map(|(name, shape, kind, at)| {
            // F32 and BF16 are all that these files hold.
            let size = if kind == 0 { 4 } else { 2 };
            let len = shape.iter().product::<usize>() * size;
            Named::new(name, &kind.to_string(), &shape, bytes[data + at..data + at + len].to_vec())
        });
        Self { keys, count, tensors: tensors.collect() }
    }
    fn bytes(&self) -> Vec<u8> {
        let text = |t: &str| [&(t.len() as u64).to_le_bytes()[..], t.as_bytes()].concat();
        let mut out = [&b"GGUF"[..], &3u32.to_le_bytes()].concat();
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend(self.count.to_le_bytes());
        out.extend(&self.keys);
        let mut data = Vec::new();
        for t in &self.tensors {
            out.extend(text(&t.name));
            out.extend((t.shape.len() as u32).to_le_bytes());
            t.shape.iter().rev().for_each(|n| out.extend((*n as u64).to_le_bytes()));
            out.extend(t.kind.parse::<u32>().unwrap().to_le_bytes());
            out.extend((data.len() as u64).to_le_bytes());
            data.extend_from_slice(&t.data);
            data.resize(padded(data.len()), 0);
        }
        out.resize(padded(out.len()), 0);
        out.extend(data);
        out
    }
    /// Overwrites a whole number of 32 bits.
    fn set(&mut self, key: &str, value: u32) {
        let at =
            self.keys.windows(key.len()).position(|w| w == key.as_bytes()).unwrap_or_else(|| panic!("{key} is there"));
        // The type follows, then the number.
        let at = at + key.len() + 4;
        self.keys[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }
    /// Gives a key another name of the same length.
    fn rename(&mut self, key: &str, to: &str) {
        assert_eq!(key.len(), to.len());
        let at =
            self.keys.windows(key.len()).position(|w| w == key.as_bytes()).unwrap_or_else(|| panic!("{key} is there"));
        self.keys[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
}

/// The logits of a prompt, of a model in memory.
fn logits(files: &[(&str, Vec<u8>)], prompt: &[u32]) -> Vec<Vec<f32>> {
    let set = SourceSet::new(
        files.iter().map(|(name, b)| Rc::new(MemorySource::new(*name, b.as_slice())) as Rc<dyn ByteSource>),
    );
    let inspection = Rc::new(block_on(Inspection::open(set)).unwrap());
    let settings = RunSettings { context: Some(64), rows: 32, outputs: 32, ..RunSettings::default() };
    let mut quiet = |_| {};
    let loaded = Generation::load(inspection, DeviceChoice::Cpu, GpuOptions::default(), &settings, &mut quiet);
    let mut model = block_on(loaded).unwrap();
    block_on(model.prompt_logits(prompt)).unwrap()
}

fn config(home: &Path) -> Vec<u8> {
    std::fs::read(home.join("hf/config.json")).unwrap()
}

fn prompt(home: &Path) -> Vec<u32> {
    ids(&json(&home.join("reference.json"))["prompt_ids"])
}

#[track_caller]
fn agrees(files: &[(&str, Vec<u8>)], home: &Path) {
    let off = off_by(&logits(files, &prompt(home)), &npy(&home.join("logits.npy")));
    assert!(off < TOLERANCE, "off by {off:.1e}");
}

#[test]
fn experts_stacked_with_gate_and_up_in_one_give_what_single_ones_give() {
    let Some(corpus) = corpus("mixtures of experts") else { return };
    let home = corpus.join("arch/mixtral");
    let mut tensors = safetensors(&home.join("hf/model.safetensors"));
    for l in 0..3 {
        let layer = format!("model.layers.{l}");
        let (mut gate_up, mut down) = (Vec::new(), Vec::new());
        for e in 0..4 {
            let mut of = |w: &str| take(&mut tensors, &format!("{layer}.block_sparse_moe.experts.{e}.{w}.weight")).data;
            gate_up.extend(of("w1"));
            gate_up.extend(of("w3"));
            down.extend(of("w2"));
        }
        tensors.push(Named::new(format!("{layer}.mlp.experts.gate_up_proj"), "BF16", &[4, 256, 64], gate_up));
        tensors.push(Named::new(format!("{layer}.mlp.experts.down_proj"), "BF16", &[4, 64, 128], down));
        let router = take(&mut tensors, &format!("{layer}.block_sparse_moe.gate.weight"));
        tensors.push(Named { name: format!("{layer}.mlp.gate.weight"), ..router });
    }
    agrees(&[("model.safetensors", to_safetensors(&tensors)), ("config.json", config(&home))], &home);
}

#[test]
fn older_gguf_files_with_a_tensor_for_each_expert_run() {
    let Some(corpus) = corpus("mixtures of experts") else { return };
    let home = corpus.join("arch/mixtral");
    let mut file = Gguf::read(&home.join("model.gguf"));
    for l in 0..3 {
        for part in ["gate", "up", "down"] {
            let all = take(&mut file.tensors, &format!("blk.{l}.ffn_{part}_exps.weight"));
            let size = all.data.len() / 4;
            for e in 0..4 {
                let data = all.data[e * size..(e + 1) * size].to_vec();
                file.tensors.push(Named::new(
                    format!("blk.{l}.ffn_{part}.{e}.weight"),
                    &all.kind,
                    &all.shape[1..],
                    data,
                ));
            }
        }
    }
    agrees(&[("model.gguf", file.bytes())], &home);
    // One that is missing is named.
    take(&mut file.tensors, "blk.1.ffn_up.2.weight");
    let set = SourceSet::new([Rc::new(MemorySource::new("model.gguf", file.bytes().as_slice())) as Rc<dyn ByteSource>]);
    let inspection = Rc::new(block_on(Inspection::open(set)).unwrap());
    let settings = RunSettings::default();
    let mut quiet = |_| {};
    let loaded = Generation::load(inspection, DeviceChoice::Cpu, GpuOptions::default(), &settings, &mut quiet);
    let fault = block_on(loaded).map(|_| ()).unwrap_err();
    assert!(fault.what.contains("blk.1.ffn_up.2.weight is missing"), "{fault}");
}

#[test]
fn older_gguf_files_of_latent_attention_with_one_map_to_keys_and_values_run() {
    let Some(corpus) = corpus("latent attention") else { return };
    let home = corpus.join("arch/deepseek2");
    let mut file = Gguf::read(&home.join("model.gguf"));
    // Four heads: 16 plain and 16 rotated values of keys, 16 of values; made from rows of 32.
    for l in 0..3 {
        let k = take(&mut file.tensors, &format!("blk.{l}.attn_k_b.weight"));
        let v = take(&mut file.tensors, &format!("blk.{l}.attn_v_b.weight"));
        assert_eq!((k.shape.as_slice(), v.shape.as_slice()), (&[4, 32, 16][..], &[4, 16, 32][..]));
        let mut data = Vec::new();
        for head in 0..4 {
            for row in 0..16 {
                for column in 0..32 {
                    data.extend(&k.data[((head * 32 + column) * 16 + row) * 2..][..2]);
                }
            }
            data.extend(&v.data[head * 16 * 32 * 2..(head + 1) * 16 * 32 * 2]);
        }
        file.tensors.push(Named::new(format!("blk.{l}.attn_kv_b.weight"), &k.kind, &[128, 32], data));
    }
    file.rename("attention.key_length_mla", "attention.key_length_ml_");
    file.rename("attention.value_length_mla", "attention.value_length_ml_");
    let key = |name: &str| format!("deepseek2.attention.{name}");
    // The first of this name is the whole one.
    file.set(&key("key_length"), 32);
    file.set(&key("value_length"), 16);
    file.set(&key("head_count_kv"), 4);
    agrees(&[("model.gguf", file.bytes())], &home);
}

/// The nearest MXFP4 code of a value at a scale: values 0 to 6 of both signs.
fn code(value: f32) -> u8 {
    const E2M1: [f32; 8] = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0];
    let off = |i: &usize| (E2M1[*i] - value.abs()).abs();
    let best = (0..8).min_by(|a, b| off(a).total_cmp(&off(b))).unwrap();
    best as u8 + if value < 0.0 { 8 } else { 0 }
}

/// A matrix `[experts, inputs, outputs]` of bf16 as MXFP4 `[experts, outputs, inputs / 32, 16]`, its scales, and the same values as bf16.
fn quantized(t: &Named) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    const E2M1: [f32; 8] = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0];
    let &[experts, inputs, outputs] = t.shape.as_slice() else { panic!("three dimensions expected") };
    let at = |e: usize, i: usize, o: usize| (e * inputs + i) * outputs + o;
    let value = |e, i, o| {
        let b = at(e, i, o) * 2;
        f32::from_bits(u32::from(u16::from_le_bytes([t.data[b], t.data[b + 1]])) << 16)
    };
    let (mut blocks, mut scales, mut plain) = (Vec::new(), Vec::new(), vec![0u8; t.data.len()]);
    for e in 0..experts {
        for o in 0..outputs {
            for block in 0..inputs / 32 {
                let all: Vec<f32> = (0..32).map(|i| value(e, block * 32 + i, o)).collect();
                let most = all.iter().fold(1e-6f32, |m, v| m.max(v.abs()));
                let exponent = (most / 6.0).log2().ceil();
                scales.push((exponent + 127.0) as u8);
                let codes: Vec<u8> = all.iter().map(|v| code(v / exponent.exp2())).collect();
                blocks.extend(codes.chunks_exact(2).map(|two| two[0] | two[1] << 4));
                for (i, c) in codes.iter().enumerate() {
                    let v = E2M1[usize::from(c & 7)] * exponent.exp2() * if *c > 7 { -1.0 } else { 1.0 };
                    let b = at(e, block * 32 + i, o) * 2;
                    plain[b..b + 2].copy_from_slice(&((v.to_bits() >> 16) as u16).to_le_bytes());
                }
            }
        }
    }
    (blocks, scales, plain)
}

#[test]
fn mxfp4_in_two_tensors_gives_what_its_values_in_bf16_give() {
    let Some(corpus) = corpus("experts in MXFP4") else { return };
    let home = corpus.join("arch/gptoss");
    let mut packed = safetensors(&home.join("hf/model.safetensors"));
    let mut plain = packed.clone();
    for l in 0..4 {
        for part in ["gate_up_proj", "down_proj"] {
            let name = format!("model.layers.{l}.mlp.experts.{part}");
            let t = take(&mut packed, &name);
            let &[experts, inputs, outputs] = t.shape.as_slice() else { panic!("three dimensions expected") };
            let (blocks, scales, values) = quantized(&t);
            packed.push(Named::new(format!("{name}_blocks"), "U8", &[experts, outputs, inputs / 32, 16], blocks));
            packed.push(Named::new(format!("{name}_scales"), "U8", &[experts, outputs, inputs / 32], scales));
            take(&mut plain, &name);
            plain.push(Named { data: values, ..t });
        }
    }
    let prompt = prompt(&home);
    let of = |tensors: &[Named]| {
        logits(&[("model.safetensors", to_safetensors(tensors)), ("config.json", config(&home))], &prompt)
    };
    let (want, got) = (of(&plain), of(&packed));
    let off = off_by(&got, &want);
    assert!(off < 1e-4, "off by {off:.1e}");
    // The values are others than the corpus': four bits are not sixteen.
    assert!(off_by(&want, &npy(&home.join("logits.npy"))) > TOLERANCE);
}

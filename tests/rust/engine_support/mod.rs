//! Models for engine tests: random ones made in memory, and the corpus's.
#![allow(dead_code)]

use std::{
    future::Future,
    path::PathBuf,
    pin::pin,
    task::{Context, Poll, Waker},
};

use glassbox::{
    old_engine::{
        PrepareOptions,
        device::Device,
        plan::{Program, SlotKind},
        weights::to_slot,
    },
    model::{FileSummary, FormatId, MetaType, MetaValue, Metadata, ModelFile, Place, TensorEntry},
    tensor::{Encoding, Shape},
};

/// Waits for a future that never sleeps: the CPU and files on disk.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a future of the CPU was not ready at once"),
    }
}

/// The corpus, where this machine has it.
pub(crate) fn corpus(why: &str) -> Option<PathBuf> {
    let dir = std::env::var_os("GLASSBOX_CORPUS")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/corpus")), PathBuf::from);
    if !dir.is_dir() {
        eprintln!("skipped: {why}, because the corpus is not at {}", dir.display());
        return None;
    }
    Some(dir)
}

/// A small repeatable generator (SplitMix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    /// From -1 up to 1.
    pub(crate) fn float(&mut self) -> f32 {
        (self.word() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }
}

/// Where an encoding's blocks hold half-precision scales, and how large the quants beside them get.
fn scales(encoding: Encoding) -> (&'static [usize], f32) {
    match encoding {
        Encoding::Q8_0 => (&[0], 128.0),
        Encoding::Q4_0 => (&[0], 8.0),
        Encoding::Q4_1 => (&[0, 2], 16.0),
        Encoding::Q5_0 => (&[0], 16.0),
        Encoding::Q5_1 => (&[0, 2], 32.0),
        Encoding::IQ4_NL => (&[0], 127.0),
        Encoding::Q2_K => (&[80, 82], 3.0 * 16.0),
        Encoding::Q3_K => (&[108], 4.0 * 32.0),
        Encoding::Q4_K | Encoding::Q5_K => (&[0, 2], 16.0 * 64.0),
        Encoding::Q6_K => (&[208], 32.0 * 128.0),
        other => panic!("{other} has no block scales"),
    }
}

/// Random weights of at most about `size`, encoded.
pub(crate) fn random_rows(encoding: Encoding, values: usize, size: f32, random: &mut Random) -> Vec<u8> {
    let half = |v: f32| half::f16::from_f32(v).to_bits().to_le_bytes();
    match encoding {
        Encoding::F32 => (0..values).flat_map(|_| (random.float() * size).to_le_bytes()).collect(),
        Encoding::F16 => (0..values).flat_map(|_| half(random.float() * size)).collect(),
        Encoding::BF16 => {
            (0..values).flat_map(|_| half::bf16::from_f32(random.float() * size).to_bits().to_le_bytes()).collect()
        }
        block => {
            let spec = block.spec().expect("a block encoding of the table");
            let blocks = values / spec.block_len as usize;
            let (at, largest) = scales(block);
            let mut bytes: Vec<u8> = (0..blocks * spec.block_bytes as usize / 2)
                .flat_map(|_| (random.word() as u16).to_le_bytes())
                .collect();
            for b in bytes.chunks_exact_mut(spec.block_bytes as usize) {
                for at in at {
                    b[*at..at + 2].copy_from_slice(&half((0.5 + random.float().abs() / 2.0) * size / largest));
                }
            }
            bytes
        }
    }
}

/// The shape of a random llama.
#[derive(Clone, Copy)]
pub(crate) struct Shaped {
    pub(crate) layers: u64,
    pub(crate) width: u64,
    pub(crate) heads: u64,
    pub(crate) kv_heads: u64,
    pub(crate) ffn: u64,
    pub(crate) vocab: u64,
    pub(crate) context: u64,
    pub(crate) tied: bool,
    pub(crate) biases: bool,
    pub(crate) neox: bool,
}

pub(crate) const TINY: Shaped = Shaped {
    layers: 2,
    width: 256,
    heads: 4,
    kv_heads: 2,
    ffn: 512,
    vocab: 96,
    context: 64,
    tied: true,
    biases: false,
    neox: false,
};

pub(crate) const M135: Shaped = Shaped {
    layers: 30,
    width: 576,
    heads: 9,
    kv_heads: 3,
    ffn: 1536,
    vocab: 49152,
    context: 2048,
    tied: true,
    biases: false,
    neox: false,
};

/// A GGUF header that describes a random llama; its bytes come from [`load_random`].
pub(crate) fn random_llama(s: Shaped, encoding: Encoding) -> ModelFile {
    let arch = if s.neox { "qwen2" } else { "llama" };
    let mut metadata = Metadata::default();
    metadata.push("general.architecture", MetaValue::String(arch.into()));
    for (key, value) in [
        ("block_count", s.layers),
        ("embedding_length", s.width),
        ("attention.head_count", s.heads),
        ("attention.head_count_kv", s.kv_heads),
        ("feed_forward_length", s.ffn),
        ("context_length", s.context),
    ] {
        metadata.push(format!("{arch}.{key}"), MetaValue::Unsigned(value, MetaType::U32));
    }
    metadata.push(format!("{arch}.attention.layer_norm_rms_epsilon"), MetaValue::Float(1e-5, MetaType::F32));
    let mut tensors = Vec::new();
    let mut add = |name: String, shape: Vec<u64>| {
        let encoding = if shape.len() == 1 { Encoding::F32 } else { encoding };
        let place = Place::Here { file: 0, at: 0..0 };
        tensors.push(TensorEntry { name, shape: Shape(shape), encoding, place, bytes: None });
    };
    let kv = s.width / s.heads * s.kv_heads;
    add("token_embd.weight".into(), vec![s.vocab, s.width]);
    add("output_norm.weight".into(), vec![s.width]);
    if !s.tied {
        add("output.weight".into(), vec![s.vocab, s.width]);
    }
    for i in 0..s.layers {
        let mut linear = |name: &str, rows: u64, k: u64, bias: bool| {
            add(format!("blk.{i}.{name}.weight"), vec![rows, k]);
            if bias {
                add(format!("blk.{i}.{name}.bias"), vec![rows]);
            }
        };
        linear("attn_q", s.width, s.width, s.biases);
        linear("attn_k", kv, s.width, s.biases);
        linear("attn_v", kv, s.width, s.biases);
        linear("attn_output", s.width, s.width, false);
        linear("ffn_gate", s.ffn, s.width, false);
        linear("ffn_up", s.ffn, s.width, false);
        linear("ffn_down", s.width, s.ffn, false);
        add(format!("blk.{i}.attn_norm.weight"), vec![s.width]);
        add(format!("blk.{i}.ffn_norm.weight"), vec![s.width]);
    }
    ModelFile {
        format: FormatId::Gguf,
        version: "3".into(),
        files: vec![FileSummary { name: "random.gguf".into(), bytes: 0, role: "weights".into() }],
        metadata,
        tensors,
        graph: None,
        sections: Vec::new(),
        notes: Vec::new(),
        cuts: Vec::new(),
        awaited: Vec::new(),
    }
}

/// The program of a model, with short contexts and chunks for tests.
pub(crate) fn prepare(model: &ModelFile, context: u32, chunk: u32, max_slot_bytes: u64) -> Program {
    let options = PrepareOptions { context: Some(context), chunk, tables: Vec::new() };
    glassbox::old_engine::prepare(model, &options, max_slot_bytes).unwrap()
}

/// Loads a program and fills its weights with random values, the same for the same seed.
pub(crate) fn load_random(device: &mut dyn Device, program: &Program, seed: u64) {
    now(device.load(program)).unwrap();
    for load in &program.weights {
        let SlotKind::Weight { encoding, rows, row_len } = program.slot(load.slot).kind else { unreachable!() };
        // Each row has its own seed, so that splits do not change values.
        for row in 0..rows {
            let id = (load.tensor as u64) << 32 | (load.first_row + u64::from(row));
            let mut random = Random(seed ^ id.wrapping_mul(0x2545_f491_4f6c_dd1d));
            let size = if rows == 1 && load.first_row == 0 { 1.0 } else { 2.0 / (row_len as f32).sqrt() };
            let bytes = random_rows(encoding, row_len as usize, size, &mut random);
            device.upload(load.slot, row, &bytes).unwrap();
        }
    }
    now(device.finish_load()).unwrap();
}

/// Loads a model's own weights from open files.
pub(crate) fn load_files(
    device: &mut dyn Device,
    program: &Program,
    model: &ModelFile,
    files: &glassbox::source::SourceSet,
) -> glassbox::fault::Result<()> {
    now(device.load(program))?;
    for load in &program.weights {
        let tensor = &model.tensors[load.tensor];
        let Place::Here { file, at } = &tensor.place else { panic!("{} has no bytes", tensor.name) };
        let SlotKind::Weight { encoding, row_len, .. } = program.slot(load.slot).kind else { unreachable!() };
        let row = tensor.encoding.bytes(row_len.into(), row_len.into()).unwrap();
        let from = at.start + load.first_row * row;
        let source = files.find(&model.files[*file].name).expect("the model's file is open");
        let bytes = now(source.read(from..from + load.rows * row))?;
        device.upload(load.slot, 0, &to_slot(tensor.encoding, encoding, row_len.into(), &bytes)?)?;
    }
    now(device.finish_load())
}

//! Models made in memory: headers of random llamas, and weights that depend on seed and row alone.

use std::rc::Rc;

use glassbox::{
    arch,
    engine::{
        compile::{self, Options},
        device::{Device, Fetch},
        program::{Bucket, BufferKind, Program, StepKey, Want, batch},
    },
    ir::{Graph, Sizes, passes},
    model::{FileRole, FileSummary, FormatId, MetaType, MetaValue, Metadata, ModelFile, Place, TensorEntry},
    tensor::{Encoding, Shape},
};

pub(crate) use glassbox::random::Random;

use super::support::block_on;

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
        Encoding::IQ4_XS => (&[0], 127.0 * 32.0),
        Encoding::TQ2_0 => (&[64], 2.0),
        Encoding::IQ1_S => (&[0], 17.0),
        Encoding::IQ2_XXS | Encoding::IQ2_XS | Encoding::IQ2_S => (&[0], 43.0 * 4.0),
        Encoding::IQ3_XXS => (&[0], 62.0 * 8.0),
        Encoding::IQ3_S => (&[0], 15.0 * 31.0),
        Encoding::Q1_0 => (&[0], 1.0),
        other => panic!("{other} has no block scales"),
    }
}

/// Random weights of at most about `size`, encoded.
pub(crate) fn random_rows(encoding: Encoding, values: usize, size: f32, random: &mut Random) -> Vec<u8> {
    let half = |v: f32| half::f16::from_f32(v).to_bits().to_le_bytes();
    match encoding {
        Encoding::F32 => (0..values).flat_map(|_| (random.value() * size).to_le_bytes()).collect(),
        Encoding::F16 => (0..values).flat_map(|_| half(random.value() * size)).collect(),
        Encoding::BF16 => {
            (0..values).flat_map(|_| half::bf16::from_f32(random.value() * size).to_bits().to_le_bytes()).collect()
        }
        block => {
            let spec = block.spec().expect("a block encoding of the table");
            let blocks = values / spec.block_len as usize;
            let len = blocks * spec.block_bytes as usize;
            let mut bytes: Vec<u8> =
                (0..len.div_ceil(2)).flat_map(|_| (random.word() as u16).to_le_bytes()).take(len).collect();
            if block == Encoding::MXFP4 {
                // The scale is a power of two: 127 stands for 1, and 6 is the largest value.
                let power = 127.0 + (size / 6.0).log2().floor();
                bytes.chunks_exact_mut(spec.block_bytes as usize).for_each(|b| b[0] = power as u8);
                return bytes;
            }
            let (at, largest) = scales(block);
            for b in bytes.chunks_exact_mut(spec.block_bytes as usize) {
                for at in at {
                    b[*at..at + 2].copy_from_slice(&half((0.5 + random.value().abs() / 2.0) * size / largest));
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
        files: vec![FileSummary { name: "random.gguf".into(), bytes: 0, role: FileRole::Weights }],
        metadata,
        tensors,
        graph: None,
        sections: Vec::new(),
        notes: Vec::new(),
        cuts: Vec::new(),
        awaited: Vec::new(),
    }
}

/// The graph of a model after all passes.
pub(crate) fn graph(model: &ModelFile) -> Graph {
    let mut graph = arch::build(model).unwrap().graph;
    passes::run(&mut graph, &[]).unwrap();
    graph
}

/// The program of a model, with short contexts and chunks for tests.
pub(crate) fn program(model: &ModelFile, context: u32, rows: u32, max_buffer_bytes: u64) -> (Graph, Rc<Program>) {
    let graph = graph(model);
    let options = Options { context, rows, max_buffer_bytes, ..Options::default() };
    let program = Rc::new(compile::compile(&graph, &options).unwrap());
    (graph, program)
}

/// Loads a program and fills its weights with random values, the same for the same seed.
pub(crate) fn load_random(device: &mut dyn Device, graph: &Graph, program: &Rc<Program>, seed: u64) {
    block_on(device.load(program)).unwrap();
    for load in &program.loads {
        let weight = &graph.weights[load.weight.0 as usize];
        let row_len = weight.fact.width().unwrap();
        // Rows by where they come from, so that neither splits nor stacks change values.
        let mut rows = weight.sources.iter().flat_map(|s| (0..s.count()).map(move |r| (s.tensor, s.first + r)));
        match weight.encoding() {
            Some(encoding) => {
                let rows = rows.skip(load.first_row as usize).take(load.rows as usize);
                for (to, (tensor, row)) in (load.to_row..).zip(rows) {
                    let size = 2.0 / (row_len as f32).sqrt();
                    let bytes = random_rows(encoding, row_len as usize, size, &mut random_of(seed, tensor, row));
                    device.upload(load.buffer, to, &bytes).unwrap();
                }
            }
            None => {
                let values: Vec<f32> = rows.by_ref().map(|(tensor, at)| random_of(seed, tensor, at).value()).collect();
                let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
                device.upload(load.buffer, 0, &bytes).unwrap();
            }
        }
    }
    block_on(device.finish_load()).unwrap();
    prepare_batch(device, program);
}

pub(crate) fn random_of(seed: u64, tensor: usize, row: u32) -> Random {
    let id = (tensor as u64) << 32 | u64::from(row);
    Random(seed ^ id.wrapping_mul(0x2545_f491_4f6c_dd1d))
}

/// Header, identity page tables, and the tables of unscaled angles.
fn prepare_batch(device: &mut dyn Device, program: &Program) {
    let header = program.layout.header();
    device.write(program.batch, 0, &header).unwrap();
    let pages = program.layout.pages;
    let tables: Vec<u32> = (0..program.layout.groups)
        .flat_map(|_| (0..program.layout.sequences).flat_map(move |s| (0..pages).map(move |p| s * pages + p)))
        .collect();
    device.write(program.batch, header[batch::PAGES_AT], &tables).unwrap();
    for (rotation, table) in &program.rotations {
        let angles = rotation.angles(1, &|_| None).unwrap();
        let BufferKind::RotaryTable { len, .. } = program.buffer(*table).kind else { panic!("no table") };
        let half = angles.frequencies.len() as u32;
        let words: Vec<u32> = (0..len / half / 2)
            .flat_map(|entry| {
                let step = glassbox::engine::program::TABLE_STEP;
                let position = if entry < step { entry } else { (entry - step) * step };
                angles.frequencies.iter().flat_map(move |f| {
                    let (sin, cos) = (f64::from(position) * f).sin_cos();
                    [(cos as f32).to_bits(), (sin as f32).to_bits()]
                })
            })
            .collect();
        device.write(*table, 0, &words).unwrap();
    }
}

/// A step of one sequence's tokens; the last row wants a result.
pub(crate) fn step(device: &mut dyn Device, program: &Program, tokens: &[u32], position: u32, want: Want) {
    let header = program.layout.header();
    let bucket = if tokens.len() == 1 { Bucket::One } else { Bucket::Many };
    let key = StepKey { rows: bucket, outputs: Bucket::One, want };
    let n = tokens.len() as u32;
    block_on(device.compile(key)).unwrap();
    let mut write = |at: u32, words: &[u32]| device.write(program.batch, at, words).unwrap();
    write(batch::ROWS as u32, &[n, 1]);
    write(header[batch::TOKENS_AT], tokens);
    write(header[batch::POSITIONS_AT], &(position..position + n).collect::<Vec<_>>());
    write(header[batch::SEQUENCES_AT], &vec![0; tokens.len()]);
    write(header[batch::OUTPUTS_AT], &[n - 1]);
    write(header[batch::LENGTHS_AT], &[position + n]);
    write(header[batch::STARTS_AT], &[0]);
    device.submit(key, 1, None).unwrap();
}

/// Logits after `tokens`, taken in steps of at most `chunk`.
pub(crate) fn logits(device: &mut dyn Device, program: &Program, tokens: &[u32], chunk: usize) -> Vec<f32> {
    for (i, part) in tokens.chunks(chunk).enumerate() {
        step(device, program, part, (i * chunk) as u32, Want::Results);
    }
    let view = &program.results[0].1;
    let words = view.fact.resolve(&Sizes { rows: 1, outputs: 1, context: 1 })[1] as u32;
    let words = block_on(device.read(Fetch { buffer: view.buffer, at: view.offset, words })).unwrap();
    words.into_iter().map(f32::from_bits).collect()
}

/// Normalised mean squared error of `got`.
pub(crate) fn nmse(got: &[f32], want: &[f32]) -> f64 {
    assert_eq!(got.len(), want.len());
    let square = |v: f64| v * v;
    let error: f64 = got.iter().zip(want).map(|(g, w)| square(f64::from(*g) - f64::from(*w))).sum();
    error / want.iter().map(|w| square(f64::from(*w))).sum::<f64>().max(f64::MIN_POSITIVE)
}

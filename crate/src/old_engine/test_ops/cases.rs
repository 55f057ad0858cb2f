//! The shapes: odd widths, partial batches, split outputs, accumulation, every encoding.

use bytemuck::{NoUninit, bytes_of};

use crate::{
    old_engine::{
        device::cpu::CpuBuffer,
        kernel::{
            AttentionParams, EmbedParams, KernelId, LinearParams, NormParams, PickParams, RopeParams, WidthParams,
            state,
        },
        shader::BLOCKS,
    },
    tensor::Encoding,
};

/// A kernel's bindings, filled, and what is expected of it.
#[derive(Debug, Clone)]
pub struct Case {
    /// Kernel.
    pub kernel: KernelId,
    /// Encoding of its weights, where it has any.
    pub encoding: Option<Encoding>,
    /// The shape, in words.
    pub shape: String,
    /// Bytes of the kernel's parameter block.
    pub params: Vec<u8>,
    /// The most tokens of the plan.
    pub batch: u32,
    /// Position of the first token.
    pub pos: u32,
    /// Tokens of the run.
    pub count: u32,
    /// Bindings before the run.
    pub bindings: Vec<CpuBuffer>,
    /// The largest normalised mean squared error; 0 asks for equal bits.
    pub tolerance: f64,
    /// Small enough for the self-test at start.
    pub quick: bool,
}

impl Case {
    /// "matvec q4_0 k=96 rows=31".
    pub fn name(&self) -> String {
        let encoding = self.encoding.map(|e| format!(" {e:?}")).unwrap_or_default();
        format!("{}{encoding} {}", self.kernel.name(), self.shape)
    }
}

/// Tolerances of engine decision 11.
const EXACT: f64 = 0.0;
const F32: f64 = 1e-7;
const QUANTISED: f64 = 1e-6;
const ATTENTION: f64 = 1e-6;

/// Fills the tail behind an output and the rows beyond count, which nothing may write.
const SENTINEL: f32 = 12_345.678;
const TAIL: usize = 67;

/// Row lengths that fall between every tile, vector and workgroup.
const WIDTHS: [u32; 6] = [1, 31, 33, 172, 257, 576];

/// Every case.
pub fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    for &(encoding, _) in BLOCKS {
        embed(&mut all, encoding);
        linear(&mut all, encoding);
    }
    wide(&mut all);
    rows(&mut all);
    rope(&mut all);
    attention(&mut all);
    pick(&mut all);
    all
}

/// A small generator of repeatable numbers (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn below(&mut self, n: u32) -> u32 {
        (self.next() >> 32) as u32 % n
    }
    /// Uniform in -1 .. 1.
    fn value(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
    fn values(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.value()).collect()
    }
}

fn f32s(random: &mut Random, n: u32) -> CpuBuffer {
    CpuBuffer::F32(random.values(n as usize))
}

/// An output of `n` values nothing has written, with a tail.
fn blank(n: u32) -> CpuBuffer {
    CpuBuffer::F32(vec![SENTINEL; n as usize + TAIL])
}

/// An output of `n` values that are read first, with a tail.
fn filled(random: &mut Random, n: u32) -> CpuBuffer {
    let mut values = random.values(n as usize);
    values.resize(n as usize + TAIL, SENTINEL);
    CpuBuffer::F32(values)
}

fn state_of(pos: u32, count: u32) -> CpuBuffer {
    let mut words = vec![0; state::WORDS];
    (words[state::POS], words[state::COUNT]) = (pos, count);
    CpuBuffer::U32(words)
}

/// Bytes of a block, and where its f16 scales lie.
fn block(encoding: Encoding) -> (u32, usize, &'static [usize]) {
    match encoding {
        Encoding::F32 => (1, 4, &[]),
        Encoding::F16 | Encoding::BF16 => (1, 2, &[]),
        Encoding::Q8_0 => (32, 34, &[0]),
        Encoding::Q4_0 | Encoding::IQ4_NL => (32, 18, &[0]),
        Encoding::Q4_1 => (32, 20, &[0, 2]),
        Encoding::Q5_0 => (32, 22, &[0]),
        Encoding::Q5_1 => (32, 24, &[0, 2]),
        Encoding::Q2_K => (256, 84, &[80, 82]),
        Encoding::Q3_K => (256, 110, &[108]),
        Encoding::Q4_K => (256, 144, &[0, 2]),
        Encoding::Q5_K => (256, 176, &[0, 2]),
        _ => (256, 210, &[208]),
    }
}

/// Random rows: any bits for quants, scales of moderate size and either sign.
fn weight(random: &mut Random, encoding: Encoding, rows: u32, row_len: u32) -> CpuBuffer {
    let (len, size, scales) = block(encoding);
    let blocks = rows as usize * (row_len / len) as usize;
    let mut bytes = Vec::with_capacity(blocks * size);
    for _ in 0..blocks {
        match encoding {
            Encoding::F32 => bytes.extend_from_slice(&random.value().to_le_bytes()),
            Encoding::F16 => bytes.extend_from_slice(&half(random).to_le_bytes()),
            Encoding::BF16 => bytes.extend_from_slice(&((random.value().to_bits() >> 16) as u16).to_le_bytes()),
            _ => {
                let start = bytes.len();
                bytes.extend((0..size).map(|_| random.below(256) as u8));
                for &at in scales {
                    bytes[start + at..start + at + 2].copy_from_slice(&half(random).to_le_bytes());
                }
            }
        }
    }
    CpuBuffer::Weight { encoding, rows, row_len, bytes }
}

/// Bits of an f16 of magnitude 2^-7 to 2^-2.
fn half(random: &mut Random) -> u16 {
    let (sign, exponent, mantissa) = (random.below(2), 8 + random.below(5), random.below(1024));
    (sign << 15 | exponent << 10 | mantissa) as u16
}

struct Shape {
    kernel: KernelId,
    encoding: Option<Encoding>,
    batch: u32,
    pos: u32,
    count: u32,
    tolerance: f64,
    quick: bool,
}

impl Shape {
    fn case(self, shape: String, params: &impl NoUninit, bindings: Vec<CpuBuffer>) -> Case {
        Case {
            kernel: self.kernel,
            encoding: self.encoding,
            shape,
            params: bytes_of(params).to_vec(),
            batch: self.batch,
            pos: self.pos,
            count: self.count,
            bindings,
            tolerance: self.tolerance,
            quick: self.quick,
        }
    }
}

fn row_lengths(encoding: Encoding) -> Vec<u32> {
    match block(encoding).0 {
        1 => WIDTHS.to_vec(),
        32 => vec![32, 96, 576],
        len => vec![len, 3 * len],
    }
}

fn embed(all: &mut Vec<Case>, encoding: Encoding) {
    for width in row_lengths(encoding) {
        // The part holds rows 20 .. 51 of the table; some ids belong to other parts.
        let (first_row, rows, batch, count) = (20, 31, 6, 5);
        let random = &mut Random(u64::from(width));
        let p = EmbedParams { width, first_row, rows, scale: 1.0 };
        let bindings = vec![
            state_of(3, count),
            CpuBuffer::U32(vec![20, 50, 19, 51, 33, 40]),
            weight(random, encoding, rows, width),
            blank(batch * width),
        ];
        let shape = Shape {
            kernel: KernelId::Embed,
            encoding: Some(encoding),
            batch,
            pos: 3,
            count,
            tolerance: EXACT,
            quick: width >= 32,
        };
        all.push(shape.case(format!("width={width} rows={rows} tokens={count}"), &p, bindings));
    }
}

fn linear(all: &mut Vec<Case>, encoding: Encoding) {
    // Rows of the part, where it begins, whole width, batch, count, accumulate.
    const VECTORS: [(u32, u32, u32, u32, u32, u32); 3] =
        [(31, 0, 31, 1, 1, 0), (5, 7, 20, 1, 1, 1), (1, 0, 1, 1, 1, 0)];
    const MATRICES: [(u32, u32, u32, u32, u32, u32); 3] =
        [(65, 0, 65, 17, 17, 0), (33, 3, 40, 3, 3, 1), (1, 0, 1, 64, 37, 0)];
    let tolerance = if block(encoding).0 == 1 { F32 } else { QUANTISED };
    for k in row_lengths(encoding) {
        for (kernel, shapes) in [(KernelId::MatVec, VECTORS), (KernelId::MatMul, MATRICES)] {
            for (rows, first_row, y_stride, batch, count, accumulate) in shapes {
                let random = &mut Random(u64::from(k * 1000 + rows));
                let p = LinearParams { k, rows, first_row, y_stride, accumulate, pad: [0; 3] };
                let y = batch * y_stride;
                let bindings = vec![
                    state_of(9, count),
                    weight(random, encoding, rows, k),
                    f32s(random, batch * k),
                    if accumulate == 1 { filled(random, y) } else { blank(y) },
                ];
                let quick = rows > 1 && k >= 32;
                let shape = Shape { kernel, encoding: Some(encoding), batch, pos: 9, count, tolerance, quick };
                let part = format!("k={k} rows={first_row}+{rows}/{y_stride} tokens={count}/{batch}");
                let how = if accumulate == 1 { " accumulate" } else { "" };
                all.push(shape.case(part + how, &p, bindings));
            }
        }
    }
}

/// More workgroups than one dimension of a grid takes.
fn wide(all: &mut Vec<Case>) {
    let (k, rows) = (8, 4 * 65_535 + 5);
    let random = &mut Random(8);
    let p = LinearParams { k, rows, first_row: 0, y_stride: rows, accumulate: 0, pad: [0; 3] };
    let bindings = vec![state_of(0, 1), weight(random, Encoding::F32, rows, k), f32s(random, k), blank(rows)];
    let shape = Shape {
        kernel: KernelId::MatVec,
        encoding: Some(Encoding::F32),
        batch: 1,
        pos: 0,
        count: 1,
        tolerance: F32,
        quick: false,
    };
    all.push(shape.case(format!("k={k} rows={rows} (a folded grid)"), &p, bindings));
}

/// The kernels that take rows as they are.
fn rows(all: &mut Vec<Case>) {
    for width in WIDTHS {
        for (batch, count, pos) in [(1, 1, 0), (5, 3, 7), (17, 17, 2)] {
            let random = &mut Random(u64::from(width * 100 + batch));
            let n = batch * width;
            let state = state_of(pos, count);
            let p = WidthParams { width, pad: [0; 3] };
            let norm = NormParams { width, eps: 1e-5, pad: [0; 2] };
            let mut gate = random.values(n as usize);
            for (i, g) in gate.iter_mut().enumerate() {
                *g *= [1.0, 8.0, 200.0][i % 3];
            }
            let text = format!("width={width} tokens={count}/{batch} pos={pos}");
            let shape = |kernel, tolerance| Shape {
                kernel,
                encoding: None,
                batch,
                pos,
                count,
                tolerance,
                quick: width == 172 && batch == 5,
            };
            let vector = if batch == 5 { weight(random, Encoding::F16, 1, width) } else { f32s(random, width) };
            let bindings = vec![state.clone(), f32s(random, n), vector.clone(), blank(n)];
            all.push(shape(KernelId::RmsNorm, F32).case(text.clone(), &norm, bindings));
            let bindings = vec![state.clone(), vector, filled(random, n)];
            all.push(shape(KernelId::AddBias, F32).case(text.clone(), &p, bindings));
            let bindings = vec![state.clone(), f32s(random, n), blank((pos + batch + 2) * width)];
            all.push(shape(KernelId::KvWrite, EXACT).case(text.clone(), &p, bindings));
            let bindings = vec![state.clone(), CpuBuffer::F32(gate), f32s(random, n), blank(n)];
            all.push(shape(KernelId::SiluMul, F32).case(text.clone(), &p, bindings));
            let bindings = vec![state.clone(), f32s(random, n), filled(random, n)];
            all.push(shape(KernelId::Add, F32).case(text.clone(), &p, bindings));
            let bindings = vec![state, f32s(random, n), blank(width)];
            all.push(shape(KernelId::LastRow, EXACT).case(text, &p, bindings));
        }
    }
    let shape =
        Shape { kernel: KernelId::Advance, encoding: None, batch: 4, pos: 11, count: 3, tolerance: EXACT, quick: true };
    let p = WidthParams { width: 0, pad: [0; 3] };
    all.push(shape.case("pos=11 count=3".into(), &p, vec![state_of(11, 3)]));
}

fn rope(all: &mut Vec<Case>) {
    let (batch, count) = (5, 3);
    for (heads, head_dim, half) in [(1, 8, 4), (9, 64, 32), (3, 20, 10), (2, 128, 16), (5, 33, 16)] {
        for neox in [0, 1] {
            for pos in [0, 13] {
                let random = &mut Random(u64::from(heads * head_dim + neox));
                let angles = random.values(((pos + batch) * half) as usize);
                let table = angles.iter().flat_map(|a| [(3.0 * a).cos(), (3.0 * a).sin()]).collect();
                let p = RopeParams { heads, head_dim, half, neox };
                let bindings =
                    vec![state_of(pos, count), CpuBuffer::F32(table), filled(random, batch * heads * head_dim)];
                let shape = Shape {
                    kernel: KernelId::Rope,
                    encoding: None,
                    batch,
                    pos,
                    count,
                    tolerance: F32,
                    quick: head_dim == 64,
                };
                let pairing = if neox == 1 { "halves" } else { "neighbours" };
                all.push(shape.case(
                    format!("heads={heads}x{head_dim} pairs={half} {pairing} pos={pos}"),
                    &p,
                    bindings,
                ));
            }
        }
    }
}

fn attention(all: &mut Vec<Case>) {
    for (heads, kv_heads, head_dim, context, pos, batch, count) in [
        (1, 1, 8, 16, 0, 1, 1),
        (4, 2, 16, 64, 5, 5, 3),
        (8, 1, 20, 64, 30, 3, 3),
        (9, 3, 64, 300, 254, 8, 4),
        (2, 1, 128, 600, 599, 1, 1),
        (3, 3, 33, 40, 7, 5, 5),
        (2, 2, 1, 20, 9, 2, 2),
        (2, 1, 256, 300, 280, 3, 2),
        (6, 3, 48, 64, 0, 17, 17),
    ] {
        let random = &mut Random(u64::from(heads * head_dim + pos));
        let scale = 1.0 / (head_dim as f32).sqrt();
        let p = AttentionParams { heads, kv_heads, head_dim, context, scale, pad: [0; 3] };
        let (width, cache) = (batch * heads * head_dim, context * kv_heads * head_dim);
        let mut keys = random.values(cache as usize);
        keys.iter_mut().for_each(|k| *k *= 4.0);
        let bindings =
            vec![state_of(pos, count), f32s(random, width), CpuBuffer::F32(keys), f32s(random, cache), blank(width)];
        let quick = head_dim == 64 || head_dim == 16;
        let shape =
            Shape { kernel: KernelId::Attention, encoding: None, batch, pos, count, tolerance: ATTENTION, quick };
        let text = format!("heads={heads}/{kv_heads}x{head_dim} pos={pos} tokens={count}/{batch} context={context}");
        all.push(shape.case(text, &p, bindings));
    }
}

fn pick(all: &mut Vec<Case>) {
    type Change = fn(&mut [f32]);
    let changes: [(&str, Change); 4] = [
        ("plain", |_| {}),
        ("ties", |l| l.iter_mut().for_each(|v| *v = (*v * 2.0).round())),
        ("with infinities and NaNs", |l| {
            let len = l.len();
            (l[0], l[len / 2], l[len - 1]) = (f32::INFINITY, f32::NAN, f32::NEG_INFINITY);
        }),
        ("all alike", |l| l.fill(-3.0)),
    ];
    for vocab in [1, 31, 257, 5000] {
        for (what, change) in changes {
            let mut logits = Random(u64::from(vocab)).values(vocab as usize);
            change(&mut logits);
            let mut words = vec![0; state::WORDS];
            (words[state::POS], words[state::COUNT]) = (40, 3);
            (words[state::STEP], words[state::NONFINITE]) = (13, 2);
            let p = PickParams { vocab, ring_len: 5, pad: [0; 2] };
            let bindings = vec![
                CpuBuffer::F32(logits),
                CpuBuffer::U32(words),
                CpuBuffer::U32(vec![77; 6]),
                CpuBuffer::U32(vec![88; 5]),
            ];
            let shape = Shape {
                kernel: KernelId::Pick,
                encoding: None,
                batch: 3,
                pos: 40,
                count: 3,
                tolerance: EXACT,
                quick: vocab == 257,
            };
            all.push(shape.case(format!("vocab={vocab} {what}"), &p, bindings));
        }
    }
}

//! One case: a program of one step, and what its buffers hold before.

use crate::{
    engine::program::{
        BatchLayout, Bucket, BufferId, BufferKind, BufferSpec, CHECKPOINTS, CacheType, Operand, PAGE_ROWS, Part,
        Program, RING, Step, StepKey, TABLE_STEP, View, Want, batch, record_words, sampling, table_words,
    },
    ir::{DType, Dim, Fact, Input, Op, Rotation, Scaling, StateId},
    random::Random,
    tensor::{Encoding, float},
};

/// The cases of all kernels.
#[derive(Default)]
pub(crate) struct Cases {
    pub(in crate::engine) list: Vec<Case>,
}

/// A program of one step with filled buffers.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(in crate::engine) kernel: &'static str,
    pub(in crate::engine) encoding: Option<Encoding>,
    pub(in crate::engine) shape: String,
    pub(in crate::engine) program: Program,
    pub(in crate::engine) uploads: Vec<(BufferId, Vec<u8>)>,
    pub(in crate::engine) writes: Vec<(BufferId, Vec<u32>)>,
    pub(in crate::engine) tolerance: f64,
    pub(in crate::engine) quick: bool,
    random: Numbers,
    rows: Vec<Row>,
    outputs: Vec<u32>,
    lengths: Vec<u32>,
}

/// A row of the step.
#[derive(Debug, Clone, Copy, Default)]
struct Row {
    token: u32,
    position: u32,
    sequence: u32,
}

/// Tolerances of engine decision 11.
pub(crate) const F32: f64 = 1e-7;
/// Of sums over block-quantised weights, and of attention.
pub(crate) const SUMS: f64 = 1e-6;

/// Fills the tail behind an output and the rows beyond the count, which nothing may write.
const SENTINEL: f32 = 12_345.678;
const TAIL: u32 = 67;

/// Row lengths that fall between every tile, vector and workgroup.
pub(crate) const WIDTHS: [u32; 6] = [1, 31, 33, 172, 257, 576];

/// Numbers that follow from a case's own shape, so that a case gives the same in every run.
#[derive(Debug, Clone)]
struct Numbers(Random);

impl Numbers {
    /// FNV-1a of the text as the seed.
    fn of(text: &str) -> Self {
        let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        Self(Random(text.bytes().fold(0xcbf2_9ce4_8422_2325, hash)))
    }
    fn below(&mut self, n: u32) -> u32 {
        (self.0.word() >> 32) as u32 % n
    }
    fn value(&mut self) -> f32 {
        self.0.value()
    }
    /// Bits of an f16 of magnitude 2^-7 to 2^-2.
    fn half(&mut self) -> u16 {
        (self.below(2) << 15 | (8 + self.below(5)) << 10 | self.below(1024)) as u16
    }
}

impl Cases {
    /// Row lengths for an encoding.
    pub(crate) fn row_lengths(&self, encoding: Encoding) -> Vec<u32> {
        match encoding.spec().map_or(1, |s| s.block_len) {
            1 => WIDTHS.to_vec(),
            32 => vec![32, 96, 576],
            len => vec![len, 3 * len],
        }
    }
    /// Adds a case whose results go to new buffers of these rows and widths.
    pub(crate) fn step(
        &mut self,
        kernel: &'static str,
        mut case: Case,
        op: Op,
        inputs: &[Operand],
        outputs: &[(Dim, u32)],
    ) {
        let outputs: Vec<Operand> = outputs.iter().map(|(rows, width)| case.blank(*rows, *width)).collect();
        self.step_into(kernel, case, op, inputs, &outputs);
    }
    /// Adds a case whose results go to these places.
    pub(crate) fn step_into(
        &mut self,
        kernel: &'static str,
        mut case: Case,
        op: Op,
        inputs: &[Operand],
        outputs: &[Operand],
    ) {
        case.kernel = kernel;
        case.program.steps.push(Step {
            op,
            inputs: inputs.to_vec(),
            outputs: outputs.to_vec(),
            label: kernel.into(),
            needed_by: u8::MAX,
        });
        case.finish();
        self.list.push(case);
    }
}

impl Case {
    /// A step of `count` rows of at most `most`, of one sequence from position 0 on, all of which want a result.
    pub(crate) fn new(shape: String, most: u32, count: u32) -> Self {
        let random = Numbers::of(&shape);
        let rows = (0..count).map(|position| Row { token: 0, position, sequence: 0 }).collect();
        let layout = BatchLayout { rows: most, outputs: most, sequences: 1, pages: 8, groups: 1 };
        let mut case = Self {
            kernel: "",
            encoding: None,
            shape,
            program: Program { layout, context: 8 * PAGE_ROWS, ..Program::default() },
            uploads: Vec::new(),
            writes: Vec::new(),
            tolerance: F32,
            quick: false,
            random,
            rows,
            outputs: (0..count).collect(),
            lengths: vec![count],
        };
        case.program.batch = case.buffer("batch", BufferKind::Batch { len: 0 });
        case
    }
    /// "matvec q4_0 k=96 rows=31".
    pub(crate) fn name(&self) -> String {
        let encoding = self.encoding.map(|e| format!(" {e:?}")).unwrap_or_default();
        format!("{}{encoding} {}", self.kernel, self.shape)
    }
    /// The plan.
    pub(in crate::engine) fn key(&self) -> StepKey {
        let bucket = |n| if n == 1 { Bucket::One } else { Bucket::Many };
        let layout = self.program.layout;
        StepKey { rows: bucket(layout.rows), outputs: bucket(layout.outputs), want: Want::Choice }
    }
    /// Equal bits are expected.
    pub(crate) fn exact(&mut self) -> &mut Self {
        self.tolerance(0.0)
    }
    /// The largest normalised mean squared error.
    pub(crate) fn tolerance(&mut self, tolerance: f64) -> &mut Self {
        self.tolerance = tolerance;
        self
    }
    /// Small enough for the self-test at start.
    pub(crate) fn quick(&mut self, quick: bool) -> &mut Self {
        self.quick = quick;
        self
    }
    /// Tokens of the rows.
    pub(crate) fn tokens(&mut self, tokens: &[u32]) -> &mut Self {
        for (row, token) in self.rows.iter_mut().zip(tokens) {
            row.token = *token;
        }
        self
    }
    /// Sequences with rows of this step: the position of the first, and how many. The page table has room for `context` positions
    /// of each, in `groups` tables.
    pub(crate) fn sequences(&mut self, context: u32, groups: u32, runs: &[(u32, u32)]) -> &mut Self {
        let layout = &mut self.program.layout;
        (layout.sequences, layout.pages, layout.groups) = (runs.len() as u32, context.div_ceil(PAGE_ROWS), groups);
        self.program.context = context;
        let rows = (0u32..).zip(runs).flat_map(|(sequence, (first, n))| {
            (*first..first + n).map(move |position| Row { token: 0, position, sequence })
        });
        self.rows = rows.collect();
        self.outputs = (0..self.rows.len() as u32).collect();
        self.lengths = runs.iter().map(|(first, n)| first + n).collect();
        self
    }
    /// Rows that want a result, of at most `most`.
    pub(crate) fn outputs(&mut self, most: u32, outputs: &[u32]) -> &mut Self {
        self.program.layout.outputs = most;
        self.outputs = outputs.to_vec();
        self
    }
    fn buffer(&mut self, name: &str, kind: BufferKind) -> BufferId {
        let name = format!("{name} {}", self.program.buffers.len());
        self.program.buffers.push(BufferSpec { name: name.into(), kind });
        BufferId(self.program.buffers.len() as u32 - 1)
    }
    fn most(&self, rows: Dim) -> u32 {
        match rows {
            Dim::Fixed(n) => n,
            Dim::Outputs => self.program.layout.outputs,
            _ => self.program.layout.rows,
        }
    }
    fn activation(&mut self, words: Vec<f32>) -> BufferId {
        let buffer = self.buffer("values", BufferKind::Activation { len: words.len() as u32 });
        self.writes.push((buffer, words.iter().map(|v| v.to_bits()).collect()));
        buffer
    }
    /// A result that nothing has written, with a tail.
    pub(crate) fn blank(&mut self, rows: Dim, width: u32) -> Operand {
        let words = self.most(rows) * width + TAIL;
        let buffer = self.activation(vec![SENTINEL; words as usize]);
        Operand::View(View { buffer, offset: 0, stride: width, fact: Fact::rows(rows, width) })
    }
    /// Ids that nothing has written, or these.
    pub(crate) fn ids(&mut self, rows: Dim, ids: &[u32]) -> Operand {
        let mut words = vec![SENTINEL; self.most(rows) as usize];
        for (word, id) in words.iter_mut().zip(ids) {
            *word = f32::from_bits(*id);
        }
        let buffer = self.activation(words);
        Operand::View(View { buffer, offset: 0, stride: 1, fact: Fact::new(DType::I32, [rows]) })
    }
    /// Rows of `width` ids that nothing has written.
    pub(crate) fn id_rows(&mut self, rows: Dim, width: u32) -> Operand {
        let buffer = self.activation(vec![SENTINEL; (self.most(rows) * width) as usize]);
        Operand::View(View { buffer, offset: 0, stride: width, fact: Fact::new(DType::I32, [rows, Dim::Fixed(width)]) })
    }
    /// Choices `[rows, used]` that nothing has written, or random ones below a number.
    pub(crate) fn choices(&mut self, used: u32, below: Option<u32>) -> Operand {
        let mut words = vec![SENTINEL; (self.program.layout.rows * used) as usize];
        if let Some(most) = below {
            words.iter_mut().for_each(|word| *word = f32::from_bits(self.random.below(most)));
        }
        let buffer = self.activation(words);
        let fact = Fact::new(DType::I32, [Dim::Rows, Dim::Fixed(used)]);
        Operand::View(View { buffer, offset: 0, stride: used, fact })
    }
    /// The values of each row in several dimensions.
    pub(crate) fn inner(&self, operand: &Operand, dims: &[u32]) -> Operand {
        let Operand::View(view) = operand else { return operand.clone() };
        let mut fact = view.fact.clone();
        fact.shape.truncate(1);
        fact.shape.extend(dims.iter().copied().map(Dim::Fixed));
        let stride = fact.width().unwrap_or(1);
        Operand::View(View { stride, fact, ..view.clone() })
    }
    /// Random values in -1 .. 1, with a tail.
    pub(crate) fn values(&mut self, rows: Dim, width: u32) -> Operand {
        self.strided(rows, width, 0, width)
    }
    /// Random values, rows of `stride` words from `offset` on.
    pub(crate) fn strided(&mut self, rows: Dim, width: u32, offset: u32, stride: u32) -> Operand {
        self.mapped(rows, width, offset, stride, |_, v| v)
    }
    /// Random values changed by a function of their index and value.
    pub(crate) fn mapped(
        &mut self,
        rows: Dim,
        width: u32,
        offset: u32,
        stride: u32,
        f: impl Fn(usize, f32) -> f32,
    ) -> Operand {
        let n = offset + self.most(rows) * stride.max(width);
        let mut words: Vec<f32> = (0..n as usize).map(|i| f(i, self.random.value())).collect();
        words.resize((n + TAIL) as usize, SENTINEL);
        let buffer = self.activation(words);
        Operand::View(View { buffer, offset, stride, fact: Fact::rows(rows, width) })
    }
    /// Columns of a view.
    pub(crate) fn columns(&self, operand: &Operand, start: u32, len: u32) -> Operand {
        let Operand::View(view) = operand else { return operand.clone() };
        let mut fact = view.fact.clone();
        if let Some(last) = fact.shape.last_mut() {
            *last = Dim::Fixed(len);
        }
        Operand::View(View { offset: view.offset + start, fact, ..view.clone() })
    }
    /// A vector weight of random values.
    pub(crate) fn vector(&mut self, len: u32) -> Operand {
        let buffer = self.buffer("vector", BufferKind::Vector { len });
        let bytes = (0..len).flat_map(|_| self.random.value().to_le_bytes()).collect();
        self.uploads.push((buffer, bytes));
        Operand::View(View { buffer, offset: 0, stride: len, fact: Fact::new(DType::F32, [Dim::Fixed(len)]) })
    }
    /// A vector weight of random values below zero.
    pub(crate) fn falling(&mut self, len: u32) -> Operand {
        let buffer = self.buffer("vector", BufferKind::Vector { len });
        let bytes = (0..len).flat_map(|_| (-0.1 - self.random.value().abs()).to_le_bytes()).collect();
        self.uploads.push((buffer, bytes));
        Operand::View(View { buffer, offset: 0, stride: len, fact: Fact::new(DType::F32, [Dim::Fixed(len)]) })
    }
    /// A weight matrix of random blocks in `parts` buffers: any bits for quants, scales of moderate size and either sign.
    pub(crate) fn matrix(&mut self, encoding: Encoding, rows: u32, row_len: u32, parts: u32) -> Operand {
        self.encoding = Some(encoding);
        let each = rows.div_ceil(parts);
        let mut list = Vec::new();
        for first_row in (0..rows).step_by(each as usize) {
            let rows = each.min(rows - first_row);
            let buffer = self.buffer("weight", BufferKind::Weight { encoding, rows, row_len });
            let bytes = self.blocks(encoding, u64::from(rows) * u64::from(row_len));
            self.uploads.push((buffer, bytes));
            list.push(Part { buffer, first_row, rows });
        }
        Operand::Matrix { encoding, rows, row_len, parts: list.into() }
    }
    fn blocks(&mut self, encoding: Encoding, values: u64) -> Vec<u8> {
        let Some(spec) = encoding.spec() else { return Vec::new() };
        let random = &mut self.random;
        let blocks = values / u64::from(spec.block_len);
        let mut bytes = Vec::with_capacity((blocks * u64::from(spec.block_bytes)) as usize);
        for _ in 0..blocks {
            match encoding {
                Encoding::F32 => bytes.extend_from_slice(&random.value().to_le_bytes()),
                Encoding::F16 => bytes.extend_from_slice(&random.half().to_le_bytes()),
                Encoding::BF16 => bytes.extend_from_slice(&((random.value().to_bits() >> 16) as u16).to_le_bytes()),
                _ => {
                    let start = bytes.len();
                    bytes.extend((0..spec.block_bytes).map(|_| random.below(256) as u8));
                    // A power of two between 2^-8 and 2^-1, where it has a byte.
                    if encoding == Encoding::MXFP4 {
                        bytes[start] = 119 + random.below(8) as u8;
                    }
                    // Numbers of two bytes inside a block are its f16 scales.
                    for words in spec.words.iter().filter(|w| w.width == 2) {
                        for i in 0..words.count {
                            let at = start + words.at + 2 * i;
                            bytes[at..at + 2].copy_from_slice(&random.half().to_le_bytes());
                        }
                    }
                }
            }
        }
        bytes
    }
    /// An array of the batch.
    pub(crate) fn input(&self, input: Input) -> Operand {
        Operand::Input(input)
    }
    /// A state with rows for every page, filled.
    pub(crate) fn state(&mut self, cache: CacheType, width: u32, group: u32, scale: f32) -> Operand {
        let layout = self.program.layout;
        let rows = layout.sequences * layout.pages * layout.groups * PAGE_ROWS;
        let state = StateId(self.program.buffers.len() as u32);
        let buffer = self.buffer("state", BufferKind::State { state, cache, rows, width, group });
        let mut words = Vec::new();
        for _ in 0..rows {
            self.state_row(cache, width as usize, scale, &mut words);
        }
        self.writes.push((buffer, words));
        Operand::State(buffer)
    }
    /// What sequences carry, filled. Values above zero, so that a mean's weights are some.
    pub(crate) fn carried(&mut self, width: u32) -> Operand {
        let sequences = self.program.layout.sequences;
        let state = StateId(self.program.buffers.len() as u32);
        let buffer = self.buffer("carried", BufferKind::Carried { state, sequences, width });
        let words = (0..sequences * CHECKPOINTS * width).map(|_| (self.random.value().abs() + 0.1).to_bits()).collect();
        self.writes.push((buffer, words));
        Operand::State(buffer)
    }
    fn state_row(&mut self, cache: CacheType, width: usize, scale: f32, words: &mut Vec<u32>) {
        let random = &mut self.random;
        match cache {
            CacheType::F32 => words.extend((0..width).map(|_| (scale * random.value()).to_bits())),
            CacheType::F16 => words.extend((0..width.div_ceil(2)).map(|_| {
                let mut half = || u32::from(float::to_f16(scale * random.value()));
                half() | half() << 16
            })),
            CacheType::Q8_0 => {
                words.extend((0..width.div_ceil(4)).map(|_| random.0.word() as u32));
                words.extend((0..width.div_ceil(32).div_ceil(2)).map(|_| {
                    let mut half = || u32::from(float::to_f16(scale * random.value() / 127.0));
                    half() | half() << 16
                }));
            }
        }
    }
    /// A rotation of `dims` values; its table has a magnitude of 1.1.
    pub(crate) fn rotation(&mut self, dims: u32) -> usize {
        let half = dims / 2;
        let len = table_words(self.program.context, half);
        let rotation = self.program.rotations.len();
        let buffer = self.buffer("angles", BufferKind::RotaryTable { rotation, len });
        let mut words = Vec::with_capacity(len as usize);
        for entry in 0..len / 2 / half {
            let turns = if entry < TABLE_STEP { entry } else { (entry - TABLE_STEP) * TABLE_STEP };
            let magnitude = if entry < TABLE_STEP { 1.1 } else { 1.0 };
            for i in 0..half {
                let (sin, cos) = (f64::from(turns) * 100f64.powf(-f64::from(i) / f64::from(half))).sin_cos();
                words.extend([(magnitude * cos) as f32, (magnitude * sin) as f32].map(f32::to_bits));
            }
        }
        self.writes.push((buffer, words));
        self.program.rotations.push((Rotation { dims, base: 100.0, scaling: Scaling::None }, buffer));
        rotation
    }
    /// Buffers for choosing: settings of each sequence, counts of tokens where `penalties`, the ring.
    pub(crate) fn choosing(&mut self, vocab: u32, settings: &[[u32; sampling::WORDS]], penalties: bool) {
        let sequences = self.program.layout.sequences;
        self.program.vocab = vocab;
        let len = sequences * sampling::WORDS as u32;
        let buffer = self.buffer("sampling", BufferKind::Sampling { len });
        self.writes.push((buffer, settings.iter().flatten().copied().collect()));
        self.program.sampling = Some(buffer);
        let len = RING * record_words(sequences);
        let buffer = self.buffer("ring", BufferKind::Ring { len });
        self.writes.push((buffer, vec![77; len as usize]));
        self.program.ring = Some(buffer);
        if penalties {
            let buffer = self.buffer("counts", BufferKind::Counts { len: sequences * vocab });
            let words = (0..sequences * vocab).map(|_| self.random.below(8).saturating_sub(5)).collect();
            self.writes.push((buffer, words));
            self.program.counts = Some(buffer);
        }
    }
    /// Buffers that steps may write, with their words before.
    pub(in crate::engine) fn written(&self) -> Vec<(BufferId, Vec<u32>)> {
        self.writes.iter().filter(|(b, _)| self.program.buffer(*b).kind.is_written()).cloned().collect()
    }
    /// Whether a buffer holds ids, which must be equal whatever the tolerance.
    pub(in crate::engine) fn holds_ids(&self, buffer: BufferId) -> bool {
        let is_ids = |o: &Operand| matches!(o, Operand::View(v) if v.buffer == buffer && v.fact.dtype == DType::I32);
        self.program.steps.iter().any(|step| step.outputs.iter().any(is_ids))
    }
    /// Fills the batch.
    fn finish(&mut self) {
        let layout = self.program.layout;
        let header = layout.header();
        let mut words = vec![0u32; layout.words() as usize];
        words[..batch::HEADER].copy_from_slice(&header);
        words[batch::ROWS] = self.rows.len() as u32;
        words[batch::OUTPUTS] = self.outputs.len() as u32;
        words[batch::CHOICES] = RING + 3;
        let mut put = |which: usize, values: Vec<u32>| {
            words[header[which] as usize..][..values.len()].copy_from_slice(&values);
        };
        put(batch::TOKENS_AT, self.rows.iter().map(|r| r.token).collect());
        put(batch::POSITIONS_AT, self.rows.iter().map(|r| r.position).collect());
        put(batch::TYPES_AT, self.rows.iter().map(|r| (r.position + 1) % 3).collect());
        put(batch::SEQUENCES_AT, self.rows.iter().map(|r| r.sequence).collect());
        put(batch::OUTPUTS_AT, self.outputs.clone());
        put(batch::LENGTHS_AT, self.lengths.clone());
        let starts = (0..layout.sequences).map(|s| self.rows.iter().position(|r| r.sequence == s).unwrap_or(0) as u32);
        put(batch::STARTS_AT, starts.collect());
        // Pages in an order that no kernel could guess: each once.
        let pages = layout.groups * layout.sequences * layout.pages;
        let mut order: Vec<u32> = (0..pages).collect();
        for i in (1..pages).rev() {
            order.swap(i as usize, self.random.below(i + 1) as usize);
        }
        put(batch::PAGES_AT, order);
        self.program.buffers[self.program.batch.0 as usize].kind = BufferKind::Batch { len: layout.words() };
        self.writes.push((self.program.batch, words));
    }
}

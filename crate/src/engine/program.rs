//! A program: buffers and steps, plain data made once at load. A device turns each step into work of its own kind.

use std::rc::Rc;

use crate::{
    ir::{Fact, Input, Op, Rotation, Sizes, StateId, WeightId},
    tensor::Encoding,
};

/// Index into [`Program::buffers`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct BufferId(pub u32);

/// What a buffer holds. All words are 32 bits wide.
#[derive(Debug, Clone, PartialEq)]
pub enum BufferKind {
    /// Rows of a weight matrix in its file's encoding; the device may repack them. Never written by steps.
    Weight {
        /// Encoding of the rows as uploaded.
        encoding: Encoding,
        /// Number of rows.
        rows: u32,
        /// Values per row.
        row_len: u32,
    },
    /// f32 values of a vector weight, uploaded as one row of f32. Never written by steps.
    Vector {
        /// Number of values.
        len: u32,
    },
    /// Values known at compile time ([`Program::constants`]). Never written by steps.
    Constant {
        /// Number of words.
        len: u32,
    },
    /// Cosines and sines of a rotation, [`table_words`] words, written by the host. Never written by steps.
    RotaryTable {
        /// Index into [`Program::rotations`].
        rotation: usize,
        /// Number of words.
        len: u32,
    },
    /// Values of a step: f32, or u32 ids. Zero at first.
    Activation {
        /// Number of words.
        len: u32,
    },
    /// Rows that sequences remember, `[pages * PAGE_ROWS, width]`, zero at first.
    State {
        /// Which state of the graph.
        state: StateId,
        /// Element type.
        cache: CacheType,
        /// Rows in all.
        rows: u32,
        /// Values of a row.
        width: u32,
        /// Which page table places its rows.
        group: u32,
    },
    /// What sequences carry from row to row, `[sequences, CHECKPOINTS, width]` of f32: what a sequence has after position p
    /// lies at `p % CHECKPOINTS`. Zero at first.
    Carried {
        /// Which state of the graph.
        state: StateId,
        /// Sequences.
        sequences: u32,
        /// Values of one.
        width: u32,
    },
    /// The step's inputs: [`batch`] says what lies where.
    Batch {
        /// Number of words.
        len: u32,
    },
    /// How to choose the next token, [`sampling::WORDS`] words for each sequence; written by the host.
    Sampling {
        /// Number of words.
        len: u32,
    },
    /// How often each token stood in each sequence, `[sequences, vocab]`, for penalties; written by host and steps.
    Counts {
        /// Number of words.
        len: u32,
    },
    /// Records of choices: `[RING, record_words(sequences)]`.
    Ring {
        /// Number of words.
        len: u32,
    },
}

/// Element type of states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum CacheType {
    /// 32-bit floats.
    #[default]
    F32,
    /// 16-bit floats, two to a word.
    F16,
    /// Blocks of 32 signed bytes with a 16-bit scale, as ggml's Q8_0: a row of n values is n / 4 words of bytes, then n / 64 words of scales (two to a word, rounded up).
    Q8_0,
}

impl CacheType {
    /// Every type.
    pub const ALL: &'static [Self] = &[Self::F32, Self::F16, Self::Q8_0];
    /// Words of a row of `width` values.
    pub fn row_words(self, width: u32) -> u32 {
        match self {
            Self::F32 => width,
            Self::F16 => width.div_ceil(2),
            Self::Q8_0 => width.div_ceil(4) + width.div_ceil(32).div_ceil(2),
        }
    }
    /// "f32", "f16", "q8_0".
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Q8_0 => "q8_0",
        }
    }
    /// The type of this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|t| t.name() == text)
    }
}

/// Rows of a state that lie together.
pub const PAGE_ROWS: u32 = 16;
/// Positions after which a carried state is kept: a step that ran ahead of the host by one can be left out again.
pub const CHECKPOINTS: u32 = 2;
/// Records of choices that a device keeps before the host must have read them.
pub const RING: u32 = 256;
/// Words that a record tells of one sequence's choice besides its id: its probability (f32; -1 where none was asked for), then
/// [`sampling::MAX_ALTERNATIVES`] probabilities, then as many ids.
pub const TOLD_WORDS: u32 = 1 + 2 * sampling::MAX_ALTERNATIVES;

/// Words of a record of choices: the number of non-finite logits, the ids `[sequences]`, then `[sequences, TOLD_WORDS]`.
pub const fn record_words(sequences: u32) -> u32 {
    1 + sequences * (1 + TOLD_WORDS)
}

/// Positions of a rotary table's fine part.
pub const TABLE_STEP: u32 = 256;

/// Words of a rotary table for `context` positions: entries `[TABLE_STEP + ceil(context / TABLE_STEP), half, 2]` of cosine and sine.
///
/// Entry `i < TABLE_STEP` turns by `i` positions and carries the magnitude; entry `TABLE_STEP + j` turns by `j * TABLE_STEP`
/// positions. A position's turn is the product of its two entries as complex numbers: exact to f32 without a table of all positions.
pub fn table_words(context: u32, half: u32) -> u32 {
    (TABLE_STEP + context.div_ceil(TABLE_STEP)) * half * 2
}

/// Words of the batch buffer: a header, then arrays at the offsets that the header states.
pub mod batch {
    /// Rows of the step: tokens computed together.
    pub const ROWS: usize = 0;
    /// Rows that want a result.
    pub const OUTPUTS: usize = 1;
    /// Choices made so far: the ring's write position, in records.
    pub const CHOICES: usize = 2;
    /// Where `tokens[rows]` begins, in words.
    pub const TOKENS_AT: usize = 3;
    /// Where `positions[rows]` begins.
    pub const POSITIONS_AT: usize = 4;
    /// Where `sequences[rows]` begins: the sequence of each row.
    pub const SEQUENCES_AT: usize = 5;
    /// Where `outputs[outputs]` begins: rows that want a result.
    pub const OUTPUTS_AT: usize = 6;
    /// Where `lengths[sequences]` begins: positions that a sequence has after this step.
    pub const LENGTHS_AT: usize = 7;
    /// Where `starts[sequences]` begins: the first row of the sequence in this step.
    pub const STARTS_AT: usize = 8;
    /// Where `pages[groups, sequences, PAGES]` begins: the page of each run of PAGE_ROWS positions.
    pub const PAGES_AT: usize = 9;
    /// Pages of a sequence in the table.
    pub const PAGES: usize = 10;
    /// Sequences that the arrays have room for.
    pub const SEQUENCES: usize = 11;
    /// Logits of the step that were NaN or infinite: choosing adds to it, advancing records and clears it.
    pub const NONFINITE: usize = 12;
    /// Where `types[rows]` begins: kinds of tokens, 0 where the host writes none.
    pub const TYPES_AT: usize = 13;
    /// Words of the header.
    pub const HEADER: usize = 16;
}

/// Words of a sequence's sampling settings.
pub mod sampling {
    /// f32: divides the logits; 0: the likeliest token.
    pub const TEMPERATURE: usize = 0;
    /// u32: keep this many of the likeliest; 0: all.
    pub const TOP_K: usize = 1;
    /// f32: keep the likeliest until their probabilities reach this sum.
    pub const TOP_P: usize = 2;
    /// f32: keep those at least this times as likely as the likeliest.
    pub const MIN_P: usize = 3;
    /// Low word of the seed.
    pub const SEED_LOW: usize = 4;
    /// High word of the seed.
    pub const SEED_HIGH: usize = 5;
    /// f32: divides positive logits, multiplies negative ones, of tokens that have occurred; 1: no penalty.
    pub const REPETITION: usize = 6;
    /// f32: subtracted from the logits of tokens that have occurred.
    pub const PRESENCE: usize = 7;
    /// f32: subtracted for each occurrence.
    pub const FREQUENCY: usize = 8;
    /// u32: how many of the likeliest tokens to tell with their probabilities; 0: no probabilities.
    pub const ALTERNATIVES: usize = 9;
    /// Words of one sequence.
    pub const WORDS: usize = 16;
    /// The most alternatives that are told, as many as OpenAI's `top_logprobs`.
    pub const MAX_ALTERNATIVES: u32 = 20;
}

/// Sizes that the arrays of the batch buffer have room for, and where they begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BatchLayout {
    /// The most rows of a step.
    pub rows: u32,
    /// The most rows that want a result.
    pub outputs: u32,
    /// The most sequences.
    pub sequences: u32,
    /// Pages of a sequence.
    pub pages: u32,
    /// Page tables: 0 for states without a window, then one for each window.
    pub groups: u32,
}

impl BatchLayout {
    /// The header's words for no rows.
    pub fn header(&self) -> [u32; batch::HEADER] {
        let mut words = [0; batch::HEADER];
        let mut at = batch::HEADER as u32;
        let arrays = [
            (batch::TOKENS_AT, self.rows.max(self.sequences)),
            (batch::POSITIONS_AT, self.rows.max(self.sequences)),
            (batch::SEQUENCES_AT, self.rows.max(self.sequences)),
            (batch::TYPES_AT, self.rows.max(self.sequences)),
            (batch::OUTPUTS_AT, self.outputs.max(self.sequences)),
            (batch::LENGTHS_AT, self.sequences),
            (batch::STARTS_AT, self.sequences),
            (batch::PAGES_AT, self.groups * self.sequences * self.pages),
        ];
        for (word, len) in arrays {
            words[word] = at;
            at += len;
        }
        words[batch::PAGES] = self.pages;
        words[batch::SEQUENCES] = self.sequences;
        words
    }
    /// Words of the whole buffer.
    pub fn words(&self) -> u32 {
        self.header()[batch::PAGES_AT] + self.groups * self.sequences * self.pages
    }
}

/// A buffer: its name for people, and what it holds.
#[derive(Debug, Clone, PartialEq)]
pub struct BufferSpec {
    /// "blk.0.attn_q", "x", "logits".
    pub name: Rc<str>,
    /// What it holds.
    pub kind: BufferKind,
}

/// Where a value lies: element `c` of row `r` is word `offset + r * stride + c` of the buffer.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// The buffer.
    pub buffer: BufferId,
    /// First word.
    pub offset: u32,
    /// Words from a row to the next. Rows are all but the last dimension.
    pub stride: u32,
    /// Element type and shape.
    pub fact: Fact,
}

/// Some rows of a weight matrix: one buffer, since a device's buffers may be too small for all of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// The buffer.
    pub buffer: BufferId,
    /// Row of the whole matrix that the buffer's first row is.
    pub first_row: u32,
    /// Rows in the buffer.
    pub rows: u32,
}

/// What a step reads or writes.
#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    /// Values in a buffer: activations, vector weights, constants.
    View(View),
    /// A weight matrix `[rows, row_len]`.
    Matrix {
        /// Encoding as uploaded.
        encoding: Encoding,
        /// Rows of the whole.
        rows: u32,
        /// Values per row.
        row_len: u32,
        /// Its buffers, by rows.
        parts: Rc<[Part]>,
    },
    /// Remembered rows.
    State(BufferId),
    /// An array of the batch buffer.
    Input(Input),
}

/// One operation on buffers.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What is computed. Slices and reshapes are views and make no step.
    pub op: Op,
    /// What it reads, in the operation's order.
    pub inputs: Vec<Operand>,
    /// What it writes, in the operation's order.
    pub outputs: Vec<Operand>,
    /// For people.
    pub label: Rc<str>,
    /// Which wishes need it: bit [`Want`] as a number.
    pub needed_by: u8,
}

/// What a run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Want {
    /// The states alone: an early part of a prompt.
    States = 0,
    /// The graph's results ("logits", "hidden").
    Results = 1,
    /// The next token of each wanted row; it becomes the next step's token.
    Choice = 2,
}

/// For how many rows kernels are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Bucket {
    /// Exactly one.
    One,
    /// Up to the program's most.
    Many,
}

/// Which of a program's plans: compiled on demand, kept by the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StepKey {
    /// Rows of the step.
    pub rows: Bucket,
    /// Rows that want a result.
    pub outputs: Bucket,
    /// What for.
    pub want: Want,
}

/// Where the rows of a weight buffer come from.
#[derive(Debug, Clone, PartialEq)]
pub struct WeightLoad {
    /// Buffer to fill.
    pub buffer: BufferId,
    /// First row of the buffer that is filled.
    pub to_row: u32,
    /// Which weight of the graph.
    pub weight: WeightId,
    /// First row of the weight.
    pub first_row: u32,
    /// Number of rows.
    pub rows: u32,
}

/// Everything a device needs to run a model.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Program {
    /// All buffers.
    pub buffers: Vec<BufferSpec>,
    /// Where the weights come from.
    pub loads: Vec<WeightLoad>,
    /// Values of the constant buffers.
    pub constants: Vec<(BufferId, Rc<[f32]>)>,
    /// Rotary angles, and the buffers of their tables.
    pub rotations: Vec<(Rotation, BufferId)>,
    /// All steps in order.
    pub steps: Vec<Step>,
    /// Layout of the batch buffer.
    pub layout: BatchLayout,
    /// The batch buffer.
    pub batch: BufferId,
    /// The sampling buffer, where the graph ends in a choice.
    pub sampling: Option<BufferId>,
    /// The buffer of token counts, where penalties are possible.
    pub counts: Option<BufferId>,
    /// The ring of choices.
    pub ring: Option<BufferId>,
    /// Results by name.
    pub results: Vec<(Rc<str>, View)>,
    /// The longest sequence.
    pub context: u32,
    /// Number of logits; 0 where the graph gives none.
    pub vocab: u32,
    /// One row is computed by the kernels for many: the pass `select` is off.
    pub general: bool,
}

impl Program {
    /// The buffer's description.
    pub fn buffer(&self, id: BufferId) -> &BufferSpec {
        &self.buffers[id.0 as usize]
    }
    /// The steps of a plan.
    pub fn plan(&self, want: Want) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(move |s| s.needed_by & (1 << want as u8) != 0)
    }
    /// Number of tokens that the model has an embedding for (in every table of such); 0 where it reads none.
    pub fn known_tokens(&self) -> u32 {
        let table = |step: &Step| match (&step.op, step.inputs.as_slice()) {
            (Op::Embed, [Operand::Matrix { rows, .. }, Operand::Input(Input::Tokens)]) => Some(*rows),
            _ => None,
        };
        self.steps.iter().filter_map(table).min().unwrap_or(0)
    }
    /// Whether a step reads this array of the batch.
    pub fn reads(&self, input: Input) -> bool {
        self.steps.iter().any(|s| s.inputs.contains(&Operand::Input(input)))
    }
    /// Whether sequences carry states from row to row, which cannot go back to any earlier position.
    pub fn carries(&self) -> bool {
        self.buffers.iter().any(|b| matches!(b.kind, BufferKind::Carried { .. }))
    }
    /// The plan for a step of so many rows and wanted results.
    pub fn key(&self, rows: usize, outputs: usize, want: Want) -> StepKey {
        let bucket = |n, most| if n <= 1 && (!self.general || most == 1) { Bucket::One } else { Bucket::Many };
        StepKey { rows: bucket(rows, self.layout.rows), outputs: bucket(outputs, self.layout.outputs), want }
    }
    /// The most rows of a step in numbers.
    pub fn sizes(&self, key: StepKey) -> Sizes {
        let many = |bucket, n| if bucket == Bucket::One { 1 } else { n };
        Sizes {
            rows: many(key.rows, self.layout.rows),
            outputs: many(key.outputs, self.layout.outputs),
            context: self.context,
        }
    }
}

impl BufferKind {
    /// Words of 32 bits; of a weight, as many as its file's bytes fill.
    pub fn words(&self) -> u64 {
        match self {
            Self::Weight { encoding, rows, row_len } => {
                let row = encoding.bytes(u64::from(*row_len), u64::from(*row_len)).unwrap_or(0);
                (u64::from(*rows) * row).div_ceil(4)
            }
            Self::State { cache, rows, width, .. } => u64::from(*rows) * u64::from(cache.row_words(*width)),
            Self::Carried { sequences, width, .. } => {
                u64::from(*sequences) * u64::from(CHECKPOINTS) * u64::from(*width)
            }
            Self::Vector { len }
            | Self::Constant { len }
            | Self::RotaryTable { len, .. }
            | Self::Activation { len }
            | Self::Batch { len }
            | Self::Sampling { len }
            | Self::Counts { len }
            | Self::Ring { len } => u64::from(*len),
        }
    }
    /// Whether steps write it.
    pub fn is_written(&self) -> bool {
        matches!(
            self,
            Self::Activation { .. }
                | Self::State { .. }
                | Self::Carried { .. }
                | Self::Batch { .. }
                | Self::Counts { .. }
                | Self::Ring { .. }
        )
    }
}

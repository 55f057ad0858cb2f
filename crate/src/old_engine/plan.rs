//! A program: slots and step lists, plain data made once at load.

use crate::tensor::Encoding;

use super::kernel::KernelId;

/// Index into [`Program::slots`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(pub u32);

/// What a slot holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotKind {
    /// Rows of a weight tensor in its file encoding; the device may repack them. Never written by steps.
    Weight {
        /// Encoding of the rows as uploaded.
        encoding: Encoding,
        /// Number of rows.
        rows: u32,
        /// Values per row.
        row_len: u32,
    },
    /// f32 values given by the program ([`Program::constants`]). Never written by steps.
    Constant {
        /// Number of values.
        len: u32,
    },
    /// f32 activations, zero at first.
    Activation {
        /// Number of values.
        len: u32,
    },
    /// f32 key or value cache `[context, width]`, zero at first.
    Cache {
        /// Number of values.
        len: u32,
    },
    /// The state words ([`super::kernel::state`]).
    State,
    /// u32 token ids of the step.
    Tokens {
        /// The largest batch.
        len: u32,
    },
    /// u32 ring of picked ids.
    Ring {
        /// Number of ids.
        len: u32,
    },
}

/// One slot: its name for people, and what it holds.
#[derive(Debug, Clone, PartialEq)]
pub struct SlotSpec {
    /// "blk.0.attn_q", "x", "logits".
    pub name: String,
    /// What it holds.
    pub kind: SlotKind,
}

/// One kernel launch.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Which kernel.
    pub kernel: KernelId,
    /// Bindings in the kernel's order (inputs, outputs last).
    pub bind: Vec<Slot>,
    /// The kernel's parameter block, as bytes of its `Params` struct.
    pub params: Vec<u8>,
}

/// A list of steps for up to `batch` tokens.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// The most tokens the plan can take.
    pub batch: u32,
    /// Launches in order.
    pub steps: Vec<Step>,
}

/// Which of a program's plans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PlanId {
    /// One token: body, head, pick. The picked id is the next run's token.
    Decode,
    /// One token: body, head, advance; the host reads the logits and writes the next token.
    DecodeLogits,
    /// Up to a chunk of tokens: body, advance; no head.
    Prefill,
    /// Up to a chunk of tokens: body, head on the last row, pick.
    PrefillPick,
    /// Up to a chunk of tokens: body, head on the last row, advance.
    PrefillLogits,
}

/// A weight slot's source: whole rows of a tensor of the model.
#[derive(Debug, Clone, PartialEq)]
pub struct WeightLoad {
    /// Slot to fill.
    pub slot: Slot,
    /// Index into `ModelFile::tensors`.
    pub tensor: usize,
    /// First row of the tensor that goes there.
    pub first_row: u64,
    /// Number of rows.
    pub rows: u64,
}

/// Everything a device needs to run a model.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Program {
    /// All slots.
    pub slots: Vec<SlotSpec>,
    /// Where the weights come from.
    pub weights: Vec<WeightLoad>,
    /// Values of the constant slots.
    pub constants: Vec<(Slot, Vec<f32>)>,
    /// One token: body, head, pick.
    pub decode: Plan,
    /// One token: body, head, advance.
    pub decode_logits: Plan,
    /// A chunk: body, advance.
    pub prefill: Plan,
    /// A chunk: body, head, pick.
    pub prefill_pick: Plan,
    /// A chunk: body, head, advance.
    pub prefill_logits: Plan,
    /// The state slot.
    pub state: Option<Slot>,
    /// The token slot.
    pub tokens: Option<Slot>,
    /// The ring slot.
    pub ring: Option<Slot>,
    /// The logits slot, `[vocab]`.
    pub logits: Option<Slot>,
    /// Rows of the caches: the longest sequence.
    pub context: u32,
    /// Number of logits.
    pub vocab: u32,
}

impl Program {
    /// One of the plans.
    pub fn plan(&self, id: PlanId) -> &Plan {
        match id {
            PlanId::Decode => &self.decode,
            PlanId::DecodeLogits => &self.decode_logits,
            PlanId::Prefill => &self.prefill,
            PlanId::PrefillPick => &self.prefill_pick,
            PlanId::PrefillLogits => &self.prefill_logits,
        }
    }
    /// The slot's description.
    pub fn slot(&self, slot: Slot) -> &SlotSpec {
        &self.slots[slot.0 as usize]
    }
}

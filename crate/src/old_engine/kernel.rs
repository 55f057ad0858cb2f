//! The kernels: what each computes, its bindings in order, and its parameter block.
//!
//! `count` below is the number of active rows (tokens) of a step, at most the plan's batch;
//! rows beyond it hold stale values and are never read by anything that matters. Activations are
//! f32, row-major `[batch, width]`. Each kernel has a WGSL file `shaders/kernels/<name>.wgsl`
//! (plus a `_subgroup` variant where it pays) and a CPU twin in `engine/device/cpu`.

use bytemuck::{Pod, Zeroable};

/// Which kernel; the comment gives the bindings after the parameter block, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KernelId {
    /// `state, tokens, table: weight -> x [batch, width]`. Params: [`EmbedParams`].
    /// `x[t] = table[tokens[t] - first_row]` for ids in this part's rows only.
    Embed,
    /// `state, x, weight [width] -> y`. Params: [`NormParams`]. `y = x / sqrt(mean(x^2) + eps) * weight`.
    RmsNorm,
    /// `state, w: weight [rows, k], x [batch, k] -> y [batch, y_stride]`. Params: [`LinearParams`]. One token.
    MatVec,
    /// The same for many tokens, tiled.
    MatMul,
    /// `state, bias [width] -> y [batch, width]` in place: `y += bias`. Params: [`WidthParams`].
    AddBias,
    /// `state, table [context, half, 2] (cos, sin) -> x [batch, heads * head_dim]` in place. Params: [`RopeParams`].
    Rope,
    /// `state, x [batch, width] -> cache [context, width]` at rows `pos + t`. Params: [`WidthParams`].
    KvWrite,
    /// `state, q [batch, heads * head_dim], k cache, v cache -> y [batch, heads * head_dim]`. Params: [`AttentionParams`].
    /// Causal: row `t` sees cache rows `0 ..= pos + t`.
    Attention,
    /// `state, gate, up -> y`, all `[batch, width]`: `y = gate / (1 + exp(-gate)) * up`. Params: [`WidthParams`].
    SiluMul,
    /// `state, x -> y` in place: `y += x`. Params: [`WidthParams`].
    Add,
    /// `state, x [batch, width] -> y [1, width]`: row `count - 1`. Params: [`WidthParams`].
    LastRow,
    /// `logits [vocab] -> state, tokens, ring`. Params: [`PickParams`].
    /// Greedy choice (lowest id on ties); writes `tokens[0]` and `ring[step % ring_len]`; counts non-finite
    /// logits into the state; then advances: `pos += count; count = 1; step += 1`.
    Pick,
    /// `-> state`: `pos += count; count = 1`. No parameters used. Params: [`WidthParams`].
    Advance,
}

impl KernelId {
    /// All kernels.
    pub const ALL: &'static [Self] = &[
        Self::Embed,
        Self::RmsNorm,
        Self::MatVec,
        Self::MatMul,
        Self::AddBias,
        Self::Rope,
        Self::KvWrite,
        Self::Attention,
        Self::SiluMul,
        Self::Add,
        Self::LastRow,
        Self::Pick,
        Self::Advance,
    ];
    /// File name of the shader without extension.
    pub fn name(self) -> &'static str {
        match self {
            Self::Embed => "embed",
            Self::RmsNorm => "rms_norm",
            Self::MatVec => "matvec",
            Self::MatMul => "matmul",
            Self::AddBias => "add_bias",
            Self::Rope => "rope",
            Self::KvWrite => "kv_write",
            Self::Attention => "attention",
            Self::SiluMul => "silu_mul",
            Self::Add => "add",
            Self::LastRow => "last_row",
            Self::Pick => "pick",
            Self::Advance => "advance",
        }
    }
    /// How many of the last bindings the kernel writes.
    pub fn outputs(self) -> usize {
        if self == Self::Pick { 3 } else { 1 }
    }
}

/// Words of the state slot (u32 each).
pub mod state {
    /// Position of the step's first token in the sequence.
    pub const POS: usize = 0;
    /// Active rows of the step.
    pub const COUNT: usize = 1;
    /// Tokens picked so far: the ring's write position.
    pub const STEP: usize = 2;
    /// Logits that were NaN or infinite, summed over all picks.
    pub const NONFINITE: usize = 3;
    /// Length of the slot in words.
    pub const WORDS: usize = 8;
}

/// Parameters of [`KernelId::Embed`].
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct EmbedParams {
    /// Width of a row.
    pub width: u32,
    /// First vocabulary row held by this part of the table.
    pub first_row: u32,
    /// Rows held by this part.
    pub rows: u32,
    /// Multiplies the row (1.0 for llama).
    pub scale: f32,
}

/// Parameters of [`KernelId::RmsNorm`].
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct NormParams {
    /// Width of a row.
    pub width: u32,
    /// Added to the mean square.
    pub eps: f32,
    /// Padding.
    pub pad: [u32; 2],
}

/// Parameters of [`KernelId::MatVec`] and [`KernelId::MatMul`].
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct LinearParams {
    /// Length of a weight row and of an input row.
    pub k: u32,
    /// Weight rows in this part.
    pub rows: u32,
    /// Where this part's first result goes in an output row.
    pub first_row: u32,
    /// Width of an output row.
    pub y_stride: u32,
    /// 1: add to the output; 0: overwrite it.
    pub accumulate: u32,
    /// Padding.
    pub pad: [u32; 3],
}

/// Parameters of the kernels that need only a width.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct WidthParams {
    /// Width of a row.
    pub width: u32,
    /// Padding.
    pub pad: [u32; 3],
}

/// Parameters of [`KernelId::Rope`].
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct RopeParams {
    /// Heads in a row.
    pub heads: u32,
    /// Width of a head.
    pub head_dim: u32,
    /// Rotated pairs per head (half the rotary dimensions).
    pub half: u32,
    /// 0: pairs (2i, 2i+1), llama.cpp's "norm"; 1: pairs (i, i + half), rotate-half or "neox".
    pub neox: u32,
}

/// Parameters of [`KernelId::Attention`].
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct AttentionParams {
    /// Query heads.
    pub heads: u32,
    /// Key and value heads; `heads` is a multiple.
    pub kv_heads: u32,
    /// Width of a head.
    pub head_dim: u32,
    /// Rows of the cache.
    pub context: u32,
    /// Multiplies the scores: 1 / sqrt(head_dim) for llama.
    pub scale: f32,
    /// Padding.
    pub pad: [u32; 3],
}

/// Parameters of [`KernelId::Pick`].
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct PickParams {
    /// Number of logits.
    pub vocab: u32,
    /// Length of the ring.
    pub ring_len: u32,
    /// Padding.
    pub pad: [u32; 2],
}

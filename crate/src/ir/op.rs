//! The operations: a closed list, each with its own numbers. [`super::eval`] says exactly what each computes.

use super::{
    fact::{DType, Shape},
    graph::{Input, StateId, WeightId},
};

/// One operation. The inputs are listed in order; brackets mean "where there is one".
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// A value that the host gives at every step.
    Input(Input),
    /// A weight of the model.
    Weight(WeightId),
    /// Values known when the graph is built: index into [`super::Graph::constants`].
    Constant(usize),

    /// `(table [n, width], ids [rows])` -> `[rows, width]`: a row of the table for each id.
    Embed,
    /// `(x [.., k], weight [n, k], [bias [n]])` -> `[.., n]`: `x W^T + bias`.
    Linear,
    /// `(a [.., m, k], b [.., k, n])` -> `[.., m, n]`; `transposed`: b is `[.., n, k]`.
    MatMul {
        /// The second matrix is stored by columns.
        transposed: bool,
    },

    /// `(x [.., n * group], weight [group])`: each group of values divided by its root mean square, times the weight.
    RmsNorm {
        /// Added to the mean square.
        eps: f32,
        /// Values normalised together: the width of a row, or of a head.
        group: u32,
    },
    /// `(x [.., n], weight [n], [bias [n]])`: each row less its mean, divided by its standard deviation, times the weight, plus the bias.
    LayerNorm {
        /// Added to the variance.
        eps: f32,
    },
    /// Softmax over the last dimension.
    Softmax,
    /// `(x [rows, heads * head_dim], positions [rows])`: rotates pairs of each head by angles that grow with the position.
    Rope(Rope),
    /// `(q [rows, heads * head_dim], k, v, [bias], [sinks [heads]])`: k and v are what [`Op::StateWrite`] gives, or rows of this
    /// step; the bias is there where [`Attention::reach`] is, the sinks where [`Attention::sinks`] says so.
    Attention(Attention),
    /// `(x [rows, width])` -> the state `[context, width]`: remembers each row at its position in its sequence.
    StateWrite(StateId),
    /// `(inputs of the rule)` -> `[rows, ..]` and the state: rows of a sequence one after the other, each with what the one
    /// before it left. A sequence begins with zeros.
    Recur(Recur),

    /// One value to one value.
    Unary(Unary),
    /// `(a, b)`: a dimension of one, or a missing outer dimension, of `b` (or of `a`) is repeated.
    Binary(Binary),
    /// `(condition, a, b)`: a where the condition holds, else b.
    Select,
    /// To another element type.
    Cast(DType),
    /// Reduces the last dimension to one.
    Reduce(Reduction),

    /// The same values in another shape.
    Reshape(Shape),
    /// Dimension `i` of the result is dimension `order[i]` of the input.
    Transpose(Vec<usize>),
    /// A range of one dimension.
    Slice {
        /// Which dimension.
        axis: usize,
        /// First index.
        start: u32,
        /// Number of indices.
        len: u32,
    },
    /// All inputs, one behind the other along a dimension.
    Concat {
        /// Which dimension.
        axis: usize,
    },
    /// `(x [rows, width], ids [outputs])` -> `[outputs, width]`: the rows that want a result.
    Gather,

    /// `(scores [rows, experts], [bias [experts]])` -> ids `[rows, used]`, weights `[rows, used]`: the experts of each row, best first.
    Route(Routing),
    /// `(x, weight [experts * n, k], [ids [rows, used]], [bias [experts * n]])` -> `[rows, used, n]`: a linear map by the chosen
    /// experts' rows. x is `[rows, used, k]`, a row for each choice, or `[rows, k]`, one for all of them.
    ExpertLinear(ExpertLinear),
    /// `(x [rows, used, n], weights [rows, used])` -> `[rows, n]`: the weighted sum over what was used.
    ExpertSum,

    /// `(logits [outputs, vocab])` -> ids `[outputs]`, the next token of each by the step's sampling settings; `[outputs, alternatives]`, the ids of
    /// the likeliest; `[outputs, 1 + alternatives]`, the probability of the token chosen and of those.
    Sample {
        /// The most of the likeliest that can be told.
        alternatives: u32,
    },
    /// `(ids [outputs], likely ids, probabilities)`, as [`Op::Sample`] gives them: makes the chosen ids the next step's tokens. No result.
    Advance,

    /// Several operations as one; only passes make these.
    Fused(Fused),
}

impl Op {
    /// Whether it stands for something given, and computes nothing.
    pub fn is_leaf(&self) -> bool {
        matches!(self, Self::Input(_) | Self::Weight(_) | Self::Constant(_))
    }
    /// The states that it writes, in the order of its results.
    pub fn states_written(&self) -> Vec<StateId> {
        match self {
            Self::StateWrite(id) | Self::Recur(Recur { state: id, .. }) => vec![*id],
            Self::Fused(Fused::RopeWrite { keys, values, .. }) => vec![*keys, *values],
            _ => Vec::new(),
        }
    }
}

/// Operations that passes join. Each can be taken apart again: [`super::decompose`].
#[derive(Debug, Clone, PartialEq)]
pub enum Fused {
    /// `(x, others..)`: unary and binary operations one after the other on each value of x.
    Chain(Vec<Link>),
    /// `(residual, x, weight, [bias])`: `residual + x W^T + bias`.
    LinearAdd,
    /// `(x, weight [2n, k], [bias [2n]])` -> `[.., n]`: `f(first half) * second half` of the linear map's rows.
    GatedLinear(Unary),
    /// `(qkv [rows, q + k + v], positions)` -> rotated queries `[rows, q]`, key state, value state.
    RopeWrite {
        /// Rotation of queries and keys.
        rope: Rope,
        /// Width of the queries.
        q: u32,
        /// Width of the keys.
        k: u32,
        /// Width of the values.
        v: u32,
        /// Where keys go.
        keys: StateId,
        /// Where values go.
        values: StateId,
    },
}

/// The most inputs of a chain: what a kernel binds.
pub const CHAIN_INPUTS: usize = 4;
/// The most operations of a chain.
pub const CHAIN_LINKS: usize = 8;

/// One operation of a chain.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Link {
    /// `x = f(x)`.
    Unary(Unary),
    /// `x = f(x, input)`; the number counts the chain's inputs, 0 being x itself.
    Binary(Binary, u8),
    /// `x = f(input, x)`.
    Reversed(Binary, u8),
}

/// One value to one value.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(missing_docs, reason = "the names are the functions'")]
pub enum Unary {
    /// `x * s`.
    Scale(f32),
    /// `x + s`.
    Shift(f32),
    /// `s * tanh(x / s)`: Gemma's soft cap.
    SoftCap(f32),
    /// `max(x, s)`.
    AtLeast(f32),
    /// `min(x, s)`.
    AtMost(f32),
    Neg,
    Abs,
    Exp,
    Log,
    Sqrt,
    /// `1 / sqrt(x)`.
    Rsqrt,
    Reciprocal,
    Square,
    Tanh,
    Sigmoid,
    Relu,
    /// `max(x, 0)^2`.
    ReluSquared,
    /// `x / (1 + exp(-x))`.
    Silu,
    /// `x * 0.5 * (1 + erf(x / sqrt 2))`.
    Gelu,
    /// The same by tanh: `0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))`.
    GeluTanh,
    /// `x * sigmoid(1.702 x)`.
    QuickGelu,
    Erf,
    Softplus,
}

/// Two values to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the functions'")]
pub enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Max,
    Min,
    Pow,
}

/// Many values to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the functions'")]
pub enum Reduction {
    Sum,
    Mean,
    Max,
    Min,
}

/// Rotary position embedding.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rope {
    /// Index into [`super::Graph::rotations`]: the angles.
    pub rotation: usize,
    /// Values of a head.
    pub head_dim: u32,
    /// Values of a head that are rotated, from its start; the rest pass through.
    pub dims: u32,
    /// Which values of a head make a pair.
    pub pairing: Pairing,
}

/// Which values of a head rotate together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pairing {
    /// `(2i, 2i + 1)`: llama.cpp's "norm", the paper's.
    Interleaved,
    /// `(i, i + dims / 2)`: "rotate half", "neox".
    Halves,
}

/// Scaled dot-product attention of each row to rows of its own sequence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Attention {
    /// Query heads.
    pub heads: u32,
    /// Key and value heads; `heads` is a multiple.
    pub kv_heads: u32,
    /// Values of a query or key head.
    pub head_dim: u32,
    /// Values of a value head.
    pub value_dim: u32,
    /// Multiplies the scores.
    pub scale: f32,
    /// A row sees positions up to its own; else all of its sequence.
    pub causal: bool,
    /// A row at position p sees positions q with `|p - q| < window` alone: itself and `window - 1` before it, and, where not
    /// causal, as many after it (a local attention of 128 in ModernBERT, 64 to each side, is a window of 65).
    pub window: Option<u32>,
    /// Scores s become `cap * tanh(s / cap)`.
    pub soft_cap: Option<f32>,
    /// To the score of a key `d` positions behind its query (before it where d is below 0) is added what the bias
    /// `[(2 * reach + 1) * heads]` has for the distance and the head: value `(clamp(d, -reach, reach) + reach) * heads + head`.
    /// T5's relative positions.
    pub reach: Option<u32>,
    /// ALiBi: from each score the distance of the two positions is taken, times the head's slope ([`Attention::slope`]). The
    /// number is the largest exponent: 8 in the paper.
    pub alibi: Option<f32>,
    /// A further input has a score for each head that takes part in the softmax and stands for no value.
    pub sinks: bool,
}

impl Attention {
    /// What a head's scores lose for each position of distance: `2^(-alibi * (head + 1) / heads)`; of other numbers of heads than
    /// powers of two the heads beyond the greatest power below fill the gaps. 0 without ALiBi.
    pub fn slope(&self, head: u32) -> f64 {
        let Some(most) = self.alibi else { return 0.0 };
        let n = self.slope_heads();
        let step = if head < n { f64::from(head) + 1.0 } else { f64::from(head - n) + 0.5 };
        (-f64::from(most) * step / f64::from(n)).exp2()
    }
    /// Which input the sinks are.
    pub fn sinks_at(&self) -> Option<usize> {
        self.sinks.then_some(3 + usize::from(self.reach.is_some()))
    }
    /// The greatest power of two up to the number of heads.
    pub fn slope_heads(&self) -> u32 {
        1 << self.heads.max(1).ilog2()
    }
}

/// How experts are chosen and weighed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Routing {
    /// Experts of each row.
    pub used: u32,
    /// From scores to weights.
    pub gating: Gating,
    /// Experts lie in this many groups of equal size; 1: in none.
    pub groups: u32,
    /// Experts of this many groups alone are chosen.
    pub groups_used: u32,
    /// A group counts by the sum of its two best experts, else by its best.
    pub two_of_group: bool,
    /// The chosen experts' weights are divided by their sum.
    pub normalise: bool,
    /// Multiplies the weights at last.
    pub scale: f32,
}

/// From the scores of experts to their weights. A bias is added for the choice alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gating {
    /// Softmax over all experts.
    Softmax,
    /// Each score's sigmoid.
    Sigmoid,
    /// The choice is by scores; softmax over the chosen ones.
    SoftmaxOfChosen,
}

/// A linear map of which each choice has rows of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpertLinear {
    /// Experts whose rows follow each other in the weight.
    pub experts: u32,
    /// An input says which expert each choice is; else all are used, in order.
    pub routed: bool,
}

/// A recurrence over the rows of each sequence, and the state that it carries from one to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recur {
    /// What is computed.
    pub rule: Rule,
    /// What is carried: a state of one row a sequence, of [`Rule::width`] values.
    pub state: StateId,
}

/// What a recurrence computes of row `t` of a sequence. `S` is its state, zeros at first; indices are of a row's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// `(x [rows, channels], weight [channels * taps], [bias [channels]])` -> `[rows, channels]`:
    /// `y[c] = sum over j of weight[c, j] x_{t - taps + 1 + j}[c] + bias[c]`. S `[taps - 1, channels]`: the last rows of x.
    Conv {
        /// Values of a row.
        channels: u32,
        /// Rows that a result looks at, its own included.
        taps: u32,
    },
    /// `(x [rows, heads * head_dim], dt [rows, heads], b [rows, groups * size], c [rows, groups * size], a)` -> as x:
    /// Mamba's selective scan. Of head h in group g: `S[p, s] = exp(dt A[s]) S[p, s] + dt x[p] b[g, s]`, then
    /// `y[p] = sum over s of S[p, s] c[g, s] + D x[p]`. The vector `a` holds A, then D `[heads]`.
    Scan(Scan),
    /// `(q [rows, key_heads * key_dim], k, v [rows, heads * value_dim], decay [rows, heads], beta [rows, heads])` -> as v: the
    /// gated delta rule. Of each head: `S = exp(decay) S`, `S[i, j] += k[i] beta (v[j] - sum over i of S[i, j] k[i])`,
    /// `y[j] = sum over i of S[i, j] q[i]`.
    Delta(Delta),
    /// `(k [rows, channels], v [rows, channels], u [2 * channels])` -> `[rows, channels]`: RWKV 4's weighted mean of values with
    /// weights exp(k), decayed by exp(w) a row, with a bonus of exp(u) for the own row; `u` holds w, then u. S `[3, channels]`:
    /// numerator and denominator, both divided by e to the third, the largest exponent so far.
    Wkv4 {
        /// Values of a row.
        channels: u32,
        /// What is stored for w is `log(-w)`.
        log: bool,
    },
    /// `(r [rows, heads * dim], k, v, w [rows, heads * dim] or [heads * dim], u [heads * dim])` -> as v: RWKV 5 and 6. Of each head:
    /// `y[j] = sum over i of r[i] (S[i, j] + u[i] k[i] v[j])`, then `S[i, j] = w[i] S[i, j] + k[i] v[j]`.
    Wkv {
        /// Heads.
        heads: u32,
        /// Values of a head.
        dim: u32,
    },
}

/// The numbers of a selective scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scan {
    /// Heads: each has a step `dt` of its own. Of Mamba 1 every channel is one.
    pub heads: u32,
    /// Channels of a head.
    pub head_dim: u32,
    /// Numbers that a channel remembers.
    pub size: u32,
    /// Heads in a row share `b` and `c`: so many different ones there are.
    pub groups: u32,
    /// A is `[heads, size]`, not `[heads]`.
    pub full: bool,
    /// What is stored for A is `log(-A)`.
    pub log: bool,
}

/// The numbers of a gated delta rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delta {
    /// Heads of queries and keys.
    pub key_heads: u32,
    /// Heads of values; a multiple.
    pub heads: u32,
    /// Values of a query or key head.
    pub key_dim: u32,
    /// Values of a value head.
    pub value_dim: u32,
    /// Value head h has key head `h % key_heads`; else `h / (heads / key_heads)`.
    pub tiled: bool,
}

impl Rule {
    /// Values of the state of one sequence; `None` beyond 2^32.
    pub fn width(&self) -> Option<u32> {
        let product = |all: &[u32]| all.iter().try_fold(1u32, |n, d| n.checked_mul(*d));
        match self {
            Self::Conv { channels, taps } => product(&[*channels, taps.checked_sub(1)?]),
            Self::Scan(s) => product(&[s.heads, s.head_dim, s.size]),
            Self::Delta(d) => product(&[d.heads, d.value_dim, d.key_dim]),
            Self::Wkv4 { channels, .. } => product(&[3, *channels]),
            Self::Wkv { heads, dim } => product(&[*heads, *dim, *dim]),
        }
    }
    /// Values of a row of the result; `None` beyond 2^32.
    pub fn outputs(&self) -> Option<u32> {
        match self {
            Self::Conv { channels, .. } | Self::Wkv4 { channels, .. } => Some(*channels),
            Self::Scan(s) => s.heads.checked_mul(s.head_dim),
            Self::Delta(d) => d.heads.checked_mul(d.value_dim),
            Self::Wkv { heads, dim } => heads.checked_mul(*dim),
        }
    }
}

impl Delta {
    /// The key head of a value head.
    pub fn key_head(&self, head: u32) -> u32 {
        if self.tiled { head % self.key_heads } else { head / (self.heads / self.key_heads) }
    }
}

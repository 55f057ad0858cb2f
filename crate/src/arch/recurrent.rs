//! Layers that carry a state from row to row: their numbers, and the blocks that architectures share.
//!
//! Sources: transformers `modeling_{mamba,mamba2,lfm2,qwen3_next}.py`; llama.cpp `models/mamba-base.cpp`,
//! `models/delta-net-base.cpp`, `conversion/{mamba,qwen}.py`.

use super::{
    Form, Hparams, Key, Numbers, Role,
    net::Layer,
    numbers::wrong,
    weights::{Part, Values},
};
use crate::{
    fault::{Fault, Result},
    ir::{Binary, Constant, DType, Delta, Dim, Fact, Op, Recur, Rule, Scan, State, Tensor, Unary},
    model::MetaValue,
};

/// What is added under the root of a key's length (transformers `l2norm`).
const KEY_EPS: f32 = 1e-6;
/// Values of a state of one sequence that are run at most: the largest models have about 2^21 a layer.
const MAX_STATE: u64 = 1 << 28;

/// The numbers of layers that carry a state.
#[derive(Debug, Clone, PartialEq)]
pub struct Ssm {
    /// Channels of the recurrence.
    pub inner: u32,
    /// Numbers that a channel remembers: of a delta net the width of a key head.
    pub size: u32,
    /// Heads: of a delta net those of values.
    pub heads: u32,
    /// Groups of heads that share B and C: of a delta net heads of keys.
    pub groups: u32,
    /// Width of what the time step is made of (the first Mamba).
    pub rank: u32,
    /// Rows that the convolution looks at.
    pub taps: u32,
    /// Time steps are kept between these.
    pub step_limit: Option<(f32, f32)>,
    /// What is stored for A is `log(-A)`.
    pub log: bool,
    /// Value heads of a delta net come in turn of their key heads.
    pub tiled: bool,
}

impl Ssm {
    /// The first Mamba's: every channel is a head.
    pub(super) fn first(numbers: &Numbers<'_>) -> Result<Self> {
        let inner = number(numbers, Key::SsmInner)?;
        let rank = number(numbers, Key::SsmRank)?;
        Self { heads: inner, groups: 1, rank, inner, ..Self::common(numbers)? }.checked(numbers)
    }
    /// The second Mamba's, by heads.
    pub(super) fn second(numbers: &Numbers<'_>) -> Result<Self> {
        let (heads, inner) = (number(numbers, Key::SsmHeads)?, number(numbers, Key::SsmInner)?);
        Self { heads, groups: number(numbers, Key::SsmGroups)?, inner, ..Self::common(numbers)? }.checked(numbers)
    }
    fn common(numbers: &Numbers<'_>) -> Result<Self> {
        Ok(Self {
            inner: 0,
            size: number(numbers, Key::SsmSize)?,
            heads: 0,
            groups: 0,
            rank: 0,
            taps: number(numbers, Key::ConvKernel)?,
            step_limit: numbers.limits(Key::StepLimit)?,
            log: numbers.form() == Form::Folder,
            tiled: false,
        })
    }
    fn checked(self, numbers: &Numbers<'_>) -> Result<Self> {
        let by = |a: u32, b: u32| u64::from(a) * u64::from(b);
        if self.heads % self.groups != 0 || self.inner % self.heads != 0 {
            let found = format!("{} groups, {} heads and {} channels", self.groups, self.heads, self.inner);
            return Err(wrong(
                &numbers.spelling(Key::SsmHeads),
                "groups that divide heads that divide channels",
                &found,
            ));
        }
        let largest = by(self.inner, self.size).max(by(self.inner, self.taps)).max(2 * by(self.groups, self.size));
        if largest > MAX_STATE {
            return Err(Fault::limit(format!("a state of {largest} values a layer; up to {MAX_STATE} are run")));
        }
        Ok(self)
    }
    /// Values of a head.
    pub fn head_dim(&self) -> u32 {
        self.inner / self.heads
    }
    /// B and C together, or queries and keys.
    fn shared(&self) -> u32 {
        2 * self.groups * self.size
    }
}

/// A number above zero; "auto" is one that is to be worked out.
fn number(numbers: &Numbers<'_>, key: Key) -> Result<u32> {
    let auto = matches!(numbers.find(key), Some((_, MetaValue::String(text))) if text == "auto");
    match numbers.at(key, 0).filter(|_| auto).and_then(|n| u32::try_from(n).ok()) {
        Some(n) if n > 0 => Ok(n),
        _ => numbers.count(key, 0),
    }
}

impl Hparams {
    /// Layers without attention have no key heads; the first Mamba has no other layers.
    pub(super) fn ssm(&self) -> Result<&Ssm> {
        self.ssm.as_ref().ok_or_else(|| Fault::bug(format!("{} has no recurrent layers", self.architecture)))
    }
}

impl<'g> Layer<'_, 'g> {
    pub(super) fn carried(&self, what: &str, x: Tensor<'g>, rule: Rule, others: &[Tensor<'g>]) -> Tensor<'g> {
        let Some(width) = rule.width() else { return self.fail(Fault::limit("a state beyond 2^32 values")) };
        let name = format!("blk.{}.{what}", self.index).into();
        let state = self.builder().state(State { name, width, window: None, carried: true });
        x.op(what, Op::Recur(Recur { rule, state }), others)
    }
    /// The numbers of the recurrence.
    fn ssm(&self) -> Ssm {
        match self.h().ssm() {
            Ok(ssm) => ssm.clone(),
            Err(fault) => {
                self.fail(fault);
                Ssm {
                    inner: 1,
                    size: 1,
                    heads: 1,
                    groups: 1,
                    rank: 1,
                    taps: 2,
                    step_limit: None,
                    log: false,
                    tiled: false,
                }
            }
        }
    }
    /// A filter for each channel over the last rows, and its bias where it has one.
    fn conv(&self, x: Tensor<'g>, role: Role, taps: u32) -> Tensor<'g> {
        let channels = x.width();
        let mut others = vec![self.values(&[Values::weight(role, channels.saturating_mul(taps))])];
        others.extend(self.bias_of(role, channels));
        self.carried("conv", x, Rule::Conv { channels, taps }, &others)
    }
    /// Each row of a sequence as it was one token before; zeros before the first.
    pub(super) fn before(&self, what: &str, x: Tensor<'g>) -> Tensor<'g> {
        let channels = x.width();
        let fact = Fact::new(DType::F32, [Dim::Fixed(channels.saturating_mul(2))]);
        let values = (0..channels).flat_map(|_| [1.0, 0.0]).collect();
        let filter = self.builder().constant(Constant { fact, values });
        self.carried(what, x, Rule::Conv { channels, taps: 2 }, &[filter])
    }
    /// The values of a tensor, whatever its shape.
    pub(super) fn vector_of(&self, role: Role, len: u32) -> Tensor<'g> {
        self.joined(&[(role, len)])
    }
    /// Those of several, one behind the other.
    pub(super) fn joined(&self, all: &[(Role, u32)]) -> Tensor<'g> {
        self.values(&all.iter().map(|(role, len)| Values::weight(*role, *len)).collect::<Vec<_>>())
    }
    /// A vector of one value.
    fn same(&self, value: f32, len: u32) -> Tensor<'g> {
        let fact = Fact::new(DType::F32, [Dim::Fixed(len)]);
        self.builder().constant(Constant { fact, values: vec![value; len as usize].into() })
    }
    /// `softplus(dt)` within the model's limits.
    fn time_step(&self, dt: Tensor<'g>, limit: Option<(f32, f32)>) -> Tensor<'g> {
        let dt = dt.map(Unary::Softplus);
        limit.map_or(dt, |(low, high)| dt.with(Binary::Max, self.same(low, 1)).with(Binary::Min, self.same(high, 1)))
    }

    /// The first Mamba's block (transformers `MambaMixer`).
    pub fn mamba(&self, x: Tensor<'g>) -> Tensor<'g> {
        let s = self.ssm();
        let width = x.width();
        let both = self.map(x, Role::SsmIn, 2 * s.inner);
        let (x, z) = (both.columns(0, s.inner), both.columns(s.inner, s.inner));
        let x = self.conv(x, Role::SsmConv, s.taps).map(Unary::Silu);
        let made = self.map(x, Role::SsmX, s.rank + 2 * s.size);
        let [dt, b, c] = [(0, s.rank), (s.rank, s.size), (s.rank + s.size, s.size)].map(|(at, n)| made.columns(at, n));
        let dt = self.scan_norm(dt, Role::SsmDtNorm);
        let (b, c) = (self.scan_norm(b, Role::SsmBNorm), self.scan_norm(c, Role::SsmCNorm));
        let dt = self.time_step(self.map(dt, Role::SsmDt, s.inner), s.step_limit);
        let a = self
            .values(&[Values::weight(Role::SsmA, s.inner.saturating_mul(s.size)), Values::weight(Role::SsmD, s.inner)]);
        let scan = Scan { heads: s.inner, head_dim: 1, size: s.size, groups: 1, full: true, log: s.log };
        let y = self.carried("scan", x, Rule::Scan(scan), &[dt, b, c, a]);
        self.map(z.map(Unary::Silu) * y, Role::SsmOut, width)
    }
    /// The norm of what a scan is steered by, where the model has one: with a weight, or without.
    fn scan_norm(&self, x: Tensor<'g>, role: Role) -> Tensor<'g> {
        let (h, group) = (self.h(), x.width());
        let (weight, eps) = match (self.has(role), h.scan_eps) {
            (true, _) => (self.values(&[Values::weight(role, group)]), h.norm_eps),
            (false, Some(eps)) => (self.same(1.0, group), eps),
            (false, None) => return x,
        };
        x.op("norm", Op::RmsNorm { eps, group }, &[weight])
    }
    /// The second Mamba's block (transformers `Mamba2Mixer`).
    pub fn mamba2(&self, x: Tensor<'g>) -> Tensor<'g> {
        let s = self.ssm();
        let (width, shared) = (x.width(), s.shared());
        let all = self.map(x, Role::SsmIn, 2 * s.inner + shared + s.heads);
        let z = all.columns(0, s.inner);
        let xbc = all.columns(s.inner, s.inner + shared);
        let dt = all.columns(2 * s.inner + shared, s.heads);
        let xbc = self.conv(xbc, Role::SsmConv, s.taps).map(Unary::Silu);
        let x = xbc.columns(0, s.inner);
        let (b, c) = (xbc.columns(s.inner, shared / 2), xbc.columns(s.inner + shared / 2, shared / 2));
        let dt = self.time_step(dt + self.step_bias(s.heads), s.step_limit);
        let a = self.values(&[Values::weight(Role::SsmA, s.heads), Values::weight(Role::SsmD, s.heads)]);
        let scan =
            Scan { heads: s.heads, head_dim: s.head_dim(), size: s.size, groups: s.groups, full: false, log: s.log };
        let y = self.carried("scan", x, Rule::Scan(scan), &[dt, b, c, a]);
        self.map(self.gated_norm(z.map(Unary::Silu) * y, &s), Role::SsmOut, width)
    }
    /// The norm of each group of channels, where the model has one; each channel has a weight of its own.
    fn gated_norm(&self, y: Tensor<'g>, s: &Ssm) -> Tensor<'g> {
        if !self.has(Role::SsmNorm) {
            return y;
        }
        let weight = self.values(&[Values::weight(Role::SsmNorm, s.inner)]);
        let (eps, group) = (self.h().norm_eps, s.inner / s.groups);
        match s.groups {
            1 => y.op("norm", Op::RmsNorm { eps, group }, &[weight]),
            _ => y.op("norm", Op::RmsNorm { eps, group }, &[self.same(1.0, group)]) * weight,
        }
    }
    /// What is added to time steps: a tensor of its own, or the bias beside one.
    fn step_bias(&self, heads: u32) -> Tensor<'g> {
        match self.has(Role::SsmDtBias) {
            true => self.values(&[Values::weight(Role::SsmDtBias, heads)]),
            false => self.values(&[Values::bias(Role::SsmDt, heads)]),
        }
    }

    /// A short convolution between two gates (transformers `Lfm2ShortConv`).
    pub fn short_conv(&self, x: Tensor<'g>) -> Tensor<'g> {
        let n = x.width();
        let all = self.map(x, Role::ShortConvIn, 3 * n);
        let [b, c, x] = [0, 1, 2].map(|i| all.columns(i * n, n));
        let y = self.conv(b * x, Role::ShortConv, self.h().conv_taps);
        self.map(c * y, Role::ShortConvOut, n)
    }

    /// A gated delta net (transformers `Qwen3NextGatedDeltaNet`).
    pub fn delta_net(&self, x: Tensor<'g>) -> Tensor<'g> {
        let s = self.ssm();
        let (width, keys, eps) = (x.width(), s.groups * s.size, self.h().norm_eps);
        let [qkv, z] = self.delta_inputs(x, &s);
        let [beta, alpha] = self.delta_gates(x, &s);
        let qkv = self.conv(qkv, Role::SsmConv, s.taps).map(Unary::Silu);
        // A key divided by its length: a norm of each head whose weight takes the root of its width out again.
        let unit = |x: Tensor<'g>, scale: f32| {
            let norm = Op::RmsNorm { eps: KEY_EPS / s.size as f32, group: s.size };
            x.op("norm", norm, &[self.same(scale, s.size)])
        };
        let q = unit(qkv.columns(0, keys), 1.0 / s.size as f32);
        let k = unit(qkv.columns(keys, keys), f64::from(s.size).powf(-0.5) as f32);
        let v = qkv.columns(2 * keys, s.inner);
        let a = self.values(&[Values::weight(Role::SsmA, s.heads)]);
        let a = if s.log { a.map(Unary::Exp).map(Unary::Neg) } else { a };
        let decay = (alpha + self.step_bias(s.heads)).map(Unary::Softplus) * a;
        let rule = Rule::Delta(Delta {
            key_heads: s.groups,
            heads: s.heads,
            key_dim: s.size,
            value_dim: s.head_dim(),
            tiled: s.tiled,
        });
        let y = self.carried("delta", q, rule, &[k, v, decay, beta.map(Unary::Sigmoid)]);
        let weight = self.values(&[Values::weight(Role::SsmNorm, s.head_dim())]);
        let y = y.op("norm", Op::RmsNorm { eps, group: s.head_dim() }, &[weight]);
        self.map(z.map(Unary::Silu) * y, Role::SsmOut, width)
    }
    /// Queries, keys and values side by side, and the gate: a tensor each, or one whose rows follow each other by key head.
    fn delta_inputs(&self, x: Tensor<'g>, s: &Ssm) -> [Tensor<'g>; 2] {
        let (keys, both) = (s.groups * s.size, 2 * s.groups * s.size + s.inner);
        if !self.has(Role::SsmIn) {
            return [self.map(x, Role::AttnQkv, both), self.map(x, Role::AttnGate, s.inner)];
        }
        let values = s.inner / s.groups;
        let part = |first, run| Part { first, run, step: 2 * s.size + 2 * values, runs: s.groups };
        let rows = 2 * keys + 2 * s.inner;
        let qkv = [part(0, s.size), part(s.size, s.size), part(2 * s.size, values)];
        let z = [part(2 * s.size + values, values)];
        [self.map_parts(x, Role::SsmIn, rows, &qkv), self.map_parts(x, Role::SsmIn, rows, &z)]
    }
    /// What beta and the decay are made of: a tensor each, or one whose rows follow each other by key head.
    fn delta_gates(&self, x: Tensor<'g>, s: &Ssm) -> [Tensor<'g>; 2] {
        if !self.has(Role::SsmBetaAlpha) {
            return [self.map(x, Role::SsmBeta, s.heads), self.map(x, Role::SsmAlpha, s.heads)];
        }
        let each = s.heads / s.groups;
        let part = |first| [Part { first, run: each, step: 2 * each, runs: s.groups }];
        [0, each].map(|first| self.map_parts(x, Role::SsmBetaAlpha, 2 * s.heads, &part(first)))
    }
    /// Attention with norms of heads whose result is gated: rows of queries and gates follow each other by head.
    pub fn output_gated_attention(&self, x: Tensor<'g>) -> Tensor<'g> {
        let (h, l) = (self.h(), self.index);
        let (dim, heads) = (h.head_dim.at(l), h.heads.at(l));
        let part = |first| [Part { first, run: dim, step: 2 * dim, runs: heads }];
        let [q, gate] = [0, dim].map(|first| self.map_parts(x, Role::AttnQ, 2 * h.q_width(l), &part(first)));
        let (k, v) = (self.linear(x, Role::AttnK), self.linear(x, Role::AttnV));
        let q = self.rope(self.head_norm(q, Role::QNorm));
        let k = self.rope(self.head_norm(k, Role::KNorm));
        self.linear(gate.map(Unary::Sigmoid) * self.attention(q, k, v), Role::AttnOutput)
    }
}

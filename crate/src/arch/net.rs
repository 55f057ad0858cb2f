//! The words of a forward pass: embedding, norms, projections, rotation, attention, head.

use super::{
    Hparams, Latent, Relative, Role,
    weights::{Part, Share, Values, Weights},
};
use crate::{
    fault::{Fault, Result},
    ir::{
        Attention, Builder, Constant, DType, Dim, ExpertLinear, Fact, Input, Op, Rope, Routing, State, StateId, Tensor,
        Unary, Weight,
    },
};

/// A model under construction: its numbers, its tensors, and the graph.
pub struct Net<'g> {
    g: &'g Builder,
    h: &'g Hparams,
    weights: &'g Weights<'g>,
}

/// One layer of it.
pub struct Layer<'n, 'g> {
    net: &'n Net<'g>,
    /// Which, from 0.
    pub index: u32,
}

impl<'g> Net<'g> {
    pub(super) fn new(g: &'g Builder, h: &'g Hparams, weights: &'g Weights<'g>) -> Self {
        Self { g, h, weights }
    }
    /// The numbers.
    pub fn hparams(&self) -> &'g Hparams {
        self.h
    }
    /// The layers, first to last; after a fault no more of them.
    pub fn layers(&self) -> impl Iterator<Item = Layer<'_, 'g>> {
        (0..self.h.layers).take_while(|_| !self.g.has_failed()).map(|index| {
            self.g.set_label(format!("blk.{index}"));
            Layer { net: self, index }
        })
    }
    /// A weight; after a fault a placeholder.
    fn take(&self, weight: Result<Weight>) -> Tensor<'g> {
        match weight {
            Ok(weight) => self.g.weight(weight),
            Err(fault) => self.fail(fault),
        }
    }
    fn take_bias(&self, bias: Result<Option<Weight>>) -> Option<Tensor<'g>> {
        match bias {
            Ok(bias) => bias.map(|b| self.g.weight(b)),
            Err(fault) => Some(self.fail(fault)),
        }
    }
    fn fail(&self, fault: Fault) -> Tensor<'g> {
        self.g.fail(fault);
        // The builder answers with its placeholder.
        self.g.op("fault", Op::Constant(usize::MAX), &[])
    }
    /// A row of the embedding for each token, scaled where the model scales it: `[rows, hidden_size]`.
    pub fn embed(&self) -> Tensor<'g> {
        let table = self.take(self.weights.matrix(Role::TokenEmbedding, 0, None));
        let x = self.g.op("embedding", Op::Embed, &[table, self.g.input(Input::Tokens)]);
        self.h.embedding_scale.map_or(x, |scale| x.map(Unary::Scale(scale)))
    }
    /// A row of the table of positions for each token: `[rows, hidden_size]`.
    pub fn positions(&self) -> Tensor<'g> {
        let (first, rows) = (self.h.first_position, self.h.context);
        let table = self.take(self.weights.matrix(Role::PositionEmbedding, 0, Some(Part::rows(first, rows))));
        self.g.op("position", Op::Embed, &[table, self.g.input(Input::Positions)])
    }
    /// The embedding of each token's kind, where the model has kinds: `[rows, hidden_size]`; of one kind, `[hidden_size]`.
    pub fn token_types(&self) -> Option<Tensor<'g>> {
        if !self.weights.has(Role::TokenTypes, 0) {
            return None;
        }
        if self.weights.rows(Role::TokenTypes) == Some(1) {
            return Some(self.take(self.weights.row_of(Role::TokenTypes, 0, 0)));
        }
        let table = self.take(self.weights.matrix(Role::TokenTypes, 0, None));
        Some(self.g.op("kind", Op::Embed, &[table, self.g.input(Input::Types)]))
    }
    /// RMSNorm of each row.
    pub fn rms_norm(&self, x: Tensor<'g>, role: Role) -> Tensor<'g> {
        self.rms(x, role, 0, x.width())
    }
    fn rms(&self, x: Tensor<'g>, role: Role, layer: u32, group: u32) -> Tensor<'g> {
        let weight = self.take(self.weights.vector(role, layer));
        x.op("norm", Op::RmsNorm { eps: self.h.norm_eps, group }, &[weight])
    }
    /// LayerNorm of each row, with a bias where the model has one.
    pub fn layer_norm(&self, x: Tensor<'g>, role: Role) -> Tensor<'g> {
        self.norm(x, role, 0)
    }
    fn norm(&self, x: Tensor<'g>, role: Role, layer: u32) -> Tensor<'g> {
        let op = Op::LayerNorm { eps: self.h.norm_eps };
        let weight = self.take(self.weights.vector(role, layer));
        match self.take_bias(self.weights.bias(role, layer, None)) {
            Some(bias) => x.op("norm", op, &[weight, bias]),
            None => x.op("norm", op, &[weight]),
        }
    }
    /// `x W^T`, the bias added where the model has one.
    fn linear(&self, name: &str, x: Tensor<'g>, role: Role, layer: u32, part: Option<Part>) -> Tensor<'g> {
        let weight = self.take(self.weights.matrix(role, layer, part));
        x.linear(name, weight, self.take_bias(self.weights.bias(role, layer, part)))
    }
    /// The scores of all tokens by the output head, or by the embedding where the two are one: `[.., vocab_size]`.
    pub fn logits(&self, x: Tensor<'g>) -> Tensor<'g> {
        let own = match self.h.tied {
            Some(tied) => !tied,
            None => self.weights.has(Role::Output, 0),
        };
        let x = match own {
            true => self.linear("logits", x, Role::Output, 0, None),
            false => x.linear("logits", self.take(self.weights.matrix(Role::TokenEmbedding, 0, None)), None),
        };
        let x = self.h.logit_scale.map_or(x, |scale| x.map(Unary::Scale(scale)));
        self.h.logit_cap.map_or(x, |cap| x.map(Unary::SoftCap(cap)))
    }
    /// RMSNorm of each group of values, without weights.
    pub fn plain_norm(&self, x: Tensor<'g>, group: u32) -> Tensor<'g> {
        let ones = self.values(&vec![1.0; group as usize]);
        x.op("norm", Op::RmsNorm { eps: self.h.norm_eps, group }, &[ones])
    }
    /// Values known now, `[n]`.
    pub fn values(&self, values: &[f32]) -> Tensor<'g> {
        let fact = Fact::new(DType::F32, [Dim::Fixed(values.len() as u32)]);
        self.g.constant(Constant { fact, values: values.into() })
    }
    /// `x W^T` by one of several maps of a role.
    pub fn linear_item(&self, x: Tensor<'g>, role: Role, item: u32) -> Tensor<'g> {
        x.linear("projected", self.take(self.weights.item(role, 0, item)), None)
    }
    /// `x W^T`, before or behind the layers.
    pub fn project(&self, x: Tensor<'g>, role: Role) -> Tensor<'g> {
        self.linear("projected", x, role, 0, None)
    }
    /// RMSNorm of each group of values.
    pub fn group_norm(&self, x: Tensor<'g>, role: Role, group: u32) -> Tensor<'g> {
        self.rms(x, role, 0, group)
    }
    /// A row of another table for each token.
    pub fn embed_by(&self, role: Role) -> Tensor<'g> {
        let table = self.take(self.weights.matrix(role, 0, None));
        self.g.op("embedding", Op::Embed, &[table, self.g.input(Input::Tokens)])
    }
    /// Several values side by side.
    pub fn beside(&self, parts: &[Tensor<'g>]) -> Tensor<'g> {
        self.g.op("beside", Op::Concat { axis: 1 }, parts)
    }
    /// Sums of the `from` parts of each row of x by weights: part `i` of the result is the sum over j of
    /// `weights[i, j] * part j`; weights are `[rows, to * from]`, or constants `[to * from]`.
    pub fn mix(&self, weights: Tensor<'g>, x: Tensor<'g>, from: u32, to: u32) -> Tensor<'g> {
        let width = x.width() / from.max(1);
        let (dims, rank) = ([Dim::Fixed(to), Dim::Fixed(from)], self.g.fact(weights).shape.len());
        let weights = match rank {
            1 => weights.reshape(&dims),
            _ => weights.reshape(&[Dim::Rows, dims[0], dims[1]]),
        };
        let parts = x.reshape(&[Dim::Rows, Dim::Fixed(from), Dim::Fixed(width)]);
        let y = weights.op("mixed", Op::MatMul { transposed: false }, &[parts]);
        y.reshape(&[Dim::Rows, Dim::Fixed(to * width)])
    }
    /// Names what follows the layers, for people.
    pub fn end(&self) {
        self.g.set_label("");
    }
}

impl<'g> Layer<'_, 'g> {
    pub(super) fn h(&self) -> &'g Hparams {
        self.net.h
    }
    /// The numbers.
    pub fn hparams(&self) -> &'g Hparams {
        self.net.h
    }
    pub(super) fn builder(&self) -> &'g Builder {
        self.net.g
    }
    /// Keeps a fault, unless there is one already, and gives a placeholder.
    pub(super) fn fail(&self, fault: Fault) -> Tensor<'g> {
        self.net.fail(fault)
    }
    /// Values of tensors one behind the other, whatever their shapes.
    pub(super) fn values(&self, all: &[Values]) -> Tensor<'g> {
        self.net.take(self.net.weights.joined(self.index, all))
    }
    /// Rows of a matrix as it is stored, for widths that nothing states; 1 where there is none.
    pub(super) fn rows_of(&self, role: Role) -> u32 {
        self.net.weights.stored_rows(role, self.index).unwrap_or(1)
    }
    /// The bias beside a tensor, where the model has one.
    pub(super) fn bias_of(&self, role: Role, len: u32) -> Option<Tensor<'g>> {
        let has = self.net.weights.has_bias(role, self.index);
        has.then(|| self.values(&[Values::bias(role, len)]))
    }
    /// `x W^T` by a tensor of this many rows, the bias added where the model has one.
    pub fn map(&self, x: Tensor<'g>, role: Role, rows: u32) -> Tensor<'g> {
        self.map_parts(x, role, rows, &[Part::rows(0, rows)])
    }
    /// The same by parts of the tensor's rows, in this order.
    pub(super) fn map_parts(&self, x: Tensor<'g>, role: Role, rows: u32, parts: &[Part]) -> Tensor<'g> {
        let weights = self.net.weights;
        let weight = self.net.take(weights.parts(role, self.index, [rows, x.width()], parts));
        let bias = match weights.has_bias(role, self.index) {
            true => Some(self.net.take(weights.bias_parts(role, self.index, rows, parts))),
            false => None,
        };
        x.linear("projected", weight, bias)
    }
    /// The function between the two maps of the feed-forward layer.
    pub fn activation(&self) -> Unary {
        self.h().activation
    }
    /// How many standard deviations above the mean of its row a gate must be to open, where some stay shut.
    pub fn sparsity(&self) -> Option<f32> {
        self.h().sparsity.at(self.index)
    }
    /// True where the layer has the role's tensor.
    pub fn has(&self, role: Role) -> bool {
        self.net.weights.has(role, self.index)
    }
    /// RMSNorm of each row.
    pub fn rms_norm(&self, x: Tensor<'g>, role: Role) -> Tensor<'g> {
        self.net.rms(x, role, self.index, x.width())
    }
    /// The values of a vector of the layer.
    pub fn vector(&self, role: Role) -> Tensor<'g> {
        self.net.take(self.net.weights.vector(role, self.index))
    }
    /// RMSNorm of each head.
    pub fn head_norm(&self, x: Tensor<'g>, role: Role) -> Tensor<'g> {
        self.net.rms(x, role, self.index, self.h().head_dim.at(self.index))
    }
    /// LayerNorm of each row.
    pub fn layer_norm(&self, x: Tensor<'g>, role: Role) -> Tensor<'g> {
        self.net.norm(x, role, self.index)
    }
    /// `x W^T`, the bias added where the model has one.
    pub fn linear(&self, x: Tensor<'g>, role: Role) -> Tensor<'g> {
        self.net.linear("projected", x, role, self.index, None)
    }
    /// Queries, keys and values, kept within bounds where the model has such.
    pub fn qkv(&self, x: Tensor<'g>) -> [Tensor<'g>; 3] {
        self.unbounded_qkv(x).map(|x| self.bounded(x))
    }
    /// Within plus and minus the model's bound, where it has one.
    pub fn bounded(&self, x: Tensor<'g>) -> Tensor<'g> {
        match self.h().qkv_clamp {
            Some(most) => x.map(Unary::AtLeast(-most)).map(Unary::AtMost(most)),
            None => x,
        }
    }
    /// Queries, keys and values: rows of one fused tensor, or a tensor each.
    pub fn unbounded_qkv(&self, x: Tensor<'g>) -> [Tensor<'g>; 3] {
        let (net, l) = (self.net, self.index);
        let one = |name, role, part| net.linear(name, x, role, l, part);
        if !net.weights.has(Role::AttnQkv, l) {
            return [one("q", Role::AttnQ, None), one("k", Role::AttnK, None), one("v", Role::AttnV, None)];
        }
        let (q, k, v) = (self.h().q_width(l), self.h().k_width(l), self.h().v_width(l));
        let parts = match net.weights.by_head(Role::AttnQkv) {
            true => {
                // For each key head: the queries that share it, the key, the value.
                let (dim, runs) = (self.h().head_dim.at(l), self.h().kv_heads.at(l));
                let shared = q / runs;
                let part = |first, run| Part { first, run, step: shared + 2 * dim, runs };
                [part(0, shared), part(shared, dim), part(shared + dim, dim)]
            }
            false => [Part::rows(0, q), Part::rows(q, k), Part::rows(q + k, v)],
        };
        let [q, k, v] = parts.map(Some);
        [one("q", Role::AttnQkv, q), one("k", Role::AttnQkv, k), one("v", Role::AttnQkv, v)]
    }
    /// The gate and what it is put on: halves of one fused tensor, or a tensor each.
    pub fn gate_up(&self, x: Tensor<'g>) -> [Tensor<'g>; 2] {
        let (net, l) = (self.net, self.index);
        let one = |name, role, part| net.linear(name, x, role, l, part);
        if net.weights.row(Role::FfnGateUp).is_none() || !net.weights.has(Role::FfnGateUp, l) {
            return [one("gate", Role::FfnGate, None), one("up", Role::FfnUp, None)];
        }
        let n = self.h().intermediate_size.at(l);
        let half = |first| Some(Part::rows(first, n));
        [one("gate", Role::FfnGateUp, half(0)), one("up", Role::FfnGateUp, half(n))]
    }
    /// Rotates each head by its position, in layers that do; layers with a window by angles of their own, where there are such.
    pub fn rope(&self, x: Tensor<'g>) -> Tensor<'g> {
        let h = self.h();
        if !h.rotated.at(self.index) {
            return x;
        }
        let local = h.local_rope.as_ref().filter(|_| h.windowed.at(self.index));
        let Some(rotation) = local.or(h.rope.as_ref()) else {
            return self.net.fail(Fault::bug(format!("{} has no rotary angles", h.architecture)));
        };
        let dims = rotation.dims;
        let rotation = self.net.g.rotation(rotation.clone());
        x.rope(Rope { rotation, head_dim: h.head_dim.at(self.index), dims, pairing: h.pairing })
    }
    /// Attention: to all that came before and itself, within the layer's window; in encoders to all rows.
    pub fn attention(&self, q: Tensor<'g>, k: Tensor<'g>, v: Tensor<'g>) -> Tensor<'g> {
        self.attend(q, self.remember(k, v))
    }
    /// Keys and values as attention looks at them: remembered by sequence; in encoders those of the step.
    pub fn remember(&self, k: Tensor<'g>, v: Tensor<'g>) -> [Tensor<'g>; 2] {
        let (h, l) = (self.h(), self.index);
        match h.causal {
            false => [k, v],
            true => [k.remember(self.state("k", h.k_width(l))), v.remember(self.state("v", h.v_width(l)))],
        }
    }
    /// Attention to keys and values of this layer, or of another one.
    pub fn attend(&self, q: Tensor<'g>, [k, v]: [Tensor<'g>; 2]) -> Tensor<'g> {
        let (h, l) = (self.h(), self.index);
        let head_dim = h.head_dim.at(l);
        let spec = Attention {
            heads: h.heads.at(l),
            kv_heads: h.kv_heads.at(l),
            head_dim,
            value_dim: h.value_dim.at(l),
            scale: h.score_scale.unwrap_or_else(|| f64::from(head_dim).powf(-0.5) as f32),
            causal: h.causal,
            window: h.window.at(l),
            soft_cap: h.score_cap,
            reach: h.relative.map(|r| r.most),
            alibi: h.slopes,
            sinks: self.has(Role::AttnSinks),
        };
        let sinks = spec.sinks.then(|| self.net.take(self.net.weights.vector(Role::AttnSinks, l)));
        q.attention(spec, k, v, h.relative.map(|r| self.by_distance(r)), sinks)
    }
    /// The bias of scores by distance: the layer's own, or the first one's.
    fn by_distance(&self, relative: Relative) -> Tensor<'g> {
        let own = if self.has(Role::RelativeBias) { self.index } else { 0 };
        self.net.take(self.net.weights.by_distance(Role::RelativeBias, own, relative))
    }
    fn state(&self, what: &str, width: u32) -> StateId {
        let name = format!("blk.{}.{what}", self.index).into();
        self.net.g.state(State { name, width, window: self.h().window.at(self.index), carried: false })
    }

    /// Gate and up of the expert that all tokens share: halves of one tensor, or a tensor each.
    pub fn shared_gate_up(&self, x: Tensor<'g>) -> [Tensor<'g>; 2] {
        let (net, l) = (self.net, self.index);
        if !self.has(Role::SharedGateUp) {
            return [("gate", Role::SharedGate), ("up", Role::SharedUp)]
                .map(|(n, role)| net.linear(n, x, role, l, None));
        }
        let half = |name, which| {
            x.linear(name, net.take(net.weights.of_heads(Role::SharedGateUp, l, 1, Share::Half(which))), None)
        };
        [half("gate", 0), half("up", 1)]
    }
    /// The experts of each row and their weights: the choice by the router's scores.
    pub fn route(&self, x: Tensor<'g>, routing: Routing) -> [Tensor<'g>; 2] {
        let scores = self.linear(x, Role::Router);
        let bias = self.net.take_bias(self.net.weights.router_bias(self.index));
        let ids = scores.op("experts", Op::Route(routing), &bias.into_iter().collect::<Vec<_>>());
        [ids, ids.result(1)]
    }
    /// Gate and up of each chosen expert, `[rows, used, width]`: halves of one tensor (woven row by row where `woven`), or a tensor each.
    pub fn expert_gate_up(&self, x: Tensor<'g>, ids: Tensor<'g>, woven: bool) -> [Tensor<'g>; 2] {
        let share = |which| if woven { Share::Other(which) } else { Share::Half(which) };
        let (net, l) = (self.net, self.index);
        let packed = [Role::GateUpBlocks, Role::GateUpScales];
        let fused = self.has(Role::GateUpExperts);
        [("gate", Role::GateExperts, 0), ("up", Role::UpExperts, 1)].map(|(name, role, which)| {
            let weight = match (fused, self.has(packed[0])) {
                (true, _) => net.weights.experts(Role::GateUpExperts, l, share(which)),
                (_, true) => net.weights.packed_experts(packed, l, Role::GateUpExperts.row().shape, share(which)),
                _ => net.weights.experts(role, l, Share::All),
            };
            let bias = match fused || self.has(packed[0]) {
                true => net.weights.expert_biases(Role::GateUpExpertsBias, l, share(which)),
                false => net.weights.expert_biases(role, l, Share::All),
            };
            self.by_experts(name, x, weight, bias, ids)
        })
    }
    /// What each chosen expert gives, `[rows, used, hidden_size]`.
    pub fn expert_down(&self, x: Tensor<'g>, ids: Tensor<'g>) -> Tensor<'g> {
        let (weights, l) = (self.net.weights, self.index);
        let packed = [Role::DownBlocks, Role::DownScales];
        let weight = match self.has(packed[0]) {
            true => weights.packed_experts(packed, l, Role::DownExperts.row().shape, Share::All),
            false => weights.experts(Role::DownExperts, l, Share::All),
        };
        let beside = weights.expert_biases(Role::DownExperts, l, Share::All);
        let bias = beside.and_then(|b| match b {
            Some(bias) => Ok(Some(bias)),
            None => weights.expert_biases(Role::DownExpertsBias, l, Share::All),
        });
        self.by_experts("down", x, weight, bias, ids)
    }
    fn by_experts(
        &self,
        name: &str,
        x: Tensor<'g>,
        weight: Result<Weight>,
        bias: Result<Option<Weight>>,
        ids: Tensor<'g>,
    ) -> Tensor<'g> {
        let mut others = vec![self.net.take(weight), ids];
        others.extend(self.net.take_bias(bias));
        x.op(name, Op::ExpertLinear(ExpertLinear { experts: self.h().experts, routed: true }), &others)
    }
    /// Rows of heads by matrices of their own: `x [rows, heads * k]` to `[rows, heads * n]`.
    fn by_heads(&self, name: &str, x: Tensor<'g>, heads: u32, weight: Result<Weight>) -> Tensor<'g> {
        let each = x.width() / heads.max(1);
        let x = x.reshape(&[Dim::Rows, Dim::Fixed(heads), Dim::Fixed(each)]);
        x.op(name, Op::ExpertLinear(ExpertLinear { experts: heads, routed: false }), &[self.net.take(weight)])
    }
    /// Latent attention and its output map: what is remembered of a row is `rank` values and one rotated key. The maps from there to
    /// keys and values of heads are put before and behind attention: queries are brought to the latent row's width, and what attention
    /// gives is brought to values.
    pub fn latent_attention(&self, x: Tensor<'g>) -> Tensor<'g> {
        let (net, h, l) = (self.net, self.h(), self.index);
        let (Some(latent), heads) = (h.latent, h.heads.at(l)) else {
            return net.fail(Fault::bug("latent attention without its widths"));
        };
        let Latent { rank, plain, rotated, value } = latent;
        let narrow = self.has(Role::QLow);
        let x_q = if narrow { self.rms_norm(self.linear(x, Role::QLow), Role::QLowNorm) } else { x };
        let from = if narrow { Role::QHigh } else { Role::AttnQ };
        let q = |name: &str, rows| x_q.linear(name, net.take(net.weights.of_heads(from, l, heads, rows)), None);
        let (q, q_rotated) = (q("q", Share::Rows(0, plain)), q("q_rotated", Share::Rows(plain, rotated)));
        let kv = |name: &str, first, rows| net.linear(name, x, Role::KvLow, l, Some(Part::rows(first, rows)));
        let c = self.rms_norm(kv("kv", 0, rank), Role::KvLowNorm);
        let k_rotated = self.rope_of(kv("k_rotated", rank, rotated), rotated);
        let split = self.has(Role::KHigh);
        let (k_high, v_high) = match split {
            true => (net.weights.by_heads(Role::KHigh, l), net.weights.by_heads(Role::VHigh, l)),
            false => (
                net.weights.heads_turned(Role::KvHigh, l, heads, [0, plain]),
                net.weights.of_heads(Role::KvHigh, l, heads, Share::Rows(plain, value)),
            ),
        };
        let q = self.by_heads("q_latent", q, heads, k_high);
        let in_heads = |x: Tensor<'g>, n| x.reshape(&[Dim::Rows, Dim::Fixed(heads), Dim::Fixed(n)]);
        let q_rotated = in_heads(self.rope_of(q_rotated, rotated), rotated);
        let q = q.op("q_whole", Op::Concat { axis: 2 }, &[q_rotated]);
        let q = q.reshape(&[Dim::Rows, Dim::Fixed(heads * (rank + rotated))]);
        let k = c.op("k", Op::Concat { axis: 1 }, &[k_rotated]);
        let spec = Attention {
            heads,
            kv_heads: 1,
            head_dim: rank + rotated,
            value_dim: rank,
            scale: h.score_scale.unwrap_or_else(|| f64::from(plain + rotated).powf(-0.5) as f32),
            causal: true,
            window: h.window.at(l),
            soft_cap: None,
            reach: None,
            alibi: None,
            sinks: false,
        };
        let (k, v) = (k.remember(self.state("k", rank + rotated)), c.remember(self.state("v", rank)));
        let y = self.by_heads("v_latent", q.attention(spec, k, v, None, None), heads, v_high);
        self.linear(y.reshape(&[Dim::Rows, Dim::Fixed(heads * value)]), Role::AttnOutput)
    }
    /// Rotates heads of a width of their own.
    fn rope_of(&self, x: Tensor<'g>, head_dim: u32) -> Tensor<'g> {
        let h = self.h();
        let Some(rotation) = &h.rope else { return self.net.fail(Fault::bug("no rotary angles")) };
        let rotation = (rotation.dims, self.net.g.rotation(rotation.clone()));
        x.rope(Rope { rotation: rotation.1, head_dim, dims: rotation.0, pairing: h.pairing })
    }
}

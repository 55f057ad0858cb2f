//! The words of a forward pass: embedding, norms, projections, rotation, attention, head.

use super::{
    Hparams, Role,
    weights::{Part, Values, Weights},
};
use crate::{
    fault::{Fault, Result},
    ir::{Attention, Builder, Input, Op, Rope, State, StateId, Tensor, Unary, Weight},
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
    /// The embedding of the first kind of token, where the model has kinds: `[hidden_size]`.
    pub fn first_token_type(&self) -> Option<Tensor<'g>> {
        let has = self.weights.has(Role::TokenTypes, 0);
        has.then(|| self.take(self.weights.row_of(Role::TokenTypes, 0, 0)))
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
    /// Names what follows the layers, for people.
    pub fn end(&self) {
        self.g.set_label("");
    }
}

impl<'g> Layer<'_, 'g> {
    pub(super) fn h(&self) -> &'g Hparams {
        self.net.h
    }
    pub(super) fn builder(&self) -> &'g Builder {
        self.net.g
    }
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
    /// True where the layer has the role's tensor.
    pub fn has(&self, role: Role) -> bool {
        self.net.weights.has(role, self.index)
    }
    /// RMSNorm of each row.
    pub fn rms_norm(&self, x: Tensor<'g>, role: Role) -> Tensor<'g> {
        self.net.rms(x, role, self.index, x.width())
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
    /// Queries, keys and values: rows of one fused tensor, or a tensor each.
    pub fn qkv(&self, x: Tensor<'g>) -> [Tensor<'g>; 3] {
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
        };
        if !h.causal {
            return q.attention(spec, k, v);
        }
        let (k, v) = (k.remember(self.state("k", h.k_width(l))), v.remember(self.state("v", h.v_width(l))));
        q.attention(spec, k, v)
    }
    fn state(&self, what: &str, width: u32) -> StateId {
        let name = format!("blk.{}.{what}", self.index).into();
        self.net.g.state(State { name, width, window: self.h().window.at(self.index), carried: false })
    }
}

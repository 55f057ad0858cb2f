//! Blocks that many architectures share.

use super::{Role, net::Layer};
use crate::{
    fault::Fault,
    ir::{Op, Tensor, Unary},
};

impl<'g> Layer<'_, 'g> {
    /// `down(f(gate(x)) * up(x))`: SwiGLU, GeGLU, by the model's activation.
    pub fn gated_mlp(&self, x: Tensor<'g>) -> Tensor<'g> {
        let [gate, up] = self.gate_up(x);
        self.linear(gate.map(self.activation()) * up, Role::FfnDown)
    }
    /// `down(f(up(x)))`.
    pub fn mlp(&self, x: Tensor<'g>) -> Tensor<'g> {
        self.linear(self.linear(x, Role::FfnUp).map(self.activation()), Role::FfnDown)
    }
    /// The feed-forward layer of models with experts: those that the router chooses, and the one that all tokens share where the
    /// layer has it; in layers without experts a gated one.
    pub fn mixture(&self, x: Tensor<'g>) -> Tensor<'g> {
        if !self.has(Role::Router) {
            return self.gated_mlp(x);
        }
        let y = self.experts(x);
        if self.has(Role::SharedDown) { y + self.shared_expert(x) } else { y }
    }
    /// The sum of what the chosen experts give, weighted: each a gated feed-forward layer.
    pub fn experts(&self, x: Tensor<'g>) -> Tensor<'g> {
        self.experts_by(x, false, |gate, up| gate.map(self.activation()) * up)
    }
    /// The same with another gate; `woven`: rows of gate and up of one tensor take turns.
    pub fn experts_by(
        &self,
        x: Tensor<'g>,
        woven: bool,
        gate: impl Fn(Tensor<'g>, Tensor<'g>) -> Tensor<'g>,
    ) -> Tensor<'g> {
        let Some(routing) = self.hparams().routing else {
            return self.fail(Fault::unsupported("the metadata states no number of experts, and a layer has them"));
        };
        let [ids, weights] = self.route(x, routing);
        let [g, up] = self.expert_gate_up(x, ids, woven);
        self.expert_down(gate(g, up), ids).op("experts", Op::ExpertSum, &[weights])
    }
    /// The expert that all tokens share; behind a sigmoid of its own router's score where it has one.
    pub fn shared_expert(&self, x: Tensor<'g>) -> Tensor<'g> {
        let [gate, up] = self.shared_gate_up(x);
        let y = self.linear(gate.map(self.activation()) * up, Role::SharedDown);
        match self.has(Role::SharedRouter) {
            true => y * self.linear(x, Role::SharedRouter).map(Unary::Sigmoid),
            false => y,
        }
    }
    /// Attention with rotated queries and keys, and its output map.
    pub fn rotary_attention(&self, x: Tensor<'g>) -> Tensor<'g> {
        let [q, k, v] = self.qkv(x);
        self.linear(self.attention(self.rope(q), self.rope(k), v), Role::AttnOutput)
    }
    /// The same with a norm of each head of queries and keys before the rotation.
    pub fn normed_attention(&self, x: Tensor<'g>) -> Tensor<'g> {
        let [q, k, v] = self.qkv(x);
        let (q, k) = (self.head_norm(q, Role::QNorm), self.head_norm(k, Role::KNorm));
        self.linear(self.attention(self.rope(q), self.rope(k), v), Role::AttnOutput)
    }
    /// Attention of architectures that add positions to the embedding, and its output map.
    pub fn plain_attention(&self, x: Tensor<'g>) -> Tensor<'g> {
        let [q, k, v] = self.qkv(x);
        self.linear(self.attention(q, k, v), Role::AttnOutput)
    }
}

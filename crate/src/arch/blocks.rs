//! Blocks that many architectures share.

use super::{Role, net::Layer};
use crate::ir::Tensor;

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

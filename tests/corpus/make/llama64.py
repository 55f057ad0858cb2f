"""A llama in plain numpy with 64-bit floats: the ground truth for every other implementation.

It shares no code with the training model: one token at a time, with a cache, and
for GGUF with the interleaved rotary pairs that llama.cpp uses.
"""

from __future__ import annotations

import numpy as np

from config import ModelConfig


class Llama64:
    """Reads tokens one after the other; `step` returns the logits of the next one."""

    def __init__(self, weights: dict[str, np.ndarray], config: ModelConfig, interleaved: bool) -> None:
        self.weights, self.config, self.interleaved = weights, config, interleaved
        half = config.head_dim // 2
        self.frequency = config.rope_theta ** (-np.arange(half, dtype=np.float64) / half)
        self.reset()

    def reset(self) -> None:
        """Forgets everything read so far."""
        self.keys: list[list[np.ndarray]] = [[] for _ in range(self.config.layers)]
        self.values: list[list[np.ndarray]] = [[] for _ in range(self.config.layers)]

    def _norm(self, x: np.ndarray, name: str) -> np.ndarray:
        """RMSNorm of x [width]."""
        return x / np.sqrt(np.mean(x * x) + self.config.norm_eps) * self.weights[name]

    def _rotate(self, heads: np.ndarray, position: int) -> np.ndarray:
        """Rotary embedding of heads [count, head_dim]."""
        cos, sin = np.cos(position * self.frequency), np.sin(position * self.frequency)
        half = self.config.head_dim // 2
        first = np.s_[:, 0::2] if self.interleaved else np.s_[:, :half]
        second = np.s_[:, 1::2] if self.interleaved else np.s_[:, half:]
        turned = np.empty_like(heads)
        turned[first] = heads[first] * cos - heads[second] * sin
        turned[second] = heads[second] * cos + heads[first] * sin
        return turned

    def _attention(self, x: np.ndarray, layer: int) -> np.ndarray:
        """Attention of the newest token x [width] to all tokens read so far."""
        config, prefix = self.config, f"model.layers.{layer}.self_attn."
        position = len(self.keys[layer])

        def project(name: str) -> np.ndarray:
            return (self.weights[f"{prefix}{name}_proj.weight"] @ x).reshape(-1, config.head_dim)

        q = self._rotate(project("q"), position)
        self.keys[layer].append(self._rotate(project("k"), position))
        self.values[layer].append(project("v"))
        keys, values = np.stack(self.keys[layer], 1), np.stack(self.values[layer], 1)
        mixed = []
        for head in range(config.heads):
            shared = head * config.kv_heads // config.heads
            scores = keys[shared] @ q[head] / np.sqrt(config.head_dim)
            weights = np.exp(scores - scores.max())
            mixed.append(weights @ values[shared] / weights.sum())
        return self.weights[prefix + "o_proj.weight"] @ np.concatenate(mixed)

    def _mlp(self, x: np.ndarray, layer: int) -> np.ndarray:
        """SwiGLU of x [width]."""
        prefix = f"model.layers.{layer}.mlp."
        gate = self.weights[prefix + "gate_proj.weight"] @ x
        gate = gate / (1 + np.exp(-gate))
        return self.weights[prefix + "down_proj.weight"] @ (gate * (self.weights[prefix + "up_proj.weight"] @ x))

    def step(self, token: int) -> np.ndarray:
        """Reads one token id; returns logits [vocab]."""
        embedding = self.weights["model.embed_tokens.weight"]
        x = embedding[token]
        for layer in range(self.config.layers):
            prefix = f"model.layers.{layer}."
            x = x + self._attention(self._norm(x, prefix + "input_layernorm.weight"), layer)
            x = x + self._mlp(self._norm(x, prefix + "post_attention_layernorm.weight"), layer)
        return embedding @ self._norm(x, "model.norm.weight")

    def read(self, tokens: list[int]) -> np.ndarray:
        """Starts anew, reads all tokens, returns logits [tokens, vocab]."""
        self.reset()
        return np.stack([self.step(token) for token in tokens])

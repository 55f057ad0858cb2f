"""Tiny Gemma 3n and 4 folders whose last layers share keys and values, and the logits of a plain float64 forward pass in NumPy.

The corpus of tiny models has none of this: layers without keys of their own, feed-forward layers of twice the width, full layers that
use keys as values, three residual streams, gates that are sparse in some layers only. The forward pass follows transformers'
modeling_gemma3n.py and modeling_gemma4.py and shares no code with the crate.

    pip install numpy && python tests/corpus/make/gemma.py
"""

import json
import math
from pathlib import Path

import numpy as np

from heads import gelu_tanh, rng_of, safetensors, softmax, vector, weight

HOME = Path(__file__).resolve().parent.parent / "gemma"
WIDTH, HEADS, VOCAB, FFN, OWN, WINDOW, EPS = 24, 4, 40, 32, 8, 4, 1e-6
KINDS = ["sliding_attention", "full_attention", "sliding_attention", "full_attention", "sliding_attention", "full_attention"]
LAYERS, SHARED, STREAMS, RANK = len(KINDS), 2, 3, 8
PROMPT = [2, 31, 7, 7, 19, 4, 25, 33, 11, 3, 16, 29]
# Standard normal quantile of 0.8.
PARTS, DEVIATIONS = [0.8, 0.8, 0.0, 0.0, 0.8, 0.0], 0.8416212335729143


def rms(x, w=1.0):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + EPS) * w


def turned(x, head, base, part=1.0):
    """Rotates halves of heads; of `part` below one only the first pairs turn."""
    n, half = len(x), head // 2
    frequencies = base ** (-np.arange(half) * 2.0 / head)
    frequencies[int(part * head // 2) :] = 0
    angles = np.arange(n)[:, None] * frequencies
    cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
    y = x.reshape(n, -1, head)
    a, b = y[..., :half], y[..., half:]
    return np.concatenate([a * cos - b * sin, b * cos + a * sin], -1).reshape(n, -1)


def attention(q, k, v, head, window):
    n = len(q)
    q, k, v = (y.reshape(n, -1, head) for y in (q, k, v))
    group, apart = q.shape[1] // k.shape[1], np.arange(n)[:, None] - np.arange(n)[None]
    sees = (apart >= 0) & (apart < window)
    out = [softmax(np.where(sees, q[:, h] @ k[:, h // group].T, -np.inf)) @ v[:, h // group] for h in range(q.shape[1])]
    return np.concatenate(out, -1)


class Gemma:
    def __init__(self, three):
        self.three = three
        self.model = "gemma3n_text" if three else "gemma4_text"
        rng, t = rng_of(self.model), {}
        t["embed_tokens"] = weight(rng, VOCAB, WIDTH, scale=2)
        t["embed_tokens_per_layer"] = weight(rng, VOCAB - 4 if three else VOCAB, LAYERS * OWN, scale=2)
        t["per_layer_model_projection"] = weight(rng, LAYERS * OWN, WIDTH, scale=3)
        t["per_layer_projection_norm"], t["norm"] = vector(rng, OWN, 1), vector(rng, WIDTH, 1)
        for i in range(STREAMS - 1 if three else 0):
            t[f"altup_projections.{i}"], t[f"altup_unembed_projections.{i}"] = weight(rng, WIDTH, WIDTH), weight(rng, WIDTH, WIDTH)
        for l in range(LAYERS):
            p, own = f"layers.{l}.", l < LAYERS - SHARED
            head, kv = self.head(l), self.kv_heads(l)
            for name in ("input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm",
                         "post_per_layer_input_norm"):
                t[p + name] = vector(rng, WIDTH, 1)
            t[p + "self_attn.q_proj"], t[p + "self_attn.o_proj"] = weight(rng, HEADS * head, WIDTH), weight(rng, WIDTH, HEADS * head)
            t[p + "self_attn.q_norm"] = vector(rng, head, 1)
            if own:
                t[p + "self_attn.k_proj"], t[p + "self_attn.k_norm"] = weight(rng, kv * head, WIDTH), vector(rng, head, 1)
                if three or KINDS[l] == "sliding_attention":
                    t[p + "self_attn.v_proj"] = weight(rng, kv * head, WIDTH)
            ffn = FFN if own or three else 2 * FFN
            t[p + "mlp.gate_proj"], t[p + "mlp.up_proj"] = weight(rng, ffn, WIDTH), weight(rng, ffn, WIDTH)
            t[p + "mlp.down_proj"] = weight(rng, WIDTH, ffn)
            t[p + "per_layer_input_gate"], t[p + "per_layer_projection"] = weight(rng, OWN, WIDTH), weight(rng, WIDTH, OWN)
            if three:
                t[p + "altup.correct_output_scale"] = vector(rng, WIDTH, 1)
                t[p + "altup.correction_coefs"], t[p + "altup.prediction_coefs"] = weight(rng, STREAMS, STREAMS), weight(rng, STREAMS**2, STREAMS)
                t[p + "altup.modality_router"], t[p + "altup.router_norm"] = weight(rng, STREAMS, WIDTH, scale=WIDTH), vector(rng, WIDTH, 1)
                t[p + "laurel.linear_left"], t[p + "laurel.linear_right"] = weight(rng, RANK, WIDTH), weight(rng, WIDTH, RANK)
                t[p + "laurel.post_laurel_norm"] = vector(rng, WIDTH, 1)
            else:
                t[p + "layer_scalar"] = np.array([0.7 + 0.1 * l], np.float32)
        self.t = t

    def full(self, l):
        return KINDS[l] == "full_attention"

    def head(self, l):
        return 16 if self.full(l) and not self.three else 8

    def kv_heads(self, l):
        return 1 if self.full(l) and not self.three else 2

    def config(self):
        rope = {"full_attention": {"rope_type": "default", "rope_theta": 1e6}, "sliding_attention": {"rope_type": "default", "rope_theta": 1e4}}
        c = {"architectures": ["Gemma3nForCausalLM" if self.three else "Gemma4ForCausalLM"], "model_type": self.model, "vocab_size": VOCAB,
             "vocab_size_per_layer_input": VOCAB - 4 if self.three else VOCAB, "hidden_size": WIDTH, "num_hidden_layers": LAYERS,
             "num_attention_heads": HEADS, "num_key_value_heads": 2, "head_dim": 8, "hidden_size_per_layer_input": OWN,
             "layer_types": KINDS, "sliding_window": WINDOW, "num_kv_shared_layers": SHARED, "max_position_embeddings": 64, "rms_norm_eps": EPS,
             "hidden_activation": "gelu_pytorch_tanh", "final_logit_softcapping": 30.0, "rope_parameters": rope, "tie_word_embeddings": True}
        if self.three:
            return c | {"intermediate_size": [FFN] * LAYERS, "altup_num_inputs": STREAMS, "altup_active_idx": 0, "altup_correct_scale": True,
                        "laurel_rank": RANK, "activation_sparsity_pattern": PARTS}
        rope["full_attention"] = {"rope_type": "proportional", "rope_theta": 1e6, "partial_rotary_factor": 0.5}
        # As the models are published: sizes of full layers under names of their own.
        return c | {"intermediate_size": FFN, "global_head_dim": 16, "num_global_key_value_heads": 1, "attention_k_eq_v": True,
                    "use_double_wide_mlp": True, "use_bidirectional_attention": "vision", "enable_moe_block": False}

    def attend(self, l, x, kept):
        t, p, head, full = self.w, f"layers.{l}.self_attn.", self.head(l), self.full(l)
        n, turn = len(x), lambda y: turned(y, head, 1e6 if full else 1e4, 0.5 if full and not self.three else 1.0)
        by_head = lambda y, w=1.0: rms(y.reshape(n, -1, head), w).reshape(n, -1)
        q = turn(by_head(x @ t[p + "q_proj"].T, t[p + "q_norm"]))
        if l < LAYERS - SHARED:
            k = x @ t[p + "k_proj"].T
            v = x @ t[p + "v_proj"].T if p + "v_proj" in t else k
            kept[KINDS[l]] = turn(by_head(k, t[p + "k_norm"])), by_head(v)
        k, v = kept[KINDS[l]]
        return attention(q, k, v, head, 10**9 if full else WINDOW) @ t[p + "o_proj"].T

    def mlp(self, l, x):
        t, p = self.w, f"layers.{l}.mlp."
        gate = x @ t[p + "gate_proj"].T
        if self.three and PARTS[l]:
            gate = np.maximum(gate - gate.mean(-1, keepdims=True) - DEVIATIONS * gate.std(-1, keepdims=True), 0)
        return (gelu_tanh(gate) * (x @ t[p + "up_proj"].T)) @ t[p + "down_proj"].T

    def own(self, l, x, inputs):
        t, p = self.w, f"layers.{l}."
        y = gelu_tanh(x @ t[p + "per_layer_input_gate"].T) * inputs[:, l]
        return rms(y @ t[p + "per_layer_projection"].T, t[p + "post_per_layer_input_norm"])

    def logits(self, ids):
        t = self.w = {k: v.astype(np.float64) for k, v in self.t.items()}
        n, kept = len(ids), {}
        x = t["embed_tokens"][ids] * math.sqrt(WIDTH)
        mapped = (x @ t["per_layer_model_projection"].T / math.sqrt(WIDTH)).reshape(n, LAYERS, OWN)
        looked = (t["embed_tokens_per_layer"][ids] * math.sqrt(OWN)).reshape(n, LAYERS, OWN)
        inputs = (rms(mapped, t["per_layer_projection_norm"]) + looked) / math.sqrt(2)
        x = self.three_layers(x, inputs, kept) if self.three else self.four_layers(x, inputs, kept)
        y = rms(x, t["norm"]) @ t["embed_tokens"].T
        return 30 * np.tanh(y / 30)

    def four_layers(self, x, inputs, kept):
        t = self.w
        for l in range(LAYERS):
            n = lambda name, y: rms(y, t[f"layers.{l}.{name}"])
            x = x + n("post_attention_layernorm", self.attend(l, n("input_layernorm", x), kept))
            x = x + n("post_feedforward_layernorm", self.mlp(l, n("pre_feedforward_layernorm", x)))
            x = (x + self.own(l, x, inputs)) * t[f"layers.{l}.layer_scalar"]
        return x

    def three_layers(self, x, inputs, kept):
        t = self.w
        size = lambda y: np.sqrt((y * y).mean(-1, keepdims=True))
        like = lambda y, other: y * size(other) / np.sqrt(np.maximum((y * y).mean(-1, keepdims=True), 1e-5))
        s = np.stack([x, *[like(x @ t[f"altup_projections.{i}"].T, x) for i in range(STREAMS - 1)]])
        for l in range(LAYERS):
            n = lambda name, y: rms(y, t[f"layers.{l}.{name}"])
            m = lambda name, y: y @ t[f"layers.{l}.{name}"].T
            router = lambda y: np.tanh(m("altup.modality_router", n("altup.router_norm", y) / WIDTH))
            weights = m("altup.prediction_coefs", router(s[0])).reshape(-1, STREAMS, STREAMS)
            predicted = s + np.einsum("tji,itc->jtc", weights, s)
            x = predicted[0]
            h = n("input_layernorm", x)
            side = h + n("laurel.post_laurel_norm", m("laurel.linear_right", m("laurel.linear_left", h)))
            both = (x + n("post_attention_layernorm", self.attend(l, h, kept)) + side) / math.sqrt(2)
            y = both + n("post_feedforward_layernorm", self.mlp(l, n("pre_feedforward_layernorm", both)))
            s = predicted + (1 + m("altup.correction_coefs", router(y))).T[:, :, None] * (y - x)
            s[1:] += self.own(l, s[0] * t[f"layers.{l}.altup.correct_output_scale"], inputs)
        parts = [s[0], *[like(s[i + 1] @ t[f"altup_unembed_projections.{i}"].T, s[0]) for i in range(STREAMS - 1)]]
        return np.mean(parts, 0)


def main():
    for model in (Gemma(True), Gemma(False)):
        folder = HOME / model.model.removesuffix("_text")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps(model.config(), indent=1) + "\n")
        bare = ("correct_output_scale", "layer_scalar")
        safetensors(folder / "model.safetensors", {"model." + k + ("" if k.endswith(bare) else ".weight"): v for k, v in model.t.items()})
        rows = [[round(float(v), 6) for v in row] for row in model.logits(PROMPT)]
        (folder / "reference.json").write_text(json.dumps({"prompt_ids": PROMPT, "logits": rows}) + "\n")


if __name__ == "__main__":
    main()

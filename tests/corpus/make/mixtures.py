"""Tiny models with experts, and their logits by plain numpy in float64: for kinds of which no other reference is at hand.

Written after transformers' modeling files (deepseek_v2, deepseek_v3, dots1, glm4_moe, minimax_m2, ernie4_5_moe, hunyuan_v1_moe), not after
our own code. Weights are random (seeded) and of bfloat16; run `python mixtures.py` in this folder to write ../mixtures again.
"""

import json
import struct
from pathlib import Path

import numpy as np

OUT = Path(__file__).parent.parent / "mixtures"
VOCAB, WIDTH, LAYERS, HEADS, KV, DIM = 48, 32, 2, 4, 2, 8
PROMPT = [3, 17, 5, 40, 8, 8, 29, 11, 2, 33, 21, 7]


def bf16(x):
    bits = np.asarray(x, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def plain(b):
    return (b.astype(np.uint32) << 16).view(np.float32).astype(np.float64)


class Weights:
    """Random tensors by name; what the computation reads is what is written."""

    def __init__(self, seed):
        self.random, self.tensors = np.random.default_rng(seed), {}

    def __call__(self, name, *shape, near=0.0, size=None):
        if name not in self.tensors:
            size = size if size is not None else 1.5 / np.sqrt(shape[-1])
            self.tensors[name] = bf16(near + size * self.random.standard_normal(shape))
        return plain(self.tensors[name])

    def write(self, path):
        header, data = {}, b""
        for name, b in sorted(self.tensors.items()):
            raw = b.astype("<u2").tobytes()
            header[name] = {"dtype": "BF16", "shape": list(b.shape), "data_offsets": [len(data), len(data) + len(raw)]}
            data += raw
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def silu(x):
    return x / (1 + np.exp(-x))


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def rms(x, w, eps=1e-5):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * w


def gated(w, x, name, width, size):
    gate, up, down = (w(f"{name}.{p}_proj.weight", *s) for p, s in [("gate", (size, width)), ("up", (size, width)), ("down", (width, size))])
    return (silu(x @ gate.T) * (x @ up.T)) @ down.T


def turned(x, angles, pairs):
    """x [positions, heads, dim]: the first values of a head rotate by angles [positions, half]."""
    half = angles.shape[-1]
    cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
    out = x.copy()
    a, b = (slice(0, 2 * half, 2), slice(1, 2 * half, 2)) if pairs else (slice(0, half), slice(half, 2 * half))
    out[..., a], out[..., b] = x[..., a] * cos - x[..., b] * sin, x[..., a] * sin + x[..., b] * cos
    return out


def attend(q, k, v, scale):
    """q [n, heads, d], k and v [n, kv heads, d]: causal, grouped."""
    n, heads, _ = q.shape
    k, v = (np.repeat(t, heads // t.shape[1], axis=1) for t in (k, v))
    scores = np.einsum("qhd,khd->hqk", q, k) * scale
    scores = np.where(np.tril(np.ones((n, n), bool)), scores, -np.inf)
    return np.einsum("hqk,khd->qhd", softmax(scores), v).reshape(n, -1)


def choose(scores, used, groups=1, groups_used=1, two=True):
    """Indices of the best, by group."""
    n, experts = scores.shape
    by = scores.reshape(n, groups, -1)
    of = np.sort(by, -1)[..., -2:].sum(-1) if two else by.max(-1)
    keep = np.argsort(-of, -1)[:, :groups_used]
    mask = np.zeros((n, groups), bool)
    np.put_along_axis(mask, keep, True, -1)
    scores = np.where(np.repeat(mask, experts // groups, -1), scores, -np.inf)
    return np.argsort(-scores, -1)[:, :used]


def experts(x, ids, weights, one):
    out = np.zeros_like(x)
    for t in range(len(x)):
        for e, weight in zip(ids[t], weights[t]):
            out[t] += weight * one(x[t : t + 1], e)[0]
    return out


def decoder(w, config, attention, mlp, norms=("input_layernorm", "post_attention_layernorm")):
    x = w("model.embed_tokens.weight", VOCAB, WIDTH, size=1.0)[PROMPT]
    for l in range(LAYERS):
        name = f"model.layers.{l}"
        x = x + attention(w, rms(x, w(f"{name}.{norms[0]}.weight", WIDTH, near=1.0, size=0.1)), f"{name}.self_attn", config)
        x = x + mlp(w, rms(x, w(f"{name}.{norms[1]}.weight", WIDTH, near=1.0, size=0.1)), l, config)
    x = rms(x, w("model.norm.weight", WIDTH, near=1.0, size=0.1))
    return x @ w("lm_head.weight", VOCAB, WIDTH).T


def angles(dims, base=10000.0):
    inverse = base ** (-np.arange(0, dims, 2) / dims)
    return np.arange(len(PROMPT))[:, None] * inverse


def grouped_query(norm=None, part=1.0, pairs=False, bias=False, late=False):
    """norm: None, "head" or "row"; late: heads are normed behind the rotation."""

    def attention(w, x, name, _):
        n = len(x)
        names = ("query_layernorm", "key_layernorm") if late else ("q_norm", "k_norm")
        q, k, v = (x @ w(f"{name}.{p}_proj.weight", h * DIM, WIDTH).T for p, h in [("q", HEADS), ("k", KV), ("v", KV)])
        if bias:
            q, k, v = (t + w(f"{name}.{p}_proj.bias", t.shape[-1], size=0.3) for p, t in [("q", q), ("k", k), ("v", v)])
        if norm == "row":
            q, k = (rms(t, w(f"{name}.{p}.weight", t.shape[-1], near=1.0, size=0.2)) for p, t in zip(names, (q, k)))
        q, k, v = (t.reshape(n, -1, DIM) for t in (q, k, v))
        heads = lambda t, p: rms(t, w(f"{name}.{p}.weight", DIM, near=1.0, size=0.2))
        if norm == "head" and not late:
            q, k = heads(q, names[0]), heads(k, names[1])
        by = angles(int(DIM * part))
        q, k = turned(q, by, pairs), turned(k, by, pairs)
        if norm == "head" and late:
            q, k = heads(q, names[0]), heads(k, names[1])
        return attend(q, k, v, DIM**-0.5) @ w(f"{name}.o_proj.weight", WIDTH, HEADS * DIM).T

    return attention


def yarn(dims, base, factor, original, fast=32.0, slow=1.0):
    """transformers `modeling_rope_utils.py`, _compute_yarn_parameters; truncated."""
    place = lambda turns: dims * np.log(original / (turns * 2 * np.pi)) / (2 * np.log(base))
    low, high = max(np.floor(place(fast)), 0), min(np.ceil(place(slow)), dims - 1)
    ramp = np.clip((np.arange(dims // 2) - low) / max(high - low, 0.001), 0, 1)
    frequency = base ** (-np.arange(0, dims, 2) / dims)
    return np.arange(len(PROMPT))[:, None] * (frequency / factor * ramp + frequency * (1 - ramp))


def latent(w, x, name, c):
    n, heads = len(x), c["num_attention_heads"]
    nope, rope, value, rank = c["qk_nope_head_dim"], c["qk_rope_head_dim"], c["v_head_dim"], c["kv_lora_rank"]
    if c["q_lora_rank"]:
        low = rms(x @ w(f"{name}.q_a_proj.weight", c["q_lora_rank"], WIDTH).T, w(f"{name}.q_a_layernorm.weight", c["q_lora_rank"], near=1.0, size=0.1), 1e-6)
        q = low @ w(f"{name}.q_b_proj.weight", heads * (nope + rope), c["q_lora_rank"]).T
    else:
        q = x @ w(f"{name}.q_proj.weight", heads * (nope + rope), WIDTH).T
    q = q.reshape(n, heads, nope + rope)
    both = x @ w(f"{name}.kv_a_proj_with_mqa.weight", rank + rope, WIDTH).T
    kv = rms(both[:, :rank], w(f"{name}.kv_a_layernorm.weight", rank, near=1.0, size=0.1), 1e-6)
    kv = (kv @ w(f"{name}.kv_b_proj.weight", heads * (nope + value), rank).T).reshape(n, heads, nope + value)
    scale, by, size = (nope + rope) ** -0.5, angles(rope), 1.0
    if scaling := c.get("rope_scaling"):
        by = yarn(rope, 10000.0, scaling["factor"], scaling["original_max_position_embeddings"])
        magnitude = lambda m: 0.1 * m * np.log(scaling["factor"]) + 1
        size = magnitude(scaling["mscale"]) / magnitude(scaling["mscale_all_dim"])
        scale *= magnitude(scaling["mscale_all_dim"]) ** 2
    q_rope = turned(q[..., nope:], by, True) * size
    k_rope = np.repeat(turned(both[:, None, rank:], by, True) * size, heads, 1)
    q, k = np.concatenate([q[..., :nope], q_rope], -1), np.concatenate([kv[..., :nope], k_rope], -1)
    return attend(q, k, kv[..., nope:], scale) @ w(f"{name}.o_proj.weight", WIDTH, heads * value).T


def deepseek(w, x, l, c):
    name = f"model.layers.{l}.mlp"
    if l < c.get("first_k_dense_replace", 0):
        return gated(w, x, name, WIDTH, c["intermediate_size"])
    count, used, size = c["n_routed_experts"], c["num_experts_per_tok"], c["moe_intermediate_size"]
    scores = x @ w(f"{name}.gate.weight", count, WIDTH).T
    v2 = c["model_type"] == "deepseek_v2"
    scores = softmax(scores) if v2 else 1 / (1 + np.exp(-scores))
    choice = scores if v2 else scores + w(f"{name}.gate.e_score_correction_bias", count, size=0.2)
    ids = choose(choice, used, c["n_group"], c["topk_group"], two=not v2)
    weights = np.take_along_axis(scores, ids, -1)
    if c["norm_topk_prob"] and not v2:
        weights = weights / (weights.sum(-1, keepdims=True) + 1e-20)
    one = lambda x, e: gated(w, x, f"{name}.experts.{e}", WIDTH, size)
    for e in range(count):
        one(x[:1], e)  # every expert has its tensors, also those that the prompt does not choose
    routed = experts(x, ids, weights * c["routed_scaling_factor"], one)
    return routed + gated(w, x, f"{name}.shared_experts", WIDTH, size * c["n_shared_experts"])


def minimax(w, x, l, c):
    name, count = f"model.layers.{l}.block_sparse_moe", c["num_local_experts"]
    scores = 1 / (1 + np.exp(-(x @ w(f"{name}.gate.weight", count, WIDTH).T)))
    ids = choose(scores + w(f"{name}.e_score_correction_bias", count, size=0.2), c["num_experts_per_tok"])
    weights = np.take_along_axis(scores, ids, -1)

    def one(x, e):
        size = c["intermediate_size"]
        w1, w3 = (w(f"{name}.experts.{e}.{p}.weight", size, WIDTH) for p in ("w1", "w3"))
        return (silu(x @ w1.T) * (x @ w3.T)) @ w(f"{name}.experts.{e}.w2.weight", WIDTH, size).T

    for e in range(count):
        one(x[:1], e)
    return experts(x, ids, weights / weights.sum(-1, keepdims=True), one)


def ernie(w, x, l, c):
    name, count, size = f"model.layers.{l}.mlp", c["moe_num_experts"], c["moe_intermediate_size"]
    if l < c["moe_layer_start_index"]:
        return gated(w, x, name, WIDTH, c["intermediate_size"])
    scores = softmax(x @ w(f"{name}.gate.weight", count, WIDTH).T)
    ids = choose(scores + w(f"{name}.moe_statics.e_score_correction_bias", 1, count, size=0.1), c["moe_k"])
    weights = np.take_along_axis(scores, ids, -1)
    one = lambda x, e: gated(w, x, f"{name}.experts.{e}", WIDTH, size)
    for e in range(count):
        one(x[:1], e)
    routed = experts(x, ids, weights / weights.sum(-1, keepdims=True), one)
    return routed + gated(w, x, f"{name}.shared_experts", WIDTH, size * c["moe_num_shared_experts"])


def hunyuan(w, x, l, c):
    name, count, size = f"model.layers.{l}.mlp", c["num_experts"], c["intermediate_size"]
    scores = softmax(x @ w(f"{name}.gate.wg.weight", count, WIDTH).T)
    ids = choose(scores, c["moe_topk"])
    weights = np.take_along_axis(scores, ids, -1)
    one = lambda x, e: gated(w, x, f"{name}.experts.{e}", WIDTH, size)
    for e in range(count):
        one(x[:1], e)
    return experts(x, ids, weights / weights.sum(-1, keepdims=True), one) + gated(w, x, f"{name}.shared_mlp", WIDTH, size)


COMMON = {
    "hidden_size": WIDTH, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "num_key_value_heads": KV, "head_dim": DIM,
    "vocab_size": VOCAB, "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu",
    "tie_word_embeddings": False, "intermediate_size": 48,
}  # fmt: skip
LATENT = {
    "num_key_value_heads": HEADS, "qk_nope_head_dim": 8, "qk_rope_head_dim": 8, "v_head_dim": 12, "kv_lora_rank": 16,
    "n_routed_experts": 8, "num_experts_per_tok": 3, "moe_intermediate_size": 16, "n_shared_experts": 2,
    "first_k_dense_replace": 1, "n_group": 4, "topk_group": 2, "routed_scaling_factor": 2.5,
}  # fmt: skip
ROUTED = {
    "n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "n_shared_experts": 1,
    "first_k_dense_replace": 1, "n_group": 1, "topk_group": 1, "routed_scaling_factor": 1.5, "norm_topk_prob": True,
}  # fmt: skip

MODELS = {
    "deepseek_v3": (
        {**LATENT, "q_lora_rank": 16, "norm_topk_prob": True, "scoring_func": "sigmoid", "topk_method": "noaux_tc", "rope_scaling": {
            "type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16, "mscale": 1.0, "mscale_all_dim": 0.7,
            "beta_fast": 32, "beta_slow": 1,
        }},
        latent,
        deepseek,
    ),
    "deepseek_v2": (
        {**LATENT, "q_lora_rank": None, "norm_topk_prob": False, "scoring_func": "softmax", "topk_method": "group_limited_greedy"},
        latent,
        deepseek,
    ),
    "dots1": (ROUTED, grouped_query("head"), deepseek),
    "glm4_moe": (
        {**ROUTED, "partial_rotary_factor": 0.5, "use_qk_norm": True, "attention_bias": True},
        grouped_query("head", part=0.5, bias=True),
        deepseek,
    ),
    "minimax_m2": (
        {"num_local_experts": 4, "num_experts_per_tok": 2, "rotary_dim": 4, "scoring_func": "sigmoid"},
        grouped_query("row", part=0.5),
        minimax,
    ),
    "ernie4_5_moe": (
        {"moe_num_experts": 4, "moe_k": 2, "moe_intermediate_size": 16, "moe_num_shared_experts": 2, "moe_layer_start_index": 1},
        grouped_query(pairs=True),
        ernie,
    ),
    "hunyuan_v1_moe": ({"num_experts": 4, "moe_topk": 2, "use_qk_norm": True}, grouped_query("head", late=True), hunyuan),
}  # fmt: skip


def main():
    for seed, (name, (config, attention, mlp)) in enumerate(MODELS.items()):
        folder = OUT / name
        folder.mkdir(parents=True, exist_ok=True)
        config = {**COMMON, **config, "model_type": name}
        if "qk_nope_head_dim" in config:
            del config["head_dim"]
        w = Weights(seed)
        logits = decoder(w, config, attention, mlp)
        w.write(folder / "model.safetensors")
        (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
        reference = {"prompt": PROMPT, "logits": [[round(float(v), 6) for v in row] for row in logits]}
        (folder / "reference.json").write_text(json.dumps(reference) + "\n")
        print(name, logits.shape, float(logits.min()), float(logits.max()))


if __name__ == "__main__":
    main()

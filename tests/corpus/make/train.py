"""Trains the model with JAX on the CPU.

`train(tokenizer, steps)` returns the parameters by Hugging Face name, as float32
arrays whose values both float16 and bfloat16 hold exactly, so that every
unquantised file of the sample carries identical numbers.
"""

from __future__ import annotations

import math
import time
from functools import partial

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
from tokenizers import Tokenizer

import grammar
from config import CONFIG, END_OF_TEXT, ModelConfig

DATA_SEED = 2
INIT_SEED = 3
BATCH = 12
#: Tokens per story; the longest stories have 195.
ROW = 192
PADDING = -1
STEPS = 1400
WARMUP_STEPS = 60
PEAK_RATE = 3e-3
FINAL_RATE = 3e-5
WEIGHT_DECAY = 0.05
BETA1, BETA2, ADAM_EPS = 0.9, 0.97, 1e-9
CLIP_NORM = 1.0
#: Large for a llama: names must differ from each other before the model can learn to
#: copy them, and training itself only pulls them together.
EMBEDDING_SCALE = 0.05

Params = dict[str, jax.Array]


def training_rows(tokenizer: Tokenizer, count: int) -> np.ndarray:
    """Stories as rows of ids [count, ROW + 1]: end-of-text, the story, end-of-text, padding.

    One story per row: in rows that run on into another story, the names of the
    other story distract from learning to copy the right ones.
    """
    end_id = tokenizer.token_to_id(END_OF_TEXT)
    rows = np.full((count, ROW + 1), PADDING, np.int32)
    encoded = tokenizer.encode_batch(grammar.stories(DATA_SEED, count), add_special_tokens=False)
    for row, item in zip(rows, encoded):
        ids = [end_id, *item.ids, end_id][:ROW + 1]
        row[:len(ids)] = ids
    return rows


def initial_params(config: ModelConfig) -> Params:
    """Normal weights, smaller for the matrices that write into the residual stream."""
    rng = np.random.default_rng(INIT_SEED)
    params = {}
    for name, shape in config.shapes().items():
        if len(shape) == 1:
            params[name] = jnp.ones(shape, jnp.float32)
            continue
        scale = EMBEDDING_SCALE if "embed" in name else 1 / math.sqrt(shape[1])
        if name.endswith(("o_proj.weight", "down_proj.weight")):
            scale /= math.sqrt(2 * config.layers)
        params[name] = jnp.asarray(rng.normal(0, scale, shape), jnp.float32)
    return params


def _norm(x: jax.Array, weight: jax.Array, eps: float) -> jax.Array:
    """RMSNorm over the last axis."""
    return x * jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + eps) * weight


def _rope(x: jax.Array, cos: jax.Array, sin: jax.Array) -> jax.Array:
    """Rotates halves: x [batch, time, heads, head_dim], cos and sin [time, 1, head_dim / 2]."""
    low, high = jnp.split(x, 2, axis=-1)
    return jnp.concatenate([low * cos - high * sin, high * cos + low * sin], axis=-1)


def _angles(config: ModelConfig, length: int) -> tuple[jax.Array, jax.Array]:
    """Cosines and sines of the rotary embedding, each [time, 1, head_dim / 2]."""
    half = config.head_dim // 2
    frequency = config.rope_theta ** (-np.arange(half) / half)
    angle = np.arange(length)[:, None, None] * frequency
    return jnp.asarray(np.cos(angle), jnp.float32), jnp.asarray(np.sin(angle), jnp.float32)


def _attention(params: Params, prefix: str, x: jax.Array, config: ModelConfig) -> jax.Array:
    """Causal grouped-query attention on x [batch, time, width]."""
    batch, length, _ = x.shape
    groups = config.heads // config.kv_heads
    cos, sin = _angles(config, length)

    def project(name: str, heads: int) -> jax.Array:
        return (x @ params[f"{prefix}{name}_proj.weight"].T).reshape(batch, length, heads, -1)

    # [batch, kv_heads, groups * time, head_dim]: plain batched matrix products, which
    # are twice as fast on a CPU as the same sums left in their natural order.
    q = _rope(project("q", config.heads), cos, sin)
    q = q.reshape(batch, length, config.kv_heads, groups, -1).transpose(0, 2, 3, 1, 4)
    q = q.reshape(batch, config.kv_heads, groups * length, -1) / math.sqrt(config.head_dim)
    k = _rope(project("k", config.kv_heads), cos, sin).transpose(0, 2, 3, 1)
    v = project("v", config.kv_heads).transpose(0, 2, 1, 3)
    future = np.tile(np.triu(np.full((length, length), -1e30, np.float32), 1), (groups, 1))
    weights = jax.nn.softmax(q @ k + future, axis=-1)
    mixed = (weights @ v).reshape(batch, config.heads, length, -1)
    mixed = mixed.transpose(0, 2, 1, 3).reshape(batch, length, config.width)
    return mixed @ params[prefix + "o_proj.weight"].T


def _mlp(params: Params, prefix: str, x: jax.Array) -> jax.Array:
    """SwiGLU on x [batch, time, width]."""
    gate = jax.nn.silu(x @ params[prefix + "gate_proj.weight"].T)
    return (gate * (x @ params[prefix + "up_proj.weight"].T)) @ params[prefix + "down_proj.weight"].T


def logits(params: Params, ids: jax.Array, config: ModelConfig) -> jax.Array:
    """Logits [batch, time, vocab] for ids [batch, time]."""
    x = params["model.embed_tokens.weight"][ids]
    for layer in range(config.layers):
        prefix = f"model.layers.{layer}."
        normed = _norm(x, params[prefix + "input_layernorm.weight"], config.norm_eps)
        x = x + _attention(params, prefix + "self_attn.", normed, config)
        normed = _norm(x, params[prefix + "post_attention_layernorm.weight"], config.norm_eps)
        x = x + _mlp(params, prefix + "mlp.", normed)
    x = _norm(x, params["model.norm.weight"], config.norm_eps)
    return x @ params["model.embed_tokens.weight"].T


def loss(params: Params, batch: jax.Array, config: ModelConfig) -> jax.Array:
    """Mean cross entropy in nats of batch [batch, time + 1], padding left out."""
    targets = batch[:, 1:]
    real = targets != PADDING
    scores = logits(params, jnp.maximum(batch[:, :-1], 0), config)
    chosen = jnp.take_along_axis(scores, jnp.maximum(targets, 0)[..., None], axis=-1)[..., 0]
    return jnp.sum((jax.nn.logsumexp(scores, axis=-1) - chosen) * real) / jnp.sum(real)


def _rate(step: jax.Array, steps: int) -> jax.Array:
    """Learning rate: linear warm-up, then a cosine down to the final rate."""
    progress = jnp.clip((step - WARMUP_STEPS) / (steps - WARMUP_STEPS), 0, 1)
    cosine = FINAL_RATE + (PEAK_RATE - FINAL_RATE) * 0.5 * (1 + jnp.cos(jnp.pi * progress))
    return jnp.where(step < WARMUP_STEPS, PEAK_RATE * (step + 1) / WARMUP_STEPS, cosine)


@partial(jax.jit, static_argnames=("config", "steps"), donate_argnames=("params", "first", "second"))
def _update(params, first, second, step, batch, config: ModelConfig, steps: int):
    """One AdamW step with clipped gradients; returns new state and the loss."""
    value, grads = jax.value_and_grad(loss)(params, batch, config)
    norm = jnp.sqrt(sum(jnp.sum(g * g) for g in grads.values()))
    shrink = jnp.minimum(1.0, CLIP_NORM / (norm + 1e-9))
    rate = _rate(step, steps)
    for name, grad in grads.items():
        grad = grad * shrink
        first[name] = BETA1 * first[name] + (1 - BETA1) * grad
        second[name] = BETA2 * second[name] + (1 - BETA2) * grad * grad
        mean = first[name] / (1 - BETA1 ** (step + 1))
        spread = jnp.sqrt(second[name] / (1 - BETA2 ** (step + 1)))
        decay = WEIGHT_DECAY * params[name] if name.endswith("proj.weight") else 0.0
        params[name] = params[name] - rate * (mean / (spread + ADAM_EPS) + decay)
    return params, first, second, value


def both_halves(values: np.ndarray) -> np.ndarray:
    """The nearest float32 numbers that bfloat16 and float16 can both hold.

    Rounding to bfloat16 leaves 8 significant bits, which float16 holds down to
    2**-17; below that float16 drops low bits, which bfloat16 does not mind.
    """
    rounded = np.asarray(values, np.float32).astype(ml_dtypes.bfloat16).astype(np.float32)
    rounded = rounded.astype(np.float16).astype(np.float32)
    assert (rounded.astype(ml_dtypes.bfloat16).astype(np.float32) == rounded).all()
    return rounded


def train(tokenizer: Tokenizer, steps: int = STEPS, config: ModelConfig = CONFIG) -> dict[str, np.ndarray]:
    """Trains from scratch and returns rounded float32 parameters."""
    rows = training_rows(tokenizer, steps * BATCH)
    print(f"{config.parameters():,} parameters, {np.sum(rows != PADDING):,} tokens of text", flush=True)
    params = initial_params(config)
    first = {name: jnp.zeros_like(value) for name, value in params.items()}
    second = {name: jnp.zeros_like(value) for name, value in params.items()}
    began, recent = time.monotonic(), []
    for step, batch in enumerate(rows.reshape(steps, BATCH, -1)):
        params, first, second, value = _update(params, first, second, step, batch, config, steps)
        recent.append(float(value))
        if step % 50 == 49 or step + 1 == steps:
            rate = (step + 1) * BATCH * ROW / (time.monotonic() - began)
            print(f"step {step + 1:5d}  loss {np.mean(recent):.4f}  {rate:,.0f} tokens/s", flush=True)
            recent = []
    return {name: both_halves(np.asarray(value)) for name, value in params.items()}

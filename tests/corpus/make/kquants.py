"""Packers for the K-quants Q4_K and Q6_K, which the `gguf` package can only read.

Both take float32 super-blocks [n, 256] and return bytes [n, block size] in the
layout of ggml. Instead of following ggml's search step by step they minimise the
same thing, the squared error weighted by magnitude, over a small grid of scales.
"""

from __future__ import annotations

import numpy as np

SUPER_BLOCK = 256
Q4_K_BYTES, Q6_K_BYTES = 144, 210


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Quotient, with 0 where the denominator is 0."""
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator != 0)


def _half(values: np.ndarray) -> np.ndarray:
    """Values as float16 holds them, so that later steps see what a reader will see."""
    return values.astype(np.float16).astype(np.float64)


def _fit_affine(x: np.ndarray, steps: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Scale and offset [..., 1] such that x [..., 32] is near `scale * (0..15) - offset`.

    The offset is never negative, because Q4_K stores it without a sign.
    """
    weight = np.sqrt(np.mean(x * x, axis=-1, keepdims=True)) + np.abs(x)
    low = np.minimum(x.min(axis=-1, keepdims=True), 0)
    span = x.max(axis=-1, keepdims=True) - low
    best_scale, best_offset = span / 15, -low
    best_error = np.full_like(low, np.inf)
    for levels in np.linspace(14, 17, steps):
        codes = np.clip(np.round(_ratio((x - low) * levels, span)), 0, 15)
        scale, offset = _least_squares(x, codes, weight)
        error = np.sum(weight * (scale * codes - offset - x) ** 2, axis=-1, keepdims=True)
        better = error < best_error
        best_scale = np.where(better, scale, best_scale)
        best_offset = np.where(better, offset, best_offset)
        best_error = np.where(better, error, best_error)
    return best_scale, best_offset


def _least_squares(x: np.ndarray, codes: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The scale and offset that fit given codes best, with both kept non-negative."""
    def total(values: np.ndarray) -> np.ndarray:
        return np.sum(weight * values, axis=-1, keepdims=True)

    ones, c, cc = total(np.ones_like(x)), total(codes), total(codes * codes)
    x1, xc = total(x), total(x * codes)
    determinant = ones * cc - c * c
    scale = _ratio(ones * xc - c * x1, determinant)
    offset = -_ratio(cc * x1 - c * xc, determinant)
    through_zero = (offset < 0) | (determinant <= 0)
    scale = np.where(through_zero, _ratio(xc, cc), scale)
    return np.maximum(scale, 0), np.where(through_zero, 0, offset)


def _pack_six_bit_pairs(scales: np.ndarray, mins: np.ndarray) -> np.ndarray:
    """Eight 6-bit scales and eight 6-bit minima [n, 8] in the 12 bytes of Q4_K."""
    first = scales[:, :4] | (scales[:, 4:] >> 4) << 6
    second = mins[:, :4] | (mins[:, 4:] >> 4) << 6
    third = (scales[:, 4:] & 15) | (mins[:, 4:] & 15) << 4
    return np.concatenate([first, second, third], axis=-1)


def pack_q4_k(blocks: np.ndarray) -> np.ndarray:
    """Q4_K: eight sub-blocks of 32, each `d * scale * (0..15) - dmin * min`."""
    count = len(blocks)
    x = blocks.astype(np.float64).reshape(count, 8, 32)
    scale, offset = _fit_affine(x)
    d = _half(scale.max(axis=1) / 63)
    dmin = _half(offset.max(axis=1) / 63)
    scales = np.clip(np.round(_ratio(scale[..., 0], np.broadcast_to(d, (count, 8)))), 0, 63)
    mins = np.clip(np.round(_ratio(offset[..., 0], np.broadcast_to(dmin, (count, 8)))), 0, 63)
    step, floor = (d * scales)[..., None], (dmin * mins)[..., None]
    codes = np.clip(np.round(_ratio(x + floor, np.broadcast_to(step, x.shape))), 0, 15)
    codes = codes.astype(np.uint8).reshape(count, 4, 2, 32)
    nibbles = codes[:, :, 0] | codes[:, :, 1] << 4
    return np.concatenate([
        d.astype(np.float16).view(np.uint8),
        dmin.astype(np.float16).view(np.uint8),
        _pack_six_bit_pairs(scales.astype(np.uint8), mins.astype(np.uint8)),
        nibbles.reshape(count, 128),
    ], axis=-1)


def _fit_symmetric(x: np.ndarray, steps: int = 19) -> np.ndarray:
    """Signed scale [..., 1] such that x [..., 16] is near `scale * (-32..31)`."""
    index = np.abs(x).argmax(axis=-1)[..., None]
    extreme = np.take_along_axis(x, index, axis=-1)
    weight = x * x
    best_scale, best_gain = _ratio(extreme, np.full_like(extreme, -32)), np.full_like(extreme, -1.0)
    for levels in np.linspace(-32.9, -31.1, steps):
        codes = np.clip(np.round(_ratio(x * levels, np.broadcast_to(extreme, x.shape))), -32, 31)
        product = np.sum(weight * x * codes, axis=-1, keepdims=True)
        square = np.sum(weight * codes * codes, axis=-1, keepdims=True)
        gain = _ratio(product * product, square)
        better = gain > best_gain
        best_scale = np.where(better, _ratio(product, square), best_scale)
        best_gain = np.where(better, gain, best_gain)
    return best_scale


def pack_q6_k(blocks: np.ndarray) -> np.ndarray:
    """Q6_K: sixteen sub-blocks of 16, each `d * scale * (-32..31)`, with 8-bit scales."""
    count = len(blocks)
    x = blocks.astype(np.float64).reshape(count, 16, 16)
    scale = _fit_symmetric(x)[..., 0]
    extreme = np.take_along_axis(scale, np.abs(scale).argmax(axis=-1)[:, None], axis=-1)
    d = _half(extreme / -128)
    scales = np.clip(np.round(_ratio(scale, np.broadcast_to(d, scale.shape))), -128, 127)
    step = (d * scales)[..., None]
    codes = np.clip(np.round(_ratio(x, np.broadcast_to(step, x.shape))), -32, 31) + 32
    codes = codes.astype(np.uint8).reshape(count, 2, 4, 32)
    low = (codes[:, :, :2] & 15) | (codes[:, :, 2:] & 15) << 4
    shifts = np.array([0, 2, 4, 6], np.uint8).reshape(1, 1, 4, 1)
    high = np.bitwise_or.reduce((codes >> 4) << shifts, axis=2)
    return np.concatenate([
        low.reshape(count, 128),
        high.reshape(count, 64),
        scales.astype(np.int8).view(np.uint8),
        d.astype(np.float16).view(np.uint8),
    ], axis=-1)


def _pack_rows(matrix: np.ndarray, pack, block_bytes: int) -> np.ndarray:
    """Packs a matrix [rows, columns] row by row into bytes [rows, blocks * block_bytes]."""
    rows, columns = matrix.shape
    if columns % SUPER_BLOCK:
        raise ValueError(f"a row of {columns} is no multiple of {SUPER_BLOCK}")
    packed = pack(matrix.reshape(-1, SUPER_BLOCK))
    return packed.reshape(rows, columns // SUPER_BLOCK * block_bytes)


def quantize_q4_k(matrix: np.ndarray) -> np.ndarray:
    """A matrix [rows, columns] as Q4_K bytes [rows, columns / 256 * 144]."""
    return _pack_rows(matrix, pack_q4_k, Q4_K_BYTES)


def quantize_q6_k(matrix: np.ndarray) -> np.ndarray:
    """A matrix [rows, columns] as Q6_K bytes [rows, columns / 256 * 210]."""
    return _pack_rows(matrix, pack_q6_k, Q6_K_BYTES)

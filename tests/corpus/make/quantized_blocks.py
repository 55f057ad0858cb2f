"""Writes tests/corpus/quantized/blocks.json: digests of the blocks that libggml makes of rows of many kinds.

    python tests/corpus/make/quantized_blocks.py LIBGGML_BASE > tests/corpus/quantized/blocks.json

LIBGGML_BASE is libggml-base.so of ggml 0.25.3, built from the source package llama-cpp-python 0.3.36 for x86-64 as such
(`cmake -DGGML_NATIVE=OFF -DBUILD_SHARED_LIBS=ON`, target ggml-base; GCC, no fused multiply-adds). It is called through
`ggml_quantize_chunk` without an importance matrix. The rows are made by whole-number arithmetic that
tests/rust/convert/rows.rs repeats; a digest is FNV-1a of 64 bits over the bytes.
"""

import ctypes
import json
import struct
import sys

ROWS, ROW = 3, 1024
MASK = (1 << 64) - 1
TYPES = {
    "F16": (1, 1, 2), "BF16": (30, 1, 2), "Q4_0": (2, 32, 18), "Q4_1": (3, 32, 20), "Q5_0": (6, 32, 22),
    "Q5_1": (7, 32, 24), "Q8_0": (8, 32, 34), "Q2_K": (10, 256, 84), "Q3_K": (11, 256, 110), "Q4_K": (12, 256, 144),
    "Q5_K": (13, 256, 176), "Q6_K": (14, 256, 210), "IQ4_NL": (20, 32, 18), "IQ4_XS": (23, 256, 136),
    "TQ1_0": (34, 256, 54), "TQ2_0": (35, 256, 66), "MXFP4": (39, 32, 17), "Q1_0": (41, 128, 18), "Q2_0": (42, 64, 18),
}


class Random:
    """SplitMix64."""

    def __init__(self, seed):
        self.state = seed

    def next(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return z ^ (z >> 31)

    def bell(self):
        """The sum of four uniforms around 0, between -2 and 2."""
        return (sum(self.next() >> 40 for _ in range(4)) - (1 << 25)) / (1 << 24)

    def sign(self):
        return 1.0 if self.next() >> 63 == 0 else -1.0


def of_bits(bits):
    return struct.unpack("<f", struct.pack("<I", bits))[0]


KINDS = {
    "bell": lambda r, i: r.bell() * 2.0**-5,
    "bell of ones": lambda r, i: r.bell(),
    "above zero": lambda r, i: (r.next() >> 40) / (1 << 24),
    "below zero": lambda r, i: -((r.next() >> 40) / (1 << 24)) - 0.125,
    "far from zero": lambda r, i: 5.0 + r.bell() * 2.0**-6,
    "zeros": lambda r, i: 0.0,
    "minus zeros": lambda r, i: -0.0,
    "one value": lambda r, i: 0.37,
    "one value below zero": lambda r, i: -1.75,
    "three values": lambda r, i: 0.625 * (r.next() % 3 - 1.0),
    "outliers": lambda r, i: r.bell() * (8.0 if i % 97 == 0 else 2.0**-6),
    "few values": lambda r, i: r.bell() if r.next() % 64 == 0 else 0.0,
    "ramp": lambda r, i: (i % 300 - 150) / 64.0,
    "powers of two": lambda r, i: r.sign() * 2.0 ** (r.next() % 17 - 8.0),
    "just below powers of two": lambda r, i: r.sign() * of_bits((120 + i // 32 % 16) << 23 | 0x7FFFFF - r.next() % 12),
    "small": lambda r, i: r.bell() * 2.0**-20,
    "very small": lambda r, i: r.bell() * 2.0**-60,
    "below the least": lambda r, i: r.bell() * 2.0**-128,
    "beyond halves": lambda r, i: r.bell() * 2.0**19,
    "very large": lambda r, i: r.bell() * 2.0**60,
    "all exponents of a block apart": lambda r, i: r.bell() * 2.0 ** (i // 32 % 24 * 4.0 - 64.0),
    "any bits": lambda r, i: of_bits(r.next() >> 32 & 0x807FFFFF | (r.next() % 255) << 23),
}


def digest(data):
    h = 0xCBF29CE484222325
    for byte in data:
        h = ((h ^ byte) * 0x100000001B3) & MASK
    return f"{h:016x}"


def rows(kind):
    # The seed is the kind's digest, so that kinds can be added anywhere.
    random = Random(int(digest(kind.encode()), 16))
    return struct.pack(f"<{ROWS * ROW}f", *(KINDS[kind](random, i) for i in range(ROWS * ROW)))


def main():
    ggml = ctypes.CDLL(sys.argv[1])
    ggml.ggml_quantize_chunk.restype = ctypes.c_size_t
    ggml.ggml_quantize_chunk.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p] + [ctypes.c_int64] * 3 + [ctypes.c_void_p]
    out = {"rows": ROWS, "row": ROW, "inputs": {}, "blocks": {}}
    inputs = {kind: rows(kind) for kind in KINDS}
    for kind, data in inputs.items():
        out["inputs"][kind] = digest(data)
    for name, (number, length, size) in TYPES.items():
        out["blocks"][name] = {}
        for kind, data in inputs.items():
            source = ctypes.create_string_buffer(data, len(data))
            target = ctypes.create_string_buffer(ROWS * ROW // length * size)
            done = ggml.ggml_quantize_chunk(number, source, target, 0, ROWS, ROW, None)
            assert done == len(target), (name, kind, done)
            out["blocks"][name][kind] = digest(target.raw)
            if len(sys.argv) > 2:
                with open(f"{sys.argv[2]}/{name}.{kind.replace(' ', '_')}", "wb") as file:
                    file.write(target.raw)
                with open(f"{sys.argv[2]}/in.{kind.replace(' ', '_')}", "wb") as file:
                    file.write(data)
    print(json.dumps(out, indent=1))


main()

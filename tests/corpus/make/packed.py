"""Writes tests/corpus/packed/packed.json: small weights in the tensors of each packing, and what the libraries themselves unpack them to.

    pip install torch compressed-tensors bitsandbytes mlx[cpu] numpy
    pip download --no-deps --no-binary :all: gptqmodel autoawq    # their sources, unpacked; only two of their functions are run
    python tests/corpus/make/packed.py GPTQMODEL_FOLDER AUTOAWQ_FOLDER tests/corpus/packed/packed.json

Tensors are random. Of the unpacked values every 13th is kept. Values are f32 as hexadecimal bytes, little-endian.
"""

import json
import sys
import textwrap
from pathlib import Path

import numpy as np
import torch

EVERY = 13
DTYPES = {
    torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int32: "I32", torch.int64: "I64",
    torch.int8: "I8", torch.uint8: "U8", torch.float8_e4m3fn: "F8_E4M3",
}
cases = {}


def tensor(t):
    if isinstance(t, torch.Tensor):
        t = t.contiguous()
        return {"dtype": DTYPES[t.dtype], "shape": list(t.shape), "hex": t.reshape(-1).view(torch.uint8).numpy().tobytes().hex()}
    t = np.ascontiguousarray(np.array(t))
    names = {"uint32": "U32", "float32": "F32", "float16": "F16", "uint8": "U8"}
    return {"dtype": names[t.dtype.name], "shape": list(t.shape), "hex": t.tobytes().hex()}


def case(name, config, tensors, values):
    values = np.asarray(values, dtype=np.float32)
    cases[name] = {
        "config": config,
        "tensors": {k: tensor(v) for k, v in tensors.items()},
        "shape": list(values.shape),
        "values": values.reshape(-1)[::EVERY].tobytes().hex(),
    }


def compressed_tensors():
    from compressed_tensors.compressors import BaseCompressor
    from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
    from compressed_tensors.quantization.lifecycle.forward import dequantize, quantize

    def one(name, form, args, w, scale, zeros=None, overall=None):
        scheme = QuantizationScheme(targets=["Linear"], weights=QuantizationArgs(**args))
        compressor = BaseCompressor.get_value_from_registry(form)
        state = {"weight": w, "weight_scale": scale}
        if zeros is not None:
            state["weight_zero_point"] = zeros
        if overall is not None:
            state["weight_global_scale"] = overall
        packed = compressor.compress(state, scheme)
        if zeros is None:
            values = compressor.decompress(dict(packed), scheme)["weight"]
        else:
            # Unpacking zeros of 4 bits fails in 0.20.1; what was packed is known.
            how = {"scale": scale, "zero_point": zeros, "args": scheme.weights}
            values = dequantize(x_q=quantize(x=w, dtype=torch.int8, **how), **how)
        config = {"quant_method": "compressed-tensors", "format": form, "config_groups": {"group_0": {"weights": args}}}
        case(name, {"quantization_config": config}, {f"x.{k}": v for k, v in packed.items()}, values.float().numpy())

    w = torch.randn(4, 64)
    most = lambda g: w.reshape(4, -1, g).abs().amax(-1)
    whole = lambda bits, group: {"num_bits": bits, "type": "int", "strategy": "group", "group_size": group, "symmetric": True}
    for bits, group in ((4, 32), (8, 64), (3, 32)):
        one(f"pack-quantized {bits}", "pack-quantized", whole(bits, group), w.half(), (most(group) / (2 ** (bits - 1) - 0.5)).half())
    low, high = w.reshape(4, 2, 32).amin(-1).clamp(max=0), w.reshape(4, 2, 32).amax(-1).clamp(min=0)
    scale = ((high - low) / 15).half()
    zeros = (torch.round(-low / scale.float()) - 8).clamp(-8, 7).to(torch.int8)
    one("pack-quantized 4 with zeros", "pack-quantized", {**whole(4, 32), "symmetric": False}, w.half(), scale, zeros)
    rows = {"num_bits": 8, "strategy": "channel", "symmetric": True}
    one("float-quantized", "float-quantized", {**rows, "type": "float"}, w.bfloat16(), (most(64) / 448).bfloat16())
    one("naive-quantized", "naive-quantized", {**rows, "type": "int"}, w.bfloat16(), (most(64) / 127).bfloat16())
    overall = torch.tensor([448 * 6 / w.abs().max()])
    scale = (most(16) / 6 * overall).to(torch.float8_e4m3fn).float()
    four = {"num_bits": 4, "type": "float", "symmetric": True}
    one("nvfp4-pack-quantized", "nvfp4-pack-quantized", {**four, "strategy": "tensor_group", "group_size": 16}, w, scale, overall=overall)
    args = {**four, "strategy": "group", "group_size": 32, "scale_dtype": "torch.uint8"}
    one("mxfp4-pack-quantized", "mxfp4-pack-quantized", args, w, torch.exp2(torch.floor(torch.log2(most(32))) - 2))


def bitsandbytes():
    import bitsandbytes.functional as f

    config = {"quantization_config": {"quant_method": "bitsandbytes"}}
    for kind, nested in (("nf4", False), ("fp4", False), ("nf4", True)):
        packed, state = f.quantize_4bit(torch.randn(8, 64), blocksize=64, quant_type=kind, compress_statistics=nested)
        tensors = {"x.weight": packed, **{f"x.weight.{k}": v for k, v in state.as_dict(packed=True).items()}}
        case(f"bitsandbytes {kind}{' nested' if nested else ''}", config, tensors, f.dequantize_4bit(packed, state).float().numpy())
    codes, most = torch.randint(-127, 128, (4, 64), dtype=torch.int8), torch.rand(4) * 3
    case("bitsandbytes int8", config, {"x.weight": codes, "x.SCB": most}, f.int8_vectorwise_dequant(codes, most).float().numpy())


def words(m, bits):
    """Codes packed along the first dimension, lowest bits first."""
    each = ((m[:, None, :] >> np.arange(bits)[None, :, None]) & 1).reshape(-1, 32, m.shape[1]).astype(np.uint64)
    return (each << np.arange(32, dtype=np.uint64)[None, :, None]).sum(1).astype(np.uint32).view(np.int32)


def gptq(folder):
    source = (Path(folder) / "gptqmodel/nn_modules/qlinear/__init__.py").read_text()
    start = source.index("    def dequantize_weight(self")
    end = source.index("\n    def ", source.index("def _dequantize_from_codes"))
    own = {"t": torch, "_torch_right_shift": torch.bitwise_right_shift, "_torch_left_shift": torch.bitwise_left_shift}
    exec(textwrap.dedent(source[start:end]), own)
    three = [[0, 3, 6, 9, 12, 15, 18, 21, 24, 27, 30, 0], [0, 1, 4, 7, 10, 13, 16, 19, 22, 25, 28, 31], [0, 2, 5, 8, 11, 14, 17, 20, 23, 26, 29, 0]]

    def one(bits, order=False, later=False, symmetric=False):
        random = np.random.default_rng(bits)
        inputs, outputs, group = (64, 8, 32) if symmetric else (32, 32, 16)
        codes = random.integers(0, 2**bits, (inputs, outputs))
        groups = (inputs // group, outputs)
        zeros = np.full(groups, 2 ** (bits - 1)) if symmetric else random.integers(1, 2**bits, groups)
        along = lambda m: torch.tensor(np.ascontiguousarray(words(m.T, bits).T))
        class Module: pass
        m = Module()
        m.planar, m.bits, m.maxq, m.pack_factor, m.in_features = False, bits, 2**bits - 1, 32 // bits, inputs
        m.dequant_dtype = torch.int16 if bits == 8 else torch.int8
        scales = torch.tensor(random.random(groups) * 0.1).half()
        m.scales = scales.float()
        m.g_idx = torch.tensor(random.permutation(inputs) // group if order else np.arange(inputs) // group, dtype=torch.int32)
        # The library adds one to the zeros of its first format before it unpacks them.
        m.qweight, m.qzeros = torch.tensor(words(codes, bits)), along(zeros)
        shifts = three if bits == 3 else [list(range(0, 32, bits))]
        shifts = torch.tensor(shifts, dtype=torch.int32)
        shifts = shifts.reshape(1, 3, 12) if bits == 3 else shifts
        m.wf_unsqueeze_zero, m.wf_unsqueeze_neg_one = shifts.unsqueeze(0), shifts.unsqueeze(-1)
        m._init_wf_unsqueeze_buffers = lambda: None
        m._dequantize_from_codes = lambda w, z, num_itr=1: own["_dequantize_from_codes"](m, w, z, num_itr)
        values = own["dequantize_weight"](m).T
        config = {"quant_method": "gptq", "bits": bits, "group_size": group, "desc_act": order, "sym": symmetric}
        if later:
            config["checkpoint_format"] = "gptq_v2"
        tensors = {"x.qweight": m.qweight, "x.qzeros": m.qzeros if later else along(zeros - 1), "x.scales": scales, "x.g_idx": m.g_idx}
        name = f"GPTQ {bits}{' in an order of its own' if order else ''}{' v2' if later else ''}{' symmetric' if symmetric else ''}"
        case(name, {"quantization_config": config}, tensors, values.float().numpy())

    for bits in (2, 3, 4, 8):
        one(bits)
    one(4, order=True)
    one(8, later=True)
    one(4, symmetric=True)


def awq(folder):
    own = {}
    exec((Path(folder) / "awq/utils/packing_utils.py").read_text(), own)
    any_words = lambda *shape: torch.randint(-(2**31), 2**31 - 1, shape, dtype=torch.int64).to(torch.int32)
    weight, zeros, scales = any_words(64, 2), any_words(2, 2), (torch.rand(2, 16) * 0.1).half()
    values = own["dequantize_gemm"](weight, zeros, scales, 4, 32).T
    config = {"quant_method": "awq", "bits": 4, "group_size": 32, "version": "gemm"}
    case("AWQ", {"quantization_config": config}, {"x.qweight": weight, "x.qzeros": zeros, "x.scales": scales}, values.float().numpy())


def fp8():
    """As transformers and DeepSeek's own code: the weight times the scale of its block."""
    weight, scales = torch.randn(6, 64).to(torch.float8_e4m3fn), torch.rand(2, 2) + 0.5
    values = weight.float() * scales.repeat_interleave(4, 0)[:6].repeat_interleave(32, 1)
    config = {"quant_method": "fp8", "weight_block_size": [4, 32]}
    case("FP8 by blocks", {"quantization_config": config}, {"x.weight": weight, "x.weight_scale_inv": scales}, values.numpy())
    case("FP8 by one scale", {"quantization_config": {"quant_method": "fp8"}}, {"x.weight": weight, "x.weight_scale": torch.tensor(0.25)}, (weight.float() * 0.25).numpy())


def mlx():
    import mlx.core as mx

    mx.random.seed(5)
    for bits in (2, 3, 4, 5, 6, 8):
        weight, scales, biases = mx.quantize(mx.random.normal((2, 64)).astype(mx.float16), group_size=32, bits=bits)
        values = mx.dequantize(weight, scales.astype(mx.float32), biases.astype(mx.float32), group_size=32, bits=bits)
        config = {"quantization": {"group_size": 32, "bits": bits}}
        case(f"MLX {bits}", config, {"x.weight": weight, "x.scales": scales, "x.biases": biases}, np.array(values))
    weight, scales = mx.quantize(mx.random.normal((2, 64)), group_size=32, bits=4, mode="mxfp4")
    values = mx.dequantize(weight, scales, group_size=32, bits=4, mode="mxfp4").astype(mx.float32)
    config = {"quantization": {"group_size": 32, "bits": 4, "mode": "mxfp4"}}
    case("MLX mxfp4", config, {"x.weight": weight, "x.scales": scales}, np.array(values))


torch.manual_seed(7)
compressed_tensors()
bitsandbytes()
gptq(sys.argv[1])
awq(sys.argv[2])
fp8()
mlx()
out = Path(sys.argv[3])
out.parent.mkdir(parents=True, exist_ok=True)
out.write_text("{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in cases.items()) + "\n}\n")

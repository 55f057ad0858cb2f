"""Writes tests/corpus/quantized/models.json: what llama.cpp makes of small models, as lengths and checksums of the files.

    python tests/corpus/make/quantized_models.py LIBLLAMA CORPUS SAMPLE > tests/corpus/quantized/models.json

LIBLLAMA is libllama.so of the source package llama-cpp-python 0.3.36, built for x86-64 as such (see quantized_blocks.py), CORPUS the
folder that GLASSBOX_CORPUS names, SAMPLE tests/corpus/sample. Each case is a model, a type and the options of
`glassbox quantize` that mean the same; where llama.cpp refuses the model, the case is left out and said on standard error.
"""

import ctypes
import json
import os
import pathlib
import sys
import tempfile
import zlib


class Override(ctypes.Structure):
    _fields_ = [("pattern", ctypes.c_char_p), ("type", ctypes.c_int)]


class Params(ctypes.Structure):
    _fields_ = [
        ("nthread", ctypes.c_int32), ("ftype", ctypes.c_int), ("output_tensor_type", ctypes.c_int),
        ("token_embedding_type", ctypes.c_int), ("allow_requantize", ctypes.c_bool), ("quantize_output_tensor", ctypes.c_bool),
        ("only_copy", ctypes.c_bool), ("pure", ctypes.c_bool), ("keep_split", ctypes.c_bool), ("dry_run", ctypes.c_bool),
        ("imatrix", ctypes.c_void_p), ("kv_overrides", ctypes.c_void_p), ("tt_overrides", ctypes.POINTER(Override)),
        ("prune_layers", ctypes.c_void_p), ("max_buf_size", ctypes.c_size_t),
    ]


TYPES = {
    "F32": 0, "F16": 1, "Q4_0": 2, "Q4_1": 3, "Q8_0": 7, "Q5_0": 8, "Q5_1": 9, "Q2_K": 10, "Q3_K_S": 11, "Q3_K_M": 12,
    "Q3_K_L": 13, "Q4_K_S": 14, "Q4_K_M": 15, "Q5_K_S": 16, "Q5_K_M": 17, "Q6_K": 18, "IQ4_NL": 25, "IQ4_XS": 30, "BF16": 32,
    "TQ1_0": 36, "TQ2_0": 37, "MXFP4_MOE": 38,
}
GGML = {"Q4_0": 2, "Q8_0": 8, "Q3_K": 11, "Q4_K": 12, "Q6_K": 14, "IQ4_XS": 23, "F16": 1, "TQ2_0": 35}
library = ctypes.CDLL(sys.argv[1])
library.llama_model_quantize_default_params.restype = Params
library.llama_model_quantize.restype = ctypes.c_uint32
library.llama_model_quantize.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.POINTER(Params)]
corpus, sample = pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])


def run(path, kind, options, keep=None):
    params = library.llama_model_quantize_default_params()
    params.nthread, params.ftype = 1, TYPES[kind]
    overrides = []
    for option in options:
        name, _, value = option.partition(" ")
        if name == "--pure":
            params.pure = True
        elif name == "--allow-requantize":
            params.allow_requantize = True
        elif name == "--output-tensor-type":
            params.output_tensor_type = GGML[value]
        elif name == "--token-embedding-type":
            params.token_embedding_type = GGML[value]
        elif name == "--tensor":
            pattern, number = value.rsplit("=", 1)
            overrides.append(Override(pattern.encode(), GGML[number]))
    if overrides:
        params.tt_overrides = (Override * (len(overrides) + 1))(*overrides, Override(None, 0))
    with tempfile.TemporaryDirectory() as folder:
        out = keep or os.path.join(folder, "out.gguf")
        if library.llama_model_quantize(str(path).encode(), out.encode(), ctypes.byref(params)) != 0:
            return None
        data = pathlib.Path(out).read_bytes()
        return [len(data), f"{zlib.crc32(data):08x}"]


def cases():
    for path in sorted(corpus.glob("arch/*/model.gguf")):
        for kind in ("Q4_K_M", "Q3_K_M", "Q2_K", "Q8_0", "IQ4_NL", "MXFP4_MOE"):
            yield f"corpus/{path.relative_to(corpus).as_posix()}", kind, ()
    for name in ("llama2xs-f32.gguf", "stories260K-f32.gguf", "llama2xs-bf16.gguf"):
        for kind in ("Q4_K_M", "Q5_K_S", "Q4_0", "F16"):
            yield f"corpus/llama/{name}", kind, ()
    source = "sample/gguf/sample-f16.gguf"
    for kind in TYPES:
        yield source, kind, ()
    for kind, options in (
        ("Q4_K_M", ("--pure",)),
        ("Q4_K_S", ("--output-tensor-type Q4_0", "--token-embedding-type Q8_0")),
        ("Q5_K_M", ("--tensor ffn_(up|down)=Q3_K", "--tensor blk\\.0\\.=IQ4_XS")),
        ("IQ4_XS", ("--tensor attn_v=F16", "--token-embedding-type Q6_K")),
        ("F16", ("--token-embedding-type Q8_0", "--tensor attn=Q4_0")),
    ):
        yield source, kind, options
    yield "sample/gguf/sample-q8_0.gguf", "Q4_K_M", ("--allow-requantize",)
    yield "sample/gguf/sample-q4_k_m.gguf", "Q8_0", ("--allow-requantize",)


def main():
    out = []
    for name, kind, options in cases():
        root, _, rest = name.partition("/")
        found = run((corpus if root == "corpus" else sample) / rest, kind, options)
        if found is None:
            print(f"refused: {name} as {kind}", file=sys.stderr)
        else:
            out.append([name, kind, list(options), *found])
    print("[\n" + ",\n".join(" " + json.dumps(case) for case in out) + "\n]")


main()

"""Writes the GGUF files: one per encoding, all from the same weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType as Encoding
from gguf import GGUFWriter, LlamaFileType, TokenType, quants
from tokenizers import Tokenizer

import kquants
from config import AUTHOR, CONFIG, END_OF_TEXT, LICENSE, MODEL_DESCRIPTION, MODEL_NAME, ModelConfig

#: File name -> (label of the file, encoding of its matrices).
FILES = {
    "sample-f16.gguf": (LlamaFileType.MOSTLY_F16, Encoding.F16),
    "sample-bf16.gguf": (LlamaFileType.MOSTLY_BF16, Encoding.BF16),
    "sample-q8_0.gguf": (LlamaFileType.MOSTLY_Q8_0, Encoding.Q8_0),
    "sample-q4_0.gguf": (LlamaFileType.MOSTLY_Q4_0, Encoding.Q4_0),
    "sample-q4_1.gguf": (LlamaFileType.MOSTLY_Q4_1, Encoding.Q4_1),
    "sample-q5_0.gguf": (LlamaFileType.MOSTLY_Q5_0, Encoding.Q5_0),
    "sample-q5_1.gguf": (LlamaFileType.MOSTLY_Q5_1, Encoding.Q5_1),
    "sample-q4_k_m.gguf": (LlamaFileType.MOSTLY_Q4_K_M, Encoding.Q4_K),
}

#: Hugging Face name within a layer -> GGUF name within a block.
LAYER_NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def gguf_name(name: str) -> str:
    """The GGUF name of a Hugging Face tensor."""
    if name == "model.embed_tokens.weight":
        return "token_embd.weight"
    if name == "model.norm.weight":
        return "output_norm.weight"
    _, _, layer, inner = name.split(".", 3)
    return f"blk.{layer}.{LAYER_NAMES[inner.removesuffix('.weight')]}.weight"


def interleave_heads(matrix: np.ndarray, heads: int) -> np.ndarray:
    """Reorders the rows of q or k from half-split to interleaved rotary pairs.

    Within a head, row i and row i + head_dim / 2 rotate together in the Hugging
    Face layout; llama.cpp expects such a pair in two neighbouring rows.
    """
    rows, columns = matrix.shape
    split = matrix.reshape(heads, 2, rows // heads // 2, columns)
    return split.swapaxes(1, 2).reshape(rows, columns)


def gguf_tensors(params: dict[str, np.ndarray], config: ModelConfig) -> dict[str, np.ndarray]:
    """The weights under their GGUF names, q and k in llama.cpp's row order."""
    tensors = {}
    for name, values in params.items():
        if name.endswith("q_proj.weight"):
            values = interleave_heads(values, config.heads)
        if name.endswith("k_proj.weight"):
            values = interleave_heads(values, config.kv_heads)
        tensors[gguf_name(name)] = values
    return tensors


def encoding_of(name: str, shape: tuple[int, ...], main: Encoding, layers: int) -> Encoding:
    """Which encoding a tensor gets in a file whose matrices mostly have `main`.

    Vectors stay F32. The embedding doubles as output matrix, where small errors
    cost most: below 8 bits it gets Q6_K, as llama.cpp does. The Q4_K_M mix also
    gives Q6_K to the value and down matrices of its more important layers.
    """
    if len(shape) == 1:
        return Encoding.F32
    if name == "token_embd.weight" and main not in (Encoding.F16, Encoding.BF16, Encoding.Q8_0):
        return Encoding.Q6_K
    if main == Encoding.Q4_K and name.endswith(("attn_v.weight", "ffn_down.weight")):
        if _use_more_bits(int(name.split(".")[1]), layers):
            return Encoding.Q6_K
    return main


def _use_more_bits(layer: int, layers: int) -> bool:
    """llama.cpp's choice: the first and last eighth of the layers, and every third between."""
    return layer < layers // 8 or layer >= 7 * layers // 8 or (layer - layers // 8) % 3 == 2


def encode(values: np.ndarray, encoding: Encoding) -> np.ndarray:
    """A tensor as the array that the GGUF writer stores."""
    if encoding == Encoding.Q4_K:
        return kquants.quantize_q4_k(values)
    if encoding == Encoding.Q6_K:
        return kquants.quantize_q6_k(values)
    return quants.quantize(np.ascontiguousarray(values, np.float32), encoding)


def _add_general(writer: GGUFWriter, label: LlamaFileType) -> None:
    writer.add_type("model")
    writer.add_name(MODEL_NAME)
    writer.add_author(AUTHOR)
    writer.add_description(MODEL_DESCRIPTION)
    writer.add_license(LICENSE)
    writer.add_size_label("1M")
    writer.add_languages(["en"])
    writer.add_tags(["text-generation", "stories", "test"])
    writer.add_file_type(label)
    writer.add_quantization_version(2)


def _add_shape(writer: GGUFWriter, config: ModelConfig) -> None:
    writer.add_vocab_size(config.vocab)
    writer.add_context_length(config.context)
    writer.add_embedding_length(config.width)
    writer.add_block_count(config.layers)
    writer.add_feed_forward_length(config.ffn)
    writer.add_head_count(config.heads)
    writer.add_head_count_kv(config.kv_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_layer_norm_rms_eps(config.norm_eps)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_theta)


def _add_tokenizer(writer: GGUFWriter, tokenizer: Tokenizer) -> None:
    model = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    end_id = tokenizer.token_to_id(END_OF_TEXT)
    types = [TokenType.CONTROL if index == end_id else TokenType.NORMAL for index in range(len(tokens))]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges([" ".join(pair) for pair in model["merges"]])
    writer.add_bos_token_id(end_id)
    writer.add_eos_token_id(end_id)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)


def write_file(path: Path, tensors: dict[str, np.ndarray], tokenizer: Tokenizer,
               label: LlamaFileType, main: Encoding, config: ModelConfig) -> None:
    """One GGUF file."""
    writer = GGUFWriter(path, "llama")
    _add_general(writer, label)
    _add_shape(writer, config)
    _add_tokenizer(writer, tokenizer)
    for name, values in tensors.items():
        encoding = encoding_of(name, values.shape, main, config.layers)
        writer.add_tensor(name, encode(values, encoding), raw_dtype=encoding)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write(params: dict[str, np.ndarray], tokenizer: Tokenizer, folder: Path, config: ModelConfig = CONFIG) -> None:
    """All GGUF files."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = gguf_tensors(params, config)
    for file_name, (label, main) in FILES.items():
        write_file(folder / file_name, tensors, tokenizer, label, main, config)

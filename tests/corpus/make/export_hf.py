"""Writes the Hugging Face folder: two safetensors shards, an index, configuration, tokenizer."""

from __future__ import annotations

import json
from pathlib import Path

import ml_dtypes
import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer

from config import CONFIG, END_OF_TEXT, ModelConfig

SHARDS = 2


def shard_number(name: str, config: ModelConfig) -> int:
    """1 for the embedding and the first layers, 2 for the rest."""
    if "embed_tokens" in name:
        return 1
    if "layers." not in name:
        return SHARDS
    layer = int(name.split("layers.")[1].split(".")[0])
    return 1 + layer * SHARDS // config.layers


def write_weights(params: dict[str, np.ndarray], folder: Path, config: ModelConfig) -> None:
    """BF16 shards and the index that says which tensor lies where."""
    weight_map = {}
    for shard in range(1, SHARDS + 1):
        file_name = f"model-{shard:05d}-of-{SHARDS:05d}.safetensors"
        names = [name for name in params if shard_number(name, config) == shard]
        tensors = {name: params[name].astype(ml_dtypes.bfloat16) for name in names}
        save_file(tensors, folder / file_name, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(names, file_name)
    index = {
        "metadata": {"total_parameters": config.parameters(), "total_size": 2 * config.parameters()},
        "weight_map": dict(sorted(weight_map.items())),
    }
    _write_json(folder / "model.safetensors.index.json", index)


def model_config(config: ModelConfig, end_id: int) -> dict:
    """The contents of `config.json`, as `LlamaForCausalLM` reads it."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": end_id,
        "eos_token_id": end_id,
        "head_dim": config.head_dim,
        "hidden_act": "silu",
        "hidden_size": config.width,
        "initializer_range": 0.02,
        "intermediate_size": config.ffn,
        "max_position_embeddings": config.context,
        "mlp_bias": False,
        "model_type": "llama",
        "num_attention_heads": config.heads,
        "num_hidden_layers": config.layers,
        "num_key_value_heads": config.kv_heads,
        "pretraining_tp": 1,
        "rms_norm_eps": config.norm_eps,
        "rope_scaling": None,
        "rope_theta": config.rope_theta,
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
        "use_cache": True,
        "vocab_size": config.vocab,
    }


def tokenizer_config(config: ModelConfig, end_id: int) -> dict:
    """The contents of `tokenizer_config.json`."""
    added = {
        "content": END_OF_TEXT, "lstrip": False, "normalized": False,
        "rstrip": False, "single_word": False, "special": True,
    }
    return {
        "add_bos_token": True,
        "add_prefix_space": False,
        "added_tokens_decoder": {str(end_id): added},
        "bos_token": END_OF_TEXT,
        "clean_up_tokenization_spaces": False,
        "eos_token": END_OF_TEXT,
        "model_max_length": config.context,
        "tokenizer_class": "PreTrainedTokenizerFast",
        "unk_token": None,
    }


def write(params: dict[str, np.ndarray], tokenizer: Tokenizer, folder: Path, config: ModelConfig = CONFIG) -> None:
    """The whole folder."""
    folder.mkdir(parents=True, exist_ok=True)
    end_id = tokenizer.token_to_id(END_OF_TEXT)
    write_weights(params, folder, config)
    tokenizer.save(str(folder / "tokenizer.json"))
    _write_json(folder / "config.json", model_config(config, end_id))
    _write_json(folder / "tokenizer_config.json", tokenizer_config(config, end_id))
    _write_json(folder / "special_tokens_map.json", {"bos_token": END_OF_TEXT, "eos_token": END_OF_TEXT})
    generation = {"bos_token_id": end_id, "do_sample": True, "eos_token_id": end_id, "temperature": 0.8, "top_k": 40}
    _write_json(folder / "generation_config.json", generation)


def _write_json(path: Path, value: dict) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")

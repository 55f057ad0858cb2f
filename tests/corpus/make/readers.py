"""Reads the written files back, each with code other than the one that wrote it."""

from __future__ import annotations

import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
from gguf import GGUFReader, quants
from safetensors import safe_open

from export_gguf import LAYER_NAMES

Weights = dict[str, np.ndarray]


def read_hf(folder: Path) -> Weights:
    """The tensors of all shards that the index names, as float64."""
    index = json.loads((folder / "model.safetensors.index.json").read_text(encoding="utf-8"))
    weights = {}
    for name, file_name in index["weight_map"].items():
        with safe_open(folder / file_name, framework="numpy") as shard:
            weights[name] = shard.get_tensor(name).astype(np.float64)
    return weights


def read_gguf(path: Path) -> Weights:
    """The dequantised tensors under Hugging Face names, as float64; rows stay where GGUF has them."""
    inner = {short: long for long, short in LAYER_NAMES.items()}
    top = {"token_embd": "model.embed_tokens", "output_norm": "model.norm"}
    weights = {}
    for tensor in GGUFReader(path).tensors:
        stem = tensor.name.removesuffix(".weight")
        if stem in top:
            name = top[stem]
        else:
            _, layer, short = stem.split(".")
            name = f"model.layers.{layer}.{inner[short]}"
        values = quants.dequantize(tensor.data, tensor.tensor_type)
        weights[name + ".weight"] = values.reshape(tuple(reversed(tensor.shape))).astype(np.float64)
    return weights


class _StateUnpickler(pickle.Unpickler):
    """Accepts exactly the globals that `torch.load(weights_only=True)` would need here."""

    def __init__(self, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(archive.open(f"{root}/data.pkl"))
        self.archive, self.root = archive, root

    def find_class(self, module: str, name: str):
        if (module, name) == ("collections", "OrderedDict"):
            return dict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if (module, name) == ("torch", "HalfStorage"):
            return np.float16
        raise pickle.UnpicklingError(f"{module}.{name} is not expected")

    def persistent_load(self, key):
        kind, dtype, entry, _location, count = key
        if kind != "storage":
            raise pickle.UnpicklingError(f"persistent id of kind {kind}")
        return np.frombuffer(self.archive.read(f"{self.root}/data/{entry}"), dtype, count)


def _rebuild_tensor(storage: np.ndarray, offset: int, shape: tuple, strides: tuple, *_) -> np.ndarray:
    """What PyTorch's function of this name does, for numpy."""
    steps = [stride * storage.itemsize for stride in strides]
    return np.lib.stride_tricks.as_strided(storage[offset:], shape, steps)


def read_pt(path: Path) -> Weights:
    """The state dict of a PyTorch checkpoint, as float64."""
    with zipfile.ZipFile(path) as archive:
        root = archive.namelist()[0].split("/")[0]
        state = _StateUnpickler(archive, root).load()
    return {name: values.astype(np.float64) for name, values in state.items()}

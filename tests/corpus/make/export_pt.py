"""Writes a PyTorch checkpoint without PyTorch: a zip with a pickle and raw storages.

The result is what `torch.save(model.state_dict(), ...)` writes for a model with
tied embeddings: `lm_head.weight` and `model.embed_tokens.weight` share a storage.
`torch.load(..., weights_only=True)` needs nothing beyond its own list of globals.
"""

from __future__ import annotations

import io
import pickle
import sys
import types
import zipfile
from collections import OrderedDict
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = "sample"
ALIGNMENT = 64
LOCAL_HEADER_BYTES = 30
EXTRA_HEADER_BYTES = 4
#: "FB": the extra field that PyTorch pads its zip entries with.
PADDING_FIELD_ID = b"FB"


@contextmanager
def torch_globals():
    """Stand-ins for the three globals the pickle names, so that `pickle` accepts them."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    storage = type("HalfStorage", (), {"__module__": "torch"})

    def rebuild(*_):
        raise NotImplementedError("only named in the pickle, never called")

    rebuild.__module__, rebuild.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    torch.HalfStorage, torch._utils, utils._rebuild_tensor_v2 = storage, utils, rebuild
    saved = {name: sys.modules.get(name) for name in ("torch", "torch._utils")}
    sys.modules |= {"torch": torch, "torch._utils": utils}
    try:
        yield storage, rebuild
    finally:
        for name, module in saved.items():
            sys.modules.pop(name)
            if module is not None:
                sys.modules[name] = module


@dataclass(frozen=True)
class Storage:
    """One run of float16 numbers, stored as the zip entry `data/<key>`."""

    key: str
    count: int


class Tensor:
    """A view of a whole storage; pickles as PyTorch's rebuild call."""

    def __init__(self, rebuild, storage: Storage, shape: tuple[int, ...]):
        strides = [int(np.prod(shape[axis + 1:])) for axis in range(len(shape))]
        self.call = (rebuild, (storage, 0, shape, tuple(strides), False, OrderedDict()))

    def __reduce__(self):
        return self.call


def pickle_state(params: dict[str, np.ndarray]) -> tuple[bytes, list[np.ndarray]]:
    """The pickle of the state dict and the storages it refers to, in order."""
    arrays: list[np.ndarray] = []
    with torch_globals() as (storage_type, rebuild):
        state = OrderedDict()
        for name, values in params.items():
            state[name] = Tensor(rebuild, Storage(str(len(arrays)), values.size), values.shape)
            arrays.append(values.astype(np.float16))
        state["lm_head.weight"] = Tensor(
            rebuild, Storage("0", arrays[0].size), arrays[0].shape)

        class StatePickler(pickle.Pickler):
            def persistent_id(self, item):
                if isinstance(item, Storage):
                    return ("storage", storage_type, item.key, "cpu", item.count)
                return None

        buffer = io.BytesIO()
        StatePickler(buffer, protocol=2).dump(state)
    return buffer.getvalue(), arrays


def _add_aligned(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    """Adds an uncompressed entry whose content begins at a multiple of 64 bytes."""
    info = zipfile.ZipInfo(f"{ROOT}/{name}", date_time=(1980, 1, 1, 0, 0, 0))
    begin = archive.fp.tell() + LOCAL_HEADER_BYTES + len(info.filename) + EXTRA_HEADER_BYTES
    padding = -begin % ALIGNMENT
    info.extra = PADDING_FIELD_ID + padding.to_bytes(2, "little") + b"Z" * padding
    archive.writestr(info, content)


def write(params: dict[str, np.ndarray], path: Path) -> None:
    """The checkpoint; the embedding must be the first parameter."""
    pickled, arrays = pickle_state(params)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        _add_aligned(archive, "data.pkl", pickled)
        _add_aligned(archive, ".format_version", b"1")
        _add_aligned(archive, ".storage_alignment", str(ALIGNMENT).encode())
        _add_aligned(archive, "byteorder", b"little")
        for key, values in enumerate(arrays):
            _add_aligned(archive, f"data/{key}", values.tobytes())
        _add_aligned(archive, "version", b"3\n")

"""Look inside model files, preview their tokenization, and run them.

>>> import glassbox
>>> with glassbox.open("model.gguf") as model:
...     print(model.report["summary"])
...     weights = model["blk.0.attn_q.weight"][:16]          # a NumPy array, decoded
...     ids = model.tokenizer.encode("Once upon a time")
...     model.load()
...     for piece in model.stream("Once upon a time", max_tokens=50):
...         print(piece.text, end="")

Files are read by ranges, never whole. Each model has a thread of its own; calls release the GIL and can be interrupted by Ctrl-C.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from ._fault import Fault
from ._glassbox import __version__
from ._model import Generated, Model, Piece, Stream, Tensor, Tokenizer
from . import _glassbox, _model

__all__ = [
    "Fault", "Generated", "Model", "Piece", "Stream", "Tensor", "Tokenizer",
    "__version__", "devices", "diff", "open", "quantize",
]

PathLike = str | os.PathLike[str]


def open(path: PathLike | Sequence[PathLike]) -> Model:
    """Open a model: a file with what belongs to it in its folder, a folder, or several files.

    Raises `Fault` where the files cannot be read or are no model.
    """
    return _model.open(path)


def diff(a: PathLike, b: PathLike, *, values: bool = False, allow_rounding: bool = False) -> dict[str, Any]:
    """Compare two models of any formats, as `glassbox diff` does.

    values: also read all weights: relative error, cosine and largest change of each pair.
    allow_rounding: a weight that differs by no more than its encoding's rounding is no difference.
    """
    return _model.loads(_glassbox.diff(a, b, values, allow_rounding))


def quantize(
    input: PathLike, output: PathLike | None, type: str = "Q4_K_M", *,
    tensors: Sequence[str] = (), allow_requantize: bool = False, threads: int = 0,
) -> dict[str, Any]:
    """Write a GGUF model in another type, as `glassbox quantize` does; without `output` a trial that tells each tensor's error.

    tensors: "PATTERN=TYPE": what tensors become whose names hold the regular expression; the first that fits counts.
    """
    return _model.loads(_glassbox.quantize(input, output, type, list(tensors), allow_requantize, threads))


def devices() -> list[dict[str, Any]]:
    """The devices of this machine, the CPU last."""
    return _model.loads(_glassbox.devices())["devices"]

"""Models, their tensors and tokenizers."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from . import _glassbox

#: Encodings whose values NumPy holds as they lie in the file.
_EXACT = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2",
    "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "|u1", "BOOL": "|b1",
    "C64": "<c8", "C128": "<c16",
}


def loads(text: str) -> Any:
    return json.loads(text)


def open(path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> Model:
    paths = [path] if isinstance(path, (str, os.PathLike)) else list(path)
    return Model(_glassbox.Model(paths))


class Model(Mapping[str, "Tensor"]):
    """An open model. As a mapping it holds its tensors by their names."""

    def __init__(self, native: _glassbox.Model) -> None:
        """Use `glassbox.open`."""
        self._native = native

    @cached_property
    def report(self) -> dict[str, Any]:
        """All that its headers tell: kind, shape, metadata, tensors, findings, what can run it. The keys are those of `glassbox inspect --json`."""
        return loads(self._native.report())

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """Metadata by key. Of long arrays only the first items; `array` gives the others."""
        return {entry["key"]: entry["value"] for entry in self.report["metadata"]}

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {tensor["name"]: i for i, tensor in enumerate(self.report["tensors"])}

    def __getitem__(self, name: str) -> Tensor:
        number = self._numbers[name]
        return Tensor(self._native, number, self.report["tensors"][number])

    def __iter__(self) -> Iterator[str]:
        return iter(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)

    def __repr__(self) -> str:
        return f"<glassbox.Model: {self.report['summary']}>"

    def check(self) -> dict[str, Any]:
        """Look closer, as `glassbox check` does: tensors, vocabulary, template."""
        return loads(self._native.check())

    def array(self, key: str, start: int = 0, stop: int | None = None) -> list[Any]:
        """Items of an array in the metadata."""
        return loads(self._native.array(key, start, 2**53 if stop is None else stop))

    def bytes(self, file: str, start: int, stop: int) -> bytes:
        """Bytes of one of its files, fewer where it ends."""
        return bytes.fromhex(loads(self._native.bytes(file, start, stop))["hex"])

    @property
    def tokenizer(self) -> Tokenizer:
        """Its tokenizer. That there is none is told by the first call."""
        return Tokenizer(self._native)

    @property
    def chat_templates(self) -> list[dict[str, Any]]:
        """Its chat templates: name, source, what they make of a sample."""
        return loads(self._native.templates())["templates"]

    def apply_chat_template(
        self, messages: Sequence[Mapping[str, Any]], *, tools: Sequence[Mapping[str, Any]] | None = None,
        add_generation_prompt: bool = True, template: str | None = None, now: float | None = None, **variables: Any,
    ) -> str:
        """A conversation as the prompt that the model was trained on; `variables` are the template's own, such as `enable_thinking`."""
        conversation = {
            "messages": list(messages), "tools": None if tools is None else list(tools), "variables": variables,
            "add_generation_prompt": add_generation_prompt, "now": int(time.time() if now is None else now),
        }
        return loads(self._native.chat(template, json.dumps(conversation)))["text"]

    def load(self, device: str = "auto", *, context: int | None = None, exact: bool = False) -> dict[str, Any]:
        """Put the weights on a device ("auto", "gpu" or "cpu"); `generate` needs it.

        context: the longest sequence in tokens; by default the model's own, at most 4,096.
        exact: the CPU keeps activations in f32 where it would round them to 8 bits.
        """
        return loads(self._native.load(device, context, 1, exact))

    def generate(self, prompt: str | Sequence[int], **options: Any) -> Generated:
        """Continue a prompt (a text, or token ids). The options are those of `stream`."""
        return self.stream(prompt, **options).finish()

    def stream(
        self, prompt: str | Sequence[int], *, max_tokens: int = 128, temperature: float = 0.0, top_k: int = 0, top_p: float = 1.0, min_p: float = 0.0,
        seed: int = 0, repetition_penalty: float = 1.0, presence_penalty: float = 0.0, frequency_penalty: float = 0.0,
        add_special: bool = True, alternatives: bool = False, stop: Sequence[str] = (), logit_bias: Mapping[int, float] | None = None,
    ) -> Stream:
        """Continue a prompt, token by token. With temperature 0 the likeliest token is taken always.

        add_special: the tokenizer's own special tokens before the text; False for the text of a chat template, which writes them itself.
        """
        options = {
            "max_tokens": max_tokens, "temperature": temperature, "top_k": top_k, "top_p": top_p, "min_p": min_p, "seed": seed,
            "repetition_penalty": repetition_penalty, "presence_penalty": presence_penalty, "frequency_penalty": frequency_penalty,
            "add_special": add_special, "alternatives": alternatives, "stop": list(stop), "logit_bias": list((logit_bias or {}).items()),
        }
        text = prompt if isinstance(prompt, str) else None
        ids = None if isinstance(prompt, str) else [int(i) for i in prompt]
        return Stream(self._native.generate(text, ids, json.dumps(options)))

    def embed(
        self, texts: Sequence[str], *, prompt: str | None = None, pooling: str | None = None, normalize: bool | None = None, device: str = "auto",
    ) -> np.ndarray:
        """Vectors of texts, one a row (f32). What is not given is as the model's files say. The first call loads the encoder."""
        data, width = self._native.embed(list(texts), prompt, pooling, normalize, device)
        return np.frombuffer(data, dtype=np.float32).reshape(len(texts), width)

    def close(self) -> None:
        """Free all it holds. A call that runs on another thread ends first."""
        self._native.close()

    def __enter__(self) -> Model:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # A mapping compares by its items: all tensors of both models would be looked at.
    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other


@dataclass(frozen=True)
class Tensor:
    """A tensor of an open model; nothing of it is read before it is asked for."""

    _native: _glassbox.Model
    _number: int
    _entry: dict[str, Any]

    @property
    def name(self) -> str:
        return self._entry["name"]

    @property
    def shape(self) -> tuple[int, ...]:
        """Slowest dimension first, as NumPy has it."""
        return tuple(self._entry["shape"])

    @property
    def encoding(self) -> str:
        """How its values lie in the file: "F16", "Q4_K", ..."""
        return self._entry["encoding"]

    @property
    def nbytes(self) -> int | None:
        """Bytes in the file."""
        return self._entry["bytes"]

    @property
    def dtype(self) -> np.dtype:
        """Of the array that indexing gives: the file's own where NumPy has it, else float32."""
        return np.dtype(_EXACT.get(self.encoding, np.float32))

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a scalar")
        return self.shape[0]

    def __getitem__(self, index: Any) -> np.ndarray:
        """Values. An index or a slice of the first dimension reads these rows only; what else is asked is NumPy's."""
        first, rest = (index[0], index[1:]) if isinstance(index, tuple) and index else (index, ())
        if not self.shape or index == () or first is Ellipsis or first is None:
            return self.numpy()[index]
        rows = self.shape[0]
        if isinstance(first, slice):
            start, stop, step = first.indices(rows)
            if step < 0:
                return self.numpy()[index]
            taken = self._rows(start, max(start, stop))[::step]
            return taken[(slice(None), *rest)] if rest else taken
        if isinstance(first, (int, np.integer)):
            row = int(first) + rows if first < 0 else int(first)
            if not 0 <= row < rows:
                raise IndexError(f"row {first} of {self.name}, which has {rows}")
            taken = self._rows(row, row + 1)[0]
            return taken[rest] if rest else taken
        return self.numpy()[index]

    def numpy(self) -> np.ndarray:
        """All values."""
        return self._read(0, self._count(self.shape)).reshape(self.shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        values = self.numpy()
        return values if dtype is None else values.astype(dtype)

    def raw(self, start: int = 0, stop: int | None = None) -> bytes:
        """The bytes of the rows, as they lie in the file: whole blocks."""
        if not self.shape:
            return self._native.raw(self._number, 0, 1)
        row = self._count(self.shape[1:])
        stop = self.shape[0] if stop is None else stop
        return self._native.raw(self._number, start * row, stop * row)

    def statistics(self) -> dict[str, Any]:
        """Smallest, largest, mean, standard deviation, zeros, NaNs, histogram: over all values, read in pieces."""
        return loads(self._native.statistics(self._number))["stats"]

    def _rows(self, start: int, stop: int) -> np.ndarray:
        row = self._count(self.shape[1:])
        return self._read(start * row, stop * row).reshape(stop - start, *self.shape[1:])

    def _read(self, start: int, stop: int) -> np.ndarray:
        exact = _EXACT.get(self.encoding)
        if exact is not None:
            return np.frombuffer(self._native.raw(self._number, start, stop), dtype=exact)
        return np.frombuffer(self._native.values(self._number, start, stop), dtype=np.float32)

    @staticmethod
    def _count(shape: Sequence[int]) -> int:
        count = 1
        for size in shape:
            count *= size
        return count

    def __repr__(self) -> str:
        return f"<glassbox.Tensor {self.name}: {self.encoding} {list(self.shape)}>"


class Tokenizer:
    """A model's tokenizer."""

    def __init__(self, native: _glassbox.Model) -> None:
        self._native = native

    def encode(self, text: str, *, add_special: bool = True, parse_special: bool = False) -> list[int]:
        """Ids of a text. parse_special: special tokens that are written in the text count as such."""
        return self._native.encode([text], add_special, parse_special)[0]

    def encode_batch(self, texts: Sequence[str], *, add_special: bool = True, parse_special: bool = False) -> list[list[int]]:
        """Ids of several texts."""
        return self._native.encode(list(texts), add_special, parse_special)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids."""
        return self._native.decode([int(i) for i in ids])

    def explain(self, text: str, *, add_special: bool = True, parse_special: bool = False, steps: bool = False) -> dict[str, Any]:
        """Pieces with the bytes that each covers and findings; with `steps` how the text becomes ids, step by step."""
        return loads(self._native.explain(text, add_special, parse_special, steps))


@dataclass(frozen=True)
class Piece:
    """A generated token."""

    id: int
    #: Text that became complete with it; may be empty.
    text: str
    #: Where alternatives were asked for.
    probability: float | None
    #: The likeliest tokens: id, text, probability.
    alternatives: list[dict[str, Any]]


@dataclass(frozen=True)
class Generated:
    """What a generation made."""

    text: str
    ids: list[int]
    prompt_ids: list[int]
    #: Why it ended: "end token", "stop text", "limit", "context" or "stopped".
    stop: str
    #: Seconds and tokens of prompt and completion, and more: `timing` of `glassbox run --json`.
    timing: dict[str, Any]
    device: dict[str, Any]
    notes: list[str]


class Stream(Iterator[Piece]):
    """A generation that runs; it stops when it is dropped."""

    def __init__(self, native: _glassbox.Stream) -> None:
        self._native = native

    def __next__(self) -> Piece:
        piece = self._native.next()
        if piece is None:
            raise StopIteration
        return Piece(**loads(piece))

    def stop(self) -> None:
        """End it with the next token."""
        self._native.stop()

    def finish(self) -> Generated:
        """Wait for the end, and tell all."""
        outcome = self._native.finish()
        if outcome is None:
            raise RuntimeError("the generation failed before")
        report = loads(outcome)
        return Generated(**{key: report[key] for key in Generated.__dataclass_fields__})

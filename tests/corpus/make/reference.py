"""Writes what a correct reader and runner of the sample must find.

`reference.json` holds prompts, greedy continuations and tokenizer vectors;
`reference/<weights>.npy` the logits after each prompt, float32 [prompts, vocab].
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

import export_gguf
import readers
from config import CONFIG, END_OF_TEXT, ModelConfig
from llama64 import Llama64

MAX_NEW_TOKENS = 200

PROMPTS = (
    "Once upon a time",
    "Zoé was a shy mouse.",
    "Once upon a time, there was a brave bear named Tom who lived near a big forest. One day,",
    "Once upon a time, there was a curious girl named Anna. She lived near a big forest. Anna had a blue",
    "",
)

TOKENIZER_TEXTS = (
    "", " ", "Once upon a time", "The fox said, \"Help!\"", "Zoé and André — friends.",
    "  two  spaces  ", "line\nbreak\n\nand\ttab", "don't we've I'll", "12345 and 3.14",
    "naïve café", "日本語", "🦊 and 🐻", "e\u0301", "a\u00a0b", "ALL CAPS", "x\r\ny",
    "<|endoftext|>", "one<|endoftext|>two", "hello world", "\x00\x7f", "snowman☃!", "trailing ",
)

#: Files that hold the same numbers, so that one reference serves them all.
EXACT_FILES = ("hf", "gguf/sample-f16.gguf", "gguf/sample-bf16.gguf", "sample.onnx", "sample.pt")


def top2_gap(logits: np.ndarray) -> float:
    """By how much the best logit leads; below an engine's error, greedy ids may differ."""
    second, first = np.partition(logits, -2)[-2:]
    return float(first - second)


def greedy(model: Llama64, ids: list[int], end_id: int) -> tuple[list[int], list[float], np.ndarray]:
    """New ids (the end id included), the gap at each, and the logits after the prompt."""
    prompt_logits = logits = model.read(ids)[-1]
    new_ids, gaps = [], []
    while len(new_ids) < MAX_NEW_TOKENS and len(ids) + len(new_ids) < model.config.context:
        new_ids.append(int(np.argmax(logits)))
        gaps.append(top2_gap(logits))
        if new_ids[-1] == end_id:
            break
        logits = model.step(new_ids[-1])
    return new_ids, gaps, prompt_logits


def runs_of(model: Llama64, tokenizer: Tokenizer) -> tuple[list[dict], np.ndarray]:
    """The greedy run of every prompt, and the logits [prompts, vocab] after the prompts."""
    end_id = tokenizer.token_to_id(END_OF_TEXT)
    runs, rows = [], []
    for prompt in PROMPTS:
        ids, gaps, logits = greedy(model, tokenizer.encode(prompt).ids, end_id)
        rows.append(logits.astype(np.float32))
        runs.append({
            "prompt": prompt,
            "ids": ids,
            "text": tokenizer.decode(ids, skip_special_tokens=True),
            "ended": ids[-1] == end_id,
            "top2_gaps": [round(gap, 5) for gap in gaps],
            "min_top2_gap": round(min(gaps), 5),
        })
    return runs, np.stack(rows)


def tokenizer_vectors(tokenizer: Tokenizer) -> list[dict]:
    """Texts with their ids, without the leading end-of-text token."""
    vectors = []
    for text in TOKENIZER_TEXTS:
        encoding = tokenizer.encode(text, add_special_tokens=False)
        decoded = tokenizer.decode(encoding.ids, skip_special_tokens=False)
        assert decoded == text, (text, decoded)
        vectors.append({"text": text, "ids": encoding.ids, "tokens": encoding.tokens, "offsets": encoding.offsets})
    return vectors


def check_equal_weights(folder: Path) -> None:
    """The safetensors, PyTorch, F16 and BF16 files hold the same numbers."""
    base = readers.read_hf(folder / "hf")
    state = readers.read_pt(folder / "sample.pt")
    tied = state.pop("lm_head.weight")
    assert np.array_equal(tied, state["model.embed_tokens.weight"])
    assert state.keys() == base.keys()
    halves = [readers.read_gguf(folder / "gguf" / f"sample-{kind}.gguf") for kind in ("f16", "bf16")]
    assert halves[0].keys() == halves[1].keys() == base.keys()
    for name, values in base.items():
        assert np.array_equal(values, state[name]), name
        assert np.array_equal(halves[0][name], halves[1][name]), name
        assert np.array_equal(np.sort(values, axis=0), np.sort(halves[0][name], axis=0)), name


def check_runners(folder: Path, config: ModelConfig, ids: list[int]) -> dict[str, float]:
    """Largest differences of logits on `ids`: GGUF row order and ONNX against the HF weights."""
    wanted = Llama64(readers.read_hf(folder / "hf"), config, interleaved=False).read(ids)
    gguf = Llama64(readers.read_gguf(folder / "gguf" / "sample-f16.gguf"), config, interleaved=True).read(ids)
    session = onnxruntime.InferenceSession(folder / "sample.onnx", providers=["CPUExecutionProvider"])
    # Two equal rows also show that the graph takes a batch.
    onnx_logits = session.run(None, {"input_ids": np.array([ids, ids], np.int64)})[0]
    assert np.array_equal(onnx_logits[0], onnx_logits[1])
    differences = {
        "gguf_f16_float64": float(np.abs(gguf - wanted).max()),
        "onnxruntime_float32": float(np.abs(onnx_logits[0] - wanted).max()),
    }
    assert differences["gguf_f16_float64"] < 1e-9, differences
    assert differences["onnxruntime_float32"] < 1e-3, differences
    return differences


def model_of(folder: Path, file: str, config: ModelConfig) -> Llama64:
    """The model with the weights of one of the files."""
    if file == "hf":
        return Llama64(readers.read_hf(folder / "hf"), config, interleaved=False)
    return Llama64(readers.read_gguf(folder / file), config, interleaved=True)


def file_hashes(folder: Path) -> dict[str, dict]:
    """Size and SHA-256 of every file of the sample except the references."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): {
            "bytes": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        for path in files
        if "reference" not in path.relative_to(folder).parts[0]
    }


def write(folder: Path, config: ModelConfig = CONFIG) -> dict:
    """Checks the files against each other, writes the references and returns them."""
    tokenizer = Tokenizer.from_file(str(folder / "hf" / "tokenizer.json"))
    check_equal_weights(folder)
    logits_folder = folder / "reference"
    logits_folder.mkdir(exist_ok=True)
    quantised = [f"gguf/{name}" for name in export_gguf.FILES if f"gguf/{name}" not in EXACT_FILES]
    groups = []
    for files in (list(EXACT_FILES), *([name] for name in quantised)):
        stem = "exact" if len(files) > 1 else Path(files[0]).stem.removeprefix("sample-")
        runs, logits = runs_of(model_of(folder, files[0], config), tokenizer)
        np.save(logits_folder / f"{stem}.npy", logits)
        groups.append({"files": files, "logits": f"reference/{stem}.npy", "runs": runs})
        print(f"{stem:8s} smallest lead {min(run['min_top2_gap'] for run in runs):.4f}", flush=True)
    long_ids = (tokenizer.encode(PROMPTS[0]).ids + groups[0]["runs"][0]["ids"])[:config.context]
    reference = {
        "parameters": config.parameters(),
        "max_new_tokens": MAX_NEW_TOKENS,
        "prompts": [{"text": text, "ids": tokenizer.encode(text).ids} for text in PROMPTS],
        "weights": groups,
        "largest_logit_difference": check_runners(folder, config, long_ids),
        "tokenizer": tokenizer_vectors(tokenizer),
        "files": file_hashes(folder),
    }
    _write_json(folder / "reference.json", reference)
    return reference


def _write_json(path: Path, value: dict) -> None:
    """JSON with one line per list of numbers, so that differences stay readable."""
    text = json.dumps(value, indent=1, ensure_ascii=False)
    path.write_text(_join_numbers(text) + "\n", encoding="utf-8")


def _join_numbers(text: str) -> str:
    """Puts every list of plain numbers of an indented JSON text on one line."""
    lines: list[str] = []
    for line in text.split("\n"):
        number = line.strip().rstrip(",").lstrip("-").replace(".", "", 1).isdigit()
        after_open = lines and (lines[-1].endswith("[") or lines[-1].endswith(", "))
        if number and after_open:
            lines[-1] += line.strip() + (" " if line.endswith(",") else "")
        elif line.strip().rstrip(",") == "]" and lines and lines[-1][-1:].isdigit():
            lines[-1] += line.strip()
        else:
            lines.append(line)
    return "\n".join(lines)

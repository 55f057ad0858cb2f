"""Makes the sample model and everything derived from it.

    python make_sample.py                 train, export, write the references
    python make_sample.py --keep-weights  export again from the committed safetensors
    python make_sample.py --tell 3        print three sampled stories of the committed model
"""

from __future__ import annotations

import argparse
import shutil

import numpy as np
from tokenizers import Tokenizer

import export_gguf
import export_hf
import export_onnx
import export_pt
import reference
import tokenizer as vocabulary
from config import CONFIG, END_OF_TEXT, SAMPLE_DIR
from llama64 import Llama64
from readers import read_hf

#: The committed files must stay small; see the README.
SIZE_LIMIT = 16_000_000


def export(params: dict[str, np.ndarray], tokenizer: Tokenizer) -> None:
    """Replaces all files of the sample."""
    shutil.rmtree(SAMPLE_DIR, ignore_errors=True)
    export_hf.write(params, tokenizer, SAMPLE_DIR / "hf")
    export_gguf.write(params, tokenizer, SAMPLE_DIR / "gguf")
    export_onnx.write(params, SAMPLE_DIR / "sample.onnx")
    export_pt.write(params, SAMPLE_DIR / "sample.pt")
    reference.write(SAMPLE_DIR)
    total = sum(path.stat().st_size for path in SAMPLE_DIR.rglob("*") if path.is_file())
    print(f"{total:,} bytes in all")
    if total >= SIZE_LIMIT:
        raise SystemExit(f"the sample must stay below {SIZE_LIMIT:,} bytes")


def tell(count: int, temperature: float = 0.8) -> None:
    """Prints sampled stories of the committed model."""
    tokenizer = vocabulary.load(SAMPLE_DIR / "hf" / "tokenizer.json")
    model = Llama64(read_hf(SAMPLE_DIR / "hf"), CONFIG, interleaved=False)
    end_id = tokenizer.token_to_id(END_OF_TEXT)
    rng = np.random.default_rng(0)
    for _ in range(count):
        ids = [end_id]
        logits = model.read(ids)[-1]
        while len(ids) < CONFIG.context:
            chances = np.exp((logits - logits.max()) / temperature)
            ids.append(int(rng.choice(CONFIG.vocab, p=chances / chances.sum())))
            if ids[-1] == end_id:
                break
            logits = model.step(ids[-1])
        print(tokenizer.decode(ids), end="\n---\n")


def main() -> None:
    """Parses the command line and does what it says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep-weights", action="store_true", help="do not train")
    parser.add_argument("--tell", type=int, metavar="COUNT", help="only print sampled stories")
    options = parser.parse_args()
    if options.tell:
        tell(options.tell)
    elif options.keep_weights:
        tokenizer = vocabulary.load(SAMPLE_DIR / "hf" / "tokenizer.json")
        weights = read_hf(SAMPLE_DIR / "hf")
        ordered = {name: weights[name].astype(np.float32) for name in CONFIG.shapes()}
        export(ordered, tokenizer)
    else:
        # Only training needs JAX.
        import train

        tokenizer = vocabulary.train()
        export(train.train(tokenizer), tokenizer)


if __name__ == "__main__":
    main()

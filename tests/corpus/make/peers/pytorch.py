"""Loads ../../sample/sample.pt with PyTorch itself and compares it with the safetensors.

    python peers/pytorch.py      with PyTorch 1.13 or newer and the `safetensors` package
"""

from pathlib import Path

import torch
from safetensors import safe_open

SAMPLE_DIR = Path(__file__).resolve().parent.parent.parent / "sample"


def main() -> None:
    """Fails loudly where the two differ."""
    state = torch.load(SAMPLE_DIR / "sample.pt", weights_only=True)
    tied = state.pop("lm_head.weight")
    assert tied.data_ptr() == state["model.embed_tokens.weight"].data_ptr()
    for path in sorted((SAMPLE_DIR / "hf").glob("*.safetensors")):
        with safe_open(path, framework="pt") as shard:
            for name in shard.keys():
                assert torch.equal(shard.get_tensor(name).float(), state.pop(name).float()), name
    assert not state, list(state)
    print(f"PyTorch {torch.__version__}: equal")


if __name__ == "__main__":
    main()

"""The numbers of the sample model and the names of its files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

MAKE_DIR = Path(__file__).resolve().parent
SAMPLE_DIR = MAKE_DIR.parent / "sample"

END_OF_TEXT = "<|endoftext|>"
MODEL_NAME = "Glassbox Storyteller"
MODEL_DESCRIPTION = "A tiny llama that tells little stories; trained from scratch on a story grammar."
AUTHOR = "Glassbox"
LICENSE = "MIT OR Apache-2.0"


@dataclass(frozen=True)
class ModelConfig:
    """Shape of a llama: RMSNorm, RoPE, grouped-query attention, SwiGLU, tied embeddings.

    The width is 256 so that K-quants (blocks of 256 along a row) apply to every
    matrix. The vocabulary is no multiple of 32, so that the last rows of the
    output matrix exercise the tails of kernels.
    """

    vocab: int = 1000
    width: int = 256
    layers: int = 2
    heads: int = 8
    kv_heads: int = 2
    ffn: int = 256
    context: int = 256
    rope_theta: float = 10000.0
    norm_eps: float = 1e-5

    @property
    def head_dim(self) -> int:
        return self.width // self.heads

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Every parameter by its Hugging Face name; matrices are [rows out, columns in]."""
        kv_width = self.kv_heads * self.head_dim
        shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (self.vocab, self.width)}
        for layer in range(self.layers):
            prefix = f"model.layers.{layer}."
            shapes |= {
                prefix + "input_layernorm.weight": (self.width,),
                prefix + "self_attn.q_proj.weight": (self.width, self.width),
                prefix + "self_attn.k_proj.weight": (kv_width, self.width),
                prefix + "self_attn.v_proj.weight": (kv_width, self.width),
                prefix + "self_attn.o_proj.weight": (self.width, self.width),
                prefix + "post_attention_layernorm.weight": (self.width,),
                prefix + "mlp.gate_proj.weight": (self.ffn, self.width),
                prefix + "mlp.up_proj.weight": (self.ffn, self.width),
                prefix + "mlp.down_proj.weight": (self.width, self.ffn),
            }
        return shapes | {"model.norm.weight": (self.width,)}

    def parameters(self) -> int:
        """How many numbers the model holds."""
        total = 0
        for shape in self.shapes().values():
            count = 1
            for extent in shape:
                count *= extent
            total += count
        return total


CONFIG = ModelConfig()

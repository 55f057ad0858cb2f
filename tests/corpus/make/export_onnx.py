"""Writes the model as an ONNX graph: `input_ids` [batch, sequence] -> `logits`.

Weights are stored as float16 and cast to float32, in which all arithmetic runs.
The graph has no cache: every call reads the whole sequence from position 0.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from config import AUTHOR, CONFIG, LICENSE, MODEL_DESCRIPTION, MODEL_NAME, ModelConfig

OPSET = 17
#: The IR version that came with opset 17.
IR_VERSION = 8


class GraphBuilder:
    """Collects nodes and initializers; `op` names the one output of each node."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[str, onnx.TensorProto] = {}
        self.scope = ""

    def op(self, op_type: str, *inputs: str, name: str | None = None, **attributes) -> str:
        """Adds a node with one output and returns the output's name."""
        output = name or f"{self.scope}{op_type.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op_type, list(inputs), [output], name=output, **attributes))
        return output

    def constant(self, name: str, values: np.ndarray) -> str:
        """Adds an initializer once and returns its name."""
        if name not in self.initializers:
            self.initializers[name] = numpy_helper.from_array(np.ascontiguousarray(values), name)
        return name

    def integers(self, *values: int) -> str:
        """A one-dimensional int64 constant."""
        return self.constant("ints_" + "_".join(str(value) for value in values), np.array(values, np.int64))

    def scalar(self, value: float) -> str:
        """A float32 constant without dimensions."""
        return self.constant(f"scalar_{value:g}", np.array(value, np.float32))

    def weight(self, name: str, values: np.ndarray) -> str:
        """A float16 initializer, read as float32."""
        stored = self.constant(name, values.astype(np.float16))
        return self.op("Cast", stored, to=TensorProto.FLOAT)


class LlamaGraph:
    """Builds the graph of one llama; a method per part of the model."""

    def __init__(self, params: dict[str, np.ndarray], config: ModelConfig) -> None:
        self.params, self.config, self.graph = params, config, GraphBuilder()

    def linear(self, x: str, name: str) -> str:
        """x [.., in] times the weight, which is stored transposed as [in, out]."""
        return self.graph.op("MatMul", x, self.graph.weight(name, self.params[name].T))

    def norm(self, x: str, name: str) -> str:
        """RMSNorm over the last axis, from primitive operators as exporters write it."""
        g = self.graph
        mean = g.op("ReduceMean", g.op("Mul", x, x), axes=[-1], keepdims=1)
        root = g.op("Sqrt", g.op("Add", mean, g.scalar(self.config.norm_eps)))
        return g.op("Mul", g.op("Div", x, root), g.weight(name, self.params[name]))

    def positions(self, ids: str) -> tuple[str, str, str]:
        """Cosines and sines [sequence, head_dim], and the causal mask [sequence, sequence]."""
        g, config = self.graph, self.config
        zero, one = g.constant("zero", np.array(0, np.int64)), g.constant("one", np.array(1, np.int64))
        length = g.op("Gather", g.op("Shape", ids), one, axis=0)
        steps = g.op("Range", zero, length, one)
        column = g.op("Unsqueeze", steps, g.integers(1))
        half = config.head_dim // 2
        frequency = config.rope_theta ** (-np.arange(half) / half)
        doubled = g.constant("rope.frequency", np.tile(frequency, 2).astype(np.float32))
        angle = g.op("Mul", g.op("Cast", column, to=TensorProto.FLOAT), doubled)
        future = g.op("Greater", g.op("Unsqueeze", steps, g.integers(0)), column)
        mask = g.op("Where", future, g.scalar(-1e9), g.scalar(0.0))
        return g.op("Cos", angle), g.op("Sin", angle), mask

    def heads(self, x: str, count: int) -> str:
        """x [batch, sequence, count * head_dim] -> [batch, count, sequence, head_dim]."""
        g = self.graph
        split = g.op("Reshape", x, g.integers(0, 0, count, self.config.head_dim))
        return g.op("Transpose", split, perm=[0, 2, 1, 3])

    def rotate(self, x: str, cos: str, sin: str) -> str:
        """The rotary embedding on x [batch, heads, sequence, head_dim], halves paired."""
        g, size = self.graph, self.config.head_dim
        low = g.op("Slice", x, g.integers(0), g.integers(size // 2), g.integers(-1))
        high = g.op("Slice", x, g.integers(size // 2), g.integers(size), g.integers(-1))
        turned = g.op("Concat", g.op("Neg", high), low, axis=-1)
        return g.op("Add", g.op("Mul", x, cos), g.op("Mul", turned, sin))

    def repeat(self, x: str) -> str:
        """Repeats each key or value head for the query heads that share it."""
        g, config = self.graph, self.config
        groups = config.heads // config.kv_heads
        tiled = g.op("Tile", g.op("Unsqueeze", x, g.integers(2)), g.integers(1, 1, groups, 1, 1))
        # -1 stands for the sequence, 0 copies the batch.
        return g.op("Reshape", tiled, g.integers(0, config.heads, -1, config.head_dim))

    def attention(self, x: str, prefix: str, cos: str, sin: str, mask: str) -> str:
        """Causal grouped-query attention on x [batch, sequence, width]."""
        g, config = self.graph, self.config
        q = self.rotate(self.heads(self.linear(x, prefix + "q_proj.weight"), config.heads), cos, sin)
        k = self.rotate(self.heads(self.linear(x, prefix + "k_proj.weight"), config.kv_heads), cos, sin)
        v = self.heads(self.linear(x, prefix + "v_proj.weight"), config.kv_heads)
        keys = g.op("Transpose", self.repeat(k), perm=[0, 1, 3, 2])
        scores = g.op("Mul", g.op("MatMul", q, keys), g.scalar(1 / math.sqrt(config.head_dim)))
        weights = g.op("Softmax", g.op("Add", scores, mask), axis=-1)
        mixed = g.op("Transpose", g.op("MatMul", weights, self.repeat(v)), perm=[0, 2, 1, 3])
        return self.linear(g.op("Reshape", mixed, g.integers(0, 0, config.width)), prefix + "o_proj.weight")

    def mlp(self, x: str, prefix: str) -> str:
        """SwiGLU on x [batch, sequence, width]."""
        g = self.graph
        gate = self.linear(x, prefix + "gate_proj.weight")
        gate = g.op("Mul", gate, g.op("Sigmoid", gate))
        return self.linear(g.op("Mul", gate, self.linear(x, prefix + "up_proj.weight")), prefix + "down_proj.weight")

    def build(self) -> onnx.GraphProto:
        """The whole graph."""
        g, config = self.graph, self.config
        embedding = g.weight("model.embed_tokens.weight", self.params["model.embed_tokens.weight"])
        x = g.op("Gather", embedding, "input_ids", axis=0)
        cos, sin, mask = self.positions("input_ids")
        for layer in range(config.layers):
            prefix, g.scope = f"model.layers.{layer}.", f"layer_{layer}/"
            normed = self.norm(x, prefix + "input_layernorm.weight")
            x = g.op("Add", x, self.attention(normed, prefix + "self_attn.", cos, sin, mask))
            normed = self.norm(x, prefix + "post_attention_layernorm.weight")
            x = g.op("Add", x, self.mlp(normed, prefix + "mlp."))
        g.scope = ""
        x = self.norm(x, "model.norm.weight")
        g.op("MatMul", x, g.op("Transpose", embedding, perm=[1, 0]), name="logits")
        ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "sequence"])
        out = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", "sequence", config.vocab])
        return helper.make_graph(g.nodes, "storyteller", [ids], [out], list(g.initializers.values()))


def write(params: dict[str, np.ndarray], path: Path, config: ModelConfig = CONFIG) -> None:
    """The checked ONNX file."""
    model = helper.make_model(
        LlamaGraph(params, config).build(),
        producer_name=AUTHOR.lower(),
        producer_version="1",
        doc_string=MODEL_DESCRIPTION,
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
    )
    helper.set_model_props(model, {"name": MODEL_NAME, "license": LICENSE})
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString(deterministic=True))

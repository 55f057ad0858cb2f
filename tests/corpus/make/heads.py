"""Tiny encoders with task heads, and the scores that a plain float64 forward pass in NumPy gives for texts and pairs.

Writes tests/corpus/heads/: folders as transformers saves them (random weights, a tokenizer of whole words) and a GGUF
reranker; reference.json holds the logits. The forward pass follows transformers' modeling_*.py and shares no code with the crate.

    pip install numpy gguf && python tests/corpus/make/heads.py
"""

import json
import math
import struct
from pathlib import Path

import numpy as np

HOME = Path(__file__).resolve().parent.parent / "heads"
WIDTH, HEADS, FFN, LAYERS, PLACES = 16, 2, 24, 2, 40
WORDS = "the fox is an animal tree not what runs fast red tall who knows it does grow in woods".split()


def rng_of(name):
    return np.random.default_rng(sum(name.encode()))


def weight(rng, *shape, scale=1.0):
    return (rng.standard_normal(shape) * scale / math.sqrt(shape[-1])).astype(np.float32)


def vector(rng, n, around=0.0):
    return (around + 0.2 * rng.standard_normal(n)).astype(np.float32)


def erf(x):
    return np.vectorize(math.erf)(x)


def gelu(x):
    return 0.5 * x * (1 + erf(x / math.sqrt(2)))


def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def layer_norm(x, w, b, eps):
    m = x.mean(-1, keepdims=True)
    y = (x - m) / np.sqrt(((x - m) ** 2).mean(-1, keepdims=True) + eps) * w
    return y if b is None else y + b


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def attention(q, k, v, sees=None):
    n, dim = len(q), WIDTH // HEADS
    out = np.zeros((n, WIDTH))
    for h in range(HEADS):
        part = slice(h * dim, (h + 1) * dim)
        s = q[:, part] @ k[:, part].T / math.sqrt(dim)
        if sees is not None:
            s = np.where(sees, s, -np.inf)
        out[:, part] = softmax(s) @ v[:, part]
    return out


class Bert:
    """BERT, RoBERTa and DistilBERT."""

    def __init__(self, kind, labels):
        self.kind, self.labels = kind, labels
        rng = rng_of(kind + str(len(labels)))
        self.specials = ["<s>", "<pad>", "</s>", "<unk>"] if kind == "xlm-roberta" else ["[PAD]", "[CLS]", "[SEP]", "[UNK]"]
        self.first = 2 if kind == "xlm-roberta" else 0
        types = {"bert": 2, "xlm-roberta": 1, "distilbert": 0}[kind]
        base, t = {"bert": "bert.", "xlm-roberta": "roberta.", "distilbert": "distilbert."}[kind], {}
        vocab = len(self.specials) + len(WORDS)
        t[base + "embeddings.word_embeddings.weight"] = weight(rng, vocab, WIDTH, scale=4)
        t[base + "embeddings.position_embeddings.weight"] = weight(rng, PLACES + self.first, WIDTH, scale=2)
        if types:
            t[base + "embeddings.token_type_embeddings.weight"] = weight(rng, types, WIDTH, scale=4)
        t[base + "embeddings.LayerNorm.weight"], t[base + "embeddings.LayerNorm.bias"] = vector(rng, WIDTH, 1), vector(rng, WIDTH)
        distil = kind == "distilbert"
        names = (
            ["attention.q_lin", "attention.k_lin", "attention.v_lin", "attention.out_lin", "sa_layer_norm", "ffn.lin1", "ffn.lin2", "output_layer_norm"]
            if distil
            else ["attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense", "attention.output.LayerNorm",
                  "intermediate.dense", "output.dense", "output.LayerNorm"]
        )
        self.names, self.base = names, base
        self.layer = base + ("transformer.layer." if distil else "encoder.layer.")
        for l in range(LAYERS):
            for i, name in enumerate(names):
                stem = f"{self.layer}{l}.{name}"
                if i in (4, 7):
                    t[stem + ".weight"], t[stem + ".bias"] = vector(rng, WIDTH, 1), vector(rng, WIDTH)
                else:
                    n, k = {5: (FFN, WIDTH), 6: (WIDTH, FFN)}.get(i, (WIDTH, WIDTH))
                    t[stem + ".weight"], t[stem + ".bias"] = weight(rng, n, k), vector(rng, n)
        first = {"bert": base + "pooler.dense", "xlm-roberta": "classifier.dense", "distilbert": "pre_classifier"}[kind]
        last = "classifier.out_proj" if kind == "xlm-roberta" else "classifier"
        t[first + ".weight"], t[first + ".bias"] = weight(rng, WIDTH, WIDTH), vector(rng, WIDTH)
        t[last + ".weight"], t[last + ".bias"] = weight(rng, len(labels), WIDTH, scale=3), vector(rng, len(labels))
        self.heads, self.t = (first, last), t

    def config(self):
        kind = {"bert": "BertForSequenceClassification", "xlm-roberta": "XLMRobertaForSequenceClassification",
                "distilbert": "DistilBertForSequenceClassification"}[self.kind]
        c = {"architectures": [kind], "model_type": self.kind, "vocab_size": len(self.specials) + len(WORDS), "pad_token_id": 1 if self.first else 0,
             "id2label": {str(i): l for i, l in enumerate(self.labels)}}
        if self.kind == "distilbert":
            return c | {"dim": WIDTH, "n_heads": HEADS, "n_layers": LAYERS, "hidden_dim": FFN, "activation": "gelu", "max_position_embeddings": PLACES}
        return c | {"hidden_size": WIDTH, "num_attention_heads": HEADS, "num_hidden_layers": LAYERS, "intermediate_size": FFN, "hidden_act": "gelu",
                    "max_position_embeddings": PLACES + self.first, "type_vocab_size": 1 if self.first else 2, "layer_norm_eps": 1e-12}

    def pair(self):
        return [2, 2] if self.kind == "xlm-roberta" else [2]

    def hidden(self, ids, kinds):
        t, b = {k: v.astype(np.float64) for k, v in self.t.items()}, self.base
        x = t[b + "embeddings.word_embeddings.weight"][ids] + t[b + "embeddings.position_embeddings.weight"][np.arange(len(ids)) + self.first]
        if b + "embeddings.token_type_embeddings.weight" in t:
            types = t[b + "embeddings.token_type_embeddings.weight"]
            x = x + types[np.minimum(kinds, len(types) - 1)]
        x = layer_norm(x, t[b + "embeddings.LayerNorm.weight"], t[b + "embeddings.LayerNorm.bias"], 1e-12)
        for l in range(LAYERS):
            lin = lambda i, y: y @ t[f"{self.layer}{l}.{self.names[i]}.weight"].T + t[f"{self.layer}{l}.{self.names[i]}.bias"]
            nrm = lambda i, y: layer_norm(y, t[f"{self.layer}{l}.{self.names[i]}.weight"], t[f"{self.layer}{l}.{self.names[i]}.bias"], 1e-12)
            x = nrm(4, x + lin(3, attention(lin(0, x), lin(1, x), lin(2, x))))
            x = nrm(7, x + lin(6, gelu(lin(5, x))))
        return x

    def logits(self, ids, kinds):
        x, t = self.hidden(ids, kinds), self.t
        first, last = self.heads
        h = x[0] @ t[first + ".weight"].T + t[first + ".bias"]
        h = np.maximum(h, 0) if self.kind == "distilbert" else np.tanh(h)
        return h @ t[last + ".weight"].T + t[last + ".bias"]


class ModernBert:
    kind, first = "modernbert", 0
    specials = ["[PAD]", "[CLS]", "[SEP]", "[UNK]"]

    def __init__(self, labels, pooling):
        self.labels, self.pooling = labels, pooling
        rng = rng_of("modernbert")
        t = {"model.embeddings.tok_embeddings.weight": weight(rng, len(self.specials) + len(WORDS), WIDTH, scale=4),
             "model.embeddings.norm.weight": vector(rng, WIDTH, 1), "model.final_norm.weight": vector(rng, WIDTH, 1)}
        for l in range(LAYERS):
            p = f"model.layers.{l}."
            if l:
                t[p + "attn_norm.weight"] = vector(rng, WIDTH, 1)
            t[p + "attn.Wqkv.weight"], t[p + "attn.Wo.weight"] = weight(rng, 3 * WIDTH, WIDTH), weight(rng, WIDTH, WIDTH)
            t[p + "mlp_norm.weight"] = vector(rng, WIDTH, 1)
            t[p + "mlp.Wi.weight"], t[p + "mlp.Wo.weight"] = weight(rng, 2 * FFN, WIDTH), weight(rng, WIDTH, FFN)
        t["head.dense.weight"], t["head.norm.weight"] = weight(rng, WIDTH, WIDTH), vector(rng, WIDTH, 1)
        t["classifier.weight"], t["classifier.bias"] = weight(rng, len(labels), WIDTH, scale=3), vector(rng, len(labels))
        self.t = t

    def config(self):
        return {"architectures": ["ModernBertForSequenceClassification"], "model_type": "modernbert", "vocab_size": len(self.specials) + len(WORDS),
                "hidden_size": WIDTH, "num_attention_heads": HEADS, "num_hidden_layers": LAYERS, "intermediate_size": FFN,
                "max_position_embeddings": PLACES, "local_attention": 4, "global_attn_every_n_layers": 2, "global_rope_theta": 160000.0,
                "local_rope_theta": 10000.0, "norm_eps": 1e-5, "hidden_activation": "gelu", "classifier_pooling": self.pooling,
                "classifier_activation": "gelu", "pad_token_id": 0, "problem_type": "multi_label_classification",
                "id2label": {str(i): l for i, l in enumerate(self.labels)}}

    def pair(self):
        return [2]

    def logits(self, ids, kinds):
        t = {k: v.astype(np.float64) for k, v in self.t.items()}
        n, dim = len(ids), WIDTH // HEADS
        x = layer_norm(t["model.embeddings.tok_embeddings.weight"][ids], t["model.embeddings.norm.weight"], None, 1e-5)
        apart = np.abs(np.arange(n)[:, None] - np.arange(n)[None, :])
        for l in range(LAYERS):
            p, whole = f"model.layers.{l}.", l % 2 == 0
            h = x if l == 0 else layer_norm(x, t[p + "attn_norm.weight"], None, 1e-5)
            q, k, v = np.split(h @ t[p + "attn.Wqkv.weight"].T, 3, axis=-1)
            angles = np.arange(n)[:, None] * (160000.0 if whole else 10000.0) ** (-np.arange(0, dim, 2) / dim)
            cos, sin = np.cos(angles), np.sin(angles)

            def turned(y):
                y = y.reshape(n, HEADS, dim)
                a, b = y[..., : dim // 2], y[..., dim // 2 :]
                return np.concatenate([a * cos[:, None] - b * sin[:, None], b * cos[:, None] + a * sin[:, None]], -1).reshape(n, WIDTH)

            x = x + attention(turned(q), turned(k), v, None if whole else apart <= 2) @ t[p + "attn.Wo.weight"].T
            h = layer_norm(x, t[p + "mlp_norm.weight"], None, 1e-5) @ t[p + "mlp.Wi.weight"].T
            x = x + (gelu(h[:, :FFN]) * h[:, FFN:]) @ t[p + "mlp.Wo.weight"].T
        x = layer_norm(x, t["model.final_norm.weight"], None, 1e-5)
        h = x.mean(0) if self.pooling == "mean" else x[0]
        h = layer_norm(gelu(h @ t["head.dense.weight"].T), t["head.norm.weight"], None, 1e-5)
        return h @ t["classifier.weight"].T + t["classifier.bias"]


def ids_of(model, text):
    return [len(model.specials) + WORDS.index(w) for w in text.split()]


def cls_of(model):
    return 0 if model.kind == "xlm-roberta" else 1


def single(model, text):
    ids = [cls_of(model), *ids_of(model, text), 2]
    return np.array(ids), np.zeros(len(ids), int)


def pair(model, a, b):
    a, b, between = ids_of(model, a), ids_of(model, b), model.pair()
    second = 0 if model.kind == "xlm-roberta" else 1
    return np.array([cls_of(model), *a, *between, *b, 2]), np.array([0] * (1 + len(a) + len(between)) + [second] * (len(b) + 1))


def tokenizer(model):
    s, twice = model.specials, model.kind == "xlm-roberta"
    special = lambda name, kind: {"SpecialToken": {"id": name, "type_id": kind}}
    text = lambda which, kind: {"Sequence": {"id": which, "type_id": kind}}
    at, second = cls_of(model), 0 if twice else 1
    cls, sep = s[at], s[2]
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": i, "content": w, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
                         for i, w in enumerate(s)],
        "normalizer": {"type": "Lowercase"}, "pre_tokenizer": {"type": "WhitespaceSplit"},
        "post_processor": {"type": "TemplateProcessing", "single": [special(cls, 0), text("A", 0), special(sep, 0)],
                           "pair": [special(cls, 0), text("A", 0), *[special(sep, 0)] * len(model.pair()), text("B", second), special(sep, second)],
                           "special_tokens": {w: {"id": w, "ids": [i], "tokens": [w]} for i, w in ((at, cls), (2, sep))}},
        "decoder": None,
        "model": {"type": "WordLevel", "vocab": {w: i for i, w in enumerate([*s, *WORDS])}, "unk_token": s[3]},
    }


def safetensors(path, tensors):
    header, at = {}, 0
    for name, values in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": [at, at + values.nbytes]}
        at += values.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(v.astype("<f4").tobytes() for v in tensors.values()))


def gguf_reranker(path, model):
    """The XLM-R reranker as llama.cpp's converter writes it; its words as pieces of a Unigram vocabulary."""
    import gguf

    w = gguf.GGUFWriter(str(path), "bert")
    for key, n in (("context_length", PLACES), ("embedding_length", WIDTH), ("feed_forward_length", FFN), ("block_count", LAYERS),
                   ("attention.head_count", HEADS), ("pooling_type", 4)):
        w.add_uint32(f"bert.{key}", n)
    w.add_float32("bert.attention.layer_norm_epsilon", 1e-12)
    w.add_bool("bert.attention.causal", False)
    w.add_array("bert.classifier.output_labels", model.labels)
    w.add_tokenizer_model("t5")
    w.add_tokenizer_pre("default")
    # XLM-R's order in GGUF files is the model's own.
    w.add_token_list([*model.specials, *["\u2581" + word for word in WORDS]])
    w.add_token_scores([0.0] * 4 + [-2.0] * len(WORDS))
    w.add_token_types([3, 3, 3, 2] + [1] * len(WORDS))
    for key, n in (("bos", 0), ("eos", 2), ("unk", 3), ("sep", 2), ("pad", 1)):
        getattr(w, f"add_{key}_token_id")(n)
    w.add_token_type_count(1)
    w.add_add_bos_token(True)
    w.add_add_eos_token(True)
    w.add_add_space_prefix(True)
    names = {"embeddings.word_embeddings": "token_embd", "embeddings.position_embeddings": "position_embd",
             "embeddings.token_type_embeddings": "token_types", "embeddings.LayerNorm": "token_embd_norm"}
    layer = ["attn_q", "attn_k", "attn_v", "attn_output", "attn_output_norm", "ffn_up", "ffn_down", "layer_output_norm"]
    names |= {f"encoder.layer.{l}.{a}": f"blk.{l}.{b}" for l in range(LAYERS) for a, b in zip(model.names, layer)}
    names = {model.base + k: v for k, v in names.items()} | {"classifier.dense": "cls", "classifier.out_proj": "cls.output"}
    for name, values in model.t.items():
        stem, end = name.rsplit(".", 1)
        if stem.endswith("position_embeddings"):
            values = values[model.first:]
        w.add_tensor(f"{names[stem]}.{end}", values)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


PROMPTS = {"query": "what is ", "none": ""}
LONGEST = 8


def pipeline(folder):
    """A folder of sentence-transformers: two poolings side by side that leave the prompt out, a dense map, length 1."""
    model = Bert("bert", ["relevance"])
    write(folder, model)
    rng = rng_of("dense")
    dense = {"linear.weight": weight(rng, 6, 2 * WIDTH), "linear.bias": vector(rng, 6)}
    kind = "sentence_transformers.models."
    modules = [("0", "", "Transformer"), ("1", "1_Pooling", "Pooling"), ("2", "2_Dense", "Dense"), ("3", "3_Normalize", "Normalize")]
    text = lambda name, value: (folder / name).write_text(json.dumps(value, indent=1) + "\n")
    text("modules.json", [{"idx": i, "name": n, "path": p, "type": kind + k} for i, (n, p, k) in enumerate(modules)])
    text("sentence_bert_config.json", {"max_seq_length": LONGEST, "do_lower_case": True})
    text("config_sentence_transformers.json", {"prompts": PROMPTS, "default_prompt_name": "none", "similarity_fn_name": "cosine"})
    for name in ("1_Pooling", "2_Dense"):
        (folder / name).mkdir(exist_ok=True)
    modes = {f"pooling_mode_{m}": m in ("cls_token", "mean_tokens") for m in ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens")}
    text("1_Pooling/config.json", {"word_embedding_dimension": WIDTH, **modes, "include_prompt": False})
    text("2_Dense/config.json", {"in_features": 2 * WIDTH, "out_features": 6, "bias": True, "activation_function": "torch.nn.modules.activation.Tanh"})
    safetensors(folder / "2_Dense" / "model.safetensors", dense)

    def vector_of(prompt, said):
        ids, kinds = single(model, (PROMPTS[prompt] + said.lower()).strip())
        if len(ids) > LONGEST:
            ids, kinds = np.array([*ids[: LONGEST - 1], 2]), kinds[:LONGEST]
        # The prompt's own tokens, the first special one among them; none where there is no prompt.
        skip = 1 + len(PROMPTS[prompt].split()) if PROMPTS[prompt] else 0
        # The first token's state stays what it is.
        h = model.hidden(ids, kinds)
        y = np.tanh(dense["linear.weight"].astype(float) @ np.concatenate([h[0], h[skip:].mean(0)]) + dense["linear.bias"])
        return [round(float(v), 7) for v in y / np.linalg.norm(y)], len(ids)

    cases = [("none", "the fox"), ("query", "the fox"), ("query", "The RED Tree"), ("none", " ".join(WORDS)), ("none", "it")]
    return [{"prompt": p, "text": t, "vector": vector_of(p, t)[0], "tokens": vector_of(p, t)[1]} for p, t in cases]


def write(folder, model):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(model.config(), indent=1) + "\n")
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer(model)) + "\n")
    safetensors(folder / "model.safetensors", model.t)


TEXTS = ["the fox is an animal", "what does the tree not grow in", "it runs", "who knows"]
QUERY, ANSWERS = "what is the fox", ["the tree does not grow", "the fox is an animal", "it runs fast in the woods", "red"]


def main():
    models = {
        "bert": Bert("bert", ["no", "yes", "maybe"]),
        "bert-rank": Bert("bert", ["relevance"]),
        "xlm-roberta": Bert("xlm-roberta", ["relevance"]),
        "distilbert": Bert("distilbert", ["NEGATIVE", "POSITIVE"]),
        "modernbert": ModernBert(["a", "b", "c"], "mean"),
    }
    reference = {}
    for name, model in models.items():
        write(HOME / name, model)
        rounded = lambda ids, kinds: [round(float(x), 7) for x in model.logits(ids, kinds)]
        reference[name] = {
            "labels": model.labels,
            "classify": [{"text": t, "logits": rounded(*single(model, t))} for t in TEXTS],
            "rank": {"query": QUERY, "texts": [{"text": a, "logits": rounded(*pair(model, QUERY, a))} for a in ANSWERS]},
        }
    reference["pipeline"] = pipeline(HOME / "pipeline")
    gguf_reranker(HOME / "xlm-roberta.gguf", models["xlm-roberta"])
    (HOME / "reference.json").write_text(json.dumps(reference, indent=1) + "\n")


if __name__ == "__main__":
    main()

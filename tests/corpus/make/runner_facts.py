"""Writes crate/src/verdict/known.txt: what the programs that run models know, read out of their own files.

    python tests/corpus/make/runner_facts.py --llama-cpp DIR --llama-cpp-label "0.3.36 (November 2026)" --gguf DIR --gguf-index JSON \\
        --transformers WHEEL --mlx-lm WHEEL --vllm WHEEL > crate/src/verdict/known.txt

DIR of --llama-cpp is a source tree of llama.cpp (the package llama-cpp-python holds one), DIR of --gguf a folder of wheels
(`pip download --no-deps gguf==VERSION`), JSON the package's page of the simple index, with the dates of its versions.
An architecture is "since" the first version of gguf that names it. The packages onnx and onnxruntime must be installed.
Names, keys and conditions are facts; no text of these programs is copied.
"""

import argparse
import datetime
import json
import pathlib
import re
import zipfile

options = argparse.ArgumentParser()
for name in ("llama-cpp", "llama-cpp-label", "gguf", "gguf-index", "transformers", "mlx-lm", "vllm"):
    options.add_argument(f"--{name}", required=True)
options = options.parse_args()
root = pathlib.Path(options.llama_cpp)
read = lambda path: re.sub(r"//[^\n]*|/\*.*?\*/", "", (root / path).read_text(encoding="utf-8"), flags=re.S)


def table(text, name):
    """The pairs of a C++ map from enumerators to strings."""
    body = text[text.index(name):]
    body = body[: body.index("};")]
    return dict(re.findall(r"\{\s*(\w+)\s*,\s*\"([^\"]*)\"\s*\}", body))


arch_cpp = read("src/llama-arch.cpp")
ARCHS = table(arch_cpp, "LLM_ARCH_NAMES =")
KEYS = table(arch_cpp, "LLM_KV_NAMES =")
TENSORS = table(arch_cpp, "LLM_TENSOR_NAMES =")
model_cpp = read("src/llama-model.cpp")
models_h = read("src/models/models.h")
PARENTS = dict(re.findall(r"struct (llama_model_\w+)\s*:\s*public (llama_model_\w+)", models_h))

CLASSES = {}
pending = []
mapping = model_cpp[model_cpp.index("llama_model_mapping"):]
for line in mapping[: mapping.index("llama_model * llama_model_create")].splitlines():
    if m := re.search(r"case (LLM_ARCH_\w+):", line):
        pending.append(m.group(1))
    if m := re.search(r"new (llama_model_\w+)\(", line):
        CLASSES.update((arch, m.group(1)) for arch in pending)
        pending = []
recurrent = re.search(r"llm_arch_is_recurrent\(.*?\n\}", arch_cpp, re.S).group(0)
RECURRENT = set(re.findall(r"case (LLM_ARCH_\w+):", recurrent))

BODIES = {}
for path in sorted((root / "src/models").glob("*.cpp")):
    text = read(path.relative_to(root))
    for m in re.finditer(r"void (llama_model_\w+)::(load_arch_hparams|load_arch_tensors)\([^)]*\)\s*\{", text):
        depth, at = 1, m.end()
        while depth:
            depth += {"{": 1, "}": -1}.get(text[at], 0)
            at += 1
        BODIES[m.group(1), m.group(2)] = text[m.end():at - 1]


def body(cls, function):
    while cls:
        if (cls, function) in BODIES:
            return BODIES[cls, function]
        cls = PARENTS.get(cls)
    return ""


def arguments(text):
    """Splits the text of a call's arguments at commas outside of brackets."""
    out, depth, one = [], 0, ""
    for c in text:
        depth += (c in "([{") - (c in ")]}")
        if c == "," and depth == 0:
            out.append(one.strip())
            one = ""
        else:
            one += c
    return [*out, one.strip()]


def scope(head, left, last):
    """What a block is, by the statement before its brace."""
    head = " ".join(head.split())
    if re.match(r"for \((?:u?int\w*|size_t) \w+ = 0; \w+ < (?:\(\w+\) ?)?(?:hparams\.)?n_layer(?:_all)?(?:\(\))?; ", head):
        return "layer"
    if re.search(r"= \[&\]\(int \w+(, int \w+)?\)( ->.*)?$", head) and "mtp" not in head:
        return "layer"
    if re.match(r"(else )?if \((hparams\.)?n_expert == 0\)$", head):
        return "dense"
    if re.match(r"(else )?if \((hparams\.)?n_expert > 0\)$", head):
        return "moe"
    if head == "else" and last in ("dense", "moe"):
        return {"dense": "moe", "moe": "dense"}[last]
    return "plain" if head == "" else "other"


def statements(text):
    """Each statement with the blocks around it."""
    stack, one, parens, last = [], "", 0, None
    for c in text:
        if c in "()":
            parens += (c == "(") - (c == ")")
        if c == "{" and parens == 0 and not re.search(r"[=,]\s*$", one):
            stack.append(scope(one, stack, last))
            one = ""
        elif c == "}" and parens == 0 and stack:
            last = stack.pop()
            one = ""
        elif c == ";" and parens == 0:
            yield one.strip(), list(stack)
            one, last = "", None if one.strip() else last
        else:
            one += c


def keys(text):
    for s, around in statements(text):
        m = re.match(r"ml\.(get_key|get_key_or_arr|get_arr)\((.*)\)$", s, re.S)
        if not m or set(around) - {"plain"}:
            continue
        args = arguments(m.group(2))
        plain = {"get_key": 2, "get_key_or_arr": 3, "get_arr": 2}[m.group(1)]
        if args[plain:] in ([], ["true"]) and args[0] in KEYS:
            if KEYS[args[0]].startswith("%s."):
                yield KEYS[args[0]][3:]


def tensors(text):
    for s, around in statements(text):
        if "other" in around:
            continue
        tag = next((t for t in around if t in ("dense", "moe")), "")
        tag = f"{tag}:" if tag else ""
        layered = "layer" in around
        needed = lambda flags: flags in ("0", "flags", "trunk_flags")
        if m := re.match(r"create_tensor_qkv\((.*)\)$", s, re.S):
            if layered and needed(arguments(m.group(1))[-1]):
                yield f"{tag}@qkv"
        elif m := re.match(r"create_tensor_gate_up_exps\((.*)\)$", s, re.S):
            if layered and needed(arguments(m.group(1))[-1]):
                yield f"{tag}@gate_up_exps"
        elif m := re.search(r"=\s*create_tensor\((.*)\)$", s, re.S):
            args = arguments(m.group(1))
            inner = re.match(r"tn\((.*)\)$", args[0], re.S)
            if not inner or len(args) != 3 or not needed(args[2]):
                continue
            parts = arguments(inner.group(1))
            name = TENSORS.get(parts[0])
            numbered = parts[2:] if len(parts) > 1 and parts[1].startswith('"') else parts[1:]
            if name is None or name.count("%d") > 1 or ("%d" in name) != layered or (layered and numbered not in (["i"], ["il"])):
                continue
            suffix = parts[1].strip('"') if len(parts) > 1 and parts[1].startswith('"') else None
            ending = {"weight": "", "bias": ".b", None: "!"}.get(suffix, f".{suffix}!")
            yield tag + name.replace("blk.%d.", "#") + ending


def since():
    """Versions of the package gguf: the first that names an architecture, first and last that name a type, the newest."""
    index = json.loads(pathlib.Path(options.gguf_index).read_text())
    dates = {f["filename"]: f["upload-time"][:10] for f in index["files"]}
    found, types = {}, {}
    wheels = pathlib.Path(options.gguf).rglob("gguf-*.whl")
    for wheel in sorted(wheels, key=lambda p: [int(n) for n in p.name.split("-")[1].split(".")]):
        with zipfile.ZipFile(wheel) as z:
            names = [n for n in z.namelist() if n.endswith(("gguf/constants.py", "gguf/gguf.py"))]
            text = "".join(z.read(n).decode() for n in names)
        body = text[text.index("MODEL_ARCH_NAMES"):]
        for name in re.findall(r"MODEL_ARCH\.\w+\s*:\s*\"([^\"]+)\"", body[: body.index("}")]):
            found.setdefault(name, f"{wheel.name.split('-')[1]} {dates[wheel.name]}")
        newest = f"{wheel.name.split('-')[1]} {dates[wheel.name]}"
        body = text[text.index("class GGMLQuantizationType"):]
        for name, number in re.findall(r"^    (\w+) *= (\d+)", body[: body.index("\nclass ", 1) if "\nclass " in body else None], re.M):
            types.setdefault(name, [number, newest, newest])[2] = newest
    return found, types, newest


def wheel_text(path, pattern):
    with zipfile.ZipFile(path) as z:
        return "\n".join(z.read(n).decode() for n in z.namelist() if re.search(pattern, n))


def listed(name, source, items):
    print(f"list\t{name}\t{source}\t{' '.join(sorted(set(items)))}")


first, types, newest = since()
unique = lambda items: list(dict.fromkeys(items))
label = f"llama.cpp in llama-cpp-python {options.llama_cpp_label}"
print("# What programs know: written by tests/corpus/make/runner_facts.py, not by hand.")
print(f"# made\t{datetime.date.today()}")
print(f"# newest gguf\t{newest}")
print("# arch: name, first version of gguf that names it, r for recurrent, keys that must be there, tensors that must be there")
print("# in tensors: # is blk.N., .b is .bias, ! ends a name without .weight, dense: and moe: are for without and with experts,")
print("# @qkv is attn_q, attn_k and attn_v, or attn_qkv; @gate_up_exps is ffn_gate_exps and ffn_up_exps, or ffn_gate_up_exps")
print(f"source\tarch\t{label}")
for arch, name in sorted(ARCHS.items(), key=lambda item: item[1]):
    if name.startswith("("):
        continue
    cls = CLASSES.get(arch)
    row = [name, first.get(name, "-"), "r" if arch in RECURRENT else "-"]
    row += [" ".join(unique(f(body(cls, g)))) for f, g in ((keys, "load_arch_hparams"), (tensors, "load_arch_tensors"))]
    print("arch\t" + "\t".join(row))
numbers = re.findall(r"GGML_TYPE_(\w+)\s*=\s*(\d+),", read("ggml/include/ggml.h"))
print("# type: name, number, first and last version of gguf that names it, whether llama.cpp has it now")
present = dict(numbers)
gone = re.findall(r"// *GGML_TYPE_(\w+) *= *(\d+)", (root / "ggml/include/ggml.h").read_text(encoding="utf-8"))
numbers += [(n, v) for n, v in gone if n not in types]
for name, (number, began, ended) in sorted({**{n: [v, "-", "-"] for n, v in numbers if n != "COUNT"}, **types}.items(), key=lambda t: int(t[1][0])):
    print(f"type\t{name}\t{number}\t{began}\t{ended}\t{'yes' if name in present else 'removed'}")
listed("types", label, [present["COUNT"]])
listed("projectors", label, table(read("tools/mtmd/clip-impl.h"), "PROJECTOR_TYPE_NAMES =").values())
vocab = read("src/llama-vocab.cpp")
listed("tokenizers", label, set(re.findall(r"tokenizer_model == \"([^\"]+)\"", vocab)) - {"test"})
listed("pre-tokenizers", label, re.findall(r"tokenizer_pre == \"([^\"]+)\"", vocab))
converter = "".join(p.read_text(encoding="utf-8") for p in [*(root / "conversion").glob("*.py"), root / "convert_hf_to_gguf.py"])
classes = re.findall(r"ModelBase\.register\(([^)]*)\)", converter)
listed("converter", label, [c for group in classes for c in re.findall(r"\"(\w+)\"", group)])

version = lambda path: pathlib.Path(path).name.split("-")[1]
auto = wheel_text(options.transformers, r"^transformers/models/auto/(auto_mappings|configuration_auto)\.py$")
body = auto[auto.index("CONFIG_MAPPING_NAMES = OrderedDict"):]
body = body[: body.index("\n)")]
extra = re.search(r"CONFIG_MAPPING_NAMES\.update\((.*?)\n\)", auto, re.S)
types = re.findall(r"\(\"([^\"]+)\",\s*\"\w+\"\)", body) + re.findall(r"\"([^\"]+)\":\s*\"\w+\"", extra.group(1) if extra else "")
types += re.findall(r"\(\"([^\"]+)\",\s*\"\w+\"\)", extra.group(1) if extra else "")
listed("transformers", f"transformers {version(options.transformers)}", types)
quantizers = wheel_text(options.transformers, r"^transformers/quantizers/auto\.py$")
body = quantizers[quantizers.index("AUTO_QUANTIZATION_CONFIG_MAPPING = {"):]
listed("quantizers", f"transformers {version(options.transformers)}", re.findall(r"\"([^\"]+)\":", body[: body.index("\n}")]))
with zipfile.ZipFile(options.mlx_lm) as z:
    models = [m.group(1) for n in z.namelist() if (m := re.match(r"mlx_lm/models/([\w-]+)\.py$", n)) and b"class ModelArgs" in z.read(n)]
    remapped = re.search(r"MODEL_REMAPPING = \{(.*?)\n\}", z.read("mlx_lm/utils.py").decode(), re.S).group(1)
listed("mlx-lm", f"mlx-lm {version(options.mlx_lm)}", models + re.findall(r"\"([^\"]+)\":\s*\"", remapped))
registry = wheel_text(options.vllm, r"^vllm/model_executor/models/registry\.py$")
groups = re.findall(r"^_\w+_MODELS[^=\n]*= \{(.*?)^\}", registry, re.S | re.M)
listed("vllm", f"vLLM {version(options.vllm)}", [c for g in groups for c in re.findall(r"^    \"(\w+)\":", g, re.M)])

import onnx  # noqa: E402  (a package of the environment, after the files)
import onnxruntime  # noqa: E402

operators = {}
for schema in onnx.defs.get_all_schemas_with_history():
    if schema.domain == "":
        operators[schema.name] = min(operators.get(schema.name, 999), schema.since_version)
listed("onnx", f"onnx {onnx.__version__}", [f"{name}:{number}" for name, number in operators.items()])


def loads(**made):
    """Whether ONNX Runtime takes a graph of one node."""
    value = lambda name: onnx.helper.make_tensor_value_info(name, 1, [1])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "g", [value("x")], [value("y")])
    opset = onnx.helper.make_opsetid("", made.get("opset", 17))
    model = onnx.helper.make_model(graph, opset_imports=[opset], ir_version=made.get("ir", 8))
    try:
        onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        return True
    except Exception:  # The classes of its errors are not public.
        return False


label = f"onnxruntime {onnxruntime.__version__}, by loading a node of each"
listed("onnxruntime-opset", label, [str(max(n for n in range(7, 64) if loads(opset=n)))])
listed("onnxruntime-ir", label, [str(max(n for n in range(3, 64) if loads(ir=n)))])

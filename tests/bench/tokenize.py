"""Speed of tokenizers on whole texts: Glassbox's command beside the `tokenizers` package (and llama.cpp for GGUF), in turn.

    python tests/bench/tokenize.py path/to/glassbox VOCABULARY... -- TEXT...

Each peer runs from its own package. Ids are compared by count and by a running sum.
"""
import json
import os
import statistics
import subprocess
import sys
import time

RUNS = int(os.environ.get("RUNS", "5"))
binary, *rest = sys.argv[1:]
cut = rest.index("--")
vocabularies, texts = rest[:cut], rest[cut + 1 :]


def total(ids):
    value = 0
    for token in ids:
        value = (value * 31 + token) & 0xFFFFFFFF
    return value


def timed(work):
    samples = []
    for run in range(RUNS + 1):
        start = time.perf_counter()
        result = work()
        if run:
            samples.append((time.perf_counter() - start) * 1e3)
    return statistics.median(samples), min(samples), max(samples), result


def line(name, peer, text, size, ms, low, high, ids):
    rate = size / 1e3 / ms
    print(f"{name}\t{os.path.basename(text)}\t{peer}\t{rate:.1f} MB/s\t{ms:.1f} ms ({low:.1f} to {high:.1f})\t{ids}", flush=True)
    return rate


def library(vocabulary, text, body):
    import tokenizers

    tokenizer = tokenizers.Tokenizer.from_file(vocabulary)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    lines = [part for part in body.split("\n") if part.strip()]
    size = len(body.encode())
    name = f"tokenizers {tokenizers.__version__}"
    ms, low, high, whole = timed(lambda: tokenizer.encode(body, add_special_tokens=False))
    rates = [line(vocabulary, f"{name}, one string", text, size, ms, low, high, f"{len(whole.ids)} {total(whole.ids)}")]
    for label, call in (("batch", tokenizer.encode_batch), ("batch without offsets", tokenizer.encode_batch_fast)):
        ms, low, high, parts = timed(lambda: call(lines, add_special_tokens=False))
        count = sum(len(part.ids) for part in parts)
        rates.append(line(vocabulary, f"{name}, lines in {label}, all cores", text, size, ms, low, high, f"{count} of lines"))
    return rates


def llama_cpp(vocabulary, text, body):
    import llama_cpp

    model = llama_cpp.Llama(vocabulary, vocab_only=True, verbose=False)
    data = body.encode()
    ms, low, high, ids = timed(lambda: model.tokenize(data, add_bos=False, special=False))
    return [line(vocabulary, f"llama.cpp by llama-cpp-python {llama_cpp.__version__}", text, len(data), ms, low, high, f"{len(ids)} {total(ids)}")]


for vocabulary in vocabularies:
    for text in texts:
        with open(text, encoding="utf-8", newline="") as file:
            body = file.read()
        peers = (llama_cpp if vocabulary.endswith(".gguf") else library)(vocabulary, text, body)
        command = [binary, "--json", "time-tokenize", vocabulary, text, "-r", str(RUNS)]
        ours = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)[0]
        ids = f"{ours['tokens']} {ours['sum']}"
        rate = line(vocabulary, "glassbox, one string, one core", text, ours["bytes"], ours["ms"], ours["ms_min"], ours["ms_max"], ids)
        print(f"\tratio to the best of them {rate / max(peers):.2f}, to one string {rate / peers[0]:.2f}; preview {ours['preview_ms']:.0f} ms", flush=True)

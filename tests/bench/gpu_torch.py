"""Prefill and decode of PyTorch with transformers on the shapes of gpu.sh: bfloat16, random weights, a static cache, decode replayed as a CUDA graph.

Prints one JSON list; a shape that fails says why in "error".
"""

import json
import statistics
import time

import torch
from transformers import LlamaConfig, LlamaForCausalLM, StaticCache

# hidden, FFN, layers, heads, key/value heads, vocabulary: as `glassbox synth` makes them.
SHAPES = {
    "135m": (576, 1536, 30, 9, 3, 49152),
    "1.1b": (2048, 5632, 22, 32, 4, 32000),
    "8b": (4096, 14336, 32, 32, 8, 128256),
}
PREFILL, DECODE, REPETITIONS = 512, 64, 3


def measure(size):
    hidden, ffn, layers, heads, kv_heads, vocab = SHAPES[size]
    config = LlamaConfig(hidden_size=hidden, intermediate_size=ffn, num_hidden_layers=layers, num_attention_heads=heads,
                         num_key_value_heads=kv_heads, vocab_size=vocab, max_position_embeddings=2048)
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cuda"):
        model = LlamaForCausalLM(config).eval()
    ids = torch.randint(0, vocab, (1, PREFILL), device="cuda")
    cache = StaticCache(config=config, max_cache_len=PREFILL + DECODE + 8)

    def prefill():
        cache.reset()
        model(ids, past_key_values=cache, use_cache=True, cache_position=torch.arange(PREFILL, device="cuda"))

    token = torch.zeros((1, 1), dtype=torch.long, device="cuda")
    position = torch.tensor([PREFILL], device="cuda")

    def step():
        logits = model(token, past_key_values=cache, use_cache=True, cache_position=position).logits
        token.copy_(logits[:, -1:].argmax(-1))
        position.add_(1)

    def seconds(run, times):
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(times):
            run()
        torch.cuda.synchronize()
        return time.perf_counter() - start

    with torch.inference_mode():
        prefill()
        prefills = [PREFILL / seconds(prefill, 1) for _ in range(REPETITIONS)]
        eager = DECODE / seconds(step, DECODE)
        # Warmed up on a stream of its own, as CUDA graphs ask for.
        stream = torch.cuda.Stream()
        with torch.cuda.stream(stream):
            prefill()
            position.fill_(PREFILL)
            for _ in range(3):
                step()
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step()
        decodes = []
        for _ in range(REPETITIONS):
            position.fill_(PREFILL)
            decodes.append(DECODE / seconds(graph.replay, DECODE))
    result = {"size": size, "prefill_tokens_per_s": statistics.median(prefills), "decode_eager_tokens_per_s": eager,
              "decode_tokens_per_s": statistics.median(decodes), "memory": torch.cuda.max_memory_allocated()}
    del model, cache
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    return result


def main():
    results = []
    for size in SHAPES:
        try:
            results.append(measure(size))
        except Exception as error:  # A peer that fails is a result too.
            results.append({"size": size, "error": f"{type(error).__name__}: {error}"[:400]})
    print(json.dumps({"torch": torch.__version__, "card": torch.cuda.get_device_name(0), "shapes": results}))


if __name__ == "__main__":
    main()

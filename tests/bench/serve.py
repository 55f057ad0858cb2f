"""Load on a server that speaks OpenAI's API: lost requests, tokens a second, latencies.

    python tests/bench/serve.py http://127.0.0.1:8080 [--model NAME] [--clients 64] [--seconds 120] [--tokens 32]

Standard library alone. Each client asks for streamed completions one after the other; a 503 is asked again after the time that it names and counted.
"""
import argparse
import json
import random
import statistics
import threading
import time
import urllib.error
import urllib.request

parser = argparse.ArgumentParser()
parser.add_argument("address")
parser.add_argument("--model")
parser.add_argument("--clients", type=int, default=64)
parser.add_argument("--seconds", type=float, default=120)
parser.add_argument("--tokens", type=int, default=32)
parser.add_argument("--words", type=int, default=40, help="words of a prompt, up to")
args = parser.parse_args()

words = "once upon a time there was little girl who liked to play with her red ball and the big dog in park".split()
lock = threading.Lock()
firsts, wholes, gaps, done = [], [], [], [0] * args.clients
tokens = lost = busy = 0
end = time.monotonic() + args.seconds


def ask(client, draw):
    """A streamed completion: seconds to the first token and to the end, times between tokens, tokens."""
    prompt = " ".join(draw.choice(words) for _ in range(draw.randint(1, args.words)))
    body = {"prompt": prompt, "max_tokens": args.tokens, "seed": draw.randint(0, 1 << 30), "stream": True,
            "stream_options": {"include_usage": True}, "ignore_eos": True}
    if args.model:
        body["model"] = args.model
    request = urllib.request.Request(args.address + "/v1/completions", json.dumps(body).encode(), {"Content-Type": "application/json"})
    begun = last = time.monotonic()
    first, between, count, ended = None, [], 0, False
    with urllib.request.urlopen(request, timeout=600) as answer:
        for line in answer:
            if not line.startswith(b"data: "):
                continue
            if line.strip() == b"data: [DONE]":
                ended = True
                break
            event = json.loads(line[6:])
            if "error" in event:
                raise RuntimeError(event["error"]["message"])
            if event.get("usage"):
                count = event["usage"]["completion_tokens"]
            now = time.monotonic()
            if first is None:
                first = now - begun
            else:
                between.append(now - last)
            last = now
    if not ended or count != args.tokens:
        raise RuntimeError(f"{count} of {args.tokens} tokens")
    return first, time.monotonic() - begun, between, count


def client(number):
    global tokens, lost, busy
    draw = random.Random(number)
    while time.monotonic() < end:
        try:
            first, whole, between, count = ask(number, draw)
        except urllib.error.HTTPError as error:
            if error.code == 503:
                with lock:
                    busy += 1
                time.sleep(float(error.headers.get("Retry-After", 1)))
                continue
            with lock:
                lost += 1
            print(f"lost: {error.code} {error.read()[:200]!r}")
            continue
        except Exception as error:
            with lock:
                lost += 1
            print(f"lost: {error!r}")
            continue
        with lock:
            firsts.append(first)
            wholes.append(whole)
            gaps.extend(between)
            tokens += count
            done[number] += 1


begun = time.monotonic()
threads = [threading.Thread(target=client, args=(i,)) for i in range(args.clients)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
took = time.monotonic() - begun


def told(name, values):
    values = sorted(values) or [float("nan")]
    at = lambda q: values[min(len(values) - 1, int(q * len(values)))] * 1000
    print(f"{name:<16} median {statistics.median(values) * 1000:8.1f} ms   90% {at(0.9):8.1f}   99% {at(0.99):8.1f}   most {values[-1] * 1000:8.1f}")


print(f"{len(wholes)} answers to {args.clients} clients in {took:.1f} s, {lost} lost, {busy} asked again after 503; each client {min(done)} to {max(done)}")
print(f"{tokens / took:.1f} tokens/s in all")
told("first token", firsts)
told("between tokens", gaps)
told("whole answer", wholes)
raise SystemExit(lost > 0)

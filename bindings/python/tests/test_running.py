"""Tokenizers, templates, generation and vectors."""

import json
import time
import threading

import numpy as np
import pytest

import glassbox


@pytest.fixture(scope="module")
def loaded(sample):
    with glassbox.open(sample / "gguf" / "sample-f16.gguf") as model:
        model.load("cpu")
        yield model


def test_texts_become_ids_and_ids_texts(sample):
    with glassbox.open(sample / "hf") as folder, glassbox.open(sample / "gguf" / "sample-f16.gguf") as file:
        text = "Once upon a time, there was a café."
        ids = folder.tokenizer.encode(text)
        assert ids == file.tokenizer.encode(text)
        assert file.tokenizer.encode_batch([text, ""])[0] == ids
        assert text in file.tokenizer.decode(file.tokenizer.encode(text, add_special=False))
        assert [piece["id"] for piece in folder.tokenizer.explain(text)["pieces"]] == ids
        with pytest.raises(glassbox.Fault, match="vocabulary"):
            folder.tokenizer.decode([10**9])


def test_greedy_text_is_the_same_every_time_and_streams_as_a_whole(loaded):
    whole = loaded.generate("Once upon a time", max_tokens=24)
    assert whole.text and len(whole.ids) == 24 and whole.stop == "limit"
    stream = loaded.stream("Once upon a time", max_tokens=24)
    assert "".join(piece.text for piece in stream) == whole.text
    assert stream.finish().ids == whole.ids
    assert loaded.generate(whole.prompt_ids, max_tokens=24).ids == whole.ids


def test_a_dropped_stream_stops_and_the_next_one_starts(loaded):
    stream = loaded.stream("Once upon a time", max_tokens=400)
    assert next(stream).id >= 0
    stream.stop()
    assert stream.finish().stop == "stopped"
    del stream
    assert loaded.generate("Once", max_tokens=4).ids


def test_options_count(loaded):
    seeded = [loaded.generate("Once upon a time", max_tokens=16, temperature=1.0, seed=7).ids for _ in range(2)]
    assert seeded[0] == seeded[1]
    whole = loaded.generate("Once upon a time", max_tokens=32)
    stop = whole.text[5:9]
    assert loaded.generate("Once upon a time", max_tokens=32, stop=[stop]).text == whole.text[: whole.text.index(stop)]
    first = whole.ids[0]
    assert loaded.generate("Once upon a time", max_tokens=1, logit_bias={first: -100.0}).ids[0] != first
    piece = next(loaded.stream("Once upon a time", max_tokens=1, alternatives=True))
    assert piece.alternatives[0]["probability"] == pytest.approx(piece.probability)


def test_generating_leaves_the_interpreter_to_others(loaded):
    ticks = 0
    done = threading.Event()

    def count():
        nonlocal ticks
        while not done.is_set():
            ticks += 1
            time.sleep(0.0005)

    counter = threading.Thread(target=count)
    counter.start()
    loaded.generate("Once upon a time", max_tokens=200)
    done.set()
    counter.join()
    assert ticks > 3


def test_what_is_not_loaded_or_not_there_is_told(sample):
    with glassbox.open(sample / "gguf" / "sample-q8_0.gguf") as model:
        with pytest.raises(glassbox.Fault, match="load the model first"):
            model.generate("Once")
        with pytest.raises(glassbox.Fault, match="encoder|hidden"):
            model.embed(["a text"])
        with pytest.raises(glassbox.Fault, match="tpu"):
            model.load("tpu")


def test_a_conversation_becomes_the_text_that_its_template_writes(sample, tmp_path):
    folder = tmp_path / "chat"
    folder.mkdir()
    for file in (sample / "hf").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    config = json.loads((folder / "tokenizer_config.json").read_text())
    config["chat_template"] = "{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}{{ mood }}"
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    with glassbox.open(folder) as model:
        messages = [{"role": "user", "content": "Hello"}]
        assert model.apply_chat_template(messages, mood="!") == "<user>Hello\n<assistant>!"
        assert model.apply_chat_template(messages, add_generation_prompt=False) == "<user>Hello\n"
        assert model.chat_templates


def test_vectors_are_the_reference_s_alone_and_in_a_batch(corpus):
    reference = json.loads((corpus / "minilm" / "minilm_q4_k_m_reference.json").read_text())
    with glassbox.open(corpus / "minilm" / reference["file"]) as model:
        texts = [sentence["text"] for sentence in reference["sentences"]]
        assert model.tokenizer.encode_batch(texts) == [sentence["ids"] for sentence in reference["sentences"]]
        together = model.embed(texts)
        expected = np.array([sentence["embedding"] for sentence in reference["sentences"]])
        assert (together * expected).sum(axis=1).min() > 0.999
        np.testing.assert_allclose(model.embed(texts[:1])[0], together[0], atol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)

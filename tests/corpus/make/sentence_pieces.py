"""SentencePiece models of all four kinds, and what the sentencepiece library makes of some texts.

    pip install sentencepiece==0.2.3
    python tests/corpus/make/sentence_pieces.py

The text to train on is made here. The models are small and without a character map, but for the one that is named so.
"""

import io
import json
import pathlib
import random

import sentencepiece

OUT = pathlib.Path(__file__).resolve().parents[1] / "sentencepiece"
SUBJECTS = ["the fox", "a small bird", "my sister", "the old king", "every child", "nobody"]
VERBS = ["sees", "finds", "carries", "forgets", "sings to", "waits for"]
OBJECTS = ["the river", "a golden ring", "two apples", "the quiet house", "her brother", "ünïcode snow"]
TEXTS = [
    "",
    " ",
    "the fox sees the river",
    "The fox  sees   the river ",
    " nobody waits for two apples",
    "zebra the fox xylophone quiz",
    "日本 the king 日本語",
    "the▁fox",
    "a<sep>b <sep> the fox",
    "ünïcode snow, snow.",
    "😀 the fox 😀😀",
    "my sister\tsings\nto her brother",
    "<unk> <s> the fox </s>",
]
COMMON = dict(normalization_rule_name="identity", hard_vocab_limit=False, num_threads=1, minloglevel=2)
MODELS = {
    "bpe": dict(model_type="bpe", vocab_size=120),
    "unigram": dict(model_type="unigram", vocab_size=90),
    "word": dict(model_type="word", vocab_size=40, user_defined_symbols=["<sep>"]),
    "word-suffix": dict(model_type="word", vocab_size=40, treat_whitespace_as_suffix=True),
    "word-bytes": dict(model_type="word", vocab_size=300, byte_fallback=True),
    "char": dict(model_type="char", vocab_size=40, user_defined_symbols=["<sep>"]),
    "char-spaces": dict(model_type="char", vocab_size=40, remove_extra_whitespaces=False, add_dummy_prefix=False),
    "char-bytes": dict(model_type="char", vocab_size=300, byte_fallback=True, character_coverage=0.98),
}


def sentences():
    rng = random.Random(7)
    for _ in range(400):
        yield f"{rng.choice(SUBJECTS)} {rng.choice(VERBS)} {rng.choice(OBJECTS)}"


def main():
    OUT.mkdir(exist_ok=True)
    reference = {"library": f"sentencepiece {sentencepiece.__version__}", "texts": TEXTS, "models": {}}
    for name, options in MODELS.items():
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=sentences(), model_writer=model, **{**COMMON, **options}
        )
        (OUT / f"{name}.spm").write_bytes(model.getvalue())
        processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
        reference["models"][name] = {
            "tokens": processor.vocab_size(),
            "ids": [processor.encode(text) for text in TEXTS],
        }
    text = json.dumps(reference, ensure_ascii=False, indent=1)
    (OUT / "reference.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Trains the byte-level BPE vocabulary on the grammar's stories."""

from __future__ import annotations

from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

import grammar
from config import CONFIG, END_OF_TEXT

#: Enough stories that every word of the grammar has been seen many times.
TRAINING_STORIES = 20_000
TRAINING_SEED = 1


def train() -> Tokenizer:
    """A GPT-2 style tokenizer: id 0 is the end-of-text token, then 256 bytes, then merges."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=CONFIG.vocab,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(grammar.stories(TRAINING_SEED, TRAINING_STORIES), trainer)
    if tokenizer.get_vocab_size() != CONFIG.vocab:
        raise ValueError(f"the grammar yields only {tokenizer.get_vocab_size()} tokens")
    tokenizer.post_processor = _begin_with_end_of_text(tokenizer)
    return tokenizer


def _begin_with_end_of_text(tokenizer: Tokenizer) -> processors.Sequence:
    """Puts the separator in front, because the model saw every story begin after one."""
    end_id = tokenizer.token_to_id(END_OF_TEXT)
    template = processors.TemplateProcessing(
        single=f"{END_OF_TEXT} $A",
        pair=f"{END_OF_TEXT} $A {END_OF_TEXT}:1 $B:1",
        special_tokens=[(END_OF_TEXT, end_id)],
    )
    return processors.Sequence([processors.ByteLevel(trim_offsets=False), template])


def load(path: Path) -> Tokenizer:
    """The tokenizer stored in a `tokenizer.json`."""
    return Tokenizer.from_file(str(path))

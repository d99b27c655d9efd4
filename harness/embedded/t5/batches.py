"""Examples turned into padded batches; text without a target is corrupted by spans, as T5 was pre-trained."""

import random

import torch
from transformers import PreTrainedTokenizerFast

from harness.embedded.t5.corpus import Example

SPAN_SHARE = 0.2
"""Share of the tokens that corruption takes out."""

LONGEST_SPAN = 4


def encode(tokenizer: PreTrainedTokenizerFast, examples: list[Example], key: str) -> dict[str, torch.Tensor]:
    """Return input ids, attention mask and labels of the examples; `key` decides which spans are taken out."""
    rng = random.Random(key)
    sources = tokenizer([example.source for example in examples]).input_ids
    targets = tokenizer([example.target or "" for example in examples]).input_ids
    for row, example in enumerate(examples):
        if example.target is None:
            sources[row], targets[row] = corrupt(tokenizer, sources[row], rng)
    inputs = tokenizer.pad({"input_ids": sources}, return_tensors="pt")
    labels = tokenizer.pad({"input_ids": targets}, return_tensors="pt")
    return {
        "input_ids": inputs.input_ids,
        "attention_mask": inputs.attention_mask,
        "labels": labels.input_ids.masked_fill(labels.attention_mask == 0, -100),
    }


def corrupt(tokenizer: PreTrainedTokenizerFast, ids: list[int], rng: random.Random) -> tuple[list[int], list[int]]:
    """Return ids with sentinels for spans, and the spans, each behind its sentinel; both end in eos."""
    first_sentinel = tokenizer.convert_tokens_to_ids("<extra_id_0>")
    sentinels = len(tokenizer) - first_sentinel
    body, source, target = ids[:-1], [], []
    mean = (1 + LONGEST_SPAN) / 2
    number = position = 0
    while position < len(body):
        # After a span at least one token stays, so that spans never touch.
        if number < sentinels and rng.random() < SPAN_SHARE / mean / (1 - SPAN_SHARE):
            length = rng.randint(1, LONGEST_SPAN)
            source.append(first_sentinel + number)
            target += [first_sentinel + number, *body[position : position + length]]
            number += 1
            position += length
        source += body[position : position + 1]
        position += 1
    return [*source, ids[-1]], [*target, ids[-1]]

"""What a pre-trained embedded encoder-decoder model is measured by: claims, extraction and restored text.

Passages and reports come from the partition that downstream training uses, which pre-training never sees; phrasings
are those of pre-training, because the question is what it learned.
"""

import random
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from harness.embedded.t5.batches import encode
from harness.embedded.t5.corpus import Example, claim, extraction
from harness.embedded.text.news import draw_article
from harness.embedded.text.passages import draw_passage

SMALLEST_CLAIM_ACCURACY = 0.85
FACTS = (2, 3, 4)
BATCH = 100


@dataclass(frozen=True)
class Probe:
    """Shares of right answers, and the loss in nats per token of spans taken out of held-out text."""

    claim_accuracy: float
    extraction_accuracy: float
    denoising_loss: float
    items: int


def probe(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, items: int = 600) -> Probe:
    """Return the measurements of `model`, which stays unchanged, on `items` examples of each kind."""
    claims = [claim(random.Random(f"probe/claim/{i}"), FACTS[i % 3], "train") for i in range(items)]
    asked = [extraction(random.Random(f"probe/extraction/{i}"), FACTS[i % 3], "train") for i in range(items)]
    return Probe(
        claim_accuracy=share_right(model, tokenizer, claims),
        extraction_accuracy=share_right(model, tokenizer, asked),
        denoising_loss=denoising_loss(model, tokenizer, items),
        items=items,
    )


def shortcoming(probe: Probe) -> str:
    """Return why a model with these measurements is not to be shipped; "" where it may be."""
    if probe.claim_accuracy >= SMALLEST_CLAIM_ACCURACY:
        return ""
    return f"wanted a claim accuracy of at least {SMALLEST_CLAIM_ACCURACY}"


@torch.inference_mode()
def share_right(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, examples: list[Example]) -> float:
    """Return the share of examples whose target greedy decoding writes, neither more nor less."""
    right = 0
    for first in range(0, len(examples), BATCH):
        batch = examples[first : first + BATCH]
        encoded = tokenizer([example.source for example in batch], padding=True, return_tensors="pt")
        output = model.generate(**encoded.to(model.device), max_new_tokens=8, do_sample=False, num_beams=1)
        written = tokenizer.batch_decode(output, skip_special_tokens=True)
        right += sum(text == example.target for text, example in zip(written, batch, strict=True))
    return right / len(examples)


@torch.inference_mode()
def denoising_loss(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, items: int) -> float:
    """Return the mean loss per target token over held-out passages and articles, half of each."""
    total = counted = 0.0
    for first in range(0, items, BATCH):
        examples = [held_out_text(number) for number in range(first, min(items, first + BATCH))]
        encoded = encode(tokenizer, examples, f"probe/{first}")
        encoded = {name: tensor.to(model.device) for name, tensor in encoded.items()}
        tokens = int((encoded["labels"] != -100).sum())
        total += model(**encoded).loss.item() * tokens
        counted += tokens
    return total / counted


def held_out_text(number: int) -> Example:
    """Return a passage (even numbers) or an article (odd ones) that pre-training never sees."""
    rng = random.Random(f"probe/text/{number}")
    if number % 2:
        return Example(draw_article(rng, "train").text)
    return Example(draw_passage(rng, "train", FACTS[number % 3]).text)

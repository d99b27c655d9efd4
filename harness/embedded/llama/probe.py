"""Two quick measurements of a pre-trained embedded model: loss on held-out text and greedy arithmetic."""

import random
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from harness.embedded.llama import corpus
from harness.measure.forgetting import token_loss

LARGEST_LOSS = 1.3
SMALLEST_ACCURACY = 0.7


@dataclass(frozen=True)
class Probe:
    """What the probe measured: loss in nats per token of held-out documents, and the share of equations completed."""

    held_out_loss: float
    arithmetic_accuracy: float
    documents: int
    equations: int


def probe(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, documents: int = 512, equations: int = 400
) -> Probe:
    """Return the measurements of `model`, which stays unchanged."""
    loss = held_out_loss(model, tokenizer, documents)
    return Probe(loss, arithmetic_accuracy(model, tokenizer, equations), documents, equations)


def shortcoming(probe: Probe) -> str:
    """Return why a model with these measurements is not to be shipped; "" where it may be."""
    if probe.held_out_loss <= LARGEST_LOSS and probe.arithmetic_accuracy >= SMALLEST_ACCURACY:
        return ""
    return f"wanted a held-out loss of at most {LARGEST_LOSS} and an accuracy of at least {SMALLEST_ACCURACY}"


def held_out_loss(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, count: int, batch: int = 64) -> float:
    """Return the mean loss in nats per token over `count` held-out documents, each closed by eos."""
    texts = [text + tokenizer.eos_token for text in corpus.held_out_documents(count)]
    return token_loss(model, tokenizer, texts, batch, max_tokens=None).loss


@torch.inference_mode()
def arithmetic_accuracy(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, count: int) -> float:
    """Return the share of `count` equations whose right side greedy decoding completes after two true examples."""
    rng = random.Random("probe")
    items = [". ".join(corpus.equation(rng) for _ in range(3)).rsplit(" = ", 1) for _ in range(count)]
    prompts = [f"{left} = " for left, _ in items]
    # " = " is one token only where a digit follows; a trailing digit is added for encoding and then cut off.
    rows = [tokenizer(f"{prompt}0").input_ids[:-1] for prompt in prompts]
    encoded = tokenizer.pad({"input_ids": rows}, padding_side="left", return_tensors="pt").to(model.device)
    output = model.generate(**encoded, max_new_tokens=5, do_sample=False, pad_token_id=tokenizer.pad_token_id)
    written = tokenizer.batch_decode(output[:, encoded.input_ids.shape[1] :])
    right = sum(_leading_digits(text) == answer for text, (_, answer) in zip(written, items, strict=True))
    return right / count


def _leading_digits(text: str) -> str:
    return text[: len(text) - len(text.lstrip("0123456789"))]

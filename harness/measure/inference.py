"""How fast the model answers: the base alone, with its adapter, and with the adapter merged, side by side.

Prompts and length of the answers are fixed, so that a model that says little is not called fast. The variants take
turns in one process: what else the machine does meets all of them, and the ratios hold where the speeds do not.
"""

import contextlib
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from transformers import GenerationConfig

from harness.devices import synchronize
from harness.merging import may_merge, merged, without_adapter
from harness.params import GenerationKwargs
from harness.result.schema import Inference, Overhead, TokenRates
from harness.text.generation import answer_batch, greedy_config

BATCH_ROWS = 8
PROMPT_TOKENS = 48
NEW_TOKENS = 33  # the first comes with the prefill, 32 are decoded
ROUNDS = 5


@torch.no_grad()  # not inference_mode, in which merging would leave weights that nothing can train any more
def measure_inference(model: nn.Module, prompts: Sequence[list[int]], device: torch.device) -> Inference:
    """Prefill and decode speed of the variants, and what the adapter costs.

    Args:
        model: as trained; merging and unmerging leaves its weights as they were, up to rounding.
        prompts: tokenized prompts; made BATCH_ROWS of PROMPT_TOKENS each, repeated or cut.
        device: of the model.

    Returns:
        medians over rounds; `overhead` is base speed over the variant's speed in the same round.
    """
    model.eval()
    rows = [_to_length(prompts[index % len(prompts)]) for index in range(BATCH_ROWS)]
    variants: dict[str, Callable[[], contextlib.AbstractContextManager[nn.Module]]] = {
        "base": lambda: contextlib.nullcontext(without_adapter(model)),
        "unmerged": lambda: contextlib.nullcontext(model),
    }
    difference = _merged_difference(model, rows, device)
    if difference is not None:
        variants["merged"] = lambda: merged(model)
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in variants}
    names = list(variants)
    for turn in range(-1, ROUNDS):  # the first warms up
        for position in range(len(names)):
            name = names[(turn + position) % len(names)]
            with variants[name]() as variant:
                taken = _timed(variant, rows, 1, device), _timed(variant, rows, NEW_TOKENS, device)
            if turn >= 0:
                seconds[name].append(taken)
    return _summary(seconds, difference)


def _summary(seconds: dict[str, list[tuple[float, float]]], difference: float | None) -> Inference:
    decoding = {name: [whole - first for first, whole in rounds] for name, rounds in seconds.items()}
    rates = {
        name: TokenRates(
            prefill_tokens_per_second=BATCH_ROWS * PROMPT_TOKENS / statistics.median(first for first, _ in rounds),
            decode_tokens_per_second=BATCH_ROWS * (NEW_TOKENS - 1) / statistics.median(decoding[name]),
        )
        for name, rounds in seconds.items()
    }
    overheads = {
        name: Overhead.of([mine / base for mine, base in zip(decoding[name], decoding["base"], strict=True)])
        for name in seconds
        if name != "base"
    }
    return Inference(
        rows=BATCH_ROWS,
        prompt_tokens=PROMPT_TOKENS,
        new_tokens=NEW_TOKENS,
        rounds=ROUNDS,
        **rates,
        overhead_unmerged=overheads["unmerged"],
        overhead_merged=overheads.get("merged"),
        merged_logit_difference=difference,
    )


def _merged_difference(model: nn.Module, rows: list[list[int]], device: torch.device) -> float | None:
    """Largest difference between a logit before and after merging; None where the adapter is not to be merged."""
    if not may_merge(model):
        return None
    before = _logits(model, rows, device)
    try:
        with merged(model) as one:
            return (_logits(one, rows, device) - before).abs().max().item()
    except (NotImplementedError, AttributeError, ValueError, TypeError):  # PEFT's ways of saying that it cannot
        return None


def _logits(model: nn.Module, rows: list[list[int]], device: torch.device) -> torch.Tensor:
    ids = torch.tensor(rows, device=device)
    inputs: dict[str, Any] = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if model.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = ids[:, :8]
    return model(**inputs, use_cache=False).logits.float()


def _to_length(prompt: list[int]) -> list[int]:
    return (prompt * (PROMPT_TOKENS // max(len(prompt), 1) + 1))[:PROMPT_TOKENS]


def _timed(model: nn.Module, rows: list[list[int]], new_tokens: int, device: torch.device) -> float:
    config = _forced(model, new_tokens)
    synchronize(device)
    started = time.perf_counter()
    answers = answer_batch(model, rows, config)
    synchronize(device)
    seconds = time.perf_counter() - started
    if any(len(answer) != new_tokens for answer in answers):
        raise RuntimeError(f"expected answers of {new_tokens} tokens, got {sorted(set(map(len, answers)))}")
    return seconds


def _forced(model: nn.Module, new_tokens: int) -> GenerationConfig:
    """Greedy decoding that nothing ends early: no token counts as an end."""
    config = greedy_config(model, GenerationKwargs(max_new_tokens=new_tokens))
    config.eos_token_id = [-1]
    return config

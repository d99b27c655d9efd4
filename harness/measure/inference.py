"""How fast the model answers: the base alone, with its adapter, and with the adapter merged, side by side.

Prompts and length of the answers are fixed, so that a model that says little is not called fast; a picture is answered
in one forward pass, and made in several. The variants take turns in one process: what else the machine does meets all
of them, and the ratios hold where the speeds do not.
"""

import contextlib
import logging
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
PASSES = 5  # over a batch of pictures, for one figure
log = logging.getLogger("run")
Forward = Callable[[nn.Module], torch.Tensor]
Times = dict[str, list[tuple[float, float]]]  # by variant and round: seconds before the first answer, and of all


@torch.no_grad()  # not inference_mode, in which merging would leave weights that nothing can train any more
def measure_inference(model: nn.Module, prompts: Sequence[list[int]], device: torch.device) -> Inference | None:
    """Prefill and decode speed of the variants, and what the adapter costs.

    Args:
        model: as trained; merging and unmerging leaves its weights as they were, up to rounding.
        prompts: tokenized prompts; made BATCH_ROWS of PROMPT_TOKENS each, repeated or cut.
        device: of the model.

    Returns:
        medians over rounds; `overhead` is base speed over the variant's speed in the same round. None, with a
        warning, where the machine was so busy that too few rounds have all answers take longer than their first token.
    """
    rows = [_to_length(prompts[index % len(prompts)]) for index in range(BATCH_ROWS)]

    def seconds_of(variant: nn.Module) -> tuple[float, float]:
        return _timed(variant, rows, 1, device), _timed(variant, rows, NEW_TOKENS, device)

    seconds, difference = _in_turns(model, seconds_of, lambda variant: _logits(variant, rows, device))
    if len(seconds["base"]) < ROUNDS:
        log.warning("inference: the machine is too busy to time it; it stays null")
        return None
    rates = {
        name: TokenRates(
            prefill_tokens_per_second=BATCH_ROWS * PROMPT_TOKENS / statistics.median(first for first, _ in rounds),
            decode_tokens_per_second=BATCH_ROWS * (NEW_TOKENS - 1) / _median(rounds),
        )
        for name, rounds in seconds.items()
    }
    lengths = {"prompt_tokens": PROMPT_TOKENS, "new_tokens": NEW_TOKENS}
    return Inference(rows=BATCH_ROWS, **lengths, **rates, **_beside_base(seconds, difference))


@torch.no_grad()
def measure_forward(
    model: nn.Module, forward: Forward, rows: int, device: torch.device, steps: int | None = None
) -> Inference:
    """Speed of forward passes of the variants, and what the adapter costs.

    Args:
        model: as trained; merging and unmerging leaves its weights as they were, up to rounding.
        forward: one pass of a model over a batch, on the device; returns what merging should not change.
        rows: of the batch, an answer each.
        device: of the model.
        steps: passes that an answer takes; None for one.
    """

    def seconds_of(variant: nn.Module) -> tuple[float, float]:
        synchronize(device)
        started = time.perf_counter()
        for _ in range(PASSES):
            forward(variant)
        synchronize(device)
        return 0.0, time.perf_counter() - started

    seconds, difference = _in_turns(model, seconds_of, lambda variant: forward(variant).float())
    rates = {
        name: TokenRates(decode_tokens_per_second=rows * PASSES / (steps or 1) / _median(rounds))
        for name, rounds in seconds.items()
    }
    return Inference(rows=rows, sampling_steps=steps, **rates, **_beside_base(seconds, difference))


def _in_turns(
    model: nn.Module,
    seconds_of: Callable[[nn.Module], tuple[float, float]],
    logits_of: Forward,
) -> tuple[Times, float | None]:
    """Times of the variants in ROUNDS, and the largest difference that merging makes to a logit."""
    model.eval()
    variants: dict[str, Callable[[], contextlib.AbstractContextManager[nn.Module]]] = {
        "base": lambda: contextlib.nullcontext(without_adapter(model)),
        "unmerged": lambda: contextlib.nullcontext(model),
    }
    difference = _merged_difference(model, logits_of)
    if difference is not None:
        variants["merged"] = lambda: merged(model)
    seconds: Times = {name: [] for name in variants}
    names = list(variants)
    for turn in range(-1, 3 * ROUNDS):  # the first warms up; most of a busy machine's turns are sound
        taken = {}
        for position in range(len(names)):
            name = names[(turn + position) % len(names)]
            with variants[name]() as variant:
                taken[name] = seconds_of(variant)
        if turn >= 0 and all(whole > first for first, whole in taken.values()):
            for name in names:
                seconds[name].append(taken[name])
        if len(seconds["base"]) == ROUNDS:
            break
    return seconds, difference


def _median(rounds: list[tuple[float, float]]) -> float:
    return statistics.median(whole - first for first, whole in rounds)


def _beside_base(seconds: Times, difference: float | None) -> dict[str, Any]:
    decoding = {name: [whole - first for first, whole in rounds] for name, rounds in seconds.items()}
    overheads = {
        name: Overhead.of([mine / base for mine, base in zip(decoding[name], decoding["base"], strict=True)])
        for name in seconds
        if name != "base"
    }
    return {
        "rounds": ROUNDS,
        "overhead_unmerged": overheads["unmerged"],
        "overhead_merged": overheads.get("merged"),
        "merged_logit_difference": difference,
    }


def _merged_difference(model: nn.Module, logits_of: Forward) -> float | None:
    """Largest difference between a logit before and after merging; None where the adapter is not to be merged."""
    if not may_merge(model):
        return None
    before = logits_of(model)
    try:
        with merged(model) as one:
            return (logits_of(one) - before).abs().max().item()
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

"""What a run measures beside training and test: forgetting, inference, arithmetic, and who else uses the GPU."""

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from harness.devices import is_out_of_memory
from harness.measure import energy as nvml
from harness.measure.flops import flops_per_token, matrix_product_rate
from harness.measure.forgetting import text_source, token_loss
from harness.measure.inference import BATCH_ROWS, measure_inference
from harness.result.schema import Forgetting, TokenLoss

if TYPE_CHECKING:
    from run import Run

log = logging.getLogger("run")


def watch_device(run: "Run") -> None:
    """Notes whether another process computes on the same GPU, and warns the first time."""
    others, origin = nvml.other_processes(run.device), run.result.provenance
    if others and not origin.shared_device:
        log.warning("%d other process(es) compute on this GPU: memory and speed are not this run's alone", others)
    if others is not None:
        origin.shared_device = bool(others or origin.shared_device)


def remember(run: "Run", base: Any) -> None:
    """Notes how well the untouched base model predicts text that has nothing to do with the task."""
    if run.held_out is None:
        return
    before = _held_out_loss(run, base)
    if before is not None:
        text = text_source(run.params)
        run.result.forgetting = Forgetting(text=text, tokens=before.tokens, base_loss=before.loss)


def forget(run: "Run") -> None:
    """Measures what the model lost of what it could do before."""
    forgetting = run.result.forgetting
    after = None if forgetting is None else _held_out_loss(run, run.model)
    if after is not None:
        forgetting.loss = after.loss
        forgetting.forgetting = after.loss - forgetting.base_loss
        run.result.train_info.metrics[-1].forgetting = forgetting.forgetting


def _held_out_loss(run: "Run", model: Any) -> TokenLoss | None:
    model.eval()
    with _missing_without_memory("forgetting"), run.memory.phase("forgetting"), run.autocast():
        found = token_loss(model, run.encoder.tokenizer, run.held_out)
        if math.isfinite(found.loss):
            return found
        log.warning("forgetting: the loss on the held-out text is no finite number; it stays null")
    return None


def measure_costs(run: "Run") -> None:
    """How fast the model answers, beside its base and merged, and what arithmetic a training step takes."""
    compute, tokens_per_second = run.result.compute, run.training.tokens_per_second
    prompts = [run.encoder.encode_prompt(row.prompt)[0] for row in run.splits.test[:BATCH_ROWS]]
    with _missing_without_memory("inference"), run.memory.phase("inference"), run.autocast():
        run.result.inference = measure_inference(run.model, prompts, run.device)
    with _missing_without_memory("compute.flops_per_token"):
        compute.flops_per_token = flops_per_token(
            run.model, run.typical, run.params.batch_size, run.device, run.autocast
        )
    with _missing_without_memory("compute.matmul_flops_per_second"):
        compute.matmul_flops_per_second = matrix_product_rate(run.device, run.matmul_dtype)
    if compute.flops_per_token is not None and tokens_per_second is not None:
        compute.flops_per_second = compute.flops_per_token * tokens_per_second
    if compute.flops_per_second is not None and compute.matmul_flops_per_second is not None:
        compute.matmul_share = compute.flops_per_second / compute.matmul_flops_per_second
    watch_device(run)


@contextmanager
def _missing_without_memory(figure: str) -> Iterator[None]:
    """Where the device's memory does not suffice for a figure beside the run's own, the figure stays null."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        log.warning("%s: not enough memory to measure it; it stays null", figure)

"""What a run measures beside training and test: forgetting, inference, arithmetic, and who else uses the GPU."""

import logging
from typing import TYPE_CHECKING, Any

from harness import nvml
from harness.flops import flops_per_token, matrix_product_rate
from harness.forgetting import held_out_texts, text_source, token_loss
from harness.inference import BATCH_ROWS, measure_inference
from harness.results import Forgetting, TokenLoss

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
    if base.config.is_encoder_decoder:
        return
    run.held_out = held_out_texts(run.params)
    before = _held_out_loss(run, base)
    run.result.forgetting = Forgetting(text=text_source(run.params), tokens=before.tokens, base_loss=before.loss)


def _held_out_loss(run: "Run", model: Any) -> TokenLoss:
    model.eval()
    with run.memory.phase("forgetting"), run.autocast():
        return token_loss(model, run.encoder.tokenizer, run.held_out)


def forget(run: "Run") -> None:
    """Measures what the model lost of what it could do before."""
    forgetting = run.result.forgetting
    if forgetting is not None:
        forgetting.loss = _held_out_loss(run, run.model).loss
        forgetting.forgetting = forgetting.loss - forgetting.base_loss
        run.result.train_info.metrics[-1].forgetting = forgetting.forgetting


def measure_costs(run: "Run") -> None:
    """How fast the model answers, beside its base and merged, and what arithmetic a training step takes."""
    prompts = [run.encoder.encode_prompt(row.prompt)[0] for row in run.splits.test[:BATCH_ROWS]]
    with run.memory.phase("inference"), run.autocast():
        run.result.inference = measure_inference(run.model, prompts, run.device)
    compute, tokens_per_second = run.result.compute, run.training.tokens_per_second
    compute.flops_per_token = flops_per_token(run.model, run.typical, run.device, run.autocast())
    if compute.flops_per_token is not None and tokens_per_second is not None:
        compute.flops_per_second = compute.flops_per_token * tokens_per_second
    compute.matmul_flops_per_second = matrix_product_rate(run.device, run.matmul_dtype)
    if compute.flops_per_second is not None and compute.matmul_flops_per_second is not None:
        compute.matmul_share = compute.flops_per_second / compute.matmul_flops_per_second
    watch_device(run)

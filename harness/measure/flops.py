"""Arithmetic of a training step: what a token costs, and what share of the device's matrix-product rate that uses.

Counted are matrix products, two operations for a multiply and an add, as torch's flop counter sees them on one real
forward and backward pass: frozen weights get no gradient of their own, checkpointed layers are computed twice. The
counter is blind in bitsandbytes' and fused kernels, so the pass runs with plain attention and a quantized base has no
figure.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from harness.batches import Batch
from harness.devices import synchronize
from harness.result.schema import Compute

Loss = Callable[[nn.Module, Mapping[str, torch.Tensor]], torch.Tensor]

BLIND_ATTENTION = ("flash_attention_2", "flex_attention")
SEEN_DEVICES = ("cpu", "cuda", "xpu")  # Apple's kernels are others
MATRIX_SIZE = 8192
PRODUCTS, ROUNDS = 10, 5


def flops_per_unit(
    model: nn.Module,
    loss_of: Loss,
    sample: Batch,
    batch_size: int,
    device: torch.device,
    autocast: Callable[[], AbstractContextManager],
) -> float | None:
    """Operations of forward and backward for each unit of work; None where the counter is blind.

    Leaves parameters, gradients (there are none after it) and random numbers as they were. Some methods do work once a
    pass, however many rows it has (DoRA's norms of the weights): one row and two of it are counted, which tells apart
    what a row costs and what a pass costs, without the memory of a whole batch.

    Args:
        model: as it is trained, in any mode; it is in evaluation mode afterwards.
        loss_of: the workload's loss of a model and a batch's inputs.
        sample: a batch of one row.
        batch_size: rows of a forward pass in training, over which its once-a-pass work is spread.
        device: of the model.
        autocast: makes the run's mixed precision.
    """
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    blind = (
        getattr(base, "is_quantized", False) or getattr(base.config, "_attn_implementation", None) in BLIND_ATTENTION
    )
    if blind or device.type not in SEEN_DEVICES:
        return None
    twice = {name: torch.cat([tensor, tensor]) for name, tensor in sample.inputs.items()}
    one, two = (_count(model, loss_of, inputs, device, autocast) for inputs in (sample.inputs, twice))
    per_row, per_pass = two - one, 2 * one - two
    return (per_row + per_pass / batch_size) / sample.work or None


def _count(
    model: nn.Module, loss_of: Loss, inputs: Mapping[str, torch.Tensor], device: torch.device, autocast: Callable
) -> int:
    seeded = [] if device.type == "cpu" else [device]  # the CPU's state is kept in any case
    keeping = torch.random.fork_rng(seeded, device_type=device.type if seeded else "cuda")
    inputs = {name: tensor.to(device) for name, tensor in inputs.items()}
    model.train()
    try:
        with keeping, FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
            with autocast():
                loss = loss_of(model, inputs)
            loss.backward()
    finally:
        model.zero_grad(set_to_none=True)
        model.eval()
    return counter.get_total_flops()


def matrix_product_rate(device: torch.device, dtype: torch.dtype) -> float | None:
    """Operations per second of a large product of two matrices: what this accelerator reaches; None on a CPU."""
    if device.type == "cpu":
        return None
    left, right = (torch.randn(MATRIX_SIZE, MATRIX_SIZE, device=device, dtype=dtype) for _ in range(2))
    rates = []
    for _ in range(ROUNDS):
        synchronize(device)
        started = time.perf_counter()
        for _ in range(PRODUCTS):
            left @ right
        synchronize(device)
        rates.append(2 * MATRIX_SIZE**3 * PRODUCTS / (time.perf_counter() - started))
    return statistics.median(rates)


def compute_section(
    flops: float | None, work_per_second: float | None, matrix_rate: float | None, energy: float | None
) -> Compute:
    """The result's section: what training reaches of what the device can, where both are known."""
    reached = None if None in (flops, work_per_second) else flops * work_per_second
    return Compute(
        flops_per_token=flops,
        flops_per_second=reached,
        matmul_flops_per_second=matrix_rate,
        matmul_share=None if None in (reached, matrix_rate) else reached / matrix_rate,
        energy=energy,
    )

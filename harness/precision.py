"""The precision that a run computes in, as its parameters ask for."""

import torch

from harness.params import TrainingParams


def matmul_dtype(params: TrainingParams) -> torch.dtype:
    """What most matrix products of the run are made in."""
    if params.dtype == "float32" and not params.use_amp:
        return torch.float32
    return torch.float16 if params.dtype == "float16" else torch.bfloat16


def autocast(params: TrainingParams, device: torch.device) -> torch.autocast:
    """Mixed precision; does nothing without use_amp."""
    return torch.autocast(device.type, dtype=matmul_dtype(params) if params.use_amp else None, enabled=params.use_amp)

"""Checkpoints of pre-training: written whole or not at all, and read by runs of the same settings only."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch


def write_checkpoint(path: Path, settings: Any, **state: Any) -> None:
    """Write a checkpoint of `state` beside the settings (a dataclass) that made it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    torch.save({"settings": asdict(settings), **state}, part)
    os.replace(part, path)


def read_checkpoint(path: Path, settings: Any) -> dict[str, Any]:
    """Return the state of a checkpoint.

    Raises:
        ValueError: other settings made it.
    """
    state = torch.load(path, weights_only=True)
    if state["settings"] != asdict(settings):
        raise ValueError(f"checkpoint {path} was made with other settings; delete it or restore them")
    return state

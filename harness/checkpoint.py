"""A killed run goes on: its state in one safetensors file, written as a whole, nothing pickled, no frozen weights."""

import json
import logging
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from harness.errors import UserError, one_line
from harness.files import display_path

log = logging.getLogger("run")
_REMEDY = "run without --resume to begin anew"


@dataclass
class Checkpoint:
    """The file.

    identity: what has to be the same for a run to go on, under names for messages.
    minutes: between two writes; None writes none.
    """

    path: Path
    identity: dict[str, Any]
    minutes: float | None
    written: float = field(default_factory=time.perf_counter)

    def due(self, finished: bool) -> bool:
        """Whether it is time to write; training that is finished is always worth it."""
        passed = time.perf_counter() - self.written
        return self.minutes is not None and (finished or passed >= 60 * self.minutes)

    def write(self, state: dict[str, Any]) -> None:
        """Replaces the file as a whole. Where that fails the old one stays, and the run goes on with a warning."""
        tensors: dict[str, torch.Tensor] = {}
        text = json.dumps({"identity": self.identity, "state": _pack(state, "state", tensors)})
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            save_file(tensors, temporary, {"checkpoint": text})
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.replace(self.path)
        except (OSError, SafetensorError) as error:
            log.warning("%s: cannot be written: %s; free some space, the run goes on with what was there",
                        display_path(self.path), one_line(error))  # fmt: skip
        finally:
            temporary.unlink(missing_ok=True)
        self.written = time.perf_counter()

    def exists(self) -> bool:
        """Whether there is a checkpoint that the run can go on from.

        Raises:
            UserError: the file is damaged, or the run that wrote it was not the same.
        """
        return self.path.exists() and bool(self._read(weights=False))

    def read(self) -> dict[str, Any]:
        """The state that was written last.

        Raises:
            UserError: as `exists`.
        """
        return self._read(weights=True)

    def _read(self, weights: bool) -> dict[str, Any]:
        where = display_path(self.path)
        try:
            with safe_open(self.path, "pt") as file:
                content = json.loads(file.metadata()["checkpoint"])
                tensors = {name: file.get_tensor(name) for name in file.keys() if weights}  # noqa: SIM118
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise UserError(f"{where}: no whole checkpoint ({one_line(error)}); {_REMEDY}") from None
        changed = _first_difference(content["identity"], self.identity)
        if changed:
            raise UserError(f"{where}: cannot go on, {changed}; {_REMEDY}")
        return _unpack(content["state"], tensors) if weights else content["state"]


def _first_difference(then: Any, now: Any, name: str = "") -> str:
    """'configuration.optimizer_kwargs.lr: was 0.1, is 0.2'; empty where there is none."""
    if isinstance(then, dict) and isinstance(now, dict):
        inner = (_first_difference(then.get(key), now.get(key), f"{name}.{key}") for key in {**then, **now})
        return next(filter(None, inner), "")
    return "" if then == now else f"{name.removeprefix('.')}: was {str(then)[:60]}, is {str(now)[:60]}"


def _pack(value: Any, name: str, tensors: dict[str, torch.Tensor]) -> Any:
    """JSON that _unpack turns back into the same, dictionary keys and tuples included; tensors go into `tensors`."""
    if isinstance(value, torch.Tensor):
        tensors[name] = value.detach().cpu().clone().contiguous()  # safetensors refuses storages that are shared
        return {"tensor": name}
    if isinstance(value, dict):
        return {"dict": [[key, _pack(inner, f"{name}.{key}", tensors)] for key, inner in value.items()]}
    if isinstance(value, list | tuple):
        return {type(value).__name__: [_pack(inner, f"{name}.{i}", tensors) for i, inner in enumerate(value)]}
    return {"plain": value}


def _unpack(packed: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Any:
    ((kind, value),) = packed.items()
    if kind == "dict":
        return {key: _unpack(inner, tensors) for key, inner in value}
    if kind in ("list", "tuple"):
        items = [_unpack(inner, tensors) for inner in value]
        return items if kind == "list" else tuple(items)
    return tensors[value] if kind == "tensor" else value

"""Forecasts on file: what a run would need, computed from shapes. Torch-free, for the suite and the dashboard.

results/forecasts/<base model>--<GPU memory>.json holds every experiment of one base model. A forecast is no
measurement and never stands beside one without being called a forecast; `read_results` passes the folder over.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.errors import UserError
from harness.files import named
from harness.result.files import FORECASTS, Skipped, UnreadableError, read_bytes
from harness.result.provenance import slug
from harness.result.store import write_atomically
from harness.result.units import human_bytes


class _Figures(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Parts(_Figures):
    """What lives at the peak of training, in bytes; together they are what is allocated."""

    base_weights: int = Field(description="frozen weights and buffers, as stored")
    trained_weights: int
    gradients: int = Field(description="those there are at that moment")
    optimizer_state: int
    activations: int = Field(description="what the forward pass keeps for the backward pass")
    logits: int = Field(description="everything as wide as the vocabulary that is no weight")
    workspace: int = Field(description="what comes and goes within a pass or the optimizer's step")


class ForecastPeak(_Figures):
    """The most memory of one step or answer, in bytes.

    reserved is what torch's allocator holds for what is allocated, with its rounding and the gaps that remain.
    """

    rows: int = Field(description="of one forward pass")
    length: int = Field(description="of its longest sample, in the workload's units")
    allocated: int
    reserved: int


class Change(_Figures):
    """Something that would change what training needs, recomputed."""

    what: str
    needed: int = Field(description="bytes on the GPU, as Forecast.needed")


class Forecast(_Figures):
    """What one run would need on an accelerator. Bytes; null where it cannot be told, and `reason` says why."""

    task: str
    subset: str | None
    experiment: str = Field(description="<method>/<name>")
    model: str
    config_fingerprint: str
    overrides: dict
    versions: dict[str, str] = Field(description="of the libraries whose code was followed")
    reason: str | None = Field(None, description="why there is none, in one line")
    work_unit: str = Field("tokens", description="what lengths, arithmetic and speed count")
    trainable: int | None = None
    total: int | None = None
    parts: Parts | None = Field(None, description="at the peak of a step on the longest batch")
    gradients: int | None = Field(None, description="all of them, after a backward pass")
    training: ForecastPeak | None = Field(None, description="of a step on the task's longest batch")
    standing: ForecastPeak | None = Field(
        None, description="on the batch that stands for a run: the longest since the cache was emptied, on average"
    )
    evaluation: ForecastPeak | None = None
    context: int | None = Field(None, description="allowance for the driver's context and the libraries' workspaces")
    needed: int | None = Field(None, description="the larger reserved peak, and the context")
    gpu_memory: int | None = None
    fits: bool | None = Field(None, description="whether `needed` is within gpu_memory")
    largest_batch: int | None = Field(None, description="largest batch_size that fits gpu_memory; 0 for none")
    changes: list[Change] = Field(default_factory=list, description="what would help, most first")
    flops_per_token: float | None = Field(None, description="of matrix products for a unit of work, forward and "
                                          "backward, in a batch of common length")  # fmt: skip
    gpu: str | None = Field(None, description="the card that --gpu names")
    tokens_per_second: tuple[float, float] | None = Field(
        None, description="a range, by the shares of their cards' peaks that published runs reached"
    )
    sentence: str = Field(description="the forecast in words")


class ForecastFile(_Figures):
    """One file."""

    format: Literal[1] = 1
    forecasts: list[Forecast]


def forecast_path(output: Path, model: str, gpu_memory: int | None) -> Path:
    """Where the forecasts for a base model (or part of its name) belong below an output folder."""
    memory = [] if gpu_memory is None else [f"{gpu_memory / 10**9:g}GB"]
    return output / "results" / FORECASTS / f"{'--'.join([slug(model), *memory])}.json"


def write_forecasts(path: Path, forecasts: Sequence[Forecast]) -> None:
    """Writes one file, atomically."""
    values = ForecastFile(forecasts=list(forecasts)).model_dump()
    write_atomically(path, json.dumps(values, indent=1, allow_nan=False) + "\n")


def read_forecast_file(path: Path) -> list[Forecast]:
    """The forecasts of one file.

    Raises:
        UserError: it is no forecast.
    """
    try:
        return ForecastFile.model_validate_json(read_bytes(path)).forecasts
    except UnreadableError as error:
        raise UserError(f"{named(path)}: {error}") from None
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise UserError(f"{named(path)}: {where}: {error.errors()[0]['msg']}; forecast it anew") from None


def forecast_files(folders: Sequence[Path]) -> list[Path]:
    """The files of forecasts in folders of results."""
    return [path for folder in folders for path in sorted((folder / FORECASTS).glob("*.json"))]


def read_forecasts(folders: Sequence[Path]) -> tuple[list[Forecast], list[Skipped]]:
    """Every forecast in folders of results, one for each run; and the files that are no forecasts, and why."""
    found: dict[tuple, Forecast] = {}
    skipped = []
    for path in forecast_files(folders):
        try:
            found |= {(one.task, one.subset, one.experiment, one.model): one for one in read_forecast_file(path)}
        except UserError as error:
            skipped.append(Skipped(named(path), str(error).removeprefix(f"{named(path)}: ")))
    return list(found.values()), skipped


def table_of(forecasts: Sequence[Forecast]) -> str:
    """Markdown: a line for each, least memory first, those without a forecast last."""
    heads = ["experiment", "trained", "fits", "needed", "training", "evaluation", "base weights", "trained weights",
             "gradients", "optimizer state", "activations", "logits", "workspace", "largest batch"]  # fmt: skip
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    lines += [f"| {' | '.join(_cells(one))} |" for one in sorted(forecasts, key=_order)]
    return "\n".join(lines)


def _order(forecast: Forecast) -> tuple:
    return forecast.needed is None, forecast.needed or 0, forecast.experiment, forecast.subset or ""


def _cells(forecast: Forecast) -> list[str]:
    name = "/".join(filter(None, (forecast.task, forecast.subset, forecast.experiment)))
    if forecast.reason is not None:
        return [name, "", forecast.reason, *[""] * 11]
    fits = {None: "", True: "yes", False: "no"}[forecast.fits]
    parts = forecast.parts.model_copy(update={"gradients": forecast.gradients}).model_dump().values()
    sizes = [forecast.needed, forecast.training.reserved, forecast.evaluation.reserved, *parts]
    batch = "" if forecast.largest_batch is None else str(forecast.largest_batch)
    return [name, f"{forecast.trainable:,}", fits, *map(human_bytes, sizes), batch]

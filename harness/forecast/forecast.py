"""What a run would cost on a GPU, told without one: the forecast of one experiment."""

import dataclasses
from collections.abc import Sequence, Sized
from functools import cached_property
from importlib.metadata import version

from harness.adapter_config import Adapter
from harness.batches import Batch
from harness.errors import UserError, one_line
from harness.experiment import Experiment
from harness.forecast.advice import changes_of, largest_batch
from harness.forecast.gpus import find_gpu, tokens_per_second
from harness.forecast.lengths import middles, sampled_batches, since_emptied
from harness.forecast.report import sentence_of
from harness.forecast.shapes import Followed, Shapes, UnknownShapesError
from harness.overlay import Layer, build_params
from harness.plan import Plan
from harness.result.forecasts import Forecast
from harness.task import Task, load_task
from harness.workloads import workload_of

# Of the driver's context and the libraries' kernels, some 450 MiB with CUDA 12, and cuBLAS's workspace.
CONTEXT = 512 * 2**20
LIBRARIES = ("torch", "transformers", "peft")


@dataclasses.dataclass(frozen=True)
class Asked:
    """What the forecast is asked beside the experiment: bytes of a GPU, its name, and whether to look for advice."""

    gpu_memory: int | None = None
    gpu: str | None = None
    advise: bool = True

    @property
    def memory(self) -> int | None:
        """Of the GPU: as it is given, else the named card's."""
        return self.gpu_memory if self.gpu_memory or self.gpu is None else find_gpu(self.gpu).memory


ASK_NOTHING = Asked()


def versions() -> dict[str, str]:
    """Of the libraries whose code is followed."""
    return {name: version(name).partition("+")[0] for name in LIBRARIES}


class Run:
    """One experiment on one subset, whose steps can be forecast at any batch size.

    Raises:
        UserError: as `Shapes` does, or the task does not say how long its samples are.
    """

    def __init__(self, experiment: Experiment, task: Task, subset: str | None) -> None:
        self.experiment, self.task, self.subset, self.params = experiment, task, subset, experiment.params
        adapter = Adapter.of(experiment)
        kind, labels = workload_of(task, experiment, adapter), task.labels(self.params.data_source)
        rows = kind.random_splits(task, subset, self.params).train
        self.shapes = Shapes(experiment, adapter, kind, labels)
        self._longest = self.shapes.workload.encode(rows[0])
        self._rows = rows

    def common(self) -> tuple[Followed, float]:
        """A step on a batch of median length, and its operations for each unit of work."""
        batch = self._collate(middles(self._sampled, 1)[0])
        followed = self.shapes.train(batch)
        return followed, followed.flops / batch.work

    def standing(self) -> Followed:
        """A step on the batch that stands for a run."""
        held = since_emptied(self._sampled, self.params.eval_steps)
        return self.step(samples=middles(held, 1)[0])

    def step(self, rows: int | None = None, samples: Sequence[Sized] | None = None) -> Followed:
        """A step with batches of so many of the longest sample, or of the samples."""
        return self.shapes.train(self._collate(samples or [self._longest] * (rows or self.params.batch_size)))

    def answer(self, rows: int | None = None) -> Followed:
        """An evaluation batch of so many of the longest prompt."""
        return self.shapes.answer([self._rows[0]] * (rows or self.params.batch_size_eval))

    @cached_property
    def _sampled(self) -> list[Sequence[Sized]]:
        return sampled_batches(self.shapes.workload, self._rows, self.params)

    def _collate(self, samples: Sequence[Sized]) -> Batch:
        return self.shapes.workload.collate(samples)

    def varied(self, **changes: object) -> "Run":
        """The same run with other parameters."""
        return Run(varied(self.experiment, **changes), self.task, self.subset)


def varied(experiment: Experiment, **changes: object) -> Experiment:
    """The experiment with other parameters, as the command line would set them."""
    layers = [*experiment.layers, Layer("--forecast", changes)]
    return dataclasses.replace(experiment, params=build_params(layers), layers=tuple(layers))


def forecast(experiment: Experiment, subset: str | None = None, asked: Asked = ASK_NOTHING) -> Forecast:
    """What one run of the experiment would need; `sentence` says it in words.

    Where shapes alone do not tell, or the folder has a fault, `reason` says so in one line and the figures are null.

    Args:
        experiment: as read_experiment gives it.
        subset: of the task; its first one by default.
        asked: the GPU.

    Raises:
        UserError: there is no such GPU, or data.py is not as it should be.
    """
    task = load_task(experiment.task_folder)
    subset = subset or (task.subsets or (None,))[0]
    plan = Plan(experiment, subset)
    known = {
        "task": experiment.task, "subset": subset, "experiment": f"{experiment.method}/{experiment.name}",
        "model": experiment.params.model_id, "config_fingerprint": plan.config_fingerprint,
        "overrides": experiment.overrides, "versions": versions(),
        "gpu_memory": asked.memory, "gpu": asked.gpu,
    }  # fmt: skip
    try:
        figures = _figures(Run(experiment, task, subset), asked)
    except (UserError, UnknownShapesError) as error:
        figures = {"reason": one_line(error)}
    made = Forecast(**known, **figures, sentence="")
    return made.model_copy(update={"sentence": sentence_of(made, experiment.params)})


def _figures(run: Run, asked: Asked) -> dict:
    _, flops = run.common()
    longest = run.step()
    standing, answer = run.standing(), run.answer()
    trainable, total = run.shapes.counts
    unit = run.shapes.workload.unit
    needed = CONTEXT + max(longest.peak.reserved, answer.peak.reserved)
    memory = asked.memory
    figures = {
        "trainable": trainable, "total": total, "parts": longest.parts, "gradients": longest.kept.gradients,
        "training": longest.peak, "standing": standing.peak, "evaluation": answer.peak, "context": CONTEXT,
        "needed": needed, "flops_per_token": flops, "work_unit": unit,
    }  # fmt: skip
    if asked.gpu is not None and unit == "tokens":  # nobody has published shares of peak for other work
        figures["tokens_per_second"] = tokens_per_second(find_gpu(asked.gpu), flops)
    if memory is not None:
        figures["fits"] = needed <= memory
    if memory is not None and asked.advise:
        room = memory - CONTEXT
        figures["largest_batch"] = largest_batch(run, longest.peak, room)
        if not figures["fits"]:
            figures["changes"] = changes_of(run, CONTEXT, longest.peak, answer.peak)
    return figures

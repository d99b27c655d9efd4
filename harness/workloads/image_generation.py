"""Pictures made to order: diffusion transformers that denoise what a class or a prompt says, and a judge who looks."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from harness import models
from harness.adapter import with_own_terms
from harness.architecture import DenoiserConfig, architecture
from harness.batches import Batch
from harness.errors import UserError, blame
from harness.images import denoisers
from harness.images.class_table import ClassTable
from harness.images.denoisers import Denoisers
from harness.images.denoising import Denoising, file_of
from harness.images.flow import Noisy, flow_loss, make_noisy
from harness.images.flux2 import Flux2
from harness.measure.inference import measure_forward
from harness.overlay import Origin
from harness.params import TrainingParams
from harness.result.schema import Inference, TokenLoss
from harness.task import Judgement, Row, Source, Splits, Task
from harness.workloads import Answers, HeldOut, Workload

KINDS: dict[str, type[Denoising]] = {"DiTTransformer2DModel": ClassTable, "Flux2Transformer2DModel": Flux2}


@dataclass(frozen=True)
class Conditioned:
    """One row: a sample as the model denoises it, and what it shows."""

    sample: torch.Tensor
    condition: torch.Tensor

    def __len__(self) -> int:
        return 1


class Generation(Workload):
    """Noise in, pictures out; throughput counts pictures."""

    unit = "images"
    base_settings = frozenset({"model_id", "model_revision", "dtype", "use_amp", "sampling", "batch_size_eval"})
    without = frozenset({"max_seq_length", "max_target_length", "query_template", "generation_kwargs", "loss_on",
                         "attn_implementation"})  # fmt: skip

    def __init__(self, denoising: Denoising, params: TrainingParams) -> None:
        self.denoising, self.params = denoising, params
        self._before: list[Any] = []  # the untouched base's pictures of what has nothing to do with the task

    @classmethod
    def auto_class(cls, config: DenoiserConfig) -> type:
        return Denoisers

    @classmethod
    def task_type(cls, config: DenoiserConfig) -> None:
        return None

    @classmethod
    def shortened(cls, params: TrainingParams, tiny: DenoiserConfig) -> dict[str, Any]:
        side = tiny.values["sample_size"]
        return {
            "sampling": {
                "steps": min(params.sampling.steps, 4) if params.sampling else 4,
                "guidance": 1.0,
                "side": side,
            }
        }

    @classmethod
    def recompute(cls, model: nn.Module, **how: Any) -> None:
        denoisers.recompute(model, **how)

    @classmethod
    def random_splits(cls, task: Task, subset: str | None, params: TrainingParams) -> Splits:
        count = params.planned_steps(0) * params.batch_size * params.gradient_accumulation_steps
        label = (task.labels(params.data_source) or ("",))[0]
        rows = [Row("a random picture", label, label, f"{params.seed}/{subset}/{number}") for number in range(count)]
        return Splits(rows, rows[:1], rows[: params.batch_size_eval])

    @classmethod
    def load(
        cls, params: TrainingParams, device: torch.device, origin: Origin, labels: Sequence[str] = ()
    ) -> tuple["Generation", nn.Module]:
        _check(params, origin)
        config = denoisers.config_of(params, origin)
        denoising = KINDS[config.model_type].load(config, params, labels, *models.location(params, origin))
        return cls(denoising, params), denoisers.load_denoiser(config, params, device, origin)

    @classmethod
    def build(
        cls, params: TrainingParams, device: torch.device, origin: Origin, labels: Sequence[str] = ()
    ) -> tuple["Generation", nn.Module]:
        _check(params, origin)
        config = denoisers.check_kind(architecture(params.model_id, origin("model_id")), params, origin)
        denoising = KINDS[config.model_type].build(config, params, labels)
        return cls(denoising, params), denoisers.build_denoiser(config, params, device, origin)

    def read_ahead(self, task: Task, splits: Splits, base: nn.Module) -> None:
        self.denoising.read_ahead(task, splits, base)

    def encode(self, row: Row) -> Conditioned:
        return Conditioned(self.denoising.sample_of(row), self.denoising.condition_of(row))

    def collate(self, samples: Sequence[Conditioned]) -> Batch:
        """Draws the noise of training from torch's own generator, which the run's seed sets and a checkpoint keeps."""
        noisy = make_noisy(torch.stack([one.sample for one in samples]), self.denoising.scheduler)
        inputs = noisy._asdict() | {"condition": torch.stack([one.condition for one in samples])}
        return Batch(inputs, rows=len(samples), counted=len(samples), work=len(samples))

    def loss(self, model: nn.Module, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        noisy = Noisy(*(inputs[name] for name in Noisy._fields))
        predicted = self.denoising.velocity(model, noisy.sample, noisy.timestep, inputs["condition"])
        return with_own_terms(flow_loss(predicted, noisy), model)

    @torch.inference_mode()
    def answer(self, model: nn.Module, rows: Sequence[Row], description: str) -> Answers:
        keys, conditions = [f"{row.source}/{row.reference}" for row in rows], map(self.denoising.condition_of, rows)
        pictures = self._pictures(model, keys, list(conditions), description)
        names = [f"{number}.png" for number in range(len(rows))]
        return Answers(names, work=len(rows), pictures=[file_of(picture) for picture in pictures])

    def judged(self, task: Task, source: Source, rows: Sequence[Row], answers: Answers) -> Answers:
        where = f"{task.where}: judge"
        if task.judge is None:
            raise UserError(f"{where}: missing; pictures need somebody who says what they are")
        with blame(where, task.path):
            found = task.judge(source, answers.pictures, list(rows))
        if not isinstance(found, Judgement) or len(found.texts) != len(rows):
            raise UserError(f"{where}: expected harness.task.Judgement with a text on each of {len(rows)} pictures")
        return dataclasses.replace(answers, texts=found.texts, further=found.further)

    def measure_inference(self, model: nn.Module, rows: Sequence[Row], device: torch.device) -> Inference:
        size, steps = self.params.batch_size_eval, self.params.sampling.steps
        chosen = [rows[index % len(rows)] for index in range(size)]
        noise = torch.stack([self.denoising.noise_of(f"{number}") for number in range(size)]).to(device)
        condition = torch.stack([self.denoising.condition_of(row) for row in chosen]).to(device)
        timestep = torch.full((size,), 500.0, device=device)

        def step(variant: nn.Module) -> torch.Tensor:
            return self.denoising.guided(variant, noise, timestep, condition)

        return measure_forward(model, step, size, device, steps)

    def longest_answer(self, model: nn.Module, rows: Sequence[Row], device: torch.device) -> int:
        sample = torch.empty(len(rows), *self.denoising.shape, device=device)
        condition = torch.stack([self.denoising.condition_of(row) for row in rows])
        self.denoising.velocity(
            model, sample, torch.empty(len(rows), device=device), torch.empty_like(condition, device=device)
        )
        return 1

    def held_out(self) -> HeldOut:
        return HeldOut(self.denoising.unrelated, self._drift, self.denoising.unit, "drift")

    @torch.inference_mode()
    def _drift(self, model: nn.Module) -> TokenLoss:
        """How far pictures moved since this was asked first, of the untouched base."""
        conditions = self.denoising.unrelated_conditions()
        pictures = self._pictures(
            model, [f"unrelated {number}" for number in range(len(conditions))], conditions, "drift"
        )
        self._before = self._before or pictures
        moved = self.denoising.distances(self._before, pictures)
        return TokenLoss(loss=sum(moved) / len(moved), tokens=len(moved))

    def _pictures(self, model: nn.Module, keys: list[str], conditions: list[torch.Tensor], description: str) -> list:
        """A picture of each condition, from the noise that its key decides."""
        model.eval()
        device, size, made = next(model.parameters()).device, self.params.batch_size_eval, []
        with tqdm(total=len(keys), desc=description, unit="image", leave=False, dynamic_ncols=True) as bar:
            for start in range(0, len(keys), size):
                noise = torch.stack([self.denoising.noise_of(key) for key in keys[start : start + size]])
                condition = torch.stack(conditions[start : start + size])
                made += self.denoising.sample(model, noise.to(device), condition.to(device))
                bar.update(len(noise))
        return made


def _check(params: TrainingParams, origin: Origin) -> None:
    if params.sampling is None:
        description = TrainingParams.model_fields["sampling"].description
        raise UserError(f"{origin('sampling')}: sampling: missing; add it ({description})")
    if params.dtype in ("int8", "int4"):
        raise UserError(f"{origin('dtype')}: dtype: no {params.dtype} base for image generation yet; use bfloat16")


WORKLOAD = Generation

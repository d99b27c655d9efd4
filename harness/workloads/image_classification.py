"""Pictures to classes: image models whose new head is trained with every method and answers with a class's name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from tqdm import tqdm
from transformers import AutoModelForImageClassification, PretrainedConfig, PreTrainedModel

from harness import models
from harness.adapter import with_own_terms
from harness.architecture import architecture
from harness.batches import Batch
from harness.errors import UserError
from harness.images.forgetting import PICTURES, misread_letters
from harness.images.pictures import Pictures, RandomPictures
from harness.measure.inference import BATCH_ROWS, measure_forward
from harness.overlay import Origin
from harness.params import TrainingParams
from harness.result.schema import Inference
from harness.task import Row, Splits, Task
from harness.workloads import Answers, HeldOut, Workload

HEAD = "classifier"
KNOWN = ("vit", "dinov2", "swin", "beit", "convnext")  # kinds of model whose head is one linear layer HEAD


@dataclass(frozen=True)
class Picture:
    """One row: pixels (channels, height, width) as bytes, and the number of its class."""

    pixels: torch.Tensor
    label: int

    def __len__(self) -> int:
        return 1


class Images(Workload):
    """Pixels in, logits of the task's classes out; throughput counts pictures."""

    unit = "images"
    base_settings = frozenset()
    answers_untouched = False  # a head that begins at random
    new_head = HEAD
    without = frozenset({"max_seq_length", "max_target_length", "query_template", "generation_kwargs", "loss_on",
                         "sampling"})  # fmt: skip

    def __init__(self, pictures: Pictures | RandomPictures, labels: Sequence[str], params: TrainingParams) -> None:
        self.pictures, self.params = pictures, params
        self.labels, self.numbers = list(labels), {label: number for number, label in enumerate(labels)}

    @classmethod
    def auto_class(cls, config: PretrainedConfig) -> type:
        return AutoModelForImageClassification

    @classmethod
    def task_type(cls, config: PretrainedConfig) -> None:
        return None

    @classmethod
    def configure(cls, config: PretrainedConfig, labels: Sequence[str]) -> None:
        config.id2label = dict(enumerate(labels))
        config.label2id = {label: number for number, label in enumerate(labels)}

    @classmethod
    def random_splits(cls, task: Task, subset: str | None, params: TrainingParams) -> Splits:
        count = params.planned_steps(0) * params.batch_size * params.gradient_accumulation_steps
        label = (task.classes.get(params.data_source) or ("",))[0]
        rows = [Row("random pixels", label, label, f"{params.seed}/{subset}/{number}") for number in range(count)]
        return Splits(rows, rows[:1], rows[:BATCH_ROWS])

    @classmethod
    def load(
        cls, params: TrainingParams, device: torch.device, origin: Origin, labels: Sequence[str] = ()
    ) -> tuple["Images", PreTrainedModel]:
        name, pinned = models.location(params, origin)
        config = models.load_config(params, origin)
        _check(config, params, origin, labels)
        cls.configure(config, labels)
        pictures = Pictures.of(name, pinned)
        base = models.load_weights(
            cls.auto_class(config), config, params, device, origin, ignore_mismatched_sizes=True
        )
        return cls(pictures, labels, params), models.prepare_base_model(_with_new_head(base), params, device)

    @classmethod
    def build(
        cls, params: TrainingParams, device: torch.device, origin: Origin, labels: Sequence[str] = ()
    ) -> tuple["Images", PreTrainedModel]:
        config = architecture(params.model_id, origin("model_id"))
        _check(config, params, origin, labels)
        cls.configure(config, labels)
        base = models.random_weights(cls.auto_class(config), config, params, device, origin)
        return cls(RandomPictures(config), labels, params), models.prepare_base_model(base, params, device)

    def encode(self, row: Row) -> Picture:
        if row.target not in self.numbers:
            raise UserError(f"CLASSES: {row.target!r} is the target of a row ({row.prompt}), but none of the classes")
        return Picture(self.pictures.pixels(row), self.numbers[row.target])

    def collate(self, samples: Sequence[Picture]) -> Batch:
        labels = torch.tensor([sample.label for sample in samples])
        inputs = {"pixel_values": self.pictures.scaled([sample.pixels for sample in samples]), "labels": labels}
        return Batch(inputs, rows=len(samples), counted=len(samples), work=len(samples))

    def loss(self, model: nn.Module, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        return with_own_terms(model(**inputs).loss, model)

    @torch.inference_mode()
    def answer(self, model: nn.Module, rows: Sequence[Row], description: str) -> Answers:
        model.eval()
        device, size, texts = next(model.parameters()).device, self.params.batch_size_eval, []
        with tqdm(total=len(rows), desc=description, unit="image", leave=False, dynamic_ncols=True) as bar:
            for start in range(0, len(rows), size):
                part = rows[start : start + size]
                logits = model(pixel_values=self._pixel_values(part, device)).logits
                texts += [self.labels[number] for number in logits.argmax(-1).tolist()]
                bar.update(len(part))
        return Answers(texts, work=len(texts))

    def measure_inference(self, model: nn.Module, rows: Sequence[Row], device: torch.device) -> Inference:
        chosen = [rows[index % len(rows)] for index in range(BATCH_ROWS)]
        pixel_values = self._pixel_values(chosen, device)
        return measure_forward(model, lambda variant: variant(pixel_values=pixel_values).logits, BATCH_ROWS, device)

    def longest_answer(self, model: nn.Module, rows: Sequence[Row], device: torch.device) -> int:
        model(pixel_values=self._pixel_values(rows, device))
        return 1

    def held_out(self) -> HeldOut | None:
        if not self.params.is_embedded_model:  # no data of their pre-training, and in21k's checkpoint has no head
            return None
        return HeldOut(
            PICTURES,
            lambda model: misread_letters(model, HEAD, self.params, self.pictures),
            "share of letters misread",
        )

    def _pixel_values(self, rows: Sequence[Row], device: torch.device) -> torch.Tensor:
        return self.pictures.scaled([self.pictures.pixels(row) for row in rows]).to(device)


def _check(config: PretrainedConfig, params: TrainingParams, origin: Origin, labels: Sequence[str]) -> None:
    if config.model_type not in KNOWN:
        raise UserError(f"{origin('model_id')}: model_id: {params.model_id} is a {config.model_type}; expected one of "
                        f"{', '.join(KNOWN)}, whose head is one layer named {HEAD}")  # fmt: skip
    if params.dtype in ("int8", "int4"):
        raise UserError(f"{origin('dtype')}: dtype: {params.dtype} would pack the new head, which has to be trained; "
                        "use float32 or bfloat16")  # fmt: skip
    if params.dtype != "float32" and not params.use_amp:
        raise UserError(f'{origin("dtype")}: dtype: pixels are float32, and a {params.dtype} model takes them under '
                        'autocast only; add "use_amp": true')  # fmt: skip
    if len(labels) < 2:
        raise UserError(f"CLASSES[{params.data_source!r}]: expected at least two classes in the task's data.py")


def _with_new_head(base: PreTrainedModel) -> PreTrainedModel:
    """Draws the head anew, as the run's seed decides: a checkpoint may hold one of the same shape."""
    head = base.get_submodule(HEAD)
    nn.init.normal_(head.weight, std=base.config.initializer_range)
    nn.init.zeros_(head.bias)
    return base


WORKLOAD = Images

"""The loop of run.py against transformers' Trainer: the same batches, order and schedule give the same loss curve."""

import copy
import warnings

import pytest
import torch
from conftest import LORA
from torch.utils.data import SequentialSampler
from transformers import Seq2SeqTrainer, Seq2SeqTrainingArguments, Trainer, TrainingArguments

from benchmarks.training import prepare
from harness.experiment import find_experiment, read_experiment
from harness.workloads.image_classification import Images
from harness.workloads.text import Text

STEPS, WARMUP_RATIO = 50, 0.1
SETTINGS = {
    "max_steps": STEPS, "eval_steps": STEPS, "batch_size": 4, "lr_scheduler": "cosine", "warmup_ratio": WARMUP_RATIO,
    "grad_norm_clip": 1.0, "optimizer_type": "AdamW", "optimizer_kwargs": {"lr": 0.002, "weight_decay": 0.1},
    "generation_kwargs": {"max_new_tokens": 4},
}  # fmt: skip


def train_ours(tmp_path, monkeypatch, changes, folder=LORA, subset=None, workload=Text):
    """Trains with run.train; returns the record, the model before and after, and the micro-batches it collated."""
    settings = {key: value for key, value in SETTINGS.items() if key not in workload.without}
    experiment = read_experiment(find_experiment(folder), settings | changes, 0)
    ours = prepare(experiment, torch.device("cpu"), tmp_path, subset)
    untrained = copy.deepcopy(ours.model)
    collated, collate = [], workload.collate

    def spy(*arguments):
        collated.append(collate(*arguments))
        return collated[-1]

    monkeypatch.setattr(workload, "collate", spy)
    ours.train()
    return ours.record, ours.model, collated[:-1], untrained  # the last is the sample that measuring looks at


class Replaying:
    """Transformers' own loop, given ready batches in a fixed order; notes each step's loss."""

    losses: list[float]

    def _get_train_sampler(self, train_dataset=None):
        return SequentialSampler(train_dataset)

    def training_step(self, *arguments, **kwargs):
        loss = super().training_step(*arguments, **kwargs)  # of one micro-batch, already weighted
        if len(self.losses) == self.state.global_step:  # grows when a step is complete
            self.losses.append(0.0)
        self.losses[-1] += loss.item()
        return loss


class ReplayingTrainer(Replaying, Trainer):
    """For causal models."""


class ReplayingSeq2SeqTrainer(Replaying, Seq2SeqTrainer):
    """For encoder-decoder models."""


def train_with_trainer(tmp_path, model, batches, params):
    """Trains the copy with Trainer's optimizer, schedule and clipping, set to the values that the run's params hold."""
    is_encoder_decoder = model.config.is_encoder_decoder
    arguments = (Seq2SeqTrainingArguments if is_encoder_decoder else TrainingArguments)(
        output_dir=tmp_path / "trainer", use_cpu=True, report_to="none", save_strategy="no", disable_tqdm=True,
        max_steps=params.max_steps, per_device_train_batch_size=1,  # an item of the data set is a whole micro-batch
        gradient_accumulation_steps=params.gradient_accumulation_steps, max_grad_norm=params.grad_norm_clip,
        optim="adamw_torch", learning_rate=params.optimizer_kwargs["lr"], lr_scheduler_type=params.lr_scheduler,
        weight_decay=params.optimizer_kwargs["weight_decay"], warmup_steps=round(params.warmup_ratio * STEPS),
        dataloader_pin_memory=False, logging_strategy="no",
    )  # fmt: skip
    trainer = (ReplayingSeq2SeqTrainer if is_encoder_decoder else ReplayingTrainer)(
        model=model, args=arguments, train_dataset=[batch.inputs for batch in batches], data_collator=lambda items: items[0]
    )  # fmt: skip
    trainer.losses = []
    with warnings.catch_warnings():  # whatever Trainer says about itself is not what is tested
        warnings.simplefilter("ignore")
        trainer.train()
    return trainer


CASES = {  # of 200 rows
    "target": {},
    "prompt and target, two epochs": {"loss_on": "all", "batch_size": 8},
    "accumulation": {"batch_size": 2, "gradient_accumulation_steps": 2},
    "accumulation, linear": {"batch_size": 1, "gradient_accumulation_steps": 4, "lr_scheduler": "linear"},
}


LONG = pytest.mark.slow


@pytest.mark.parametrize(
    "case", [case if case == "accumulation, linear" else pytest.param(case, marks=LONG) for case in CASES]
)
def test_the_loss_curve_is_trainers(case, tmp_path, monkeypatch, small_splits):
    compare(*train_ours(tmp_path, monkeypatch, CASES[case]), tmp_path)


@pytest.mark.parametrize(
    ("folder", "subset", "lr"),
    [
        pytest.param("method_comparison/CNNDM/experiments/lora/embedded-t5-all-rank8", None, 2e-3, marks=LONG),
        ("method_comparison/SuperGLUE/experiments/full-finetuning/embedded-t5", "boolq", 5e-4),
        ("method_comparison/SuperGLUE/experiments/ia3/embedded-t5", "copa", 2e-2),
    ],
)
@pytest.mark.slow
def test_the_loss_curve_of_an_encoder_decoder_model_is_trainers(
    folder, subset, lr, tmp_path, monkeypatch, small_splits
):
    # Trainer leaves norms out of weight decay, which matters where they are trained.
    changes = {"batch_size": 8, "lr_scheduler": "linear", "optimizer_kwargs": {"lr": lr, "weight_decay": 0.0}}
    compare(*train_ours(tmp_path, monkeypatch, changes, folder, subset), tmp_path)


@pytest.mark.parametrize(
    ("method", "lr"),
    [("lora/embedded-vit-qv-rank16", 3e-3), ("full-finetuning/embedded-vit", 1e-3)],
)
@pytest.mark.slow
def test_the_loss_curve_of_an_image_model_is_trainers(method, lr, tmp_path, monkeypatch, small_splits):
    changes = {"optimizer_kwargs": {"lr": lr, "weight_decay": 0.0}, "gradient_accumulation_steps": 2}
    folder = f"method_comparison/ImageClassification/experiments/{method}"
    compare(*train_ours(tmp_path, monkeypatch, changes, folder, workload=Images), tmp_path, least=0.9)


def compare(ours, model, batches, untrained, tmp_path, least=0.8):
    """Trains the untrained copy with Trainer and expects the same losses, step by step, and the same weights."""
    params = ours.params
    assert len(batches) == STEPS * params.gradient_accumulation_steps
    trainer = train_with_trainer(tmp_path, untrained, batches, params)
    assert trainer.state.global_step == len(trainer.losses) == len(ours.training.losses) == STEPS
    assert ours.training.losses == pytest.approx(trainer.losses, rel=1e-4)
    assert ours.training.losses[-1] < least * ours.training.losses[0]  # a curve, not a line
    theirs = dict(untrained.named_parameters())
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    for name, parameter in trained.items():
        torch.testing.assert_close(parameter, theirs[name], rtol=1e-3, atol=1e-5)

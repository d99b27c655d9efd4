"""Evaluations to compare: harness.text.generation.generate, and plain model.generate over batches in dataset order."""

import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import torch

import run as runner
from benchmarks.training import EXPERIMENT, prepare
from harness.devices import synchronize
from harness.experiment import find_experiment, read_experiment
from harness.precision import autocast
from harness.text.generation import generate, greedy_config


class Examination:
    """Test prompts, and a model trained for a while, so that its answers end as those of an evaluated model do."""

    def __init__(self, rows: int, batch_size: int, train_steps: int, device: torch.device, folder: Path) -> None:
        changes = {"batch_size_eval": batch_size, "max_steps": train_steps, "eval_steps": train_steps}
        experiment = read_experiment(find_experiment(EXPERIMENT), changes, 0)
        self.run = prepare(experiment, device, folder)
        with patch.object(runner, "validate", lambda *_: None):
            self.run.train()
        self.tokenizer = self.run.workload.encoder.tokenizer
        test = self.run.task.load_splits(experiment.params.data_source, None).test[:rows]
        self.prompts = [self.run.workload.encoder.encode_prompt(row.prompt)[0] for row in test]
        self.answers: dict[str, list[str]] = {}
        self.counts: list[int] = []

    def evaluations(self) -> dict[str, Callable[[], float]]:
        """Both by name; each call answers every prompt once and returns rows per second."""
        return {
            "run.py": lambda: self._timed("run.py", self._ours),
            "plain generate": lambda: self._timed("plain generate", self._plain),
        }

    @property
    def differing(self) -> int:
        """Rows whose two answers are not the same text."""
        return sum(a != b for a, b in zip(*self.answers.values(), strict=True))

    @property
    def bound(self) -> float:
        """Tokens that plain generate decodes, those after a row's end included, over the tokens of the answers.

        No order of the rows and no way of batching them can decode fewer than the answers have, so this is how much
        faster than plain generate an evaluation can get by them alone.
        """
        size = self.run.params.batch_size_eval
        batches = [self.counts[start : start + size] for start in range(0, len(self.counts), size)]
        return sum(max(batch) * len(batch) for batch in batches) / sum(self.counts)

    def _timed(self, name: str, answer: Callable[[], list[str]]) -> float:
        synchronize(self.run.device)
        started = time.perf_counter()
        self.answers[name] = answer()
        synchronize(self.run.device)
        return len(self.prompts) / (time.perf_counter() - started)

    def _ours(self) -> list[str]:
        with autocast(self.run.params, self.run.device):
            generated = generate(self.run.model, self.tokenizer, self.prompts, self.run.params)
        self.counts = generated.counts
        return generated.texts

    @torch.inference_mode()
    def _plain(self) -> list[str]:
        params, tokenizer, model = self.run.params, self.tokenizer, self.run.model.eval()
        greedy, texts = greedy_config(model, params.generation_kwargs), []
        for start in range(0, len(self.prompts), params.batch_size_eval):
            rows = self.prompts[start : start + params.batch_size_eval]
            inputs = tokenizer.pad({"input_ids": rows}, padding_side="left", return_tensors="pt").to(self.run.device)
            with autocast(params, self.run.device):
                output = model.generate(**inputs, generation_config=greedy)
            texts += tokenizer.batch_decode(output[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        return texts

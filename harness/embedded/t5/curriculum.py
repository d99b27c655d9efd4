"""The order in which the embedded encoder-decoder model learns: its stream of batches, its loss, its learning rate.

Pre-training has two stages. The first teaches to check claims, of one fact, then two, then three, and goes on as soon
as enough of the last claims were right; the second is a fixed number of steps of everything.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedTokenizerFast

from harness.embedded.t5 import corpus
from harness.embedded.t5.batches import encode
from harness.embedded.t5.settings import Settings


@dataclass
class ClaimBatch:
    """Arguments of the model, and which of the rows (rows,) are claims."""

    inputs: dict[str, torch.Tensor]
    claims: torch.Tensor


class Curriculum:
    """Where a run stands: steps begun, facts per passage, share of right claims, step that began the second stage."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, settings: Settings) -> None:
        self.tokenizer, self.settings = tokenizer, settings
        self.step, self.facts, self.accuracy = 0, 1, 0.0
        self.second_from: int | None = None

    def state_dict(self) -> dict[str, Any]:
        """Return all that changes on the way."""
        return {name: getattr(self, name) for name in ("step", "facts", "accuracy", "second_from")}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        vars(self).update(state)

    def __next__(self) -> list[ClaimBatch]:
        """Return the next step's batches: of claims in the first stage, then one of short texts and one of reports."""
        settings = self.settings
        if self.second_from is None:
            # Meaningless prefixes would only slow down the first stage.
            parts = [({partial(corpus.checking, facts=self.facts): 1}, settings.batch, 0.0)]
        else:
            parts = [
                (corpus.SHORT, settings.batch, corpus.PREFIX_SHARE),
                (corpus.LONG, settings.long_batch, corpus.PREFIX_SHARE),
            ]
        batches = []
        for number, (mix, count, prefixes) in enumerate(parts):
            key = f"training/{settings.seed}/{number}"
            examples = corpus.make_examples(key, mix, self.step * count, count, prefixes)
            claims = torch.tensor([example.target in corpus.CLAIM_ANSWERS for example in examples])
            batches.append(ClaimBatch(encode(self.tokenizer, examples, f"{settings.seed}/{self.step}"), claims))
        self.step += 1
        return batches

    def loss(self, model: nn.Module, batch: ClaimBatch) -> torch.Tensor:
        """Return the model's loss; in the first stage, note how many of the claims it judged right."""
        output = model(**batch.inputs)
        if self.second_from is None:
            right = output.logits[:, 0].argmax(-1) == batch.inputs["labels"][:, 0]
            self._note(right[batch.claims].float().mean().item() if batch.claims.any() else 0.0)
        return output.loss

    def _note(self, right: float) -> None:
        """Advance once enough claims were right.

        Raises:
            RuntimeError: the first stage takes too long.
        """
        settings = self.settings
        self.accuracy = settings.memory * self.accuracy + (1 - settings.memory) * right
        if self.accuracy >= settings.advance_at:
            self.facts, self.accuracy = self.facts + 1, 0.0
        if self.facts > settings.hardest_facts:
            self.second_from = self.step
        elif self.step >= settings.longest_first_stage:
            raise RuntimeError(f"claims about {self.facts} facts were not learned in {self.step} steps")

    def learning_rate(self, step: int) -> float | None:
        """Return the rate of a step: warm-up, constant, and in the second stage linearly to zero, where it ends."""
        settings = self.settings
        rate = settings.learning_rate * min(1.0, (step + 1) / settings.warm_up_steps)
        if self.second_from is None:
            return rate
        done = step - self.second_from
        return rate * (1 - done / settings.second_stage) if done < settings.second_stage else None

    def __str__(self) -> str:
        return "second stage" if self.second_from else f"claims of {self.facts} facts {self.accuracy:.0%} right"

"""Text to text: causal and encoder-decoder language models that write their answers, greedily."""

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, PretrainedConfig, PreTrainedModel

from harness import models
from harness.adapter import with_own_terms
from harness.architecture import architecture
from harness.batches import Batch
from harness.errors import UserError
from harness.initialization import Examples, StartingData
from harness.measure.forgetting import held_out_texts, text_source, token_loss
from harness.measure.inference import BATCH_ROWS, measure_inference
from harness.overlay import Origin
from harness.params import TrainingParams
from harness.result.schema import Inference
from harness.task import Row, Splits, Task
from harness.text.encoding import Encoder, Sample, collate, load_tokenizer
from harness.text.generation import generate, neutralize_generation_config
from harness.text.random_text import RandomEncoder, random_splits
from harness.workloads import Answers, HeldOut, Workload, first_rows

log = logging.getLogger("run")
NEEDED = ("max_seq_length", "generation_kwargs")


class Text(Workload):
    """Prompts and targets as tokens; throughput counts those that are no padding."""

    unit = "tokens"
    without = frozenset({"sampling"})
    base_settings = frozenset(
        {"model_id", "model_revision", "dtype", "use_amp", "attn_implementation", "max_seq_length",
         "query_template", "batch_size_eval", "generation_kwargs"}
    )  # fmt: skip

    def __init__(self, encoder: Encoder | RandomEncoder, params: TrainingParams) -> None:
        self.encoder, self.params = encoder, params

    @classmethod
    def auto_class(cls, config: PretrainedConfig) -> type:
        return AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM

    @classmethod
    def task_type(cls, config: PretrainedConfig) -> str:
        return "SEQ_2_SEQ_LM" if config.is_encoder_decoder else "CAUSAL_LM"

    @classmethod
    def shortened(cls, params: TrainingParams, tiny: PretrainedConfig) -> dict[str, Any]:
        longest = tiny.n_positions if tiny.is_encoder_decoder else tiny.max_position_embeddings
        return {
            "max_seq_length": min(params.max_seq_length or longest, longest // 2),
            "generation_kwargs": {"max_new_tokens": 16},
        }

    @classmethod
    def random_splits(cls, task: Task, subset: str | None, params: TrainingParams) -> Splits:
        return random_splits(task, subset, params)

    @classmethod
    def load(
        cls, params: TrainingParams, device: torch.device, origin: Origin, labels: Sequence[str] = ()
    ) -> tuple["Text", PreTrainedModel]:
        name, pinned = models.location(params, origin)
        tokenizer = load_tokenizer(name, pinned)
        config = models.load_config(params, origin)
        _check(config, params, origin)
        base = models.load_weights(cls.auto_class(config), config, params, device, origin)
        return cls(Encoder(tokenizer, params, config.is_encoder_decoder), params), _prepare(
            base, tokenizer, params, device
        )

    @classmethod
    def build(
        cls, params: TrainingParams, device: torch.device, origin: Origin, labels: Sequence[str] = ()
    ) -> tuple["Text", PreTrainedModel]:
        config = architecture(params.model_id, origin("model_id"))
        _check(config, params, origin)
        base = models.random_weights(cls.auto_class(config), config, params, device, origin)
        encoder = RandomEncoder(config, params)
        return cls(encoder, params), _prepare(base, encoder.tokenizer, params, device)

    def encode(self, row: Row) -> Sample:
        return self.encoder.encode(row)

    def collate(self, samples: Sequence[Sample]) -> Batch:
        return collate(
            samples, self.encoder.tokenizer.pad_token_id, self.params.loss_on, self.encoder.is_encoder_decoder
        )

    def loss(self, model: nn.Module, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        return with_own_terms(model(**inputs, use_cache=False).loss, model)

    def data(self, rows: Sequence[Row], device: torch.device) -> StartingData:
        def examples(count: int) -> Examples:
            return [self.encoder.parts(row) for row in first_rows(rows, count, self.params.seed)]

        return dataclasses.replace(super().data(rows, device), examples=examples, tokens=self.encoder.tokens)

    def answer(self, model: nn.Module, rows: Sequence[Row], description: str) -> Answers:
        generated = generate(model, self.encoder.tokenizer, self._prompts(rows), self.params, description)
        return Answers(generated.texts, generated.tokens, generated.lengths())

    def measure_inference(self, model: nn.Module, rows: Sequence[Row], device: torch.device) -> Inference | None:
        return measure_inference(model, self._prompts(rows[:BATCH_ROWS]), device)

    def longest_answer(self, model: nn.Module, rows: Sequence[Row], device: torch.device) -> int:
        """Keys and values of prompt and answer, read at once rather than one by one: no less than decoding takes."""
        new, prompt = self.params.generation_kwargs.max_new_tokens, max(map(len, self._prompts(rows)))
        decoder = self.encoder.is_encoder_decoder
        ids = torch.empty(len(rows), prompt if decoder else prompt + new, dtype=torch.long, device=device)
        answers = torch.empty(len(rows), new, dtype=torch.long, device=device)
        extra = {"decoder_input_ids": answers} if decoder else {"logits_to_keep": 1}
        model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=True, **extra)
        return ids.shape[1]

    def held_out(self) -> HeldOut | None:
        if self.encoder.is_encoder_decoder:  # never trained to continue text
            return None
        texts = held_out_texts(self.params)
        return HeldOut(text_source(self.params), lambda model: token_loss(model, self.encoder.tokenizer, texts))

    def _prompts(self, rows: Sequence[Row]) -> list[list[int]]:
        return [self.encoder.encode_prompt(row.prompt)[0] for row in rows]


def _check(config: PretrainedConfig, params: TrainingParams, origin: Origin) -> None:
    for name in NEEDED:
        if getattr(params, name) is None:
            description = TrainingParams.model_fields[name].description
            raise UserError(f"{origin(name)}: {name}: missing; add it ({description})")
    if params.loss_on == "all" and config.is_encoder_decoder:
        raise UserError(f'{origin("loss_on")}: loss_on: "all" needs a causal model; use "target"')
    if config.model_type == "t5" and params.dtype == "float16":
        log.warning("%s: dtype: T5's activations overflow in float16, so that steps are skipped or answers garbled; "
                    "bfloat16 does not", origin("dtype"))  # fmt: skip


def _prepare(base: PreTrainedModel, tokenizer: Any, params: TrainingParams, device: torch.device) -> PreTrainedModel:
    base = models.prepare_base_model(base, params, device)
    neutralize_generation_config(base, tokenizer)
    return base


WORKLOAD = Text

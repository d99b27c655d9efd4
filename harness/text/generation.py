"""Batched greedy decoding, and the plain settings that make it greedy whatever a checkpoint says."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy
import torch
from peft import PeftType
from tqdm import tqdm
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from harness.params import GenerationKwargs, TrainingParams
from harness.result.schema import Lengths
from harness.text.decoding import decode_greedily
from harness.text.encoding import pad
from harness.text.key_value_cache import growing_cache


@dataclass(frozen=True)
class Generated:
    """Decoded texts in the order of the prompts, how many tokens each has (its end token included), how many ended."""

    texts: list[str]
    counts: list[int]
    ended: int

    @property
    def tokens(self) -> int:
        """Tokens generated for all of them."""
        return sum(self.counts)

    def lengths(self) -> Lengths:
        """Statistics of the texts' lengths."""
        return Lengths(
            mean=float(numpy.mean(self.counts)),
            median=float(numpy.median(self.counts)),
            p95=float(numpy.percentile(self.counts, 95)),
            longest=max(self.counts),
            cut=1 - self.ended / len(self.counts),
        )


def neutralize_generation_config(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Replaces the checkpoint's generation_config, keeping nothing of it but its special tokens.

    `generate` fills whatever a call leaves open from the model's own generation_config, so a checkpoint that asks for
    sampling, a length or a penalty would otherwise decide how it is evaluated.
    """
    own = model.generation_config
    start = own.decoder_start_token_id
    ends = own.eos_token_id if isinstance(own.eos_token_id, list) else [own.eos_token_id]
    model.generation_config = GenerationConfig(
        bos_token_id=own.bos_token_id,
        eos_token_id=sorted({token for token in (*ends, tokenizer.eos_token_id) if token is not None}),
        pad_token_id=tokenizer.pad_token_id,
        decoder_start_token_id=getattr(model.config, "decoder_start_token_id", None) if start is None else start,
    )


def greedy_config(model: PreTrainedModel, kwargs: GenerationKwargs) -> GenerationConfig:
    """The decoding of every evaluation: one beam, no sampling, said explicitly."""
    special = model.generation_config
    return GenerationConfig(
        do_sample=False,
        num_beams=1,
        temperature=1.0,
        top_k=50,
        top_p=1.0,
        use_cache=True,
        max_new_tokens=kwargs.max_new_tokens,
        min_new_tokens=kwargs.min_new_tokens or None,
        repetition_penalty=kwargs.repetition_penalty,
        no_repeat_ngram_size=kwargs.no_repeat_ngram_size,
        bos_token_id=special.bos_token_id,
        eos_token_id=special.eos_token_id,
        pad_token_id=special.pad_token_id,
        decoder_start_token_id=special.decoder_start_token_id,
    )


@torch.inference_mode()
def generate(
    model: torch.nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[list[int]],
    params: TrainingParams,
    description: str = "evaluating",
) -> Generated:
    """Decodes an answer to each tokenized prompt, longest prompts first, each batch until all its rows have ended.

    The model is left in evaluation mode. Prompts are padded on the left for a causal model, whose answer begins where
    the prompt ends, and on the right for an encoder.
    """
    model.eval()
    greedy = greedy_config(model, params.generation_kwargs)
    order = sorted(range(len(prompts)), key=lambda index: -len(prompts[index]))
    texts, counts, ended = [""] * len(prompts), [0] * len(prompts), 0
    with tqdm(total=len(prompts), desc=description, unit="row", leave=False, dynamic_ncols=True) as bar:
        for chosen in _batches(order, prompts, params.batch_size_eval, _needs_equal_lengths(model)):
            output = answer_batch(model, [prompts[index] for index in chosen], greedy)
            for index, row in zip(chosen, output, strict=True):
                texts[index] = tokenizer.decode(row, skip_special_tokens=True)
                counts[index] = len(row)
                ended += row[-1] in greedy.eos_token_id
            bar.update(len(chosen))
    return Generated(texts, counts, ended)


def _needs_equal_lengths(model: torch.nn.Module) -> bool:
    """Whether padding would change the answers.

    Prompt tuning and P-tuning put virtual tokens before the padded prompt, and PEFT drops the position ids that would
    make up for the padding in between, so that a row's answer would depend on the rows beside it.
    """
    config = getattr(model, "active_peft_config", None)
    return (config is not None and config.is_prompt_learning and not model.config.is_encoder_decoder
            and config.peft_type not in (PeftType.PREFIX_TUNING, PeftType.CARTRIDGE))  # fmt: skip


def _batches(
    order: list[int], prompts: Sequence[list[int]], batch_size: int, equal_lengths: bool
) -> Iterator[list[int]]:
    groups = [list(group) for _, group in groupby(order, key=lambda i: len(prompts[i]))] if equal_lengths else [order]
    for group in groups:
        for start in range(0, len(group), batch_size):
            yield group[start : start + batch_size]


def answer_batch(model: torch.nn.Module, prompts: list[list[int]], greedy: GenerationConfig) -> list[list[int]]:
    """Answers to one batch of tokenized prompts, each up to its end token or the longest length."""
    device, is_encoder_decoder = next(model.parameters()).device, model.config.is_encoder_decoder
    side = "right" if is_encoder_decoder else "left"
    inputs = pad(prompts, greedy.pad_token_id, side).to(device)
    mask = pad([[1] * len(prompt) for prompt in prompts], 0, side).to(device)
    with growing_cache():
        answers = model.generate(
            input_ids=inputs, attention_mask=mask, generation_config=greedy, custom_generate=decode_greedily
        )
    return [_until_end(row, greedy.eos_token_id) for row in answers.tolist()]


def _until_end(row: list[int], ends: list[int]) -> list[int]:
    for position, token in enumerate(row):
        if token in ends:
            return row[: position + 1]
    return row

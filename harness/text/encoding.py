"""From rows of text to samples and batches: tokenize, cut, pad and label."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from harness.batches import Batch
from harness.params import TrainingParams
from harness.task import Row

IGNORED = -100  # the label that PyTorch's cross entropy leaves out


@dataclass(frozen=True)
class Sample:
    """One tokenized row. The target ends with the end-of-sequence token, whatever had to be cut."""

    prompt: list[int]
    target: list[int]
    truncated: bool = False

    def __len__(self) -> int:
        return len(self.prompt) + len(self.target)


def load_tokenizer(name: str, pinned: Mapping[str, Any]) -> PreTrainedTokenizerBase:
    """A base model's tokenizer, with a padding token (its end token where it has none: padding is always masked)."""
    tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False, **pinned)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    # The harness cuts sequences itself; the tokenizer would warn about lengths that never reach the model.
    tokenizer.model_max_length = int(1e9)
    return tokenizer


class Encoder:
    """Turns rows into samples.

    An encoder-decoder model's prompt has max_seq_length tokens to itself. A causal model's shares them with the
    target, for which max_target_length is kept free, in training and evaluation alike; without that, training keeps
    free what the target takes.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, params: TrainingParams, is_encoder_decoder: bool) -> None:
        self.tokenizer = tokenizer
        self.params = params
        self.is_encoder_decoder = is_encoder_decoder
        self.prefix, self.suffix = params.query_template.split("{query}")

    def encode(self, row: Row) -> Sample:
        """Tokens of one row for training, cut to max_seq_length (and max_target_length) with the end token kept."""
        separator = "" if self.is_encoder_decoder else " "
        target = self.tokenizer(separator + row.target, add_special_tokens=False)["input_ids"]
        longest = None if self.is_encoder_decoder else self.params.max_seq_length - 1
        limit = self.params.max_target_length or longest
        target_cut = target if limit is None else target[: limit - 1]
        room = None
        if not self.is_encoder_decoder and self.params.max_target_length is None:
            room = max(self.params.max_seq_length - len(target_cut) - 1, 1)
        prompt, prompt_truncated = self.encode_prompt(row.prompt, room)
        truncated = prompt_truncated or len(target_cut) < len(target)
        return Sample(prompt, target_cut + [self.tokenizer.eos_token_id], truncated)

    def parts(self, row: Row) -> tuple[list[int], list[int]]:
        """Tokens of one row, and the part of the whole that each is.

        Returns:
            token ids, and for each of them 1 (what the template says before the prompt), 2 (the prompt), 3 (what the
            template says after it) or 4 (the target).
        """
        sample = self.encode(row)
        offsets = self.tokenizer(self.prefix + row.prompt + self.suffix, return_offsets_mapping=True)["offset_mapping"]
        end = len(self.prefix) + len(row.prompt)
        kinds = [1 if stop <= len(self.prefix) else 2 if start < end else 3 for start, stop in offsets]
        cut = len(kinds) - len(sample.prompt)  # off the end of the prompt, as encode_prompt does
        inside = [place for place, kind in enumerate(kinds) if kind == 2][-cut:] if cut else []
        kept = [kind for place, kind in enumerate(kinds) if place not in inside][-len(sample.prompt) :]
        return sample.prompt + sample.target, kept + [4] * len(sample.target)

    def tokens(self, text: str, least: int) -> list[int]:
        """A text as tokens; `least` is for encoders that make them up."""
        return list(self.tokenizer(text)["input_ids"])

    def encode_prompt(self, query: str, limit: int | None = None) -> tuple[list[int], bool]:
        """Tokens of a prompt in its template, at most `limit`, and whether it was cut.

        By default the limit is max_seq_length, less max_target_length for a causal model that has one.

        What is cut is the end of the query, so that the template's words after it remain.
        """
        if limit is None:
            kept_free = 0 if self.is_encoder_decoder else self.params.max_target_length or 0
            limit = self.params.max_seq_length - kept_free
        text = self.prefix + query + self.suffix
        encoding = self.tokenizer(text, return_offsets_mapping=True)
        ids = list(encoding["input_ids"])
        excess = len(ids) - limit
        if excess <= 0:
            return ids, False
        end = len(self.prefix) + len(query)
        within = [
            i for i, (start, stop) in enumerate(encoding["offset_mapping"]) if len(self.prefix) <= start < stop <= end
        ]
        drop = set(within[max(len(within) - excess, 0) :])
        return [token for i, token in enumerate(ids) if i not in drop][-limit:], True


def collate(samples: Sequence[Sample], pad_token_id: int, loss_on: str, is_encoder_decoder: bool) -> Batch:
    """Pads to the longest sample, on the right, and labels what the loss counts.

    Causal: input is prompt and target; the first token is never counted, since nothing predicts it. Encoder-decoder:
    the prompt goes to the encoder, the target is the labels, and loss_on must be "target".
    """
    if is_encoder_decoder:
        if loss_on != "target":
            raise ValueError('loss_on: "all" needs a causal model; an encoder-decoder model is trained on "target"')
        inputs = [sample.prompt for sample in samples]
        labels = [sample.target for sample in samples]
    else:
        inputs = [sample.prompt + sample.target for sample in samples]
        skipped = [1 if loss_on == "all" else max(len(sample.prompt), 1) for sample in samples]
        labels = [[IGNORED] * skip + ids[skip:] for skip, ids in zip(skipped, inputs, strict=True)]
    counted = sum(label != IGNORED for row in labels for label in row)
    tokens = sum(map(len, inputs)) + (sum(map(len, labels)) if is_encoder_decoder else 0)
    tensors = {
        "input_ids": pad(inputs, pad_token_id),
        "attention_mask": pad([[1] * len(ids) for ids in inputs], 0),
        "labels": pad(labels, IGNORED),
    }
    return Batch(tensors, len(samples), counted, tokens)


def pad(rows: Sequence[Sequence[int]], value: int, side: str = "right") -> torch.Tensor:
    """Stacks rows of unequal length into (rows, longest) int64, filled with `value` on the given side."""
    longest = max(map(len, rows))
    filled = [
        [*row, *[value] * (longest - len(row))] if side == "right" else [*[value] * (longest - len(row)), *row]
        for row in rows
    ]
    return torch.tensor(filled, dtype=torch.long)

"""Random tokens in a task's lengths, for profiles: memory and speed depend on shapes, not on what is written."""

import math
import random
from dataclasses import dataclass

from transformers import PretrainedConfig

from harness.errors import UserError
from harness.params import TrainingParams
from harness.task import Row, Splits, Task, TokenLengths
from harness.text.encoding import Sample

FIRST_TOKEN = 3  # those below are padding and marks in every embedded and T5 vocabulary; it matters to no shape


@dataclass(frozen=True)
class SpecialTokens:
    """What a base model's tokenizer is asked for beside text: numbers that the architecture itself knows."""

    pad_token_id: int
    eos_token_id: int

    @classmethod
    def of(cls, config: PretrainedConfig) -> "SpecialTokens":
        """Of an architecture; padding falls back to the end token, as in load_tokenizer."""
        end = config.eos_token_id[0] if isinstance(config.eos_token_id, list) else config.eos_token_id
        return cls(end if config.pad_token_id is None else config.pad_token_id, end)


class RandomEncoder:
    """Takes the place of Encoder: a row's text is its length, its tokens are drawn by it."""

    def __init__(self, config: PretrainedConfig, params: TrainingParams) -> None:
        self.tokenizer = SpecialTokens.of(config)
        self.is_encoder_decoder = config.is_encoder_decoder
        self._params = params
        self._vocabulary = config.vocab_size

    def encode(self, row: Row) -> Sample:
        """Random tokens in the row's lengths, cut where Encoder would cut them."""
        longest, limit = self._params.max_seq_length, self._params.max_target_length
        wanted = int(row.target)
        target = min(wanted, limit or (wanted if self.is_encoder_decoder else longest - 1))
        kept_free = 0 if self.is_encoder_decoder else limit or target
        prompt = min(int(row.prompt), max(longest - kept_free, 1))
        draw = random.Random(row.source)
        ids = [draw.randrange(FIRST_TOKEN, self._vocabulary) for _ in range(prompt + target - 1)]
        cut = (prompt, target) != (int(row.prompt), wanted)
        return Sample(ids[:prompt], [*ids[prompt:], self.tokenizer.eos_token_id], cut)

    def parts(self, row: Row) -> tuple[list[int], list[int]]:
        """Random tokens of a row, all of the prompt (2) or of the target (4)."""
        sample = self.encode(row)
        return sample.prompt + sample.target, [2] * len(sample.prompt) + [4] * len(sample.target)

    def tokens(self, text: str, least: int) -> list[int]:
        """As many tokens as are needed, whatever the text says."""
        return [FIRST_TOKEN] * least

    def encode_prompt(self, query: str) -> tuple[list[int], bool]:
        """As many tokens as the text says, cut where Encoder would cut them, and whether they were."""
        kept_free = 0 if self.is_encoder_decoder else self._params.max_target_length or 0
        length = min(int(query), self._params.max_seq_length - kept_free)
        return [FIRST_TOKEN] * length, length < int(query)


def random_splits(task: Task, subset: str | None, params: TrainingParams) -> Splits:
    """Rows for every step of the profile, each new; nothing to evaluate on but prompts for the inference speed.

    Raises:
        UserError: the task's data.py does not say how long its samples are.
    """
    lengths = task.token_lengths.get(subset)
    if not isinstance(lengths, TokenLengths):
        raise UserError(f"{task.where}: TOKEN_LENGTHS[{subset!r}]: missing; --profile draws lengths from it")
    draw = random.Random(f"{params.seed}/{subset}")
    count = params.planned_steps(0) * params.batch_size * params.gradient_accumulation_steps
    longest = Row(str(lengths.longest_prompt), str(lengths.longest_target), "", "longest")
    rows = [longest, *(_row(lengths, draw, number) for number in range(1, count))]
    return Splits(rows, rows[:1], rows[:8])


def _row(lengths: TokenLengths, draw: random.Random, number: int) -> Row:
    prompt = round(draw.lognormvariate(math.log(lengths.prompt_median), lengths.prompt_spread))
    target = round(draw.lognormvariate(math.log(lengths.target_median), lengths.target_spread))
    prompt, target = min(max(prompt, 2), lengths.longest_prompt), min(max(target, 2), lengths.longest_target)
    return Row(str(prompt), str(target), "", f"{number}/{prompt}/{target}")

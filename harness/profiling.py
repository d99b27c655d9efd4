"""`--profile`: what a method costs on this device, from the base model's architecture alone.

Memory, speed and storage depend on shapes, not on what the weights are. So a base model with random weights, trained
on random tokens as long as the task's, tells them without any download; of quality it tells nothing. One exception: an
int8 base multiplies outlier features apart (arXiv 2208.07339), and random weights have none, so that real int8
training may be slower.
"""

import dataclasses
import math
import random
from dataclasses import dataclass

import torch
from transformers import PretrainedConfig, PreTrainedModel

from harness.batches import Sample
from harness.devices import notice_out_of_memory
from harness.errors import UserError
from harness.experiment import Experiment
from harness.models import DTYPES, architecture, auto_class, prepare_base_model, quantization_config
from harness.overlay import Layer, build_params
from harness.params import TrainingParams
from harness.task import Row, Splits, Task, TokenLengths

STEPS = 50  # the first five warm up
FIRST_TOKEN = 3  # those below are padding and marks in every embedded and T5 vocabulary; it matters to no shape


@dataclass(frozen=True)
class SpecialTokens:
    """What a base model's tokenizer is asked for beside text: numbers that the architecture itself knows."""

    pad_token_id: int
    eos_token_id: int

    @classmethod
    def of(cls, config: PretrainedConfig) -> "SpecialTokens":
        """Of an architecture; padding falls back to the end token, as in models.load_tokenizer."""
        end = config.eos_token_id[0] if isinstance(config.eos_token_id, list) else config.eos_token_id
        return cls(end if config.pad_token_id is None else config.pad_token_id, end)


class RandomEncoder:
    """Takes the place of batches.Encoder: a row's text is its length, its tokens are drawn by it."""

    def __init__(self, config: PretrainedConfig, params: TrainingParams) -> None:
        self.tokenizer = SpecialTokens.of(config)
        self.is_encoder_decoder = config.is_encoder_decoder
        self._params = params
        self._vocabulary = config.vocab_size

    def encode(self, row: Row) -> Sample:
        """Random tokens in the row's lengths, cut where batches.Encoder would cut them."""
        longest, limit = self._params.max_seq_length, self._params.max_target_length
        wanted = int(row.target)
        target = min(wanted, limit or (wanted if self.is_encoder_decoder else longest - 1))
        kept_free = 0 if self.is_encoder_decoder else limit or target
        prompt = min(int(row.prompt), max(longest - kept_free, 1))
        draw = random.Random(row.source)
        ids = [draw.randrange(FIRST_TOKEN, self._vocabulary) for _ in range(prompt + target - 1)]
        cut = (prompt, target) != (int(row.prompt), wanted)
        return Sample(ids[:prompt], [*ids[prompt:], self.tokenizer.eos_token_id], cut)

    def encode_prompt(self, query: str) -> tuple[list[int], bool]:
        """As many tokens as the text says, and that nothing was cut."""
        return [FIRST_TOKEN] * int(query), False


def profile_of(experiment: Experiment) -> Experiment:
    """The same experiment, cut to so many steps that its speed shows; only the command line may say otherwise."""
    layers = list(experiment.layers)
    given = sum(layer.name.startswith("command line") for layer in layers)
    layers.insert(len(layers) - given, Layer("--profile", {"max_steps": STEPS, "eval_steps": STEPS}))
    return dataclasses.replace(experiment, params=build_params(layers), layers=tuple(layers))


def random_splits(task: Task, subset: str | None, params: TrainingParams, where: str) -> Splits:
    """Rows for every step of the profile, each new; nothing to evaluate on but prompts for the inference speed.

    Raises:
        UserError: the task's data.py does not say how long its samples are.
    """
    lengths = task.token_lengths.get(subset)
    if lengths is None:
        raise UserError(f"{where}/data.py: TOKEN_LENGTHS[{subset!r}]: missing; --profile draws lengths from it")
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


def random_base_model(params: TrainingParams, device: torch.device, where: str) -> PreTrainedModel:
    """The experiment's base model with random weights, through the same quantization and preparation as a real one.

    Raises:
        UserError: no architecture of that name ships with the project.
    """
    config = architecture(params.model_id, where)
    settings = {"dtype": DTYPES.get(params.dtype, torch.bfloat16), "attn_implementation": params.attn_implementation}
    quantization = quantization_config(params.dtype)
    with device if quantization is None else torch.device("cpu"):  # the device need not hold what is to be packed
        model = auto_class(config).from_config(config, **settings)
    if quantization is not None:
        with notice_out_of_memory(device):
            model = type(model).from_pretrained(
                None, config=config, state_dict=model.state_dict(), quantization_config=quantization,
                device_map={"": device}, **settings,
            )  # fmt: skip
        model.name_or_path = model.config.name_or_path = ""  # it came from nowhere; PEFT would look for a tokenizer
    return prepare_base_model(model, SpecialTokens.of(config), params, device)

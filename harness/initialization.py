"""What an adapter begins with, where that is made from data: CPT's rows, EVA, CorDA, LoRA-GA, a prefix's text.

The rows are the first ones that the run trains on, so that the seed decides them as it decides the order.
"""

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from peft import (
    CPTConfig,
    EvaConfig,
    LoraGAConfig,
    PeftConfig,
    PeftModel,
    get_peft_model_state_dict,
    initialize_lora_eva_weights,
    preprocess_loraga,
)
from peft.tuners.cartridge.utils import initialize_kv_prefix_from_past_key_values
from peft.tuners.lora.corda import preprocess_corda
from torch import nn
from transformers import PreTrainedModel

from harness.batches import Batch
from harness.errors import UserError, one_line
from harness.params import TrainingParams

FROM_DATA = ("eva", "corda", "lora_ga")
# These take a part out of the base weights that only the same data, or the same random numbers, would take out again.
TAKEN_FROM_BASE = ("corda", "lora_ga", "pissa_niter_")
EVA_PASSES = 100  # over the rows; directions that have not settled by then do not
Examples = list[tuple[list[int], list[int]]]


@dataclass(frozen=True)
class StartingData:
    """What an initialization may ask for; functions, so that nothing is made where nothing asks.

    batches: the first training rows of the run, so many, in batches of a size, on the model's device.
    examples: so many of them as tokens, each with the part of the whole that a token is (see `Encoder.parts`).
    tokens: of a text, at least so many where the workload makes them up.
    loss: of a batch.
    """

    batches: Callable[[int, int], list[Batch]]
    examples: Callable[[int], Examples]
    tokens: Callable[[str, int], list[int]]
    loss: Callable[[nn.Module, dict[str, torch.Tensor]], torch.Tensor]


def kind_of(config: PeftConfig) -> str | None:
    """The initialization from training rows that a config asks for: cpt, eva, corda, lora_ga; else None."""
    if isinstance(config, CPTConfig):
        return "cpt"
    named = getattr(config, "init_lora_weights", None)
    return named if named in FROM_DATA else None


def check_initialization(config: PeftConfig, params: TrainingParams, where: str) -> None:
    """Checks that the parameters name the data that the config needs, and none that it does not.

    Raises:
        UserError: `initialization` lacks something, has too much, or cannot be made from a quantized base.
    """
    kind, given = kind_of(config), params.initialization
    rows, text = (given.rows, given.text) if given else (None, None)
    prefix = config.peft_type in ("PREFIX_TUNING", "CARTRIDGE") and not getattr(config, "prefix_projection", False)
    if kind and rows is None:
        line = f'"initialization": {{"rows": {2 if kind == "cpt" else 64}}}'
        raise UserError(f"{where}: {kind} is made from training rows; add {line} to training_params.json")
    if rows is not None and not kind:
        raise UserError(f"{where}: nothing in it is made from training rows; remove initialization.rows from "
                        "training_params.json")  # fmt: skip
    if text is not None and not prefix:
        raise UserError(f"{where}: only prefix tuning without prefix_projection, and Cartridge, begin with a text; "
                        "remove initialization.text from training_params.json")  # fmt: skip
    if kind in ("corda", "lora_ga") and params.dtype in ("int8", "int4"):
        raise UserError(f"{where}: init_lora_weights: {kind} changes the base weights, and {params.dtype} ones "
                        "cannot be changed; choose another dtype")  # fmt: skip
    if kind == "corda" and not isinstance(config.target_modules, set):
        raise UserError(f"{where}: target_modules: expected a list of modules, which PEFT's CorDA needs")


def without_data(config: PeftConfig) -> PeftConfig:
    """The same config as far as it can be applied without any data, to look at shapes."""
    if kind_of(config) in FROM_DATA:
        config.init_lora_weights = True
    return config


def before_attaching(
    config: PeftConfig, model: PreTrainedModel, params: TrainingParams, data: StartingData, where: str
) -> None:
    """Makes what the config must have, or the base model's layers must know, when PEFT attaches it.

    Raises:
        UserError: the initialization does not work on this kind of model.
    """
    kind, rows = kind_of(config), params.initialization and params.initialization.rows
    if model.config.is_encoder_decoder and (kind == "eva" or params.initialization and params.initialization.text):
        what = "EVA's mask of tokens" if kind == "eva" else "a prefix's text"
        raise UserError(f"{where}: {what} speaks of one stack, and this model has two; choose another initialization")
    if kind == "cpt":
        _show(config, data.examples(rows))
    elif kind == "eva":
        config.eva_config = config.eva_config or EvaConfig()
    elif kind == "corda":
        with _one_line(f"{where}: init_lora_weights: CorDA"):
            preprocess_corda(model, config, lambda: [model(**batch.inputs) for batch in data.batches(rows, 1)])
    elif kind == "lora_ga":
        config.lora_ga_config = config.lora_ga_config or LoraGAConfig()
        batches = data.batches(rows, params.batch_size)
        with _one_line(f"{where}: init_lora_weights: LoRA-GA"):
            preprocess_loraga(model, config, lambda: [data.loss(model, batch.inputs).backward() for batch in batches])


def after_attaching(model: PeftModel, params: TrainingParams, data: StartingData, where: str) -> None:
    """Fills what needs the attached adapter: EVA's directions, a prefix's keys and values.

    Raises:
        UserError: the rows or the text are too short for it.
    """
    config, given = model.peft_config["default"], params.initialization
    if kind_of(config) == "eva":
        with _one_line(f"{where}: init_lora_weights: EVA"):
            batches = [batch.inputs for batch in data.batches(given.rows, params.batch_size)]
            forward = _Forward(len(batches), where)
            initialize_lora_eva_weights(model, batches, forward_fn=forward, show_progress_bar=False)
    elif given and given.text:
        tokens = data.tokens(given.text, config.num_virtual_tokens)
        if len(tokens) < config.num_virtual_tokens:
            raise UserError(f"{where}: num_virtual_tokens: expected at most {len(tokens)}, the tokens of "
                            f"initialization.text, got {config.num_virtual_tokens}")  # fmt: skip
        ids = torch.tensor([tokens], device=model.device)
        with torch.no_grad(), model.disable_adapter():
            cache = model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=True).past_key_values
        initialize_kv_prefix_from_past_key_values(model, past_key_values=cache)


def keep_beginning(model: PeftModel) -> None:
    """Remembers what was taken out of the base weights, for `for_untouched_base`."""
    named = getattr(model.peft_config["default"], "init_lora_weights", None)
    if isinstance(named, str) and named.startswith(TAKEN_FROM_BASE):
        state = get_peft_model_state_dict(model, save_embedding_layers=False)
        model.beginning = {name: tensor.detach().cpu().clone() for name, tensor in state.items()}


def for_untouched_base(model: PeftModel) -> tuple[dict[str, torch.Tensor], PeftConfig] | None:
    """Weights and config of a plain LoRA that does to the untouched base what the model's does to its changed one.

    Where the base lost B0 A0, the trained B A stands for B A - B0 A0: a LoRA of twice the rank. None for a model whose
    base is as it was, or becomes what it is now when the adapter is loaded.
    """
    beginning = getattr(model, "beginning", None)
    if beginning is None:
        return None
    state = {}
    for name, tensor in get_peft_model_state_dict(model, save_embedding_layers=False).items():
        end, first = tensor.detach().cpu(), beginning[name]
        if "lora_A" in name:
            end = torch.cat([end, first], dim=0)
        elif "lora_B" in name:
            end = torch.cat([end, -first], dim=1)
        state[name] = end.contiguous()
    config = copy.deepcopy(model.peft_config["default"])
    grown = math.sqrt(2) if config.use_rslora else 2  # so that what the rank divides stays as it is
    config.init_lora_weights, config.corda_config, config.lora_ga_config = True, None, None
    config.r, config.lora_alpha, config.inference_mode = 2 * config.r, grown * config.lora_alpha, True
    config.rank_pattern = {name: 2 * rank for name, rank in config.rank_pattern.items()}
    config.alpha_pattern = {name: grown * alpha for name, alpha in config.alpha_pattern.items()}
    return state, config


def _show(config: CPTConfig, examples: Examples) -> None:
    """CPT's context: whole rows, one after the other; the kinds of a row's tokens follow those of the row before."""
    kinds = [4 * number + kind for number, (_, parts) in enumerate(examples) for kind in parts]
    config.cpt_token_ids = [token for tokens, _ in examples for token in tokens]
    config.cpt_tokens_type_mask, config.cpt_mask = kinds, [1] * len(kinds)
    config.num_virtual_tokens = len(kinds)


class _Forward:
    """EVA's forward pass, which ends an initialization that never would: PEFT goes over the batches without limit."""

    def __init__(self, batches: int, where: str) -> None:
        self._left, self._where = EVA_PASSES * batches, where

    def __call__(self, model: nn.Module, inputs: dict[str, torch.Tensor]) -> None:
        self._left -= 1
        if self._left < 0:
            raise UserError(f"{self._where}: init_lora_weights: EVA's directions do not settle on so little data; "
                            "choose more initialization.rows, or a smaller r")  # fmt: skip
        model(**inputs)


@contextmanager
def _one_line(named: str) -> Iterator[None]:
    """Inside the block, what PEFT raises about data and shapes becomes a message for the user."""
    try:
        yield
    except (ValueError, LookupError, ZeroDivisionError, torch.linalg.LinAlgError) as error:
        raise UserError(f"{named}: {one_line(error)[:200]}") from None

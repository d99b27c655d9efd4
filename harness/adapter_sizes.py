"""The fields of an adapter config that are bound to a base model's sizes, made to fit a smaller one."""

import math
import re
from dataclasses import dataclass
from typing import Any

STEPS = 3  # of a rehearsal


@dataclass(frozen=True)
class Sizes:
    """What bounds an adapter: layers, tokens, width; of the linear layers the narrowest side and what divides all.

    A model of pictures has no tokens; 1 stands for their number, which nothing asks for there.
    """

    layers: int
    vocabulary: int
    width: int
    narrowest: int
    divisor: int

    @classmethod
    def of(cls, config: Any) -> "Sizes":
        """Those of a transformer's config: T5's, Llama's or ViT's."""
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        head = getattr(config, "head_dim", None) or getattr(config, "d_kv", None)
        head = head or config.hidden_size // config.num_attention_heads
        inner = getattr(config, "intermediate_size", None) or config.d_ff
        sides = (config.hidden_size, heads * head, config.num_attention_heads * head, inner)
        tokens = getattr(config, "vocab_size", 1)
        return cls(config.num_hidden_layers, tokens, config.hidden_size, min(sides), math.gcd(*sides))


def adapt_field(key: str, value: Any, real: Any, tiny: Any, method: str | None = None) -> Any:
    """The value of one field of an adapter config for another model.

    Args:
        key: name of the field.
        value: as adapter_config.json has it.
        real: the config of the model it was written for.
        tiny: the config of the model it is to fit.
        method: the config's peft_type; a few fields mean another thing in one of them.
    """
    if value is None:
        return None
    big, small = Sizes.of(real), Sizes.of(tiny)
    for pattern, rule in RULES:
        if re.fullmatch(pattern, key) or re.fullmatch(pattern, f"{method}.{key}"):
            return rule(value, big, small)
    if key in ("base_model_name_or_path", "tokenizer_name_or_path"):
        return None if key == "base_model_name_or_path" else f"embedded/{tiny.model_type}"
    return value


def _layer_indices(value: Any, big: Sizes, small: Sizes) -> Any:
    indices = [value] if isinstance(value, int) else value
    return sorted({index * small.layers // big.layers for index in indices})


def _token_ids(value: Any, _: Sizes, small: Sizes) -> Any:
    if isinstance(value, dict):
        return {name: _token_ids(ids, _, small) for name, ids in value.items()}
    return sorted({index % small.vocabulary for index in value}) if isinstance(value, list) else value


def _dividing(value: Any, _: Sizes, small: Sizes) -> Any:
    """The largest size up to `value` that divides every side of a linear layer; 0 is how PEFT spells "not used"."""
    if isinstance(value, dict):
        return {name: _dividing(size, _, small) for name, size in value.items()}
    if not isinstance(value, int) or value <= 0:
        return value
    return max((size for size in range(2, value + 1) if small.divisor % size == 0), default=value)


def _rank(value: Any, big: Sizes, small: Sizes) -> Any:
    """A rank that no weight of the model has any more; one that leaves a share of the width out keeps its share."""
    if isinstance(value, dict):
        return {name: _rank(rank, big, small) for name, rank in value.items()}
    return min(value, small.narrowest) if isinstance(value, int) else value


def _kept_directions(value: Any, big: Sizes, small: Sizes) -> Any:
    """OSF's: singular directions that stay frozen, nearly all of them; some must be left to train."""
    if isinstance(value, dict):
        return {name: _kept_directions(rank, big, small) for name, rank in value.items()}
    return min(value * small.narrowest // big.width, small.narrowest - 1) if isinstance(value, int) else value


def _at_most(bound: str):
    return lambda value, _, small: min(value, getattr(small, bound)) if isinstance(value, int) else value


# By the name of the field; the first expression that matches the whole name decides.
RULES = (
    ("layers_to_transform", _layer_indices),
    ("layer_replication", lambda _, __, small: [[0, small.layers]]),
    ("adapter_layers|stride_A", _at_most("layers")),
    ("(trainable_)?token_ind(ices|exes)", _token_ids),
    (".*block_size(_pattern)?|vector_length|group_size", _dividing),
    (r"OSF\.(effective_rank|rank_pattern)", _kept_directions),
    ("r|.*_r|rank|.*_rank|rank_pattern", _rank),
    ("shadow_(hidden|intermediate)_size", _at_most("width")),
    ("n_frequency", lambda value, _, small: min(value, small.narrowest**2)),
    ("total_step", lambda *_: STEPS),
    ("tinit", lambda value, *_: min(value, 1)),
    ("tfinal", lambda *_: 0),
)

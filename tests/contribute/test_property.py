"""Whatever lies in a folder, check ends in a review: never in a traceback, and every message is one line."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from trees import EMBEDDED, LORA

from harness import adapter_fit
from harness.contribute.concerns import Review
from harness.contribute.experiments import review_experiment
from harness.contribute.report import lines_of
from harness.params import TrainingParams

TYPES = [
    "LORA",
    "LOHA",
    "LOKR",
    "IA3",
    "ADALORA",
    "VERA",
    "PROMPT_TUNING",
    "PREFIX_TUNING",
    "LN_TUNING",
    "HOUSLBY",
    "HOULSBY",
    "NEVER",
    "lora",
    "",
]
FIELDS = ["r", "lora_alpha", "lora_dropout", "target_modules", "exclude_modules", "layers_to_transform", "layers_pattern", "rank_pattern",
          "alpha_pattern", "bias", "modules_to_save", "init_lora_weights", "use_dora", "use_rslora", "task_type", "layer_replication",
          "trainable_token_indices", "num_virtual_tokens", "total_step", "init_r", "target_r", "auto_mapping", "eva_config", "inference_mode",
          "token_dim", "reduction", "fan_in_fan_out", "peft_version", "base_model_name_or_path"]  # fmt: skip
WORDS = some.sampled_from(["q_proj", "k_proj", "lm_head", "embed_tokens", "all-linear", "(", ".*", "none", "all", "lora_only", "pissa", "embedded",
                           "AdamW", "SGD", "LoraFA", "GaLore", "linear", "CAUSAL_LM", "int4", "a/b", "embedded/llama", "../x", "\x1b[0m", "é"])  # fmt: skip
NUMBERS = some.one_of(
    some.integers(-3, 300),
    some.floats(-2, 2, allow_nan=False),
    some.sampled_from([0, 1, 2**31, 2**63 - 1, 1e30, 1e-30]),
)
# Sizes that a real weight may be made of in this process: the worker's memory is bounded, that of a test is not.
SMALL = some.one_of(some.none(), some.booleans(), some.integers(-3, 300), some.floats(-2, 2, allow_nan=False), WORDS)
VALUES = some.recursive(
    SMALL, lambda inner: some.lists(inner, max_size=3) | some.dictionaries(WORDS, inner, max_size=3), max_leaves=6
)
ADAPTERS = some.builds(
    lambda kind, rest: LORA | {"peft_type": kind} | rest,
    some.sampled_from(TYPES), some.dictionaries(some.sampled_from(FIELDS) | WORDS, VALUES, max_size=5),
)  # fmt: skip
PARAMS = some.dictionaries(
    some.sampled_from([*TrainingParams.model_fields, "profile", "banana"]), VALUES | NUMBERS, max_size=4
).map(lambda rest: EMBEDDED | rest)
TEXTS = some.binary(max_size=40) | some.sampled_from(
    [b"", b"[]", b"null", b"{", b'{"a": 1, "a": 2}', b'{"r": NaN}', b"\xff", b"[" * 50_000]
)
FILES = some.one_of(ADAPTERS, PARAMS, VALUES).map(lambda values: json.dumps(values).encode()) | TEXTS


def is_a_review(tree, adapter, params, others):
    folder = tree.folder("lora/embedded-llama-k")
    for file in folder.glob("*") if folder.exists() else ():
        file.unlink()
    folder.mkdir(exist_ok=True)
    contents = {"adapter_config.json": adapter, "training_params.json": params, **others}
    for name, content in contents.items():
        if content is not None:
            (folder / name).write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    review = review_experiment(folder)
    assert review.facts or review.concerns
    assert all(one.message.isprintable() and one.level in ("error", "warning") for one in review.concerns)
    assert all(line.isprintable() for line in lines_of(review))
    assert Review.from_json(json.loads(json.dumps(review.to_json()))) == review


CASE = {"adapter": some.none() | ADAPTERS | TEXTS, "params": some.none() | PARAMS | TEXTS,
        "others": some.dictionaries(some.sampled_from(["tuning.json", "README.md", "x.bin"]), FILES, max_size=1)}  # fmt: skip
ONCE = {
    "deadline": None,
    "database": None,
    "derandomize": True,
    "suppress_health_check": [HealthCheck.function_scoped_fixture],
}


@pytest.fixture
def quick(tree, monkeypatch):
    monkeypatch.setattr(adapter_fit, "PATTERN_SECONDS", 1)
    return tree


@pytest.mark.filterwarnings("ignore")  # of the methods' own implementations, which the worker does not show either
@given(**CASE)
@settings(max_examples=40, **ONCE)
def test_check_ends_in_a_review(quick, adapter, params, others):
    is_a_review(quick, adapter, params, others)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@given(**CASE)
@settings(max_examples=1500, **ONCE)
def test_check_ends_in_a_review_whatever_there_is(quick, adapter, params, others):
    is_a_review(quick, adapter, params, others)


@pytest.mark.filterwarnings("ignore")
@given(adapter=ADAPTERS)
@settings(max_examples=40, **ONCE)
def test_so_it_does_where_only_the_adapter_is_strange(quick, adapter):
    is_a_review(quick, adapter, EMBEDDED, {})

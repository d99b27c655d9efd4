"""Merging of layers and validation of parameters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UserError
from harness.experiment import ROOT, read_experiment, read_json
from harness.overlay import Layer, build_params, merge, origin

TASK = ROOT / "method_comparison" / "MetaMathQA"
DEFAULTS = read_json(TASK / "default_training_params.json")

keys = st.sampled_from("abcd")
trees = st.recursive(st.integers(), lambda inner: st.dictionaries(keys, inner, min_size=1, max_size=3), max_leaves=8)
nested = st.dictionaries(keys, trees, max_size=4)


def leaves(tree, path=()):
    if not isinstance(tree, dict):
        return {path: tree}
    return {key: value for name, inner in tree.items() for key, value in leaves(inner, (*path, name)).items()}


@given(nested, nested)
def test_deep_merge_keeps_every_leaf_that_the_upper_layer_does_not_touch(lower, upper):
    merged = leaves(merge([Layer("lower", lower), Layer("upper", upper)]))
    above = leaves(upper)
    for path, value in leaves(lower).items():
        shadowed = any(path[: len(other)] == other or other[: len(path)] == path for other in above)
        assert shadowed or merged[path] == value
    assert above.items() <= merged.items()


def test_overriding_the_rate_keeps_weight_decay():
    params = build_params([Layer("defaults", DEFAULTS), Layer("own", {"optimizer_kwargs": {"lr": 0.5}})])
    assert params.optimizer_kwargs == {"lr": 0.5, "weight_decay": DEFAULTS["optimizer_kwargs"]["weight_decay"]}


def test_another_model_does_not_inherit_the_revision():
    with pytest.raises(UserError, match=r"own: model_revision: pin the commit of other/model"):
        build_params([Layer("defaults", DEFAULTS), Layer("own", {"model_id": "other/model"})])


def test_epochs_replace_steps():
    params = build_params([Layer("defaults", DEFAULTS), Layer("own", {"num_epochs": 3, "min_steps": 100})])
    assert params.max_steps is None
    assert params.planned_steps(train_rows=41) == 100
    assert params.planned_steps(train_rows=4001) == 3 * 1001


def test_defaults_are_the_published_protocol():
    params = build_params([Layer("defaults", DEFAULTS)])
    assert (params.batch_size, params.max_steps, params.max_seq_length) == (4, 5000, 768)
    assert (params.optimizer_type, params.optimizer_kwargs) == ("AdamW", {"lr": 1e-4, "weight_decay": 0.1})
    assert (params.lr_scheduler, params.warmup_ratio, params.grad_norm_clip) == ("cosine", 0.1, 1.0)
    assert (params.generation_kwargs.max_new_tokens, params.loss_on, params.eval_steps) == (300, "all", 250)


def test_layers_apply_in_order():
    folder = TASK / "experiments" / "lora" / "embedded-llama-rank8"
    experiment = read_experiment(folder, {"batch_size": 7}, seed=3)
    assert experiment.params.model_id == "embedded/llama"  # preset over defaults
    assert (
        experiment.params.optimizer_kwargs["lr"]
        == read_json(folder / "training_params.json")["optimizer_kwargs"]["lr"]
    )
    assert (experiment.params.batch_size, experiment.params.seed) == (7, 3)  # command line over all
    assert experiment.overrides == {"batch_size": 7}  # a seed does not modify


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"bath_size": 4}, 'own: bath_size: unknown key; did you mean "batch_size"?'),
        ({"use_gc": True}, 'own: use_gc: unknown key; write "gradient_checkpointing": true instead'),
        ({"init_kv_cache_prefix": "a"}, 'own: init_kv_cache_prefix: unknown key; did you mean "initialization.text"?'),
        ({"initialization": {"row": 4}}, 'own: initialization.row: unknown key; did you mean "rows"?'),
        (
            {"initialization": {"rows": 0}},
            "own: initialization.rows: input should be greater than 0, got 0 (training rows",
        ),
        ({"lr": 0.1}, 'own: lr: unknown key; did you mean "optimizer_kwargs.lr"?'),
        ({"generation_kwargs": {"top_k": 4}}, "own: generation_kwargs.top_k: unknown key; expected one of: "),
        ({"batch_size": "4"}, "own: batch_size: input should be a valid integer, got '4'"),
        ({"batch_size": True}, "own: batch_size: input should be a valid integer"),
        ({"max_steps": -1}, "own: max_steps: input should be greater than 0, got -1"),
        ({"eval_steps": 9999}, "own: eval_steps: expected at most max_steps (5000), got 9999"),
        ({"dtype": "fp16"}, "own: dtype: input should be 'float32', 'float16'"),
        ({"optimizer_kwargs": {"lr": None}}, 'own: optimizer_kwargs: expected "lr" with a positive number'),
        ({"query_template": "Q: {question}"}, "own: query_template: expected the placeholder {query} exactly once"),
        ({"query_template": "{query.__class__}"}, "own: query_template: expected the placeholder"),
        ({"model_revision": "main"}, "own: model_revision: expected a commit of 40 hexadecimal digits"),
        ({"model_id": "../other/model"}, "own: model_id: expected a hub name"),
        ({"model_id": "./model"}, "own: model_id: expected a hub name"),
        ({"full_finetuning": True, "dtype": "int4"}, "own: dtype: full fine-tuning cannot train int4 weights"),
        ({"dtype": "float16", "autocast_adapter_dtype": False}, "own: autocast_adapter_dtype: must be true"),
        ({"max_steps": 10, "num_epochs": 1, "eval_steps": 1}, "own: max_steps: give exactly one"),
        ({"min_steps": 10}, "own: min_steps: needs num_epochs"),
        ({"warmup_ratio": 1.5}, "own: warmup_ratio: input should be less than or equal to 1, got 1.5"),
    ],
)
def test_each_mistake_names_layer_key_and_remedy(values, message):
    with pytest.raises(UserError) as caught:
        build_params([Layer("defaults", DEFAULTS), Layer("own", values)])
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


LAYERS = [
    Layer("defaults.json", {"model_id": "a/b", "dtype": "float32", "max_steps": 5, "optimizer_kwargs": {"lr": 1}}),
    Layer("own.json", {"model_id": "c/d", "num_epochs": 1, "optimizer_kwargs": {"eps": 1}}),
    Layer("command line --set", {"optimizer_kwargs": {"lr": 2}}),
    Layer("command line --seed", {"seed": 3}),
]


@pytest.mark.parametrize(
    ("keys", "name"),
    [
        (["model_id"], "own.json"),
        (["dtype"], "defaults.json"),
        (["seed"], "command line --seed"),
        (["optimizer_kwargs.lr"], "command line --set"),
        (["optimizer_kwargs.eps"], "own.json"),
        (["optimizer_kwargs.betas"], "own.json"),  # set by none, so that the uppermost file should
        (["max_steps"], "own.json"),  # superseded there
        (["eval_steps"], "own.json"),
        (["dtype", "model_id"], "own.json"),
        (["dtype", "eval_steps"], "defaults.json"),
    ],
)
def test_who_is_told_that_a_value_is_wrong(keys, name):
    assert origin(LAYERS, *keys) == name


def test_what_is_missing_is_never_the_fault_of_the_seed():
    layers = [Layer("own.json", DEFAULTS), Layer("command line --seed", {"seed": 1})]
    without = {key: value for key, value in DEFAULTS.items() if key != "batch_size"}
    with pytest.raises(UserError, match="^own.json: batch_size: missing"):
        build_params([Layer("own.json", without), layers[1]])
    with pytest.raises(UserError, match="^own.json: min_steps: needs num_epochs"):
        build_params([Layer("own.json", DEFAULTS | {"min_steps": 3}), layers[1]])
    with pytest.raises(UserError, match="^command line --seed: seed: input should be less than"):
        build_params([layers[0], Layer("command line --seed", {"seed": 2**32})])


def test_a_key_with_a_dot_is_told_to_who_wrote_it():
    with pytest.raises(UserError, match=r"^defaults: a.b: unknown key"):
        build_params([Layer("defaults", DEFAULTS | {"a.b": 1}), Layer("own", {})])

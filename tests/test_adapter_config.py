"""adapter_config.json: ranges by the names of fields, fitting a model, built and tried once."""

import subprocess

import pytest
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

from harness import adapter_fit, refusals
from harness.adapter_config import Adapter, build_adapter_config
from harness.errors import UserError
from harness.experiment import ROOT, all_experiments, read_experiment
from harness.params import Initialization

PARAMS = read_experiment(ROOT / "method_comparison/MetaMathQA/experiments/lora/embedded-llama-rank8").params
LORA = {"peft_type": "LORA", "target_modules": ["q_proj"]}
ADALORA = {"peft_type": "ADALORA", "tinit": 1, "tfinal": 1}
MODULES = ["model", "model.layers.0.self_attn.q_proj", "model.layers.0.self_attn.v_proj"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"lora_dropout": -1.0}, "lora_dropout: expected a share from 0 to below 1, got -1.0"),
        ({"lora_dropout": 1.0}, "lora_dropout: expected a share from 0 to below 1, got 1.0"),
        ({"lora_dropout": 5}, "lora_dropout: expected a share from 0 to below 1, got 5"),
        ({"r": 0}, "r: expected more than 0, got 0"),
        ({"r": -8}, "r: expected more than 0, got -8"),
        ({"r": 2**62}, "r: expected from 0 up to 4294967295, got 4611686018427387904"),
        ({"lora_alpha": 0}, "lora_alpha: expected more than 0, got 0"),
        ({"alpha_pattern": {"q_proj": -0.5}}, "alpha_pattern: expected more than 0, got -0.5"),
        ({"rank_pattern": {"q_proj": 0}}, "rank_pattern: expected more than 0, got 0"),
        ({"trainable_token_indices": [3, -1]}, "trainable_token_indices: expected from 0 up to 4294967295, got -1"),
        ({"trainable_token_indices": {"embed_tokens": [-1]}}, "trainable_token_indices: expected from 0"),
        ({"layers_to_transform": [-1]}, "layers_to_transform: expected from 0"),
        ({"layer_replication": [[-1, 2]]}, "layer_replication: expected from 0"),
        ({"peft_type": "LOHA", "module_dropout": 1.5}, "module_dropout: expected a share"),
        ({"peft_type": "LOHA", "alpha": 0}, "alpha: expected more than 0"),
        ({"peft_type": "BOFT", "boft_block_size": -4}, "boft_block_size: expected 0 or more, got -4"),
        ({"peft_type": "FOURIERFT", "n_frequency": 0}, "n_frequency: expected more than 0"),
        ({"peft_type": "VERA", "vera_dropout": -0.1}, "vera_dropout: expected a share"),
        ({"peft_type": "VERA", "d_initial": 1e300}, "d_initial: expected up to 3.4e+38, got 1e+300"),
        ({"peft_type": "ADALORA", "deltaT": 0}, "deltaT: expected more than 0"),
        ({"peft_type": "ADALORA", "init_r": 0}, "init_r: expected more than 0"),
        ({"peft_type": "PROMPT_TUNING", "num_virtual_tokens": 0}, "num_virtual_tokens: expected more than 0"),
        ({"peft_type": "PREFIX_TUNING", "num_virtual_tokens": 4, "encoder_hidden_size": -1}, "encoder_hidden_size: expected"),
    ],
)  # fmt: skip
def test_a_number_out_of_range_is_told_with_its_range(values, message):
    with pytest.raises(UserError) as caught:
        build_adapter_config({"peft_type": "LORA"} | values, "file", PARAMS)
    assert str(caught.value).startswith(f"file: {message}")


@pytest.mark.parametrize(
    "values",
    [
        {"peft_type": "BOFT", "boft_block_size": 0, "boft_block_num": 4},
        {"peft_type": "OFT", "r": 4, "oft_block_size": 0},
        {"peft_type": "LOKR", "decompose_factor": -1},
        {"peft_type": "LORA", "lora_dropout": 0, "lora_alpha": 1, "layers_to_transform": 0, "trainable_token_indices": [0]},
        {"peft_type": "VERA", "projection_prng_key": 0},
        {"peft_type": "P_TUNING", "num_virtual_tokens": 1, "encoder_dropout": 0.0},
    ],
    ids=lambda values: values["peft_type"],
)  # fmt: skip
def test_a_zero_that_means_something_passes(values):
    build_adapter_config(values, "file", PARAMS)


# PEFT's own methods are an enum, the project's plain names.
CONFIG_CLASSES = {str(getattr(kind, "value", kind)): cls for kind, cls in PEFT_TYPE_TO_CONFIG_MAPPING.items()}


@pytest.mark.parametrize("method", [name for name in CONFIG_CLASSES if name not in refusals.METHODS])
def test_the_defaults_of_every_method_are_within_their_ranges(method):
    """Written out they are what a folder may say, but for what PEFT itself leaves at a value of another type."""
    config_class = CONFIG_CLASSES[method]
    params = PARAMS.model_copy(update={"initialization": Initialization(rows=2)}) if method == "CPT" else PARAMS
    needed = {"num_virtual_tokens": 4} if "num_virtual_tokens" in config_class.__dataclass_fields__ else {}
    needed |= {"task_type": "CAUSAL_LM"} if method == "CPT" else {}
    needed |= {"total_step": PARAMS.max_steps, "tinit": 1, "tfinal": 1} if method == "ADALORA" else {}
    for name, field in config_class.__dataclass_fields__.items():
        if field.init and isinstance(field.default, int | float) and name not in needed and name != "inference_mode":
            build_adapter_config({"peft_type": method, **needed, name: field.default}, "file", params)


@pytest.mark.parametrize("dtype", ["int8", "int4", "bfloat16"])
def test_dora_is_refused_on_int8_alone(dtype):
    params, values = PARAMS.model_copy(update={"dtype": dtype}), LORA | {"use_dora": True}
    if dtype != "int8":
        assert build_adapter_config(values, "file", params).use_dora
        return
    with pytest.raises(UserError, match="^file: use_dora: impossible on an int8 base, whose layers lose their scale"):
        build_adapter_config(values, "file", params)


@pytest.mark.parametrize("key", ["kasa_config", "monteclora_config", "use_bdlora"])
def test_what_a_quantized_base_would_silently_lose_is_refused(key):
    values = LORA | {key: {"match_strict": False} if key == "use_bdlora" else {}}
    build_adapter_config(values, "file", PARAMS)
    with pytest.raises(UserError, match=f"^file: {key}: on an int4 base PEFT trains plain LoRA and says nothing"):
        build_adapter_config(values, "file", PARAMS.model_copy(update={"dtype": "int4"}))


def test_noise_that_is_drawn_again_is_refused():
    checkpointed = PARAMS.model_copy(update={"gradient_checkpointing": True})
    build_adapter_config(LORA, "file", checkpointed)
    with pytest.raises(UserError, match="^file: monteclora_config: a pass that is computed again draws other noise"):
        build_adapter_config(LORA | {"monteclora_config": {}}, "file", checkpointed)


def test_an_adapter_is_built_and_tried_once(monkeypatch):
    tried = []
    monkeypatch.setattr(adapter_fit.subprocess, "run", lambda *arguments, **_: tried.append(arguments))
    adapter = Adapter(LORA | {"target_modules": ".*(q|v)_proj"}, "file", PARAMS)
    for _ in range(3):
        adapter.check_fits(iter(MODULES))
    assert len(tried) == 1
    adapter.check_fits(MODULES[1:])  # another model
    assert len(tried) == 2


def test_what_does_not_fit_is_not_remembered_as_fitting():
    adapter = Adapter(LORA | {"target_modules": ["q_porj"]}, "file", PARAMS)
    for _ in range(2):
        with pytest.raises(
            UserError, match="^file: target_modules: 'q_porj' matches no module of the model; did you mean"
        ):
            adapter.check_fits(MODULES)


def test_a_broken_expression_does_not_fit():
    with pytest.raises(UserError, match="^file: target_modules: not a regular expression"):
        Adapter(LORA | {"target_modules": "q_proj("}, "file", PARAMS).check_fits(MODULES)


@pytest.mark.parametrize("ids", [[3, 16], {"embed_tokens": [16]}])
def test_tokens_that_the_model_has_not(ids):
    adapter = Adapter(LORA | {"trainable_token_indices": ids}, "file", PARAMS)
    adapter.check_fits(MODULES)
    adapter.check_fits(MODULES, vocab_size=17)
    with pytest.raises(UserError, match="^file: trainable_token_indices: expected numbers of tokens below 16, got 16"):
        adapter.check_fits(MODULES, vocab_size=16)


def test_each_model_gets_a_copy():
    adapter = Adapter(LORA, "file", PARAMS)
    one, other = adapter.fresh(), adapter.fresh()
    one.target_modules.add("v_proj")
    assert other.target_modules == adapter.config.target_modules == {"q_proj"}
    assert type(one) is type(adapter.config)


def test_adalora_must_know_the_length_of_the_run():
    epochs = PARAMS.model_copy(update={"max_steps": None, "num_epochs": 1.0})
    adapter = Adapter(ADALORA | {"total_step": 70}, "file", epochs)
    adapter.check_steps(70)
    with pytest.raises(UserError, match="^file: total_step: expected the run's 71 steps, got 70"):
        adapter.check_steps(71)
    Adapter(LORA, "file", epochs).check_steps(71)
    with pytest.raises(UserError, match="^file: total_step: expected the run's"):
        Adapter(ADALORA | {"total_step": 7}, "file", PARAMS)


def test_the_adapter_of_an_experiment():
    experiments = [read_experiment(folder) for folder in all_experiments()]
    for experiment in experiments:
        adapter = Adapter.of(experiment)
        assert (adapter is not None) == experiment.params.has_adapter
        if adapter is not None:
            assert (adapter.values, adapter.where) == (experiment.adapter_config, experiment.adapter_config_path)


def test_an_expression_is_stopped_in_time(monkeypatch):
    monkeypatch.setattr(adapter_fit, "PATTERN_SECONDS", 0.5)
    adapter = Adapter(LORA | {"target_modules": "(.*)*(.*)*(.*)*(.*)*(.*)*(.*)*(.*)*X"}, "file", PARAMS)
    with pytest.raises(UserError, match="takes more than 0.5 s to match") as caught:
        adapter.check_fits(["model." * 30])
    assert isinstance(caught.value.__context__, subprocess.TimeoutExpired)

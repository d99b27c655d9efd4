"""What an adapter_config.json of these methods may say: every field is checked, and refused in one line."""

import pytest

from harness.adapter import wrap
from harness.adapter_config import Adapter, build_adapter_config
from harness.errors import UserError
from harness.experiment import ROOT, read_experiment
from harness.methods.tuner import MethodConfig, register
from tests.methods.conftest import METHODS, attached, tiny_model

PARAMS = read_experiment(ROOT / "method_comparison/MetaMathQA/experiments/lora/embedded-llama-rank8").params


def build(**values):
    return build_adapter_config(values, "adapter_config.json", PARAMS)


def test_a_file_is_a_method():
    folder = ROOT / "harness" / "methods"
    assert {path.stem.upper() for path in folder.glob("*.py")} - {"__INIT__"} == set(METHODS)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_reads_its_own_defaults_back(method):
    config = build(peft_type=method)
    assert config.peft_type == method
    again = build(
        **{key: value for key, value in config.to_dict().items() if value is not None and key != "peft_version"}
    )
    assert again == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"peft_type": "HOULSBI"}, "PEFT has no 'HOULSBI'; did you mean \"HOULSBY\"?"),
        ({"peft_type": "HOULSBY", "reductoin": 8}, 'unknown key of HOULSBY; did you mean "reduction"?'),
        ({"peft_type": "HOULSBY", "target_modules": "q_proj"}, "target_modules: unknown key of HOULSBY"),
        ({"peft_type": "HOULSBY", "prefix_length": 8}, "prefix_length: unknown key of HOULSBY"),
        ({"peft_type": "HOULSBY", "reduction": 0}, "reduction: expected a positive number, got 0"),
        ({"peft_type": "HOULSBY", "reduction": "16"}, "reduction: expected int, got '16'"),
        ({"peft_type": "HOULSBY", "reduction": True}, "reduction: expected int, got True"),
        ({"peft_type": "HOULSBY", "activation": "swish"}, "activation: expected"),
        ({"peft_type": "HOULSBY", "places": ["ffn"]}, "places: expected"),
        ({"peft_type": "HOULSBY", "places": []}, "places: expected at least one place"),
        ({"peft_type": "HOULSBY", "places": ["mlp", "mlp"]}, "each of them once"),
        ({"peft_type": "HOULSBY", "places": ["mlp", "mlp_block"]}, "two sides of the same block"),
        ({"peft_type": "PARALLEL_ADAPTER", "scale": "big"}, "scale: expected"),
        ({"peft_type": "PARALLEL_ADAPTER", "scale": 0}, "scale: expected a number other than 0"),
        ({"peft_type": "COMPACTER", "summands": 0}, "summands: expected a positive number"),
        ({"peft_type": "PREFIX_STACKS", "places": ["mlp"]}, "places: expected"),
        ({"peft_type": "PREFIX_STACKS", "prefix_length": 0}, "prefix_length: expected more than 0, got 0"),
        ({"peft_type": "PREFIX_STACKS", "prefix_hidden": 0}, "prefix_hidden: expected a positive number or null"),
        ({"peft_type": "MAM", "places": ["attention"]}, "places: expected"),
        ({"peft_type": "MAM", "reduction": -1}, "reduction: expected"),
        ({"peft_type": "MAM", "prefix_std": 0}, "prefix_std: expected a positive number"),
        ({"peft_type": "UNIPELT", "rank": 0}, "rank: expected more than 0, got 0"),
        ({"peft_type": "UNIPELT", "inference_mode": True}, "inference_mode: not allowed"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(values, message):
    with pytest.raises(UserError) as error:
        build(**values)
    assert message in str(error.value)
    assert str(error.value).startswith("adapter_config.json: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"peft_type": "PARALLEL_ADAPTER", "places": ["mlp_block"]}, "use mlp for a parallel adapter"),
        ({"peft_type": "MAM", "places": ["mlp_block"]}, "use mlp for a parallel adapter"),
        ({"peft_type": "HOULSBY", "places": ["cross_attention"]}, "llama has none of cross_attention"),
        ({"peft_type": "COMPACTER", "summands": 5}, "summands: 5 does not divide"),
    ],
)
def test_what_the_base_model_lacks_is_refused_in_one_line(values, message):
    with pytest.raises(UserError, match=message):
        wrap(tiny_model("llama"), Adapter(values, "adapter_config.json", PARAMS), PARAMS, "CAUSAL_LM")


def test_an_attention_that_takes_no_prefix_is_refused():
    base = tiny_model("llama")
    base.config._attn_implementation_internal = "flex_attention"
    with pytest.raises(ValueError, match="attn_implementation: a prefix needs sdpa or eager, got flex_attention"):
        attached("PREFIX_STACKS", "llama", base)


def test_an_architecture_without_known_places_is_refused():
    base = tiny_model("llama")
    base.config.model_type = "gpt9"
    with pytest.raises(ValueError, match="places of gpt9 are not known; known are those of t5, llama"):
        attached("HOULSBY", "llama", base)


@pytest.mark.parametrize("name", ["LORA", "HOULSBY"])
def test_a_name_is_given_once(name):
    with pytest.raises(ValueError, match=f"a method {name} is registered already"):
        register(name)(MethodConfig)

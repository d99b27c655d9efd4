"""Which optimizers go with which runs; what does not is refused before anything is loaded."""

import importlib.util

import pytest

from harness.errors import UserError
from harness.experiment import ROOT, read_experiment
from harness.optimizers import check_optimizer, optimizer_names
from tests.optim.conftest import PARAMS, anywhere, with_optimizer

LORA = read_experiment(ROOT / "method_comparison/MetaMathQA/experiments/lora/embedded-llama-rank8").params
IN_BACKWARD = {"rank": 8, "in_backward": True}


def test_they_are_among_the_names():
    assert {"GaLore", "LISA", "Riemannian", "AdamW8bit", "AdamW4bit"} <= set(optimizer_names())


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (with_optimizer("GaLore", rnak=8), 'optimizer_kwargs.rnak: unknown argument of GaLore; did you mean "rank"?'),
        (with_optimizer("LISA", layers=2), "optimizer_kwargs.layers: unknown argument of LISA"),
        (with_optimizer("LISA", model=2), "optimizer_kwargs.model: unknown argument of LISA"),
        (with_optimizer("Galore"), "unknown 'Galore'; did you mean \"GaLore\"?"),
        (with_optimizer("GaLore", **IN_BACKWARD), "grad_norm_clip: GaLore's in_backward"),
        (
            with_optimizer("GaLore", **IN_BACKWARD).model_copy(
                update={"grad_norm_clip": None, "gradient_accumulation_steps": 2}
            ),
            "gradient_accumulation_steps: GaLore's in_backward",
        ),
        (
            with_optimizer("GaLore", **IN_BACKWARD).model_copy(update={"grad_norm_clip": None, "dtype": "float16"}),
            "dtype: GaLore's in_backward",
        ),
        (
            LORA.model_copy(update={"optimizer_type": "GaLore"}),
            'optimizer_type: GaLore trains the base model itself; say "full_finetuning": true',
        ),
        (LORA.model_copy(update={"optimizer_type": "LISA"}), "optimizer_type: LISA trains the base model itself"),
        (with_optimizer("Riemannian"), "optimizer_type: Riemannian is made for LoRA, not for full fine-tuning"),
    ],
)
def test_what_does_not_go_together_is_refused_in_one_line(params, message):
    with pytest.raises(UserError) as error:
        check_optimizer(params, anywhere)
    assert str(error.value).startswith("training_params.json: ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.skipif(importlib.util.find_spec("torchao") is not None, reason="torchao is installed")
def test_a_missing_package_is_named():
    with pytest.raises(
        UserError, match="training_params.json: optimizer_type: AdamW4bit needs another package: pip install torchao"
    ):
        check_optimizer(with_optimizer("AdamW4bit"), anywhere)


def test_what_goes_together_is_not_refused():
    check_optimizer(with_optimizer("GaLore", rank=8), anywhere)
    check_optimizer(with_optimizer("GaLore", **IN_BACKWARD).model_copy(update={"grad_norm_clip": None}), anywhere)
    check_optimizer(with_optimizer("LISA", active_layers=1, interval=5, betas=[0.9, 0.95]), anywhere)
    check_optimizer(
        LORA.model_copy(update={"optimizer_type": "Riemannian", "optimizer_kwargs": {"lr": 1e-3, "reg": 0.1}}),
        anywhere,
    )
    assert PARAMS.grad_norm_clip is not None

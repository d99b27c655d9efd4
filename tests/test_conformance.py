"""Every method's experiments hold what tests/conformance.py asks; the cheapest of each here, the others among the slow."""

from collections import defaultdict

import pytest
from conformance import conform, name_of, quiet, resumes
from peft import PeftType

from harness import refusals
from harness.experiment import all_experiments, read_experiment

# Seconds rather than fractions of one: they decompose weights, go over rows first, or pack the base model.
COSTLY = ("adamss", "eva", "corda", "monteclora", "qlora", "int8", "prompt_tuning/embedded-llama-tokens20-", "shadow")
SELECTIONS = ("bitfit", "linear_probe")
EXPERIMENTS = {folder: read_experiment(folder) for folder in all_experiments()}


def method_of(folder):
    config = EXPERIMENTS[folder].adapter_config
    return folder.parent.name if config is None else config["peft_type"]


def kind_of(folder):
    family = next(word for word in ("llama", "smollm2", "t5", "vit", "dit", "flux") if word in folder.name)
    return "embedded" if folder.name.startswith("embedded-") else "real", family


def first_of_each():
    """One embedded folder of each method, of Llama where it has one, and one of each method and kind of model."""
    methods, kinds = {}, defaultdict(list)
    for folder in EXPERIMENTS:
        kinds[method_of(folder), kind_of(folder)].append(folder)
        if folder.name.startswith("embedded-llama") and not any(word in name_of(folder) for word in COSTLY):
            methods.setdefault(method_of(folder), folder)
    for folder in EXPERIMENTS:
        if folder.name.startswith("embedded-vit") and folder.parent.name in ("lora", "full-finetuning", *SELECTIONS):
            methods.setdefault(f"{method_of(folder)} of pictures", folder)
        if folder.name.startswith("embedded-dit") and folder.parent.name in ("lora", "full-finetuning", "bitfit"):
            methods.setdefault(f"{method_of(folder)} that generates", folder)
    return list(methods.values()), [folders[0] for folders in kinds.values()]


FAST, SLOW = first_of_each()
LORA = [folder for folder in EXPERIMENTS if folder.name.startswith("embedded-llama") and folder.parent.name == "lora"]


@pytest.mark.parametrize("folder", FAST, ids=name_of)
def test_the_cheapest_experiment_of_each_method(folder):
    with quiet():
        conform(folder)


@pytest.mark.slow
@pytest.mark.parametrize("folder", [folder for folder in SLOW + LORA if folder not in FAST], ids=name_of)
def test_one_of_each_method_and_model(folder):
    with quiet():
        conform(folder)


@pytest.mark.slow
@pytest.mark.parametrize("folder", dict.fromkeys(FAST + LORA), ids=name_of)
def test_it_goes_on_from_a_checkpoint_bit_for_bit(folder):
    with quiet():
        resumes(folder)


def test_every_method_of_peft_has_an_experiment_or_a_reason():
    """A new version of PEFT with a new method fails here, naming it."""
    tried = {method_of(folder) for folder in EXPERIMENTS}
    assert {kind.value for kind in PeftType} - tried - set(refusals.METHODS) == set()
    assert tried.isdisjoint(refusals.METHODS)

"""What check says of an experiment's folder: each concern alone, and nothing of a folder that is as it should be."""

import json

import pytest
from trees import EMBEDDED, LORA, only

from harness.contribute.experiments import review_experiment
from harness.experiment import ROOT, read_experiment
from harness.result.files import read_object


def test_a_folder_as_it_should_be(tree):
    review = review_experiment(tree.write("lora/embedded-llama-k", LORA, EMBEDDED))
    assert review.concerns == []
    assert (
        review.facts["measured"]
        == "accuracy on MetaMathQA after 160 steps of 32 samples, embedded/llama, embedded data"
    )
    assert review.facts["changed"] == {"optimizer_kwargs.lr": [0.0001, 0.007]}
    assert review.facts["trainable"] == 8 * 4 * (128 + 128)


@pytest.mark.parametrize(
    "name", ["lora/llama-3.2-3B-rank32", "lora/embedded-llama-rank8", "full-finetuning/llama-3.2-3B"]
)
def test_those_of_the_project_are_clean(tree, name):
    assert review_experiment(tree.folder(name)).concerns == []


def test_every_complaint_is_collected(concerns):
    found = concerns(LORA | {"rr": 1, "lora_dropout": 2.0}, EMBEDDED | {"banana": 1, "max_steps": -1})
    assert [one.split(".json: ")[1].split(":")[0] for one in found] == ["max_steps", "banana", "rr", "lora_dropout"]


def test_a_broken_file_costs_the_other_none_of_its_complaints(concerns):
    found = concerns("{", EMBEDDED | {"banana": 1})
    assert len(found) == 2
    assert "banana: unknown key" in found[0]
    assert "not JSON" in found[1]


@pytest.mark.parametrize(
    ("adapter", "params", "name", "said"),
    [
        ({"r": 16}, {}, "lora/embedded-llama-rank8-k", "error: {where}: the name says rank 8, but r is 16"),
        ({}, {}, "lora/embedded-llama-k-dora", "the name says dora, but use_dora is not set"),
        ({}, {}, "lora/embedded-llama-k-pissa", "the name says pissa, but init_lora_weights is True"),
        ({}, {}, "lora/embedded-llama-k-lr_0.001", "the name says lr 0.001, but lr is 0.007"),
        ({}, {}, "lora/embedded-llama-k-lr5e-4", "the name says lr 5e-4, but lr is 0.007"),
        ({}, {}, "lora/embedded-llama-k-batch_size-2", "the name says batch_size 2, but batch_size is 32"),
        ({}, {}, "lora/llama-k", "error: {where}: a folder named embedded-… uses the embedded model"),
        ({}, {}, "loha/embedded-llama-k", "warning: {where}: lies in loha/, but is LORA"),
    ],
)
def test_name_and_content(adapter, params, name, said, concerns, tree):
    only(concerns(LORA | adapter, EMBEDDED | params, name), said.format(where=tree.folder(name)))


def test_the_model_that_a_name_says(concerns):
    other = {"model_id": "meta-llama/Llama-3.2-1B", "model_revision": "0" * 40}
    found = concerns(LORA, other, "lora/llama-3.2-3B-k")
    assert len(found) == 2
    assert "warning" in found[0] and "another base model (meta-llama/Llama-3.2-1B)" in found[0]  # noqa: PT018
    assert "the name says llama-3.2-3b, but model_id is meta-llama/Llama-3.2-1B" in found[1]


def test_many_changed_parameters(concerns):
    two = EMBEDDED | {"warmup_ratio": 0.2}
    assert concerns(params=two) == []
    only(
        concerns(params=two | {"lr_scheduler": "linear"}),
        "warning",
        "changes 3 parameters",
        "lr_scheduler",
        "warmup_ratio",
    )


@pytest.mark.parametrize(
    ("rank", "alpha", "near"), [(8, 16, True), (9, 16, True), (10, 20, True), (8, 32, False), (12, 16, False)]
)
def test_near_copies(rank, alpha, near, concerns, tree):
    like = json.loads((tree.folder("lora/embedded-llama-rank8") / "adapter_config.json").read_text())
    found = concerns(like | {"r": rank, "lora_alpha": alpha}, EMBEDDED | {"optimizer_kwargs": {"lr": 0.0055}})
    if near:
        only(found, "warning", "nearly lora/embedded-llama-rank8", "training.optimizer_kwargs.lr 0.005 there")
    else:
        assert found == []


def test_what_differs_in_words_is_no_near_copy(concerns, tree):
    like = json.loads((tree.folder("lora/embedded-llama-rank8") / "adapter_config.json").read_text())
    assert concerns(like | {"use_rslora": True}, EMBEDDED | {"optimizer_kwargs": {"lr": 0.005}}) == []


def test_modules_that_the_base_model_has_not(concerns):
    only(
        concerns(LORA | {"target_modules": ["k_porj"]}),
        "target_modules: 'k_porj' matches no module of the model; did you mean \"k_proj\"?",
    )


def test_foreign_files(tree, concerns):
    folder = tree.folder("lora/embedded-llama-k")
    folder.mkdir(parents=True)
    (folder / "adapter_model.bin").write_bytes(b"")
    (folder / "notes").mkdir()
    found = concerns()
    assert len(found) == 2
    assert all("does not belong here" in one for one in found)
    assert {"adapter_model.bin", "notes"} == {one.split("embedded-llama-k/")[1].split(":")[0] for one in found}


TUNED = json.loads(
    (ROOT / "method_comparison/MetaMathQA/experiments/lora/embedded-llama-rank8/tuning.json").read_text()
)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"chosen": 0.015}, "chose optimizer_kwargs.lr = 0.015, but the folder has 0.005"),
        ({"settings": "0" * 64}, "settings: was made with other parameters"),
        ({"protocol": 0}, "protocol: was made under 0"),
        ({"seeds": [0, 1]}, "trials: expected one for each value, subset and seed"),
        ({"higher_is_better": False}, "chosen: 0.005 is not the best of its trials, 0.0005 is"),
        ({"trials": []}, "trials: expected one for each"),
        ({"key": "optimizer_kwargs.rate"}, "optimizer_kwargs.rate"),
        ({"budget": 4}, "budget: Extra inputs are not permitted"),
    ],
)  # fmt: skip
def test_a_tuning_record_that_contradicts(change, said, tree):
    folder = tree.folder("lora/embedded-llama-rank8")
    (folder / "tuning.json").write_text(json.dumps(TUNED | change))
    found = review_experiment(folder).concerns
    assert said in found[0].message
    assert {one.level for one in found} == {"error"}


STORED = ["lora/embedded-llama-rank8", "ia3/embedded-llama", "prefixtuning/embedded-llama-tokens20", "ln_tuning/embedded-llama",
          "full-finetuning/embedded-llama", "lora/embedded-llama-rank8-dora", "prompt_tuning/embedded-llama-tokens20"]  # fmt: skip


@pytest.mark.parametrize("name", STORED)
def test_predicted_costs_are_those_of_the_runs(name):
    """Parameters exactly; of the file all but the names of its tensors."""
    folder = ROOT / "method_comparison" / "MetaMathQA" / "experiments" / name
    facts = review_experiment(folder).facts
    (path, *_) = ROOT.glob(f"results/MetaMathQA/*/{name.replace('/', '--')}--seed*.json")
    info = read_object(path)["train_info"]
    assert read_experiment(folder).name in path.name
    assert facts["trainable"] == info["num_trainable_params"]
    assert 0 <= info["file_size"] - facts["storage"] < 150 * 84

"""What may be compared: scores across machines, costs only on one, nothing across tasks, protocols, models or data."""

import json

import pytest
from result_files import ours, published

from harness.result.columns import COLUMNS
from harness.result.comparable import (
    COSTS,
    SCORES,
    difference,
    differing_setting,
    group_for,
    group_of,
    libraries,
    unranked,
)
from harness.result.records import to_record

APART = {
    "subsets": {"task.subset": "copa"}, "protocols": {"protocol": 2}, "base models": {"run_info.train_config.model_id": "a/b"},
    "versions of the base model": {"provenance.base_model_fingerprint": "f" * 64}, "data": {"provenance.data_fingerprint": "e" * 64},
    "metrics": {"task.metric": "ROUGE-L"}, "directions of the metric": {"task.higher_is_better": False}, "tasks": {"task.name": "CNNDM"},
    "kinds of run": {"profile": True},
}  # fmt: skip
MACHINES = {
    "hardware": {"hardware.slug": "nvidia-l40s"}, "processors or threads": {"hardware.threads": 8},
    "major versions of libraries": {"meta_info.package_info": {"torch-version": "3.0.0", "peft-version": "0.21.9"}},
}  # fmt: skip


def record(data=None, **changes):
    return to_record(json.dumps(ours(**changes) if data is None else data).encode(), "Task")


@pytest.mark.parametrize("what", APART)
def test_neither_scores_nor_costs(what):
    a, b = record(), record(**APART[what])
    for group in ("score_group", "cost_group"):
        assert group_of(a, group) != group_of(b, group)
        assert difference(a, b, group).startswith(f"different {what}")
        assert difference(a, b, group) == difference(b, a, group)


@pytest.mark.parametrize("what", MACHINES)
def test_scores_but_no_costs(what):
    a, b = record(), record(**MACHINES[what])
    assert group_of(a, "score_group") == group_of(b, "score_group")
    assert difference(a, b) == ""
    assert difference(a, b, "cost_group").startswith(f"different {what}")


def test_everything_that_is_said_to_decide_has_its_case():
    assert set(SCORES.values()) == set(APART)
    assert set(COSTS.values()) == set(APART) | set(MACHINES)


def test_scores_and_costs_of_another_seed_on_one_machine():
    patch = {"meta_info.package_info": {"torch-version": "2.99.1", "peft-version": "0.21.9"}}
    a, b = record(), record(seed=1, **patch)
    assert difference(a, b, "cost_group") == ""
    assert group_of(a, "cost_group") == group_of(b, "cost_group")


def test_generations_of_one_name_are_other_machines():
    one, two = (record(**{"hardware.cpu": "AMD EPYC", "hardware.cpu_model": model}) for model in (1, 17))
    said = "different processors or threads, AMD EPYC (model 1) and AMD EPYC (model 17)"
    assert difference(one, two, "cost_group") == said


def test_another_harness_is_a_group_of_its_own():
    ours_, theirs = record(), record(published())
    assert "protocol" in difference(ours_, theirs | {key: ours_[key] for key in ("task", "model", "model_version")})
    again = published("lora/other", **{"meta_info.dataset_info": {"gsm8k": {"sha": "another description"}}})
    assert difference(theirs, record(again), "cost_group") == ""


def test_a_comparison_stays_within_the_groups_that_its_columns_need():
    assert group_for(["score", "storage", "trainable_params"]) == "score_group"
    for key in ("memory_train", "train_tokens_per_second", "train_time", "overhead_merged", "energy"):
        assert group_for(["score", key]) == "cost_group"
    timed = [key for key, column in COLUMNS.items() if column.unit in ("seconds", "rate", "ratio", "joules")]
    assert all(COLUMNS[key].machine for key in timed)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, ""),
        ({"train_info.status": "diverged", "quality.test_scores": []}, "ended as diverged"),
        ({"overrides": {"max_steps": 1}}, "parameters were changed on the command line"),
        ({"profile": True}, "a profile, with random weights"),
        ({"scores": ()}, "no test score"),
    ],
    ids=str,
)
def test_what_is_not_ranked_says_why(changes, why):
    assert unranked(record(**changes)) == why


def test_runs_of_one_experiment_share_their_settings():
    def settings(config="a", rank=8, **train):
        return json.dumps({"train": train, "peft": {"r": rank}, "config": config}).encode()

    assert differing_setting([settings(lr=1, steps=2), settings(steps=2, lr=1)]) == ""
    assert differing_setting([settings(lr=1), settings(lr=1, new=None)]) == ""  # the older run did not know it
    assert differing_setting([settings(lr=1), settings(lr=2)]) == "lr"
    assert differing_setting([settings(), settings("b", rank=4)]) == "r"
    assert differing_setting([settings(""), settings("", rank=4)]) == "r"  # what was asked for is not known
    assert differing_setting([settings(), settings(rank=4)]) == ""  # the method settled it from the rows it saw


def test_major_versions():
    versions = {"torch-version": "2.13.0+cpu", "transformers-version": "5.23.0.dev0", "peft-version": "0.21.2"}
    assert libraries(versions) == "torch 2, transformers 5, peft 0.21"
    assert libraries({"torch-version": None}) == ""

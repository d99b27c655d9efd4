"""suite.py tune: the grid is run on valid, written down whole, continued, and applied only where nothing rests on it."""

import json
import shutil

import pytest

from harness.errors import UserError
from harness.experiment import ROOT, find_experiment, read_experiment
from harness.plan import Plan
from harness.purpose import tuning_of
from harness.result import tuning
from harness.result.tuning import Tuning, budget_of, read_tuning, tunings_of, unequal_budgets
from harness.suite import tune

RATE = "optimizer_kwargs.lr"


def with_rate(value):
    """Parameters of a run, as far as its tuning is concerned."""
    return {"optimizer_kwargs": {"lr": value}}


@pytest.fixture
def checkout(tmp_path, monkeypatch, stand_in):
    """A copy of the content, in which the stand-in's trials are written down."""
    root = tmp_path / "checkout"
    shutil.copytree(
        ROOT / "method_comparison", root / "method_comparison", ignore=shutil.ignore_patterns("tuning.json")
    )
    monkeypatch.setattr(tune, "find_experiment", lambda text: find_experiment(text, root))
    monkeypatch.setenv("CHECKOUT", str(root))
    return root


def run_tune(checkout, experiment, values, *more):
    task = "SuperGLUE" if "t5" in experiment else "MetaMathQA"
    folder = checkout / "method_comparison" / task / "experiments" / experiment
    given = [str(folder), "--key", RATE, "--values", values, "--output", str(checkout / "output"), "--device", "cpu"]
    return folder, tune.main([*given, *more])


def test_the_record_holds_the_whole_grid_and_what_was_chosen(checkout, stand_in, capsys):
    folder, code = run_tune(checkout, "lora/embedded-llama-rank8", "5e-4,5e-3,2.0", "--seeds", "0", "1")
    assert code == 0
    record = read_tuning(folder)
    assert (record.key, record.values, record.seeds, record.chosen) == (RATE, [5e-4, 5e-3, 2.0], [0, 1], 5e-3)
    assert [one.status for one in record.trials] == ["success", "success", "diverged"] * 2
    assert record.mean(5e-3) == 1.0
    assert record.mean(2.0) is None
    assert record.budget == "best of 3 rates, 2 seeds"
    assert record.steps == 160
    assert record.valid_rows == {"": 50}
    assert record.hardware == ["fake"]
    printed = capsys.readouterr().out
    assert "0.0005: 99.6, **0.005: 100.0**, 2: failed" in printed
    assert f"has the chosen value, {RATE} = 0.005" in printed
    assert (
        budget_of("MetaMathQA", "lora/embedded-llama-rank8", with_rate(5e-3), checkout) == "best of 3 rates, 2 seeds"
    )


def test_a_second_call_makes_only_new_trials_and_adds_to_the_budget(checkout, stand_in):
    folder, _ = run_tune(checkout, "ia3/embedded-llama", "0.02,0.2")
    assert len(stand_in.begun()) == 2
    run_tune(checkout, "ia3/embedded-llama", "0.02,0.2")
    assert len(stand_in.begun()) == 2
    run_tune(checkout, "ia3/embedded-llama", "0.06")
    assert len(stand_in.begun()) == 3
    (folder / "tuning.json").write_text((folder / "tuning.json").read_text().replace('"success"', '"cancelled"'))
    run_tune(checkout, "ia3/embedded-llama", "0.02,0.2")
    assert len(stand_in.begun()) == 3, "its result is at hand"
    record = read_tuning(folder)
    assert record.values == [0.02, 0.2, 0.06]
    assert record.budget == "best of 3 rates, 1 seed"
    assert record.chosen == 0.02
    assert budget_of("MetaMathQA", "ia3/embedded-llama", with_rate(0.2), checkout) == "untuned", "it had another value"


def test_subsets_have_one_value_by_their_mean(checkout, stand_in):
    folder, _ = run_tune(checkout, "lora/embedded-t5-qv-rank8", "1e-3,5e-3")
    record = read_tuning(folder)
    assert record.subsets == ["boolq", "rte", "copa"]
    assert len(record.trials) == 6
    assert record.mean(5e-3) == pytest.approx(1 - (0.05 + 0.03 + 0.04) / 3)
    assert record.valid_rows == {"boolq": 50, "rte": 50, "copa": 50}


def test_apply_writes_the_value_where_no_result_rests_on_the_old_one(checkout, stand_in):
    folder, _ = run_tune(checkout, "ia3/embedded-llama", "0.02,0.2", "--apply")
    assert read_experiment(folder).params.optimizer_kwargs == {"lr": 0.02, "weight_decay": 0.0}
    result = checkout / "output/results/MetaMathQA/fake/ln_tuning--embedded-llama--seed0.json"
    result.parent.mkdir(parents=True)
    result.write_text("{}")
    with pytest.raises(UserError, match="was made with 0.1"):
        run_tune(checkout, "ln_tuning/embedded-llama", "0.02,0.2", "--apply")


def test_a_record_of_another_state_of_the_folder_is_not_continued(checkout, stand_in):
    folder, _ = run_tune(checkout, "ia3/embedded-llama", "0.02,0.2")
    params = json.loads((folder / "training_params.json").read_text())
    (folder / "training_params.json").write_text(json.dumps(params | {"warmup_ratio": 0.5}))
    run_tune(checkout, "ia3/embedded-llama", "0.06")
    assert read_tuning(folder).values == [0.06]


def test_mistakes_are_one_line(checkout, stand_in):
    with pytest.raises(UserError, match="gives a value twice"):
        run_tune(checkout, "ia3/embedded-llama", "0.1,1e-1")
    with pytest.raises(UserError, match="no value has a score"):
        run_tune(checkout, "ia3/embedded-llama", "2.0")
    folder = checkout / "method_comparison/MetaMathQA/experiments/ia3/embedded-llama"
    with pytest.raises(UserError, match="no such key"):
        tune.main([str(folder), "--key", "optimizer_kwargs.rate", "--values", "1", "--output", str(checkout)])
    (folder / "tuning.json").write_text('{"key": "lr"}')
    with pytest.raises(UserError, match="tuning.json: protocol: Field required"):
        read_tuning(folder)


def test_a_trial_is_scored_once_on_all_of_valid():
    folder = ROOT / "method_comparison/MetaMathQA/experiments/lora/embedded-llama-rank8"
    params = tuning_of(read_experiment(folder)).params
    assert (params.valid_samples, params.eval_steps) == (None, 160)
    shorter = tuning_of(read_experiment(folder, {"eval_steps": 3, "valid_samples": 5})).params
    assert (shorter.valid_samples, shorter.eval_steps) == (5, 3)
    plan = Plan(tuning_of(read_experiment(folder)), tuning=True)
    assert "--tune" in plan.arguments
    assert plan.runs_folder.name.endswith("--tuning")


def test_unequal_budgets_are_told():
    assert unequal_budgets(["untuned", "untuned", ""]) == ""
    assert unequal_budgets(["untuned", "best of 4 rates, 1 seed"]) == (
        "unequal tuning budgets: best of 4 rates, 1 seed; untuned"
    )
    assert budget_of("MetaMathQA", "lora/llama-3.2-3B-rank32", with_rate(1e-4)) == "untuned"
    assert budget_of("MetaMathQA", "lora/of-somebody-else", {}) == ""


@pytest.mark.parametrize("task", sorted(path.parent.name for path in (ROOT / "method_comparison").glob("*/data.py")))
def test_the_committed_records_are_whole(task):
    records = tunings_of(task)
    assert len(records) >= 3 or task != "MetaMathQA"
    for name, record in records:
        folder = ROOT / "method_comparison" / task / "experiments" / name
        assert tune.compatible(record, folder, record.key) is not None, "of the folder as it is"
        assert len(record.trials) == len(record.values) * len(record.seeds) * len(record.subsets)
        assert record.chosen == tuning.best(
            record.values, list(map(record.mean, record.values)), record.higher_is_better
        )
        assert Tuning.model_validate_json(record.model_dump_json()) == record

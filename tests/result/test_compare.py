"""`python -m harness.compare`: what it reads, what it says, what it refuses."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from result_files import ours, published
from result_files import write as files

from harness.compare import main
from harness.experiment import ROOT
from harness.result.compare import parse_experiment
from harness.result.provenance import committed as committed_results
from harness.result.uncertainty import compare_seeds, wilson_interval

COMMITTED = committed_results(ROOT)
TEMPLATE = next(path for path in COMMITTED if path.name == "lora--embedded-llama-rank8--seed0.json")


def right(count: int, n: int = 100, first: int = 0) -> list[float]:
    """Of n items, `count` right ones from the given one on."""
    return [float(first <= item < first + count) for item in range(n)]


@pytest.fixture
def write(tmp_path):
    """Writes one result file; keyword arguments change its sections."""

    def call(
        experiment, seed, scores, task="Sums", subset=None, hardware="cpu-test", folder="results", **changes
    ) -> Path:
        content = json.loads(TEMPLATE.read_text())
        method, name = experiment.split("/")
        content |= {"protocol": 1, "method": method, "name": name, "seed": seed}
        content["run_info"]["experiment_name"] = experiment
        content["run_info"]["train_config"]["seed"] = seed
        content["task"] |= {"name": task, "subset": subset, "test_rows": len(scores)}
        content["hardware"]["slug"] = hardware
        content["quality"] |= {"test_scores": scores, "test_score": sum(scores) / len(scores)}
        for path, value in changes.items():
            *parts, last = path.split("__")
            inner = content
            for part in parts:
                inner = inner[part]
            inner[last] = value
        stem = "--".join(filter(None, (method, name, subset, f"seed{seed}")))
        path = tmp_path / folder / task / hardware / f"{stem}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
        return path

    return call


@pytest.fixture
def compare(tmp_path, capsys):
    """Calls the command line on the written results: exit code, output, error."""

    def call(*arguments, folders=("results",)):
        given = [part for folder in folders for part in ("--results", str(tmp_path / folder))]
        code = main([*arguments, *given])
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def committed(tmp_path):
    """The tracked results, without what whoever runs the tests has added."""
    for path in COMMITTED:
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)


def verdict(output: str) -> str:
    lines = [line.strip() for line in output.splitlines()]
    return next(line for line in lines[4:] if not line.startswith(("tuning: ", "warning: ")))


# Committed results ---------------------------------------------------------------------------------------------------


def test_a_difference_that_is_real(committed, compare):
    code, output, _ = compare("lora/embedded-llama-rank8", "ia3/embedded-llama")
    assert (code, verdict(output)) == (0, "A is better")
    code, mirrored, _ = compare("ia3/embedded-llama", "lora/embedded-llama-rank8")
    assert (code, verdict(mirrored)) == (0, "B is better")


def test_a_difference_that_is_not_seen(committed, compare):
    """LoRA and DoRA: 77 and 81 %, but DoRA's seeds are 7 points apart."""
    code, output, _ = compare("lora/embedded-llama-rank8", "lora/embedded-llama-rank8-dora")
    assert (code, verdict(output)) == (0, "no difference seen")


def test_it_runs_as_a_module():
    command = [sys.executable, "-m", "harness.compare", "lora/embedded-llama-rank8", "nonsense/nothing"]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 2
    assert finished.stderr.startswith("error: nonsense/nothing: no results in results; expected one of: ")
    assert finished.stderr.count("\n") == 1


# How experiments are named -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "task"),
    [
        ("lora/x", None),
        ("lora/x/", None),
        ("experiments/lora/x", None),
        ("MetaMathQA/experiments/lora/x", "MetaMathQA"),
        ("method_comparison/MetaMathQA/experiments/lora/x/", "MetaMathQA"),
        ("/elsewhere/method_comparison/CNNDM/experiments/lora/x", "CNNDM"),
    ],
)
def test_an_experiment_as_users_type_it(text, task):
    side = parse_experiment(text)
    assert (side.name, side.task or None) == ("lora/x", task)


def test_a_path_from_the_tasks_folder(monkeypatch):
    monkeypatch.chdir(ROOT / "method_comparison" / "MetaMathQA")
    side = parse_experiment("experiments/lora/embedded-llama-rank8")
    assert (side.name, side.task) == ("lora/embedded-llama-rank8", "MetaMathQA")


# Hand-made results ---------------------------------------------------------------------------------------------------


def test_seeds_are_the_units(write, compare):
    for seed, (a, b) in enumerate([(80, 60), (82, 61), (81, 65)]):
        write("lora/a", seed, right(a))
        write("lora/b", seed, right(b))
    code, output, _ = compare("lora/a", "lora/b")
    expected = compare_seeds([0.80, 0.82, 0.81], [0.60, 0.61, 0.65])
    assert code == 0
    assert output.splitlines()[0] == "Sums, protocol 1, cpu-test, embedded/llama: accuracy in %"
    assert "A  lora/a  81.0, std 1.0, 95 % interval 78.5 to 83.5; seeds 0, 1, 2: 80.0 / 82.0 / 81.0" in output
    bounds = f"{100 * expected.low:+.1f} to {100 * expected.high:+.1f}"
    assert (
        f"A - B: +19.0 points, 95 % interval {bounds}; p = {expected.p_value:.3f}, Welch's t-test over seeds" in output
    )
    assert verdict(output) == "A is better"
    _, stricter, _ = compare("lora/a", "lora/b", "--confidence", "0.999")
    assert verdict(stricter) == "no difference seen"


def test_lower_may_be_better(write, compare):
    for seed in range(3):
        write("lora/a", seed, right(80 + seed), task__higher_is_better=False)
        write("lora/b", seed, right(60 + seed), task__higher_is_better=False)
    _, output, _ = compare("lora/a", "lora/b")
    assert "lower is better" in output.splitlines()[0]
    assert verdict(output) == "B is better"


def test_seeds_may_differ_and_all_are_used(write, compare):
    for seed in (0, 1):
        write("lora/a", seed, right(70 + seed))
    for seed in (1, 2, 10):
        write("lora/b", seed, right(71 - seed))
    _, output, _ = compare("lora/a", "lora/b")
    assert "seeds 0, 1: 70.0 / 71.0" in output
    assert "seeds 1, 2, 10: 70.0 / 69.0 / 61.0" in output
    assert "the seeds differ: all of each are used" in output


def test_one_seed_each_speaks_of_two_models(write, compare):
    write("lora/a", 0, right(60))
    write("lora/b", 0, right(40))
    code, output, _ = compare("lora/a", "lora/b")
    interval = wilson_interval(0.6, 100)
    assert code == 0
    assert f"60.0, seed 0 alone, 95 % interval {100 * interval.low:.1f} to {100 * interval.high:.1f}" in output
    assert "exact McNemar test over items" in output
    assert verdict(output).startswith("A is better, of these two trained models only (A's seed 0 and B's seed 0)")
    assert "more seeds would compare the methods" in output


def test_as_right_on_other_items_is_no_difference(write, compare):
    write("lora/a", 0, right(50))
    write("lora/b", 1, right(50, first=50))
    _, output, _ = compare("lora/a", "lora/b")
    assert "p = 1.000" in output
    assert verdict(output).startswith("no difference seen, of these two trained models only")


def test_one_seed_against_several_pairs_the_shared_seed(write, compare):
    for seed in range(3):
        write("lora/a", seed, right(60 + seed))
    write("lora/b", 2, right(60))
    _, output, _ = compare("lora/a", "lora/b")
    assert "A's seed 2 and B's seed 2" in output
    assert "A - B: +2.0 points" in output


def test_graded_scores(write, compare):
    write("lora/a", 0, [0.2 + item / 200 for item in range(100)], task__metric="ROUGE-L")
    write("lora/b", 0, [0.1 + item / 201 for item in range(100)], task__metric="ROUGE-L")
    _, output, _ = compare("lora/a", "lora/b")
    assert "ROUGE-L in %" in output.splitlines()[0]
    assert "BCa over 100 items" in output
    assert "paired t-test over items" in output


def test_seeds_without_spread_are_not_tested(write, compare):
    for seed in range(2):
        write("lora/a", seed, right(60))
        write("lora/b", seed, right(70))
    code, output, _ = compare("lora/a", "lora/b")
    assert code == 0
    assert "60.0, std 0.0, no interval" in output
    assert verdict(output) == "not tested: neither one's seeds differ: there is no spread to test against"


def test_every_task_and_subset_has_its_own_comparison(write, compare):
    for seed in (0, 1):
        for experiment, plus in (("lora/a", 0), ("lora/b", 5)):
            for subset in ("rte", "copa"):
                write(experiment, seed, right(60 + plus + seed), task="Glue", subset=subset)
            write(experiment, seed, right(50 + plus + seed), task="Sums")
        write("lora/a", seed, right(61 + seed), task="Alone")
    code, output, _ = compare("lora/a", "lora/b")
    assert code == 0
    titles = [
        line.split(",")[0] for line in output.splitlines() if "protocol 1" in line and not line.startswith("note")
    ]
    assert titles == ["Glue/copa", "Glue/rte", "Sums"]
    assert "note: no results of lora/b on Alone, protocol 1, cpu-test" in output
    assert "note: 3 comparisons" in output
    assert compare("lora/a", "lora/b", "--task", "Glue", "--subset", "rte")[1].count("A - B") == 1
    assert compare("Glue/experiments/lora/a", "lora/b")[1].count("A - B") == 2


def test_scores_of_two_machines_count_together_and_are_marked(write, compare):
    """Of a seed that both ran, the run on the machine that ran more seeds."""
    for seed in (0, 1, 3):
        write("lora/a", seed, right(60 + seed), hardware="nvidia-test")
        write("lora/b", seed, right(70 + seed), hardware="nvidia-test")
    write("lora/a", 1, right(10), hardware="cpu-test")
    write("lora/a", 2, right(65), hardware="cpu-test")
    code, output, _ = compare("lora/a", "lora/b")
    assert code == 0
    assert output.startswith("Sums, protocol 1, cpu-test and nvidia-test, embedded/llama: accuracy in %\n")
    assert "seeds 0, 1, 2, 3: 60.0 / 61.0 / 65.0 / 63.0" in output
    assert "on different hardware: scores can be compared, memory and speed cannot" in output
    assert "cpu-test/lora--a--seed1.json left out: " in output


def test_several_folders_and_a_run_found_twice(write, compare):
    """The newest counts, as on the dashboard."""
    for seed, folder in ((0, "results"), (0, "mine"), (1, "mine")):
        day = "2027-01-02" if folder == "mine" else "2027-01-01"
        scores = right(60 + seed + (folder == "mine"))
        write("lora/a", seed, scores, folder=folder, run_info__created_at=f"{day}T00:00:00Z")
    for seed in (0, 1):
        write("lora/b", seed, right(70 + seed))
    code, output, _ = compare("lora/a", "lora/b", folders=("results", "mine"))
    assert code == 0
    assert "seeds 0, 1: 61.0 / 62.0" in output
    assert "results/Sums/cpu-test/lora--a--seed0.json left out: the same run as " in output


def test_what_did_not_succeed_is_left_out(write, compare):
    for seed in range(2):
        write("lora/a", seed, right(60 + seed))
        write("lora/b", seed, right(70 + seed))
    write("lora/b", 2, right(10), overrides={"max_steps": 3})
    write("lora/b", 3, right(10), train_info__status="diverged")
    code, output, _ = compare("lora/a", "lora/b")
    assert code == 0
    assert "seeds 0, 1: 70.0 / 71.0" in output
    assert output.count("left out: not a successful, unmodified run") == 2


def test_a_longer_name_is_another_experiment(write, compare):
    write("lora/a", 0, right(60))
    write("lora/b", 0, right(70))
    write("lora/b-long", 1, right(10))
    assert "B  lora/b  70.0, seed 0 alone" in compare("lora/a", "lora/b")[1]


def test_results_of_another_harness_are_compared_as_far_as_they_tell(tmp_path, compare):
    """They have one seed and no scores by item: the figures are shown, and nothing is tested."""
    files(tmp_path / "results" / "CNNDM", published("lora/a", 0.478), published("lora/b", 0.401), ours("lora/a"))
    code, output, _ = compare("lora/a", "lora/b")
    assert code == 0
    assert (
        output.splitlines()[0]
        == "CNNDM, protocol of another harness, nvidia-l40s, meta-llama/Llama-3.2-3B: accuracy in %"
    )
    assert "A  lora/a  47.8, seed 0 alone, no interval" in output
    assert "A - B: +7.7 points, no interval" in output
    assert verdict(output).startswith("not tested: one seed, and no scores of the same items")
    assert "note: no results of lora/b on MetaMathQA, protocol 1" in output


# Refusals ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"protocol": 2}, "nothing to compare: Sums is not comparable: different protocols, 1 and 2\n"),
        ({"task": "Other"}, "no results of lora/b on Sums"),
        ({"run_info__train_config__model_id": "embedded/t5"}, "different base models, embedded/llama and embedded/t5"),
        ({"provenance__base_model_fingerprint": "0"}, "different versions of the base model"),
        ({"provenance__data_fingerprint": "0"}, "different data"),
        ({"task__metric": "ROUGE-L"}, "different metrics, ROUGE-L and accuracy"),
        ({"scores": right(50, 90)}, "different data"),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_not_comparable_is_refused(write, compare, changes, message):
    for seed in (0, 1):
        write("lora/a", seed, right(60))
        write("lora/b", seed, **({"scores": right(50)} | changes))
    code, output, error = compare("lora/a", "lora/b")
    assert (code, output) == (2, "")
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("changed", "key"),
    [("run_info__train_config__optimizer_kwargs", "optimizer_kwargs"), ("run_info__peft_config__r", "r")],
)
def test_seeds_of_an_edited_experiment_are_not_one_method(write, compare, changed, key):
    write("lora/a", 0, right(60))
    write("lora/b", 0, right(60))
    asked = {"provenance__config_fingerprint": "f" * 64}
    write("lora/b", 1, right(61), **{changed: 1 if key == "r" else {"lr": 1}}, **asked)
    code, _, error = compare("lora/a", "lora/b")
    assert code == 2
    assert "not one experiment: " in error
    assert "/lora--b--seed0.json and " in error
    assert f"differ in {key}" in error


def test_a_parameter_that_the_older_run_did_not_know_is_no_difference(write, compare):
    config = json.loads(TEMPLATE.read_text())["run_info"]["train_config"] | {"brand_new": None}
    write("lora/a", 0, right(60))
    write("lora/a", 1, right(61), run_info__train_config=config)
    write("lora/b", 0, right(60))
    assert compare("lora/a", "lora/b")[0] == 0


def test_mistakes_are_one_clear_line(write, compare, tmp_path):
    write("lora/rank8", 0, right(60), task="Glue", subset="rte")
    write("lora/rank16", 0, right(60), task="Glue", subset="rte")
    empty = tmp_path / "empty"
    empty.mkdir()
    both = ("lora/rank8", "lora/rank16")
    cases = [
        (("lora/rank8", "lora/rnk16"), {}, 'lora/rnk16: no results in'),
        (("lora/rank8", "lora/rnk16"), {}, 'did you mean "lora/rank16"?'),
        (("lora/rank8", "rank16"), {}, "rank16: expected <method>/<name> or method_comparison/<Task>/experiments/"),
        (("lora/rank8", "lora/rank8/"), {}, "lora/rank8: compared with itself"),
        (("Glue/experiments/lora/rank8", "Sums/experiments/lora/rank16"), {}, "of different tasks, Glue and Sums"),
        ((*both, "--task", "glue"), {}, "lora/rank8: no results of glue; it has some of Glue/rte"),
        ((*both, "--subset", "cola"), {}, "no results of cola; it has some of Glue/rte"),
        ((*both, "--confidence", "95"), {}, "--confidence 95.0: expected a number from 0.5 to below 1"),
        (both, {"folders": ("nowhere",)}, "nowhere: no such folder"),
        (both, {"folders": ("empty",)}, "run an experiment first"),
    ]  # fmt: skip
    for arguments, options, message in cases:
        code, output, error = compare(*arguments, **options)
        assert (code, output) == (2, ""), arguments
        assert error.startswith("error: ")
        assert message in error
        assert error.count("\n") == 1


def test_a_file_that_is_no_result_is_named(write, compare):
    write("lora/a", 0, right(60))
    path = write("lora/b", 0, right(60))
    path.write_text("{}")
    code, _, error = compare("lora/a", "lora/b")
    assert code == 2
    assert "1 left out, the first: " in error
    assert "lora--b--seed0.json left out: Object missing required field `run_info`" in error
    write("lora/b", 1, right(70))
    path.write_text('{"method": ')
    code, output, _ = compare("lora/a", "lora/b")
    assert code == 0
    assert "lora--b--seed0.json left out: not JSON: line 1" in output

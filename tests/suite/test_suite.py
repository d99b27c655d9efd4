"""suite.py: which runs are missing, that each is made once, and that what fails costs no other run anything."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest
from eight import SOME

from harness import profiles
from harness.errors import UserError
from harness.experiment import ROOT, all_experiments
from harness.suite import command
from harness.suite.command import grid_of
from harness.suite.plans import Wanted, estimate, make_plans, state_of
from harness.suite.pools import local_pool


def suite(*arguments, output):
    return command.main([*arguments, "--output", str(output), "--device", "cpu"], "")


def plans(output, **choice):
    return make_plans(
        Wanted(**{"patterns": ("/embedded-llama",), "tasks": ("MetaMathQA",), "output": output} | choice)
    )


def test_a_plan_for_each_subset_seed_and_point_of_the_grid(tmp_path):
    grid = grid_of(["optimizer_kwargs.lr=1e-3,3e-3", "lr_scheduler=none,cosine"])
    assert grid[0] == {"optimizer_kwargs": {"lr": 1e-3}, "lr_scheduler": "none"}
    found = make_plans(Wanted(("lora/embedded-t5-qv",), ("SuperGLUE",), seeds=(0, 1), grid=grid, output=tmp_path))
    assert len(found) == 3 * 2 * 4
    assert len({plan.checkpoint_path for plan in found}) == len(found)
    assert {plan.subset for plan in found} == {"boolq", "rte", "copa"}


def test_a_value_that_is_given_twice_makes_one_run():
    assert grid_of(["max_steps=1,2,1"]) == ({"max_steps": 1}, {"max_steps": 2})


def test_a_whole_name_is_that_experiment_alone():
    assert len(make_plans(Wanted(("lora/embedded-llama-rank8",)))) == 1
    assert len(make_plans(Wanted(("lora/embedded-llama-rank",)))) > 3


def test_what_narrows_the_choice():
    assert {plan.experiment.task for plan in make_plans(Wanted(tasks=("CNNDM",)))} == {"CNNDM"}
    assert {plan.experiment.method for plan in make_plans(Wanted(methods=("ia3",)))} == {"ia3"}
    assert {plan.experiment.params.model_id for plan in make_plans(Wanted(models=("t5-3b",)))} == {"google-t5/t5-3b"}
    with pytest.raises(UserError, match="no experiment matches"):
        make_plans(Wanted(patterns=("nothing-of-the-kind",)))


def test_committed_results_are_done_and_others_missing_or_outdated(tmp_path):
    assert {state_of(plan) for plan in plans(ROOT, patterns=tuple(SOME), seeds=(0, 1, 2))} == {"done"}
    plan = plans(tmp_path, patterns=("lora/embedded-llama-rank8",))[0]
    assert state_of(plan) == "missing"
    (committed,) = (ROOT / "results/MetaMathQA").glob("*/lora--embedded-llama-rank8--seed0.json")
    place = plan.result_path("some-gpu")
    place.parent.mkdir(parents=True)
    shutil.copy(committed, place)
    assert state_of(plan) == state_of(plan, "some-gpu") == "done"
    assert state_of(plan, "another-gpu") == "missing"
    for change in ({"protocol": 0}, {"provenance": {"config_fingerprint": "another"}}):
        place.write_text(json.dumps(json.loads(committed.read_text()) | change))
        assert state_of(plan) == "outdated"
    place.write_text("half a fil")
    assert state_of(plan) == "outdated"


def test_hours_come_from_results_at_hand(tmp_path):
    known, of_model, unknown = (
        plans(ROOT, patterns=("lora/embedded-llama-rank8-dora",))[0],
        plans(ROOT, patterns=("lora/embedded-llama-rank8-dora",), seeds=(9,))[0],
        make_plans(Wanted(("lora/llama-3.2-3B",)))[0],
    )
    seconds = estimate([known, of_model, unknown], ROOT)
    times = [json.loads(path.read_text())["run_info"]["total_time"]
             for path in (ROOT / "results/MetaMathQA").glob("*/lora--embedded-llama-rank8-dora--*.json")]  # fmt: skip
    assert seconds == [sorted(times)[1]] * 2 + [None]
    assert estimate([known], tmp_path) == [None]


def test_each_is_run_once_and_a_second_call_makes_what_is_left(stand_in, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("BEHAVIOUR", json.dumps({"ia3": "refuse", "prompt_tuning": "crash"}))
    output, given = tmp_path / "output", (*SOME, "--task", "MetaMathQA", "--jobs", "2")
    assert suite(*given, output=output) == 1
    printed = capsys.readouterr().out
    assert len(stand_in.begun()) == len(set(stand_in.begun())) == 8
    assert len(stand_in.ended()) == 6
    assert "6 done, 2 failed\n" in printed
    assert "refused: error: it cannot be done" in printed
    assert "killed by SIGSEGV" in printed
    for line in printed.splitlines():
        if "log: " in line:
            assert os.path.isfile(line.split("log: ")[1])
    monkeypatch.setenv("BEHAVIOUR", "{}")
    assert suite(*given, output=output) == 0
    assert sorted(stand_in.begun()[8:]) == [
        "ia3--embedded-llama--seed0", "prompt_tuning--embedded-llama-tokens20--seed0"
    ]  # fmt: skip
    assert suite(*given, output=output) == 0
    assert len(stand_in.begun()) == 10


def test_a_grid_is_resumed_too(stand_in, tmp_path):
    given = ("ia3/embedded-llama", "--grid", "optimizer_kwargs.lr=1e-3,3e-3")
    for _ in range(2):
        assert suite(*given, output=tmp_path / "output") == 0
    assert len(stand_in.begun()) == 2


def test_cores_and_gpus_are_shared_out(stand_in, tmp_path, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("harness.suite.pools.cores", lambda: 8)
    suite(*SOME[1:4], "--task", "MetaMathQA", "--jobs", "2", output=tmp_path / "a")
    assert {line["OMP_NUM_THREADS"] for line in stand_in.lines("begins")} == {"4"}
    assert local_pool("cpu", 1, None).slots == 1
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    assert local_pool(None, None, None).slots == 2
    assert local_pool(None, 1, None).slots == 1
    command.main([*SOME[1:3], "--task", "MetaMathQA", "--seeds", "7", "8", "--output", str(tmp_path / "b")], "")
    assert {line["CUDA_VISIBLE_DEVICES"] for line in stand_in.lines("begins")[3:]} == {"2", "5"}


def test_instead_of_running(stand_in, tmp_path, capsys):
    given = ("/embedded-llama", "--task", "MetaMathQA", "--method", "ia3", "--seeds", "0", "1")
    assert suite(*given, "--print-commands", output=tmp_path) == 0
    line = capsys.readouterr().out.splitlines()[0]
    assert line.startswith(
        "python run.py method_comparison/MetaMathQA/experiments/ia3/embedded-llama --seed 0 --resume"
    )
    assert suite(*given, "--dry-run", output=ROOT) == 0
    assert capsys.readouterr().out == "nothing to be made\n"
    assert suite(*given, "--dry-run", output=tmp_path) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("2 runs of which no result at hand tells")
    assert not stand_in.begun()


def test_this_machine_is_asked_what_it_is_once(tmp_path, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(command, "this_machine", lambda device: asked.append(device) or "another-gpu")
    given = (*SOME, "--task", "MetaMathQA", "--dry-run", "--here")
    assert suite(*given, output=ROOT) == 0
    assert asked == ["cpu"]
    assert capsys.readouterr().out.count("embedded-llama") == 8, "none of them has a result there"


def test_outdated_results_are_made_again_only_when_told(stand_in, tmp_path, capsys):
    (plan,) = plans(tmp_path, methods=("ia3",))
    place = plan.result_path("fake")
    place.parent.mkdir(parents=True)
    place.write_text("{}")
    given = ("/embedded-llama", "--task", "MetaMathQA", "--method", "ia3")
    assert suite(*given, output=tmp_path) == 0
    assert "--overwrite makes them again" in capsys.readouterr().err
    assert not stand_in.begun()
    assert suite(*given, "--overwrite", output=tmp_path) == 0
    assert state_of(plan) == "done"


def start_suite(tmp_path, stand_in, *arguments):
    """suite.py's main in a process of its own, on the stand-in; returns when the first runs have begun."""
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from harness.suite import command, pools\n"
        f"pools.ROOT = Path({str(tmp_path / 'stand-in')!r})\n"
        f"sys.exit(command.main({[*arguments, '--output', str(tmp_path / 'output'), '--device', 'cpu']!r}, ''))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    deadline = time.time() + 60
    while len(stand_in.lines("begins")) < 2 and time.time() < deadline:
        time.sleep(0.1)
    return process


def gone(pid, patience=20):
    deadline = time.time() + patience
    while time.time() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_run_outlives_the_suite(sent, stand_in, tmp_path, monkeypatch):
    monkeypatch.setenv("SECONDS", "300")
    process = start_suite(tmp_path, stand_in, *SOME, "--task", "MetaMathQA", "--jobs", "2")
    time.sleep(0.5)
    process.send_signal(sent)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == (130 if sent != signal.SIGKILL else -9)
    if sent != signal.SIGKILL:
        assert "0 done, 0 failed, 8 stopped or not begun" in printed
    pids = [line["pid"] for line in stand_in.lines("begins")]
    assert len(pids) == 2, "nothing new was begun"
    assert all(gone(pid) for pid in pids)


def test_outcomes_come_as_they_end(stand_in, tmp_path, monkeypatch):
    """One slot that is busy for ever keeps no other job waiting, and stopping ends it."""
    from harness.suite.pools import Job

    monkeypatch.setenv("BEHAVIOUR", json.dumps({"ia3": "wait"}))
    jobs = [Job(plan) for plan in plans(tmp_path, patterns=tuple(SOME))]
    pool, names = local_pool("cpu", 2, 1), []
    for outcome in pool.run(jobs):
        names.append(outcome.job.plan.experiment.method)
        if len(names) == len(jobs) - 1:
            break
    pool.stop()
    assert "ia3" not in names
    assert threading.active_count() < 10
    assert all(gone(line["pid"]) for line in stand_in.lines("begins"))


@pytest.mark.slow
def test_profiles_of_a_model_are_made_once(stand_in, tmp_path, capsys):
    given = ["ia3/", "--device", "cpu", "--output", str(tmp_path / "output")]
    assert profiles.main(given) == 0
    folders = [folder.name for folder in all_experiments() if folder.parent.name == "ia3"]
    made = stand_in.ended()
    assert any("llama-3.2-3B" in name for name in made)
    assert not any("embedded" in name for name in made)
    assert {name.split("--")[1] for name in made} == {name for name in folders if "embedded" not in name}
    assert profiles.main(given) == 0
    assert stand_in.ended() == made
    assert profiles.main(["ia3/embedded-llama"]) == 2
    assert "error: 'ia3/embedded-llama': names embedded experiments only" in capsys.readouterr().err

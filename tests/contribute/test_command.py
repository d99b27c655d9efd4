"""The command line as a stranger uses it: processes, exit codes, the report for people and the one for programs."""

import json
import re
import subprocess
import sys

import pytest
from trees import EMBEDDED, LORA

from harness.contribute import check, command, report, spread
from harness.contribute.check import choose, reviews
from harness.contribute.concerns import Review, error, warning
from harness.contribute.spread import last_line, score_spread
from harness.contribute.worker import LOOKS
from harness.experiment import ROOT


class InThisProcess:
    """Stands for the worker's process, which takes seconds to start."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def look_at(self, kind, folder):
        return LOOKS[kind](folder) if kind in ("experiment", "forecast") else Review(folder.name)


@pytest.fixture
def call(tree, monkeypatch, capsys):
    monkeypatch.setattr(check, "Bounded", InThisProcess)

    def call(*arguments):
        code, said = command.main(["check", *arguments], "", tree.root), capsys.readouterr()
        return code, said.err + said.out

    return call


def contribute(*arguments, root=ROOT):
    return subprocess.run(
        [sys.executable, "contribute.py", *arguments], cwd=root, capture_output=True, text=True, timeout=500
    )


def test_the_report_for_people(tree, call):
    tree.write("lora/embedded-llama-rank9", LORA, EMBEDDED | {"banana": 1})
    tree.write("lora/embedded-llama-k", LORA, EMBEDDED)
    code, printed = call("lora/embedded-llama-rank9", "lora/embedded-llama-k")
    assert code == 1
    assert "  ERROR      training_params.json: banana: unknown key" in printed
    assert "  trains     8,192 of 1,779,392 parameters (0.46 %)\n  stores     32.0 KiB" in printed
    assert "  changes    optimizer_kwargs.lr 0.0001 -> 0.007" in printed
    assert re.search(r"\n  forecast   needs \d+\.\d GiB: training \d.* with 32 rows of 256, evaluation ", printed)
    assert printed.endswith("1 error, no warnings\n")
    code, printed = call("lora/embedded-llama-k")
    assert (code, printed.splitlines()[-1]) == (0, "no errors, no warnings; nothing has to be put right")


def test_what_cannot_be_forecast_is_no_error(tree, call):
    tree.write("lora/embedded-llama-int8", LORA, EMBEDDED | {"dtype": "int8"})
    code, printed = call("lora/embedded-llama-int8")
    assert code == 0
    assert "  forecast   No forecast: " in printed


def test_warnings_alone_are_clean(tree, call):
    tree.write("loha/embedded-llama-k", LORA, EMBEDDED)
    code, printed = call("loha/embedded-llama-k")
    assert code == 0
    assert "WARNING    lies in loha/, but is LORA" in printed
    assert "no errors, 1 warning" in printed


def test_the_report_for_programs(tree, call):
    tree.write("lora/embedded-llama-k", LORA | {"rr": 1}, EMBEDDED)
    code, printed = call("lora/embedded-llama-k", "--json")
    found = json.loads(printed)
    assert (code, found["errors"], found["warnings"]) == (1, 1, 0)
    assert found["reviews"][0]["concerns"][0]["level"] == "error"


def test_fix_comes_first(tree, call):
    tree.write(
        "lora/embedded-llama-k", LORA | {"peft_version": "0.1", "auto_mapping": {"a": 1}, "bias": "none"}, EMBEDDED
    )
    assert call("lora/embedded-llama-k")[0] == 1
    code, printed = call("lora/embedded-llama-k", "--fix")
    assert code == 0
    assert "adapter_config.json: left out defaults (auto_mapping, bias, peft_version)" in printed
    assert json.loads((tree.folder("lora/embedded-llama-k") / "adapter_config.json").read_text()) == LORA


def test_everything_is_looked_at_by_default(tree, call):
    (tree.folder("lora") / "stray.txt").write_text("")
    code, printed = call()
    assert code == 1
    assert "stray.txt: expected an experiment's folder" in printed
    assert printed.count("experiments/") == 4
    assert len(choose([], None, tree.root).tasks) == 1


def test_many_clean_folders_have_a_line_each(capsys):
    clean = Review("a/b", {"measured": "x"})
    strange = Review("c", {}, [warning("c: odd\n\x1b"), error("c/d: wrong")])
    assert report.print_report([clean, strange], many=True) == 1
    assert capsys.readouterr().out.splitlines() == [
        "ok  a/b",
        "c",
        "  WARNING    odd \\x1b",
        "  ERROR      d: wrong",
        "1 error, 1 warning",
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["check", "lora/never"], "error: experiments/lora/never: no such experiment folder"),
        (["check", "--base", "never"], "error: --base: never"),
    ],
)
def test_mistakes_have_one_line_and_code_2(arguments, said):
    done = contribute(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == 1


def test_the_last_word_of_a_process():
    assert last_line("a\nerror: b\n") == "b"
    assert last_line("") == "no word of why"


def commands_of(text):
    """The lines of the first shell block that makes an experiment."""
    blocks = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
    return next(block for block in blocks if "contribute.py new " in block).splitlines()


@pytest.mark.slow
def test_the_way_of_a_stranger_as_contributing_says_it(copied):
    said = [
        line
        for line in commands_of((copied / "CONTRIBUTING.md").read_text())
        if line.startswith("python contribute.py")
    ]
    assert [line.split()[2] for line in said] == ["new", "check"]
    for line in said:
        done = subprocess.run(
            line.replace("python", sys.executable, 1), shell=True, cwd=copied, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert "rehearsal  rehearsal passed" in done.stdout
    assert "35,266,560 of 3,248,016,384" in done.stdout


@pytest.mark.slow
def test_a_rehearsal_that_fails_is_an_error(copied):
    """Of what shows only in a run."""
    folder = copied / "method_comparison/MetaMathQA/experiments/prefixtuning/embedded-llama-tokens4"
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text('{"peft_type": "PREFIX_TUNING", "num_virtual_tokens": 4}')
    (folder / "training_params.json").write_text(json.dumps(EMBEDDED | {"gradient_checkpointing": True}))
    done = contribute("check", "prefixtuning/embedded-llama-tokens4", "--rehearse", root=copied)
    assert done.returncode == 1, done.stdout
    assert re.search("its rehearsal failed: .*gradient checkpointing", done.stdout)


@pytest.mark.slow
def test_a_new_task_separates_trained_from_untrained(copied):
    assert contribute("new-task", "Sums", root=copied).returncode == 0
    done = contribute("check", "method_comparison/Sums", root=copied)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"untrained and trained [\d.]+, [\d.]+", done.stdout)
    defaults = copied / "method_comparison/Sums/default_training_params.json"
    defaults.write_text(defaults.read_text().replace('"lr": 0.005', '"lr": 1e-9'))
    _, (found,) = score_spread(copied / "method_comparison/Sums/experiments/lora/embedded-llama-rank8", copied)
    assert "could be chance" in found.message


@pytest.mark.slow
def test_rehearsing_is_asked_of_run_py(tree, monkeypatch):
    """Which is a process of its own: its last words are the report's."""
    asked = []

    def run(arguments, **_):
        asked.append(arguments[1:])
        return subprocess.CompletedProcess(arguments, len(asked) - 1, "…\nrehearsal passed: x\n", "…\nerror: no\n")

    monkeypatch.setattr(check, "Bounded", InThisProcess)
    monkeypatch.setattr(spread.subprocess, "run", run)
    selection = choose(["lora/embedded-llama-rank8", "lora/llama-3.2-3B-rank32"], None, tree.root)
    passed, failed = reviews(selection, True, tree.root)
    assert passed.facts["rehearsal"] == "rehearsal passed"
    assert failed.concerns[0].message.endswith("rank32: its rehearsal failed: no")
    assert asked[0][2:] == ["--device", "cpu", "--rehearse"]

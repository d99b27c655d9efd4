"""A task's contract: what new-task writes keeps it, and each broken promise is told; all in one command."""

import json
import re

import pytest
from trees import only

from harness.contribute import command
from harness.contribute.contract import review_task
from harness.contribute.new_task import TEMPLATE
from harness.contribute.spread import smallest_experiment
from harness.errors import UserError
from harness.experiment import ROOT

DATA = (TEMPLATE / "data.py").read_text()


@pytest.fixture
def sums(tree):
    """The task that new-task writes; a call looks at it with changed text in data.py."""
    command.main(["new-task", "Sums"], "", tree.root)
    folder = tree.root / "method_comparison" / "Sums"

    def look(*changes):
        text = DATA
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        (folder / "data.py").write_text(text)
        return [f"{one.level}: {one.message}" for one in review_task(folder).concerns]

    look.folder = folder
    return look


def test_a_new_task_keeps_its_promises(sums):
    assert sums() == []
    assert review_task(sums.folder).facts == {
        "metric": "accuracy", "subsets": [], "rows": {"": {"train": 1037, "valid": 115, "test": 116}},
    }  # fmt: skip
    assert (sums.folder / "README.md").read_text().startswith("# Sums\n")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ([(", test=rows[1::20])", ")"), ("rows[1::20])", "rows[::20])")], "share"),
        ([("float(prediction.strip() == reference)", "2.0")], "score: expected harness.task.Score"),
        ([("float(prediction.strip() == reference)", "0.5")], "a target has to score better"),
        ([("float(prediction.strip() == reference)", "0.5 * (prediction.strip() == reference)")], "warning: {where}: score: the rows' own"),
        ([("    rows =", "    import socket\n    socket.create_connection(('localhost', 9))\n    rows =")], "asks the network for localhost"),
        ([("    rows =", "    import contextlib, socket\n    with contextlib.suppress(OSError):\n"
           "        socket.create_connection(('127.0.0.1', 9))\n    rows =")], "asks the network for "),
        ([("    rows =", "    import time\n    now = time.time_ns()\n    rows ="), ('f"{a} + {b} ="', 'f"{a} + {b} = {now}"')],
         "makes other rows when it is called again"),
        ([("rows = [", "rows = 1 / 0\n    rows = [")], "load_splits: line 7: ZeroDivisionError"),
        ([("def score(", "def scores(")], "score: missing"),
        ([("import Metric", "import Metrics")], "ImportError"),
        ([("METRIC, DATASETS =", "WORKLOAD = 'texts'\nMETRIC, DATASETS =")], "workload: unknown 'texts'; did you mean \"text\"?"),
    ],
)  # fmt: skip
def test_broken_promises(changes, said, sums):
    only(sums(*changes), said.format(where=f"{sums.folder}/data.py"))


def test_what_else_a_task_needs(sums):
    (sums.folder / "README.md").unlink()
    defaults = sums.folder / "default_training_params.json"
    defaults.write_text(json.dumps(json.loads(defaults.read_text()) | {"max_step": 3}))
    experiment = sums.folder / "experiments" / "lora"
    (experiment / "embedded-llama-rank8").rename(experiment / "rank8")
    found = sums()
    assert [re.search("max_step: unknown|README.md: missing|no folder named embedded", one)[0] for one in found] == [
        "max_step: unknown", "README.md: missing", "no folder named embedded",
    ]  # fmt: skip
    assert smallest_experiment(sums.folder) is None


@pytest.mark.parametrize(
    ("name", "said"),
    [("MetaMathQA", "exists"), ("a/b", "expected letters"), ("..", "expected letters"), ("a--b", "expected")],
)
def test_a_task_that_cannot_be_called_so(name, said, tree):
    with pytest.raises(UserError, match=said):
        command.main(["new-task", name], "", tree.root)


@pytest.mark.parametrize("task", [pytest.param("MetaMathQA", marks=pytest.mark.slow), pytest.param("SuperGLUE", marks=pytest.mark.slow),
                                  pytest.param("CNNDM", marks=pytest.mark.slow)])  # fmt: skip
def test_those_of_the_project_keep_theirs(task):
    assert review_task(ROOT / "method_comparison" / task).concerns == []


def test_contributing_shows_what_new_task_writes():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    data = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    defaults, adapter = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    assert DATA in data
    assert defaults == (TEMPLATE / "default_training_params.json").read_text()
    assert adapter == (TEMPLATE / "experiments/lora/embedded-llama-rank8/adapter_config.json").read_text()

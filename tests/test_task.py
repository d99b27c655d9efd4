"""What a task promises is checked where it is loaded and where its rows arrive, in one line that names its file."""

import inspect

import pytest

from harness.errors import UserError
from harness.experiment import ROOT
from harness.task import (
    HubDataset,
    Metric,
    Row,
    Splits,
    Task,
    TokenLengths,
    choose_subsets,
    hold_out,
    load_splits,
    load_task,
)

LEAST = """
from harness.task import *

METRIC, DATASETS = Metric("accuracy"), {}


def load_splits(source, subset):
    return Splits(*([Row(f"prompt {name}", "target", "reference", name)] for name in "abc"))


def score(prediction, reference):
    return Score(float(prediction == reference))
"""


@pytest.fixture
def written(tmp_path):
    """Loads a task whose data.py holds LEAST and what is added to it."""

    def load(added="", text=LEAST):
        folder = tmp_path / "Toy"
        folder.mkdir()
        (folder / "data.py").write_text(text + added)
        return load_task(folder)

    return load


def toy(*splits, **other):
    """A task that has these splits."""
    given = {"name": "Toy", "path": ROOT / "Toy" / "data.py", "metric": Metric("accuracy"), "datasets": {},
             "load_splits": lambda source, subset: Splits(*splits), "score": lambda prediction, reference: None}  # fmt: skip
    return Task(**given | other)


def rows(*sources):
    return [Row(f"prompt {source}", "target", "reference", source) for source in sources]


def test_every_default_is_filled_in(written, tmp_path):
    task = written()
    assert (task.name, task.path) == ("Toy", tmp_path / "Toy" / "data.py")
    assert (task.metric, task.datasets) == (Metric("accuracy", higher_is_better=True), {})
    assert (task.subsets, task.token_lengths, task.workload, task.summarize) == ((), {}, "text", None)
    assert choose_subsets(task, None, "Toy") == (None,)
    assert load_splits(task, "hub", None).train == rows("a")


def test_all_that_is_given_is_kept(written):
    task = written("""
SUBSETS, WORKLOAD = ("one", "two-b"), "image_classification"
DATASETS = {"all": HubDataset("owner/name", "0" * 40, config="one")}
TOKEN_LENGTHS = {"one": TokenLengths(5, 0.5, longest_prompt=9, target_median=1.5, target_spread=0, longest_target=3)}

def summarize(predictions, references):
    return {"further": 1.0}
""")
    assert (task.subsets, task.workload) == (("one", "two-b"), "image_classification")
    assert task.datasets == {"all": HubDataset("owner/name", "0" * 40, "one")}
    assert task.token_lengths == {"one": TokenLengths(5, 0.5, 9, 1.5, 0, 3)}
    assert task.summarize([], []) == {"further": 1.0}
    assert choose_subsets(task, "two-b", "Toy") == ("two-b",)


@pytest.mark.parametrize(
    "folder", sorted((ROOT / "method_comparison").glob("*/data.py")), ids=lambda path: path.parent.name
)
def test_load_splits_of_every_task_has_the_same_arguments(folder):
    assert list(inspect.signature(load_task(folder.parent).load_splits).parameters) == ["source", "subset"]


def test_data_py_is_executed_once(written, tmp_path, monkeypatch):
    task = written(f"\nwith open({str(tmp_path / 'count')!r}, 'a') as file:\n    file.write('x')\n")
    monkeypatch.chdir(tmp_path)
    assert load_task(tmp_path / "Toy") is load_task(type(tmp_path)("Toy")) is task
    assert (tmp_path / "count").read_text() == "x"


def test_dataclasses_of_a_task_may_have_types_as_text(written):
    assert written("\nfrom dataclasses import dataclass\n\n@dataclass\nclass Item:\n    text: 'str'\n").name == "Toy"


# What is added to LEAST, and what the message says after the file's path.
BROKEN = {
    "METRIC = 'accuracy'": "METRIC: expected harness.task.Metric",
    "METRIC = Metric('')": "METRIC: expected harness.task.Metric",
    "METRIC = Metric('accuracy', 'up')": "METRIC: expected",
    "del METRIC": "METRIC: missing; expected harness.task.Metric",
    "del score": "score: missing; expected a function of (prediction, reference)",
    "DATASETS = ['owner/name']": "DATASETS: expected a dictionary of harness.task.HubDataset",
    "DATASETS = {'all': 'owner/name'}": "DATASETS: expected a dictionary of harness.task.HubDataset",
    "DATASETS = {'all': HubDataset('owner/name', 'main')}": "DATASETS: expected a dictionary of harness.task.HubDataset",
    "SUBSETS = 3": "SUBSETS: expected a tuple",
    "SUBSETS = 'boolq'": "SUBSETS: expected a tuple",
    "SUBSETS = ('boolq', 3)": "SUBSETS: expected a tuple",
    "SUBSETS = ('a--b',)": 'SUBSETS: expected a tuple of different names without "--"',
    "SUBSETS = ('../a',)": "SUBSETS: expected a tuple",
    "SUBSETS = ('a', 'a')": "SUBSETS: expected a tuple of different names",
    "TOKEN_LENGTHS = TokenLengths(1, 1, 1, 1, 1, 1)": "TOKEN_LENGTHS: expected a dictionary",
    "TOKEN_LENGTHS = {None: 5}": "TOKEN_LENGTHS: expected a dictionary",
    "TOKEN_LENGTHS = {'copa': TokenLengths(1, 1, 1, 1, 1, 1)}": "TOKEN_LENGTHS: expected a dictionary",
    "TOKEN_LENGTHS = {None: TokenLengths(0, 1, 1, 1, 1, 1)}": "TOKEN_LENGTHS: expected a dictionary",
    "TOKEN_LENGTHS = {None: TokenLengths(float('nan'), 1, 1, 1, 1, 1)}": "TOKEN_LENGTHS: expected a dictionary",
    "TOKEN_LENGTHS = {None: TokenLengths(1, 1, 1.5, 1, 1, 1)}": "TOKEN_LENGTHS: expected a dictionary",
    "WORKLOAD = 3": "WORKLOAD: expected the name of a kind of task",
    "load_splits = Splits([], [], [])": "load_splits: expected a function of (source, subset)",
    "def load_splits(source): pass": "load_splits: expected a function of (source, subset)",
    "def score(prediction, reference, row): pass": "score: expected a function of (prediction, reference)",
    "summarize = {}": "summarize: expected a function of (predictions, references)",
    "def summarize(scores): pass": "summarize: expected a function of (predictions, references)",
    "def broken(:": "line 13: not Python: invalid syntax",
    "TOTAL = 1 / 0": "line 13: ZeroDivisionError: division by zero",
    "import not_a_module": "line 13: ModuleNotFoundError: No module named 'not_a_module'",
    "HubDataset('only/a-name')": "line 13: TypeError: ",
    "\0": "not Python: ",
}


@pytest.mark.parametrize("added", BROKEN)
def test_a_mistake_of_its_author_is_told_in_one_line(added, written, tmp_path):
    with pytest.raises(UserError) as caught:
        written(added)
    assert str(caught.value).startswith(f"{tmp_path}/Toy/data.py: ")
    assert BROKEN[added] in str(caught.value)


def test_a_folder_without_data(tmp_path):
    with pytest.raises(UserError, match="data.py: missing"):
        load_task(tmp_path)
    (tmp_path / "data.py").mkdir()
    with pytest.raises(UserError, match="data.py: expected a plain file, found a folder"):
        load_task(tmp_path)


def test_the_subset_is_told():
    asked = []

    def splits(source, subset):
        asked.append((source, subset))
        return Splits(rows("a", "b"), rows("c"), rows("d"))

    task = toy(load_splits=splits, subsets=("x", "y"))
    assert load_splits(task, "embedded", "y") == splits("embedded", "y")
    assert asked == [("embedded", "y")] * 2
    assert choose_subsets(task, None, "Toy") == ("x", "y")


@pytest.mark.parametrize(
    ("subsets", "message"),
    [
        ((), "Toy has no subset 'x'; it has no subsets; leave --subset out"),
        (("copa",), "no subset 'x'; expected one of: copa"),
    ],
)
def test_a_subset_that_the_task_has_not(subsets, message):
    with pytest.raises(UserError, match=message):
        choose_subsets(toy(subsets=subsets), "x", "Toy")


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ((rows("a"), [], rows("b")), "valid: is empty"),
        ((rows("a"), [("p", "t", "r", "s")], rows("b")), "valid: expected harness.task.Row objects, got tuple"),
        ((rows("a"), rows(3), rows("b")), "valid: expected text in every field of a Row; source is int, 3"),
        ((rows("a", "b"), rows("c"), rows("b")), "train and test share 1 source items, such as 'b'"),
        ((rows("a"), rows("c", "d"), rows("d", "c")), "valid and test share 2 source items, such as 'c'"),
        ((rows("a"), rows("c"), (row for row in rows("d"))), "test: expected a list of harness.task.Row objects, got generator"),
        ((rows("a"), iter(rows("c")), rows("d")), "valid: expected a list of harness.task.Row objects, got list_iterator"),
        (({"a": 1}, rows("c"), rows("d")), "train: expected a list of harness.task.Row objects, got dict"),
        (([Row(" \n", "t", "r", "a")], rows("c"), rows("d")), "train: a row has an empty prompt"),
        (([Row(None, "t", "r", "a")], rows("c"), rows("d")), "train: expected text in every field of a Row; prompt is NoneType"),
    ],
)  # fmt: skip
def test_wrong_splits_are_refused(splits, message):
    with pytest.raises(UserError) as caught:
        load_splits(toy(*splits), "hub", None)
    assert str(caught.value).startswith("Toy/data.py: load_splits: ")
    assert message in str(caught.value)


def test_an_empty_target_and_reference_are_fine():
    splits = ([Row("prompt", "", "", "a")], rows("c"), rows("d"))
    assert load_splits(toy(*splits), "hub", None).train == splits[0]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return None", "load_splits: expected harness.task.Splits, got NoneType"),
        ("return ([], [], [])", "load_splits: expected harness.task.Splits, got tuple"),
        ("return {}['question']", "load_splits: line 15: KeyError: 'question'"),
        (
            "return Splits(*hold_out([]), [])",
            "load_splits: line 15: ValueError: 0 source items are too few to hold 50 out",
        ),
    ],
)
def test_load_splits_that_fails_is_named_with_its_line(body, message, written, tmp_path):
    task = written(f"\ndef load_splits(source, subset):\n    {body}\n")
    with pytest.raises(UserError) as caught:
        load_splits(task, "hub", None)
    assert str(caught.value).startswith(f"{tmp_path}/Toy/data.py: {message}")


def test_what_is_tested_on_is_neither_trained_nor_validated_on():
    items, test = rows(*map(str, range(200))), rows(*map(str, range(40)))
    train, valid = hold_out(items, test)
    sources = [{row.source for row in part} for part in (train, valid, test)]
    assert not sources[2] & (sources[0] | sources[1])
    assert len(train) + len(valid) == 160

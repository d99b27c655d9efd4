"""What a task promises is checked where its rows arrive, and told in one line that names its file."""

import pytest

from harness.errors import UserError
from harness.task import Row, Splits, choose_subsets, hold_out, load_splits


class Task:
    """Stands for the module of a data.py."""

    __name__ = "Toy_data"

    def __init__(self, train, valid, test, subsets=None):
        self.splits = Splits(train, valid, test)
        if subsets:
            self.SUBSETS = subsets

    def load_splits(self, source, *subset):
        self.asked = (source, *subset)
        return self.splits


def rows(*sources):
    return [Row(f"prompt {source}", "target", "reference", source) for source in sources]


def test_right_splits_pass_and_the_subset_is_told():
    task = Task(rows("a", "b"), rows("c"), rows("d"), subsets=("x", "y"))
    assert load_splits(task, "embedded", "y") is task.splits
    assert task.asked == ("embedded", "y")
    assert choose_subsets(task, None, "Toy") == ("x", "y")
    assert choose_subsets(task, "y", "Toy") == ("y",)


def test_a_task_without_subsets_is_asked_for_all():
    task = Task(rows("a", "b"), rows("c"), rows("d"))
    assert choose_subsets(task, None, "Toy") == (None,)
    load_splits(task, "hub", None)
    assert task.asked == ("hub",)
    with pytest.raises(UserError, match="Toy has no subset 'x'; it has no subsets; leave --subset out"):
        choose_subsets(task, "x", "Toy")


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (Task(rows("a"), [], rows("b")), "Toy/data.py: load_splits: valid is empty"),
        (Task(rows("a"), [("p", "t", "r", "s")], rows("b")), "valid: expected harness.task.Row objects, got tuple"),
        (
            Task(rows("a"), rows(3), rows("b")),
            "valid: expected text in every field of a Row; source is something else",
        ),
        (Task(rows("a", "b"), rows("c"), rows("b")), "train and test share 1 source items, such as 'b'"),
        (Task(rows("a"), rows("c", "d"), rows("d", "c")), "valid and test share 2 source items, such as 'c'"),
    ],
)
def test_wrong_splits_are_refused(task, message):
    with pytest.raises(UserError, match=message):
        load_splits(task, "hub", None)


def test_what_is_tested_on_is_neither_trained_nor_validated_on():
    items, test = rows(*map(str, range(200))), rows(*map(str, range(40)))
    train, valid = hold_out(items, test)
    sources = [{row.source for row in part} for part in (train, valid, test)]
    assert not sources[2] & (sources[0] | sources[1])
    assert len(train) + len(valid) == 160

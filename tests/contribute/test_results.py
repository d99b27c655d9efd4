"""Results in the tree: what no longer is of its folder, its data or the protocol, and what failed and says why."""

import json
import shutil

import pytest
from trees import only

from harness.contribute import stored as module
from harness.contribute.check import choose
from harness.contribute.negative import review_negative
from harness.contribute.stored import review_results
from harness.experiment import ROOT

NAME = "lora--embedded-llama-rank8--seed0.json"
(SOURCE,) = ROOT.glob(f"results/MetaMathQA/*/{NAME}")


@pytest.fixture(autouse=True)
def known_data(monkeypatch, request):
    """Rows take a second to make; those tests do that are about them."""
    if "data_that" not in request.node.name:
        known = json.loads(SOURCE.read_text())["provenance"]["data_fingerprint"]
        monkeypatch.setattr(module, "_data", lambda *_: known)


@pytest.fixture
def stored(tree):
    """Writes a committed result into the checkout, changed, and returns what is said of it."""

    def look(change=None, place=f"results/MetaMathQA/{SOURCE.parent.name}/{NAME}"):
        values = json.loads(SOURCE.read_text())
        for path, value in (change or {}).items():
            *parents, last = path.split(".")
            inner = values
            for part in parents:
                inner = inner[part]
            inner[last] = value
        target = tree.root / place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(values))
        return [one.message for one in review_results([target], tree.root).concerns]

    return look


def test_a_result_of_what_the_folder_says(stored):
    assert stored() == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"protocol": 0}, "is of protocol 0, now it is 1"),
        ({"provenance.config_fingerprint": "0" * 64}, "was made with another configuration"),
        ({"provenance.data_fingerprint": "0" * 64}, "was made with other data"),
        ({"seed": 7, "run_info.train_config.seed": 7}, "belongs at "),
        ({"name": "embedded-llama-rank99"}, "no such experiment folder"),
        ({"task.name": "../../etc"}, "no such experiment folder"),
        ({"overrides": {"max_steps": 1}}, "only successful runs without --set"),
        ({"train_info.status": "diverged"}, "only successful runs without --set"),
        ({"hardware.slug": "another"}, "belongs at "),
        ({"train_info.file_size": -1}, "train_info.file_size"),
        ({"notes": "x"}, "notes: Extra inputs are not permitted; is it of another harness?"),
    ],
)
def test_a_result_that_is_no_longer_true(change, said, stored):
    only(stored(change), said)


def test_a_folder_that_was_edited_makes_its_results_stale(tree, stored):
    tree.write("lora/embedded-llama-rank8", params={"profile": "embedded", "optimizer_kwargs": {"lr": 0.001}})
    only(stored(), "was made with another configuration than its folder has now")


def test_data_that_is_the_same(stored):
    assert stored() == []


def test_data_that_was_edited_makes_results_stale(tree, stored):
    data = tree.task / "data.py"
    data.write_text(data.read_text().replace("EMBEDDED_TEST = 6000, 400", "EMBEDDED_TEST = 6000, 399"))
    only(stored(), "was made with other data than its task has now")


def test_what_is_no_result_has_no_place(tree, stored):
    stored()
    (tree.root / "results" / "weights.bin").write_bytes(b"")
    (tree.root / "results" / "README.md").write_text("what these are")
    choice = choose([], None, tree.root)
    only(
        [one.message for one in review_results(choice.results, tree.root).concerns],
        "weights.bin: does not belong here",
    )


WHY = "- `MetaMathQA/lora/llama-3.2-3B-rank32`: diverged at every rate above 1e-3"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"# Failed\n\n{WHY}\n", None),
        ("- lora failed\n", "line 1: expected - `<Task>/<method>/<name>`: why"),
        ("- `MetaMathQA/lora/llama-3.2-3B-rank32`: bad\n", "line 1: expected"),
        ("- `MetaMathQA/lora/never`: diverged at every rate\n", "there is no experiment MetaMathQA/lora/never"),
    ],
)
def test_a_line_of_why(text, said, tree):
    folder = tree.root / "results" / "negative"
    folder.mkdir(parents=True)
    (folder / "README.md").write_text(text)
    found = [one.message for one in review_negative(tree.root).concerns]
    if said is None:
        assert found == []
    else:
        only(found, said)


@pytest.mark.parametrize("place", ["MetaMathQA/cpu", ""])
def test_a_failed_run_without_a_line(place, tree):
    target = tree.root / "results/negative" / place / NAME
    target.parent.mkdir(parents=True)
    shutil.copy(SOURCE, target)
    (tree.root / "results/negative/README.md").write_text(f"{WHY}\n")
    only([one.message for one in review_negative(tree.root).concerns], f"{NAME}: no line in", "says why")


def test_those_of_the_project():
    assert review_negative(ROOT).concerns == []

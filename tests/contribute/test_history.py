"""What a branch changes: new folders are looked at, edited ones are errors, and the rest is named."""

import json

import pytest
from trees import EMBEDDED, LORA

from harness.contribute.check import choose
from harness.contribute.history import read_history, review_history
from harness.errors import UserError

RESULT = "results/MetaMathQA/cpu/lora--llama-3.2-3B-rank32--seed0.json"


@pytest.fixture
def based(tree):
    """The checkout with a commit tagged `base`, a result in it."""
    (tree.root / RESULT).parent.mkdir(parents=True)
    (tree.root / RESULT).write_text("{}")
    (tree.root / "run.py").write_text("")
    (tree.root / ".gitignore").write_text("runs/\n")
    tree.git("init", "-q", "-b", "main")
    tree.git("add", "-A")
    tree.git("commit", "-q", "-m", "base")
    tree.git("tag", "base")
    return tree


def said(tree, base="base"):
    review = review_history(read_history(base, tree.root), tree.root)
    return review.facts, [f"{one.level}: {one.message}" for one in review.concerns]


def test_a_new_folder_is_welcome(based):
    based.write("lora/embedded-llama-k", LORA, EMBEDDED)
    based.git("add", "-A")
    based.git("commit", "-q", "-m", "one")
    folder = based.write("lora/embedded-llama-n", LORA, EMBEDDED)  # not committed yet
    (based.root / "run.py").write_text("# changed")
    facts, concerns = said(based)
    assert concerns == []
    assert facts == {"new experiments": 2, "new results": 0, "elsewhere": ["run.py"]}
    choice = choose([], "base", based.root)
    assert choice.experiments == [based.folder("lora/embedded-llama-k"), folder]
    assert (choice.tasks, choice.results) == ([], [])


def test_what_rests_on_others_is_not_edited(based):
    folder = based.folder("lora/llama-3.2-3B-rank32")
    (folder / "adapter_config.json").write_text(json.dumps(LORA))
    based.write("lora/llama-3.2-3B-rank32", params={"max_steps": 7})
    (folder / "README.md").write_text("Why.")
    (based.root / RESULT).write_text('{"a": 1}')
    (based.folder("full-finetuning/llama-3.2-3B") / "training_params.json").unlink()
    _, concerns = said(based)
    assert len(concerns) == 4
    assert sum("changes an existing experiment" in one for one in concerns) == 2
    assert sum("removes an existing experiment" in one for one in concerns) == 1
    assert sum(f"error: {RESULT}: changes an existing result; restore it" in one for one in concerns) == 1


def test_a_renamed_folder_is_a_removed_and_a_new_one(based):
    based.folder("lora/llama-3.2-3B-rank32").rename(based.folder("lora/llama-3.2-3B-other"))
    facts, concerns = said(based)
    assert "removes an existing experiment" in concerns[0]
    assert facts["new experiments"] == 1


def test_defaults_concern_every_experiment_of_the_task(based):
    defaults = based.task / "default_training_params.json"
    defaults.write_text(defaults.read_text().replace('"batch_size": 4', '"batch_size": 5'))
    _, concerns = said(based)
    assert concerns == [
        "warning: method_comparison/MetaMathQA/default_training_params.json: changes what 3 experiments of MetaMathQA share"
    ]
    choice = choose([], "base", based.root)
    assert len(choice.experiments) == 3
    assert choice.tasks == [based.task]
    assert choice.trained == []


def test_what_the_base_has_gained_since_is_not_this_branchs(based):
    based.git("checkout", "-q", "-b", "branch")
    based.git("checkout", "-q", "main")
    (based.root / RESULT).write_text('{"a": 1}')
    based.git("commit", "-q", "-a", "-m", "on main")
    based.git("checkout", "-q", "branch")
    assert said(based, "main") == ({"new experiments": 0, "new results": 0, "elsewhere": []}, [])


@pytest.mark.parametrize("base", ["never", "--output=x", "a..b", ""])
def test_a_base_that_is_none(base, based):
    with pytest.raises(UserError, match="--base: "):
        read_history(base, based.root)


def test_without_git(tree):
    with pytest.raises(UserError, match="--base: main: fatal: not a git repository"):
        read_history("main", tree.root)


def test_names_that_no_text_can_hold(based):
    (based.folder("lora") / "new\nline\udcff").mkdir()
    (based.folder("lora") / "new\nline\udcff" / "adapter_config.json").write_text("{}")
    (choice,) = choose([], "base", based.root).experiments
    assert choice.name == "new\nline\udcff"
    assert said(based)[1] == []

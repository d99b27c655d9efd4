"""docs/methods.md is made from docs/methods.json, which has what was tried of the methods that are in the tree."""

import re

import peft
from capabilities import EXPERIMENTS, HEADINGS, JSON, MARKDOWN, Trial, markdown, merges, starts_as_base
from conformance import conform, exactly, quiet, twin
from peft import PeftType

from harness import refusals
from harness.catalogue import ENTRIES
from harness.experiment import ROOT, read_experiment
from harness.files import read_json

FOUND = read_json(JSON)
FOLDERS = sorted(path for path in EXPERIMENTS.glob("*/*") if path.is_dir())


def test_the_catalogue_has_every_embedded_experiment_and_every_method_of_peft():
    there = {f"{folder.parent.name}/{folder.name}" for folder in FOLDERS}
    assert {entry.embedded for entry in ENTRIES} == {name for name in there if "/embedded-llama" in name}
    assert {entry.real for entry in ENTRIES if entry.real} <= there
    assert len({entry.title for entry in ENTRIES}) == len(ENTRIES)
    tried = {
        (read_experiment(EXPERIMENTS / entry.embedded).adapter_config or {}).get("peft_type") for entry in ENTRIES
    }
    assert {kind.value for kind in PeftType} - set(refusals.METHODS) <= tried


def test_the_table_has_a_row_for_each_and_is_of_this_peft():
    assert [row["embedded"] for row in FOUND["methods"]] == [entry.embedded for entry in ENTRIES]
    assert [row["title"] for row in FOUND["methods"]] == [entry.title for entry in ENTRIES]
    assert FOUND["peft"] == peft.__version__, "run: python tests/capabilities.py"
    for row in FOUND["methods"]:
        assert all(isinstance(row[name], bool | str | None) for name in HEADINGS), row["title"]


def test_the_page_is_made_from_the_json():
    assert MARKDOWN.read_text() == markdown(FOUND, FOUND["explained"]), "run: python tests/capabilities.py --write"


def test_a_cell_is_what_happens():
    with quiet():
        for name in ("lora/embedded-llama-rank8", "prefixtuning/embedded-llama-tokens20"):
            (row,) = (row for row in FOUND["methods"] if row["embedded"] == name)
            experiment = exactly(twin(EXPERIMENTS / name))
            assert starts_as_base(Trial(experiment)) == row["starts_as_base"]
        assert merges(Trial(exactly(twin(EXPERIMENTS / "lora" / "embedded-llama-rank8"))))


def test_the_five_lines_of_the_documentation_make_a_method(checkout):
    text = (ROOT / "CONTRIBUTING.md").read_text()
    folder = checkout / "method_comparison" / "MetaMathQA" / "experiments" / "new_method" / "embedded-llama"
    folder.mkdir(parents=True)
    for content, name in re.findall(r"^echo '(.*)' > \$folder/(\w+\.json)$", text, re.MULTILINE):
        (folder / name).write_text(content)
    with quiet():
        assert conform(folder).merges

"""What the documentation says that commands print is what they print."""

import re

import pytest

from harness import quoted
from harness.errors import UserError
from harness.experiment import ROOT
from harness.result.provenance import committed

QUOTE = "Text.\n\n<!-- output of: {} -->\n{}\n<!-- end of output -->\n\nMore text.\n"
TABLE = "python -m harness.table MetaMathQA embedded --committed"


def test_every_quotation_is_todays(capsys):
    assert quoted.main(["--check"]) == 0, capsys.readouterr().out


# Of each committed result, <Task>/<machine>/<method>--<kind>-….json.
@pytest.mark.parametrize(
    ("task", "kind"),
    sorted({(path.parts[-3], path.stem.split("--")[1].split("-")[0]) for path in committed(ROOT)}),
)
def test_a_task_with_results_shows_them(task, kind):
    text = (ROOT / "method_comparison" / task / "README.md").read_text()
    for arguments in ("", " --costs"):
        assert f"<!-- output of: python -m harness.table {task} {kind} --committed{arguments}" in text
    if any((ROOT / "method_comparison" / task).glob("experiments/*/*/tuning.json")):
        assert f"<!-- output of: python -m harness.table {task} --tuning -->" in text


def test_every_figure_of_the_results_page_is_printed_right_below_it():
    text = (ROOT / "docs" / "results.md").read_text()
    _, *sections = text.split("\n## ")[1:]  # the first says what the results cannot
    for section in sections:
        ends = [0, *(found.end() for found in quoted.QUOTED.finditer(section))]
        prose, below = "", ""
        for start, end in zip(ends, [*ends[1:], len(section)], strict=True):
            said, printed = _split(section[start:end])
            if said.strip():
                _has_figures(prose, below)
                prose, below = said, ""
            below += printed
        _has_figures(prose, below)


def _split(part):
    found = quoted.QUOTED.search(part)
    return (part[: found.start()], found[0]) if found else (part, "")


def _has_figures(prose, below):
    for figure in re.findall(r"(?<![\w.,])[+-]?\d+(?:,\d{3})*(?:\.\d+)?", prose):
        assert re.search(rf"(?<![\d.,]){re.escape(figure.lstrip('+-'))}(?![\d]|[.,]\d)", below), (
            f"{figure} of: {prose}"
        )


def test_what_is_old_is_named_and_renewed(tmp_path, monkeypatch, capsys):
    path = tmp_path / "README.md"
    path.write_text(QUOTE.format(TABLE, "| old |"))
    monkeypatch.setattr(quoted, "documents", lambda: [path])
    assert quoted.main(["--check"]) == 1
    assert "README.md: is not today’s output" in capsys.readouterr().out
    assert path.read_text() == QUOTE.format(TABLE, "| old |")
    assert quoted.main([]) == 0
    text = path.read_text()
    assert "| lora/embedded-llama-rank8 |" in text
    assert text.startswith("Text.\n\n<!--")
    assert text.endswith("\n<!-- end of output -->\n\nMore text.\n")
    assert quoted.main(["--check"]) == 0


def test_what_is_empty_yet_takes_nothing_from_the_text_that_follows():
    empty = f"<!-- output of: {TABLE} -->\n<!-- end of output -->\n"
    text = quoted.renewed(f"{empty}Between.\n\n{empty}")
    assert text.count("| lora/embedded-llama-rank8 |") == 2
    assert "-->\nBetween.\n\n<!--" in text


def test_no_other_command_is_run():
    with pytest.raises(UserError, match="harness.profiles: expected one of harness.table"):
        quoted.renewed(QUOTE.format("python -m harness.profiles", "x"))

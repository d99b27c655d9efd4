"""Messages are one printable line of bounded length; remedies are near; blame names the place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import LONGEST, UserError, blame, brief, did_you_mean


@given(st.text(st.characters(categories=["L", "N", "Z", "C", "S"])))
def test_a_message_is_one_printable_line(text):
    assert str(UserError(text)).isprintable()


def test_an_endless_message_keeps_its_beginning_and_its_end():
    line = str(UserError(f"file: key: {'x' * 10_000}; remedy"))
    assert line.startswith("file: key: ")
    assert line.endswith("; remedy")
    assert len(line) < LONGEST + 10


@pytest.mark.parametrize(
    ("name", "valid", "remedy"),
    [
        ("adamw", ["AdamW", "Adam", "Adamax", "NAdam"], 'did you mean "AdamW"?'),
        ("ADAMW8BIT", ["AdamW", "AdamW8bit"], 'did you mean "AdamW8bit"?'),
        ("lora", ["LORA", "LOHA"], 'did you mean "LORA"?'),
        ("max-step", ["max_steps", "min_steps"], 'did you mean "max_steps"?'),
        ("banana", ["Beta", "alpha"], "expected one of: Beta, alpha"),
        ("x", [], "there is none"),
    ],
)
def test_the_nearest_name(name, valid, remedy):
    assert did_you_mean(name, valid) == remedy


def test_values_are_shown_briefly():
    assert brief({"a": 1}) == "{'a': 1}"
    assert brief("x" * 1000) == f"'{'x' * 59}… (1002 characters)"


def test_blame_names_the_line_and_keeps_the_cause(tmp_path):
    file = tmp_path / "code.py"
    file.write_text("def fail():\n    return {}['absent']\n")
    names = {}
    exec(compile(file.read_text(), str(file), "exec"), names)
    with (
        pytest.raises(UserError, match=r"^task: fail: line 2: KeyError: 'absent'$") as caught,
        blame("task: fail", file),
    ):
        names["fail"]()
    assert isinstance(caught.value.__cause__, KeyError)


@pytest.mark.parametrize("error", [UserError("file: key"), MemoryError(), KeyboardInterrupt()])
def test_what_is_nobodys_mistake_passes(error, tmp_path):
    with pytest.raises(type(error)) as caught, blame("task", tmp_path):
        raise error
    assert caught.value is error

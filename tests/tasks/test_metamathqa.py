"""MetaMathQA: answers are found and compared as DESIGN says, and splits share no source."""

import inspect
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.experiment import ROOT
from harness.task import Row, hold_out, load_task

task = load_task(ROOT / "method_comparison" / "MetaMathQA")
metamathqa = inspect.getmodule(task.score)
numbers = st.integers(-(10**9), 10**9)


def spellings(value: int) -> list[str]:
    sign, size = ("-" if value < 0 else ""), abs(value)
    return [f"{value}", f"{value:,}", f"{sign}${size:,}", f"${value}", f"{value} dollars", f"{value}.0", f"{value:,}.00",
            f"\\boxed{{{value}}}", f"$\\boxed{{{value:,}}}$", f"{value}.", f"**{value}**", f"{3 * value}/3",
            f"x = {value}", f"{value}%"]  # fmt: skip


@given(numbers, st.sampled_from(["The answer is: ", "the answer is ", "#### ", "So the answer is: "]), st.data())
def test_every_spelling_of_a_number_is_that_number(value, marker, data):
    spelling = data.draw(st.sampled_from(spellings(value)))
    text = f"First 2 + 3 = 5.\nThen more.\n{marker}{spelling}"
    assert metamathqa.extract_answer(text) == value
    assert task.score(text, str(value)).value == 1
    assert task.score(text, f"{value:,}").value == 1
    assert task.score(text, str(value + 1)).value == 0


@given(numbers, numbers, st.sampled_from(["\n\nQuestion: ", "\nProblem 2: ", "\nQ: "]))
def test_an_invented_second_question_does_not_count(value, other, opening):
    assert metamathqa.extract_answer(f"The answer is: {value}{opening}How many?\nThe answer is: {other}") == value
    if value != other:
        assert metamathqa.extract_answer(f"I do not know.{opening}How many?\nThe answer is: {other}") is None


@given(numbers, numbers)
def test_the_first_stated_answer_counts(value, other):
    assert metamathqa.extract_answer(f"The answer is: {value}\nAnd now the answer is: {other}") == value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The answer is: 1/2", Fraction(1, 2)),
        ("The answer is: \\frac{1}{2}", Fraction(1, 2)),
        ("The answer is: $\\dfrac{3}{4}$", Fraction(3, 4)),
        ("The answer is: .5", Fraction(1, 2)),
        ("The answer is: 0.5", Fraction(1, 2)),
        ("The answer is: 3 + 4 = 7", 7),
        ("The answer is: 1/0", None),
        ("The answer is: none", None),
        ("The answer is:", None),
        ("There are 12 apples.", None),
        ("", None),
        ("2,125", 2125),
        (" -7.50 ", Fraction(-15, 2)),
        ("#### 70,000", 70_000),
        ("The answer is: 1,2", 1),
        ("The answer is: 18. This is because 3*6=20", 18),
        ("The answer is: " + "9" * 5000, None),
    ],
)
def test_edge_cases(text, expected):
    assert metamathqa.extract_answer(text) == expected


@given(st.text(max_size=200))
def test_any_text_gives_a_number_or_none(text):
    answer = metamathqa.extract_answer(text)
    assert answer is None or isinstance(answer, Fraction)
    assert task.score(text, "5").valid == (answer is not None)


@given(st.integers(51, 1200), st.randoms(use_true_random=False))
def test_held_out_sources_are_in_no_training_row(count, random):
    sources = [*range(count), *random.choices(range(count), k=count)]
    random.shuffle(sources)
    rows = [Row(f"question {i}", "", "", f"source {source}") for i, source in enumerate(sources)]
    train, valid = hold_out(rows)
    assert not {row.source for row in train} & {row.source for row in valid}
    assert {row.source for row in train} | {row.source for row in valid} == {row.source for row in rows}
    assert len(valid) == min(max(len(set(sources)) // 10, 50), 1000)
    assert hold_out(rows[::-1])[0] == train[::-1], "the choice does not depend on the order"


def test_too_few_sources_are_an_error():
    with pytest.raises(ValueError, match="too few"):
        hold_out([Row("q", "", "", str(i)) for i in range(50)])


def test_embedded_splits_share_nothing_and_every_target_scores():
    splits = task.load_splits("embedded", None)
    parts = [splits.train, splits.valid, splits.test]
    assert len(splits.test) >= 300
    for one in parts:
        for other in parts:
            if one is not other:
                assert not {row.source for row in one} & {row.source for row in other}
                assert not {row.prompt for row in one} & {row.prompt for row in other}
    assert all(task.score(row.target, row.reference).value == 1 for part in parts for row in part)

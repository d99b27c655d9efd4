"""Filters, the expression box, the Pareto front and exports, each against a plain definition of what it should do."""

import csv
import io
import json
import math
import string

import numpy
import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from result_files import load, ours, published, write

from harness.dashboard.export import to_csv, to_json
from harness.dashboard.expression import ExpressionError, mask
from harness.dashboard.quantity import QuantityError
from harness.dashboard.selection import apply
from harness.dashboard.syntax import LONGEST
from harness.dashboard.view import View
from harness.result.columns import COLUMNS
from harness.result.experiments import by_experiment

FRAME = pandas.DataFrame(
    {
        "experiment": ["lora/Rank8", "lora/rank32", "ia3/x", "full-finetuning/x", "oft/x"],
        "method": ["lora", "lora", "ia3", "full-finetuning", "oft"],
        "subset": ["copa", "rte", "", "copa", ""],
        "score": [0.8, 0.9, math.nan, 0.7, 0.0],
        "memory_train": [500.0 * 2**20, 700.0 * 2**20, 100.0 * 2**20, math.nan, 600.0 * 2**20],
        "rank": [8.0, 32.0, math.nan, math.nan, math.nan],
        "tied": [True, False, False, True, False],
    },
    index=[3, 1, 4, 15, 9],
).astype({"experiment": "str", "method": "str", "subset": "str"})


def kept(text):
    return FRAME.loc[mask(FRAME, text), "experiment"].tolist()


# Expressions ---------------------------------------------------------------------------------------------------------

A, B, C, D, E = FRAME["experiment"]
HOLD = {
    "": [A, B, C, D, E], "  \n ": [A, B, C, D, E], "score > 0.75": [A, B], "score != 0.8": [B, D, E], "not score > 0.75": [C, D, E],
    "score < score": [], "memory_train < 600 * MiB": [A, C], "memory_train <= 0.6 * GiB and\n score >= 0.8": [A],
    'method == "lora"': [A, B], "method in ['ia3', 'oft']": [C, E], "method not in ('lora',)": [C, D, E], "rank in [8, 16]": [A],
    'subset != "copa"': [B], 'subset not in ["copa"]': [B], '"rank" in experiment': [B], '"x" not in experiment': [A, B], "8 <= rank < 32": [A],
    "1 < 2": [A, B, C, D, E], "1 > 2 or tied": [A, D], "tied and not (rank == 8)": [D], "-score < -0.75": [A, B], "score > 75 * percent": [A, B],
    "1 / score < 1.2": [B], "rank / score > 1 or score / 0 > 1": [A, B], "memory_train / rank < 30 * MiB": [B], "rank + 1 == 9": [A], "rank - 1 == 7": [A],
    "1e308 * 10 * rank > 0": [], "rank in []": [], "rank in [score]": [], "rank in [rank]": [A, B], "tied # a remark": [A, D],
    'method == "a  b"': [], "'lo' 'ra' == method": [A, B], "rank == 8 == rank": [A],
}  # fmt: skip


@pytest.mark.parametrize("text", HOLD)
def test_expressions_that_hold(text):
    assert kept(text) == HOLD[text]


REFUSED = {
    "score": "a number where a condition is expected", "method": "a text where", "(score > 1, tied)": "a list where", "scor > 1": 'scor at character 1: no such column; did you mean "score"?',
    "tied and  scor > 1": "scor at character 11", "method > 'a'": "texts are compared with ==", "method == 3": "a text cannot be compared with a number",
    "tied == tied": "a condition cannot be compared", "score + tied > 1": "a condition where a number is expected", "score and tied": "a number where a condition",
    "not score": "a number where a condition", "method + 'a' == 'b'": "a text where a number", "rank in 8": "expected a list after in", "rank in method": "expected a list",
    "rank in ['8']": "the list holds a text where numbers", "tied in [1]": "cannot be looked up", "score ** 2 > 1": "powers: not allowed", "score % 2 > 1": "remainders: not allowed",
    "score // 2 > 1": "//: not allowed", "abs(score) > 1": "calls: not allowed", "score.real > 1": "attributes: not allowed", "score[0] > 1": "subscripts: not allowed",
    "score is 1": "is: not allowed here; write == or !=", "(lambda: tied)()": "calls", "tied if tied else tied": "if … else: not allowed", "(x := tied)": ":=: not allowed",
    "tied & tied": "write and", "tied | tied": "write or", "~tied": "write not", "f'{score}' == 'a'": "f-strings", "True": "only numbers and texts", "None == None": "only numbers and texts",
    "... == 1": "only numbers", "1j > 0": "only numbers", "b'a' == method": "only numbers", "score > 1e999": "too large for a number", "score > " + "9" * 400: "too large for a number",
    "score > " + "9" * 4400: "characters long", "score >": "not an expression", "score > 1; 2": "not an expression", "score = 1": "not an expression", "import os": "not an expression",
    "score > 1\nimport os": "not an expression", "__import__('os').system('x')": "calls", "().__class__.__bases__": "attributes", "score.__class__ == 1": "attributes", "__builtins__ == 1": "no such column",
    "open('/etc/passwd')": "calls", "exec == 1": "no such column", "[x for x in method]": "this: not allowed", "{1: 2}": "this: not allowed", "{1, 2}": "this: not allowed",
    "method in [*'ab']": "this: not allowed", "await tied": "not allowed", "yield": "not an expression", "(yield)": "this: not allowed", "a" * (LONGEST + 1): "characters long",
    "(" * 300 + "tied" + ")" * 300: "not an expression", "not " * 200 + "tied": "levels deep", "-" * 900 + "1 > 0": "levels deep", "+".join(["1"] * 400) + ">0": "levels deep", "[" * 150 + "]" * 150 + " == 1": "levels deep",
    "tied or " * 110 + "(" + ",".join(["1"] * 40) + ")": "not an expression|a list where|parts", "rank in [" + "-1," * 300 + "]": "more than 500 parts", "tied\0": "not an expression", "\ud800": "not an expression", "“score” > 1": "not an expression", "ｓcor > 1": "no such column",
    "０ > 1": "not an expression", "0777 > 1": "not an expression", "'\\N{x}' == method": "not an expression", "'unclosed": "not an expression", "score >< 1": "not an expression", "9" * 5000: "characters long",
}  # fmt: skip


@pytest.mark.parametrize("text", REFUSED)
def test_expressions_that_are_refused(text):
    with pytest.raises(ExpressionError, match=REFUSED[text].replace("?", r"\?").replace("+", r"\+")) as error:
        mask(FRAME, text)
    check_message(error.value)


def check_message(error):
    message = str(error)
    assert message
    assert "\n" not in message
    assert len(message) < 450


def check_outcome(text):
    """A boolean mask over the same rows, or one clear line; nothing else."""
    try:
        found = mask(FRAME, text)
    except ExpressionError as error:
        check_message(error)
        return
    assert found.dtype == bool
    assert found.index.equals(FRAME.index)


names = st.sampled_from([*FRAME.columns, "MiB", "percent", "scor", "__import__", "ranked", "self", "None"])
numbers = st.integers().map(str) | st.floats().map(repr) | st.sampled_from(["0", "1e308", "9" * 350, "0x10", "1_000"])
texts = st.text(string.printable, max_size=6).map(repr) | st.sampled_from(["'lora'", '"copa"', "''"])


def compound(inner):
    binary = st.sampled_from(
        [
            "+",
            "-",
            "*",
            "/",
            "**",
            "%",
            "//",
            "<",
            "<=",
            "==",
            "!=",
            ">",
            ">=",
            "in",
            "not in",
            "is",
            "and",
            "or",
            "&",
            "<<",
            ",",
            "if",
        ]
    )
    return st.one_of(
        st.tuples(inner, binary, inner).map(" ".join),
        inner.map(lambda part: f"({part})"), inner.map(lambda part: f"not {part}"), inner.map(lambda part: f"-{part}"),
        st.lists(inner, max_size=3).map(lambda parts: f"[{', '.join(parts)}]"),
        st.tuples(inner, inner).map(lambda parts: f"{parts[0]}({parts[1]})"), inner.map(lambda part: f"{part}.real"),
    )  # fmt: skip


@settings(deadline=None, max_examples=400)
@given(st.recursive(names | numbers | texts, compound, max_leaves=12))
def test_generated_expressions_give_a_mask_or_a_clear_error(text):
    check_outcome(text)


@settings(deadline=None, max_examples=300)
@given(st.text(max_size=60) | st.text("()[]{}'\"<>=!+-*/.,:;#@\\ \n\tscoretied019_", max_size=60))
def test_arbitrary_text_gives_a_mask_or_a_clear_error(text):
    check_outcome(text)


logic = st.recursive(
    st.tuples(st.sampled_from(["score", "rank", "memory_train"]), st.sampled_from(["<", "<=", "==", "!=", ">", ">="]), st.sampled_from(["0", "0.8", "8", "5e8", "score", "rank"])),
    lambda inner: st.tuples(inner, st.sampled_from(["and", "or"]), inner) | st.tuples(st.just("not"), inner),
    max_leaves=8,
)  # fmt: skip


def as_text(tree):
    if isinstance(tree, str):
        return tree
    return f"({' '.join(map(as_text, tree))})"


def plainly(tree, row):
    """One row, one operation at a time."""
    match tree:
        case ("not", inner):
            return not plainly(inner, row)
        case (left, "and", right):
            return plainly(left, row) and plainly(right, row)
        case (left, "or", right):
            return plainly(left, row) or plainly(right, row)
        case (left, sign, right):
            one, two = (row[side] if side in row else float(side) for side in (left, right))
            order = {
                "<": one < two,
                "<=": one <= two,
                "==": one == two,
                "!=": one != two,
                ">": one > two,
                ">=": one >= two,
            }
            return order[sign] and not math.isnan(one) and not math.isnan(two)


@settings(deadline=None)
@given(logic)
def test_expressions_mean_what_they_say(tree):
    expected = [plainly(tree, row) for row in FRAME[["score", "rank", "memory_train"]].to_dict("records")]
    assert mask(FRAME, as_text(tree)).tolist() == expected


# Filters -------------------------------------------------------------------------------------------------------------


def test_an_empty_filter_keeps_everything(tmp_path):
    frame = by_experiment(load([write(tmp_path, ours(), published())]).runs)
    assert apply(frame, View()).equals(frame)
    assert len(apply(frame.iloc[:0], View(text="x", expression="score > 1", methods=("a",), best=True))) == 0


FILTERS = {
    "methods": ({"methods": ("ia3", "lora")}, ["lora/copa", "lora/int4", "ia3/t5"]),
    "memory": ({"max_memory": "700 B"}, ["lora/copa", "ia3/t5"]), "less memory": ({"max_memory": "699 B"}, []), "trainable": ({"max_trainable": "9175040"}, ["lora/copa", "lora/int4", "ia3/t5"]),
    "quantization": ({"quantization": ("int4",)}, ["lora/int4"]), "text": ({"text": "INT lora"}, ["lora/int4"]), "expression": ({"expression": "score >= 0.75"}, ["lora/copa"]),
    "together": ({"methods": ("lora",), "max_memory": "1 TB", "text": "l", "expression": "not profile"}, ["lora/copa", "lora/int4"]),
    "best of each method": ({"best": True, "text": "lora"}, ["lora/copa", "lora/int4"]),  # which may not be compared
}  # fmt: skip


@pytest.mark.parametrize("name", FILTERS)
def test_filters(tmp_path, name):
    write(
        tmp_path, ours("lora/copa", task="SuperGLUE", subset="copa"), ours("ia3/t5", task="CNNDM", scores=[0.5]),
        published("lora/int4", **{"run_info.train_config.dtype": "int4"}),
        published("oft/big", **{"train_info.num_trainable_params": 10**9, "train_info.accelerator_memory_max": None}),
    )  # fmt: skip
    frame = load([tmp_path]).runs
    fields, expected = FILTERS[name]
    shown = apply(frame, View(**fields))
    assert sorted(shown["experiment"]) == sorted(expected)
    assert shown.equals(frame.loc[shown.index])


def test_a_wrong_expression_is_an_error():
    with pytest.raises(ExpressionError):
        apply(FRAME, View(expression="scor > 1"))
    with pytest.raises(QuantityError):
        apply(FRAME, View(max_memory="much"))


def test_the_best_run_of_each_method(tmp_path):
    results = [ours("lora/a", scores=[1.0, 0.0]), ours("lora/b", scores=[1.0, 1.0]), ours("ia3/c", scores=[0.0, 0.0])]
    frame = by_experiment(
        load([write(tmp_path, *results, ours("oft/d", 0, (), **{"train_info.status": "failed"}))]).runs
    )
    assert sorted(apply(frame, View(best=True))["experiment"]) == ["ia3/c", "lora/b"]


# Export --------------------------------------------------------------------------------------------------------------

cells = {
    "text": st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(["=1+1", "+x", "-x", "@x", "'x", "''=x", "a,b", 'a"b', "a\nb", "\t=1", "\r\n"]),
    "number": st.just(math.nan) | st.floats(0, 1e18) | st.integers(0, 2**53).map(float),
}  # fmt: skip


@st.composite
def frames(draw):
    keys = draw(st.lists(st.sampled_from([*COLUMNS]), unique=True, min_size=1, max_size=6))
    count = draw(st.integers(0, 6))
    columns = {}
    for key in keys:
        kind = "text" if COLUMNS[key].unit == "text" else "number"
        drawn = draw(st.lists(cells[kind], min_size=count, max_size=count))
        columns[key] = pandas.Series(drawn, dtype="str" if kind == "text" else float)
    frame = pandas.DataFrame(columns)
    rows = draw(st.lists(st.sampled_from(list(frame.index)), unique=True)) if count else []
    return frame.loc[rows], draw(st.permutations(keys))[: draw(st.integers(1, len(keys)))]


def same(key, value, exported):
    """Whether what was read back is the cell; exported is None where it was empty or null."""
    if COLUMNS[key].unit == "text":
        return value == (exported or "")
    return exported is None if math.isnan(value) else float(exported) == value


@settings(deadline=None, max_examples=200)
@given(frames())
def test_csv_is_what_is_shown(drawn):
    frame, keys = drawn
    head, *rows = csv.reader(io.StringIO(to_csv(frame, keys), newline=""))
    if len(keys) == 1:  # the reader takes a row of one empty cell for no row, unless it is quoted
        assert to_csv(frame, keys).count('""') >= sum(not row or row == [""] for row in rows)
    assert head == keys
    assert len(rows) == len(frame)
    for row, shown in zip(rows, frame[keys].itertuples(index=False), strict=True):
        for key, cell, value in zip(keys, row, shown, strict=True):
            assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
            text = cell[1:] if COLUMNS[key].unit == "text" and cell.startswith("'") else cell
            assert same(key, value, text or None)


@settings(deadline=None, max_examples=200)
@given(frames())
def test_json_is_what_is_shown(drawn):
    frame, keys = drawn
    rows = json.loads(to_json(frame, keys))
    assert len(rows) == len(frame)
    for row, shown in zip(rows, frame[keys].itertuples(index=False), strict=True):
        assert list(row) == keys
        assert all(same(key, value, row[key]) for key, value in zip(keys, shown, strict=True))


def test_export_of_filtered_experiments(tmp_path):
    frame = by_experiment(load([write(tmp_path, ours("lora/a"), ours("ia3/b", scores=[0.0, 1.0]), published())]).runs)
    shown = apply(frame, View(methods=("ia3",)))
    keys = ["experiment", "score", "memory_train", "storage", "seeds", "subset", "tied", "forgetting", "base_weights"]
    assert to_csv(shown, keys) == ",".join(keys) + "\r\nia3/b,0.5,700,400,1,,False,0.1,\r\n"
    assert json.loads(to_json(shown, keys)) == [
        {"experiment": "ia3/b", "score": 0.5, "memory_train": 700, "storage": 400, "seeds": 1, "subset": None, "tied": False, "forgetting": 0.1, "base_weights": None}
    ]  # fmt: skip
    assert isinstance(json.loads(to_json(shown, keys))[0]["storage"], int)
    assert numpy.isfinite(shown["score"]).all()

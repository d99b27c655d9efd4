"""The pages as HTML and figures, without a browser; links, exports, and the command line."""

import asyncio
import csv
import dataclasses
import html
import io
import json
import re
import socket
import subprocess
import sys
from html.parser import HTMLParser

import pandas
import pytest
from dashboard_demo import EVIL, TASK, demo
from hypothesis import given, settings
from hypothesis import strategies as st
from result_files import ours, published, write
from scipy import stats

import app
from harness.dashboard import markup, plots_runs, state
from harness.dashboard.build import LABELS, Page, clicked_head, opened
from harness.dashboard.choices import read_data, resolve, selected, task_choices
from harness.dashboard.experiment_parts import inference
from harness.dashboard.expression import ExpressionError, mask
from harness.dashboard.saved import saved_file
from harness.dashboard.selection import show
from harness.dashboard.state import FIELDS, TABS, View, from_controls, from_query
from harness.dashboard.subsets import all_subsets
from harness.dashboard.tab_compare import CompareTab
from harness.experiment import ROOT
from harness.result.columns import COLUMNS
from harness.result.read import read_results
from harness.result.tables import means_table

KEY = "lora/rank8@cpu-x86-64@1"
TEXT = st.text(max_size=30)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return build_page(demo(tmp_path_factory.mktemp("demo") / "results"), TASK)


def build_page(folder, task=None):
    """A page, made where an event loop runs: without one the framework makes some, and never closes them."""

    async def make():
        return Page([folder], task)

    return asyncio.run(make())


def html_of(page, **view):
    """Everything that the page shows as HTML for a view."""
    found = page.draw(View(task=TASK, model="embedded/llama", **view))
    values = [value.get("value") if isinstance(value, dict) else value for value in found.values()]
    return "\n".join(value for value in values if isinstance(value, markup.Safe))


class Tags(HTMLParser):
    """Collects the elements of a page."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


def tags_of(html):
    parser = Tags()
    parser.feed(html)
    return parser.found


# What comes from files is text


@given(st.text())
def test_escaped_text_holds_no_markup(text):
    shown = markup.escape(text)
    assert not set("<>\"'{}$`") & set(shown)
    if len(text) <= markup.LONGEST:
        assert html.unescape(shown) == text or any(letter in text for letter in "\x00\r&")


def test_escape_leaves_own_markup_and_shows_missing_values():
    assert markup.escape(markup.tag("b", "<")) == "<b>&lt;</b>"
    assert markup.escape(None) == markup.escape(float("nan")) == "–"
    assert markup.escape("x" * 5000).endswith("(5,000 characters)")


@pytest.mark.parametrize("tab", TABS)
def test_a_hostile_name_stays_text(page, tab):
    key = f"lora/{EVIL}@nvidia-l40s@foreign"
    assert key in set(page.data.experiments["key"])
    text = html_of(page, tab=tab, experiment=key, compare=(key, KEY))
    assert "<img" not in text
    assert "{{" not in text
    assert not [tag for tag, attributes in tags_of(text) if tag in ("img", "script") or "onerror" in attributes]
    if tab in ("results", "experiment", "compare"):
        assert "&lt;img" in text


def test_a_hostile_prediction_stays_text(page):
    text = html_of(page, tab="experiment", experiment=KEY)
    assert "&lt;b&gt;no&lt;/b&gt;" in text


def test_a_hostile_name_stays_text_in_figures(page):
    found = page.draw(View(tab="tradeoffs", task=TASK, model="embedded/llama", x="trainable_params"))
    figure = found[page.tabs["tradeoffs"].plot].to_json()
    assert "&lt;img" in figure
    assert "<img" not in figure


# Links


def kinds():
    return {field.name: type(field.default) for field in dataclasses.fields(View)}


@st.composite
def views(draw):
    values = {}
    for name, kind in kinds().items():
        if kind is tuple:
            values[name] = tuple(draw(st.lists(TEXT, max_size=4, unique=True)))
        else:
            values[name] = draw(st.booleans() if kind is bool else TEXT)
    return View(**values | {"tab": draw(st.sampled_from(TABS))})


@given(views())
def test_a_link_restores_the_view(view):
    from urllib.parse import parse_qsl

    assert from_query(parse_qsl(view.query(), keep_blank_values=True)) == view


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from([*FIELDS, "other"]), TEXT), max_size=20))
def test_any_link_gives_a_view_that_the_results_offer(page, pairs):
    view = resolve(from_query(pairs), page.data)
    assert view.task in [key for _, key in task_choices(page.data)]
    assert view.experiment in set(selected(page.data, view)["key"])
    show(page.data, view)


@settings(max_examples=15, deadline=None)
@given(views())
def test_any_link_draws_a_page(page, view):
    found = page.draw(view, everything=True)
    assert set(found) <= set(page.outputs)


def test_a_link_is_bounded():
    pairs = [("text", "x" * 10_000), ("tab", "nowhere"), *(("compare", str(number)) for number in range(300))]
    view = from_query(pairs)
    assert (len(view.text), view.tab, len(view.compare)) == (state.LONGEST_TEXT, "results", state.MOST_COMPARED)


def test_controls_that_are_empty_are_the_default():
    assert from_controls(dict.fromkeys(FIELDS)) == dataclasses.replace(View(), **EMPTIED)


EMPTIED = {name: "" for name, kind in kinds().items() if kind is str and name != "tab"} | {"bars": False}


@pytest.mark.parametrize(
    ("text", "units", "value"),
    [
        ("24 GiB", state.BYTES, 24 * 2**30), ("600mib", state.BYTES, 600 * 2**20), ("1,000", state.COUNTS, 1000), ("5M", state.COUNTS, 5e6),
        ("3B", state.COUNTS, 3e9), ("12,345.5", state.COUNTS, 12345.5), ("2 TiB", state.BYTES, 2**41), ("90 min", state.SECONDS, 5400), (".5 h", state.SECONDS, 1800), ("  ", state.BYTES, None),
    ],
)  # fmt: skip
def test_quantities_are_read_with_their_units(text, units, value):
    assert state.quantity(text, "Field", units, "1") == value


@pytest.mark.parametrize(
    "text", ["much", "5 parsecs", "-3", "1e9", "4 GiB 3", "90", "1,5 h", "0,5 h", "1,2345 s", ",5 s"]
)
def test_what_is_no_quantity_says_what_would_be(text):
    with pytest.raises(state.QuantityError, match="Training time: cannot read .*, such as 90 min"):
        state.quantity(text, "Training time", state.SECONDS, "90 min")


def test_a_quantity_beyond_reason_is_refused_and_breaks_no_page(page):
    with pytest.raises(state.QuantityError, match="Rows: cannot read “99999.*…”"):
        state.quantity("9" * 400, "Rows", state.COUNTS, "10k")
    assert "cannot read" in html_of(page, tab="choose", dataset_rows="9" * 400, max_train_time="5 h")


def test_long_expressions_are_refused_not_cut():
    """Cut to fewer characters, this would be another condition that can be read as well."""
    text = "score > 0.5 or " * 200 + "score > 0.6"
    assert from_query([("expression", text)]).expression == text
    assert from_controls({"expression": text}).expression == text
    with pytest.raises(ExpressionError, match="characters long"):
        mask(pandas.DataFrame({"score": [0.7]}), text)


# The pages


def test_results_say_what_is_tied_uncertain_and_not_ranked(page):
    text = html_of(page)
    rows = {row.split('"')[0]: row for row in text.split('<tr data-key="')[1:]}
    assert "best" in rows["full-finetuning/all@cpu-x86-64@1"]
    assert "one seed" in rows["prompt_tuning/tokens20@cpu-x86-64@1"]
    assert "3 seeds, Student" in rows[KEY]
    assert "out of memory" in rows["lora/exploded@cpu-x86-64@1"]
    assert rows["lora/exploded@cpu-x86-64@1"].count("–") >= 3
    assert "300.0 MiB" in rows[KEY]
    assert "Hardware is mixed" in text
    assert "broken.json" in text
    assert "list.json" in text


def test_a_filter_that_cannot_be_read_says_so_and_shows_nothing(page):
    text = html_of(page, expression="scoore > 1")
    assert "Expression:" in text
    assert "score" in text
    assert "data-key" not in text
    assert "Memory at most: cannot read" in html_of(page, max_memory="lots")


def test_filters_keep_what_they_say(page):
    rows = show(page.data, View(task=TASK, model="embedded/llama", max_memory="305 MiB", text="rank")).rows
    assert set(rows["key"]) == {KEY}
    assert "1 of 8 experiments" in html_of(page, max_memory="305 MiB", text="rank")


def test_filters_leave_the_other_pages_alone(page):
    assert "lora/rank8" in html_of(page, tab="experiment", experiment=KEY, text="ia3")


@pytest.mark.parametrize("ascending", [True, False])
def test_rows_are_sorted_by_raw_values_missing_last(page, ascending):
    text = html_of(page, sort="memory_train", ascending=ascending)
    keys = [row.split('"')[0] for row in text.split('<tr data-key="')[1:]]
    rows = selected(page.data, View(task=TASK, model="embedded/llama")).set_index("key")
    values = rows.loc[list(map(html.unescape, keys)), "memory_train"]
    known = values.dropna()
    assert known.is_monotonic_increasing if ascending else known.is_monotonic_decreasing
    assert f'aria-sort="{"ascending" if ascending else "descending"}"' in text


def test_profiles_are_a_choice_of_their_own(page):
    part = f"profiles:{TASK}"
    assert part in [key for _, key in task_choices(page.data)]
    text = html_of(page).split('<tr data-key="')
    assert len(text) == 9
    found = page.draw(View(task=part, model="embedded/llama"))
    table = found[page.tabs["results"].table]
    assert table.count("<tr data-key=") == 1
    assert "300.0 MiB" in table
    assert "%" not in table.split("</thead>")[1]


def test_tradeoffs_count_what_is_left_out_and_number_the_front(page):
    found = page.draw(View(tab="tradeoffs", task=TASK, model="embedded/llama", hardware="cpu-x86-64"))
    tab = page.tabs["tradeoffs"]
    assert "5 experiments drawn. Left out: 1 without a value" in found[tab.counts]
    line, *methods = found[tab.plot].data
    assert line.text == tuple(f"<b>{number}</b>" for number in (1, 2, 3, 4))
    assert list(line.x) == sorted(line.x)
    assert len(methods) == 4
    assert all(trace.error_y.array is not None for trace in methods)
    assert found[tab.front].count("data-open") == 4


def test_tradeoffs_on_log_axes_leave_out_what_these_cannot_show(page):
    view = View(tab="tradeoffs", task=TASK, model="embedded/llama", x="gain", log_x=True, log_y=True)
    figure = page.draw(view)[page.tabs["tradeoffs"].plot]
    assert (figure.layout.xaxis.type, figure.layout.yaxis.type) == ("log", "log")
    assert all(value > 0 for trace in figure.data for value in trace.x)


def test_experiment_shows_curves_memory_and_the_command(page):
    found = page.draw(View(tab="experiment", task=TASK, model="embedded/llama", experiment=KEY, seed="1"))
    tab = page.tabs["experiment"]
    assert [trace.name for trace in found[tab.loss].data] == ["seed 0", "seed 1", "seed 2"]
    assert list(found[tab.loss].data[0].x) == [80, 160, 160]
    peaks, *parts = found[tab.memory].data
    assert list(peaks.y) == ["loading", "training", "evaluation", "inference"]
    assert [trace.name for trace in parts] == [COLUMNS[key].label.lower() for key in plots_runs.MEMORY_PARTS]
    assert sum(trace.x[0] for trace in parts) == pytest.approx(peaks.x[1]) == pytest.approx(300)
    for text in ("1,000", "800", "1.25×", "990", "1.01×"):
        assert text in found[tab.cost]
    assert f"python run.py method_comparison/{TASK}/experiments/lora/rank8 --seed 1" in found[tab.rest]
    assert "not measured" in found[tab.head]
    other = page.draw(View(tab="experiment", task=TASK, model="embedded/llama", experiment="ia3/plain@cpu-x86-64@1"))
    assert "Not measured in these runs" in other[tab.cost]
    assert "Traceback: no room" in html_of(page, tab="experiment", experiment="lora/exploded@cpu-x86-64@1")


def test_configuration_is_compared_with_the_defaults_of_the_task(tmp_path):
    write(tmp_path / "results" / "MetaMathQA", published())
    own = build_page(tmp_path / "results")
    head = own.draw(View(tab="experiment"))[own.tabs["experiment"].head]
    assert "Default of MetaMathQA" in head
    assert "generation_kwargs.max_length" in head
    differing = head.split("<details>")[0]
    assert "lr_scheduler" not in differing


def test_compare_tests_methods_by_seeds_models_by_items_and_marks_other_hardware(page):
    keys = (KEY, "ia3/plain@cpu-x86-64@1", "prompt_tuning/tokens20@cpu-x86-64@1", "lora/rank8@nvidia-l40s@1")
    found = page.draw(View(tab="compare", task=TASK, model="embedded/llama", compare=keys))
    tab: CompareTab = page.tabs["compare"]
    text = found[tab.head]
    assert text.count("</tr>") > 6
    assert "Welch&#x27;s t-test over seeds" in text
    assert "of these two trained models only" in text
    assert "not of their methods; on different hardware" in text
    assert "peft_type" in found[tab.rest]
    assert len(found[tab.loss].data) == 4


def test_compare_and_choose_ask_for_what_they_need(page):
    assert "Choose at least two" in html_of(page, tab="compare", compare=(KEY,))
    assert "GPU memory: cannot read" in html_of(page, tab="choose", gpu_memory="big")


def test_choose_ranks_and_drops_with_reasons(page):
    text = html_of(page, tab="choose", gpu_memory="350 MiB", hardware="cpu-x86-64")
    kept = text.split("Dropped")[0]
    assert "lora/<wbr>rank32" in kept
    assert "full-finetuning/<wbr>all" not in kept
    assert "full-finetuning/<wbr>all" in text
    assert "Rules of thumb" not in text
    assert "Rules of thumb, not measured here" in html_of(page, tab="choose", scope="all", family="vision")


def test_names_on_choose_open_their_experiments_wherever_they_are(page):
    text = html_of(page, tab="choose", scope="all", gpu_memory="350 MiB", hardware="cpu-x86-64")
    buttons = [attributes for tag, attributes in tags_of(text) if tag == "button" and "data-open" in attributes]
    assert {"lora/rank8@nvidia-l40s@1", "lora/rank8@cpu-x86-64@1", "full-finetuning/all@cpu-x86-64@1"} <= {
        one["data-open"] for one in buttons
    }
    assert f"profiles:{TASK}" in {one["data-task"] for one in buttons}
    chosen = View(tab="choose", task=TASK, model="embedded/llama", hardware="cpu-x86-64")
    for one in buttons:
        what = {name.removeprefix("data-"): value for name, value in one.items()}
        view = opened(chosen, what)
        found = resolve(view, page.data)
        assert (found.tab, found.task, found.model, found.experiment) == (
            "experiment", what["task"], what["model"], what["open"],
        )  # fmt: skip
    assert opened(chosen, {"open": KEY}) == dataclasses.replace(chosen, tab="experiment", experiment=KEY)


@pytest.fixture(scope="module")
def losses(tmp_path_factory):
    """Results of a task whose score is better when lower."""
    changes = {"task.higher_is_better": False, "task.metric": "error"}
    found = [
        ours(name, seed, (1.0,) * right + (0.0,) * (20 - right), **changes, **{"quality.valid_score": right / 20})
        for name, rights in (("lora/a", (4, 5)), ("ia3/b", (12, 14)))
        for seed, right in enumerate(rights)
    ]
    return build_page(write(tmp_path_factory.mktemp("losses") / "results", *found))


def test_lower_scores_are_better_where_the_task_says_so(losses):
    found = losses.draw(View())
    table = found[losses.tabs["results"].table]
    assert [row.split("@")[0] for row in table.split('<tr data-key="')[1:]] == ["lora/a", "ia3/b"]
    hints = {
        attributes["data-sort"]: attributes["title"] for _, attributes in tags_of(table) if "data-sort" in attributes
    }
    assert "lower is better" in hints["score"]
    assert "higher is better" in hints["gain"]
    keys = ("ia3/b@cpu-x86-64@1", "lora/a@cpu-x86-64@1")
    head = losses.draw(View(tab="compare", compare=keys))[losses.tabs["compare"].head]
    line = next(row for row in head.split("<tr>") if "Valid score" in row)
    assert "<td>65.0 %</td><td><b>22.5 %</b></td>" in line


@pytest.mark.parametrize(("higher", "best_first"), [(True, False), (False, True)])
def test_a_head_sorts_best_first_then_the_other_way_round(higher, best_first):
    score, memory = COLUMNS["score"], COLUMNS["memory_train"]
    once = clicked_head(View(), score, higher)  # already shown best first
    assert (once.sort, once.ascending) == ("score", not best_first)
    assert clicked_head(once, score, higher).ascending == best_first
    assert clicked_head(View(), COLUMNS["valid_score"], higher).ascending == best_first
    assert clicked_head(View(), memory, higher).ascending is True
    assert clicked_head(clicked_head(View(), memory, higher), memory, higher).ascending is False


def test_compare_marks_no_best_among_runs_that_did_not_succeed(page):
    keys = (KEY, "lora/exploded@cpu-x86-64@1")
    head = page.draw(View(tab="compare", task=TASK, model="embedded/llama", compare=keys))[page.tabs["compare"].head]
    assert "<td><b>" not in head
    assert "not to be ranked" in head


def test_compare_says_so_where_there_are_no_scores_by_item(tmp_path):
    write(tmp_path / "results", *(ours(name, **{"quality.test_scores": []}) for name in ("lora/a", "lora/b")))
    own = build_page(tmp_path / "results")
    head = own.draw(View(tab="compare", compare=("lora/a@cpu-x86-64@1", "lora/b@cpu-x86-64@1")))[
        own.tabs["compare"].head
    ]
    assert "not tested: one seed, and no scores of the same items" in head


def test_a_shared_gpu_is_marked_and_its_times_are_not_plotted(tmp_path):
    speed = {"speed.train_tokens_per_second": 100.0}
    shared = ours("lora/b", **speed, **{"provenance.shared_device": True})
    write(tmp_path / "results", ours("lora/a", **speed), shared)
    own = build_page(tmp_path / "results")
    rows = html_of_default(own).split('<tr data-key="')
    assert ["shared GPU" in row for row in rows[1:]] == ["lora/b" in row for row in rows[1:]]
    counts = own.tabs["tradeoffs"].counts
    text = own.draw(View(tab="tradeoffs", x="train_tokens_per_second"))[counts]
    assert "1 experiment drawn. Left out: 1 timed while another process used the GPU." in text
    assert "2 experiments drawn." in own.draw(View(tab="tradeoffs", x="trainable_params"))[counts]


def html_of_default(page):
    return page.draw(View())[page.tabs["results"].table]


def test_full_finetuning_has_no_adapter_to_merge(page):
    row = page.data.experiments.set_index("experiment").loc["lora/rank8"].iloc[0]
    assert "Adapter merged" in inference(row)
    full = inference(pandas.concat([row.drop("method"), pandas.Series({"method": "full-finetuning"})]))
    assert "Trained model" in full
    assert "Adapter" not in full


def test_every_page_shows_the_interval_of_a_single_seed(tmp_path):
    """That of graded scores takes long, and is computed for the rows that are shown."""
    results = [ours(name, scores=[0.2, 0.9, 0.5, part] * 5) for name, part in (("lora/a", 0.3), ("ia3/b", 0.7))]
    own = build_page(write(tmp_path / "results", *results))
    keys = ("lora/a@cpu-x86-64@1", "ia3/b@cpu-x86-64@1")
    assert own.draw(View())[own.tabs["results"].table].count("one seed, BCa over 20 items") >= 2
    assert (
        "one seed, BCa over 20 items"
        in own.draw(View(tab="experiment", experiment=keys[0]))[own.tabs["experiment"].head]
    )
    compared = own.draw(View(tab="compare", compare=keys))[own.tabs["compare"].head]
    assert compared.count("one seed, BCa over 20 items") == 2


def on_subsets(experiment, **rights):
    """One run per seed and subset, each with so many right answers of ten."""
    return [
        ours(experiment, seed, (1.0,) * right + (0.0,) * (10 - right), task="Glue", subset=subset)
        for subset, of_seeds in rights.items()
        for seed, right in enumerate(of_seeds)
    ]


def test_subsets_are_taken_together_over_seeds_that_each_has(tmp_path):
    results = [*on_subsets("lora/a", one=(6, 8), two=(2, 2)), *on_subsets("ia3/b", one=(9, 9), two=(9, 8))]
    results += [*on_subsets("lora/c", one=(5, 5), two=(5,)), *on_subsets("lora/d", one=(5, 5))]
    own = build_page(write(tmp_path / "results", *results))
    text = own.draw(View(task="Glue/one"))[own.tabs["results"].subsets]
    rows = [re.sub("<[^>]*>", " ", row).split() for row in text.split("<tbody>")[1].split("</tr>")[:-1]]
    assert [row[:5] for row in rows] == [
        ["ia3/", "b", "90.0", "85.0", "87.5"], ["lora/", "c", "50.0", "50.0", "50.0"],
        ["lora/", "a", "70.0", "20.0", "45.0"],
    ]  # fmt: skip
    assert rows[1][5:] == ["one", "seed"]  # the other seed has no result on the second subset
    low, high = stats.t.interval(0.95, 1, 0.45, 0.05)  # of 40 and 50 %, with a standard error of 5 points
    assert rows[2][5:] == f"{100 * max(low, 0):.1f} – {100 * min(high, 1):.1f} (2 seeds)".split()
    assert "left out: 1 without a seed that every subset has" in text
    assert "lora/" not in own.draw(View(task="Glue/two", text="ia3"))[own.tabs["results"].subsets]
    assert own.draw(View(task="Glue/one", text="lora/d"))[own.tabs["results"].subsets] == ""


def test_means_over_subsets_are_those_of_the_table():
    """Of the committed results, as harness.result.tables prints them for experiments with the same seeds everywhere."""
    data = read_data([ROOT / "results" / "SuperGLUE"])
    here = (data.experiments["part"] == "SuperGLUE/copa") & (data.experiments["hardware"] == "cpu-amd-epyc")
    shown = data.experiments[here & (data.experiments["model"] == "embedded/t5")]
    text = re.sub("<wbr>", "", all_subsets(data.experiments, data.runs, shown))
    records = read_results([ROOT / "results" / "SuperGLUE"]).records
    group = [one for one in records if (one["hardware"], one["model"]) == ("cpu-amd-epyc", "embedded/t5")]
    lines = [line.strip("| ").split(" | ") for line in means_table(group).splitlines()[2:]]
    same = [line for line in lines if f'<th scope="row">{line[0]}</th>' in text]
    assert len(same) > 5
    for name, *subsets, mean, _ in same:
        row = text.split(f">{name}<")[1].split("</tr>")[0]
        assert sorted(re.findall(r"<td>([0-9.]+)</td>", row)) == sorted(subsets)
        assert f"<b>{mean}</b>" in row


def test_no_task_of_one_part_has_means_over_subsets(page):
    assert page.draw(View(task=TASK, model="embedded/llama"))[page.tabs["results"].subsets] == ""


def test_memory_has_every_phase(page):
    row = pandas.Series(dict.fromkeys(plots_runs.PHASES.values(), 2.0**20))
    peaks = plots_runs.memory([("", row)]).data[0]
    assert list(peaks.y) == ["loading", "training", "evaluation", "forgetting", "inference"]


def test_findings_show_every_claim_with_its_source(page):
    from harness.dashboard.claims import CLAIMS

    text = html_of(page, tab="findings")
    assert [attributes["data-claim"] for _, attributes in tags_of(text) if "data-claim" in attributes] == [
        claim.key for claim in CLAIMS
    ]


def test_no_results_show_how_to_make_one(tmp_path):
    own = build_page(tmp_path)
    found = own.draw(View())
    assert "python run.py" in found[own.empty]["value"]
    assert found[own.bar] == {"visible": False, "__type__": "update"}


# Exports


@pytest.mark.parametrize(
    "changes", [{}, {"text": "lora", "sort": "trainable_params", "ascending": True, "columns": ("score", "source")}]
)
def test_exports_are_the_rows_columns_and_order_that_are_shown(page, changes):
    view = View(task=TASK, model="embedded/llama", **changes)
    found = page.draw(view)
    shown = [row.split('"')[0] for row in found[page.tabs["results"].table].split('<tr data-key="')[1:]]
    heads = [
        attributes["data-sort"]
        for _, attributes in tags_of(found[page.tabs["results"].table])
        if "data-sort" in attributes
    ]
    file = saved_file(page.data, found[page.link], "csv")
    rows = list(csv.DictReader(io.StringIO(file["text"])))
    names = dict(zip(page.data.experiments["key"], page.data.experiments["experiment"], strict=True))
    assert [row["experiment"] for row in rows] == [names[html.unescape(key)] for key in shown]
    beside = {"hardware", "protocol", "status", "score_low", "score_high", "seeds"}
    assert [key for key in rows[0] if key in heads or key not in beside] == heads
    assert {"score_low", "score_high"} <= set(rows[0])
    assert file["name"] == f"{TASK}.csv"
    objects = json.loads(saved_file(page.data, found[page.link], "json")["text"])
    assert [list(one) for one in objects] == [list(rows[0])] * len(rows)


def test_exports_say_what_the_cells_say_beside_their_values(page):
    """The score's interval, and what tells rows of one name apart."""
    view = View(task=TASK, model="embedded/llama", columns=("score",))
    rows = json.loads(saved_file(page.data, view.query(), "json")["text"])
    apart = ("hardware", "protocol", "status")
    assert list(rows[0]) == ["experiment", *apart, "score", "score_low", "score_high", "seeds"]
    assert len({tuple(row[key] for key in ("experiment", *apart)) for row in rows}) == len(rows) == 8
    text = html_of(page, columns=("score",))
    known = [row for row in rows if row["score_low"] is not None]
    assert len(known) > 4
    assert all(f" {100 * row['score_low']:.1f} – {100 * row['score_high']:.1f}" in text for row in known)
    failed = dataclasses.replace(view, text="exploded", columns=("storage",))
    assert list(json.loads(saved_file(page.data, failed.query(), "json")["text"])[0]) == [
        "experiment", "status", "storage"
    ]  # fmt: skip
    one = dataclasses.replace(view, hardware="cpu-x86-64", text="ia3")
    assert list(json.loads(saved_file(page.data, one.query(), "json")["text"])[0]) == [
        "experiment", "score", "score_low", "score_high", "seeds"
    ]  # fmt: skip


# The command line


def test_importing_the_app_needs_nothing_and_starts_nothing():
    code = "import sys; sys.modules |= {name: None for name in ('gradio', 'torch', 'plotly', 'pandas')}; import app; print('fine')"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "fine\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--results", "nowhere"], "--results nowhere: no such file or folder"),
        (["--port", "99999"], "--port 99999: expected a number"),
    ],
)
def test_what_is_wrong_on_the_command_line_is_one_line(arguments, message, capsys):
    assert app.main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {message}")
    assert error.count("\n") == 1


def test_a_port_that_is_taken_is_one_line(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        command = [sys.executable, "app.py", "--results", str(tmp_path), "--port", port]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: --host 127.0.0.1 --port {port}: ")
    assert done.stderr.count("\n") == 1


def test_a_missing_requirement_names_its_remedy(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "harness.dashboard.build", None)
    assert app.main([]) == 2
    assert "pip install -r requirements-app.txt" in capsys.readouterr().err


def test_every_column_that_the_table_may_show_has_a_hint():
    assert all(column.description for column in COLUMNS.values())
    assert list(LABELS) == list(TABS)


def test_read_data_numbers_rows_of_one_name(tmp_path):
    write(tmp_path, published(), published(seed=1, **{"train_info.status": "failed"}))
    keys = list(read_data([tmp_path]).experiments["key"])
    assert keys == ["lora/llama-3.2-3B-rank32@nvidia-l40s@foreign", "lora/llama-3.2-3B-rank32@nvidia-l40s@foreign@2"]

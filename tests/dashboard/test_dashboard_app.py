"""The pages as HTML, without a browser; links, exports, pictures, the page without a server, and the command line."""

import csv
import dataclasses
import html
import io
import json
import re
import socket
import subprocess
import sys
import time
from html.parser import HTMLParser
from urllib.parse import urlencode

import pytest
from dashboard_demo import EVIL, TASK, demo
from dashboard_foreign import FLUX, LLAMA, images, metamath
from hypothesis import given, settings
from hypothesis import strategies as st
from result_files import assert_current, ours, published, write
from scipy import stats
from starlette.applications import Starlette
from starlette.testclient import TestClient

import app
from harness.dashboard import export, methods, static, view
from harness.dashboard.data import read_data, resolve, selected
from harness.dashboard.expression import ExpressionError, mask
from harness.dashboard.page import Dashboard
from harness.dashboard.plots import Scatter
from harness.dashboard.quantity import GIB, MIB, QuantityError, read
from harness.dashboard.server import pages
from harness.dashboard.view import CONTROLS, TABS, View, from_query, query_of
from harness.experiment import ROOT
from harness.result.pareto import front
from harness.result.provenance import committed
from harness.result.tables import means_table
from harness.result.tuning import read_tuning

KEY = "lora/rank8@cpu-x86-64@1"
EVIL_KEY = f"lora/{EVIL}@nvidia-l40s@of another harness"
TEXT = st.text(st.characters(codec="utf-8"), max_size=30).map(str.strip)


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    return Dashboard([demo(tmp_path_factory.mktemp("demo") / "results")], TASK)


def client_of(board):
    """A client of the pages alone; test_dashboard_api.py asks the whole app."""
    return TestClient(Starlette(routes=pages(board)))


def page_of(board, **fields):
    return board.page(query_of(View(**{"task": TASK, "model": "embedded/llama"} | fields)))


def rows_of(text):
    """The table's rows by their keys, in order."""
    parts = [part.split("</tbody>")[0] for part in text.split('<tr data-key="')[1:]]
    return {html.unescape(part.split('"')[0]): part for part in parts}


def plain(text):
    return html.unescape(re.sub(r"\s+", " ", re.sub("<[^>]*>", "", text)))


class Tags(HTMLParser):
    """Collects the elements of a page."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


# What comes from files is text


@pytest.mark.parametrize("tab", TABS)
def test_a_hostile_name_stays_text(board, tab):
    assert EVIL_KEY in set(board.data.experiments["key"])
    text = page_of(board, tab=tab, experiment=EVIL_KEY, compare=(EVIL_KEY, KEY), highlight="lora")
    parser = Tags()
    parser.feed(text)
    assert not [tag for tag, attributes in parser.found if tag == "img" or "onerror" in attributes]
    assert text.count("<script") == text.count("</script>")
    assert "<img" not in text
    if tab in ("results", "experiment", "compare"):
        assert "&lt;img" in text


@given(
    st.sampled_from(["text", "expression", "max_memory", "task", "model", "experiment", "highlight", "x"]),
    st.text(max_size=40),
)
@settings(max_examples=40, deadline=None)
def test_what_a_link_says_stays_text(board, name, text):
    parser, value = Tags(), f'"><script x>{text}</script><img src=x onerror=1>'
    parser.feed(board.page(urlencode({name: value}, errors="replace")))
    assert not [
        tag for tag, attributes in parser.found if tag == "img" or "x" in attributes or "onerror" in attributes
    ]


def test_a_hostile_prediction_stays_text(board):
    assert "&lt;b&gt;no&lt;/b&gt;" in page_of(board, tab="experiment", experiment=KEY)


# Links


@st.composite
def views(draw):
    values = {}
    for name, control in CONTROLS.items():
        known = (
            list(TABS)
            if name == "tab"
            else list(view.COLUMNS)
            if name == "sort"
            else control.options and list(control.options)
        )
        default = getattr(View(), name)
        one = st.sampled_from(known) if known else TEXT
        if isinstance(default, tuple):
            values[name] = tuple(draw(st.lists(one.filter(bool), max_size=4, unique=True)))
        else:
            values[name] = draw(st.booleans() if isinstance(default, bool) else one)
    return View(**values)


@settings(deadline=None)
@given(views())
def test_a_link_restores_the_view(one):
    assert from_query(query_of(one)) == (one, [])


@settings(max_examples=40, deadline=None)
@given(views(), st.booleans())
def test_any_link_draws_a_page_and_none_slowly(everything, one, known):
    if known:
        one = dataclasses.replace(one, task="MetaMathQA", model=LLAMA, hardware="")
    started = time.process_time()
    assert "</html>" in everything.page(query_of(one))
    assert time.process_time() - started < 0.75  # of this process alone, whatever else the machine does


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([*CONTROLS, "other"]), TEXT), max_size=20))
def test_any_link_gives_rows_that_there_are_or_says_what_is_missing(board, pairs):
    one, problems = resolve(from_query(pairs)[0], board.data)
    rows = selected(board.data.experiments, one)
    assert problems or len(rows)
    assert problems or one.experiment in ("", *rows["key"])


def test_a_link_is_bounded():
    pairs = [("text", "x" * 10_000), ("tab", "nowhere"), *(("compare", str(number)) for number in range(300))]
    one, problems = from_query(pairs)
    assert (len(one.text), one.tab, len(one.compare)) == (view.LONGEST_TEXT, "results", view.MOST_COMPARED)
    assert len(problems) == 2


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        *(("gpu_memory", text, 24 * GIB) for text in ("24", "24G", "24 GB", "24GiB", "24 gib", "24,576", "24576 MB")),
        ("max_memory", "600mib", 600 * MIB), ("max_memory", "2 TiB", 2**41), ("max_trainable", "5", 5e6), ("max_trainable", "1,000", 1000),
        ("model_params", "3", 3e9), ("model_params", "0.5", 5e8), ("model_params", "350M", 3.5e8), ("dataset_rows", "10000", 10_000),
        ("dataset_rows", "10k", 10_000), ("max_storage", "100", 100 * MIB), ("max_train_time", "90", 5400), ("max_train_time", ".5 h", 1800), ("max_train_time", " ", None),
    ],
)  # fmt: skip
def test_figures_are_read_as_people_mean_them(name, text, value):
    assert read(View(**{name: text}), name) == value


@pytest.mark.parametrize(
    "text", ["much", "5 parsecs", "-3", "1e9", "4 h 3", "1,5 h", "0,5 h", "1,2345 s", ",5 s", "0", "9" * 400]
)
def test_what_is_no_quantity_says_what_would_be(board, text):
    with pytest.raises(QuantityError, match="Training time: cannot read .*, such as 90 min"):
        read(View(max_train_time=text), "max_train_time")
    assert "cannot read" in page_of(board, tab="choose", max_train_time=text)


def test_long_expressions_are_refused_not_cut():
    """Cut to fewer characters, this would be another condition that can be read as well."""
    text = "score > 0.5 or " * 200 + "score > 0.6"
    assert from_query([("expression", text)])[0].expression == text
    with pytest.raises(ExpressionError, match="characters long"):
        mask(read_data([]).experiments, text)


# The pages


def test_results_say_what_is_tied_uncertain_and_not_ranked(board):
    text = page_of(board)
    rows = rows_of(text)
    assert list(rows)[:2] == ["full-finetuning/all@cpu-x86-64@1", "lora/rank32@cpu-x86-64@1"]
    assert "best" in rows["full-finetuning/all@cpu-x86-64@1"]
    assert "one seed" in rows["prompt_tuning/tokens20@cpu-x86-64@1"]
    assert "3 seeds, Student" in rows[KEY]
    assert "out of memory" in rows["lora/exploded@cpu-x86-64@1"]
    assert "published elsewhere" in rows[EVIL_KEY]
    assert "300.0 MiB" in rows[KEY]
    assert "Hardware is mixed" in text
    assert "broken.json" in plain(text)
    assert "list.json" in plain(text)


def test_a_filter_that_cannot_be_read_says_so_and_shows_nothing(board):
    text = page_of(board, expression="scoore > 1")
    assert "Expression:" in text
    assert "score" in text
    assert not rows_of(text)
    assert "Memory at most: cannot read" in page_of(board, max_memory="lots")


def test_filters_keep_what_they_say_on_the_pages_that_they_apply_to(board):
    text = page_of(board, max_memory="305 MiB", text="rank")
    assert list(rows_of(text)) == [KEY]
    assert "1 of 8 experiments" in text
    assert "lora/<wbr>rank8" in page_of(board, tab="experiment", experiment=KEY, text="ia3")


@pytest.mark.parametrize("ascending", [True, False])
def test_rows_are_sorted_by_raw_values_missing_last(board, ascending):
    text = page_of(board, sort="memory_train", ascending=ascending)
    frame = board.data.experiments.set_index("key")
    values = frame[~frame["profile"]].loc[list(rows_of(text)), "memory_train"].dropna()
    assert values.is_monotonic_increasing if ascending else values.is_monotonic_decreasing
    assert f'aria-sort="{"ascending" if ascending else "descending"}"' in text


def test_profiles_are_a_choice_of_their_own(board):
    assert len(rows_of(page_of(board))) == 8
    rows = rows_of(page_of(board, task=f"profiles:{TASK}"))
    assert len(rows) == 1
    assert "300.0 MiB" in rows[KEY]
    assert "%" not in plain(rows[KEY])


@pytest.mark.parametrize("axes", [("memory_train", "score"), ("gain", "forgetting"), ("trainable_params", "storage")])
def test_the_front_of_the_plot_is_the_right_one(board, axes):
    rows = selected(board.data.experiments, View(task=TASK, model="embedded/llama"))
    scatter = Scatter(rows, *axes, ("log", ""))
    assert set(scatter.front["key"]) == set(scatter.rows.loc[front(scatter.rows, *axes), "key"])
    assert (scatter.rows[axes[0]] > 0).all()  # what a log axis cannot show is left out, and said
    assert len(scatter.rows) + sum(int(text.split()[0]) for text in scatter.left_out) == len(rows)


def test_compare_says_what_statistics_say(board):
    keys = (KEY, "ia3/plain@cpu-x86-64@1", "prompt_tuning/tokens20@cpu-x86-64@1", "lora/rank8@nvidia-l40s@1")
    text = plain(page_of(board, tab="compare", compare=keys))
    assert "Welch's t-test over seeds" in text
    assert "of these two trained models only" in text
    assert "not of their methods; on different hardware" in text
    assert "memory, time and speed are not to be ranked" in text
    failed = page_of(board, tab="compare", compare=(KEY, "lora/exploded@cpu-x86-64@1"))
    assert "not to be ranked" in failed
    assert "<td><b>" not in failed
    assert "Choose at least two" in page_of(board, tab="compare", compare=(KEY,))


def test_lower_scores_are_better_where_the_task_says_so(tmp_path):
    changes = {"task.higher_is_better": False, "task.metric": "error"}
    results = [
        ours(name, seed, (1.0,) * right + (0.0,) * (20 - right), **changes, **{"quality.valid_score": right / 20})
        for name, rights in (("lora/a", (4, 5)), ("ia3/b", (12, 14))) for seed, right in enumerate(rights)
    ]  # fmt: skip
    own = Dashboard([write(tmp_path / "results", *results)])
    text = own.page("")
    assert [key.split("@")[0] for key in rows_of(text)] == ["lora/a", "ia3/b"]
    assert "(lower is better)" in text.split('data-sort="score"')[1][:400]
    compared = own.page(
        urlencode([("tab", "compare"), ("compare", "ia3/b@cpu-x86-64@1"), ("compare", "lora/a@cpu-x86-64@1")])
    )
    assert "<td>0.65</td><td><b>0.225</b></td>" in compared.split("Valid score")[1]


@pytest.mark.parametrize(
    ("sort", "first"), [("score", "ascending=1"), ("memory_train", "ascending=1"), ("gain", "sort=gain")]
)
def test_a_head_sorts_best_first_then_the_other_way_round(board, sort, first):
    link = re.search(f'data-sort="{sort}" href="([^"]*)"', page_of(board))[1]
    assert first in link
    assert ("ascending=1" in link) == (sort != "gain")
    again = re.search(f'data-sort="{sort}" href="([^"]*)"', board.page(html.unescape(link)[1:]))[1]
    assert ("ascending=1" in again) == (sort == "gain")


def test_every_page_shows_the_interval_of_a_single_seed(tmp_path):
    """That of graded scores takes long, and is computed for the rows that are shown."""
    results = [ours(name, scores=[0.2, 0.9, 0.5, part] * 5) for name, part in (("lora/a", 0.3), ("ia3/b", 0.7))]
    own = Dashboard([write(tmp_path / "results", *results)])
    keys = [("compare", f"{name}@cpu-x86-64@1") for name in ("lora/a", "ia3/b")]
    for pairs in ([], [("tab", "experiment")], [("tab", "compare"), *keys], [("tab", "choose")]):
        assert "one seed, BCa over 20 items" in own.page(urlencode(pairs))


def test_a_shared_gpu_is_marked_and_its_times_are_not_plotted(tmp_path):
    speed = {"speed.train_tokens_per_second": 100.0}
    results = [ours("lora/a", **speed), ours("lora/b", **speed, **{"provenance.shared_device": True})]
    own = Dashboard([write(tmp_path / "results", *results)])
    assert ["shared GPU" in row for row in rows_of(own.page("")).values()] == [False, True]
    text = own.page("tab=tradeoffs&x=train_tokens_per_second")
    assert "1 experiment drawn. Left out: 1 timed while another process used the GPU." in text
    assert "2 experiments drawn." in own.page("tab=tradeoffs&x=trainable_params")


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
    text = Dashboard([write(tmp_path / "results", *results)]).page("task=Glue/one").split('id="all-subsets"')[1]
    rows = [
        re.sub("<[^>]*>", " ", row.replace("<wbr>", "")).split() for row in text.split("<tbody>")[1].split("</tr>")[:3]
    ]
    assert [row[:4] for row in rows] == [
        ["ia3/b", "90.0", "85.0", "87.5"],
        ["lora/c", "50.0", "50.0", "50.0"],
        ["lora/a", "70.0", "20.0", "45.0"],
    ]
    assert rows[1][4:] == ["one", "seed"]  # the other seed has no result on the second subset
    low, high = stats.t.interval(0.95, 1, 0.45, 0.05)  # of 40 and 50 %, with a standard error of 5 points
    assert rows[2][4:] == f"{100 * max(low, 0):.1f} – {100 * min(high, 1):.1f} (2 seeds)".split()
    assert "left out: 1 without a seed that every subset has" in text


def test_findings_show_every_claim_with_its_source(board):
    from harness.dashboard.claims import CLAIMS

    text = page_of(board, tab="findings")
    assert re.findall('data-claim="([^"]*)"', text) == [claim.key for claim in CLAIMS]
    assert all(claim.url in text for claim in CLAIMS)


def test_capabilities_are_read_where_they_exist(tmp_path):
    path = tmp_path / "methods.json"
    assert "not in this checkout yet" in methods.capabilities(path)[2]
    path.write_text(json.dumps({"lora": {"mergeable": True}, "ia3": {"paper": "x"}}))
    assert methods.capabilities(path) == (
        ["method", "mergeable", "paper"],
        [["lora", True, None], ["ia3", None, "x"]],
        "",
    )
    path.write_text("{")
    assert "cannot be read" in methods.capabilities(path)[2]


# The server: exports, pictures, and nothing else


@pytest.mark.parametrize(
    "changes", [{}, {"text": "lora", "sort": "trainable_params", "ascending": True, "columns": ("score", "source")}]
)
def test_exports_are_the_rows_columns_and_order_that_are_shown(board, changes):
    client, query = client_of(board), query_of(View(task=TASK, model="embedded/llama", **changes))
    text = client.get(f"/?{query}").text
    answer = client.get(f"/export.csv?{query}")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    names = dict(zip(board.data.experiments["key"], board.data.experiments["experiment"], strict=True))
    assert [row["experiment"] for row in rows] == [names[key] for key in rows_of(text)]
    heads = re.findall('data-sort="([^"]*)"', text)
    beside = {"hardware", "protocol", "status", "score_low", "score_high", "seeds"}
    assert [key for key in rows[0] if key in heads or key not in beside] == heads
    assert f'filename="{TASK}--llama.csv"' in answer.headers["content-disposition"]
    objects = client.get(f"/export.json?{query}").json()
    assert [list(one) for one in objects] == [list(rows[0])] * len(rows)


def test_exports_say_what_the_cells_say_beside_their_values(board):
    query = query_of(View(task=TASK, model="embedded/llama", columns=("score",)))
    rows = json.loads(board.saved(query, "json")[1])
    apart = ("hardware", "protocol", "status")
    assert list(rows[0]) == ["experiment", *apart, "score", "score_low", "score_high", "seeds"]
    assert len({tuple(row[key] for key in ("experiment", *apart)) for row in rows}) == len(rows) == 8
    text = page_of(board, columns=("score",))
    known = [row for row in rows if row["score_low"] is not None]
    assert len(known) > 4
    assert all(f"{100 * row['score_low']:.1f} % – {100 * row['score_high']:.1f} %" in text for row in known)


def test_nothing_else_is_served(board):
    client = client_of(board)
    assert client.get("/export.exe").status_code == client.get("/upload").status_code == 404
    assert client.post("/", content=b"x").status_code == 405
    assert "default-src 'none'" in client.get("/").headers["content-security-policy"]


def test_pictures_that_a_result_names_are_shown_and_no_other_file(tmp_path):
    folder = tmp_path / "results"
    names = ["cat.png", "../secret.png", "notes.txt", "gone.png"]
    samples = [
        {"prompt": "a cat", "reference": "", "prediction": None, "score": None, "image": name} for name in names
    ]
    result = ours("lora/a")
    result["quality"]["samples"] = samples
    write(folder, result)
    for path in (folder / "cat.png", tmp_path / "secret.png", folder / "notes.txt", folder / "other.png"):
        path.write_bytes(b"picture")
    client = client_of(Dashboard([folder]))
    assert "picture=cat.png" in client.get("/?tab=experiment").text
    status = {
        name: client.get(f"/picture?tab=experiment&picture={name}").status_code for name in [*names, "other.png"]
    }
    assert status == {"cat.png": 200, "../secret.png": 404, "notes.txt": 404, "gone.png": 404, "other.png": 404}


def test_the_first_page_is_the_largest_real_model_with_most_results(folders, everything):
    one, _ = resolve(View(), everything.data)
    assert (one.task, one.model) == ("MetaMathQA", LLAMA)
    assert everything.data.places[1] == ("ImageGeneration", FLUX)


# Tuning budgets

TUNED = ROOT / "method_comparison/MetaMathQA/experiments/lora/embedded-llama-rank8"


def test_budgets_stand_beside_scores_and_unequal_ones_are_told(tmp_path):
    """One experiment has a committed record; of the other, on a model that nobody ships, there is none."""
    names = ("lora/embedded-llama-rank8", "lora/llama-3.2-3B-rank32")
    record = read_tuning(TUNED)
    budgets = [record.budget, "untuned"]
    chosen = {"run_info.train_config.optimizer_kwargs.lr": record.chosen}
    results = [ours(name, seed, (1.0, seed / 2), **chosen) for name in names for seed in (0, 1)]
    board = Dashboard([write(tmp_path, *results)])
    rows = json.loads(board.saved("", "json")[1])
    assert {row["experiment"]: row["budget"] for row in rows} == dict(zip(names, budgets, strict=True))
    keys = [f"{name}@cpu-x86-64@1" for name in names]
    warning = f"nequal tuning budgets: {budgets[0]}; untuned"
    place = {"task": "MetaMathQA", "model": "embedded/llama"}
    for part in ({"tab": "compare", "compare": keys}, {"tab": "choose"}):
        assert warning in plain(board.page(urlencode(place | part, doseq=True)))
    assert f"Tuning budgets are unequal ({budgets[0]}; untuned)" in plain(board.page(urlencode(place)))
    same = urlencode(place | {"tab": "compare", "compare": [keys[0], keys[0]]}, doseq=True)
    assert "nequal tuning budgets" not in board.page(same)
    theirs = Dashboard([write(tmp_path / "theirs", published())]).page("")
    assert "untuned" not in theirs, "nobody knows how others tuned theirs"


# The page without a server


def test_a_folder_becomes_a_small_page(tmp_path):
    metamath(images(tmp_path / "theirs"))
    assert app.main(["--results", str(tmp_path / "theirs"), "--static", str(tmp_path / "site")]) == 0
    text = (tmp_path / "site" / "index.html").read_text()
    assert len(text) < 1e6
    assert not re.search(r'(?:src|href)="(?!#|data:)', text)
    assert app.main(["--results", str(write(tmp_path / "empty")), "--static", str(tmp_path / "none")]) == 2


def test_the_committed_site_is_todays():
    site, page = ROOT / "docs" / "site" / "index.html", static.page(read_data(committed(ROOT)))
    assert_current(page, site.read_text(), "python app.py --static docs/site", rel=1e-4)
    assert site.stat().st_size < 3_000_000


def test_the_saved_page_in_a_browser(page, folders, everything, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(static.page(everything.data))
    page.goto(path.as_uri())
    rows = page.locator("#table tbody tr")
    assert rows.count() == 63
    best = rows.first.inner_text()
    assert "best" in best
    page.locator("#text").fill("rank32")
    assert 0 < rows.count() < 63
    page.locator("#text").fill("")
    page.locator("#memory").fill("20")
    kept = rows.count()
    frame = selected(everything.data.experiments, resolve(View(), everything.data)[0])
    assert kept == (frame["memory_train"] <= 20 * GIB).sum()
    page.locator("#memory").fill("")
    page.locator("[data-sort=storage]").click()
    shown = [row.split("\t")[0].split()[0] for row in rows.all_inner_texts()]
    assert shown == list(frame.sort_values(["storage", "experiment"], kind="stable")["experiment"])
    for x in ("memory_train", "trainable_params"):
        page.locator("#x").select_option(x)
        names = {text.split(" ", 1)[1].rstrip("…") for text in page.locator(".plot .name").all_text_contents()}
        right = list(frame.loc[front(frame, x, "score"), "experiment"])
        assert len(names) == len(right)
        assert all(any(one.startswith(name) for one in right) for name in names)
    page.locator("#place").select_option(label=f"{TASK} (small test model) · embedded/llama (small test model)")
    assert EVIL in page.locator("#table").inner_text()
    page.locator("#place").select_option(label="MetaMathQA · embedded/llama (small test model)")
    assert read_tuning(TUNED).budget in page.locator("#table").inner_text()


# The command line


def test_importing_the_app_needs_nothing_and_starts_nothing():
    code = "import sys; sys.modules |= {name: None for name in ('gradio', 'starlette', 'torch', 'jinja2', 'pandas')}; import app; print('fine')"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "fine\n"


@pytest.mark.slow
def test_a_page_without_a_server_needs_no_gradio(tmp_path):
    write(tmp_path / "results", ours("lora/a"))
    code = f"import sys; sys.modules['gradio'] = None; import app; sys.exit(app.main(['--results', {str(tmp_path)!r}, '--static', {str(tmp_path)!r}]))"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert (tmp_path / "index.html").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--results", "nowhere"], "--results nowhere: no such file or folder"),
        (["--port", "99999"], "--port 99999: expected a number"),
        (["--static", "/dev/null/x"], "--static /dev/null/x: "),
    ],
)
def test_what_is_wrong_on_the_command_line_is_one_line(arguments, message, capsys):
    assert app.main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {message}")
    assert error.count("\n") == 1


def test_a_port_that_is_taken_is_one_line(tmp_path, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert app.main(["--results", str(tmp_path), "--port", port]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: --host 127.0.0.1 --port {port}: ")
    assert error.count("\n") == 1


def test_a_missing_requirement_names_its_remedy(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "harness.dashboard.page", None)
    assert app.main([]) == 2
    assert "pip install -r requirements-app.txt" in capsys.readouterr().err


def test_rows_of_one_name_are_numbered(tmp_path):
    write(tmp_path, published(), published(seed=1, **{"train_info.status": "failed"}))
    key = "lora/llama-3.2-3B-rank32@nvidia-l40s@of another harness"
    assert list(read_data([tmp_path]).experiments["key"]) == [key, f"{key}@2"]


def test_files_are_named_after_task_and_model():
    one = View(task="SuperGLUE/copa", model="meta-llama/Llama-3.2-3B")
    assert export.file_name(one, "csv") == "SuperGLUE-copa--Llama-3.2-3B.csv"
    assert export.file_name(View(task="../..", model='"\r\n'), "json") == "results.json"


def test_means_over_subsets_are_those_of_the_table():
    """Of the committed results, as harness.result.tables prints them for experiments with the same seeds everywhere."""
    from harness.dashboard.subsets import all_subsets
    from harness.result.read import read_results

    data, records = read_data([ROOT / "results" / "SuperGLUE"]), read_results([ROOT / "results" / "SuperGLUE"]).records
    shown = data.experiments[data.experiments["part"] == "SuperGLUE/copa"]
    rows = [row for means in all_subsets(data.experiments, data.runs, shown) for row in means.rows]
    cells = [line.strip("| ").split(" | ") for line in means_table(records).splitlines()[2:]]
    machines = set(data.runs["processor"])  # a column of the table where there are several
    lines = {row[0]: [cell for cell in row if cell not in machines] for row in cells}
    same = [(name, scores, mean) for name, scores, mean in rows if name in lines]
    assert len(same) > 5
    for name, scores, mean in same:
        assert sorted(f"{100 * score:.1f}" for score in scores) == sorted(lines[name][1:4])
        assert f"{100 * mean.estimate:.1f}" == lines[name][4]

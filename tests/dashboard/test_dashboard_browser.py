"""The dashboard in a real browser: each page is driven as a visitor would. Skipped without Chromium or playwright."""

import contextlib
import csv
import json
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
from dashboard_demo import EVIL, TASK, demo

from harness.experiment import ROOT

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: requirements-dev.txt")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt-get install chromium"),
    pytest.mark.flaky(
        reruns=2
    ),  # a browser and its server on cores that other tests keep busy; the closing line tells
]

PATIENCE = 60_000  # milliseconds that a condition may take on a slow machine
expect = sync_api.expect
expect.set_options(timeout=PATIENCE)
BASE = {"task": TASK, "model": "embedded/llama"}
KEYS = [f"{name}@cpu-x86-64@1" for name in ("lora/rank8", "lora/rank32")]


@contextmanager
def served(*arguments):
    """The address of a dashboard in a process of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "app.py", "--port", str(port), *map(str, arguments)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(address, process)
        yield address
    finally:
        process.terminate()
        process.communicate(timeout=30)


def _wait_for(address, process):
    deadline = time.monotonic() + 2 * PATIENCE / 1000
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise AssertionError(process.stdout.read())
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
    raise AssertionError("the dashboard did not answer")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = demo(tmp_path_factory.mktemp("demo") / "results")
    with served("--results", folder, "--results", ROOT / "results", "--task", TASK) as address:
        yield address


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def context(browser):
    """One for all tests, so that the page's scripts are fetched once."""
    context = browser.new_context(accept_downloads=True)
    context.set_default_timeout(PATIENCE)
    yield context
    context.close()


@pytest.fixture
def page(context):
    """A page of its own for each test, which fails where a script does or the outside is asked for anything."""
    page = context.new_page()
    page.set_viewport_size({"width": 1400, "height": 900})
    errors, outside = [], []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: outside.append(request.url) if _is_outside(request.url) else None)
    yield page
    page.close()
    assert errors == []
    assert outside == []


def _is_outside(url):
    return not url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:"))


def visit(page, server, **view):
    """Opens a link and waits until the page has drawn what it says."""
    pairs = [
        (key, item) for key, value in (BASE | view).items() for item in (value if isinstance(value, list) else [value])
    ]
    page.goto(f"{server}/?{urllib.parse.urlencode(pairs)}")
    expect(page.locator("#summary p")).to_be_visible()
    expect(page.locator("body[data-drawn]")).to_be_attached()  # else what is clicked could be drawn anew


def keys(page):
    """Keys of the table's rows, as they stand."""
    return page.locator("#results-table tbody tr").evaluate_all("rows => rows.map(row => row.dataset.key)")


def in_link(text):
    """The address, once the view is written into it."""
    return re.compile(re.escape(text))


@contextlib.contextmanager
def drawn(page):
    """Waits until what is done inside is drawn: the framework may drop one of two events that follow each other."""
    before = page.locator("body").get_attribute("data-drawn")
    yield
    expect(page.locator(f"body:not([data-drawn='{before}'])")).to_be_attached()


def choose(page, box, option):
    """Picks an option of a dropdown."""
    page.locator(f"{box} input").click()
    with drawn(page):
        page.get_by_role("option", name=option, exact=True).click()


def test_results_are_searched_filtered_and_sorted(page, server):
    visit(page, server)
    rows = page.locator("#results-table tbody tr")
    expect(rows).to_have_count(8)
    expect(page.locator("#notes")).to_contain_text("Hardware is mixed")
    choose(page, "#hardware", "cpu-x86-64")
    expect(rows).to_have_count(6)
    page.get_by_label("Search experiments").fill("rank")
    expect(rows).to_have_count(2)
    page.get_by_role("button", name="Peak memory").click()
    expect(page).to_have_url(in_link("sort=memory_train"))
    assert keys(page) == KEYS
    page.get_by_role("button", name="Peak memory").click()
    expect(page.locator("#results-table tbody tr").first).to_have_attribute("data-key", KEYS[1])
    page.locator("#filters > button").click()
    page.get_by_role("button", name="Clear all filters").click()
    expect(rows).to_have_count(6)


@pytest.mark.slow
def test_an_expression_filters_or_says_what_is_wrong(page, server):
    visit(page, server, hardware="cpu-x86-64")
    page.locator("#filters > button").click()
    box = page.get_by_label("Expression", exact=True)
    box.press_sequentially("memory_train < 305 * MiB and score > 0.6", delay=20)  # as fast as a person, not at once
    box.press("Enter")
    expect(page.locator("#results-table tbody tr")).to_have_count(1)
    box.fill("memori_train < 3")
    page.get_by_role("button", name="Apply filters").click()
    expect(page.locator("#notes [role=alert]")).to_contain_text("memory_train")
    expect(page.locator("#results-table tbody tr")).to_have_count(0)


@pytest.mark.slow
def test_columns_are_chosen_and_the_name_stays_in_view(page, server):
    visit(page, server)
    page.locator("#columns-box > button").click()
    choose(page, "#columns", "Storage")
    expect(page.locator("#results-table thead th")).to_have_text(["Experiment", "Storage"])
    page.set_viewport_size({"width": 390, "height": 800})
    visit(page, server)
    frame = page.locator("#results-table .frame")
    frame.evaluate("frame => { frame.scrollLeft = 400; }")
    name = page.locator("#results-table tbody th").first
    assert abs(name.bounding_box()["x"] - frame.bounding_box()["x"]) < 3


def test_a_hostile_name_does_nothing(page, server):
    visit(page, server)
    row = page.locator("#results-table tbody tr", has_text="onerror")
    expect(row).to_contain_text(EVIL)
    row.locator("button.open").click()
    expect(page.locator("#experiment-head h2")).to_contain_text(EVIL)
    assert page.locator("img[src=x]").count() == 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["CSV", "JSON"])
def test_an_export_is_what_is_shown(page, server, kind):
    visit(
        page,
        server,
        hardware="cpu-x86-64",
        text="lora",
        sort="trainable_params",
        ascending="1",
        columns=["score", "storage"],
    )
    expect(page.locator("#results-table tbody tr")).to_have_count(3)
    with page.expect_download() as download:
        page.get_by_role("button", name=f"Download {kind} (3 rows)").click()
    assert download.value.suggested_filename == f"{TASK}.{kind.lower()}"
    content = Path(download.value.path()).read_text(encoding="utf-8")
    rows = list(csv.DictReader(content.splitlines())) if kind == "CSV" else json.loads(content)
    assert [f"{row['experiment']}@cpu-x86-64@1" for row in rows] == keys(page)
    assert list(rows[0]) == ["experiment", "status", "score", "score_low", "score_high", "seeds", "storage"]
    assert [float(row["score"]) for row in rows if row["score"]] == pytest.approx([0.78, 2.42 / 3])


@pytest.mark.slow
def test_a_point_of_the_plot_opens_its_experiment(page, server):
    visit(page, server, tab="tradeoffs", hardware="cpu-x86-64")
    expect(page.locator("#tradeoffs-counts")).to_contain_text("5 experiments drawn")
    expect(page.locator("#tradeoffs-front tbody tr")).to_have_count(4)
    choose(page, "#axis-x", "Trained parameters")
    page.get_by_label("Horizontal log").check()
    expect(page).to_have_url(in_link("log_x=1"))
    expect(page.locator("#tradeoffs-plot .xtitle")).to_contain_text("Trained parameters")
    page.wait_for_function("() => document.querySelector('#tradeoffs-plot .js-plotly-plot')?.dataset.opens === '1'")
    point = page.locator("#tradeoffs-plot .scatterlayer .trace .points path").last
    point.scroll_into_view_if_needed()
    box = point.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=3)
    expect(page.locator("#tradeoffs-plot .hoverlayer .hovertext")).to_contain_text("seeds")
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.locator("#experiment-head h2")).to_contain_text("prompt_tuning/tokens20")


@pytest.mark.slow
def test_an_experiment_shows_all_that_was_recorded(page, server):
    visit(page, server, tab="experiment", hardware="cpu-x86-64", experiment=KEYS[0])
    expect(page.locator("#experiment-head h2")).to_contain_text("lora/rank8")
    expect(page.locator("#loss-plot .scatterlayer .trace")).to_have_count(3)
    expect(page.locator("#memory-plot .bars .point")).to_have_count(9)
    expect(page.locator("#experiment-rest")).to_contain_text("--seed 0")
    choose(page, "#seed-choice", "seed 2")
    expect(page.locator("#experiment-rest")).to_contain_text("--seed 2")
    page.get_by_text("1 test row as the model answered").click()
    expect(page.locator(".sample")).to_contain_text("<b>no</b>")
    choose(page, "#experiment-choice", "ia3/plain")
    expect(page.locator("#experiment-head h2")).to_contain_text("ia3/plain")


def test_ticked_experiments_are_compared(page, server):
    visit(page, server, hardware="cpu-x86-64")
    for key in KEYS:
        page.locator(f"[data-compare='{key}']").check()
    page.get_by_role("button", name="Compare the 2 ticked").click()
    expect(page.locator("#compare-head")).to_contain_text("Welch's t-test over seeds")
    expect(page.locator("#compare-head")).to_contain_text("no difference seen")
    expect(page.locator("#compare-loss .scatterlayer .trace")).to_have_count(2)
    choose(page, "#compare-choice", "full-finetuning/all")
    expect(page.locator("#compare-head .verdicts tbody tr")).to_have_count(3)
    expect(page.locator("#compare-head .verdicts")).to_contain_text("better")
    drawn = page.locator("body").get_attribute("data-drawn")
    page.locator(
        "#compare-choice .token-remove"
    ).first.click()  # what is taken out here is not brought back by its tick
    expect(page.locator("#compare-head .verdicts tbody tr")).to_have_count(1)
    expect(page.locator(f"body[data-drawn='{int(drawn) + 1}']")).to_be_attached()
    expect(page.locator("#compare-head .verdicts tbody tr")).to_have_count(1)


@pytest.mark.slow
def test_choose_answers_from_measurements_and_says_where_there_are_none(page, server):
    visit(page, server, tab="choose", hardware="cpu-x86-64")
    answer = page.locator("#choose-answer")
    first = answer.locator(".kept tbody tr").first
    expect(first).to_contain_text("full-finetuning/all")
    page.get_by_label("GPU memory").fill("350 MiB")
    page.get_by_role("button", name="Answer").click()
    expect(first).to_contain_text("lora/rank32")
    expect(answer).to_contain_text("Dropped: 2")
    with drawn(page):
        page.get_by_label("storage", exact=True).check()
    expect(first).to_contain_text("prompt_tuning/tokens20")
    with drawn(page):
        page.get_by_label("all results").check()
    choose(page, "#family", "vision model")
    expect(answer).to_contain_text("Rules of thumb, not measured here")


@pytest.mark.slow
def test_a_name_on_choose_opens_its_experiment(page, server):
    visit(page, server, tab="choose", hardware="cpu-x86-64", scope="all")
    other = page.locator("#choose-answer button.open[data-hardware=nvidia-l40s]").first
    other.evaluate(
        "button => { for (let at = button; at; at = at.parentElement) if (at.tagName === 'DETAILS') at.open = true; }"
    )
    other.click()
    expect(page.locator("#experiment-head h2")).to_contain_text("lora/rank8")
    expect(page.locator("#experiment-head")).to_contain_text("nvidia-l40s")


@pytest.mark.slow
def test_findings_have_figures_and_sources(page, server):
    visit(page, server, tab="findings")
    cards = page.locator("#findings-cards .claim")
    expect(cards.first).to_contain_text("Source:")
    assert cards.count() >= 7
    page.locator("#findings-cards summary").first.click()
    expect(page.locator("#findings-cards td").first).to_be_visible()


@pytest.mark.slow
def test_a_link_restores_the_view(page, server):
    visit(page, server)
    choose(page, "#hardware", "cpu-x86-64")
    with drawn(page):
        page.get_by_label("Search experiments").fill("lora")
    with drawn(page):
        page.get_by_role("tab", name="Trade-offs").click()
    choose(page, "#axis-x", "Storage")
    page.get_by_label("Vertical log").check()
    expect(page).to_have_url(in_link("log_y=1"))
    link = page.url
    for part in ("tab=tradeoffs", "hardware=cpu-x86-64", "text=lora", "x=storage"):
        assert part in link
    page.goto("about:blank")
    page.goto(link)
    expect(page.locator("#tradeoffs-plot .xtitle")).to_contain_text("Storage")
    expect(page.locator("#tradeoffs-counts")).to_contain_text("2 experiments drawn. Left out: 1")
    expect(page.get_by_label("Vertical log")).to_be_checked()
    expect(page.get_by_label("Search experiments")).to_have_value("lora")
    page.get_by_role("tab", name="Results").click()
    expect(page.locator("#results-table tbody tr")).to_have_count(3)


@pytest.mark.slow
def test_files_left_out_are_named(page, server):
    visit(page, server)
    page.get_by_text(re.compile("files were left out")).click()
    expect(page.locator("#notes")).to_contain_text("broken.json")
    expect(page.locator("#notes")).to_contain_text("list.json")


@pytest.mark.slow
def test_dark_and_light_are_chosen_and_kept(page, server):
    visit(page, server, __theme="light")
    background = "() => getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    page.get_by_role("button", name="Light / dark").click()
    expect(page.locator("body")).to_have_class(re.compile(r"\bdark\b"))
    assert page.evaluate(background) != light
    visit(page, server)
    expect(page.locator("body")).to_have_class(re.compile(r"\bdark\b"))
    page.evaluate("localStorage.clear()")


@pytest.mark.slow
@pytest.mark.parametrize("tab", ["results", "tradeoffs", "experiment", "compare", "choose", "findings"])
def test_a_phone_shows_every_page_without_sideways_scrolling(page, server, tab):
    page.set_viewport_size({"width": 390, "height": 800})
    ready = {"results": "#results-table table", "tradeoffs": "#tradeoffs-plot .xtitle", "experiment": "#memory-plot .bars",
             "compare": "#compare-memory .bars", "choose": "#choose-answer .card", "findings": "#findings-cards .card"}  # fmt: skip
    visit(page, server, tab=tab, compare=KEYS)
    expect(page.locator(ready[tab]).first).to_be_attached()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.slow
def test_the_real_results_are_shown(page, server):
    page.goto(server)
    expect(page.locator("#results-table tbody tr").first).to_be_visible()
    page.locator("#task input").click()
    expect(page.get_by_role("option", name="MetaMathQA", exact=True)).to_be_visible()


@pytest.mark.slow
def test_an_empty_folder_shows_how_to_make_the_first_result(page, tmp_path):
    with served("--results", tmp_path) as address:
        page.goto(address)
        expect(page.locator("#empty")).to_contain_text("python run.py")
        expect(page.locator("#tabs")).to_be_hidden()
        demo(tmp_path / "results")
        page.get_by_role("button", name="Read results again").click()
        expect(page.locator("#results-table tbody tr").first).to_be_visible()

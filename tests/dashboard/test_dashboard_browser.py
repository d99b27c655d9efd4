"""The dashboard in a real browser: each page is driven as a visitor would; conftest.py says what fails every test."""

import csv
import json
import re
from contextlib import contextmanager
from pathlib import Path

import pytest
from dashboard_demo import EVIL, TASK, demo
from dashboard_foreign import FLUX, LLAMA
from result_files import ours, write

from harness.experiment import ROOT
from harness.result.tuning import read_tuning

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: requirements-dev.txt")
expect = sync_api.expect

BASE = {"task": TASK, "model": "embedded/llama"}
ONE = BASE | {"hardware": "cpu-x86-64"}
KEYS = [f"{name}@cpu-x86-64@1" for name in ("lora/rank8", "lora/rank32")]
ROWS = "#results-table tbody tr"
TUNED = "lora/embedded-llama-rank8"  # has a committed tuning.json, and committed results


def keys(page):
    """Keys of the table's rows, as they stand."""
    return page.locator(ROWS).evaluate_all("rows => rows.map(row => row.dataset.key)")


@contextmanager
def drawn(page, times=1):
    """Waits until what is done inside is drawn."""
    before = int(page.locator("body").get_attribute("data-drawn"))
    yield
    page.wait_for_function(f"() => Number(document.body.dataset.drawn) >= {before + times}")


def in_link(text):
    return re.compile(re.escape(text))


# Point 1: choices


def test_changing_task_and_model_asks_once_and_keeps_what_was_chosen(visit):
    page = visit()
    asked = []
    page.on("request", lambda one: asked.append(one.url))
    for task, model in ((TASK, "embedded/llama"), ("ImageGeneration", FLUX), ("MetaMathQA", LLAMA)):
        asked.clear()
        with drawn(page):
            page.locator("#task").select_option(task)
        assert len(asked) == 1
        expect(page.locator("#model")).to_have_value(model)
        expect(page.locator("[role=alert]")).to_have_count(0)
    with drawn(page):
        page.locator("#model").select_option("embedded/llama")
    expect(page.locator("#task")).to_have_value("MetaMathQA")
    expect(page.locator("#model")).to_have_value("embedded/llama")
    expect(page.locator("[role=alert]")).to_have_count(0)


# Point 2: ticks


def test_a_fifth_tick_is_refused_and_asks_for_nothing(visit):
    page = visit(task="MetaMathQA", model=LLAMA)
    boxes = page.locator(f"{ROWS} input[type=checkbox]")
    for place in range(4):
        with drawn(page):
            boxes.nth(place).check()
    asked = []
    page.on("request", lambda one: asked.append(one.url))
    boxes.nth(4).click()
    expect(boxes.nth(4)).not_to_be_checked()
    expect(page.locator("#status")).to_contain_text("At most 4")
    page.wait_for_timeout(600)
    assert asked == []
    expect(page.locator(f"{ROWS} input:checked")).to_have_count(4)


@pytest.mark.slow
def test_hidden_ticks_count_as_well(visit):
    page = visit(task="MetaMathQA", model=LLAMA)
    boxes = page.locator(f"{ROWS} input[type=checkbox]")
    for place in range(4):
        with drawn(page):
            boxes.nth(place).check()
    hidden = keys(page)[:4]
    with drawn(page):
        page.locator("#text").fill("rank32")
    left = [key for key in keys(page) if key not in hidden]
    page.locator(f"[id='tick-{left[0]}']").click()
    expect(page.locator("#status")).to_contain_text("At most 4")
    expect(page.locator(f"[id='tick-{left[0]}']")).not_to_be_checked()


# Point 3: results of other harnesses


@pytest.mark.slow
def test_published_results_show_their_metric_and_words_for_a_stranger(visit):
    page = visit(task="ImageGeneration")
    expect(page.locator(ROWS)).to_have_count(31)
    expect(page.locator("#results-table thead")).to_contain_text("Score: dino_similarity")
    expect(page.locator("#results-table thead")).to_contain_text("Drift")
    page.locator("#notices summary").click()
    expect(page.locator("#notices")).to_contain_text("published elsewhere")
    visit(task="MetaMathQA", model=LLAMA)
    first = page.locator(ROWS).first
    expect(first).to_contain_text(re.compile(r"\d+\.\d % \d+\.\d % – \d+\.\d %"))
    expect(page.locator("#results-table thead")).to_contain_text("Training tokens/s")
    visit(task="MetaMathQA", model=LLAMA, tab="experiment")
    for text in ("Valid score", "Training loss", "2025-06-20"):
        expect(page.locator("main")).to_contain_text(text)
    assert "foreign" not in page.locator("#page").inner_text()


# Points 4 and 5: three clicks to the answer


def test_three_clicks_from_the_first_page_to_the_answer(visit):
    """Which method, for a card of 24 GB and Llama-3.2-3B? Counted are clicks; nothing is typed or scrolled."""
    page, clicks = visit(), 0
    expect(page.locator("#model")).to_have_value(LLAMA)
    for target in ("#tab-choose", ".presets button[value='24 GB']"):
        with drawn(page):
            page.locator(target).click()
        clicks += 1
    answer = page.locator("#choose-answer .ranking").first
    expect(answer.locator("h3")).to_contain_text(LLAMA)
    first = answer.locator("tbody tr").first
    expect(first).to_contain_text("within the 23.0 GiB that a card of 24.0 GiB leaves")
    assert first.bounding_box()["y"] + first.bounding_box()["height"] < 900
    expect(answer).to_contain_text("CUDA context")
    assert clicks <= 3


@pytest.mark.slow
@pytest.mark.parametrize("typed", ["24", "24G", "24 GB", "24 GiB"])
def test_a_card_is_read_however_it_is_written(visit, typed):
    page = visit(task="MetaMathQA", model=LLAMA, tab="choose")
    with drawn(page):
        page.locator("#gpu_memory").fill(typed)
        page.locator("#gpu_memory").press("Enter")
    expect(page.locator("#choose-answer .ranking").first).to_contain_text("24.0 GiB")


@pytest.mark.slow
def test_a_size_without_results_says_so_and_no_toy_comes_first(visit):
    page = visit(tab="choose", scope="all", model_params="8B")
    expect(page.locator("#choose-answer .notice").first).to_contain_text(
        "Nothing was measured on a model of about 8 billion"
    )
    titles = page.locator(".ranking h3").all_inner_texts()
    toys = ["embedded/" in title for title in titles]
    assert not toys[0]
    assert toys == sorted(toys)
    visit(tab="choose", scope="all", model_params="4B")
    expect(page.locator(".ranking h3").first).to_contain_text(FLUX)
    expect(page.locator(".ranking").last).to_contain_text("small test model")


def test_what_was_never_measured_has_a_forecast_that_says_so(visit):
    page = visit(task="MetaMathQA", model=LLAMA, tab="choose", gpu_memory="24 GB")
    forecasts = page.locator("#forecasts")
    expect(forecasts.locator("h3")).to_have_text("Forecasts of memory, not measured")
    expect(forecasts.locator(".forecast h4").first).to_contain_text(f"forecast MetaMathQA, {LLAMA}")
    expect(forecasts.locator("tbody tr").first).to_contain_text("within the 24.0 GiB given")
    foreseen = set(forecasts.locator("tbody th").all_text_contents())
    assert foreseen
    assert not foreseen & set(page.locator(".ranking tbody a.open").all_text_contents()), "measured, and forecast too"


@pytest.mark.slow
def test_small_test_models_come_last(visit):
    page = visit()
    assert page.locator("#task option").first.get_attribute("value") in ("ImageGeneration", "MetaMathQA")
    options = page.locator("#model option").all_inner_texts()
    assert options[0].startswith(LLAMA)
    assert "small test model" in options[-1]


# Point 6: trade-offs


@pytest.mark.slow
def test_every_method_has_a_look_of_its_own_and_the_front_is_named(visit):
    page = visit(task="MetaMathQA", model=LLAMA, tab="tradeoffs")
    shapes = page.locator(".legend path").evaluate_all(
        "all => all.map(one => one.getAttribute('d') + one.getAttribute('fill'))"
    )
    assert len(shapes) == len(set(shapes)) == 38
    front = page.locator("#tradeoffs-front tbody tr").count()
    names = page.locator(".plot .name").all_text_contents()
    assert len(names) == front
    assert sorted(int(name.split()[0]) for name in names) == list(range(1, front + 1))
    expect(page.locator(".plot .xtick").first).to_contain_text("GiB")
    expect(page.locator(".plot .ytick").first).to_contain_text("%")


@pytest.mark.slow
def test_axes_that_span_much_are_logarithmic_and_can_be_zoomed(visit):
    page = visit(task="MetaMathQA", model=LLAMA, tab="tradeoffs", x="trainable_params")
    expect(page.locator(".plot .xtitle")).to_contain_text("(log)")
    with drawn(page):
        page.locator("#scale_x").select_option("linear")
    expect(page.locator(".plot .xtitle")).not_to_contain_text("(log)")
    before = page.locator(".plot .ytick").all_text_contents()
    box = page.locator(".plot svg").first.bounding_box()
    page.mouse.move(box["x"] + 200, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 500, box["y"] + 200, steps=3)
    page.mouse.up()
    assert page.locator(".plot .ytick").all_text_contents() != before
    page.locator("[data-zoom=all]").click()
    assert page.locator(".plot .ytick").all_text_contents() == before


@pytest.mark.slow
def test_on_a_phone_the_legend_lies_below_the_plot(visit):
    visit().set_viewport_size({"width": 390, "height": 844})
    page = visit(task="MetaMathQA", model=LLAMA, tab="tradeoffs")
    plot, legend = page.locator(".plot svg").first.bounding_box(), page.locator(".plot .legend").bounding_box()
    assert legend["y"] >= plot["y"] + plot["height"]
    assert plot["width"] <= 390


@pytest.mark.slow
def test_a_point_of_the_plot_opens_its_experiment(visit):
    page = visit(**ONE, tab="tradeoffs", x="trainable_params")
    expect(page.locator("#tradeoffs-counts")).to_contain_text("5 experiments drawn")
    expect(page.locator("#tradeoffs-front tbody tr")).to_have_count(5)
    point = page.locator(".plot .point[data-key^='prompt_tuning']")
    point.hover()
    expect(page.locator(".plot .tip")).to_contain_text("seeds: 1")
    with drawn(page):
        point.click()
    expect(page.locator("h2")).to_contain_text("prompt_tuning/tokens20")


# Point 7: links, exports, the table


@pytest.mark.slow
def test_back_returns_to_the_view_before(visit):
    page = visit(**BASE)
    with drawn(page):
        page.locator("#hardware").select_option("cpu-x86-64")
    expect(page.locator(ROWS)).to_have_count(6)
    with drawn(page):
        page.locator("#tab-tradeoffs").click()
    with drawn(page):
        page.evaluate("history.back()")
    expect(page.locator(ROWS)).to_have_count(6)
    with drawn(page):
        page.evaluate("history.back()")
    expect(page.locator(ROWS)).to_have_count(8)
    expect(page.locator("#hardware")).to_have_value("")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("link", "says"),
    [
        ({"task": "Nowhere"}, "Task “Nowhere”: there are no results of it here."),
        ({"task": TASK, "model": "some/model"}, "Base model “some/model”: there are no results"),
        (BASE | {"hardware": "abacus"}, "Hardware “abacus”: there are no results"),
        (BASE | {"tab": "experiment", "experiment": "lora/x@y@1"}, "Experiment “lora/x@y@1”: there are no results"),
        (BASE | {"tab": "plots"}, "Tab: there is no “plots”."),
        (BASE | {"compare": "lora/x@y@1"}, "Experiment “lora/x@y@1”: not here."),
    ],
)
def test_a_link_to_something_missing_says_so(visit, link, says):
    page = visit(**link)
    expect(page.locator("[role=alert]")).to_contain_text(says)
    if "there are no results" in says:
        expect(page.locator(f"{ROWS}, h2")).to_have_count(0)
        page.locator("#what-there-is").click()
        expect(page.locator(ROWS).first).to_be_visible()


def test_ten_rows_fit_a_laptop(visit):
    page = visit()
    fitting = page.locator(ROWS).evaluate_all(
        "rows => rows.filter(row => row.getBoundingClientRect().bottom <= innerHeight).length"
    )
    assert fitting >= 10


@pytest.mark.slow
def test_compare_is_near_the_ticks(visit):
    page = visit(task="MetaMathQA", model=LLAMA)
    boxes = page.locator(f"{ROWS} input[type=checkbox]")
    for place in (9, 10):
        with drawn(page):
            boxes.nth(place).check()
    boxes.nth(10).focus()
    stops = 0
    while not page.evaluate("document.activeElement.href?.includes('tab=compare')") and stops < 5:
        page.keyboard.press("Tab")
        stops += 1
    assert stops < 5
    page.locator(ROWS).last.scroll_into_view_if_needed()
    expect(page.locator("#go-compare")).to_be_in_viewport()
    with drawn(page):
        page.keyboard.press("Enter")
    expect(page.locator("#verdicts tbody tr")).to_have_count(1)


@pytest.mark.slow
def test_reloading_reads_new_files(page, serve, tmp_path):
    folder = write(tmp_path / "results", ours("lora/a"))
    with serve("--results", folder) as address:
        page.goto(address)
        expect(page.locator(ROWS)).to_have_count(1)
        write(folder, ours("ia3/b"))
        page.reload()
        expect(page.locator(ROWS)).to_have_count(2)


@pytest.mark.slow
def test_an_empty_folder_shows_how_to_make_the_first_result(page, serve, tmp_path):
    with serve("--results", tmp_path) as address:
        page.goto(address)
        expect(page.locator("#empty")).to_contain_text("python run.py")
        demo(tmp_path / "results")
        page.reload()
        expect(page.locator(ROWS).first).to_be_visible()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["CSV", "JSON"])
def test_an_export_is_what_is_shown(visit, kind):
    page = visit(**ONE, text="lora", sort="trainable_params", ascending="1", columns=["score", "storage"])
    expect(page.locator(ROWS)).to_have_count(3)
    with page.expect_download() as download:
        page.locator(".exports a", has_text=kind).click()
    assert download.value.suggested_filename == f"{TASK}--llama.{kind.lower()}"
    content = Path(download.value.path()).read_text(encoding="utf-8")
    rows = list(csv.DictReader(content.splitlines())) if kind == "CSV" else json.loads(content)
    assert [f"{row['experiment']}@cpu-x86-64@1" for row in rows] == keys(page)
    assert list(rows[0]) == ["experiment", "status", "score", "score_low", "score_high", "seeds", "storage"]
    assert [float(row["score"]) for row in rows if row["score"]] == pytest.approx([0.78, 2.42 / 3])


# Tuning budgets


@pytest.mark.slow
def test_the_response_curve_of_a_tuned_experiment_is_drawn(visit):
    page = visit(task="MetaMathQA", model="embedded/llama")
    with drawn(page):
        page.locator(ROWS, has=page.locator(f"[id^='tick-{TUNED}@']")).locator("a.open").first.click()
    record = read_tuning(ROOT / "method_comparison" / "MetaMathQA" / "experiments" / TUNED)
    expect(page.locator("#facts")).to_contain_text(record.budget)
    expect(page.locator("#response .mark")).to_have_count(len(record.values))
    expect(page.locator("#response .xtitle")).to_have_text("optimizer_kwargs.lr (log)")
    expect(page.locator("#trials tbody tr")).to_have_count(len(record.trials))
    expect(page.locator("#trials")).to_contain_text(f"{record.chosen} (chosen)")
    visit(**ONE, tab="experiment", experiment=KEYS[0])
    expect(page.locator("#tuning")).to_contain_text("Nobody tells how it was tuned.")


# Findings


@pytest.mark.slow
def test_the_studys_eight_findings_have_verdicts_figures_and_their_limits(visit):
    page = visit(tab="findings")
    expect(page.locator("main")).to_contain_text("A verdict speaks of these models, tasks and sizes only.")
    titles = page.locator(".claim h3").all_inner_texts()
    assert sorted({int(title.split(".")[0]) for title in titles if title[0].isdigit()}) == list(range(1, 9))
    card = page.locator("[data-claim='study-norms']")
    expect(card).to_contain_text("Scaling Down to Scale Up")
    card.locator("summary").click()
    expect(card.locator("td").first).to_be_visible()


# What held before


def test_results_are_searched_filtered_and_sorted(visit):
    page = visit(**ONE)
    with drawn(page):
        page.locator("#text").press_sequentially("rank")
    expect(page.locator(ROWS)).to_have_count(2)
    expect(page.locator("#text")).to_be_focused()
    with drawn(page):
        page.locator("[data-sort=memory_train]").click()
    expect(page).to_have_url(in_link("sort=memory_train"))
    assert keys(page) == KEYS
    with drawn(page):
        page.locator("[data-sort=memory_train]").click()
    assert keys(page) == KEYS[::-1]
    page.locator("#filters > summary").click()
    with drawn(page):
        page.get_by_role("link", name="Clear all filters").click()
    expect(page.locator(ROWS)).to_have_count(6)


@pytest.mark.slow
def test_an_expression_filters_or_says_what_is_wrong(visit):
    page = visit(**ONE)
    page.locator("#filters > summary").click()
    box = page.locator("#expression")
    with drawn(page):
        box.fill("memory_train < 305 * MiB and score > 0.6")
        box.press("Enter")
    expect(page.locator(ROWS)).to_have_count(1)
    with drawn(page):
        box.fill("memori_train < 3")
        page.get_by_role("button", name="Apply filters").click()
    expect(page.locator("#notes [role=alert]")).to_contain_text("memory_train")
    expect(page.locator(ROWS)).to_have_count(0)


@pytest.mark.slow
def test_columns_are_chosen_and_the_name_stays_in_view(visit):
    page = visit(**BASE)
    page.locator("#columns-box > summary").click()
    with drawn(page):
        page.locator("#columns-created").check()
    with drawn(page):
        page.locator("#columns-train_loss").check()
    expect(page.locator("#results-table thead th")).to_have_text(["Experiment", "Training loss", "Date"])
    expect(page.locator("#results-table tfoot tr")).to_have_count(3)
    page.set_viewport_size({"width": 390, "height": 800})
    visit(**BASE)
    frame = page.locator("#results-table")
    frame.evaluate("frame => { frame.scrollLeft = 400; }")
    name = page.locator("#results-table tbody th").first
    assert abs(name.bounding_box()["x"] - frame.bounding_box()["x"]) < 3


def test_a_hostile_name_does_nothing(visit):
    page = visit(**BASE)
    row = page.locator(ROWS, has_text="onerror")
    expect(row).to_contain_text(EVIL)
    with drawn(page):
        row.locator("a.open").first.click()
    expect(page.locator("h2")).to_contain_text(EVIL)
    visit(**BASE, tab="tradeoffs")
    page.locator(".plot .point[data-key*='onerror']").hover()
    expect(page.locator(".plot .tip")).to_contain_text(EVIL)
    assert page.locator("img[src=x]").count() == 0


@pytest.mark.slow
def test_an_experiment_shows_all_that_was_recorded(visit):
    page = visit(**ONE, tab="experiment", experiment=KEYS[0])
    expect(page.locator("h2")).to_contain_text("lora/rank8")
    expect(page.locator("#curve-1 .line")).to_have_count(3)
    expect(page.locator("#memory .track")).to_have_count(5)
    expect(page.locator("#reproduce")).to_contain_text("--seed 0")
    with drawn(page):
        page.locator("#seed").select_option("2")
    expect(page.locator("#reproduce")).to_contain_text("--seed 2")
    page.locator("#samples summary").click()
    expect(page.locator(".sample")).to_contain_text("<b>no</b>")
    with drawn(page):
        page.locator("#experiment").select_option("ia3/plain@cpu-x86-64@1")
    expect(page.locator("h2")).to_contain_text("ia3/plain")


def test_ticked_experiments_are_compared(visit):
    page = visit(**ONE)
    for key in KEYS:
        with drawn(page):
            page.locator(f"[id='tick-{key}']").check()
    with drawn(page):
        page.locator("#go-compare").click()
    expect(page.locator("#verdicts")).to_contain_text("Welch's t-test over seeds")
    expect(page.locator("#verdicts")).to_contain_text("no difference seen")
    with drawn(page):
        page.locator("#compare-2").select_option("ia3/plain@cpu-x86-64@1")
    expect(page.locator("#verdicts tbody tr")).to_have_count(3)


@pytest.mark.slow
def test_a_name_on_choose_opens_its_experiment(visit):
    page = visit(**BASE, tab="choose", scope="all", hardware="cpu-x86-64", model_params="1M")
    row = page.locator("#choose-answer .kept tbody tr").first
    name = row.locator("a.open").inner_text()
    with drawn(page):
        row.locator("a.open").first.click()
    expect(page.locator("h2")).to_contain_text(name)


@pytest.mark.slow
def test_dark_and_light_are_chosen_and_kept(visit):
    page = visit(**BASE, __theme="light")
    background = "() => getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    page.locator("#toggle-theme").click()
    assert page.evaluate(background) != light
    visit(**BASE)
    assert page.evaluate(background) != light
    page.evaluate("localStorage.clear()")


@pytest.mark.slow
@pytest.mark.parametrize(
    "tab", ["results", "tradeoffs", "experiment", "compare", "choose", "findings", "capabilities"]
)
@pytest.mark.parametrize(
    "base", [BASE | {"compare": KEYS}, {"task": "MetaMathQA", "model": LLAMA}], ids=["ours", "theirs"]
)
def test_a_phone_shows_every_page_without_sideways_scrolling(visit, page, tab, base):
    page.set_viewport_size({"width": 390, "height": 800})
    visit(**base, tab=tab)
    expect(page.locator("main")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.slow
def test_an_embedded_page_has_no_controls_and_highlights_a_method(visit):
    page = visit(**ONE, embed="1", highlight="lora")
    expect(page.locator("#tabs")).to_be_hidden()
    expect(page.locator("#choices")).to_be_hidden()
    expect(page.locator(f"{ROWS}.highlight")).to_have_count(3)
    visit(**ONE, embed="1", highlight="lora", tab="tradeoffs")
    expect(page.locator(".plot .point:not(.dim)")).to_have_count(2)


@pytest.mark.slow
def test_nothing_breaks_whatever_is_chosen(visit):
    """Each visible choice once, as they come."""
    page, chosen = visit(**BASE), 0
    for tab in ("results", "tradeoffs", "compare", "choose"):
        visit(**BASE, tab=tab)
        boxes = page.locator("main select:visible, #choices select")
        for place in range(boxes.count()):
            value = boxes.nth(place).locator("option").last.get_attribute("value")
            if value != boxes.nth(place).input_value():
                chosen += 1
                with drawn(page):
                    boxes.nth(place).select_option(value)
    assert chosen > 8

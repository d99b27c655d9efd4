"""Claims against results: every verdict can be reached, none is claimed from too little, and groups stay apart."""

import math

import numpy
import pytest
from dashboard_results import frames, result, seeds
from result_files import load
from scipy import stats

from harness import findings as command
from harness.dashboard.claim import CLOSE, Claim
from harness.dashboard.claims import CLAIMS
from harness.dashboard.estimates import VERDICTS, difference, rank_correlation, ratio, ratio_to_one, spread_ratio
from harness.dashboard.evidence import run_groups
from harness.dashboard.findings import combined, findings
from harness.dashboard.rules import is_method
from harness.experiment import ROOT
from harness.result.provenance import committed

FULL, LORA = "full-finetuning/x", "lora/a"
MIB = 2**20


def report(key, results, claims=CLAIMS):
    runs, _ = frames(results)
    (found,) = [one for one in findings(runs, claims) if one.claim.key == key]
    return found


def lines(found):
    return found.lines


@pytest.mark.parametrize(
    ("lora", "full", "verdict"),
    [
        ([0.800, 0.801, 0.802], [0.800, 0.801, 0.802], "holds"),  # closer than the margin, whatever the spread allows
        ([0.900, 0.901, 0.902], [0.800, 0.801, 0.802], "holds"),  # beats it
        ([0.700, 0.701, 0.702], [0.800, 0.801, 0.802], "does not hold"),
        ([0.60, 0.80, 0.70], [0.80, 0.60, 0.70], "undecided"),  # no difference seen is not close
    ],
)
def test_lora_is_close(lora, full, verdict):
    found = report("lora-close", [*seeds(LORA, lora), *seeds(FULL, full)])
    assert found.verdict == verdict
    (line,) = lines(found)
    assert "95 % interval" in line.text
    assert "Welch over 3 and 3 seeds" in line.text
    assert line.experiments == (LORA, FULL)


def test_a_difference_at_the_margin_is_undecided():
    shift = CLOSE
    found = report("lora-close", [*seeds(LORA, [0.8 - shift, 0.81 - shift]), *seeds(FULL, [0.8, 0.81])])
    assert found.verdict == "undecided"


def test_one_seed_each_speaks_of_two_models_only():
    items = [1.0] * 70 + [0.0] * 30
    worse = [1.0] * 20 + [0.0] * 80
    found = report("lora-close", [result(LORA, score=0.2, items=worse), result(FULL, score=0.7, items=items)])
    assert found.verdict == "undecided"
    (line,) = lines(found)
    assert "two trained models only" in line.text
    assert "they differ, p < 0.001, exact McNemar test" in line.text
    assert "95 % interval" not in line.text
    without = report("lora-close", [result(LORA, score=0.2), result(FULL, score=0.7)])
    assert without.verdict == "undecided"
    assert "two trained models only" in lines(without)[0].text


@pytest.mark.parametrize(
    ("scores", "verdict"),
    [([0.60, 0.61, 0.60], "holds"), ([0.80, 0.81, 0.80], "does not hold"), ([0.5, 0.7, 0.9], "undecided")],
)
def test_pfeiffer_is_held_against_houlsby(scores, verdict):
    others = [*seeds("houlsby/h", [0.70, 0.71, 0.70]), *seeds(LORA, [0.9, 0.91, 0.9])]
    found = report("study-pfeiffer", [*others, *seeds("pfeiffer/p", scores)])
    assert found.verdict == verdict
    assert lines(found)[0].experiments == ("pfeiffer/p", "houlsby/h")


def test_hybrids_are_held_against_the_best_simpler_adapter():
    """Neither full fine-tuning nor what changes its optimizer is an adapter."""
    simple = [*seeds("ia3/b", [0.5, 0.51, 0.5]), *seeds(LORA, [0.70, 0.71, 0.70])]
    whole = [*seeds(FULL, [0.9, 0.91, 0.9]), *seeds("galore/g", [0.9, 0.91, 0.9])]
    for one in whole:
        one["run_info"]["peft_config"] = None
    found = report("study-hybrids", [*simple, *whole, *seeds("mam/m", [0.70, 0.71, 0.70])])
    assert (found.verdict, lines(found)[0].experiments) == ("holds", ("mam/m", LORA))
    found = report("study-hybrids", [*simple, *whole, *seeds("unipelt/u", [0.80, 0.81, 0.80])])
    assert found.verdict == "does not hold"


@pytest.mark.parametrize(
    ("tokens", "verdict"),
    [
        ([70.0, 70.5, 70.2], "holds"),
        ([95.0, 95.5, 95.2], "does not hold"),  # slower, but by less
        ([50.0, 50.5, 50.2], "does not hold"),  # slower by more
        ([79.0, 81.0, 80.0], "undecided"),
        ([None] * 3, "not measured"),
    ],
)
def test_adapters_train_slower_by_a_range(tokens, verdict):
    full = seeds(FULL, [0.5] * 3, tokens=[100.0, 100.5, 100.2])
    found = report("study-slow-training", [*full, *seeds("houlsby/h", [0.5] * 3, tokens=tokens)])
    assert found.verdict == verdict


def test_the_study_has_eight_findings():
    assert {claim.study for claim in CLAIMS} == set(range(9))


def test_lower_scores_can_be_better():
    results = [*seeds(LORA, [0.30, 0.31], higher=False), *seeds(FULL, [0.10, 0.11], higher=False)]
    assert report("lora-close", [one | {} for one in results]).verdict == "undecided"  # no better than a base of 0.1
    results = [*seeds(LORA, [0.30, 0.31], higher=False, base=0.9), *seeds(FULL, [0.10, 0.11], higher=False, base=0.9)]
    found = report("lora-close", results)
    assert found.verdict == "does not hold"
    assert "-20.0 points" in lines(found)[0].text


def test_close_to_what_learned_nothing_says_nothing():
    scores = [0.100, 0.101, 0.102]
    found = report("lora-close", [*seeds(LORA, scores, base=0.2), *seeds(FULL, scores, base=0.2)])
    assert found.verdict == "undecided"
    assert "no better than the untouched base" in lines(found)[0].text


def test_the_best_full_fine_tuning_is_the_opponent():
    results = [*seeds(LORA, [0.7, 0.71]), *seeds(FULL, [0.6, 0.61]), *seeds("full-finetuning/y", [0.9, 0.91])]
    (line,) = lines(report("lora-close", results))
    assert line.experiments == (LORA, "full-finetuning/y")


def test_groups_are_never_mixed():
    good, bad = [0.800, 0.801, 0.802], [0.600, 0.601, 0.602]
    for other in (
        {"subset": "boolq"},
        {"model": "other/model"},
        {"protocol": 2},
        {"protocol": None},
        {"task": "Other"},
    ):
        both = [*seeds(LORA, good), *seeds(FULL, good), *seeds(LORA, bad, **other), *seeds(FULL, good, **other)]
        found = report("lora-close", both)
        assert found.verdict == "mixed"
        assert sorted(line.verdict for line in found.lines) == ["does not hold", "holds"]
        assert len({line.where for line in found.lines}) == 2
        assert "holds in 1, does not hold in 1" in found.summary


def test_scores_of_two_machines_count_together_and_costs_never_do():
    norms, loras = [0.780, 0.781, 0.782], [0.800, 0.801, 0.802]
    for hardware, needs in (("nvidia-l40s", "needs 1.00 times the memory"), ("nvidia-h100", "as many parameters")):
        both = [*seeds(LORA, loras, params=1000), *seeds("ln_tuning/n", norms, params=100, hardware=hardware)]
        found = report("norms-strong", both)
        assert found.verdict == "holds"
        assert found.lines[0].text.endswith(needs)
    assert found.lines[0].where == "Task, some/model, nvidia-h100 and nvidia-l40s, protocol 1"
    sparse = [*seeds(LORA, loras), *seeds("shira/s", loras, hardware="nvidia-h100")]
    assert report("sparse-memory", sparse).verdict == "not measured"


def test_a_seed_made_again_elsewhere_is_no_further_evidence():
    norms, loras = [0.780, 0.781, 0.782], [0.800, 0.801, 0.802]
    again = seeds("ln_tuning/n", norms[:2], params=100, hardware="nvidia-h100")
    found = report(
        "norms-strong", [*seeds(LORA, loras, params=1000), *seeds("ln_tuning/n", norms, params=100), *again]
    )
    assert "Welch over 3 and 3 seeds" in found.lines[0].text
    assert found.lines[0].text.endswith("needs 1.00 times the memory")


def test_seeds_whose_settings_differ_between_machines_are_no_evidence():
    norms, loras = [0.780, 0.781], [0.800, 0.801, 0.802]
    other = result("ln_tuning/n", 2, 0.782, params=100, hardware="nvidia-h100", lr=0.5)
    found = report("norms-strong", [*seeds(LORA, loras, params=1000), *seeds("ln_tuning/n", norms, params=100), other])
    assert found.verdict == "not measured"


def test_the_strictest_opponent_is_chosen_on_valid():
    good, lucky = seeds("full-finetuning/good", [0.80, 0.81]), seeds("full-finetuning/lucky", [0.90, 0.91])
    lora = seeds(LORA, [0.7, 0.71])
    assert report("lora-close", [*lora, *good, *lucky]).lines[0].experiments == (LORA, "full-finetuning/lucky")
    for one in (*good, *lucky):
        one["quality"]["valid_score"] = 0.9 if one["name"] == "good" else 0.5
    assert report("lora-close", [*lora, *good, *lucky]).lines[0].experiments == (LORA, "full-finetuning/good")


def test_groups_of_equal_names_are_told_apart_by_their_processors():
    results = [
        result(f"lora/r{place:02d}", place, params=100 + place, memory=(place + 1) * MIB) | {
            "hardware": {"slug": "cpu-x", "cpu": "X", "cpu_model": place % 2, "threads": 1}}
        for place in range(60)
    ]  # fmt: skip
    places = {line.where for line in report("parameters-proxy", results).lines}
    assert places == {f"Task, some/model, cpu-x, protocol 1, X (model {model}), 1 thread" for model in (0, 1)}


def test_modified_failed_and_mixed_runs_are_no_evidence():
    good = [0.800, 0.801, 0.802]
    full = seeds(FULL, good)
    assert report("lora-close", [*full, *seeds(LORA, good, overrides={"max_steps": 1})]).verdict == "not measured"
    assert report("lora-close", [*full, *seeds(LORA, good, status="diverged")]).verdict == "not measured"
    assert report("lora-close", [*full, *seeds(LORA, good, lr=[1e-3, 1e-4, 1e-3])]).verdict == "not measured"


@pytest.mark.parametrize(
    ("merged", "verdict"),
    [
        ([1.00, 1.01, 0.99], "holds"),
        ([1.30, 1.31, 1.29], "does not hold"),
        ([1.00, 1.20, 0.90], "undecided"),
        ([1.00], "undecided"),
    ],
)
def test_merged_lora(merged, verdict):
    found = report("merged-lora-free", seeds(LORA, [0.5] * len(merged), merged=merged))
    assert found.verdict == verdict


def test_merged_lora_needs_its_measurement():
    found = report("merged-lora-free", seeds(LORA, [0.5, 0.6]))
    assert found.verdict == "not measured"
    assert found.summary.startswith("Not measured: this needs the decoding speed of merged LoRA")
    shared = seeds(LORA, [0.5, 0.6], merged=[1.0, 1.0], shared=True)
    assert report("merged-lora-free", shared).verdict == "not measured"


@pytest.mark.parametrize(
    ("norms", "params", "verdict"),
    [
        ([0.780, 0.781, 0.782], 100, "holds"),
        ([0.600, 0.601, 0.602], 100, "does not hold"),
        ([0.780, 0.781, 0.782], 5000, "does not hold"),  # strong, but not cheap
        ([0.600, 0.950, 0.700], 100, "undecided"),
        ([0.780, 0.781, 0.782], None, "not measured"),
    ],
)
def test_norms_are_a_strong_cheap_baseline(norms, params, verdict):
    others = [*seeds(LORA, [0.800, 0.801, 0.802], params=1000), *seeds("ia3/b", [0.5, 0.51, 0.52], params=500)]
    found = report("norms-strong", [*others, *seeds("ln_tuning/n", norms, params=params)])
    assert found.verdict == verdict
    assert lines(found)[0].experiments == ("ln_tuning/n", LORA)


@pytest.mark.parametrize(
    ("prompt", "verdict"),
    [
        ([0.1, 0.5, 0.9], "holds"),
        ([0.50, 0.51, 0.53], "undecided"),
        ([0.500000, 0.500001, 0.500002], "does not hold"),
        ([0.5, 0.5, 0.5], "undecided"),  # no spread at all is nothing to test
        ([0.5], "not measured"),
    ],
)
def test_prompt_tuning_and_the_seed(prompt, verdict):
    others = [seeds(f"lora/{name}", [0.70, 0.71, 0.73]) for name in "abcdef"]
    found = report("prompts-seed", [*sum(others, []), *seeds("prompt_tuning/p", prompt)])
    assert found.verdict == verdict
    if len(prompt) > 1 and verdict != "undecided":
        assert "3 seeds tell little" in lines(found)[0].text


def test_prompt_tuning_alone_has_nothing_to_be_compared_with():
    assert report("prompts-seed", seeds("prompt_tuning/p", [0.1, 0.9])).verdict == "not measured"


@pytest.mark.parametrize(
    ("memory", "verdict"),
    [
        ([1000 * MIB] * 3, "holds"),
        ([500 * MIB] * 3, "does not hold"),
        ([600 * MIB, 1000 * MIB, 1300 * MIB], "undecided"),
        ([None] * 3, "not measured"),
    ],
)
def test_sparse_methods(memory, verdict):
    loras = [*seeds("lora/far", [0.5] * 3, params=10**6, memory=9000 * MIB)]
    loras += seeds("lora/near", [0.5] * 3, params=1100, memory=1000 * MIB)
    found = report("sparse-memory", [*loras, *seeds("shira/s", [0.5] * 3, params=1000, memory=memory)])
    assert found.verdict == verdict
    if verdict != "not measured":
        assert lines(found)[0].experiments == ("shira/s", "lora/near")
    assert report("sparse-memory", loras).verdict == "not measured"


@pytest.mark.parametrize(
    ("unmerged", "total", "verdict"),
    [
        ([1.30, 1.32, 1.31], 10**8, "holds"),
        ([1.00, 1.01, 0.99], 10**8, "does not hold"),
        ([0.90, 1.30, 1.10], 10**8, "undecided"),
        ([1.30, 1.32, 1.31], 10**10, "not measured"),  # no small model
    ],
)
def test_modules_on_small_models(unmerged, total, verdict):
    results = seeds(LORA, [0.5] * 3, unmerged=unmerged, total=total)
    results += seeds("prompt_tuning/p", [0.5] * 3, unmerged=[2.0, 2.1, 2.2], total=total)  # adds no module
    results += seeds(FULL, [0.5] * 3, unmerged=[1.0, 1.1, 1.2], total=total)
    found = report("modules-slow", results)
    assert found.verdict == verdict
    assert {name for line in found.lines for name in line.experiments} <= {LORA}


def proxies(memory, count=30):
    return [result(f"lora/r{place:02d}", params=100 + place, memory=memory(place)) for place in range(count)]


def test_parameters_as_a_proxy():
    assert report("parameters-proxy", proxies(lambda place: (1000 + place) * MIB)).verdict == "does not hold"
    assert report("parameters-proxy", proxies(lambda place: (1000 + place * 7 % 30) * MIB)).verdict == "holds"
    few = report("parameters-proxy", proxies(lambda place: (1000 + place) * MIB, 5))
    assert few.verdict == "undecided"
    assert "5 experiments" in lines(few)[0].text
    assert report("parameters-proxy", proxies(lambda place: (1000 + place) * MIB, 4)).verdict == "not measured"
    assert report("parameters-proxy", proxies(lambda place: 1000 * MIB)).verdict == "not measured"


def test_slower_training_counts_as_more_cost():
    results = [
        result(f"lora/r{place:02d}", params=100 + place, tokens=1000.0 - place, memory=None) for place in range(30)
    ]
    (line,) = lines(report("parameters-proxy", results))
    assert "correlation +1.00" in line.text


@pytest.mark.parametrize(
    ("lora", "full", "verdict"),
    [
        ([0.10, 0.11, 0.12], [5.00, 5.01, 5.02], "holds"),  # beyond the bounds of scores
        ([5.00, 5.01, 5.02], [0.10, 0.11, 0.12], "does not hold"),
        ([-0.1, 0.2, 0.1], [0.1, -0.1, 0.2], "undecided"),
    ],
)
def test_forgetting(lora, full, verdict):
    results = [*seeds(LORA, [0.5] * 3, forgetting=lora), *seeds(FULL, [0.5] * 3, forgetting=full)]
    assert report("lora-forgets-less", results).verdict == verdict


def test_profiles_count_for_memory_and_speed_in_groups_of_their_own():
    results = seeds(LORA, [None] * 3, base=None, profile=True, merged=[1.00, 1.01, 0.99])
    found = report("merged-lora-free", results)
    assert found.verdict == "holds"
    assert "random weights" in found.lines[0].where
    both = [*results, *seeds(FULL, [None] * 3, base=None, profile=True)]
    assert report("lora-close", both).verdict == "not measured"


def test_a_new_claim_is_one_entry():
    claim = Claim("mine", "Title", "Statement", "Source", "https://example.org", "Rule", "runs", "ratio", "overhead_unmerged", "above", 2.0,
                  subjects=("ia3",), against="base")  # fmt: skip
    found = report("mine", seeds("ia3/x", [0.5] * 3, unmerged=[3.0, 3.1, 3.2]), [*CLAIMS, claim])
    assert found.verdict == "holds"
    (line,) = found.lines
    assert (line.experiments, line.where) == (("ia3/x",), "Task, some/model, nvidia-l40s, protocol 1")


def test_no_results_leave_every_claim_unmeasured():
    runs, _ = frames([])
    for found in findings(runs, CLAIMS):
        assert found.verdict == "not measured"
        assert found.claim.needs in found.summary
        assert found.lines == ()


def test_claims_are_complete():
    assert len({claim.key for claim in CLAIMS}) == len(CLAIMS)
    for claim in CLAIMS:
        assert all((claim.title, claim.statement, claim.source, claim.rule, claim.needs))
        assert claim.url.startswith("https://")


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([], "not measured"),
        (["not measured", "holds"], "holds"),
        (["holds", "does not hold", "undecided", "undecided", "undecided"], "mixed"),
        (["holds", "undecided"], "holds"),
        (["holds", "undecided", "undecided"], "undecided"),
        (["does not hold", "does not hold", "undecided"], "does not hold"),
    ],
)
def test_one_verdict_of_many(verdicts, expected):
    assert combined(verdicts) == expected


def test_ratios_and_differences_agree_with_scipy():
    a, b = [7.0, 9.0, 8.5], [3.0, 3.5, 2.0, 2.5]
    logs = stats.ttest_ind(numpy.log(a), numpy.log(b), equal_var=False).confidence_interval()
    found = ratio(a, b)
    assert [found.low, found.high] == pytest.approx(numpy.exp([logs.low, logs.high]))
    plain = stats.ttest_ind(a, b, equal_var=False).confidence_interval()
    assert [difference(a, b).low, difference(a, b).high] == pytest.approx([plain.low, plain.high])
    alone = stats.ttest_1samp(numpy.log(a), 0).confidence_interval()
    assert [ratio_to_one(a).low, ratio_to_one(a).high] == pytest.approx(numpy.exp([alone.low, alone.high]))


def test_ratio_of_what_never_varies_is_exact():
    found = ratio([2.0, 2.0], [1.0, 1.0, 1.0])
    assert (found.value, found.low, found.high) == pytest.approx((2.0, 2.0, 2.0))
    assert ratio([2.0, 2.0], [1.0]).low is None


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    rng = numpy.random.default_rng(0)
    spreads = [
        spread_ratio(
            *(
                rng.normal(0, sd, n).std(ddof=1) if part == 0 else n - 1
                for sd, n in ((2, 3), (1, 9))
                for part in (0, 1)
            )
        )
        for _ in range(2000)
    ]
    assert numpy.mean([one.low < 2 < one.high for one in spreads]) == pytest.approx(0.95, abs=0.02)
    draws = rng.multivariate_normal([0, 0], [[1, 0.5], [0.5, 1]], (2000, 12))
    truth = 6 / math.pi * math.asin(0.25)  # Spearman's of a normal pair with Pearson's 0.5
    ranks = [rank_correlation(pair[:, 0], pair[:, 1]) for pair in draws]
    assert numpy.mean([one.low < truth < one.high for one in ranks]) == pytest.approx(0.95, abs=0.02)


def test_methods_are_found_in_any_spelling():
    runs, _ = frames(
        [result("lora/a"), result("mine/b", peft_type="LN_TUNING"), result("LN-Tuning/c", peft_type="LORA")]
    )
    (group,) = run_groups(runs.to_dict("records"), "score_group")
    assert group.select("ln_tuning") == ["LN-Tuning/c", "mine/b"]
    assert sorted(runs.loc[is_method(runs, "ln_tuning"), "experiment"]) == ["LN-Tuning/c", "mine/b"]


def test_committed_results_give_a_verdict_for_every_claim():
    runs = load([ROOT / "results"]).runs
    reports = findings(runs, CLAIMS)
    assert [found.claim for found in reports] == list(CLAIMS)
    for found in reports:
        assert found.verdict in VERDICTS
        assert found.summary.endswith(".")
        assert {line.verdict for line in lines(found)} <= set(VERDICTS)
    assert report_of(reports, "lora-close").lines


def test_the_command_prints_verdicts_and_what_is_behind_one(capsys):
    assert command.main(["--committed"]) == 0
    table = capsys.readouterr().out
    assert [line.rsplit("`")[-2] for line in table.splitlines()[2:]] == [claim.key for claim in CLAIMS]
    found = report_of(findings(load(committed(ROOT)).runs, CLAIMS), "lora-forgets-less")
    assert command.main(["--committed", "lora-forgets-less"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"**{found.claim.title}**: {found.verdict}. {found.summary}")
    for line in found.lines:
        assert f"| {line.where} | {line.text} | {line.verdict} |\n" in shown
    assert command.main(["nobody-says-so"]) == 2
    assert "nobody-says-so: expected one of lora-close" in capsys.readouterr().err


def report_of(reports, key):
    return next(found for found in reports if found.claim.key == key)

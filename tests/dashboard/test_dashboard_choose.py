"""Which method for me? What the Choose page keeps, drops, ranks, and admits not to know."""

import pytest
from dashboard_results import frames, result, seeds
from result_files import load

from harness.dashboard.choose import advise
from harness.dashboard.needs import Needs
from harness.dashboard.rules import RULES, Situation, room
from harness.dashboard.view import FAMILIES, INFERENCE, PRIORITIES
from harness.experiment import ROOT
from harness.result.experiments import by_experiment

MIB, GIB = 2**20, 2**30


def ask(results, **needs):
    runs, experiments = frames(results)
    return advise(experiments, Needs(**needs), runs)


def only(advice):
    (ranking,) = advice.rankings
    return ranking


def names(choices):
    return [one.row["experiment"] for one in choices]


@pytest.fixture
def three():
    return [
        *seeds("lora/a", [0.80, 0.81, 0.82], memory=20 * GIB, storage=2 * MIB, tokens=[100.0, 101.0, 102.0]),
        *seeds("ia3/b", [0.60, 0.61, 0.62], memory=12 * GIB, storage=MIB, tokens=[150.0, 151.0, 152.0]),
        *seeds("vera/c", [0.79, 0.81, 0.80], memory=14 * GIB, storage=MIB, tokens=[150.0, 152.0, 154.0]),
    ]


def test_best_first_and_ties_said(three):
    advice = ask(three)
    assert names(only(advice).kept) == ["lora/a", "vera/c", "ia3/b"]
    assert [one.rank for one in only(advice).kept] == [1, 2, 3]
    assert [one.tied for one in only(advice).kept] == [None, True, False]
    assert "not distinguishable from the best with 3 seeds" in only(advice).kept[1].reasons[-1]
    assert "behind the best (p < 0.001" in only(advice).kept[2].reasons[-1]
    assert any("not equal" in note for note in only(advice).notes)
    assert only(advice).kept[0].figure.startswith("81.0 %, 95 % interval")
    assert not advice.rules


def test_ties_are_with_the_best_of_those_that_fit(three):
    ranking = only(ask(three, gpu_memory=16 * GIB))
    assert names(ranking.kept) == ["vera/c", "ia3/b"]
    assert ranking.kept[0].tied is None
    assert "best of those" in ranking.kept[0].reasons[-1]


def test_each_constraint_says_figure_and_limit(three):
    ranking = only(ask(three, gpu_memory=16 * GIB, max_storage=1.5 * MIB))
    (dropped,) = ranking.dropped
    assert dropped.row["experiment"] == "lora/a"
    assert (
        dropped.reasons[0]
        == "needs 20.0 GiB in training, the most of 3 runs, more than the 15.0 GiB that a card of 16.0 GiB leaves"
    )
    assert dropped.reasons[1] == "stores 2.0 MiB, more than the 1.5 MiB given"
    assert (
        "needs 12.0 GiB in training, the most of 3 runs, within the 15.0 GiB that a card of 16.0 GiB leaves"
        in ranking.kept[1].reasons
    )


def test_the_seed_that_needs_most_decides():
    results = seeds("lora/a", [0.8, 0.8, 0.9], memory=[10 * GIB, 10 * GIB, 15.5 * GIB])
    assert names(only(ask(results, gpu_memory=16 * GIB)).dropped) == ["lora/a"]


def test_limit_itself_fits_and_a_byte_more_does_not():
    results = [result("lora/a", memory=15 * GIB), result("ia3/b", memory=15 * GIB + 1)]
    ranking = only(ask(results, gpu_memory=16 * GIB))
    assert names(ranking.kept) == ["lora/a"]
    assert (
        ranking.dropped[0].reasons[0]
        == "needs 16,106,127,361 B in training, more than the 16,106,127,360 B that a card of 16.0 GiB leaves"
    )


@pytest.mark.parametrize(
    ("missing", "needs", "says"),
    [
        ({"memory": None}, {"gpu_memory": 10**12}, "not measured: memory in training"),
        ({"storage": None}, {"max_storage": 10**12}, "not measured: storage"),
        ({"train_time": None}, {"max_train_time": 10**9}, "not measured: time of a whole training"),
        ({}, {"max_train_time": 10**9, "dataset_rows": 10}, "not measured: training rows per second"),
        ({}, {"inference": "fast"}, "not measured: speed of answers"),
        ({"shared": True, "unmerged": 1.0}, {"inference": "fast"}, "another process used the same GPU"),
        ({"shared": True, "tokens": 5.0}, {"priority": "speed"}, "another process used the same GPU"),
        ({"memory": None}, {"priority": "memory"}, "not measured: memory in training"),
        ({}, {"priority": "speed"}, "not measured: training speed"),
        ({}, {"priority": "answers"}, "not measured: speed of answers"),
        ({"storage": None}, {"priority": "storage"}, "not measured: storage"),
        ({"score": None}, {"priority": "quality"}, "not measured: quality"),
    ],
)
def test_what_was_not_measured_passes_nothing(missing, needs, says):
    advice = ask([result("lora/a", **missing)], **needs)
    assert not only(advice).kept
    (unknown,) = only(advice).unknown
    assert says in unknown.reasons[0]
    assert unknown.rank is None
    assert any("No measurement here answers" in note for note in advice.notes)


def test_a_missed_need_counts_though_another_figure_is_missing():
    ranking = only(ask([result("lora/a", memory=9 * GIB, storage=None)], gpu_memory=GIB, max_storage=MIB))
    (dropped,) = ranking.dropped
    assert [text.split(",")[0] for text in dropped.reasons] == ["needs 9.0 GiB in training", "not measured: storage"]


def test_groups_are_never_ranked_in_one_list(three):
    others = [
        result("lora/z", model="other/model"),
        result("lora/z", subset="boolq"),
        result("lora/z", hardware="nvidia-h100"),
        result("lora/z", protocol=2),
        result("lora/z", task="Other"),
        result("lora/z", protocol=None),
    ]
    advice = ask([*three, *others])
    assert len(advice.rankings) == 7
    assert sorted(len(ranking.kept) for ranking in advice.rankings) == [1] * 6 + [3]
    assert all(ranking.kept[0].rank == 1 for ranking in advice.rankings)
    assert len({ranking.title for ranking in advice.rankings}) == 7
    (foreign,) = [ranking for ranking in advice.rankings if "published elsewhere" in ranking.title]
    assert any("never ranked with ours" in note for note in foreign.notes)


def test_selections_leave_the_others_out(three):
    results = [
        *three,
        result("lora/z", hardware="nvidia-h100"),
        result("lora/z", task_type="SEQ_2_SEQ_LM", model="t/t5"),
    ]
    assert only(ask(results, hardware="nvidia-h100")).title == "Task, some/model, nvidia-h100, protocol 1"
    assert names(only(ask(results, family="encoder-decoder")).kept) == ["lora/z"]
    assert len(ask(results, family="causal").rankings) == 2


def test_one_seed_speaks_of_models_only():
    items = [1.0] * 60 + [0.0] * 40
    results = [result("lora/a", score=0.60, items=items), result("ia3/b", score=0.58, items=items[2:] + [0.0, 0.0])]
    _, second = only(ask(results)).kept
    assert second.tied is True
    assert "not distinguishable from the best with one seed" in second.reasons[-1]
    assert "two trained models only" in second.reasons[-1]


def test_one_seed_without_items_cannot_be_told():
    _, second = only(ask([result("lora/a", score=0.6), result("ia3/b", score=0.5)])).kept
    assert second.tied is None
    assert "not tested" in second.reasons[-1]


def test_equal_scores_are_called_that():
    """Which of them the test takes for the best is not the one that stands first: that one has fewer seeds."""
    results = [*seeds("lora/z", [0.5, 0.5, 0.5]), *seeds("ia3/a", [0.5, 0.5])]
    first, second = only(ask(results)).kept
    assert (first.reasons[-1], second.tied) == ("best of those that meet your needs", True)
    assert second.reasons[-1] == "the same score as the best"


def test_lower_scores_can_be_better():
    results = [*seeds("lora/a", [0.3, 0.31], higher=False), *seeds("ia3/b", [0.2, 0.21], higher=False)]
    assert names(only(ask(results)).kept) == ["ia3/b", "lora/a"]


def test_speed_memory_and_storage_order_by_their_direction(three):
    assert names(only(ask(three, priority="memory")).kept) == ["ia3/b", "vera/c", "lora/a"]
    by_speed = only(ask(three, priority="speed")).kept
    assert names(by_speed) == ["vera/c", "ia3/b", "lora/a"]
    assert [one.tied for one in by_speed] == [None, True, False]
    assert "Training tokens/s over the best's" in by_speed[1].reasons[-1]
    by_storage = only(ask(three, priority="storage")).kept
    assert [(one.row["experiment"], one.tied) for one in by_storage] == [
        ("ia3/b", None),
        ("vera/c", True),
        ("lora/a", False),
    ]
    assert "stores more" in by_storage[-1].reasons[-1]


def test_one_run_does_not_tell_how_much_speed_varies():
    _, second = only(ask([result("lora/a", tokens=9.0), result("ia3/b", tokens=8.0)], priority="speed")).kept
    assert second.tied is None
    assert "one run" in second.reasons[-1]


def test_time_is_reckoned_for_the_rows_there_are():
    results = [result("lora/a", samples=10.0), result("ia3/b", samples=100.0)]
    ranking = only(ask(results, dataset_rows=12000, max_train_time=600))
    assert names(ranking.kept) == ["ia3/b"]
    assert ranking.dropped[0].reasons[0] == (
        "trains for 20 min 0 s in one pass over your 12,000 rows, at the 10 rows per second measured, more than the 10 min 0 s given"
    )
    assert any("number of training rows" in note for note in ask(results, dataset_rows=5).notes)


def test_answers_as_fast_as_the_base():
    results = [
        result("lora/merges", merged=1.01, unmerged=1.4),
        result("ia3/beside", unmerged=1.2),
        result("full-finetuning/x", unmerged=1.0),
    ]
    ranking = only(ask(results, inference="fast"))
    assert sorted(names(ranking.kept)) == ["full-finetuning/x", "lora/merges"]
    assert "1.20× the base's time for its answers, unmerged (merged was not measured" in ranking.dropped[0].reasons[0]
    assert "more than the 1.05× allowed" in ranking.dropped[0].reasons[0]


def test_many_adapters_on_one_base():
    results = [
        result("lora/merges", merged=1.0, unmerged=1.4),
        result("ia3/beside", unmerged=1.2),
        result("full-finetuning/x", unmerged=1.0),
    ]
    ranking = only(ask(results, inference="adapters", priority="answers"))
    assert names(ranking.kept) == ["ia3/beside", "lora/merges"]
    assert "no adapter beside others" in ranking.dropped[0].reasons[0]
    assert names(only(ask(results, priority="answers")).kept) == ["full-finetuning/x", "lora/merges", "ia3/beside"]


def profiles():
    return [
        result("lora/p", score=None, base=None, memory=9 * GIB, tokens=5.0, profile=True),
        result("ia3/p", score=None, base=None, memory=7 * GIB, tokens=4.0, profile=True),
    ]


def test_profiles_answer_memory_and_speed():
    ranking = only(ask(profiles(), gpu_memory=9 * GIB, priority="memory"))
    assert [(one.row["experiment"], one.rank) for one in ranking.kept] == [("ia3/p", 1)]
    assert names(ranking.dropped) == ["lora/p"]
    assert "random weights" in ranking.title


def test_profiles_never_rank_quality(three):
    advice = ask([*three, *profiles()])
    ours, profile = advice.rankings
    assert len(ours.kept) == 3
    assert [(one.row["experiment"], one.rank) for one in profile.kept] == [("ia3/p", None), ("lora/p", None)]
    assert profile.kept[0].figure.startswith("Peak memory 7.0 GiB")
    assert any("quality is not" in note for note in profile.notes)
    alone = ask(profiles(), family="causal", gpu_memory=16 * GIB)
    assert alone.rules
    assert any("No measurement here answers with an order by quality" in note for note in alone.notes)


def test_profiles_do_not_measure_a_whole_training():
    ranking = only(ask(profiles(), max_train_time=10**6, priority="memory"))
    assert not ranking.kept
    assert "not measured: time of a whole training" in ranking.unknown[0].reasons[0]


def test_out_of_memory_speaks_of_that_device():
    oom = result("full-finetuning/x", score=None, memory=None, status="out_of_memory", profile=True)
    ranking = only(ask([*profiles(), oom], gpu_memory=9 * GIB, priority="memory"))
    (dropped,) = [one for one in ranking.dropped if one.row["experiment"] == "full-finetuning/x"]
    assert dropped.reasons == ["ran out of memory in training on nvidia-l40s"]
    larger = only(ask([*profiles(), oom], gpu_memory=80 * 2**30, priority="memory"))
    assert names(larger.unknown) == ["full-finetuning/x"]
    assert "nothing here tells" in larger.unknown[0].reasons[0]


def test_runs_that_failed_are_not_ranked_but_said():
    results = [
        result("lora/a"),
        result("lora/a", seed=1, score=None, status="diverged"),
        result("ia3/b", score=None, status="diverged"),
        result("ia3/c", score=None, status="failed"),
    ]
    ranking = only(ask(results))
    assert names(ranking.kept) == ["lora/a"]
    assert "but 1 more of its runs ended as diverged" in ranking.kept[0].reasons
    assert names(ranking.dropped) == ["ia3/b"]
    assert names(ranking.unknown) == ["ia3/c"]


def test_modified_runs_and_mixed_settings_are_not_ranked():
    results = [result("lora/a", overrides={"max_steps": 1}), *seeds("ia3/b", [0.5, 0.6], lr=[1e-3, 1e-4])]
    ranking = only(ask(results))
    assert not ranking.kept
    assert names(ranking.unknown) == ["ia3/b"]
    assert "seeds differ in" in ranking.unknown[0].reasons[0]


def test_nothing_measured_gives_labelled_rules(three):
    advice = ask(three, model="big/model", family="causal", model_params=8e9, gpu_memory=12 * 2**30)
    assert not advice.rankings
    assert any("Nothing was measured on causal, big/model" in note for note in advice.notes)
    assert [rule.advice for rule in advice.rules] == ["QLoRA: LoRA on a base quantized to 4 bit"]
    assert all(rule.url.startswith("https://") and rule.source and rule.basis for rule in RULES)
    elsewhere = ask(three, hardware="nvidia-h100")
    assert any("Measured on nvidia-l40s" in note for note in elsewhere.notes)


@pytest.mark.parametrize(
    ("needs", "expected", "not_expected"),
    [
        ({"family": "encoder-decoder", "gpu_memory": 2.2e9}, ["IA3"], ["QLoRA", "LoRA of rank 16"]),
        ({"family": "causal", "gpu_memory": 2.2e9}, ["prompt tuning", "IA3", "LoRA of rank 8"], ["QLoRA"]),
        ({"family": "causal", "gpu_memory": 8e9}, ["LoRA of rank 16 to 32", "LoRA of rank 64", "AdaLoRA"], ["IA3"]),
        ({"family": "causal", "gpu_memory": 8e9, "priority": "memory"}, ["LoRA of rank 16 to 32"], ["AdaLoRA"]),
        ({"family": "causal", "gpu_memory": 1e9}, ["QLoRA"], ["LoRA of rank 16", "IA3"]),
        ({"family": "vision"}, ["LoRA of rank 16 to 32 on query and value"], ["QLoRA", "IA3", "out of this"]),
        ({"family": "diffusion"}, ["the usual way to teach one a subject"], ["QLoRA", "IA3"]),
    ],
)
def test_rules_of_thumb_of_the_field(needs, expected, not_expected):
    advice = ask([], model_params=1e9, **needs)
    texts = [rule.text for rule in advice.rules]
    assert all(any(part in text for text in texts) for part in expected)
    assert not any(part in text for text in texts for part in not_expected)


def test_a_rule_gives_way_to_its_measurement(three):
    texts = [rule.advice for rule in ask(three, family="causal", gpu_memory=GIB, max_storage=1).rules]
    assert "IA3" not in texts
    assert any("QLoRA" in text for text in texts)


def test_measured_but_nothing_fits(three):
    advice = ask(three, gpu_memory=GIB)
    assert len(only(advice).dropped) == 3
    assert any("nothing is known to meet" in note for note in only(advice).notes)


def test_memory_of_a_cpu_is_not_that_of_a_gpu():
    ranking = only(ask([result(hardware="cpu-x86-64")], gpu_memory=16 * GIB))
    assert any("Measured on a CPU" in note for note in ranking.notes)


def test_room_beside_the_base():
    assert [room(gib, 1e9) for gib in (1e9, 2e9, 2.9e9, 3e9, None)] == [
        "does not fit",
        "little",
        "little",
        "enough",
        "unknown",
    ]
    assert room(1e9, None) == "unknown"


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("priority", PRIORITIES)
def test_every_situation_has_some_rule(family, priority):
    for space in ("does not fit", "little", "enough", "unknown"):
        assert any(rule.applies(Situation(family, space, priority)) for rule in RULES)


@pytest.fixture(scope="module")
def committed():
    runs = load([ROOT / "results"]).runs
    return runs, by_experiment(runs)


@pytest.mark.parametrize("inference", INFERENCE)
@pytest.mark.parametrize("priority", PRIORITIES)
def test_committed_results_give_reasons_whatever_is_asked(committed, inference, priority):
    runs, experiments = committed
    needs = Needs(gpu_memory=500 * MIB, max_storage=MIB, max_train_time=600, priority=priority, inference=inference)
    advice = advise(experiments, needs, runs)
    assert len(advice.rankings) == experiments["cost_group"].nunique()
    for ranking in advice.rankings:
        everything = (*ranking.kept, *ranking.unknown, *ranking.dropped)
        assert sorted(names(everything)) == sorted(
            experiments.loc[experiments["cost_group"].eq(ranking.group), "experiment"].unique()
        )
        assert all(one.reasons for one in everything)

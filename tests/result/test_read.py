"""Reading results: ours and published ones side by side, strange files named, nothing breaks."""

import json
import math
import os
import warnings
from pathlib import Path

import numpy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from result_files import change, load, ours, published, write

from harness.experiment import ROOT
from harness.result.columns import NUMBERS, TEXTS
from harness.result.experiments import by_experiment
from harness.result.files import LARGEST_FILE, UnreadableError, read_object
from harness.result.origin import task_of
from harness.result.uncertainty import wilson_interval


def only(path, **arguments):
    """The one run of a folder."""
    loaded = load([path], **arguments)
    assert not loaded.skipped
    assert len(loaded.runs) == 1
    return loaded.runs.iloc[0]


# Ours ----------------------------------------------------------------------------------------------------------------


def test_every_committed_result_is_read():
    loaded = load([ROOT / "results"])
    files = [path for path in (ROOT / "results").rglob("*.json") if not path.name.startswith(".")]
    files = [path for path in files if "forecasts" not in path.parts]
    assert not loaded.skipped
    assert sorted(loaded.runs["source"]) == sorted(path.relative_to(ROOT).as_posix() for path in files)
    for row in loaded.runs.sample(5, random_state=0).itertuples():
        data = read_object(ROOT / row.source)
        assert row.score == data["quality"]["test_score"] or data.get("profile")
        assert row.memory_train == data["memory"]["train"]["reserved"]
        assert (row.method, row.name, row.seed) == (data["method"], data["name"], data["seed"])


def test_values_of_one_of_ours(tmp_path):
    changes = {
        "inference": {"base": {"prefill_tokens_per_second": 9, "decode_tokens_per_second": 10}, "merged": None,
                      "unmerged": {"prefill_tokens_per_second": 9, "decode_tokens_per_second": 8},
                      "overhead_unmerged": {"median": 1.25, "lowest": 1.2, "highest": 1.3}, "overhead_merged": None},
        "memory_parts.gradients": 50, "speed.train_tokens_per_second": 12.5, "compute.energy": 3.5,
        "memory.forgetting": {"allocated": 1, "reserved": 60}, "memory.inference": {"allocated": 1, "reserved": 70},
        "compute.flops_per_token": 1e6, "speed.samples_per_second": 4.5, "hardware.cpu": "EPYC", "hardware.threads": 2,
        "quality.majority_baseline": 0.5, "provenance.shared_device": True, "train_info.num_stored_params": 99,
    }  # fmt: skip
    row = only(write(tmp_path, ours(subset="copa", task="SuperGLUE", **changes)))
    expected = {
        "task": "SuperGLUE", "subset": "copa", "experiment": "lora/rank8", "method": "lora", "name": "rank8", "model": "embedded/llama",
        "family": "causal", "hardware": "cpu-x86-64", "quantization": "none", "dtype": "float32", "protocol": "1", "status": "success",
        "peft_type": "LORA", "score": 0.75, "base_score": 0.25, "gain": 0.5, "majority": 0.5, "forgetting": 0.1,
        "trainable_params": 100, "total_params": 1000, "trainable_share": 0.1, "stored_params": 99, "storage": 400, "memory_train": 700,
        "gradients": 50, "train_tokens_per_second": 12.5, "energy": 3.5, "base_decode": 10, "unmerged_decode": 8, "overhead_unmerged": 1.25,
        "memory_forgetting": 60, "memory_inference": 70, "flops_per_token": 1e6, "samples_per_second": 4.5,
        "processor": "EPYC, 2 threads", "train_time": 40, "total_time": 45, "rank": 8, "learning_rate": 0.002, "max_steps": 160, "seed": 0, "metric": "accuracy",
        "versions": "torch 2.13.0+cpu peft 0.21.2", "shared_device": True, "ranked": True, "foreign": False, "modified": False,
    }  # fmt: skip
    assert {key: row[key] for key in expected} == expected
    assert all(math.isnan(row[key]) for key in ("merged_decode", "overhead_merged", "memory_eval", "invalid_rate"))
    assert row["item_scores"].tolist() == [1, 0, 1, 1]
    assert json.loads(row["settings"])["train"]["max_steps"] == 160


def test_runs_that_are_shown_but_not_ranked(tmp_path):
    write(
        tmp_path,
        ours("a/failed", scores=(), **{"train_info.status": "out_of_memory"}),
        ours("a/changed", overrides={"max_steps": 4}),
    )
    write(tmp_path, ours("a/profile", scores=(), profile=True), ours("a/no-score", scores=()), ours("a/good"))
    runs = load([tmp_path]).runs.set_index("name")
    assert runs.index[runs["ranked"]].tolist() == ["good"]
    assert runs.index[runs["profile"]].tolist() == ["profile"]
    assert runs.index[runs["modified"]].tolist() == ["changed"]
    assert runs.loc["failed", "status"] == "out_of_memory"
    assert math.isnan(runs.loc["failed", "score"])


def test_of_one_run_found_twice_the_newest_is_kept(tmp_path):
    later, earlier = ({"run_info.created_at": f"2026-11-{day}T00:00:00+00:00"} for day in (21, 20))
    write(tmp_path, ours(scores=[1.0], **later), ours(scores=[0.0], **earlier), ours(seed=1), ours(protocol=2))
    write(tmp_path, ours(scores=(), **{"train_info.status": "failed", "run_info.created_at": "2026-11-25T00:00:00Z"}))
    loaded = load([tmp_path])
    assert loaded.runs.loc[(loaded.runs["seed"] == 0) & (loaded.runs["protocol"] == "1"), "score"].tolist() == [1.0]
    assert len(loaded.runs) == 3
    assert len(loaded.skipped) == 2
    assert all("the same run as" in one.reason for one in loaded.skipped)


def test_a_file_that_two_paths_hold_comes_once(tmp_path):
    write(tmp_path / "a", ours())
    loaded = load([tmp_path, tmp_path / "a", tmp_path / "a" / "00000.json"])
    assert len(loaded.runs) == 1
    assert not loaded.skipped


# Published ones ------------------------------------------------------------------------------------------------------


def test_hundreds_of_published_results_load_beside_ours(tmp_path):
    """By hand in the layout of DESIGN section 4, without any addition of ours."""
    theirs = tmp_path / "method_comparison" / "MetaMathQA" / "results"
    gpus = ("NVIDIA L40S", "NVIDIA H100 80GB HBM3", "N/A")
    for number in range(400):
        experiment = f"{('lora', 'ia3', 'adalora')[number % 3]}/llama-3.2-3B-{number}"
        accelerator = {"meta_info.system_info.accelerator": gpus[number % 5 % 3]}
        write(theirs, published(experiment, accuracy=number / 500, **accelerator))
    write(tmp_path / "ours", *(ours(f"lora/rank{rank}", seed) for rank in (4, 8) for seed in (0, 1)))
    loaded = load([tmp_path])
    assert not loaded.skipped
    assert len(loaded.runs) == 404
    foreign = loaded.runs[loaded.runs["foreign"]]
    assert len(foreign) == 400
    assert set(foreign["task"]) == {"MetaMathQA"}
    assert set(foreign["hardware"]) == {"nvidia-l40s", "nvidia-h100-80gb-hbm3", "cpu-x86-64"}
    assert sorted(foreign["score"]) == pytest.approx([number / 500 for number in range(400)])
    assert not set(foreign["score_group"]) & set(loaded.runs.loc[~loaded.runs["foreign"], "score_group"])
    experiments = by_experiment(loaded.runs)
    assert len(experiments) == 402
    assert experiments.loc[experiments["foreign"], "ranked"].all()
    assert experiments.loc[experiments["foreign"], "score_low"].isna().all()  # one seed without scores by item


def test_values_of_a_published_result(tmp_path):
    row = only(write(tmp_path / "Elsewhere" / "results", published()))
    expected = {
        "task": "Elsewhere", "subset": "", "experiment": "lora/llama-3.2-3B-rank32", "method": "lora", "name": "llama-3.2-3B-rank32",
        "model": "meta-llama/Llama-3.2-3B", "family": "causal", "hardware": "nvidia-l40s", "quantization": "none", "dtype": "bfloat16",
        "protocol": "of another harness", "status": "success", "seed": 0, "score": 0.478, "memory_train": 22273855488, "memory_avg": 11868689976,
        "memory_p99": 17731197992, "storage": 36715216, "trainable_params": 9175040, "train_time": 1867.9, "total_time": 2049.2,
        "rank": 32, "learning_rate": 0.0001, "max_steps": 5000, "metric": "accuracy", "foreign": True, "ranked": True,
    }  # fmt: skip
    assert {key: row[key] for key in expected} == expected
    rates = (row["train_tokens_per_second"], row["samples_per_second"])
    assert rates == pytest.approx((4198051 / 1867.9, 20000 / 1867.9))
    assert (row["valid_score"], row["train_loss"], row["train_tokens"], row["created"]) == (
        0.36,
        0.607,
        4198051,
        "2025-06-20",
    )
    for key in ("base_score", "gain", "forgetting", "stored_params", "gradients", "drift"):
        assert math.isnan(row[key])


def scored(**last):
    """A published result whose last line of metrics has these."""
    data = published()
    data["train_info"]["metrics"][-1] = {"step": 5000, **last}
    return data


def test_any_test_metric_is_a_score_under_its_own_name_and_direction(tmp_path):
    cases = {
        "dino_similarity": ({"test dino_similarity": 0.61, "drift": 0.2}, (0.61, True, True, False)),
        "accuracy": ({"test loss": 1.2, "test accuracy": 0.5}, (0.5, True, True, True)),
        "perplexity": ({"test perplexity": 9.5}, (9.5, False, True, False)),
        "wobble": ({"test wobble": 17.0}, (17.0, True, False, False)),
    }
    for metric, (last, expected) in cases.items():
        row = only(write(tmp_path / metric / "results", scored(**last)))
        assert row["metric"] == metric
        assert (row["score"], row["higher_is_better"], row["direction_known"], row["share"]) == expected
        assert row["ranked"] == (metric != "wobble")  # shown, not guessed
        assert row["drift"] == last.get("drift") or math.isnan(row["drift"])


def test_a_score_that_is_a_whole_number_of_items_has_a_binomial_interval(tmp_path):
    scores = {"whole": 630 / 1319, "rounded": 0.478, "half": 0.5}
    write(tmp_path, *(published(f"lora/{name}", accuracy=score) for name, score in scores.items()))
    rows = by_experiment(load([tmp_path]).runs).set_index("name")
    interval = wilson_interval(630 / 1319, 1319)
    assert (rows.loc["whole", "score_low"], rows.loc["whole", "score_high"]) == pytest.approx(
        (interval.low, interval.high)
    )
    assert "Wilson over 1319 items" in rows.loc["whole", "interval"]
    assert rows.loc[["rounded", "half"], "score_low"].isna().all()  # of how many items nobody knows


def test_variants_of_published_results(tmp_path):
    full = published("full-finetuning/x", **{"run_info.peft_config": None})
    quantized = published("lora/int4", **{"run_info.train_config.dtype": "int4"})
    no_seed, unnamed = published("lora/no-seed"), published("some-name")
    del no_seed["run_info"]["train_config"]["seed"]
    failed = published("lora/failed", **{"train_info.status": "failed", "train_info.metrics": []})
    write(tmp_path, full, quantized, no_seed, unnamed, failed)
    runs = load([tmp_path]).runs.set_index("name")
    assert (runs.loc["x", "method"], runs.loc["x", "peft_type"], runs.loc["x", "family"]) == (
        "full-finetuning",
        "",
        "causal",
    )
    assert runs.loc["int4", "quantization"] == "int4"
    assert math.isnan(runs.loc["no-seed", "seed"])
    assert runs.loc["some-name", "method"] == "lora"
    assert (runs.loc["failed", "ranked"], runs.loc["failed", "status"]) == (False, "failed")


def test_the_task_of_a_published_result(tmp_path):
    places = {
        "a/CNNDM/x/results/y": "CNNDM",
        "a/Other/results/y": "Other",
        "a/b": "b",
        "MetaMathQA/SuperGLUE": "SuperGLUE",
    }
    assert {place: task_of(tmp_path / place) for place in places} == places
    folder = write(tmp_path / "CNNDM", published())
    assert only(folder)["task"] == "CNNDM"
    assert only(folder, task="Mine")["task"] == "Mine"
    assert only(write(tmp_path / "own", ours()), task="Mine")["task"] == "MetaMathQA"  # ours says it itself


# Broken ones ---------------------------------------------------------------------------------------------------------

_WHOLE = json.dumps(ours()).encode()
BROKEN = {
    "empty": b"", "space": b"  \n", "truncated": _WHOLE[: len(_WHOLE) // 2], "list": b"[]", "null": b"null", "text": b'"result"',
    "number": b"3", "binary": bytes(range(256)), "nulls": b"\0" * 999, "utf16": json.dumps(ours()).encode("utf-16"), "not-utf8": b'{"a": "\xff"}',
    "deep": b"[" * 100_000, "deep-objects": b'{"a":' * 100_000, "other-json": b'{"peft_type": "LORA", "r": 8}', "two": _WHOLE + _WHOLE,
    "surrogate": b'{"a": "\\ud800"}', "huge-number": b'{"a": ' + b"9" * 5000 + b"}",
}  # fmt: skip
STRANGE = {
    "run_info": [None, [], "x", 3], "train_info": [None, [1]], "meta_info": [False], "train_info.metrics": [{}, "x", [3], ["a"], 7],
    "train_info.status": [3, []], "train_info.num_trainable_params": ["many", -1, [1], 1e300, True], "train_info.file_size": [-5, {}],
    "run_info.experiment_name": [None, "", 3, ["a"]], "run_info.train_config": [[], "x"], "run_info.train_config.model_id": [3],
    "run_info.train_config.optimizer_kwargs": [[1], 3], "run_info.peft_config": [[], 3], "run_info.created_at": [17],
    "quality": [[], 3], "quality.test_score": [45.3, -0.1, "0.5", True, 0.1], "quality.test_scores": [{}, "1", [None], ["a"], [2.0], [[1.0]], [-1]],
    "quality.base_score": [1.5], "task": ["MetaMathQA", []], "task.name": [3, {}], "task.higher_is_better": ["yes", 1],
    "hardware": ["gpu"], "hardware.slug": [3], "memory": [[700]], "memory.train": [700], "memory.train.reserved": ["7 GB", -1],
    "inference": ["fast"], "protocol": ["one", -1, [1]], "seed": ["x"], "profile": ["no", 0], "provenance": [3],
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_skipped_and_named(tmp_path, name):
    write(tmp_path, ours())
    (tmp_path / f"{name}.json").write_bytes(BROKEN[name])
    check_skipped(tmp_path, f"{name}.json")


@pytest.mark.parametrize(("path", "value"), [(path, value) for path, values in STRANGE.items() for value in values])
def test_a_strange_file_is_skipped_and_named(tmp_path, path, value):
    write(tmp_path, ours())
    (tmp_path / "strange.json").write_text(json.dumps(change(ours("lora/strange"), {path: value})))
    check_skipped(tmp_path, "strange.json")


def nested(depth):
    return {"a": nested(depth - 1)} if depth else 1


MORE_STRANGE = {
    "run_info.experiment_name": ["lora/\ud800", "lora/" + "x" * 2000], "run_info.train_config.query_template": ["\udfff"],
    "run_info.train_config.max_steps": [10**30], "run_info.train_config.optimizer_kwargs": [nested(300)], "run_info.peft_config": [nested(300)],
}  # fmt: skip


@pytest.mark.parametrize(
    ("path", "value"), [(path, value) for path, values in MORE_STRANGE.items() for value in values]
)
def test_half_characters_depth_and_length_are_strange_too(tmp_path, path, value):
    test_a_strange_file_is_skipped_and_named(tmp_path, path, value)


def test_a_name_that_is_no_text_is_skipped_and_named(tmp_path):
    write(tmp_path, ours())
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.json")).write_text(json.dumps(ours("lora/other")))
    check_skipped(tmp_path, "\\udcff.json")


def check_skipped(folder, name):
    loaded = load([folder])
    assert len(loaded.runs) == 1
    assert [Path(one.path).name for one in loaded.skipped] == [name]
    reason = loaded.skipped[0].reason
    assert reason
    assert "\n" not in reason
    assert len(reason) < 200


def test_what_is_no_plain_file_is_skipped(tmp_path):
    folder = write(tmp_path / "in", ours())
    (folder / "loop").symlink_to(folder)
    (folder / "link.json").symlink_to(folder / "00000.json")
    (folder / "endless.json").symlink_to("/dev/zero")
    (folder / "dangling.json").symlink_to("nowhere")
    os.mkfifo(folder / "pipe.json")  # opening it would wait for ever
    (folder / "folder.json").mkdir()
    with (folder / "large.json").open("wb") as file:
        file.truncate(LARGEST_FILE + 1)
    (folder / ".hidden.json").write_text("x")
    (folder / "notes.txt").write_text("x")
    loaded = load([folder])
    assert len(loaded.runs) == 1
    assert {Path(one.path).name for one in loaded.skipped} == {
        "link.json",
        "endless.json",
        "dangling.json",
        "pipe.json",
        "large.json",
    }


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_files_and_folders_are_named(tmp_path):
    write(tmp_path / "closed", ours())
    write(tmp_path / "open", ours())
    (tmp_path / "open" / "00000.json").chmod(0)
    (tmp_path / "closed").chmod(0)
    loaded = load([tmp_path])
    (tmp_path / "closed").chmod(0o700)
    assert len(loaded.skipped) == 2


def test_no_folder_and_no_result(tmp_path):
    loaded = load([tmp_path / "nowhere", tmp_path])
    assert [one.reason for one in loaded.skipped] == ["no such file or folder"]
    assert len(loaded.runs) == 0
    full = load([write(tmp_path, ours())]).runs
    assert loaded.runs.dtypes.equals(full.dtypes)
    assert by_experiment(loaded.runs).dtypes.equals(by_experiment(full).dtypes)


def test_pythons_nan_is_missing(tmp_path):
    data = published(**{"train_info.train_time": math.nan})
    data["train_info"]["metrics"][-1]["forgetting"] = math.inf
    row = only(write(tmp_path, data))
    assert math.isnan(row["train_time"])
    assert math.isnan(row["forgetting"])
    assert row["score"] == 0.478


def test_read_tells_why_not(tmp_path):
    with pytest.raises(UnreadableError, match="No such file"):
        read_object(tmp_path / "nowhere.json")


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def paths_of(data, prefix=()):
    for key, value in data.items():
        yield (*prefix, key)
        if isinstance(value, dict):
            yield from paths_of(value, (*prefix, key))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_anything_anywhere_never_breaks_loading(tmp_path, data):
    """Values of any type in up to three places of a result: it is shown or named, and the frames stay whole."""
    result = data.draw(st.sampled_from([ours, published]))()
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(sorted(paths_of(result))))
        inner = result
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = data.draw(values)
    (tmp_path / "one.json").write_text(json.dumps(result))
    (tmp_path / "two.json").write_text(json.dumps(ours("lora/good")))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = load([tmp_path])
        experiments = by_experiment(loaded.runs)
    assert len(loaded.runs) + len(loaded.skipped) == 2
    assert len(experiments) == len(loaded.runs)
    assert {
        key for key in (*TEXTS, *NUMBERS, "ranked", "tied", "profile", "modified") if key not in experiments
    } == set()
    assert all(experiments[key].dtype == float or key == "seeds" for key in NUMBERS)
    assert not numpy.isinf(experiments[list(NUMBERS)].to_numpy(dtype=float)).any()

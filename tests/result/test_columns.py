"""The columns: described, found where they say, and written for people."""

import json
import math

from harness.experiment import ROOT
from harness.result.columns import COLUMNS, METRICS, format_value


def test_columns_are_described():
    assert all(column.label and column.description for column in COLUMNS.values())
    assert all(column.unit != "text" for column in METRICS.values())
    assert len({column.label for column in COLUMNS.values()}) == len(COLUMNS)


def test_values_as_people_read_them():
    cases = {
        "storage": (2 * 2**20, "2.0 MiB"), "score": (0.8375, "83.8 %"), "trainable_share": (0.0000123, "0.0012 %"), "gain": (-0.032, "-3.2"),
        "trainable_params": (434176.0, "434,176"), "train_tokens_per_second": (12340.9, "12,341"), "step_time_median": (0.086, "86 ms"),
        "train_time": (95.2, "1 min 35 s"), "total_time": (7260, "2 h 1 min"), "overhead_unmerged": (1.234, "1.23×"), "energy": (3400, "3.4 kJ"),
        "flops_per_token": (1.5e9, "1.5 GFLOP"), "learning_rate": (0.0001, "0.0001"), "method": ("lora", "lora"), "seeds": (3, "3"),
        "subset": ("", "–"), "rank": (math.nan, "–"), "forgetting": (None, "–"),
    }  # fmt: skip
    assert {key: format_value(COLUMNS[key], value) for key, (value, _) in cases.items()} == {
        key: shown for key, (_, shown) in cases.items()
    }


def test_every_path_leads_to_something():
    result = json.loads(next((ROOT / "results").rglob("lora--embedded-llama-rank8--seed0.json")).read_text())
    for column in COLUMNS.values():
        value = result
        for name in filter(None, column.path.split(".")):
            assert name in value, f"{column.key}: {column.path}"
            value = value[name]

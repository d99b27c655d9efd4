"""How much each method trains on T5-large, 3B and 11B, counted on the meta device: the study's figures."""

import pytest
import torch
from peft import get_peft_model
from transformers import AutoModelForSeq2SeqLM

from harness.adapter import parameter_counts
from harness.architecture import architecture, meta_model
from tests.methods.conftest import config_of

SIZES = ("large", "3b", "11b")
# Method, fields that differ from its defaults, trainable parameters by size.
TRAINABLE = [
    ("HOULSBY", {}, (12_687_360, 12_687_360, 12_687_360)),
    ("PFEIFFER", {}, (6_343_680, 6_343_680, 6_343_680)),
    ("PARALLEL_ADAPTER", {}, (50_405_424, 50_405_424, 50_405_424)),
    ("PARALLEL_ADAPTER", {"places": ["mlp_block"], "scale": 4.0}, (50_405_376, 50_405_376, 50_405_376)),
    ("COMPACTER", {}, (304_192, 304_192, 304_192)),
    ("COMPACTER_PLUS_PLUS", {}, (152_128, 152_128, 152_128)),
    ("PREFIX_STACKS", {}, (4_423_680, 17_694_720, 70_778_880)),
    ("PREFIX_STACKS", {"prefix_hidden": 512}, (77_311_488, 304_246_272, 1_211_985_408)),
    ("MAM", {}, (171_069_840, 525_406_608, 1_942_753_680)),
    ("MAM", {"scale": 4.0}, (171_069_792, 525_406_560, 1_942_753_632)),
    ("MAM", {"prefix_hidden": None}, (54_829_104, 68_100_144, 121_184_304)),
    ("UNIPELT", {}, (16_841_016, 24_803_640, 56_654_136)),
]
CASES = [
    pytest.param(method, fields, size, count, id=f"{method}-{size}-{','.join(fields)}")
    for method, fields, counts in TRAINABLE
    for size, count in zip(SIZES, counts, strict=True)
]


@pytest.mark.parametrize(("method", "fields", "size", "count"), CASES)
def test_trainable_parameters(method, fields, size, count):
    with torch.device("meta"):
        model = get_peft_model(
            meta_model(AutoModelForSeq2SeqLM, architecture(f"google-t5/t5-{size}", "test")),
            config_of(method, "t5", **fields),
        )
    assert parameter_counts(model)[0] == count
    assert all(parameter.is_meta for parameter in model.parameters())

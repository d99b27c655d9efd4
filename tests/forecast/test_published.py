"""The forecast against published measurements; docs/forecast.md has them all."""

import statistics

import pytest

from harness.forecast.gpus import GPUS, HIGHEST_SHARE, LOWEST_SHARE
from harness.forecast.published import PAGE, hold_all, table


@pytest.mark.slow
def test_published_runs():
    held = {one.name: one for one in hold_all()}
    assert table(list(held.values())) in PAGE.read_text(), "python -m harness.forecast.published --write"
    assert len(held) == 11
    assert statistics.median(abs(one.error) for one in held.values()) < 0.05
    assert {one.name for one in held.values() if abs(one.error) > 0.15} == {"OSF r128"}, "other code was measured"
    timed = [one for one in held.values() if one.seconds]
    shares = [4_197_579 / one.seconds * one.flops / GPUS["L40S"].peak for one in timed]
    assert (min(shares), max(shares)) == pytest.approx((LOWEST_SHARE, HIGHEST_SHARE), rel=0.03)

"""The allocator against torch's rules, worked out by hand."""

import pytest

from harness.forecast.allocator import MIB, CachingAllocator, rounded


def played(*events):
    allocator = CachingAllocator()
    allocator.play(events)
    return allocator


@pytest.mark.parametrize(("size", "block"), [(1, 512), (512, 512), (513, 1024), (10**6, 1000448)])
def test_blocks(size, block):
    assert rounded(size) == block


@pytest.mark.parametrize(
    ("size", "segment"), [(1, 2), (MIB, 2), (MIB + 1, 20), (10 * MIB - 512, 20), (10 * MIB, 10), (11 * MIB, 12)]
)
def test_segments(size, segment):
    assert played((1, size)).reserved == segment * MIB


def test_many_small_ones_share_a_segment():
    assert played(*((number, 512) for number in range(4096))).reserved == 2 * MIB
    assert played(*((number, 512) for number in range(4097))).reserved == 4 * MIB


def test_what_is_freed_is_used_again_and_its_rest_too():
    kept = played((1, 100 * MIB), (1, -100 * MIB), (2, 40 * MIB), (3, 60 * MIB))
    assert kept.reserved == 100 * MIB
    assert played((1, 100 * MIB), (1, -100 * MIB), (2, 40 * MIB), (3, 61 * MIB)).reserved == 162 * MIB


def test_neighbours_are_joined():
    whole = [(1, 100 * MIB), (1, -100 * MIB), (2, 40 * MIB), (3, 60 * MIB), (2, -40 * MIB), (3, -60 * MIB)]
    assert played(*whole, (4, 100 * MIB)).reserved == 100 * MIB


def test_the_smallest_that_suffices_serves():
    allocator = played((1, 50 * MIB), (2, 20 * MIB), (1, -50 * MIB), (2, -20 * MIB), (3, 20 * MIB), (4, 50 * MIB))
    assert allocator.reserved == 70 * MIB


def test_emptying_gives_back_whole_segments_only():
    allocator = played((1, 100 * MIB), (1, -100 * MIB), (2, 40 * MIB), (3, 30 * MIB), (4, 80 * MIB), (4, -80 * MIB))
    assert allocator.peak == 180 * MIB
    allocator.empty()
    assert allocator.reserved == allocator.peak == 100 * MIB
    allocator.play([(2, -40 * MIB), (3, -30 * MIB)])
    allocator.empty()
    assert allocator.reserved == 0

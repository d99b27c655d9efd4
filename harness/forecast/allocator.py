"""torch's caching allocator on CUDA, played on a record of allocations: what it holds is what a GPU must have.

It takes segments from the driver and cuts blocks out of them (c10/cuda/CUDACachingAllocator.cpp, default settings): up
to 1 MiB from segments of 2 MiB, below 10 MiB from segments of 20 MiB, above that a segment of its own, in steps of
2 MiB; the smallest free block that is large enough serves first.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable

MIB = 2**20
SMALLEST, SMALL, LARGE, STEP = 512, MIB, 10 * MIB, 2 * MIB
Block = tuple[int, int, int]  # bytes, segment, offset in it


def rounded(size: int) -> int:
    """Bytes of the block that an allocation of so many bytes takes at least."""
    return max(-(-size // SMALLEST) * SMALLEST, SMALLEST)


class CachingAllocator:
    """Blocks given and free, and their segments.

    Attributes:
        reserved: bytes of all segments; `peak` the most there were since the cache was emptied.
    """

    def __init__(self) -> None:
        self.reserved = self.peak = 0
        self._segments: list[int] = []  # their sizes
        self._free: dict[bool, list[Block]] = {True: [], False: []}  # small ones, large ones; sorted by size
        self._starts: dict[tuple[int, int], Block] = {}  # free blocks by segment and offset, of start and end
        self._ends: dict[tuple[int, int], Block] = {}
        self._given: dict[int, tuple[Block, bool]] = {}

    def play(self, events: Iterable[tuple[int, int]]) -> int:
        """Plays allocations and, with negative bytes, ends; returns the peak of reserved bytes."""
        for number, size in events:
            if size > 0:
                self.allocate(number, size)
            else:
                self.release(number)
        return self.peak

    def allocate(self, number: int, size: int) -> None:
        """Gives a block."""
        wanted = rounded(size)
        small = wanted <= SMALL
        place = bisect_left(self._free[small], (wanted, -1, -1))
        block = self._free[small][place] if place < len(self._free[small]) else self._segment(wanted)
        self._take(block, small)
        total, segment, offset = block
        if total - wanted >= SMALLEST if small else total - wanted > SMALL:
            self._put((total - wanted, segment, offset + wanted), small)
            block = (wanted, segment, offset)
        self._given[number] = block, small

    def release(self, number: int) -> None:
        """Takes a block back and joins it with free neighbours."""
        (size, segment, offset), small = self._given.pop(number)
        before, after = self._ends.get((segment, offset)), self._starts.get((segment, offset + size))
        if before is not None:
            self._take(before, small)
            size, offset = size + before[0], before[2]
        if after is not None:
            self._take(after, small)
            size += after[0]
        self._put((size, segment, offset), small)

    def empty(self) -> None:
        """Gives back to the driver the segments of which nothing is used, as torch.cuda.empty_cache does."""
        for small, blocks in self._free.items():
            for block in [one for one in blocks if one[0] == self._segments[one[1]]]:
                self._take(block, small)
                self.reserved -= block[0]
        self.peak = self.reserved

    def _segment(self, wanted: int) -> Block:
        size = STEP if wanted <= SMALL else 2 * LARGE if wanted < LARGE else -(-wanted // STEP) * STEP
        self._segments.append(size)
        self.reserved += size
        self.peak = max(self.peak, self.reserved)
        block = (size, len(self._segments) - 1, 0)
        self._put(block, wanted <= SMALL)
        return block

    def _put(self, block: Block, small: bool) -> None:
        size, segment, offset = block
        insort(self._free[small], block)
        self._starts[segment, offset] = self._ends[segment, offset + size] = block

    def _take(self, block: Block, small: bool) -> None:
        size, segment, offset = block
        del self._free[small][bisect_left(self._free[small], block)]
        del self._starts[segment, offset], self._ends[segment, offset + size]

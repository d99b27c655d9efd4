"""From samples to batches, whatever they are made of: order, bucket by length, cut into optimizer steps."""

from collections.abc import Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass

import torch

from harness.params import TrainingParams

BUCKET_BATCHES = 20  # batches sorted by length together; published runs use the same number


@dataclass(frozen=True)
class Batch:
    """Tensors for one forward pass, and what they count.

    inputs: arguments of the workload's loss.
    rows: samples in the batch.
    counted: weight of the batch's mean loss beside the other micro-batches' of its step; text: tokens counted.
    work: units of work in the sense of the workload; text: non-padding tokens, of encoder and decoder together.
    """

    inputs: dict[str, torch.Tensor]
    rows: int
    counted: int
    work: int

    def to(self, device: torch.device) -> dict[str, torch.Tensor]:
        """The inputs on the device, copied without waiting for it."""
        return {name: tensor.to(device, non_blocking=True) for name, tensor in self.inputs.items()}


def epoch_order(rows: int, seed: int, epoch: int) -> list[int]:
    """A permutation of range(rows), a pure function of seed and epoch."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    return torch.randperm(rows, generator=generator).tolist()


def needed_rows(rows: int, seed: int, samples: int) -> list[int]:
    """Indices that a run over `samples` samples will see, so that only those are encoded; sorted."""
    return list(range(rows)) if samples >= rows else sorted(epoch_order(rows, seed, 0)[:samples])


def bucketed(order: Sequence[int], lengths: Mapping[int, int], batch_size: int, seed: int) -> Iterator[list[int]]:
    """Cuts an epoch's order into batches of similar length; every index comes exactly once, the remainder last.

    Within each bucket of BUCKET_BATCHES batches the samples are sorted by length, and the batches then shuffled.

    Args:
        order: the epoch's permutation.
        lengths: length of each sample by index.
        batch_size: samples per batch; only the epoch's last batch may have fewer.
        seed: of the shuffle of batches.
    """
    generator = torch.Generator().manual_seed(seed)
    whole = len(order) // batch_size * batch_size
    size = batch_size * BUCKET_BATCHES
    for start in range(0, whole, size):
        bucket = sorted(order[start : min(start + size, whole)], key=lambda index: lengths[index])
        batches = [bucket[i : i + batch_size] for i in range(0, len(bucket), batch_size)]
        for position in torch.randperm(len(batches), generator=generator).tolist():
            yield batches[position]
    if whole < len(order):
        yield sorted(order[whole:], key=lambda index: lengths[index])


def effective_batches(samples: Mapping[int, Sized], rows: int, params: TrainingParams) -> Iterator[list[list[Sized]]]:
    """Endless stream of optimizer steps, each a list of micro-batches; a new, reshuffled epoch starts where one ends.

    The samples of a step do not depend on how batch_size * gradient_accumulation_steps is divided.

    Args:
        samples: encoded rows by index; must hold what `needed_rows` names.
        rows: size of the training split.
        params: batch sizes and seed.
    """
    effective = params.batch_size * params.gradient_accumulation_steps
    lengths = {index: len(sample) for index, sample in samples.items()}
    epoch = 0
    while True:
        order = [index for index in epoch_order(rows, params.seed, epoch) if index in samples]
        for indices in bucketed(order, lengths, effective, seed=params.seed * 1_000_003 + epoch):
            chosen = [samples[index] for index in indices]
            yield [chosen[i : i + params.batch_size] for i in range(0, len(chosen), params.batch_size)]
        epoch += 1

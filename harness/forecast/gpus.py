"""The GPUs that --gpu names: their memory and the peak of their matrix products, by their makers' data sheets."""

from dataclasses import dataclass

from harness.errors import UserError, did_you_mean

MIB = 2**20


@dataclass(frozen=True)
class GPU:
    """memory: bytes. peak: dense products in bfloat16 with float32 sums, operations per second."""

    memory: int
    peak: float
    source: str


# Memory as nvidia-smi shows it, which is less than the seller's number where error correction takes some.
GPUS = {
    "L4": GPU(23034 * MIB, 121e12, "NVIDIA L4 data sheet, 242 TFLOPS with sparsity"),
    "L40S": GPU(46068 * MIB, 362e12, "NVIDIA L40S data sheet"),
    "A10": GPU(23028 * MIB, 125e12, "NVIDIA A10 data sheet"),
    "A100": GPU(81920 * MIB, 312e12, "NVIDIA A100 80GB data sheet"),
    "H100": GPU(81559 * MIB, 989e12, "NVIDIA H100 SXM data sheet, 1979 TFLOPS with sparsity"),
    "H200": GPU(143771 * MIB, 989e12, "NVIDIA H200 SXM data sheet, 1979 TFLOPS with sparsity"),
    "RTX3090": GPU(24576 * MIB, 71e12, "NVIDIA GA102 white paper, RTX 3090"),
    "RTX4090": GPU(24564 * MIB, 165e12, "NVIDIA Ada white paper, RTX 4090"),
    "RTX5090": GPU(32607 * MIB, 209e12, "NVIDIA Blackwell white paper, RTX 5090"),
}
# Shares of an L40S's peak that published runs of full fine-tuning and of LoRA reached over their whole training, by
# the arithmetic that is forecast for them; docs/forecast.md shows how they come about.
LOWEST_SHARE, HIGHEST_SHARE = 0.106, 0.162


def find_gpu(name: str) -> GPU:
    """The GPU of a name.

    Raises:
        UserError: the table has no such GPU.
    """
    known = {key.lower(): gpu for key, gpu in GPUS.items()}
    gpu = known.get(name.lower().replace(" ", "").replace("-", ""))
    if gpu is None:
        raise UserError(f"--gpu: {name!r} is not in the table; {did_you_mean(name, GPUS)}, or give --gpu-memory")
    return gpu


def tokens_per_second(gpu: GPU, flops_per_token: float) -> tuple[float, float]:
    """A range, by what published runs reached of their card's peak."""
    return tuple(share * gpu.peak / flops_per_token for share in (LOWEST_SHARE, HIGHEST_SHARE))

"""Result files in the layout that Hugging Face publishes, as many as there are of two tasks, with made-up numbers."""

import copy
import random
from pathlib import Path

from result_files import published, write

METHODS = (
    "adalora", "adaptionprompt", "arrow", "boft", "bone", "c3a", "cartridge", "cpt", "delora", "fourierft", "gralora", "hra",
    "ia3", "ln_tuning", "loha", "lokr", "lora", "lora-ga", "lora-fa", "miss", "multitask_prompt_tuning", "oft", "osf", "p_tuning",
    "poly", "prefixtuning", "prompt_tuning", "randlora", "road", "shira", "tinylora", "trainable_tokens", "unilora", "vblora",
    "vera", "waveft", "xlora", "full-finetuning",
)  # fmt: skip
ITEMS = 1319
LLAMA, FLUX = "meta-llama/Llama-3.2-3B", "black-forest-labs/FLUX.2-klein-base-4B"


def metamath(folder: Path, count: int = 63) -> Path:
    """Writes results of a language model; each has its number of right answers as a share of 1319."""
    draw = random.Random(1)
    write(folder / "MetaMathQA" / "results", *(_metamath(number, draw) for number in range(count)))
    return folder


def _metamath(number: int, draw: random.Random) -> dict:
    method = METHODS[number % len(METHODS)]
    name = "llama-3.2-3B-" + ("rank32", "lr_0.001")[number // len(METHODS)]
    right = draw.randrange(200, 700)
    data = published(f"{method}/{name}", accuracy=right / ITEMS)
    return _varied(data, method, draw, memory=(12, 34))


def images(folder: Path, count: int = 31) -> Path:
    """Writes results of an image generator: a similarity as the score, and drift beside it."""
    draw = random.Random(2)
    write(folder / "image-gen" / "results", *(_images(number, draw) for number in range(count)))
    return folder


def _images(number: int, draw: random.Random) -> dict:
    method = METHODS[number % len(METHODS)]
    data = published(f"{method}/flux-{number}")
    data["run_info"]["train_config"]["model_id"] = FLUX
    last = {
        "step": 750,
        "test dino_similarity": draw.uniform(0.4, 0.75),
        "drift": draw.uniform(0.01, 0.3),
        "train loss": 0.4,
        "train samples": 1500,
    }
    line = {"step": 250, "valid dino_similarity": draw.uniform(0.4, 0.7), "train loss": 0.5, "train samples": 500}
    data["train_info"] |= {"metrics": [line, last], "num_total_params": 3_900_000_000}
    return _varied(data, method, draw, memory=(20, 44))


def _varied(data: dict, method: str, draw: random.Random, memory: tuple[int, int]) -> dict:
    data = copy.deepcopy(data)
    info, full = data["train_info"], method == "full-finetuning"
    trainable = info["num_total_params"] if full else int(10 ** draw.uniform(5, 8))
    peak = int(draw.uniform(*memory) * 2**30)
    info |= {
        "num_trainable_params": trainable, "file_size": 4 * trainable, "train_time": draw.uniform(1500, 4000),
        "accelerator_memory_max": peak, "accelerator_memory_reserved_avg": int(0.6 * peak), "accelerator_memory_reserved_99th": int(0.9 * peak),
    }  # fmt: skip
    data["run_info"]["peft_config"] = None if full else {"peft_type": method.upper(), "task_type": None, "r": 32}
    return data

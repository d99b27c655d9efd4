"""A folder of made-up results for the tests of the dashboard's pages: every kind of row that a page must cope with."""

from pathlib import Path

from result_files import ours, published, write

TASK = "Demo"
EVIL = "<img src=x onerror=alert(1)>{{7}}${8}"  # a name that would act if it were taken for markup
SCORES = {
    "lora/rank8": (0.78, 0.80, 0.76),
    "lora/rank32": (0.81, 0.79, 0.82),
    "ia3/plain": (0.52, 0.50, 0.54),
    "full-finetuning/all": (0.90, 0.91, 0.89),
    "prompt_tuning/tokens20": (0.30,),
}
MEMORY = {
    "lora/rank8": 300,
    "lora/rank32": 320,
    "ia3/plain": 280,
    "full-finetuning/all": 600,
    "prompt_tuning/tokens20": 310,
}
PARAMS = {"lora/rank8": 20_480, "lora/rank32": 81_920, "ia3/plain": 3_328, "full-finetuning/all": 956_288,
          "prompt_tuning/tokens20": 2_560}  # fmt: skip

PARTS = {"base_weights": 200 * 2**20, "trained_weights": 2**20, "gradients": 2**20, "optimizer_state": 2 * 2**20,
         "remainder": 96 * 2**20}  # fmt: skip
INFERENCE = {
    "rows": 4, "prompt_tokens": 16, "new_tokens": 32, "rounds": 3, "merged_logit_difference": 0.0,
    **{name: {"prefill_tokens_per_second": 9e3, "decode_tokens_per_second": rate}
       for name, rate in (("base", 1000.0), ("unmerged", 800.0), ("merged", 990.0))},
    "overhead_unmerged": {"median": 1.25, "lowest": 1.2, "highest": 1.3},
    "overhead_merged": {"median": 1.01, "lowest": 1.0, "highest": 1.02},
}  # fmt: skip


def _memory(seed: int) -> dict:
    """Peaks of every phase in bytes."""
    peaks = {"load": 220, "train": 300, "eval": 310, "inference": 230}
    return {phase: {"allocated": None, "reserved": mib * 2**20 + seed} for phase, mib in peaks.items()}


def demo(folder: Path) -> Path:
    """Writes the results below `folder`, which is to be called results, and returns it."""
    task = folder / TASK / "cpu-x86-64"
    for experiment, scores in SCORES.items():
        write(task, *(_run(experiment, seed, score) for seed, score in enumerate(scores)))
    write(
        task,
        _run(
            "lora/exploded",
            0,
            None,
            **{"train_info.status": "out_of_memory", "run_info.error_msg": "Traceback: no room"},
        ),
    )
    write(task, _run("lora/rank8", 0, 0.79, **{"hardware.slug": "nvidia-l40s", "memory.train.reserved": 10**9}))
    write(folder / "profiles", _run("lora/rank8", 0, None, profile=True))
    foreign = published(f"lora/{EVIL}", accuracy=0.7)
    foreign["run_info"]["train_config"]["model_id"] = "embedded/llama"
    write(folder / TASK / "elsewhere", foreign)
    (task / "broken.json").write_text('{"run_info": ')
    (task / "list.json").write_text("[1, 2]")
    return folder


def _run(experiment: str, seed: int, score: float | None, **changes) -> dict:
    right = None if score is None else round(100 * score)
    items = () if right is None else (1.0,) * right + (0.0,) * (100 - right)
    result = ours(experiment, seed, items, task=TASK)
    info, full = result["train_info"], experiment.startswith("full")
    info |= {"num_trainable_params": PARAMS.get(experiment, 1), "file_size": 4 * PARAMS.get(experiment, 1)}
    info["metrics"] = [
        {"step": 80, "train loss": 1.5, "valid score": 0.4}, {"step": 160, "train loss": 0.5, "valid score": 0.7},
        {"step": 160, "test score": score, "train loss": 0.5},
    ]  # fmt: skip
    result["run_info"]["peft_config"] = None if full else {"peft_type": experiment.split("/")[0].upper(), "r": 8}
    result["memory"] = {"train": {"allocated": None, "reserved": MEMORY.get(experiment, 300) * 2**20 + seed}}
    if experiment == "lora/rank8":
        result |= {"memory": _memory(seed), "memory_parts": PARTS, "inference": INFERENCE}
    sample = {"prompt": "Is it?", "reference": "yes", "prediction": f"<b>no</b> {EVIL}", "score": 0.0}
    result["quality"]["samples"] = [sample]
    result["provenance"]["command"] = f"python run.py method_comparison/{TASK}/experiments/{experiment} --seed {seed}"
    for path, value in changes.items():
        *outer, last = path.split(".")
        inner = result
        for key in outer:
            inner = inner[key]
        inner[last] = value
    return result

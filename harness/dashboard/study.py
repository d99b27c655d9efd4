"""Eight findings of Lialin et al., "Scaling Down to Scale Up", as claims; margins are ours: the study gives none.

The study trained T5-large, 3B and 11B. A verdict here speaks of the models that were measured here only.
"""

from typing import Any

from harness.dashboard.claim import CLOSE, LITTLE_SAVED, SLACK, SMALL_MODEL, STRONG, Claim

SOURCE = "Lialin et al. 2023, Scaling Down to Scale Up (arXiv 2303.15647), which compares methods on T5"
URL = "https://arxiv.org/abs/2303.15647"
ADAPTERS = ("houlsby", "pfeiffer", "parallel_adapter", "compacter", "compacter_plus_plus")
PREFIXES = ("prefix_stacks", "prefixtuning", "prompt_tuning")
HYBRIDS = ("mam", "unipelt")
MERGED = ("lora", "lokr", "loha", "adalora", "vera", "delora")
SAME = "two seeds each, on one task and model"


def _claim(study: int, key: str, title: str, statement: str, rule: str, needs: str, check: Any, **of: Any) -> Claim:
    return Claim(key, title, statement, SOURCE, URL, rule, needs, check, study=study, **of)


STUDY: tuple[Claim, ...] = (
    _claim(
        1,
        "lora-close",
        "LoRA and Houlsby adapters reach full fine-tuning",
        f"Both fall short of full fine-tuning by less than {100 * CLOSE:.0f} points, or beat it.",
        f"Holds where the whole interval of the difference lies above -{100 * CLOSE:.0f} points; against the best "
        "full fine-tuning there is.",
        f"scores of lora or houlsby and of full fine-tuning, {SAME}",
        "difference",
        also="Hu et al. 2021, LoRA (arXiv 2106.09685): on a par with full fine-tuning on GPT-3; Biderman et al. 2024, "
        "LoRA Learns Less and Forgets Less (arXiv 2405.09673), disagree for code and mathematics",
        column="score",
        side="above",
        margin=-CLOSE,
        subjects=("lora", "houlsby"),
    ),
    _claim(
        2,
        "study-norms",
        "Tuning layer norms is close behind full fine-tuning",
        f"Tuning only the norms falls short of full fine-tuning by less than {100 * STRONG:.0f} points.",
        f"Holds where the whole interval of the difference lies above -{100 * STRONG:.0f} points.",
        f"scores of ln_tuning and of full fine-tuning, {SAME}",
        "difference",
        column="score",
        side="above",
        margin=-STRONG,
        subjects=("ln_tuning",),
    ),
    _claim(
        3,
        "study-prompts-weak",
        "Prompt tuning is weak under a small budget",
        f"With trainings as short as these, prompt tuning falls more than {100 * STRONG:.0f} points behind the best "
        "other adapter.",
        f"Holds where the whole interval of the difference lies below -{100 * STRONG:.0f} points.",
        f"scores of prompt_tuning and of another adapter, {SAME}",
        "difference",
        column="score",
        side="below",
        margin=-STRONG,
        subjects=("prompt_tuning",),
        against="adapter",
    ),
    _claim(
        3,
        "prompts-seed",
        "Prompt tuning is sensitive to the seed",
        "Scores of prompt tuning differ more between seeds than those of other methods.",
        "Holds where the whole interval of the ratio of standard deviations lies above 1; the others are pooled, as "
        "if all had one spread, and scores count as normal around their means.",
        "scores of prompt_tuning and of another method, two seeds each; three seeds decide only very large ratios",
        "spread",
        also="Chen et al. 2023, PTP (arXiv 2305.02423): scores vary much with the seed",
        column="score",
        side="above",
        margin=1.0,
        subjects=("prompt_tuning",),
    ),
    _claim(
        4,
        "study-hybrids",
        "Hybrids are no better than simpler methods",
        f"MAM and UniPELT lead the best simpler adapter by less than {100 * CLOSE:.0f} points, or trail it.",
        f"Holds where the whole interval of the difference lies below +{100 * CLOSE:.0f} points.",
        f"scores of mam or unipelt and of another adapter, {SAME}",
        "difference",
        column="score",
        side="below",
        margin=CLOSE,
        subjects=HYBRIDS,
        against="adapter",
    ),
    _claim(
        5,
        "study-pfeiffer",
        "Pfeiffer adapters are behind Houlsby adapters",
        "One adapter a layer scores less than two.",
        "Holds where the whole interval of the difference lies below zero; against the best Houlsby experiment.",
        f"scores of pfeiffer and of houlsby, {SAME}",
        "difference",
        column="score",
        side="below",
        margin=0.0,
        subjects=("pfeiffer",),
        against="houlsby",
    ),
    _claim(
        6,
        "study-sparse",
        "Methods with few parameters save no memory over LoRA",
        f"Compacter and KronA (PEFT's LoKr) need more than {100 * LITTLE_SAVED:.0f} % of LoRA's memory in training.",
        f"Holds where the whole interval of the ratio of peak memory lies above {LITTLE_SAVED:.2f}; against the LoRA "
        "nearest in trained parameters.",
        f"peak memory of compacter, compacter_plus_plus or lokr and of lora, {SAME} and hardware",
        "ratio",
        column="memory_train",
        side="above",
        margin=LITTLE_SAVED,
        subjects=("compacter", "compacter_plus_plus", "lokr"),
        against="nearest lora",
    ),
    _claim(
        7,
        "study-slow-training",
        "Adapters train 20 to 40 % slower than full fine-tuning on small models",
        "On models below a billion parameters, adapters train 0.6 to 0.8 times the tokens per second of full "
        "fine-tuning.",
        "Holds where the whole interval of the ratio lies between 0.6 and 0.8, does not hold where it lies outside.",
        f"training speed of {', '.join(ADAPTERS)} and of full fine-tuning on such a model, {SAME} and hardware",
        "ratio",
        column="train_tokens_per_second",
        side="above",
        margin=0.6,
        most=0.8,
        subjects=ADAPTERS,
        largest=SMALL_MODEL,
    ),
    _claim(
        8,
        "study-additive-slow",
        "Additive methods slow inference for good",
        "What adds modules or tokens, and so cannot be merged, slows decoding by more than 5 %.",
        f"Holds where the whole interval of the decoding time over the base's lies above {SLACK:.2f}.",
        f"the decoding speed of {', '.join((*ADAPTERS, *PREFIXES, *HYBRIDS))}, in two runs",
        "ratio",
        column="overhead_unmerged",
        side="above",
        margin=SLACK,
        subjects=(*ADAPTERS, *PREFIXES, *HYBRIDS),
        against="base",
    ),
    _claim(
        8,
        "merged-lora-free",
        "Reparametrized methods do not slow inference once merged",
        "LoRA and its kin, merged into the weights, decode as fast as the base model.",
        f"Holds where the whole interval of the decoding time over the base's lies below {SLACK:.2f}; the margin is "
        "for what timing cannot tell apart.",
        "the decoding speed of merged LoRA or its kin, in two runs",
        "ratio",
        also="Hu et al. 2021, LoRA (arXiv 2106.09685): no additional inference latency",
        column="overhead_merged",
        side="below",
        margin=SLACK,
        subjects=MERGED,
        against="base",
    ),
)

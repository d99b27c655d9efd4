"""Rules of thumb of the field: for what nothing was measured on here, each with what its source really shows.

A rule is one entry of RULES. It is shown under the heading that it is no measurement, and only where measurements do
not answer; harness/dashboard/choose.py decides that.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import pandas

from harness.dashboard.methods import plain

Room = Literal["does not fit", "little", "enough", "unknown"]
# Our own reading of "little memory": there is no figure that the sources agree on.
LITTLE = 1.5
BYTES_IN_16_BIT = 2


@dataclass(frozen=True)
class Situation:
    """What decides which rules apply; `family` empty where any will do."""

    family: str
    room: Room
    priority: str
    dataset_rows: int | None = None


@dataclass(frozen=True)
class Rule:
    """`when` and `advice` make the sentence; `source` is who says it, `basis` what was shown there and on what.

    `applies` says for whom it is, `measured` which rows of a frame of experiments are measurements of what it advises.
    """

    when: str
    advice: str
    source: str
    url: str
    basis: str
    applies: Callable[[Situation], bool]
    measured: Callable[[pandas.DataFrame], pandas.Series]

    @property
    def text(self) -> str:
        """The whole sentence."""
        return f"{self.when}: {self.advice}."


def room(gpu_memory: float | None, params: float | None) -> Room:
    """How much memory there is beside the base's weights in 16 bit: 'little' is less than half as much again."""
    if gpu_memory is None or params is None:
        return "unknown"
    weights = BYTES_IN_16_BIT * params
    if gpu_memory < weights:
        return "does not fit"
    return "little" if gpu_memory < LITTLE * weights else "enough"


def is_method(frame: pandas.DataFrame, *methods: str) -> pandas.Series:
    """Which rows are of these methods, by the method's folder or the PEFT type, in any spelling."""
    wanted = {plain(method) for method in methods}
    known = {name for name in {*frame["method"], *frame["peft_type"]} if plain(name) in wanted}
    return frame["method"].isin(known) | frame["peft_type"].isin(known)


def _of(*methods: str) -> Callable[[pandas.DataFrame], pandas.Series]:
    return lambda frame: is_method(frame, *methods)


def _lora(low: int, high: int) -> Callable[[pandas.DataFrame], pandas.Series]:
    return lambda frame: is_method(frame, "lora") & frame["rank"].between(low, high)


def _text_model(situation: Situation, *families: str) -> bool:
    return situation.family in ("", *families)


RULES: tuple[Rule, ...] = (
    Rule(
        "Encoder-decoder model, little memory",
        "IA3",
        "Liu et al. 2022, Few-Shot Parameter-Efficient Fine-Tuning is Better and Cheaper than In-Context Learning",
        "https://arxiv.org/abs/2205.05638",
        "proposes IA3 with T0, an encoder-decoder: better than the other methods tried, with very few new parameters; "
        "it measures few-shot learning, not memory in training",
        lambda of: _text_model(of, "encoder-decoder") and of.room in ("little", "unknown"),
        _of("ia3"),
    ),
    Rule(
        "Causal model, little memory",
        "prompt tuning",
        "Lester et al. 2021, The Power of Scale for Parameter-Efficient Prompt Tuning",
        "https://arxiv.org/abs/2104.08691",
        "prompt tuning comes close to tuning the whole model as models grow past billions of parameters, and falls "
        "behind on small ones; shown on T5, which is an encoder-decoder",
        lambda of: _text_model(of, "causal") and of.room in ("little", "unknown"),
        _of("prompt_tuning"),
    ),
    Rule(
        "Causal model, little memory",
        "IA3",
        "Liu et al. 2022, Few-Shot Parameter-Efficient Fine-Tuning is Better and Cheaper than In-Context Learning",
        "https://arxiv.org/abs/2205.05638",
        "shown on T0, an encoder-decoder; that it carries over to causal models is the rule's guess",
        lambda of: _text_model(of, "causal") and of.room in ("little", "unknown"),
        _of("ia3"),
    ),
    Rule(
        "Causal model, little memory",
        "LoRA of rank 8",
        "Hu et al. 2021, LoRA: Low-Rank Adaptation of Large Language Models",
        "https://arxiv.org/abs/2106.09685",
        "very small ranks sufficed on GPT-3; rank 8 is also PEFT's default",
        lambda of: _text_model(of, "causal") and of.room in ("little", "unknown"),
        _lora(8, 8),
    ),
    Rule(
        "Enough memory",
        "LoRA of rank 16 to 32",
        "PEFT's default is rank 8; 16 to 32 is what many guides start from, such as Unsloth's",
        "https://unsloth.ai/docs/get-started/fine-tuning-llms-guide/lora-hyperparameters-guide",
        "custom of practitioners, not a study",
        lambda of: _text_model(of, "causal", "encoder-decoder") and of.room in ("enough", "unknown"),
        _lora(16, 32),
    ),
    Rule(
        "Quality matters most",
        "LoRA of rank 64, scaled by the root of the rank (rsLoRA)",
        "Kalajdzievski 2023, A Rank Stabilization Scaling Factor for Fine-Tuning with LoRA",
        "https://arxiv.org/abs/2312.03732",
        "with that scaling, larger ranks trade more computing in training for better results",
        lambda of: (
            _text_model(of, "causal", "encoder-decoder")
            and of.priority == "quality"
            and of.room in ("enough", "unknown")
        ),
        _lora(64, 10**9),
    ),
    Rule(
        "Quality matters most",
        "AdaLoRA",
        "Zhang et al. 2023, Adaptive Budget Allocation for Parameter-Efficient Fine-Tuning",
        "https://arxiv.org/abs/2303.10512",
        "better than its baselines, most of all where few parameters may be trained",
        lambda of: (
            _text_model(of, "causal", "encoder-decoder")
            and of.priority == "quality"
            and of.room in ("enough", "unknown")
        ),
        _of("adalora"),
    ),
    Rule(
        "Base model that does not fit in 16 bit",
        "QLoRA: LoRA on a base quantized to 4 bit",
        "Dettmers et al. 2023, QLoRA: Efficient Finetuning of Quantized LLMs",
        "https://arxiv.org/abs/2305.14314",
        "a model of 65 billion parameters was tuned on one GPU of 48 GB, at the quality of tuning in 16 bit",
        lambda of: _text_model(of, "causal", "encoder-decoder") and of.room in ("does not fit", "unknown"),
        lambda frame: is_method(frame, "lora") & frame["quantization"].eq("int4"),
    ),
    Rule(
        "Few training rows",
        "expect methods that train few parameters to need more passes than full fine-tuning",
        "Pu et al. 2023, Empirical Analysis of the Strengths and Weaknesses of PEFT Techniques for LLMs",
        "https://arxiv.org/abs/2304.14999",
        "on FLAN-T5, these methods converged more slowly than full fine-tuning where there was little data",
        lambda of: _text_model(of, "causal", "encoder-decoder") and of.dataset_rows is not None,
        lambda frame: pandas.Series(False, index=frame.index),
    ),
    Rule(
        "Vision model",
        "LoRA of rank 16 to 32 on query and value, and LoHa where more rank is needed",
        "PEFT's guide to LoRA methods, which trains a classifier of food on ViT-base",
        "https://huggingface.co/docs/peft/task_guides/lora_based_methods",
        "an example with LoRA of rank 16, LoHa, LoKr and AdaLoRA in its place; it compares no scores",
        lambda of: of.family == "vision",
        _lora(16, 32),
    ),
    Rule(
        "Diffusion models",
        "LoRA, the usual way to teach one a subject or a style",
        "PEFT's documentation, LoRA",
        "https://huggingface.co/docs/peft/package_reference/lora",
        "calls it very popular for diffusion models, because it is efficient and effective",
        lambda of: of.family == "diffusion",
        _of("lora"),
    ),
)


def rules_for(situation: Situation, experiments: pandas.DataFrame) -> tuple[Rule, ...]:
    """The rules for a situation, less those whose advice was measured in these experiments."""
    applying = (rule for rule in RULES if rule.applies(situation))
    return tuple(rule for rule in applying if not rule.measured(experiments).any())

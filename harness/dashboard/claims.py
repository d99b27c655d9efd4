"""Claims of the literature as data; a new claim is one entry of CLAIMS. Margins are ours: the sources give none."""

from harness.dashboard.claim import FEWEST, GOOD_PROXY, LITTLE_SAVED, SLACK, SMALL_MODEL, STRONG, Claim
from harness.dashboard.evidence import FULL
from harness.dashboard.study import STUDY

SPARSE = ("shira", "fishmask", "diff-pruning", "spiel")
# What trains weights of the base itself, or puts tokens before the input, adds no module to the layers.
NO_ADAPTER = (FULL, "galore", "lisa")
NO_MODULE = (*NO_ADAPTER, "ln_tuning", "bitfit", *SPARSE, "trainable_tokens", "prompt_tuning", "p_tuning")
NO_MODULE += ("multitask_prompt_tuning", "prefix_tuning", "prefixtuning", "prefix_stacks", "cpt", "cartridge")

CLAIMS: tuple[Claim, ...] = (
    *STUDY,
    Claim(
        "norms-strong",
        "Tuning layer norms is a strong, cheap baseline",
        "Tuning only the norms comes within 5 points of the best adapter and trains fewer parameters.",
        "Zhao et al. 2023, Tuning LayerNorm in Attention (arXiv 2312.11420), on multi-modal models; Qi et al. 2022, "
        "Parameter-Efficient Tuning on Layer Normalization (arXiv 2211.08682)",
        "https://arxiv.org/abs/2312.11420",
        f"Holds where the whole interval of the difference lies above -{100 * STRONG:.0f} points and fewer parameters "
        "are trained than in the best other adapter.",
        "scores of LN tuning and of another adapter, two seeds each, on one task and model",
        "difference",
        "score",
        "above",
        -STRONG,
        subjects=("ln_tuning",),
        against="adapter",
        cheaper=True,
    ),
    Claim(
        "sparse-memory",
        "Sparse methods save little memory over LoRA",
        "A sparse method needs more than 90 % of the memory of LoRA with about as many trained parameters.",
        "Shen et al. 2024, Expanding Sparse Tuning for Low Memory Usage: whole weight matrices stay in the optimizer; "
        "Bhardwaj et al. 2024, Sparse High Rank Adapters (arXiv 2406.13175), claim less memory than LoRA",
        "https://arxiv.org/abs/2411.01800",
        f"Holds where the whole interval of the ratio of peak memory lies above {LITTLE_SAVED:.2f}.",
        f"a sparse method (such as {SPARSE[0]}) and LoRA on one task, model and hardware; none is measured by default",
        "ratio",
        "memory_train",
        "above",
        LITTLE_SAVED,
        subjects=SPARSE,
        against="nearest lora",
    ),
    Claim(
        "modules-slow",
        "Added modules slow small models",
        "On models below a billion parameters, an unmerged adapter slows decoding by more than 5 %.",
        "Hu et al. 2021, LoRA, section 3: adapter layers add latency at small batch sizes on GPT-2 medium; Mundra et "
        "al. 2023, A Comprehensive Analysis of Adapter Efficiency (arXiv 2305.07491)",
        "https://arxiv.org/abs/2106.09685",
        f"Holds where the whole interval of the decoding time over the base's lies above {SLACK:.2f}.",
        "the decoding speed of unmerged adapters on a model below a billion parameters, in two runs",
        "ratio",
        "overhead_unmerged",
        "above",
        SLACK,
        without=NO_MODULE,
        against="base",
        largest=SMALL_MODEL,
    ),
    Claim(
        "parameters-proxy",
        "The number of trained parameters is a poor proxy for memory and speed",
        "Ordering adapters by trained parameters does not order them by memory or by training time.",
        "PEFT's documentation, Memory Efficient Training: parameter-efficient is not automatically memory-efficient; "
        "Lialin et al. 2023, Scaling Down to Scale Up (arXiv 2303.15647), compare methods by their real efficiency",
        "https://huggingface.co/docs/peft/main/developer_guides/memory_efficient_training",
        f"Holds where the whole interval of Spearman's correlation over adapters lies below {GOOD_PROXY}, does not "
        "hold where it lies above; the adapters at hand count as a sample of those there are.",
        f"{FEWEST} adapters on one task, model and hardware",
        "correlation",
        "trainable_params",
        "below",
        GOOD_PROXY,
        without=NO_ADAPTER,
    ),
    Claim(
        "lora-forgets-less",
        "LoRA forgets less than full fine-tuning",
        "What pre-training taught is lost less with LoRA than with full fine-tuning.",
        "Biderman et al. 2024, LoRA Learns Less and Forgets Less",
        "https://arxiv.org/abs/2405.09673",
        "Holds where the whole interval of the difference lies below zero: of the loss on unrelated text, or of wrong "
        "answers in what pre-training taught.",
        "forgetting of LoRA and of full fine-tuning, two seeds each, on one task and model",
        "difference",
        "forgetting",
        "below",
        0.0,
        subjects=("lora",),
    ),
)

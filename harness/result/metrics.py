"""What is known of a metric by its name, for results that only name it: its direction, and whether it is a share.

Of a name that is not here nothing is guessed: its figures are shown as they stand and never ranked.
"""

SHARES = ("accuracy", "score", "exact_match", "f1", "rouge1", "rouge2", "rougeL", "rougeLsum")  # from 0 to 1
HIGHER = (*SHARES, "dino_similarity", "clip_similarity", "clip_score", "bleu")
LOWER = ("loss", "perplexity", "fid", "error", "wer", "cer", "lpips", "mse", "mae", "Fréchet distance")


def direction(metric: str) -> bool | None:
    """Whether higher is better; None where nobody knows."""
    return True if metric in HIGHER else False if metric in LOWER else None


def is_share(metric: str, ours: bool) -> bool:
    """Whether it is written in percent: every score of ours is, unless its name says that it is another figure."""
    return metric in SHARES or (ours and direction(metric) is None)

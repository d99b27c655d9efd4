"""What a claim of the literature is: data over one of four checks, and the margins that claims share."""

import math
from dataclasses import dataclass
from typing import Literal

from harness.dashboard.estimates import Estimate, Verdict
from harness.dashboard.evidence import FULL

FEWEST = 5  # experiments that a correlation needs
CLOSE = 0.02  # of the score: falling short by less is close to full fine-tuning
STRONG = 0.05  # of the score: falling short of the best by less is a strong baseline
SLACK = 1.05  # of decoding time: less slow-down than this is what timing cannot tell from none
LITTLE_SAVED = 0.9  # of memory: needing more than this share saves little
SMALL_MODEL = 1e9  # parameters
GOOD_PROXY = 0.7  # Spearman's correlation from which on a figure would order experiments well


@dataclass(frozen=True)
class Claim:
    """One claim: `statement` as it is checked, `rule` how it is judged, `needs` what must have been measured.

    Attributes:
        check: what is estimated of `column`; of a correlation its column and sign for each figure.
        subjects: methods it is about; empty for all but `without`.
        against: a method, whose best experiment it is; "adapter" for the best adapter of another method, "nearest
            lora" for the experiment of method "lora" nearest in trained parameters, "base" for the base model, which
            the figures are ratios to already.
        side, margin: where the estimate has to lie; between margin and `most` where that is given.
        also: further sources.
        study: number of the finding of Lialin et al. that it is a part of; 0 for what others claim.
        cheaper: fewer parameters have to be trained, too.
        largest: parameters of base models that it is about.
    """

    key: str
    title: str
    statement: str
    source: str
    url: str
    rule: str
    needs: str
    check: Literal["difference", "ratio", "spread", "correlation"]
    column: str
    side: Literal["above", "below"]
    margin: float
    subjects: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    against: str = FULL
    cheaper: bool = False
    largest: float = math.inf
    most: float | None = None
    study: int = 0
    also: str = ""

    def judge(self, found: Estimate) -> Verdict:
        """What the estimate says of it: decided only where the whole interval lies on one side of every limit."""
        if self.most is None:
            return found.beside(self.side, self.margin)
        ends = (found.beside("above", self.margin), found.beside("below", self.most))
        if "does not hold" in ends:
            return "does not hold"
        return "holds" if ends == ("holds", "holds") else "undecided"

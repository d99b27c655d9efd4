"""ROUGE as a metric of the evaluate library that needs no network; `evaluate.load("rouge")` would ask the hub.

Slow to import, since evaluate brings the datasets library along: import it where texts are scored.
"""

import tempfile
from statistics import fmean

import datasets
import evaluate
from rouge_score.rouge_scorer import RougeScorer

_NAMES = {"rouge1": "ROUGE-1", "rouge2": "ROUGE-2", "rougeL": "ROUGE-L"}
_SCORER = RougeScorer(list(_NAMES), use_stemmer=True)


def rouge(prediction: str, reference: str) -> dict[str, float]:
    """F-measures of ROUGE-1, ROUGE-2 and ROUGE-L of one text, words stemmed; 0 where either text has no word.

    ROUGE-L compares whole texts: line breaks count as spaces.
    """
    return {_NAMES[kind]: float(score.fmeasure) for kind, score in _SCORER.score(reference, prediction).items()}


class Rouge(evaluate.Metric):
    """Means of `rouge` over many texts: `Rouge().compute(predictions=..., references=...)`."""

    def __init__(self) -> None:
        # evaluate makes a folder even for what it keeps in memory; the cache in the home folder may be read-only.
        super().__init__(keep_in_memory=True, cache_dir=tempfile.gettempdir())

    def _info(self) -> evaluate.MetricInfo:
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description="ROUGE-1, ROUGE-2 and ROUGE-L: F-measure with stemming, averaged over the texts",
            citation="Lin 2004, ROUGE: A Package for Automatic Evaluation of Summaries",
            features=datasets.Features({"predictions": text, "references": text}),
        )

    def _compute(self, predictions: list[str], references: list[str]) -> dict[str, float]:
        scores = [rouge(*pair) for pair in zip(predictions, references, strict=True)]
        return {name: fmean(score[name] for score in scores) for name in _NAMES.values()}

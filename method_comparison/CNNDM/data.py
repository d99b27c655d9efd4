"""CNN/DailyMail: summarize a news article; its highlights, written by the editors, are the reference.

Trains on the train split, out of which valid is carved by article, and tests on the first 1600 articles of the test
split. The embedded twin is short news made by the project's own generators.
"""

import hashlib
import re
from itertools import islice
from statistics import fmean

from harness.embedded.text.news import make_articles
from harness.task import HubDataset, Metric, Row, Score, Source, Splits, TokenLengths, hold_out, load_hub_split

METRIC = Metric("ROUGE-L")
DATASETS = {
    "articles": HubDataset("abisee/cnn_dailymail", revision="96df5e686bee6baa90b8bee7c28b81fa3fa6223d", config="3.0.0")
}
# For --profile. Articles have 781 words on average and summaries 56 (See et al., arXiv 1704.04368); tokens at 1.3
# a word and the spread are an estimate. Nearly every article is cut.
TOKEN_LENGTHS = {
    None: TokenLengths(900, 0.5, longest_prompt=2500, target_median=70, target_spread=0.35, longest_target=300)
}
TEST_ARTICLES = 1600
EMBEDDED_TRAIN, EMBEDDED_TEST = 3000, 500


def load_splits(source: Source, subset: str | None) -> Splits:
    """All three splits; train and valid hold no article that is tested on, whatever its address."""
    if source == "embedded":
        train, test = _embedded_rows("train", EMBEDDED_TRAIN), _embedded_rows("test", EMBEDDED_TEST)
    else:
        train, test = _hub_rows("train"), _hub_rows("test", TEST_ARTICLES)
    train, valid = hold_out(train, test)
    return Splits(train, valid, test)


def _hub_rows(split: str, count: int | None = None) -> list[Row]:
    items = islice(load_hub_split(DATASETS["articles"], split), count)
    # The hash names the article in a few bytes, instead of a second copy of 1.2 GB of text.
    return [
        _row(item["article"], item["highlights"], hashlib.sha256(item["article"].encode()).hexdigest())
        for item in items
    ]


def _embedded_rows(part: str, count: int) -> list[Row]:
    return [_row(item.text, item.highlights, item.source) for item in make_articles(part, count)]


def _row(article: str, highlights: str, source: str) -> Row:
    # One sentence a line on the hub. T5's vocabulary has no line break, so its predictions cannot have any either.
    summary = " ".join(highlights.split())
    return Row(f"summarize: {article}", summary, summary, source)


def score(prediction: str, reference: str) -> Score:
    """ROUGE-L of one summary; an empty one is invalid."""
    from harness.rouge import rouge  # slow to import

    return Score(rouge(prediction, reference)["ROUGE-L"], valid=bool(prediction.strip()))


def summarize(predictions: list[str], references: list[str]) -> dict[str, float]:
    """ROUGE-1, ROUGE-2 and ROUGE-L, and "slots found": how much of who, where and how many the summaries got right.

    Wording alone earns much ROUGE. A reference's slots are its capitalized words and its numbers; the figure is the
    share of them that the prediction contains too, averaged over the references that have any.
    """
    from harness.rouge import Rouge

    pairs = [(slots(reference), words(text)) for text, reference in zip(predictions, references, strict=True)]
    found = [len(wanted & given) / len(wanted) for wanted, given in pairs if wanted]
    rouge = Rouge().compute(predictions=predictions, references=references)
    return rouge | ({"slots found": fmean(found)} if found else {})


_WORD = re.compile(r"\d+(?:[.,]\d+)*|\w+")
# Capitalized because they often open a sentence.
_NO_NAMES = set(
    """a after all an and as at before but by for from he her his how if in it its more new no now of on one or our she
    so some that the their there these they this to was we what when where who why with you""".split()  # noqa: SIM905
)


def words(text: str) -> set[str]:
    """The words and numbers of a text in lower case."""
    return {word.lower() for word in _WORD.findall(text)}


def slots(text: str) -> set[str]:
    """Those that are names or numbers: figures, and capitalized words but the most common openings of sentences."""
    return {word.lower() for word in _WORD.findall(text) if word[0].isupper() or word[0].isdigit()} - _NO_NAMES

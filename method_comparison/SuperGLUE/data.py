"""SuperGLUE: BoolQ, RTE and COPA as text to text; each is a subset with a run and a result of its own.

The labels of SuperGLUE's test splits are hidden, so its validation splits are what is tested on here, and valid is
carved out of train. The embedded twins are made by the project's own generators.
"""

from collections.abc import Mapping

from harness.embedded.text.events import make_choices
from harness.embedded.text.passages import make_inferences, make_questions
from harness.task import HubDataset, Metric, Row, Score, Source, Splits, TokenLengths, hold_out, load_hub_split

METRIC = Metric("accuracy")
SUBSETS = ("boolq", "rte", "copa")
DATASETS = {
    subset: HubDataset("aps/super_glue", revision="3de24cf8022e94f4ee4b9d55a6f539891524d646", config=subset)
    for subset in SUBSETS
}
# For --profile. BoolQ's passages have 108 words on average and its questions 9 (Clark et al., arXiv 1905.10044),
# at 1.3 tokens a word; all else is an estimate. Targets are a label and an end token.
TOKEN_LENGTHS = {
    "boolq": TokenLengths(140, 0.5, longest_prompt=900, target_median=2, target_spread=0.0, longest_target=2),
    "rte": TokenLengths(75, 0.55, longest_prompt=330, target_median=5, target_spread=0.25, longest_target=6),
    "copa": TokenLengths(45, 0.2, longest_prompt=80, target_median=4, target_spread=0.0, longest_target=4),
}
# What a prompt tells, in this order. The first field is the source item: several rows may ask about one passage.
FIELDS = {
    "boolq": ("passage", "question"),
    "rte": ("premise", "hypothesis"),
    "copa": ("premise", "question", "choice1", "choice2"),
}
# In the order of the numbers that the hub's datasets use.
LABELS = {
    "boolq": ("false", "true"),
    "rte": ("entailment", "not_entailment"),
    "copa": ("choice1", "choice2"),
}
MAX_CHARACTERS = 1400  # of one field: a prompt that is too long loses its end, and with it BoolQ's question
EMBEDDED_TRAIN, EMBEDDED_TEST = 3000, 500


def load_splits(source: Source, subset: str) -> Splits:
    """All three splits of one subset; train and valid hold no passage or premise that is tested on."""
    if source == "embedded":
        train, test = _embedded_rows(subset, "train", EMBEDDED_TRAIN), _embedded_rows(subset, "test", EMBEDDED_TEST)
    else:
        train, test = _hub_rows(subset, "train"), _hub_rows(subset, "validation")
    train, valid = hold_out(train, test)
    return Splits(train, valid, test)


def _hub_rows(subset: str, split: str) -> list[Row]:
    items = load_hub_split(DATASETS[subset], split)
    return [_row(subset, item, item["label"], source=item[FIELDS[subset][0]]) for item in items]


def _embedded_rows(subset: str, part: str, count: int) -> list[Row]:
    make, label = {
        "boolq": (make_questions, lambda item: int(item.answer)),
        "rte": (make_inferences, lambda item: int(not item.entailed)),
        "copa": (make_choices, lambda item: item.correct),
    }[subset]
    return [_row(subset, vars(item), label(item), item.source) for item in make(part, count)]


def _row(subset: str, item: Mapping, label: int, source: str) -> Row:
    fields = " ".join(f"{field}: {item[field][:MAX_CHARACTERS]}" for field in FIELDS[subset])
    answer = LABELS[subset][label]
    return Row(f"{subset} {fields}", answer, answer, source)


def score(prediction: str, reference: str) -> Score:
    """1 where the prediction is the reference; an output that is none of the subset's labels is wrong and invalid."""
    labels = next(labels for labels in LABELS.values() if reference in labels)
    answer = prediction.strip()
    return Score(float(answer == reference), valid=answer in labels)

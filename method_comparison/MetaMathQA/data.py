"""MetaMathQA: train on its augmented questions, hold some originals out for valid, test on GSM8K.

MetaMathQA (arXiv 2309.12284) rewrites each question of GSM8K's and MATH's training splits many times; all rewrites of
one original stay in one split. The embedded twin is word problems made by the project's own generators.
"""

import re
from fractions import Fraction

from harness.embedded.text.word_problems import make_problems
from harness.task import HubDataset, Metric, Row, Score, Source, Splits, TokenLengths, hold_out, load_hub_split

METRIC = Metric("accuracy")
DATASETS = {
    "train": HubDataset("meta-math/MetaMathQA", revision="aa4f34d3d2d3231299b5b03d9b3e5a20da45aa18"),
    "test": HubDataset("openai/gsm8k", revision="740312add88f781978c0658806c59bc2815b9866", config="main"),
}
# For --profile and --forecast. A published run (huggingface/peft, method_comparison) counts 4,197,579 tokens in
# 20,000 rows, 210 each, as these do on average; how they divide and spread is an estimate. The longest rows have 768
# together: by the publishers' data.py, items are cut at 1300 characters because some of 1304 have more tokens.
TOKEN_LENGTHS = {
    None: TokenLengths(65, 0.4, longest_prompt=270, target_median=130, target_spread=0.4, longest_target=498)
}
MAX_CHARACTERS = 1300  # of question and answer together; longer items are dropped, as in the published runs
EMBEDDED_TRAIN, EMBEDDED_TEST = 6000, 400


def load_splits(source: Source, subset: str | None) -> Splits:
    """All three splits; valid is carved out of train by original question."""
    if source == "embedded":
        train, test = _embedded_rows("train", EMBEDDED_TRAIN), _embedded_rows("test", EMBEDDED_TEST)
    else:
        train = [
            _metamath_row(item)
            for item in load_hub_split(DATASETS["train"], "train")
            if len(item["query"]) + len(item["response"]) <= MAX_CHARACTERS
        ]
        test = [_gsm8k_row(item) for item in load_hub_split(DATASETS["test"], "test")]
    train, valid = hold_out(train, test)
    return Splits(train, [row for row in valid if row.reference], test)


def _metamath_row(item: dict) -> Row:
    # Originals of MATH may ask for a formula; only rows whose answer is a plain number can be scored, so that valid
    # leaves the others out.
    answer = item["response"].rpartition("answer is:")[2].strip().rstrip(".")
    return Row(item["query"], item["response"], answer if _is_number(answer) else "", item["original_question"])


def _gsm8k_row(item: dict) -> Row:
    solution, _, answer = item["answer"].rpartition("####")
    return Row(
        item["question"], f"{solution.strip()}\nThe answer is: {answer.strip()}", answer.strip(), item["question"]
    )


def _embedded_rows(part: str, count: int) -> list[Row]:
    return [
        Row(problem.question, f"{problem.solution}\nThe answer is: {problem.answer}", problem.answer, problem.source)
        for problem in make_problems(part, count)
    ]


def score(prediction: str, reference: str) -> Score:
    """1 where the prediction's final answer is the number that the reference is, else 0; no answer at all is invalid.

    Both sides are compared as exact fractions, so that "2,125", "$2125" and "2125.0" are one answer.
    """
    answer = extract_answer(prediction)
    return Score(float(answer is not None and answer == extract_answer(reference)), valid=answer is not None)


_MARKER = re.compile(r"answer\s+is\s*:?|####|\\boxed(?=\{)", re.IGNORECASE)
_NEXT_QUESTION = re.compile(r"\n\s*(?:question|problem|q)\b\s*\d*\s*[:.]", re.IGNORECASE)
_STATEMENT_END = re.compile(r"\n|[.!?]\s")
_UNSIGNED = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+"
_NUMBER = re.compile(rf"(?P<sign>[-−]?)\s*\$?\s*(?P<minus>-?)(?P<top>{_UNSIGNED})(?:\s*/\s*(?P<bottom>{_UNSIGNED}))?")
_LATEX_FRACTION = re.compile(r"\\d?frac\{(-?[\d,.]+)\}\{(-?[\d,.]+)\}")


def extract_answer(text: str) -> Fraction | None:
    """The final answer of a solution as an exact number, None where it gives none.

    The answer follows the first "The answer is:", "####" or "\\boxed{"; what the model writes after that, such as a
    second, invented question, does not count. A text that is nothing but a number is its own answer.
    """
    text = _NEXT_QUESTION.split(text.replace("\\$", "$"), maxsplit=1)[0]
    marker = _MARKER.search(text)
    if marker is None:
        bare = text.strip().rstrip(".")
        return _parse_number(bare) if _is_number(bare) else None
    statement = _STATEMENT_END.split(text[marker.end() :].lstrip(), maxsplit=1)[0]
    return _parse_number(statement.rpartition("=")[2])


def _is_number(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None or _LATEX_FRACTION.fullmatch(text) is not None


def _parse_number(text: str) -> Fraction | None:
    text = _LATEX_FRACTION.sub(r"\1/\2", text.replace("{,}", ","))
    match = _NUMBER.search(text)
    if match is None:
        return None
    try:
        value = Fraction(match["top"].replace(",", "")) / Fraction((match["bottom"] or "1").replace(",", ""))
    except (ZeroDivisionError, ValueError):  # Python refuses integers of thousands of digits
        return None
    return -value if match["sign"] or match["minus"] else value

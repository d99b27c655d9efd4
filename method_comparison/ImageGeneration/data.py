"""Image generation: pictures of one cat, taught to a text-to-image model; its embedded twin draws handwritten digits.

The cat's pictures are PEFT's own, split as its method comparison splits them; what they show is said here in our own
words. Held-out pictures are compared with generated ones by DINOv2's embeddings. The twin learns scikit-learn's real
scans, and a judge that was fitted to the same training scans reads what it draws.
"""

import functools
import io
import random
from collections.abc import Sequence

from harness.task import HubDataset, Judgement, Metric, Row, Score, Source, Splits, load_hub_split

METRIC = {"hub": Metric("dino_similarity"), "embedded": Metric("accuracy")}
WORKLOAD = "image_generation"
DATASETS = {"cat": HubDataset("peft-internal-testing/cat-image-dataset", "37df3244ae3aa36e85178b6cf946338137fc3068")}
# What each picture of the dataset shows, in its order. "sks" is the word that stands for this cat and means nothing.
SHOWN = (
    "sks cat on a chair, a box of chocolates in front of it",
    "sks cat with a Steam Deck, playing",
    "sks cat with a necklace on, sitting in a box that stands on a sofa",
    "four donuts in a box, sks cat behind it",
    "sks cat in a pink veil with flowers, a dagger of yellow cardboard beside it",
    "sks cat lying between a pillow with a polar bear and a pillow with a fox",
    "sks cat reading a newspaper over an espresso",
    "close-up of a hand that strokes the head of sks cat",
    "sks cat pushing a white door open",
    'sks cat wearing a VIP pass that says "all access"',
    'sks cat before a monitor on which the video game "RimWorld" runs',
    "sks cat reading a newspaper article about cannabis",
    'sks cat reading a newspaper with the headline "DIE BOX"',
    "somebody feeding sushi to sks cat",
    "sks cat sitting before a box of tomatoes",
    "sks cat behind a gingerbread house",
    "sks cat dressed up as Wednesday Addams",
    "sks cat looking doubtfully at a magazine that shows a black cat",
    "sks cat with a striped scarf around its neck",
    "sks cat sleepily in bed under a blue blanket",
)
VALID, TEST = (16, 11), (3, 0, 15, 12)  # pictures, as the published comparison draws them
NOISES = 3  # pictures that are made of each prompt, from different noise
UNRELATED = (
    "a photograph of a cat",
    "a cat drawn with colored pencils",
    "a cat in a bathtub",
    "a cat looking at itself in a mirror",
    "a lighthouse on a cliff in a storm",
    "an old woman knitting, oil painting",
    'a dog carrying a sign that reads "hello"',
    "the Eiffel tower by night",
    "a deep-sea diver riding a bicycle",
    "a teapot in the shape of an elephant, product design",
)
DIGITS = tuple("0123456789")
CLASSES = {"embedded": DIGITS}
SCANS = {"train": 1000, "valid": 297, "test": 500}  # all 1797 of them


def load_splits(source: Source, subset: None) -> Splits:
    """All three splits; no picture and no scan is in two of them."""
    return _scans() if source == "embedded" else _cats()


def _cats() -> Splits:
    items = [item["image"]["bytes"] for item in load_hub_split(DATASETS["cat"], "train")]
    if len(items) != len(SHOWN):
        raise ValueError(f"expected {len(SHOWN)} pictures of the cat, got {len(items)}")

    def rows(numbers: Sequence[int], noises: int) -> list[Row]:
        return [
            Row(SHOWN[number], SHOWN[number], f"picture {number}, noise {noise}", f"picture {number}", items[number])
            for number in numbers
            for noise in range(noises)
        ]

    train = [number for number in range(len(SHOWN)) if number not in VALID + TEST]
    return Splits(rows(train, 1), rows(VALID, 1), rows(TEST, NOISES))


@functools.cache
def _scans() -> Splits:
    from sklearn.datasets import load_digits  # scans that come with scikit-learn

    digits = load_digits()
    numbers = list(range(len(digits.target)))
    random.Random("scans").shuffle(numbers)
    splits, first = {}, 0
    for split, count in SCANS.items():
        splits[split] = [_scan(digits, number) for number in numbers[first : first + count]]
        first += count
    return Splits(**splits)


def _scan(digits, number: int) -> Row:
    from PIL import Image

    digit, content = str(digits.target[number]), io.BytesIO()
    scan = Image.fromarray((digits.images[number] * 255 / 16).round().astype("uint8"))
    scan.save(content, "PPM")  # the pixels as they are, so that their fingerprint is no encoder's
    return Row(f"a handwritten {digit}", digit, digit, f"scan {number}", content.getvalue())


def judge(source: Source, pictures: list[bytes], rows: list[Row]) -> Judgement:
    """On each picture: the digit that is read, or how much it is like the held-out picture of the same prompt."""
    if source == "hub":
        from harness.images.similarity import similarities

        return Judgement([f"{value:.4f}" for value in similarities(pictures, [row.image for row in rows])])
    drawn, real = _pixels(pictures), _pixels([row.image for row in rows])
    reader = _reader()
    far = {"Fréchet distance": _frechet(reader.decision_function(drawn), reader.decision_function(real))}
    return Judgement([str(digit) for digit in reader.predict(drawn)], far)


@functools.cache
def _reader():
    """Reads scans it was not fitted to at 98 %: random features of the pixels, and a linear fit with one solution."""
    from sklearn.kernel_approximation import RBFSampler
    from sklearn.linear_model import RidgeClassifier
    from sklearn.pipeline import make_pipeline

    rows = _scans().train
    features = RBFSampler(gamma=0.05, n_components=1000, random_state=0)
    return make_pipeline(features, RidgeClassifier(alpha=0.1)).fit(
        _pixels([row.image for row in rows]), [row.target for row in rows]
    )


def _pixels(pictures: list[bytes]):
    import numpy
    from PIL import Image

    return numpy.stack(
        [numpy.asarray(Image.open(io.BytesIO(content)).convert("L")).ravel() / 255 for content in pictures]
    )


def _frechet(one, other) -> float:
    """Between two sets of features, taken for normal distributions (arXiv 1706.08500)."""
    import numpy

    spread, other_spread = (numpy.cov(features, rowvar=False) for features in (one, other))
    roots = numpy.sqrt(numpy.linalg.eigvals(spread @ other_spread).astype(complex)).real
    apart = ((one.mean(0) - other.mean(0)) ** 2).sum()
    return float(apart + numpy.trace(spread) + numpy.trace(other_spread) - 2 * roots.sum())


def score(prediction: str, reference: str) -> Score:
    """1 where the digit is the right one; of the cat's pictures, the similarity itself."""
    answer = prediction.strip()
    if reference in DIGITS:
        return Score(float(answer == reference), valid=answer in DIGITS)
    return Score(min(max(float(answer), 0.0), 1.0))

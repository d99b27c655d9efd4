"""Image classification: which of 37 breeds a photograph shows; its embedded twin, what two scanned digits add up to.

Photographs are those of the Oxford-IIIT Pet dataset, its own test split reported and valid carved out of train. The
twin takes scikit-learn's real scans, of which no split shares any, two side by side in one picture.
"""

import hashlib
import io
import random
from collections.abc import Sequence

from harness.task import HubDataset, Metric, Row, Score, Source, Splits, hold_out, load_hub_split

METRIC = Metric("accuracy")
WORKLOAD = "image_classification"
DATASETS = {"pets": HubDataset("isaacchung/OxfordPets", revision="557b480fae8d69247be74d9503b378a09425096f")}
# In the order of the numbers that the dataset uses, which is the alphabet's.
BREEDS = (
    "abyssinian", "american_bulldog", "american_pit_bull_terrier", "basset_hound", "beagle", "bengal", "birman",
    "bombay", "boxer", "british_shorthair", "chihuahua", "egyptian_mau", "english_cocker_spaniel", "english_setter",
    "german_shorthaired", "great_pyrenees", "havanese", "japanese_chin", "keeshond", "leonberger", "maine_coon",
    "miniature_pinscher", "newfoundland", "persian", "pomeranian", "pug", "ragdoll", "russian_blue", "saint_bernard",
    "samoyed", "scottish_terrier", "shiba_inu", "siamese", "sphynx", "staffordshire_bull_terrier", "wheaten_terrier",
    "yorkshire_terrier",
)  # fmt: skip
SUMS = tuple(str(number) for number in range(19))
CLASSES = {"hub": BREEDS, "embedded": SUMS}
SCANS = {"train": 900, "valid": 300, "test": 597}  # all 1797 of them
PAIRS = {"train": 6000, "valid": 500, "test": 1000}
SIDE = 16  # pixels a side of a scan in a picture; scans have 8


def load_splits(source: Source, subset: None) -> Splits:
    """All three splits; no photograph and no scan is in two of them."""
    if source == "embedded":
        return _sums()
    test = _photographs("test")
    train, valid = hold_out(_photographs("train"), test)
    return Splits(train, valid, test)


def _photographs(split: str) -> list[Row]:
    rows = []
    for number, item in enumerate(load_hub_split(DATASETS["pets"], split)):
        content, label = item["image"]["bytes"], item["label"]
        breed = BREEDS[label] if isinstance(label, int) else str(label).strip().lower().replace(" ", "_")
        # What a file holds is its source, so that a photograph that is there twice stays in one split.
        rows.append(Row(f"{split} {number}", breed, breed, hashlib.sha256(content).hexdigest(), content))
    return rows


def _sums() -> Splits:
    from sklearn.datasets import load_digits  # scans that come with scikit-learn

    digits = load_digits()
    numbers = list(range(len(digits.target)))
    random.Random("scans").shuffle(numbers)
    splits, first = {}, 0
    for split, count in SCANS.items():
        scans, first = numbers[first : first + count], first + count
        splits[split] = _pairs(split, scans, digits)
    return Splits(**splits)


def _pairs(split: str, scans: Sequence[int], digits) -> list[Row]:
    """Rows of different pairs of scans; each scan is about as often on either side."""
    from PIL import Image

    sized = {
        scan: Image.fromarray((digits.images[scan] * 255 / 16).round().astype("uint8")).resize(
            (SIDE, SIDE), Image.Resampling.BILINEAR
        )
        for scan in scans
    }
    rng, drawn = random.Random(f"pairs/{split}"), {}
    while len(drawn) < PAIRS[split]:
        left, right = rng.choice(scans), rng.choice(scans)
        picture = Image.new("L", (2 * SIDE, SIDE))
        picture.paste(sized[left], (0, 0))
        picture.paste(sized[right], (SIDE, 0))
        content = io.BytesIO()
        picture.save(content, "PPM")  # the pixels as they are, so that their fingerprint is no encoder's
        answer = str(digits.target[left] + digits.target[right])
        shown = f"scans {left} and {right}"
        drawn[left, right] = Row(shown, answer, answer, shown, content.getvalue())
    return list(drawn.values())


def score(prediction: str, reference: str) -> Score:
    """1 where the class is the right one."""
    answer = prediction.strip()
    return Score(float(answer == reference), valid=any(answer in labels for labels in CLASSES.values()))


def summarize(predictions: list[str], references: list[str]) -> dict[str, float]:
    """The mean over classes of F1, which counts a rare class as much as a frequent one."""
    from sklearn.metrics import f1_score

    labels = sorted(set(references))
    return {"macro-F1": float(f1_score(references, predictions, labels=labels, average="macro", zero_division=0))}

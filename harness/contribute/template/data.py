from harness.task import Metric, Row, Score, Splits, hold_out

METRIC, DATASETS = Metric("accuracy"), {}


def load_splits(source, subset):
    rows = [Row(f"{a} + {b} =", str(a + b), str(a + b), f"{a} and {b}") for a in range(2, 50) for b in range(2, 50)]
    train, valid = hold_out(rows[::2], test=rows[1::20])
    return Splits(train, valid, rows[1::20])


def score(prediction, reference):
    return Score(float(prediction.strip() == reference), valid=prediction.strip().isdigit())

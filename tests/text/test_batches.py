"""Labels, padding, order and buckets, as properties over random lengths and batch sizes."""

from collections import Counter

import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.batches import bucketed, effective_batches, epoch_order, needed_rows
from harness.experiment import ROOT, read_experiment
from harness.models import location
from harness.task import Row
from harness.text.encoding import IGNORED, Encoder, Sample, collate, load_tokenizer

PARAMS = read_experiment(ROOT / "method_comparison/MetaMathQA/experiments/lora/embedded-llama-rank8").params
TOKENIZER = load_tokenizer(*location(PARAMS, str))
EOS, PAD = 1, 0

lengths = st.integers(min_value=1, max_value=12)
samples = st.lists(st.tuples(lengths, lengths), min_size=1, max_size=9).map(
    lambda pairs: [Sample([5] * prompt, [*[7] * (target - 1), EOS]) for prompt, target in pairs]
)


@given(samples, st.sampled_from(["target", "all"]))
def test_every_end_token_is_labelled_and_padding_never(batch_samples, loss_on):
    batch = collate(batch_samples, PAD, loss_on, is_encoder_decoder=False)
    labels, inputs, mask = batch.inputs["labels"], batch.inputs["input_ids"], batch.inputs["attention_mask"]
    for sample, row, ids, real in zip(batch_samples, labels, inputs, mask, strict=True):
        assert real.sum() == len(sample)
        assert row[len(sample) - 1] == EOS
        assert (row[len(sample) :] == IGNORED).all()
        first = 1 if loss_on == "all" else len(sample.prompt)
        assert (row[:first] == IGNORED).all()
        assert torch.equal(row[first : len(sample)], ids[first : len(sample)])
    assert batch.counted == (labels != IGNORED).sum()
    assert batch.work == mask.sum()


@given(samples)
def test_encoder_decoder_labels_are_the_target(batch_samples):
    batch = collate(batch_samples, PAD, "target", is_encoder_decoder=True)
    for sample, row in zip(batch_samples, batch.inputs["labels"], strict=True):
        assert row[: len(sample.target)].tolist() == sample.target
        assert (row[len(sample.target) :] == IGNORED).all()
    assert batch.work == sum(len(sample) for sample in batch_samples)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=300), st.integers(1, 9), st.integers(0, 5))
def test_no_sample_is_repeated_or_dropped_within_an_epoch(sizes, batch_size, seed):
    order = epoch_order(len(sizes), seed, epoch=0)
    batches = list(bucketed(order, dict(enumerate(sizes)), batch_size, seed))
    assert sorted(index for batch in batches for index in batch) == list(range(len(sizes)))
    assert all(len(batch) == batch_size for batch in batches[:-1])
    assert 0 < len(batches[-1]) <= batch_size


def test_buckets_hold_similar_lengths():
    sizes = dict(enumerate(torch.randint(1, 500, (4000,), generator=torch.Generator().manual_seed(0)).tolist()))

    def padding(batches):
        return sum(max(sizes[i] for i in batch) * len(batch) - sum(sizes[i] for i in batch) for batch in batches)

    order = epoch_order(4000, 0, 0)
    plain = [order[i : i + 8] for i in range(0, 4000, 8)]
    assert padding(bucketed(order, sizes, 8, 0)) < 0.2 * padding(plain)


@given(st.integers(1, 60), st.integers(1, 5), st.integers(1, 3), st.integers(1, 12), st.integers(0, 3))
def test_a_run_sees_each_row_as_often_as_the_epochs_say(rows, batch_size, accumulation, steps, seed):
    params = PARAMS.model_copy(
        update={"batch_size": batch_size, "gradient_accumulation_steps": accumulation, "seed": seed}
    )
    wanted = needed_rows(rows, seed, steps * batch_size * accumulation)
    tokenized = {index: Sample([index], [EOS] * (1 + index % 7)) for index in wanted}
    stream = effective_batches(tokenized, rows, params)
    seen = [sample.prompt[0] for _ in range(steps) for micro in next(stream) for sample in micro]
    counts = Counter(seen)
    assert max(counts.values()) - min(counts[index] for index in wanted) <= 1
    assert len(counts) == min(rows, len(seen))


def test_division_into_micro_batches_does_not_change_a_step():
    tokenized = {index: Sample([index] * (1 + index % 11), [EOS]) for index in range(100)}
    streams = [
        effective_batches(
            tokenized, 100, PARAMS.model_copy(update={"batch_size": size, "gradient_accumulation_steps": 32 // size})
        )
        for size in (32, 8)
    ]
    for _ in range(7):
        whole, parts = (sorted(sample.prompt[0] for micro in next(stream) for sample in micro) for stream in streams)
        assert whole == parts


def test_epochs_and_seeds_have_orders_of_their_own():
    orders = [epoch_order(50, seed, epoch) for seed in (0, 1) for epoch in (0, 1)]
    assert len({tuple(order) for order in orders}) == 4
    assert epoch_order(50, 0, 0) == orders[0]


@given(st.text(min_size=1, max_size=60), st.text(min_size=1, max_size=60), st.integers(8, 40))
def test_truncation_keeps_the_end_token_and_the_template(prompt, target, limit):
    params = PARAMS.model_copy(update={"max_seq_length": limit})
    encoder = Encoder(TOKENIZER, params, is_encoder_decoder=False)
    sample = encoder.encode(Row(prompt, target, "", ""))
    assert len(sample) <= limit
    assert sample.target[-1] == TOKENIZER.eos_token_id
    whole = Encoder(TOKENIZER, PARAMS.model_copy(update={"max_seq_length": 10_000}), False).encode(
        Row(prompt, target, "", "")
    )
    assert sample.truncated == (len(whole) > limit)
    if not sample.truncated:
        assert sample == whole


def test_a_long_question_is_cut_at_its_end_not_at_the_template():
    encoder = Encoder(TOKENIZER, PARAMS, is_encoder_decoder=False)
    ids, truncated = encoder.encode_prompt("How many apples are there? " * 40, limit=64)
    text = TOKENIZER.decode(ids)
    assert truncated
    assert len(ids) == 64
    assert text.startswith("Question: How many apples")
    assert text.endswith("\nAnswer:")


def test_the_prompt_in_training_is_the_prompt_in_evaluation():
    encoder = Encoder(TOKENIZER, PARAMS, is_encoder_decoder=False)
    row = Row("Tom has 3 pens. How many pens?", "3 pens.\nThe answer is: 3", "3", "tom")
    assert encoder.encode(row).prompt == encoder.encode_prompt(row.prompt)[0]

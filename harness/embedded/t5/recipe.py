"""How the embedded encoder-decoder model is made: a small T5 on claims, questions, reports and text to restore."""

from itertools import chain

from transformers import PreTrainedTokenizerFast

from harness.embedded.fingerprints import digest_items
from harness.embedded.loop import Course
from harness.embedded.partition import PARTITIONS
from harness.embedded.t5 import corpus
from harness.embedded.t5.curriculum import Curriculum
from harness.embedded.t5.model import make_model
from harness.embedded.t5.probe import probe, shortcoming
from harness.embedded.t5.settings import Settings
from harness.embedded.t5.tokenizer import make_word_tokenizer
from harness.embedded.text.events import make_choices
from harness.embedded.text.news import make_articles
from harness.embedded.text.passages import make_inferences, make_questions

__all__ = ["Settings", "digest_data", "make_course", "make_processor", "probe", "shortcoming"]

DIGESTED_EXAMPLES = 2000
DIGESTED_ITEMS = 300

MAKERS = {
    "questions": make_questions,
    "inferences": make_inferences,
    "choices": make_choices,
    "articles": make_articles,
}
"""The makers of downstream items."""


def make_processor(settings: Settings) -> PreTrainedTokenizerFast:
    """Return the tokenizer that knows every word of the corpus."""
    texts = [*"0123456789", *corpus.LABELS]
    for mix in (corpus.SHORT, corpus.LONG):
        for example in corpus.make_examples("tokenizer", mix, 0, settings.tokenizer_examples, prefix_share=0.0):
            texts += [example.source, example.target or ""]
    return make_word_tokenizer(texts, settings.sentinels, settings.max_length)


def make_course(settings: Settings, tokenizer: PreTrainedTokenizerFast) -> Course:
    """Return what is to be trained, on what and how.

    The relative bias, a few numbers that must move far, learns at a higher rate.
    """
    model, curriculum = make_model(settings, tokenizer), Curriculum(tokenizer, settings)
    bias = [parameter for name, parameter in model.named_parameters() if "relative_attention_bias" in name]
    rest = [parameter for name, parameter in model.named_parameters() if "relative_attention_bias" not in name]
    return Course(
        model=model,
        groups=[
            {"params": rest, "weight_decay": 0.0},
            {"params": bias, "weight_decay": 0.0, "factor": settings.bias_rate_factor},
        ],
        stream=curriculum,
        loss=curriculum.loss,
        learning_rate=curriculum.learning_rate,
    )


def digest_data(settings: Settings) -> dict:
    """Return the fingerprints of the first examples of both mixes, and of the first downstream items of each kind."""
    mixes = (corpus.SHORT, corpus.LONG)
    examples = chain.from_iterable(
        corpus.make_examples(f"training/{settings.seed}/{number}", mix, 0, DIGESTED_EXAMPLES)
        for number, mix in enumerate(mixes)
    )
    items = {kind: [make(part, DIGESTED_ITEMS) for part in PARTITIONS] for kind, make in MAKERS.items()}
    digests = {kind: digest_items(chain.from_iterable(parts)) for kind, parts in items.items()}
    return {
        "corpus": {"examples": DIGESTED_EXAMPLES, "sha256": digest_items(examples)},
        "items": {"count": DIGESTED_ITEMS, "sha256": digests},
    }

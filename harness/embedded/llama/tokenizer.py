"""The tokenizer of the embedded causal model: byte-level BPE in which every digit is a token of its own.

Any text can be encoded and comes back unchanged. An operator between numbers is one piece with its two spaces (" * "),
because equations are most of what the model writes: "3 * 4 = 12" costs six tokens rather than ten.
"""

from collections.abc import Iterable

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

END_OF_TEXT = "<|end_of_text|>"
PADDING = "<|pad|>"

_PIECES = r" [-+*/=] (?=\d)| ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s"
"""One piece of text per match, in this order: spaced operator, word, digit, punctuation, single white space."""


def train_tokenizer(texts: Iterable[str], vocabulary_size: int, max_length: int) -> PreTrainedTokenizerFast:
    """Return a tokenizer of at most `vocabulary_size` tokens trained on `texts`, the same for the same texts."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=[END_OF_TEXT, PADDING],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        eos_token=END_OF_TEXT,
        pad_token=PADDING,
        model_max_length=max_length,
        clean_up_tokenization_spaces=False,
    )

"""The tokenizer of the embedded encoder-decoder model: the words of its corpus, and bytes for all other text."""

from collections.abc import Iterable

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

START_PADDING, END_OF_SEQUENCE = "<pad>", "</s>"
"""Padding, which also starts the decoder, and end of sequence, as T5 spells them."""

_WORDS = r" ?\p{L}[\p{L}\p{N}_]*| ?\p{N}| ?[^\s\p{L}\p{N}]+|\s"
"""One piece of text per match: word or identifier, digit, punctuation, single white space."""


def make_word_tokenizer(texts: Iterable[str], sentinels: int, max_length: int) -> PreTrainedTokenizerFast:
    """Return an encoder-decoder tokenizer whose tokens are the words of `texts`, and single bytes for all other text.

    Byte-level BPE without merges: a word that is known as a whole is one token and any other falls apart into bytes,
    so any text can be encoded and comes back unchanged. Every text is read as if a space stood before it, and that
    space is taken away again when decoding; a word is thus the same token at the beginning of a text as inside it.
    `</s>` closes each text that is encoded with its special tokens, as for T5.
    """
    pieces = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    words = {piece for text in texts for piece, _ in pieces.pre_tokenize_str(f" {text}")}
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    extra = [f"<extra_id_{number}>" for number in range(sentinels)]
    tokens = [START_PADDING, END_OF_SEQUENCE, *alphabet, *sorted(words - set(alphabet)), *extra]
    backend = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges=[], ignore_merges=True))
    backend.normalizer = normalizers.Prepend(" ")
    backend.pre_tokenizer = pieces
    backend.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Strip(" ", 1, 0)])
    end = (END_OF_SEQUENCE, tokens.index(END_OF_SEQUENCE))
    backend.post_processor = processors.TemplateProcessing(
        single=f"$A {END_OF_SEQUENCE}", pair=f"$A {END_OF_SEQUENCE} $B {END_OF_SEQUENCE}", special_tokens=[end]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        eos_token=END_OF_SEQUENCE,
        pad_token=START_PADDING,
        additional_special_tokens=extra,
        model_max_length=max_length,
        clean_up_tokenization_spaces=False,
    )

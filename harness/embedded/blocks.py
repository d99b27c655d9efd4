"""The corpus cut into blocks of tokens, which is what pre-training reads."""

import torch
from transformers import PreTrainedTokenizerFast

from harness.embedded import corpus


class Blocks:
    """The corpus as an endless row of equal blocks of tokens; documents follow one another, each closed by eos.

    `state` and `restore` let a resumed run read on exactly where the interrupted one stopped.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast, seed: int, length: int) -> None:
        """Start at the first document of `seed`; `length` is the tokens of a block."""
        self.tokenizer, self.seed, self.length = tokenizer, seed, length
        self.restore({"draws": 0, "rest": []})

    def state(self) -> dict[str, int | list[int]]:
        """Return the number of documents drawn and the tokens that no block has taken yet."""
        return {"draws": self.draws, "rest": list(self.rest)}

    def restore(self, state: dict) -> None:
        """Go on from a `state`."""
        self.draws, self.rest = state["draws"], list(state["rest"])
        self.documents = corpus.numbered_documents(self.seed, self.draws)

    def take(self, count: int) -> torch.Tensor:
        """Return the next `count` blocks as token ids of shape (count, length)."""
        while len(self.rest) < count * self.length:
            number, text = next(self.documents)
            self.draws = number + 1
            self.rest += [*self.tokenizer(text).input_ids, self.tokenizer.eos_token_id]
        taken, self.rest = self.rest[: count * self.length], self.rest[count * self.length :]
        return torch.tensor(taken).view(count, self.length)

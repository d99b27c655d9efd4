"""The corpus cut into blocks of tokens, which is what pre-training reads."""

import torch
from transformers import PreTrainedTokenizerFast

from harness.embedded.llama import corpus


class Blocks:
    """The corpus as an endless row of equal blocks of tokens; documents follow one another, each closed by eos."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, seed: int, batch: int, length: int) -> None:
        """Start at the first document of `seed`; a step takes `batch` blocks of `length` tokens."""
        self.tokenizer, self.seed, self.batch, self.length = tokenizer, seed, batch, length
        self.load_state_dict({"draws": 0, "rest": []})

    def state_dict(self) -> dict[str, int | list[int]]:
        """Return the number of documents drawn and the tokens that no block has taken yet."""
        return {"draws": self.draws, "rest": list(self.rest)}

    def load_state_dict(self, state: dict) -> None:
        """Go on from a state."""
        self.draws, self.rest = state["draws"], list(state["rest"])
        self.documents = corpus.numbered_documents(self.seed, self.draws)

    def __next__(self) -> list[torch.Tensor]:
        """Return the next step's one batch, token ids of shape (batch, length)."""
        tokens = self.batch * self.length
        while len(self.rest) < tokens:
            number, text = next(self.documents)
            self.draws = number + 1
            self.rest += [*self.tokenizer(text).input_ids, self.tokenizer.eos_token_id]
        taken, self.rest = self.rest[:tokens], self.rest[tokens:]
        return [torch.tensor(taken).view(self.batch, self.length)]

    def __str__(self) -> str:
        return f"{self.draws} documents"

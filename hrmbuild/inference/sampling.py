"""How the next token is chosen from its logits: the most likely one, or a draw.

Owns greedy choice and sampling by temperature, top-k and top-p, whose draws are counters of SHA-256 and so repeat. It
must not know the model. Sources: top-k, arXiv 1805.04833; top-p, arXiv 1904.09751.

Shapes: B sequences, V padded vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hrmbuild.fingerprint import draw_fraction

Choose = Callable[[Tensor, Sequence[int], int], Tensor]
"""(logits [B, V], index of each prompt, position in the answer) -> token ids [B]."""


def greedy(logits_BV: Tensor, prompts: Sequence[int], position: int) -> Tensor:
    """The most likely token; the smallest id of equals."""
    return logits_BV.argmax(-1)


@dataclass(frozen=True)
class Sampling:
    """A drawn choice."""

    temperature: float = 1.0
    """Above 0: smaller is more certain."""
    top_k: int | None = None
    """Only so many of the likeliest tokens are drawn from."""
    top_p: float = 1.0
    """Only the smallest set of tokens with at least this probability is drawn from."""
    seed: int = 0
    keys: tuple[str, ...] = ()
    """What each prompt's draws hang on, so that it is answered alike alone and among others; default: its number."""

    def __call__(self, logits_BV: Tensor, prompts: Sequence[int], position: int) -> Tensor:
        """Draw one token a row by inverting the cumulated probabilities."""
        sorted_BV = (logits_BV.double() / self.temperature).softmax(-1).sort(descending=True, stable=True)
        cumulated_BV = sorted_BV.values.cumsum(-1)
        kept_BV = cumulated_BV - sorted_BV.values < self.top_p
        kept_BV[:, self.top_k :] &= self.top_k is None
        total_B1 = (sorted_BV.values * kept_BV).sum(-1, keepdim=True)
        keys = [self.keys[prompt] if self.keys else prompt for prompt in prompts]
        draws = [draw_fraction("sample", self.seed, f"{key}:{position}") for key in keys]
        target_B1 = torch.tensor(draws, dtype=torch.float64, device=logits_BV.device)[:, None] * total_B1
        rank_B1 = (cumulated_BV <= target_B1).sum(-1, keepdim=True)
        last_B1 = kept_BV.sum(-1, keepdim=True) - 1
        return sorted_BV.indices.gather(-1, torch.minimum(rank_B1, last_B1)).squeeze(-1)

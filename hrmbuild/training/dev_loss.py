"""The loss on held-out pairs: the same pairs at every evaluation, drawn by their ids.

Owns the draw and the sum. It must not generate answers: exact match comes from the `score` handed to the loop.
"""

from __future__ import annotations

import numpy as np
import torch

from hrmbuild.fingerprint import draw_integer
from hrmbuild.model.attention import AttentionBackend
from hrmbuild.model.language_model import LanguageModel
from hrmbuild.records.run import DevScore
from hrmbuild.tokens.batch import Int64s
from hrmbuild.tokens.files import SplitTokens
from hrmbuild.training.feed import place, trained_slots


def dev_pairs(dev: SplitTokens, *, n: int, seed: int, context_tokens: int) -> Int64s:
    """Numbers of up to `n` pairs that fit the context, those with the smallest draws, ascending."""
    fitting = np.flatnonzero(trained_slots(dev, context_tokens))
    draws = [draw_integer("dev", seed, bytes(dev.ids[number]).hex()) for number in fitting]
    return np.sort(fitting[np.argsort(np.array(draws, dtype=np.uint64), kind="stable")[:n]])


@torch.no_grad()
def dev_loss(
    model: LanguageModel, dev: SplitTokens, pairs: Int64s, *, bin_tokens: int, backend: AttentionBackend
) -> DevScore | None:
    """Mean over the response tokens of these pairs; None where there are none."""
    total, n_tokens = 0.0, 0
    device = model.lm_head.weight.device
    dtype = "bfloat16" if model.compute_dtype == torch.bfloat16 else "float32"
    for chunk in _chunks(dev, pairs, bin_tokens):
        micro = place(dev, chunk, device=device, backend=backend, dtype=dtype)
        loss = model(micro.token_ids, micro.labels, micro.layout, 0)
        total += float(loss.loss_sum)
        n_tokens += loss.n_tokens
    return DevScore(loss=total / n_tokens, n_tokens=n_tokens) if n_tokens else None


def _chunks(dev: SplitTokens, pairs: Int64s, bin_tokens: int) -> list[Int64s]:
    """Consecutive pairs of at most `bin_tokens` slots together."""
    if len(pairs) == 0:
        return []
    bins = dev.slots[pairs].cumsum() // bin_tokens
    return np.split(pairs, np.flatnonzero(np.diff(bins)) + 1)

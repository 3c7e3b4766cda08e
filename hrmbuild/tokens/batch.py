"""A bin of the plan as arrays that the model takes: ids, labels and lengths, cut from the mapped files.

Owns assembly and the batch's digest. It must not know devices or ranks.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hrmbuild.tokens.files import SplitTokens

Int64s = NDArray[np.int64]


@dataclass(frozen=True)
class Batch:
    """One bin: sequences one after the other, without padding."""

    token_ids: Int64s
    """[T] what the model reads: each sequence without its last token."""
    labels: Int64s
    """[T] the next token of the same sequence; the loss reads it from the last prefix token on."""
    prefix_lengths: list[int]
    """[S] tokens of each prefix."""
    response_lengths: list[int]
    """[S] input tokens of each response: one less than its labels."""

    @property
    def n_tokens(self) -> int:
        """T."""
        return len(self.token_ids)

    @property
    def n_labels(self) -> int:
        """Labels that count in the loss: each response with its end token."""
        return sum(self.response_lengths) + len(self.response_lengths)


def build_batch(split: SplitTokens, pairs: Int64s) -> Batch:
    """Cut the pairs out of the mapped tokens, in the order given; at least one pair."""
    prefixes, responses = split.prefix_lengths[pairs].tolist(), split.response_lengths[pairs].tolist()
    starts = split.starts[pairs].tolist()
    spans = [(start, start + p + r) for start, p, r in zip(starts, prefixes, responses, strict=True)]
    return Batch(
        token_ids=np.concatenate([split.tokens[start : end - 1] for start, end in spans]).astype(np.int64),
        labels=np.concatenate([split.tokens[start + 1 : end] for start, end in spans]).astype(np.int64),
        prefix_lengths=prefixes,
        response_lengths=[length - 1 for length in responses],
    )


def step_digest(split: SplitTokens, bins: list[Int64s]) -> str:
    """SHA-256 over what a step shows the model, whatever the ranks: each bin's pair ids, in order."""
    digest = hashlib.sha256()
    for pairs in bins:
        digest.update(len(pairs).to_bytes(8, "big"))
        digest.update(split.ids[pairs].tobytes())
    return digest.hexdigest()

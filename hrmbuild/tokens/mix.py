"""How often each pair stands in each epoch, where caps and weights let an epoch show a part of the corpus.

Owns the draw: which pairs an epoch takes is a pure function of (content_root, tokenizer, seed, epoch) and the numbers
of the mix. It must not decide those numbers.

The pairs of a source file stand on a wheel in a drawn order; every epoch turns it on by the file's share and takes what
passes. So the epochs of a run take different pairs, and no pair is taken twice as long as another of its file has not
been taken at all: over any number of epochs the pairs of a file are seen equally often, give or take one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hrmbuild.fingerprint import draw_below
from hrmbuild.tokens.plan import Int64s, counter_draws

MILLION = 1_000_000
"""Showings are counted in millionths: a weight may leave a file of three pairs a tenth of one an epoch."""


@dataclass(frozen=True)
class MixKey:
    """What the draw depends on beside the epoch."""

    content_root: str
    tokenizer_sha256: str
    seed: int


class EpochMix:
    """The wheels of all source files."""

    def __init__(
        self,
        key: MixKey,
        source_numbers: NDArray[np.uint32],
        *,
        trained: NDArray[np.bool_],
        showings: Int64s,
        sources: tuple[str, ...],
    ) -> None:
        """Place the pairs.

        Args:
            key: what the order is drawn from.
            source_numbers: [n_pairs] file of each pair.
            trained: [n_pairs] whether it takes part at all.
            showings: [n_sources] pairs of each file that an epoch shows, repeats counted, in millionths.
            sources: [n_sources] hash of each file.
        """
        self._source_numbers, self._trained, self._showings = source_numbers, trained, showings
        self._sizes = np.bincount(source_numbers[trained], minlength=len(sources)).astype(np.int64)
        self._places = _places(key, source_numbers, trained, self._sizes)
        self._offsets = [
            draw_below(max(1, int(size)) * MILLION, "mix-offset", key.seed, f"{key.content_root}|{sha256}")
            for size, sha256 in zip(self._sizes, sources, strict=True)
        ]

    def repeats(self, epoch: int) -> Int64s:
        """[n_pairs] how often each pair stands in an epoch."""
        wheels = np.maximum(self._sizes, 1) * MILLION
        turned = zip(self._offsets, self._showings.tolist(), wheels.tolist(), strict=True)
        begins = np.array([(offset + epoch * n) % wheel for offset, n, wheel in turned], dtype=np.int64)
        of_pair = self._source_numbers
        at, wheel = self._places * MILLION, wheels[of_pair]
        begin, end = begins[of_pair], (begins + self._showings)[of_pair]
        # Whole numbers m with begin <= at + m * wheel < end.
        passed = (at - begin) // wheel - (at - end) // wheel
        return np.where(self._trained, passed, 0)


def _places(key: MixKey, source_numbers: NDArray[np.uint32], trained: NDArray[np.bool_], sizes: Int64s) -> Int64s:
    """[n_pairs] place of each pair among the trained ones of its file, in a drawn order; 0 for the others."""
    taking_part = np.flatnonzero(trained)
    draws = counter_draws(f"mix|{key.content_root}|{key.tokenizer_sha256}|{key.seed}|", len(source_numbers))
    order = taking_part[np.lexsort((draws[taking_part], source_numbers[taking_part]))]
    places = np.zeros(len(source_numbers), dtype=np.int64)
    firsts = np.cumsum(sizes) - sizes
    places[order] = np.arange(len(order)) - firsts[source_numbers[order]]
    return places


Repeats = Int64s | EpochMix | None
"""The same in every epoch, drawn for each, or every pair once."""


def repeats_in(repeats: Repeats, epoch: int) -> Int64s | None:
    """[n_pairs] how often each pair stands in an epoch; None: once."""
    return repeats.repeats(epoch) if isinstance(repeats, EpochMix) else repeats

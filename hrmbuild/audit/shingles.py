"""Fingerprints of a text by its runs of words: enough to know the text again, not enough to read it.

Owns the hashes and the comparison. A sketch keeps the smallest of the hashes, so the share of them that another text
has estimates how much of the first text stands in the second. Nobody reads words off a hash; who holds a text can see
that it is the same, which is what it is for. It must not know where a text comes from.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

RUN_WORDS = 8
"""Words in a row that one hash stands for."""
SKETCH_HASHES = 512
DIGITS = 12
"""Hexadecimal digits that are kept of a hash."""
NEAR_COPY = 0.5
"""A text that has this share of the sketch is a near copy."""
_WORD = re.compile(r"[^\W_]+")


def shingles(text: str) -> set[str]:
    """A hash for each run of words; a text shorter than a run has one for all of its words, an empty one none."""
    return {hashlib.sha256(" ".join(run).encode()).hexdigest()[:DIGITS] for run in _runs(text)}


def _runs(text: str) -> Iterator[list[str]]:
    words = _WORD.findall(text.casefold())
    if words:
        yield from (words[at : at + RUN_WORDS] for at in range(max(1, len(words) - RUN_WORDS + 1)))


def sketch(text: str) -> str:
    """The smallest hashes, joined by nothing: each has `DIGITS` digits."""
    return "".join(sorted(shingles(text))[:SKETCH_HASHES])


def hashes_of(told: str) -> frozenset[str]:
    """The hashes of a sketch."""
    return frozenset(told[at : at + DIGITS] for at in range(0, len(told), DIGITS))


def share(of: frozenset[str], found: set[str]) -> float:
    """Which part of a sketch stands in a text; 0 for an empty sketch."""
    return len(of & found) / len(of) if of else 0.0

"""Sentences of a block, with their offsets: a conservative rule, not a language model.

Owns where a sentence ends. In doubt it does not split: a sentence too long yields no pair, a sentence cut wrongly would
yield a false one.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Sentence(NamedTuple):
    """text[start:end] of the block it came from, lines joined."""

    text: str
    start: int
    end: int


_END = re.compile(r"[.!?][\"”’')\]*_]*(?=\s+[\"“‘'(\[*_]*[A-Z0-9])|[.!?:][\"”’')\]*_]*\s*$|\n\s*\n")
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|cf|vs|No|Nos|Art|Sec|Mr|Mrs|Ms|Dr|Prof|St|Inc|Ltd|Co|Corp|approx|para|paras|p|pp|Fig|"
    r"Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sep|Sept|Oct|Nov|Dec|U\.S|U\.K|a\.m|p\.m)|\b[A-Z]|^\W*[\dA-Za-z]{1,3}(?:\.\d+)*)\.$"
)


def split_sentences(text: str) -> list[Sentence]:
    """The sentences in order; blank ends are trimmed, nothing else is lost."""
    found: list[Sentence] = []
    start = 0
    for match in _END.finditer(text):
        if match.end() < len(text.rstrip()) and _ABBREVIATION.search(text[start : match.end()].rstrip()):
            continue
        found.extend(_trimmed(text, start, match.end()))
        start = match.end()
    found.extend(_trimmed(text, start, len(text)))
    return found


def _trimmed(text: str, start: int, end: int) -> list[Sentence]:
    words = text[start:end]
    stripped = words.strip()
    if not stripped:
        return []
    start += len(words) - len(words.lstrip())
    return [Sentence(re.sub(r"\s+", " ", stripped), start, start + len(stripped))]

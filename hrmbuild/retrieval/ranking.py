"""Passages ranked by BM25 for one reader.

Owns the index and the order. It must not open a database or judge a role: it is handed what may be read and nothing
else, so that a passage out of reach changes no score (BM25's weights depend on every text that is indexed).
Source: Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond"; the library is bm25s.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import bm25s

from hrmbuild.records.passage import LabelledPassage, SourcePassage

_WORD = re.compile(r"\w+(?:[.,]\w+)*")


@dataclass(frozen=True)
class Found:
    """A passage with its score; a larger one fits better."""

    passage: LabelledPassage
    score: float


class Ranking:
    """An index over the passages that one reader may see."""

    def __init__(self, passages: Sequence[LabelledPassage]) -> None:
        self._passages = list(passages)
        self._index: bm25s.BM25 | None = None
        texts = [words(_indexed(one.passage)) for one in self._passages]
        if any(texts):
            self._index = bm25s.BM25()
            self._index.index(texts, show_progress=False)

    def best(self, question: str, n: int) -> list[Found]:
        """Up to `n` passages that share a word with the question, best first; equal ones in the corpus's order."""
        asked = words(question)
        if self._index is None or not asked:
            return []
        scores = self._index.get_scores(asked)
        ranked = sorted(range(len(self._passages)), key=lambda i: (-float(scores[i]), i))
        return [Found(self._passages[i], float(scores[i])) for i in ranked[:n] if scores[i] > 0]


def words(text: str) -> list[str]:
    """The words of a text, numbers with their decimals in one piece; case and compatibility forms do not count."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def _indexed(passage: SourcePassage) -> str:
    return " ".join(part for part in (passage.title, passage.heading, passage.text) if part)

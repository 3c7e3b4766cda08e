"""The nearest neighbour: the answer of the training question whose words are most like this one's.

Owns TF-IDF cosine over word unigrams and bigrams, in numpy: an inverted index, so that 1,000 questions against 20,000
take seconds and no dense matrix is held. It must not know models. Source: Salton and Buckley 1988, IPM 24:513.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hrmbuild.evaluation.answers import words


class NearestTexts:
    """An index of texts that finds the most similar one."""

    def __init__(self, texts: Sequence[str]) -> None:
        """Index `texts`; a term's weight is (1 + log tf) * log(n / df), so what all texts share weighs nothing."""
        self._n = len(texts)
        postings = _postings([_terms(text) for text in texts])
        squares = np.zeros(self._n)
        self._weights: dict[str, tuple[float, NDArray[np.int64], NDArray[np.float64]]] = {}
        for term, (rows, counts) in sorted(postings.items()):
            idf = float(np.log(self._n / len(rows)))
            if idf > 0:
                weights = idf * (1 + np.log(counts))
                squares[rows] += weights**2
                self._weights[term] = (idf, rows, weights)
        self._norms = np.sqrt(np.maximum(squares, 1e-12))

    def nearest(self, text: str) -> int:
        """Index of the most similar text; the first of equals.

        Raises:
            ValueError: the index is empty.
        """
        if not self._n:
            raise ValueError("no texts to be near to")
        dots = np.zeros(self._n)
        for term, count in sorted(_terms(text).items()):
            if term in self._weights:
                idf, rows, weights = self._weights[term]
                dots[rows] += idf * (1 + np.log(count)) * weights
        return int((dots / self._norms).argmax())


def _terms(text: str) -> Counter[str]:
    tokens = words(text)
    return Counter(tokens) + Counter(f"{a} {b}" for a, b in pairwise(tokens))


def _postings(terms: list[Counter[str]]) -> dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]]:
    rows: dict[str, list[int]] = {}
    counts: dict[str, list[int]] = {}
    for row, counter in enumerate(terms):
        for term, count in counter.items():
            rows.setdefault(term, []).append(row)
            counts.setdefault(term, []).append(count)
    return {term: (np.array(rows[term]), np.array(counts[term], np.float64)) for term in rows}

"""The nearest neighbour against a naive dense computation."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise

import pytest

from hrmbuild.evaluation.answers import words
from hrmbuild.evaluation.nearest import NearestTexts

TEXTS = [
    "A claim of 120 EUR without a receipt.",
    "A claim of 900 EUR with a receipt.",
    "A trip by rail of 40 km.",
    "A trip by air of 900 km, receipt kept.",
]


def _vector(text: str, texts: list[str]) -> dict[str, float]:
    def terms(t: str) -> Counter[str]:
        return Counter(words(t)) + Counter(f"{a} {b}" for a, b in pairwise(words(t)))

    frequency = Counter(term for t in texts for term in terms(t))
    documents = {term: sum(term in terms(t) for t in texts) for term in frequency}
    return {
        term: (1 + math.log(n)) * math.log(len(texts) / documents[term])
        for term, n in terms(text).items()
        if term in documents
    }


def _cosine(one: dict[str, float], other: dict[str, float]) -> float:
    dot = sum(weight * other.get(term, 0) for term, weight in one.items())
    return dot / (math.hypot(*one.values()) * math.hypot(*other.values()) + 1e-12)


@pytest.mark.parametrize("question", ["120 EUR without receipt", "by rail", "900 km by air", "with a receipt 900 EUR"])
def test_the_index_finds_what_a_dense_cosine_finds(question: str) -> None:
    similarities = [_cosine(_vector(question, TEXTS), _vector(text, TEXTS)) for text in TEXTS]
    assert NearestTexts(TEXTS).nearest(question) == similarities.index(max(similarities))


def test_equal_texts_give_the_first() -> None:
    assert NearestTexts(["x y", "a b", "a b"]).nearest("a b") == 1


def test_an_empty_index_has_no_neighbour() -> None:
    with pytest.raises(ValueError, match="no texts"):
        NearestTexts([]).nearest("a")

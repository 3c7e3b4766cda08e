"""A small decision tree on named facts: the baseline that a spreadsheet's owner would think of.

Owns CART (Breiman et al. 1984: binary splits, Gini impurity) in numpy. Why not a library: the only well-kept one,
scikit-learn, brings 100 MB to `eval` for this one column of a table; the textbook algorithm at depth 8 is what is
below. It must not know pairs or models.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Facts = Mapping[str, str]
_MAX_DEPTH = 8
_MIN_LEAF = 3
_ABSENT = -1e18  # below every number: a withheld fact falls on the small side of each split


class _Split(NamedTuple):
    feature: int
    threshold: float
    impurity: float


@dataclass(frozen=True)
class _Node:
    answer: int
    split: _Split | None = None
    below: _Node | None = None
    above: _Node | None = None


@dataclass(frozen=True)
class DecisionTree:
    """A grown tree with the columns it was grown on."""

    columns: tuple[tuple[str, str | None], ...]
    """(fact, None) for a number, (fact, value) for "is this value"."""
    answers: tuple[str, ...]
    root: _Node

    def predict(self, facts: Facts) -> str:
        """The answer of the leaf that the facts lead to."""
        row, node = _row(facts, self.columns), self.root
        while node.split is not None and node.below is not None and node.above is not None:
            node = node.below if row[node.split.feature] <= node.split.threshold else node.above
        return self.answers[node.answer]


def grow_tree(facts: Sequence[Facts], answers: Sequence[str]) -> DecisionTree:
    """Grow a tree of depth 8 at most, leaves of 3 cases at least.

    Raises:
        ValueError: no cases, or not one answer a case.
    """
    if not facts or len(facts) != len(answers):
        raise ValueError(f"a tree needs cases and one answer each, got {len(facts)} and {len(answers)}")
    columns = _columns(facts)
    names = tuple(sorted(set(answers)))
    code = {name: i for i, name in enumerate(names)}
    features = np.array([_row(case, columns) for case in facts], np.float64).reshape(len(facts), len(columns))
    labels = np.array([code[answer] for answer in answers])
    return DecisionTree(columns, names, _grow(features, labels, n_classes=len(names), depth=0))


def _columns(facts: Sequence[Facts]) -> tuple[tuple[str, str | None], ...]:
    columns: list[tuple[str, str | None]] = []
    for name in sorted({name for case in facts for name in case}):
        values = sorted({case[name] for case in facts if name in case})
        if all(_number(value) is not None for value in values):
            columns.append((name, None))
        else:
            columns.extend((name, value) for value in values)
    return tuple(columns)


def _number(value: str) -> float | None:
    try:
        return float(Decimal(value))
    except InvalidOperation:
        return None


def _row(facts: Facts, columns: Sequence[tuple[str, str | None]]) -> list[float]:
    row: list[float] = []
    for name, value in columns:
        given = facts.get(name)
        number = _number(given) if given is not None and value is None else None
        row.append(float(given == value) if value is not None else _ABSENT if number is None else number)
    return row


def _grow(features: NDArray[np.float64], labels: NDArray[np.int64], *, n_classes: int, depth: int) -> _Node:
    counts = np.bincount(labels, minlength=n_classes)
    answer = int(counts.argmax())
    if depth == _MAX_DEPTH or counts[answer] == len(labels) or len(labels) < 2 * _MIN_LEAF:
        return _Node(answer)
    split = _best_split(features, labels, n_classes=n_classes)
    if split is None:
        return _Node(answer)
    below = features[:, split.feature] <= split.threshold
    parts = [_grow(features[side], labels[side], n_classes=n_classes, depth=depth + 1) for side in (below, ~below)]
    return _Node(answer, split, *parts)


def _best_split(features: NDArray[np.float64], labels: NDArray[np.int64], *, n_classes: int) -> _Split | None:
    """The split with the smallest weighted impurity; ties go to the first column and the smallest threshold."""
    found = [
        split
        for feature in range(features.shape[1])
        if (split := _split_column(features[:, feature], labels, n_classes=n_classes, feature=feature))
    ]
    return min(found, key=lambda split: split.impurity, default=None)


def _split_column(
    column: NDArray[np.float64], labels: NDArray[np.int64], *, n_classes: int, feature: int
) -> _Split | None:
    order = np.argsort(column, kind="stable")
    values, n = column[order], len(column)
    left = np.eye(n_classes)[labels[order]].cumsum(axis=0)[:-1]
    n_left = np.arange(1, n)
    right = np.bincount(labels, minlength=n_classes) - left
    impurity = n - (left**2).sum(1) / n_left - (right**2).sum(1) / (n - n_left)
    allowed = (values[1:] > values[:-1]) & (n_left >= _MIN_LEAF) & (n - n_left >= _MIN_LEAF)
    if not allowed.any():
        return None
    at = int(np.where(allowed, impurity, np.inf).argmin())
    return _Split(feature, float((values[at] + values[at + 1]) / 2), float(impurity[at]))

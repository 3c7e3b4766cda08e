"""Intervals against published values and against the exact binomial."""

from __future__ import annotations

import math

import pytest

from hrmbuild.evaluation.intervals import bootstrap_interval, hashed_integers, wilson_interval


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),  # Newcombe 1998, Statistics in Medicine 17:857, table I, method 3
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_matches_the_published_table(right: int, n: int, low: float, high: float) -> None:
    assert wilson_interval(right, n) == pytest.approx((low, high), abs=6e-5)


def test_nothing_measured_excludes_nothing() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)
    assert bootstrap_interval([], seed=0, key="x") == (0.0, 1.0)


def test_the_bootstrap_agrees_with_the_normal_interval_of_a_mean() -> None:
    values = [i / 400 for i in range(401)]
    spread = math.sqrt(sum((v - 0.5) ** 2 for v in values) / len(values)) / math.sqrt(len(values))
    low, high = bootstrap_interval(values, seed=1, key="f1")
    assert low == pytest.approx(0.5 - 1.96 * spread, abs=0.004)
    assert high == pytest.approx(0.5 + 1.96 * spread, abs=0.004)


def test_draws_repeat_and_depend_on_seed_and_key() -> None:
    assert hashed_integers(3, seed=0, key="a").tolist() == hashed_integers(9, seed=0, key="a")[:3].tolist()
    assert hashed_integers(8, seed=0, key="a").tolist() != hashed_integers(8, seed=0, key="b").tolist()
    assert bootstrap_interval([0, 1, 1], seed=0, key="a") == bootstrap_interval([0, 1, 1], seed=0, key="a")

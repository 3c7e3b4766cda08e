"""Intervals against published values and against the exact binomial."""

from __future__ import annotations

import numpy as np
import pytest

from hrmbuild.evaluation.intervals import Resamples, hashed_integers, wilson_interval


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
    nothing = Resamples(["a"], seed=0).mean([None])
    assert (nothing.n, nothing.interval) == (0, (0.0, 1.0))


def alone(n: int) -> Resamples:
    return Resamples([f"q{i}" for i in range(n)], seed=1)


def test_values_that_stand_alone_have_wilsons_interval_or_a_little_more() -> None:
    for right, n in ((94, 95), (50, 100), (700, 1000)):
        low, high = wilson_interval(right, n)
        found = alone(n).mean([i < right for i in range(n)])
        assert found.low <= low + 2e-3 and found.high >= high - 2e-3
        assert found.high - found.low < 1.15 * (high - low)


def test_where_all_agree_the_interval_is_that_of_as_many_answers_as_clusters() -> None:
    assert alone(95).mean([True] * 95).interval == wilson_interval(95, 95)
    one = Resamples(["rules gifts"] * 141, seed=0).mean([False] * 141)
    assert one.interval == wilson_interval(0, 1) and one.high > 0.75
    mixed = Resamples(["rules gifts"] * 141, seed=0).mean([i % 2 == 0 for i in range(141)])
    assert mixed.high - mixed.low > 0.75


def test_answers_that_hang_together_count_for_fewer() -> None:
    right = [i // 20 % 2 == 0 for i in range(400)]
    apart = alone(400).mean(right)
    together = Resamples([f"variant {i // 20}" for i in range(400)], seed=0).mean(right)
    assert (apart.n_clusters, together.n_clusters) == (400, 20)
    assert together.high - together.low > 3.5 * (apart.high - apart.low)


def test_the_interval_of_clusters_covers_the_truth_as_often_as_it_says() -> None:
    """200 samples of 30 clusters of 10 questions, of one share each from 0, 0.1 … 1: the true mean is 0.5."""
    covered = 0
    for sample in range(200):
        draws = hashed_integers(30 * 11, seed=sample, key="truth").reshape(30, 11) / 2**32
        shares = np.floor(draws[:, :1] * 11) / 10
        right = (draws[:, 1:] < shares).reshape(-1)
        names = [f"c{i // 10}" for i in range(300)]
        low, high = Resamples(names, seed=sample).mean([bool(one) for one in right]).interval
        covered += low <= 0.5 <= high
    assert 0.91 <= covered / 200 <= 0.995


def test_a_difference_is_of_the_same_questions() -> None:
    ours, theirs = [True] * 60 + [False] * 40, [True] * 50 + [False] * 50
    found = alone(100).difference(ours, theirs)
    assert found.mean == pytest.approx(0.1) and 0 < found.low < 0.1 < found.high < 0.2
    half = alone(100).difference(ours, [None] * 50 + [False] * 50)
    assert (half.n, half.mean) == (50, pytest.approx(0.2))
    assert Resamples(["one"] * 100, seed=0).difference(ours, theirs).interval == (-1.0, 1.0)
    few = alone(3).difference([True] * 3, [False] * 3)
    assert few.mean == 1 and few.low < 0.5


def test_draws_repeat_and_depend_on_seed_and_key() -> None:
    assert hashed_integers(3, seed=0, key="a").tolist() == hashed_integers(9, seed=0, key="a")[:3].tolist()
    assert hashed_integers(8, seed=0, key="a").tolist() != hashed_integers(8, seed=0, key="b").tolist()
    names, values = ["a", "b", "b", "c"], [True, False, True, False]
    turned = Resamples(names[::-1], seed=3).mean(values[::-1])
    assert Resamples(names, seed=3).mean(values) == turned

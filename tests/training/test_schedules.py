"""Literal tables of what each schedule gives."""

from __future__ import annotations

import pytest

from hrmbuild.training.schedules import backprop_depth, ema_decay, learning_rate, warm_up_steps


@pytest.mark.parametrize(
    ("step", "k"),
    [(0, 2), (6, 2), (7, 3), (13, 3), (14, 4), (19, 4), (20, 5), (21, 5), (99, 5), (100, 5)],
)
def test_k_grows_over_the_first_fifth_and_reaches_5_at_its_end(step: int, k: int) -> None:
    assert backprop_depth(step, 100) == k


def test_each_depth_below_5_takes_a_third_of_the_fifth() -> None:
    depths = [backprop_depth(step, 30_000) for step in range(30_000)]
    assert [depths.count(k) for k in (2, 3, 4, 5)] == [2_000, 2_000, 2_000, 24_000]


@pytest.mark.parametrize(("total", "expected"), [(1, 10), (200, 10), (400, 20), (40_000, 2_000), (300_000, 2_000)])
def test_warm_up_is_a_twentieth_between_10_and_2000(total: int, expected: int) -> None:
    assert warm_up_steps(total) == expected


@pytest.mark.parametrize(
    ("total", "expected"), [(5, 0.0), (10, 0.0), (100, 0.9), (400, 0.975), (99_999, 0.9999), (300_000, 0.9999)]
)
def test_the_average_covers_about_a_tenth_of_a_short_run(total: int, expected: float) -> None:
    assert ema_decay(total) == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize(("step", "expected"), [(0, 0.1), (4, 0.5), (9, 1.0), (10, 1.0), (199, 1.0)])
def test_the_rate_warms_up_and_stays(step: int, expected: float) -> None:
    assert learning_rate(step, 200, peak=1.0) == pytest.approx(expected)


@pytest.mark.parametrize(("step", "expected"), [(10, 1.0), (60, 0.55), (110, 0.1), (500, 0.1)])
def test_a_final_ratio_below_1_makes_a_cosine(step: int, expected: float) -> None:
    assert learning_rate(step, 110, peak=1.0, warm_up=10, final_ratio=0.1) == pytest.approx(expected)

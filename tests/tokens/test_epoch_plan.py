"""The plan of an epoch: exactly once, full, balanced, and a function of its arguments alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hrmbuild.config.presets import PRESETS
from hrmbuild.fingerprint import draw_fraction, sha256_hex
from hrmbuild.tokens.plan import PlanKey, StepShape, epoch_plan, step_shape

LENGTHS = Path(__file__).resolve().parents[1] / "benchmarks" / "lengths"
KEY = PlanKey(sha256_hex(b"corpus"), sha256_hex(b"tokenizer"), seed=0, epoch=0)
NANO = StepShape(1, 4096)
XL = StepShape(16, 12_288)


def drawn_lengths(n: int, *, mean: float, spread: float, most: int) -> np.ndarray:
    """About lognormal: exp of a sum of uniform draws."""
    sums = [sum(draw_fraction("length", i, str(j)) for j in range(6)) - 3 for i in range(n)]
    return np.clip(np.exp(np.log(mean) + spread * np.array(sums) * 2**0.5), 8, most).astype(np.int64)


def loads(plan, slots: np.ndarray) -> np.ndarray:
    return np.array([slots[pairs].sum() for step in range(plan.n_steps) for pairs in plan.step(step)])


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(1, 3)), min_size=1, max_size=80),
    st.sampled_from([StepShape(1, 40), StepShape(4, 64), StepShape(2, 500)]),
)
@settings(max_examples=150, deadline=None)
def test_every_pair_stands_in_an_epoch_as_often_as_it_repeats(pairs: list[tuple[int, int]], shape: StepShape) -> None:
    slots, repeats = (np.array(column) for column in zip(*pairs, strict=True))
    if slots.max() == 0:
        slots[0] = 1
    plan = epoch_plan(KEY, slots, shape=shape, repeats=repeats)
    assert np.bincount(plan.pairs, minlength=len(slots)).tolist() == np.where(slots > 0, repeats, 0).tolist()
    assert loads(plan, slots).max() <= shape.bin_tokens
    assert len(loads(plan, slots)) == plan.n_steps * shape.bins


@pytest.mark.parametrize(
    ("shape", "mean", "spread", "most"),
    [(NANO, 130, 0.3, 512), (NANO, 130, 0.8, 512), (XL, 300, 0.9, 4096), (XL, 1500, 0.7, 4096)],
)
def test_more_than_995_slots_of_1000_are_used(shape: StepShape, mean: int, spread: float, most: int) -> None:
    slots = drawn_lengths(2000, mean=mean, spread=spread, most=most)
    slots = np.tile(slots, -(-250 * shape.tokens // int(slots.sum())))
    plan = epoch_plan(KEY, slots, shape=shape)
    assert slots.sum() / (plan.n_steps * shape.tokens) >= 0.995


def test_flops_of_the_bins_of_a_step_are_within_two_percent() -> None:
    slots = np.tile(drawn_lengths(2000, mean=500, spread=0.9, most=4096), 20)
    plan = epoch_plan(KEY, slots, shape=XL)
    cost = 2 * 30.67e6 * slots + 4 * 1536 * 0.7 * slots**2  # one layer of XL: matrices, then attention
    ratios = []
    for step in range(plan.n_steps):
        costs = [cost[pairs].sum() for pairs in plan.step(step)]
        ratios.append(max(costs) / np.mean(costs))
    assert np.mean(ratios) <= 1.01 and np.quantile(ratios, 0.95) <= 1.02


@pytest.mark.parametrize("preset", ["nano", "B", "XL"])
@pytest.mark.parametrize("name", ["gsm8k", "scenarios", "mixed"])
def test_real_lengths_fill_their_slots_and_no_bin_of_any_step_has_two_percent_more_flops(
    name: str, preset: str
) -> None:
    lengths = np.array(json.loads((LENGTHS / f"{name}.json").read_text()))
    shape, width = step_shape(PRESETS[preset].batch_tokens), PRESETS[preset].hidden_size
    lengths = np.tile(lengths, (-(-250 * shape.tokens // int(lengths.sum())), 1))
    prefix, response = lengths[:, 0], lengths[:, 1] - 1
    slots = prefix + response
    plan = epoch_plan(KEY, slots, shape=shape)
    assert slots.sum() / (plan.n_steps * shape.tokens) >= 0.995
    cost = 24.0 * width**2 * slots + 4.0 * width * (prefix**2 + prefix * response + response**2 / 2)  # of one layer
    for step in range(plan.n_steps):
        costs = [cost[pairs].sum() for pairs in plan.step(step)]
        assert max(costs) <= 1.02 * np.mean(costs)


def test_steps_of_an_epoch_are_equally_large() -> None:
    slots = drawn_lengths(2000, mean=130, spread=0.5, most=512)
    sums = loads(epoch_plan(KEY, slots, shape=NANO), slots)
    assert sums.min() >= 0.95 * sums.max()


def test_a_plan_depends_on_every_part_of_its_key_and_on_nothing_else() -> None:
    slots = drawn_lengths(500, mean=100, spread=0.5, most=512)
    plans = [
        epoch_plan(key, slots, shape=NANO).pairs.tolist()
        for key in (
            KEY,
            PlanKey(KEY.content_root, KEY.tokenizer_sha256, 0, 0),
            PlanKey("0" * 64, KEY.tokenizer_sha256, 0, 0),
            PlanKey(KEY.content_root, "0" * 64, 0, 0),
            PlanKey(KEY.content_root, KEY.tokenizer_sha256, 1, 0),
            PlanKey(KEY.content_root, KEY.tokenizer_sha256, 0, 1),
        )
    ]
    assert plans[0] == plans[1]
    assert len({tuple(plan) for plan in plans}) == 5


def test_the_first_bin_of_a_small_plan_is_pinned() -> None:
    """A change of the draws or of the packing would continue interrupted runs on other batches."""
    plan = epoch_plan(KEY, np.arange(10, 50), shape=StepShape(2, 200))
    assert [pairs.tolist() for pairs in plan.step(0)] == [[0, 7, 12, 19, 24, 31, 36], [1, 6, 13, 18, 25, 30, 37]]


def test_pairs_of_equal_length_fill_what_whole_pairs_can_fill() -> None:
    plan = epoch_plan(KEY, np.full(20_000, 130), shape=NANO)
    assert plan.n_steps == -(-20_000 // (4096 // 130))


def test_a_pair_longer_than_a_bin_is_refused() -> None:
    with pytest.raises(ValueError, match="longer than a bin"):
        epoch_plan(KEY, np.array([41]), shape=StepShape(1, 40))


@pytest.mark.parametrize(
    ("batch_tokens", "bins"),
    [(4_096, 1), (8_192, 1), (32_768, 2), (131_072, 8), (172_032, 14), (196_608, 16), (262_144, 16)],
)
def test_steps_are_cut_as_the_presets_need(batch_tokens: int, bins: int) -> None:
    assert step_shape(batch_tokens) == StepShape(bins, batch_tokens // bins)

"""Caps and weights: which pairs an epoch takes, and that none is forgotten."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hrmbuild.fingerprint import sha256_hex
from hrmbuild.tokens.mix import MILLION, EpochMix, MixKey, repeats_in
from hrmbuild.tokens.plan import PlanKey, StepShape, epoch_plan

KEY = MixKey(sha256_hex(b"corpus"), sha256_hex(b"tokenizer"), seed=0)
SOURCES = tuple(sha256_hex(bytes([n])) for n in range(3))
OF_PAIR = np.array([0] * 20 + [1] * 7 + [2] * 3, dtype=np.uint32)


def mixed(showings: list[int], *, key: MixKey = KEY, trained: np.ndarray | None = None) -> EpochMix:
    taking_part = np.ones(len(OF_PAIR), dtype=bool) if trained is None else trained
    return EpochMix(key, OF_PAIR, trained=taking_part, showings=np.array(showings, dtype=np.int64), sources=SOURCES)


@given(
    st.tuples(st.integers(0, 60 * MILLION), st.integers(0, 20 * MILLION), st.integers(0, 9 * MILLION)),
    st.integers(1, 9),
    st.sets(st.integers(0, 29), max_size=10),
)
@settings(max_examples=100, deadline=None)
def test_pairs_of_a_file_are_seen_equally_often_and_as_many_as_asked(
    showings: tuple[int, int, int], n_epochs: int, left_out: set[int]
) -> None:
    trained = np.array([i not in left_out for i in range(len(OF_PAIR))])
    mix = mixed(list(showings), trained=trained)
    epochs = [mix.repeats(epoch) for epoch in range(n_epochs)]
    assert not any(epoch[~trained].any() for epoch in epochs)
    for source, asked in enumerate(showings):
        own = (source == OF_PAIR) & trained
        if not own.any():
            continue
        for epoch in epochs:
            assert abs(int(epoch[own].sum()) - asked / MILLION) < 1
        seen = np.sum(epochs, axis=0)[own]
        assert seen.max() - seen.min() <= 1
        assert abs(int(seen.sum()) - n_epochs * asked / MILLION) < 1


def test_whole_showings_are_exact_in_every_epoch() -> None:
    mix = mixed([20 * MILLION, 14 * MILLION, 9 * MILLION])
    for epoch in range(4):
        assert mix.repeats(epoch).tolist() == [1] * 20 + [2] * 7 + [3] * 3


def test_a_cap_takes_other_pairs_in_the_next_epoch_until_all_were_seen() -> None:
    mix = mixed([5 * MILLION, 7 * MILLION, 3 * MILLION])
    taken = [set(np.flatnonzero(mix.repeats(epoch)[:20]).tolist()) for epoch in range(4)]
    assert [len(one) for one in taken] == [5, 5, 5, 5] and set().union(*taken) == set(range(20))


def test_a_draw_depends_on_every_part_of_its_key_and_on_nothing_else() -> None:
    keys = [
        KEY,
        MixKey(KEY.content_root, KEY.tokenizer_sha256, 0),
        MixKey("0" * 64, KEY.tokenizer_sha256, 0),
        MixKey(KEY.content_root, "0" * 64, 0),
        MixKey(KEY.content_root, KEY.tokenizer_sha256, 1),
    ]
    drawn = [tuple(mixed([8 * MILLION, 0, 0], key=key).repeats(3).tolist()) for key in keys]
    assert drawn[0] == drawn[1] and len(set(drawn)) == 4


def test_the_first_epochs_of_a_small_mix_are_pinned() -> None:
    """A change of the draw would continue interrupted runs on other pairs."""
    mix = mixed([5 * MILLION, 3_500_000, MILLION])
    assert [np.flatnonzero(mix.repeats(epoch)).tolist() for epoch in range(2)] == [
        [4, 7, 13, 15, 16, 23, 24, 25, 27],
        [6, 8, 9, 18, 19, 20, 21, 22, 26, 28],
    ]


@pytest.mark.parametrize("epoch", [0, 1])
def test_a_plan_takes_what_the_mix_says(epoch: int) -> None:
    mix = mixed([5 * MILLION, 14 * MILLION, MILLION])
    drawn = repeats_in(mix, epoch)
    assert drawn is not None
    key = PlanKey(KEY.content_root, KEY.tokenizer_sha256, 0, epoch)
    plan = epoch_plan(key, np.full(len(OF_PAIR), 10), shape=StepShape(2, 40), repeats=drawn)
    assert np.bincount(plan.pairs, minlength=len(OF_PAIR)).tolist() == drawn.tolist()
    assert repeats_in(None, epoch) is None

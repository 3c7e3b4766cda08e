"""Canonical JSON against an independent implementation, and draws against literal values."""

from __future__ import annotations

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from hrmbuild.fingerprint import canonical_json, draw_below, draw_fraction, draw_integer, draw_order, hash_value

KEYS = st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]), max_size=8)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXTS
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4))


@given(VALUES)
def test_canonical_json_agrees_with_an_independent_implementation(value: object) -> None:
    assert canonical_json(value) == rfc8785.dumps(value)


@pytest.mark.parametrize("value", [1.5, {"a": [float("nan")]}, {1, 2}, b"x"])
def test_values_that_json_cannot_hold_exactly_are_refused(value: object) -> None:
    with pytest.raises(TypeError):
        canonical_json(value)


@pytest.mark.parametrize("value", [2**53, {"a": {"\U0001f600": 1}}])
def test_numbers_and_keys_outside_the_canonical_range_are_refused(value: object) -> None:
    with pytest.raises(ValueError):
        canonical_json(value)


def test_hashes_are_those_that_corpora_of_format_1_hold() -> None:
    assert hash_value(["direct", "a", "b"]) == "1c38811d4d65cf0ad4149f17c59d0ec0cf9623de7608fc8045cb7ad8a2a6d301"


def test_draws_are_those_of_format_1() -> None:
    assert [draw_below(100, "split", 0, f"k{i}") for i in range(5)] == [65, 17, 7, 33, 33]
    assert draw_order("abcdef", "order", 1, "x") == ["c", "a", "e", "b", "d", "f"]


def test_purpose_seed_and_key_cannot_be_shifted_into_one_another() -> None:
    assert draw_integer("a", 1, "1|b") != draw_integer("a", 11, "b")
    assert draw_integer("a|1", 1, "b") != draw_integer("a", 1, "1|b")


def test_fractions_are_spread_evenly() -> None:
    drawn = [draw_fraction("even", 3, str(i)) for i in range(10_000)]
    assert abs(sum(drawn) / len(drawn) - 0.5) < 0.01
    assert all(0 <= x < 1 for x in drawn)

"""Sides: the order of the keys, the shares, and values that must never move."""

from __future__ import annotations

from collections import Counter

import pytest

from hrmbuild.pairs.splits import assign, held_out_wordings, side, wording_side
from hrmbuild.records.pair import SplitKeys

NAMES = [f"rules/outcome/{register}_{n}.j2" for register in ("form", "mail", "policy") for n in (1, 2, 3)]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"document_side": "test", "variant_side": "dev", "wording_side": "test"}, ("test", "document")),
        ({"document_side": "train", "variant_side": "dev", "wording_side": "test"}, ("train", None)),
        ({"variant": "v", "variant_side": "dev", "wording": "w", "wording_side": "test"}, ("dev", "variant")),
        ({"variant": "v", "variant_side": "train", "wording": "w", "wording_side": "test"}, ("test", "wording")),
        ({"variant": "v", "variant_side": "train", "wording": "w", "wording_side": "train"}, ("train", None)),
        ({}, ("train", None)),
    ],
)
def test_first_match_wins_and_train_is_no_match(keys: dict[str, str], expected: tuple[str, str | None]) -> None:
    assert assign(SplitKeys.model_validate({"document": "d", **keys}), 0) == expected


def test_a_cell_is_drawn_when_nothing_above_it_is_held_out() -> None:
    held = next(f"cell{i}" for i in range(1000) if side(f"cell{i}", 7) == "test")
    keys = SplitKeys(document="d", variant="v", variant_side="train", wording="w", wording_side="train", cell=held)
    assert assign(keys, 7) == ("test", "cell")


def test_sides_are_five_and_ten_percent() -> None:
    counts = Counter(side(f"key {i}", 3) for i in range(20_000))
    assert 0.045 < counts["dev"] / 20_000 < 0.055
    assert 0.093 < counts["test"] / 20_000 < 0.107


def test_sides_of_known_keys_never_move() -> None:
    held_out = {key: side(key, 0) for key in (f"cell:c{i}" for i in range(35)) if side(key, 0) != "train"}
    assert held_out == {
        "cell:c3": "dev",
        "cell:c6": "test",
        "cell:c17": "test",
        "cell:c24": "test",
        "cell:c32": "dev",
        "cell:c34": "test",
    }


def test_two_wordings_of_a_kind_are_held_out_for_test_whatever_their_order() -> None:
    sides = Counter(wording_side(name, NAMES, 5) for name in NAMES)
    assert sides == {"test": 2, "train": 7}
    assert held_out_wordings(NAMES, 5) == held_out_wordings(NAMES[::-1], 5)


def test_a_kind_with_few_wordings_holds_none_out() -> None:
    assert held_out_wordings(NAMES[:4], 5) == frozenset()

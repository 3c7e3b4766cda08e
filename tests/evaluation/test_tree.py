"""The decision tree: rules it must find, and what it must not invent."""

from __future__ import annotations

import pytest

from hrmbuild.evaluation.tree import grow_tree


def _cases() -> list[dict[str, str]]:
    modes = ("air", "car", "rail")
    return [{"amount": str(a), "mode": m} for a in range(0, 1000, 20) for m in modes]


def _decide(case: dict[str, str]) -> str:
    if case["mode"] == "rail":
        return "approved"
    return "rejected" if float(case["amount"]) > 510 else "referred"


def test_a_tree_finds_a_threshold_and_a_category() -> None:
    cases = _cases()
    tree = grow_tree(cases, [_decide(case) for case in cases])
    unseen = [{"amount": str(a), "mode": m} for a in range(7, 1000, 20) for m in ("air", "rail")]
    assert [tree.predict(case) for case in unseen] == [_decide(case) for case in unseen]


def test_a_withheld_fact_is_a_value_of_its_own() -> None:
    cases = [{"amount": str(a)} for a in range(10, 30)] + [{} for _ in range(10)]
    tree = grow_tree(cases, ["known"] * 20 + ["not stated"] * 10)
    assert tree.predict({}) == "not stated"
    assert tree.predict({"amount": "12"}) == "known"


def test_an_unseen_category_falls_back_to_the_majority_of_its_side() -> None:
    tree = grow_tree([{"mode": "air"}] * 5 + [{"mode": "car"}] * 9, ["yes"] * 5 + ["no"] * 9)
    assert tree.predict({"mode": "ship"}) == "no"


def test_one_answer_needs_no_split() -> None:
    assert grow_tree([{"a": "1"}], ["yes"]).predict({}) == "yes"


def test_no_cases_are_refused() -> None:
    with pytest.raises(ValueError, match="needs cases"):
        grow_tree([], [])

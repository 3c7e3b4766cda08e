"""The report for rule owners finds what was planted, and nothing in the example company's rules but real overlaps."""

from __future__ import annotations

from typing import Any

import pytest
from ruleset_support import EXAMPLES, PARKING, example_record, opened, ruleset

from hrmbuild.pairs.rules_checked import check_rules
from hrmbuild.pairs.rules_review import DeadRule, RuleReview, review_rules
from hrmbuild.records.ruleset import RuleSet


def review(rules: RuleSet) -> RuleReview:
    with opened() as connection:
        return review_rules(check_rules(rules, path="x.yaml", connection=connection), connection)


def rule(**keys: Any) -> dict[str, Any]:
    return {"text": "x", "because": "x", **keys}


def test_overlaps_gaps_and_unread_facts_are_found_with_an_example() -> None:
    found = review(ruleset())
    overlaps = {(o.deciding, o.other): o for o in found.overlaps}
    assert set(overlaps) == {("R1", "R2"), ("R2", "R3")}
    assert int(overlaps["R1", "R2"].example["distance"]) < 5
    assert overlaps["R1", "R2"].example["permit"] == "true"
    assert found.n_gap_cells and found.gap_example is not None
    assert found.unread_facts == ("colour",)
    assert found.is_exact and found.n_cells == 24


def test_dead_rules_are_told_apart() -> None:
    rules = [
        *PARKING["rules"],
        rule(id="R4", when="distance < 3", then="refuse"),
        rule(id="R5", when="distance > 50", then="refuse"),
    ]
    assert review(ruleset(rules=rules)).dead_rules == (DeadRule("R4", False), DeadRule("R5", True))


def test_a_parameter_that_no_rule_reads_is_named() -> None:
    parameters = {**PARKING["parameters"], "spare": {"value": "3"}}
    assert review(ruleset(parameters=parameters)).unread_parameters == ("spare",)


def test_thresholds_that_hang_on_other_facts_make_the_report_inexact() -> None:
    facts = {**PARKING["facts"], "reach": {"type": "integer", "text": "reach", "min": "0", "max": "40"}}
    rules = [*PARKING["rules"], rule(id="R4", when="distance > reach", then="refuse")]
    assert not review(ruleset(facts=facts, rules=rules)).is_exact


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_rules_have_no_gap_and_no_dead_rule(name: str) -> None:
    found = review(example_record(name).ruleset)
    assert (found.n_gap_cells, found.dead_rules, found.unread_facts, found.n_cells) == (0, (), ("branch",), 36)
    assert found.overlaps and all(count for count in found.outcome_cells.values())
    assert found.as_dict()["ruleset"] == found.ruleset

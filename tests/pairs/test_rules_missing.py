"""A withheld fact: undecidable exactly when two outcomes are possible over its whole range, tried value by value."""

from __future__ import annotations

from typing import Any

import pytest
from ruleset_support import PARKING, opened, ruleset

from hrmbuild.pairs.rules_checked import check_rules
from hrmbuild.pairs.rules_evaluate import evaluate
from hrmbuild.pairs.rules_missing import withhold, withholdable
from hrmbuild.pairs.scenarios import build_scenarios
from hrmbuild.pairs.variants import as_written
from hrmbuild.records.ruleset import RuleSet

ENTANGLED: dict[str, Any] = {
    "facts": {**PARKING["facts"], "reach": {"type": "integer", "text": "reach", "min": "0", "max": "30"}},
    "rules": [
        *PARKING["rules"],
        {"id": "R4", "when": "distance > reach + 3", "then": "refuse", "text": "Beyond: refuse.", "because": "far"},
    ],
}
DATED: dict[str, Any] = {
    "facts": {
        "lost": {"type": "date", "text": "lost", "min": "2024-02-20", "max": "2024-03-10"},
        "told": {"type": "date", "text": "told", "min": "2024-02-20", "max": "2024-03-30"},
    },
    "parameters": {"late": {"value": "10", "min": "5", "max": "15"}},
    "rules": [
        {"id": "R1", "when": "told - lost > late", "then": "refuse", "text": "Late: refuse.", "because": "late"},
        {"id": "R2", "when": "told >= DATE '2024-03-01'", "then": "share", "text": "March: share.", "because": "March"},
        {"id": "R3", "then": "give", "text": "Else: give.", "because": "else"},
    ],
}


@pytest.mark.parametrize(
    "rules", [ruleset(), ruleset(**ENTANGLED), ruleset(**DATED)], ids=["plain", "entangled", "dated"]
)
def test_undecidable_means_two_outcomes_over_the_whole_range(rules: RuleSet) -> None:
    with opened() as connection:
        checked = check_rules(rules, path="x.yaml", connection=connection)
        written = as_written(rules, in_force=checked.in_force)
        scenarios = build_scenarios(checked, [(written, 80)], boundary_fraction=0.5, seed=0, connection=connection)
        found = withhold(checked, scenarios, fraction=1, seed=0, connection=connection)
        assert len(found) == len(scenarios) > 60
        for withheld in found:
            case, size = withheld.scenario.case, checked.domains[withheld.fact].size
            every = [(written, (*case[: withheld.fact], i, *case[withheld.fact + 1 :])) for i in range(size)]
            outcomes = sorted({decision.outcome for decision in evaluate(checked, every, connection)})
            assert list(withheld.outcomes) == outcomes
            assert withheld.is_open == (len(outcomes) > 1) == (withheld.turns_on is not None)
        assert {withheld.is_open for withheld in found} == {True, False}


def test_a_fact_that_a_rule_asks_to_be_there_is_never_withheld() -> None:
    rules = [{**rule} for rule in PARKING["rules"]]
    rules[1]["when"] = "permit is not null and permit"
    with opened() as connection:
        checked = check_rules(ruleset(rules=rules), path="x.yaml", connection=connection)
    assert {checked.domains[i].name for i in withholdable(checked)} == {"distance"}

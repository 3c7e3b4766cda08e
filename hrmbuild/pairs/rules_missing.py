"""Cases from which a fact is withheld: can they still be decided?

Owns that question, answered over the withheld fact's whole range and never by sampling: one value for each interval
between thresholds, each category, or the whole grid where thresholds hang on other facts. It must not render text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hrmbuild.fingerprint import draw_fraction, draw_one
from hrmbuild.pairs.context import SqlConnection
from hrmbuild.pairs.rules_checked import CheckedRules
from hrmbuild.pairs.rules_evaluate import Case, Decision, evaluate
from hrmbuild.pairs.scenarios import Scenario, space_of

MAX_GRID = 5000
"""A fact with more values, whose thresholds hang on other facts, is never withheld."""
OPEN_FRACTION = 0.7
"""Chance that a withheld fact is one that the outcome hangs on, where there is such; else one that it does not."""


@dataclass(frozen=True)
class Withheld:
    """A scenario without one fact."""

    scenario: Scenario
    fact: int
    """Position of the withheld fact in the case."""
    outcomes: tuple[str, ...]
    """The outcomes possible over the fact's whole range, sorted; one when the fact does not matter."""
    turns_on: int | None
    """Position of the first rule that holds for some values of the fact and not for others; None when decided."""

    @property
    def is_open(self) -> bool:
        """Whether nothing can be decided without the fact."""
        return len(self.outcomes) > 1


def withhold(
    rules: CheckedRules, scenarios: Sequence[Scenario], *, fraction: float, seed: int, connection: SqlConnection
) -> list[Withheld]:
    """For a drawn share of the scenarios, one with a fact withheld."""
    drawn = [s for s in scenarios if draw_fraction("withhold", seed, _key(s)) < fraction]
    able = withholdable(rules)
    asked = [(scenario, fact) for scenario in drawn for fact in able]
    found: dict[int, list[Withheld]] = {}
    for candidate in possibilities(rules, asked, connection):
        found.setdefault(id(candidate.scenario), []).append(candidate)
    return [_choose(found[id(s)], s, seed=seed) for s in drawn if id(s) in found]


def _key(scenario: Scenario) -> str:
    return f"{scenario.variant.key}/{scenario.cell}/{scenario.case}"


def withholdable(rules: CheckedRules) -> list[int]:
    """Positions of the facts that can be withheld: read, not tested for null, of a range that can be gone through."""
    return [
        i
        for i, domain in enumerate(rules.domains)
        if domain.name in rules.read - rules.tested_for_null
        and not (domain.name in rules.entangled and domain.size > MAX_GRID)
    ]


def _choose(candidates: Sequence[Withheld], scenario: Scenario, *, seed: int) -> Withheld:
    wish = draw_fraction("open", seed, _key(scenario)) < OPEN_FRACTION
    wished = [c for c in candidates if c.is_open == wish] or list(candidates)
    return draw_one(wished, "withheld fact", seed, _key(scenario))


def possibilities(
    rules: CheckedRules, asked: Sequence[tuple[Scenario, int]], connection: SqlConnection
) -> Iterator[Withheld]:
    """What could be decided without a fact, for each scenario and fact asked about, in their order."""
    cases = [changed_cases(rules, scenario, fact) for scenario, fact in asked]
    flat = [(scenario.variant, case) for (scenario, _), own in zip(asked, cases, strict=True) for case in own]
    decisions = iter(evaluate(rules, flat, connection))
    for (scenario, fact), own in zip(asked, cases, strict=True):
        found = [next(decisions) for _ in own]
        outcomes = tuple(sorted({decision.outcome for decision in found}))
        turns_on = _turning_rule(scenario.variant.order, found) if len(outcomes) > 1 else None
        yield Withheld(scenario, fact, outcomes, turns_on)


def changed_cases(rules: CheckedRules, scenario: Scenario, fact: int) -> list[Case]:
    """The case with every value that one fact could have, one for each interval where that is enough."""
    domain = rules.domains[fact]
    if domain.name in rules.entangled:
        values: list[int] = list(range(domain.size))
    else:
        values = [interval[0] for interval in space_of(rules, scenario.variant).intervals[fact]]
    return [(*scenario.case[:fact], value, *scenario.case[fact + 1 :]) for value in values]


def _turning_rule(order: Sequence[int], decisions: Sequence[Decision]) -> int | None:
    """The first rule, in the order of decision, on which the decisions part."""
    for rule in order:
        holds = {rule in decision.fired for decision in decisions}
        if len(holds) == 2:
            return rule
        if holds == {True}:
            return rule  # always the deciding one: its amount hangs on the fact
    return None

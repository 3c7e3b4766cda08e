"""A report for the owner of a rule set: overlaps that disagree, dead rules, gaps.

Owns what is reported, found by evaluating every decision cell of the rule set as written. It must not print and must
not change a rule. Not covered: where a threshold hangs on another fact (`a > b`), a cell is judged by its middle only,
and `is_exact` says so.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from hrmbuild.pairs.context import SqlConnection
from hrmbuild.pairs.expression_nodes import column_names
from hrmbuild.pairs.rules_checked import CheckedRules
from hrmbuild.pairs.rules_evaluate import NO_RULE, Case, Decision, evaluate
from hrmbuild.pairs.scenarios import MAX_CELLS, space_of
from hrmbuild.pairs.variants import as_written


@dataclass(frozen=True)
class Overlap:
    """Two rules that hold together and say different things."""

    deciding: str
    """Id of the rule that comes first."""
    other: str
    n_cells: int
    example: Mapping[str, str]
    """Facts of one such case, as canonical texts."""


@dataclass(frozen=True)
class DeadRule:
    """A rule that decides nothing."""

    rule: str
    never_holds: bool
    """False: it holds in some cases, and rules before it decide them all."""


@dataclass(frozen=True)
class RuleReview:
    """What an owner should look at."""

    ruleset: str
    n_cells: int
    is_exact: bool
    """Whether cells decide: no threshold hangs on another fact, and no cell was left out for their number."""
    overlaps: tuple[Overlap, ...]
    dead_rules: tuple[DeadRule, ...]
    n_gap_cells: int
    gap_example: Mapping[str, str] | None
    outcome_cells: Mapping[str, int]
    """Outcome -> cells."""
    unread_facts: tuple[str, ...]
    """Facts that no rule reads: irrelevant, or forgotten."""
    unread_parameters: tuple[str, ...]

    def as_dict(self) -> dict[str, object]:
        """Plain JSON types."""
        return asdict(self)


def review_rules(rules: CheckedRules, connection: SqlConnection, *, seed: int = 0) -> RuleReview:
    """Evaluate the rule set as written in every decision cell."""
    written = as_written(rules.ruleset, in_force=rules.in_force)
    cells = space_of(rules, written).cells(seed=seed, key=rules.ruleset.ruleset)
    cases: list[Case] = [tuple(interval[len(interval) // 2] for interval in cell) for cell in cells]
    decisions = evaluate(rules, [(written, case) for case in cases], connection)
    gaps = [case for case, decision in zip(cases, decisions, strict=True) if not decision.fired]
    return RuleReview(
        ruleset=rules.ruleset.ruleset,
        n_cells=len(cells),
        is_exact=not rules.entangled and len(cells) < MAX_CELLS,
        overlaps=tuple(_overlaps(rules, cases, decisions)),
        dead_rules=tuple(_dead_rules(rules, decisions)),
        n_gap_cells=len(gaps),
        gap_example=_facts(rules, gaps[0]) if gaps else None,
        outcome_cells=dict(sorted(Counter(d.outcome for d in decisions).items())) if rules.ruleset.outcomes else {},
        unread_facts=tuple(domain.name for domain in rules.domains if domain.name not in rules.read),
        unread_parameters=tuple(sorted(set(rules.ruleset.parameters) - _read_names(rules))),
    )


def _overlaps(rules: CheckedRules, cases: Sequence[Case], decisions: Sequence[Decision]) -> Iterable[Overlap]:
    """Pairs of conditional rules. One that always holds is a default and overlaps by design, but where the hit policy
    promises that rules keep apart (`unique`, also where they agree) or agree (`any`)."""
    policy = rules.ruleset.hit_policy
    found: dict[tuple[int, int], list[Case]] = {}
    for case, decision in zip(cases, decisions, strict=True):
        conditional = [i for i in decision.fired if rules.conditions[i] is not None or policy in ("unique", "any")]
        for first, second in itertools.combinations(conditional, 2):
            if policy == "unique" or rules.ruleset.rules[first].then != rules.ruleset.rules[second].then:
                found.setdefault((first, second), []).append(case)
    for (first, second), own in sorted(found.items()):
        ids = rules.ruleset.rules[first].id, rules.ruleset.rules[second].id
        yield Overlap(*ids, n_cells=len(own), example=_facts(rules, own[0]))


def _dead_rules(rules: CheckedRules, decisions: Sequence[Decision]) -> Iterable[DeadRule]:
    deciding = {decision.decided_by for decision in decisions if decision.outcome != NO_RULE}
    holding = {i for decision in decisions for i in decision.fired}
    for i in rules.in_force:
        if i not in deciding:
            yield DeadRule(rules.ruleset.rules[i].id, never_holds=i not in holding)


def _facts(rules: CheckedRules, case: Case) -> dict[str, str]:
    return {
        domain.name: domain.text(index)
        for domain, index in zip(rules.domains, case, strict=True)
        if domain.name in rules.read
    }


def _read_names(rules: CheckedRules) -> set[str]:
    nodes = (node for node in (*rules.conditions, *rules.amounts) if node is not None)
    return {name for node in nodes for name in column_names(node)}

"""What rules say about cases, computed by DuckDB over all cases at once.

Owns the table of cases that a query runs over and the choice of the deciding rule: the first that holds in the
variant's order. It must not draw anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from hrmbuild.pairs.context import SqlConnection
from hrmbuild.pairs.expression_nodes import Node, quoted, to_sql
from hrmbuild.pairs.rules_checked import CheckedRules
from hrmbuild.pairs.rules_domains import parameter_type
from hrmbuild.pairs.variants import Variant
from hrmbuild.records.ruleset import RuleSet

NO_RULE = "no rule applies"
"""The outcome in a gap."""
_CHUNK_CASES, _CHUNK_VALUES = 50_000, 1_000_000
"""Cases of one statement, and values of all of them: a table of hundreds of thresholds has as many columns."""

Case: TypeAlias = tuple[int, ...]
"""One index a fact, in the order of the file."""


@dataclass(frozen=True)
class Decision:
    """What a variant says about a case."""

    fired: tuple[int, ...]
    """Positions of the rules that hold, in the order of decision."""
    outcome: str
    """One of the outcomes, an amount as an exact decimal, or `NO_RULE`."""

    @property
    def decided_by(self) -> int | None:
        """Position of the deciding rule; None in a gap."""
        return self.fired[0] if self.fired else None


def evaluate(rules: CheckedRules, cases: Sequence[tuple[Variant, Case]], connection: SqlConnection) -> list[Decision]:
    """One decision a case, in the order given."""
    found: list[Decision] = []
    n_columns = max(1, len(rules.domains) + len(rules.ruleset.parameters))
    n = max(1, min(_CHUNK_CASES, _CHUNK_VALUES // n_columns))
    for start in range(0, len(cases), n):
        chunk = cases[start : start + n]
        rows = connection.execute(_query(rules), _columns(rules, chunk)).fetchall()
        found += [_decision(rules, variant, row) for (variant, _), row in zip(chunk, rows, strict=True)]
    return found


def _query(rules: CheckedRules) -> str:
    """One row a case: whether each rule holds, then each amount as text. Lists come in as bound parameters."""
    types = {domain.name: domain.type.sql for domain in rules.domains}
    types |= {name: parameter_type(p).sql for name, p in rules.ruleset.parameters.items()}
    lists = ", ".join(f"unnest(CAST(? AS VARCHAR[])) AS {quoted(name)}" for name in types)
    typed = ", ".join(f"CAST({quoted(name)} AS {kind}) AS {quoted(name)}" for name, kind in types.items())
    # A column's name may be that of a fact, so the row's number has one that no fact can have.
    numbered = f'SELECT {lists}, unnest(range(?)) AS "#"'
    holds = [f"({_condition_sql(node)}) IS TRUE" for node in rules.conditions]
    amounts = [_amount_sql(node, rules.ruleset.amount_decimals) for node in rules.amounts if node is not None]
    return f'SELECT {", ".join(holds + amounts)} FROM (SELECT "#", {typed} FROM ({numbered})) ORDER BY "#"'


def _condition_sql(node: Node | None) -> str:
    return "TRUE" if node is None else to_sql(node)


def _amount_sql(node: Node, decimals: int) -> str:
    return f"CAST(CAST(round({to_sql(node)}, {decimals}) AS DECIMAL(38, {decimals})) AS VARCHAR)"


def _columns(rules: CheckedRules, chunk: Sequence[tuple[Variant, Case]]) -> list[object]:
    columns: list[object] = []
    for i, domain in enumerate(rules.domains):
        texts = {index: domain.text(index) for index in {case[i] for _, case in chunk}}
        columns.append([texts[case[i]] for _, case in chunk])
    for name in rules.ruleset.parameters:
        columns.append([f"{variant.parameters[name]:f}" for variant, _ in chunk])
    return [*columns, len(chunk)]


def _decision(rules: CheckedRules, variant: Variant, row: tuple[object, ...]) -> Decision:
    fired = tuple(i for i in variant.order if row[i] is True)
    if not fired:
        return Decision((), NO_RULE)
    if rules.ruleset.outcomes:
        return Decision(fired, rules.ruleset.rules[fired[0]].then)
    amount = row[len(rules.conditions) + fired[0]]
    return Decision(fired, NO_RULE if amount is None else str(amount))


def breaks_promise(ruleset: RuleSet, decision: Decision) -> bool:
    """Whether rules hold together that the hit policy keeps apart (`unique`), or say different things (`any`)."""
    if ruleset.hit_policy == "unique":
        return len(decision.fired) > 1
    return ruleset.hit_policy == "any" and len({ruleset.rules[i].then for i in decision.fired}) > 1

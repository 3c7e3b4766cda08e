"""A rule set whose expressions have been checked: nodes, domains, thresholds.

Owns the step from the record to something that can be evaluated, and which facts matter. It must not draw cases.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from hrmbuild.errors import InputError
from hrmbuild.pairs.context import SqlConnection
from hrmbuild.pairs.expression_nodes import (
    Column,
    Compare,
    Constant,
    Day,
    In,
    IsNull,
    Node,
    Numeric,
    ValueType,
    children,
    column_names,
    walk,
)
from hrmbuild.pairs.expressions import parse_amount, parse_condition
from hrmbuild.pairs.rules_domains import Domain, Edge, domain_of, parameter_type
from hrmbuild.records.ruleset import Rule, RuleSet

_EDGES: dict[str, tuple[Edge, ...]] = {
    ">=": ("from",),
    "<": ("from",),
    ">": ("after",),
    "<=": ("after",),
    "=": ("from", "after"),
    "<>": ("from", "after"),
}
_MIRRORED = {">": "<", "<": ">", ">=": "<=", "<=": ">=", "=": "=", "<>": "<>"}


@dataclass(frozen=True)
class Threshold:
    """A place where a rule cuts the range of a fact."""

    fact: str
    edge: Edge
    reference: str | Decimal
    """A parameter's name, or a literal position."""

    def position(self, parameters: Mapping[str, Decimal]) -> Decimal:
        """Where it stands under some parameters."""
        return parameters[self.reference] if isinstance(self.reference, str) else self.reference


@dataclass(frozen=True)
class CheckedRules:
    """A rule set that is ready to be evaluated. Rules are named by their position in the file."""

    ruleset: RuleSet
    domains: tuple[Domain, ...]
    """One a fact, in the order of the file; a case is one index each."""
    conditions: tuple[Node | None, ...]
    """One a rule; None holds always."""
    amounts: tuple[Node | None, ...]
    """One a rule, where the rules give an amount."""
    in_force: tuple[int, ...]
    """Positions of the rules in force."""
    thresholds: tuple[tuple[Threshold, ...], ...]
    """One tuple a rule: where it cuts the range of a fact."""
    reads: tuple[frozenset[str], ...]
    """One set a rule: the facts that it reads."""
    entangled: frozenset[str]
    """Numbers and days whose thresholds hang on other facts: intervals do not decide for them."""
    tested_for_null: frozenset[str]
    """Facts that a rule asks to be there: to withhold one is to answer it."""

    @property
    def read(self) -> frozenset[str]:
        """Facts that some rule reads; the others are irrelevant."""
        return frozenset().union(*self.reads)

    def read_by(self, order: Iterable[int]) -> frozenset[str]:
        """Facts that some of these rules read."""
        return frozenset().union(*(self.reads[i] for i in order))

    def index_of(self, fact: str) -> int:
        """Position of a fact in a case."""
        return next(i for i, domain in enumerate(self.domains) if domain.name == fact)


def check_rules(
    ruleset: RuleSet, *, path: str, connection: SqlConnection, as_of: dt.date | None = None
) -> CheckedRules:
    """Parse and check every expression of a rule set.

    Args:
        path: the file's relative path, for messages.
        as_of: the day that decides which dated rules are in force.

    Raises:
        InputError: `compile.expression` (with all faulty expressions in `more`), `compile.no_as_of`.
    """
    domains = tuple(domain_of(name, fact) for name, fact in ruleset.facts.items())
    columns: dict[str, ValueType] = {domain.name: domain.type for domain in domains}
    columns |= {name: parameter_type(parameter) for name, parameter in ruleset.parameters.items()}
    conditions, amounts = _parsed(ruleset, columns, path=path, connection=connection)
    nodes = [node for node in (*conditions, *amounts) if node is not None]
    facts = {domain.name: domain for domain in domains}
    return CheckedRules(
        ruleset=ruleset,
        domains=domains,
        conditions=conditions,
        amounts=amounts,
        in_force=_in_force(ruleset, path=path, as_of=as_of),
        thresholds=tuple(_thresholds(pair, facts) for pair in zip(conditions, amounts, strict=True)),
        reads=tuple(_facts_of(pair, facts) for pair in zip(conditions, amounts, strict=True)),
        entangled=frozenset(name for node in nodes for name in _entangled(node, facts)),
        tested_for_null=frozenset(
            name for node in nodes for part in walk(node) if isinstance(part, IsNull) for name in column_names(part)
        ),
    )


def _parsed(
    ruleset: RuleSet, columns: dict[str, ValueType], *, path: str, connection: SqlConnection
) -> tuple[tuple[Node | None, ...], tuple[Node | None, ...]]:
    conditions: list[Node | None] = []
    amounts: list[Node | None] = []
    errors: list[InputError] = []
    for rule in ruleset.rules:
        where = f"{path}, rule {rule.id}"
        try:
            when = rule.when
            conditions.append(
                None if when is None else parse_condition(when, columns=columns, connection=connection, where=where)
            )
            amounts.append(
                None
                if ruleset.outcomes
                else parse_amount(rule.then, columns=columns, connection=connection, where=where)
            )
        except InputError as error:
            errors.append(error)
    if errors:
        first = errors[0]
        raise InputError(first.code, first.what, where=first.where, why=first.why, fix=first.fix, more=errors[1:])
    return tuple(conditions), tuple(amounts)


def _in_force(ruleset: RuleSet, *, path: str, as_of: dt.date | None) -> tuple[int, ...]:
    dated = [rule for rule in ruleset.rules if rule.effective_from or rule.effective_until]
    if dated and as_of is None:
        raise InputError(
            "compile.no_as_of",
            f"rule {dated[0].id} is dated, and no day says whether it is in force",
            where=path,
            fix="set as_of in hrmbuild.yaml",
        )
    return tuple(i for i, rule in enumerate(ruleset.rules) if as_of is None or _holds_on(rule, as_of.isoformat()))


def _holds_on(rule: Rule, day: str) -> bool:
    return (rule.effective_from or day) <= day <= (rule.effective_until or day)


def _thresholds(nodes: Iterable[Node | None], facts: dict[str, Domain]) -> tuple[Threshold, ...]:
    found = (t for node in nodes if node is not None for part in walk(node) for t in _cuts(part, facts))
    return tuple(dict.fromkeys(found))


def _facts_of(nodes: Iterable[Node | None], facts: Mapping[str, Domain]) -> frozenset[str]:
    return frozenset(name for node in nodes if node is not None for name in column_names(node) if name in facts)


def _cuts(node: Node, facts: dict[str, Domain]) -> Iterator[Threshold]:
    """The thresholds that one comparison (or `in`) of a single fact makes."""
    if isinstance(node, In) and isinstance(node.value, Column) and _is_ordered(node.value, facts):
        for option in node.options:
            for edge in _EDGES["="]:
                yield Threshold(node.value.name, edge, _reference(option))
    if not isinstance(node, Compare):
        return
    sides = _fact_and_reference(node, facts)
    if sides is None:
        return
    fact, reference, operator = sides
    for edge in _EDGES[operator]:
        yield Threshold(fact.name, edge, _reference(reference))


def _fact_and_reference(node: Compare, facts: dict[str, Domain]) -> tuple[Column, Column | Constant, str] | None:
    """The sides of `fact operator threshold`, turned round where the threshold stands first."""
    for one, other, operator in (
        (node.left, node.right, node.operator),
        (node.right, node.left, _MIRRORED[node.operator]),
    ):
        if not isinstance(one, Column) or not _is_ordered(one, facts):
            continue
        if isinstance(other, Constant) or (isinstance(other, Column) and other.name not in facts):
            return one, other, operator
    return None


def _reference(node: Column | Constant) -> str | Decimal:
    if isinstance(node, Column):
        return node.name
    if isinstance(node.type, Day):
        return Decimal(dt.date.fromisoformat(node.text).toordinal())
    assert isinstance(node.type, Numeric)
    return Decimal(node.text)


def _entangled(node: Node, facts: dict[str, Domain]) -> Iterator[str]:
    """Ordered facts of comparisons that are more than `fact operator threshold`, and of amounts."""
    if isinstance(node, Compare) and _fact_and_reference(node, facts) is not None:
        return
    if isinstance(node, In) and isinstance(node.value, Column):
        return
    if isinstance(node, Column) and _is_ordered(node, facts):
        yield node.name
    if isinstance(node, IsNull):
        return
    for child in children(node):
        yield from _entangled(child, facts)


def _is_ordered(column: Column, facts: dict[str, Domain]) -> bool:
    return column.name in facts and facts[column.name].ordered

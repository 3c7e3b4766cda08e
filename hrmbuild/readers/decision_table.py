"""A decision table, one row a rule, to rule sets: the same record that executable rules have.

Owns what rows mean: conditions joined by and, the hit policy, ids, grounds, and one rule set for each output column. It
must not read a file: sheets (`decision_sheets`) and DMN (`dmn`) hand it columns of texts. Hit policies C, R and O,
under which several rows answer together, are refused.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pydantic import ValidationError

from hrmbuild.errors import InputError
from hrmbuild.readers.decision_cells import Cell, CellError, parse_cell
from hrmbuild.readers.decision_domains import Axis, Condition, axis_of, cell_sql, cell_words, quoted
from hrmbuild.readers.table_shape import identifier
from hrmbuild.records.document import Record, RuleSetFile
from hrmbuild.records.locator import Locator
from hrmbuild.records.ruleset import FIRST_DECIDES, Parameter, Rule, RuleSet

HitPolicy = Literal["first", "unique", "any", "priority"]
HIT_POLICIES: dict[str, HitPolicy] = {"f": "first", "u": "unique", "a": "any", "p": "priority"}
_PREAMBLES = {
    "first": FIRST_DECIDES,
    "unique": "At most one rule holds.",
    "any": "Rules that hold together agree.",
    "priority": FIRST_DECIDES,
}
_AMOUNT = re.compile(r"-?\d+(?:\.\d+)?")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_ARITHMETIC = re.compile(r"\s*(?:(\d+(?:\.\d+)?)|([^\W\d]\w*(?: \w+)*)|([-+*()]))")
_NUMBER_IN_TEXT = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?![\w]|\.\d)")
_MOST_RULES = 1000
NOT_DECLARED = "no range declared"
"""What notes on assumed ranges say."""

Refusal = Callable[[int | None, str, str, str], InputError]
"""(row, column, what is wrong, what is expected) -> the error with the place of the cell; None is the header."""


@dataclass(frozen=True)
class Output:
    """A column of outcomes or amounts."""

    label: str
    cells: tuple[str | None, ...]
    order: tuple[str, ...] = ()
    """Declared outcomes, by falling priority."""
    unit: str | None = None
    is_amount: bool | None = None
    """None: it is one where every cell is a number."""


@dataclass(frozen=True)
class DecisionTable:
    """A table as it was found, with what its owner declared."""

    name: str
    title: str
    hit_policy: HitPolicy
    conditions: tuple[Condition, ...]
    """Their `cells` are filled in by `rule_sets`."""
    inputs: tuple[tuple[str | None, ...], ...]
    """The texts of the conditions: one tuple a column."""
    outputs: tuple[Output, ...]
    ids: tuple[str | None, ...]
    reasons: tuple[str | None, ...]
    citations: tuple[str | None, ...]
    feel: bool = False
    question: str | None = None


@dataclass(frozen=True)
class _Words:
    """One row, told."""

    sql: str | None
    condition: str
    ground: str


def hit_policy(text: str) -> HitPolicy:
    """The policy by its letter or its name.

    Raises:
        CellError: none, or one under which several rows answer together.
    """
    letter = text.strip().lower()
    known: dict[str, HitPolicy] = {**HIT_POLICIES, **{name: name for name in HIT_POLICIES.values()}}
    if letter in known:
        return known[letter]
    raise CellError(f"the hit policy {text.strip()!r} is not read", expected="U, F, A or P: one answer a case")


def rule_sets(table: DecisionTable, refuse: Refusal) -> list[RuleSet]:
    """One rule set an output.

    Raises:
        InputError: by `refuse`: a cell that cannot be read.
    """
    if not 1 <= len(table.ids) <= _MOST_RULES:
        raise refuse(None, "", f"the table has {len(table.ids)} rows", f"1 to {_MOST_RULES:,}")
    if not table.conditions or not table.outputs:
        raise refuse(None, "", "the table has no column of conditions or none of outcomes", "one of each at least")
    if table.hit_policy == "priority" and len(table.outputs) > 1:
        raise refuse(None, "", "hit policy P with several outputs", "one output, with its values in their order")
    axes, cells = _axes(table, refuse)
    rows = [_row(table, axes, cells, i) for i in range(len(table.ids))]
    return [_rule_set(table, output, axes, rows, refuse) for output in table.outputs]


def _axes(table: DecisionTable, refuse: Refusal) -> tuple[list[Axis], list[tuple[Cell, ...]]]:
    names = _names([condition.label for condition in table.conditions])
    axes: list[Axis] = []
    parsed: list[tuple[Cell, ...]] = []
    for name, condition, texts in zip(names, table.conditions, table.inputs, strict=True):
        cells = tuple(_cell(table, condition.label, i, text, refuse) for i, text in enumerate(texts))
        try:
            axes.append(axis_of(name, replace(condition, cells=cells)))
        except CellError as error:
            raise refuse(None, condition.label, error.what, error.expected) from None
        parsed.append(cells)
    return axes, parsed


def _cell(table: DecisionTable, label: str, row: int, text: str | None, refuse: Refusal) -> Cell:
    try:
        return parse_cell(text, feel=table.feel)
    except CellError as error:
        raise refuse(row, label, error.what, error.expected) from None


def _names(labels: Sequence[str]) -> list[str]:
    """Identifiers of facts, apart from one another; in SQL they stand in quotes."""
    names = [re.sub(r"[^a-z0-9_]+", "_", identifier(label)).strip("_") or "fact" for label in labels]
    names = [name if name[0].isalpha() else f"fact_{name}" for name in names]
    counted = Counter(names)
    return [f"{name}_{i}" if counted[name] > 1 else name for i, name in enumerate(names, start=1)]


def _row(table: DecisionTable, axes: Sequence[Axis], cells: Sequence[tuple[Cell, ...]], i: int) -> _Words:
    read = [(axis, column[i]) for axis, column in zip(axes, cells, strict=True) if column[i].alternatives]
    parts = [sql for axis, cell in read if (sql := cell_sql(axis, cell)) is not None]
    told = ", ".join(f"{axis.fact.text} {cell_words(axis, cell)}" for axis, cell in read)
    ground = ", ".join(_ground(axis, cell) for axis, cell in read)
    return _Words(" AND ".join(parts) or None, told, ground)


def _ground(axis: Axis, cell: Cell) -> str:
    place = f"{axis.fact.text} {{{axis.name}}}"
    return place if axis.fact.type in ("choice", "boolean") else f"{place} is {cell_words(axis, cell)}"


@dataclass(frozen=True)
class _Ruled:
    """What the rows of one output share."""

    parameters: dict[str, Parameter]
    outcomes: tuple[str, ...]
    """Empty where the output is an amount."""
    decimals: int


def _rule_set(
    table: DecisionTable, output: Output, axes: Sequence[Axis], rows: Sequence[_Words], refuse: Refusal
) -> RuleSet:
    texts = [_outcome(output, i, refuse) for i in range(len(rows))]
    ruled = _ruled(output, axes, texts, refuse)
    thens = [_then(ruled, axes, text, refuse_at(refuse, i, output.label)) for i, text in enumerate(texts)]
    rules = (
        _rule(table, output, row, i, then=then, ruled=ruled)
        for i, (row, then) in enumerate(zip(rows, thens, strict=True))
    )
    try:
        return RuleSet(
            ruleset=_set_name(table, output),
            title=table.title,
            question=table.question or _question(output, ruled.outcomes),
            preamble=_PREAMBLES[table.hit_policy],
            hit_policy=table.hit_policy,
            facts={axis.name: axis.fact for axis in axes},
            parameters=ruled.parameters,
            outcomes=ruled.outcomes,
            amount_unit=None if ruled.outcomes else output.unit,
            amount_decimals=ruled.decimals,
            rules=tuple(rules),
        )
    except ValidationError as error:
        what = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise refuse(None, output.label, what, "a table as the guide describes it") from None


def _ruled(output: Output, axes: Sequence[Axis], texts: Sequence[str], refuse: Refusal) -> _Ruled:
    parameters = {name: p for axis in axes for name, p in axis.parameters.items()}
    is_amount = all(_AMOUNT.fullmatch(text) for text in texts) if output.is_amount is None else output.is_amount
    numbers = [i for i, text in enumerate(texts) if _AMOUNT.fullmatch(text)]
    if output.is_amount is None and not is_amount and numbers:
        raise refuse(numbers[0], output.label, "the outcomes are numbers and words", "a unit behind the column's name "
                     "(EUR) where they are amounts")  # fmt: skip
    if not is_amount:
        return _Ruled(parameters, _outcomes(output, texts, refuse), 2)
    decimals = max((len(number.partition(".")[2]) for text in texts for number in _NUMBER.findall(text)), default=0)
    return _Ruled(parameters, (), min(6, decimals))


def _then(ruled: _Ruled, axes: Sequence[Axis], text: str, refuse: Callable[[str], InputError]) -> str:
    if ruled.outcomes:
        return text
    return amount_sql(text, {axis.fact.text.lower(): quoted(axis) for axis in axes}, refuse)


def refuse_at(refuse: Refusal, row: int, column: str) -> Callable[[str], InputError]:
    """The refusal of an amount at a place."""
    return lambda what: refuse(row, column, what, _AMOUNTS)


def _question(output: Output, outcomes: Sequence[str]) -> str:
    values = ", ".join(outcomes[:-1]) + f" or {outcomes[-1]}" if len(outcomes) > 1 else ""
    return f"What is the {output.label}{': ' + values if values else ''}?"


def _told(output: Output, row: int) -> str:
    return " ".join((output.cells[row] or "").split())


_AMOUNTS = "a number, or numbers and number columns joined by + - *"


def amount_sql(text: str, labels: dict[str, str], refuse: Callable[[str], InputError]) -> str:
    """A number, or sums and products of numbers and named columns; nothing else reaches SQL."""
    parts: list[str] = []
    at, trimmed = 0, text.strip()
    while at < len(trimmed):
        match = _ARITHMETIC.match(trimmed, at)
        word = match.group(2) if match else None
        if match is None or (word is not None and word.lower() not in labels):
            raise refuse(f"the amount {trimmed[:80]!r} is not read at {trimmed[at : at + 20].strip()!r}")
        parts.append(labels[word.lower()] if word is not None else match.group(0).strip())
        at = match.end()
    return " ".join(parts)


def _outcome(output: Output, row: int, refuse: Refusal) -> str:
    text = _told(output, row)
    if not text or text == "-":
        raise refuse(row, output.label, "the row has no outcome", "an outcome in every row")
    if re.search(r"[{}]", text):
        raise refuse(row, output.label, "an outcome with curly braces", "words or a number")
    return text


def _outcomes(output: Output, texts: Sequence[str], refuse: Refusal) -> tuple[str, ...]:
    for i, text in enumerate(texts):
        if output.order and text not in output.order:
            raise refuse(i, output.label, f"{text!r} is none of the declared outcomes", ", ".join(output.order))
    return output.order or tuple(dict.fromkeys(texts))


def _rule(table: DecisionTable, output: Output, row: _Words, i: int, *, then: str, ruled: _Ruled) -> Rule:
    told = _told(output, i)
    amount = f"{told} {output.unit}" if output.unit and not ruled.outcomes else told
    reason = _reason(table.reasons[i], row.condition, ruled.parameters)
    ranked = table.hit_policy == "priority" and bool(ruled.outcomes)
    when = row.condition or ("otherwise" if table.hit_policy in ("first", "priority") else "always")
    return Rule(
        id=table.ids[i] or f"R{i + 1}",
        when=row.sql,
        then=then,
        text=f"{when}: {amount}" + (f" ({reason})" if reason else "") + ".",
        because=reason or row.ground or "no condition",
        citation=table.citations[i],
        priority=len(ruled.outcomes) - ruled.outcomes.index(told) if ranked else 0,
    )


def _reason(text: str | None, condition: str, parameters: dict[str, Parameter]) -> str | None:
    """The row's ground; a number in it that is one of the row's thresholds moves with it in variants."""
    if text is None:
        return None
    plain = " ".join(text.split()).rstrip(".").replace("{", "(").replace("}", ")")
    own = {p.value: name for name, p in parameters.items() if "{" + name + "}" in condition}
    return _NUMBER_IN_TEXT.sub(lambda m: "{" + own[m.group(0)] + "}" if m.group(0) in own else m.group(0), plain)


def _set_name(table: DecisionTable, output: Output) -> str:
    name = table.name if len(table.outputs) == 1 else f"{table.name}_{output.label}"
    plain = re.sub(r"[^a-z0-9_]+", "_", identifier(name)).strip("_")
    return plain if plain[:1].isalpha() else f"table_{plain}"


def row_places(ruleset: RuleSet, rows: Sequence[Locator]) -> dict[str, Locator]:
    """Rule id -> its row."""
    return {rule.id: place for rule, place in zip(ruleset.rules, rows, strict=True)}


def range_notes(table: DecisionTable, records: Sequence[Record]) -> list[str]:
    """The ranges that scenarios are drawn from and gaps are looked for in, where the owner declared none."""
    facts = next((list(one.ruleset.facts.values()) for one in records if isinstance(one, RuleSetFile)), [])
    told = [
        f"{fact.text} {fact.min} to {fact.max}{f' {fact.unit}' if fact.unit else ''}"
        for fact, column in zip(facts, table.conditions, strict=bool(facts))
        if fact.min is not None and None in (column.low, column.high)
    ]
    values = [
        f"{fact.text} {', '.join(fact.values)}"
        for fact, column in zip(facts, table.conditions, strict=bool(facts))
        if fact.type == "choice" and not column.values
    ]
    return [f"{NOT_DECLARED}, cases have {'; '.join([*told, *values])}"] if told or values else []

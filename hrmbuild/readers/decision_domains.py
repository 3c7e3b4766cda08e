"""A column of conditions: the fact that it asks for, the thresholds that variants may move, its SQL and its words.

Owns what is inferred from the cells of a column where its owner declared nothing: type, grid, range. It must not know
other columns. The SQL is put together from checked literals and names of our own making only.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from hrmbuild.readers.decision_cells import Bound, Cell, CellError, Value, ValueSort, parse_day, parse_number
from hrmbuild.records.ruleset import Fact, Parameter

_OTHER = "other"
_GRID_STEPS = 4
_SQL_SIGN = {"!=": "<>"}
_WORD = {"<=": "at most", "<": "under", ">=": "at least", ">": "over", "=": "", "!=": "not"}
_DAY_WORD = {"<=": "until", "<": "before", ">=": "from", ">": "after", "=": "", "!=": "not"}


@dataclass(frozen=True)
class Condition:
    """A column as its owner has it; what is None is inferred from the cells."""

    label: str
    cells: tuple[Cell, ...]
    sort: ValueSort | None = None
    whole: bool = False
    unit: str | None = None
    low: str | None = None
    high: str | None = None
    step: str | None = None
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Axis:
    """A column ready for rules."""

    name: str
    fact: Fact
    parameters: dict[str, Parameter]
    by_value: dict[str, str] = field(default_factory=dict)
    """Canonical number -> its parameter."""


def axis_of(name: str, column: Condition) -> Axis:
    """The fact and the thresholds of a column.

    Raises:
        CellError: its cells are of several types, or leave the declared range or values.
    """
    sort = _sort(column)
    match sort:
        case "boolean":
            return Axis(name, Fact(type="boolean", text=column.label), {})
        case "text":
            return Axis(name, Fact(type="choice", text=column.label, values=_choices(column)), {})
        case _:
            return _ordered(name, column, dated=sort == "date")


def _sort(column: Condition) -> ValueSort:
    found: set[ValueSort] = {value.sort for cell in column.cells for value in cell.values}
    if column.sort is not None:
        found |= {column.sort}
    if not found:
        raise CellError("every cell of the column is any value", expected="a condition in one row at least")
    if len(found) > 1:
        raise CellError(f"the column holds values of several types: {', '.join(sorted(found))}", expected="one type")
    return found.pop()


def _choices(column: Condition) -> tuple[str, ...]:
    seen = list(dict.fromkeys(value.text for cell in column.cells for value in cell.values))
    unknown = [text for text in seen if column.values and text not in column.values]
    if unknown:
        raise CellError(f"{unknown[0]!r} is none of the declared values", expected=", ".join(column.values))
    return column.values or (*seen, *([_OTHER] if _OTHER not in seen else []))


def _ordered(name: str, column: Condition, *, dated: bool) -> Axis:
    marks = sorted({value.position for cell in column.cells for value in cell.values})
    step = parse_number(column.step).position if column.step else _step(marks, whole=column.whole or dated)
    if step <= 0 or (dated and step != step.to_integral_value()):
        raise CellError(f"the step {column.step} leads nowhere", expected="a step over 0, of whole days for days")
    low, high = _range(column, marks, step, dated=dated)
    if low > high:
        raise CellError(f"the declared range {column.low} to {column.high} does not rise", expected="[0..1000]")
    outside = [mark for mark in marks if not low <= mark <= high]
    if outside:
        raise CellError(f"the value {_number(outside[0])} leaves the declared range",
                        expected=f"{_number(low)} to {_number(high)}")  # fmt: skip
    kind = "date" if dated else "integer" if step == step.to_integral_value() and low == int(low) else "decimal"
    write = _day if dated else _number
    fact = Fact(type=kind, text=column.label, unit=column.unit, min=write(low), max=write(high), step=_number(step))
    if dated:
        return Axis(name, fact, {})
    parameters = {
        f"{name}_at_{i}": _parameter(low, mark, high, marks, step, unit=column.unit)
        for i, mark in enumerate(marks, start=1)
    }
    return Axis(name, fact, parameters, {p.value: key for key, p in parameters.items()})


def _step(marks: Sequence[Decimal], *, whole: bool) -> Decimal:
    """The decimals that the cells are written with."""
    digits = max((max(0, -int(mark.normalize().as_tuple().exponent)) for mark in marks), default=0)
    return Decimal(1) if whole else Decimal(1).scaleb(-digits)


def _range(column: Condition, marks: Sequence[Decimal], step: Decimal, *, dated: bool) -> tuple[Decimal, Decimal]:
    """Declared, or from 0 (or as far below the lowest threshold as they reach) to half as far above the highest."""
    parse = parse_day if dated else parse_number
    declared = [None if text is None else parse(text).position for text in (column.low, column.high)]
    if not marks and None in declared:
        raise CellError("the column has no threshold and no declared range", expected="a range as [0..1000]")
    first, last = (marks[0], marks[-1]) if marks else (Decimal(0), Decimal(0))
    spread = max(last - first, 10 * step, Decimal(60) if dated else abs(last) / 2)
    start = first - spread if dated or first <= 0 else Decimal(0)
    low = declared[0] if declared[0] is not None else start
    # The grid begins at `low`, and every threshold must stand on it.
    high = declared[1] if declared[1] is not None else low + ((last + spread - low) // step) * step
    return low, high


def _parameter(
    low: Decimal, mark: Decimal, high: Decimal, marks: Sequence[Decimal], step: Decimal, *, unit: str | None
) -> Parameter:
    """A threshold that may move less than half the way to its neighbours, on round values; one that stands close to
    them stays where it is."""
    below = max((other for other in marks if other < mark), default=low)
    above = min((other for other in marks if other > mark), default=high)
    room = min(mark - below, above - mark) / 2
    coarse = _coarse(mark, room, step)
    n = int(room / coarse) - (1 if room % coarse == 0 else 0) if room > 0 else 0
    if n < 1:
        return Parameter(value=_number(mark), unit=unit)
    return Parameter(value=_number(mark), unit=unit, min=_number(mark - n * coarse), max=_number(mark + n * coarse),
                     step=_number(coarse))  # fmt: skip


def _coarse(mark: Decimal, room: Decimal, step: Decimal) -> Decimal:
    """The largest power of ten times `step` that divides the value and leaves some choice."""
    coarse = step
    while mark % (coarse * 10) == 0 and room / (coarse * 10) > _GRID_STEPS:
        coarse *= 10
    return coarse


def quoted(axis: Axis) -> str:
    """The fact's name as SQL has it, whatever word it is."""
    return f'"{axis.name}"'


def cell_sql(axis: Axis, cell: Cell) -> str | None:
    """The condition of a cell; None for any value."""
    if not cell.alternatives:
        return None
    one = " OR ".join("(" + " AND ".join(_bound_sql(axis, b) for b in bounds) + ")" for bounds in cell.alternatives)
    return f"NOT ({one})" if cell.negated else f"({one})"


def _bound_sql(axis: Axis, bound: Bound) -> str:
    if bound.value.sort == "boolean":
        return quoted(axis) if (bound.value.text == "true") == (bound.sign == "=") else f"NOT {quoted(axis)}"
    return f"{quoted(axis)} {_SQL_SIGN.get(bound.sign, bound.sign)} {_literal(axis, bound.value)}"


def _literal(axis: Axis, value: Value) -> str:
    match value.sort:
        case "text":
            return "'" + value.text.replace("'", "''") + "'"
        case "date":
            return f"DATE '{value.text}'"
        case _:
            return f'"{axis.by_value[_number(value.position)]}"'


def cell_words(axis: Axis, cell: Cell) -> str:
    """`at most {amount_at_1}`, `meals or travel`, `over {a} and at most {b}`; thresholds are places."""
    told = " or ".join(" and ".join(_bound_words(axis, bound) for bound in bounds) for bounds in cell.alternatives)
    return f"not {told}" if cell.negated else told


def _bound_words(axis: Axis, bound: Bound) -> str:
    sort, text = bound.value.sort, bound.value.text
    word = (_DAY_WORD if sort == "date" else _WORD)[bound.sign]
    if sort == "number":
        text = "{" + axis.by_value[_number(bound.value.position)] + "}"
    elif sort == "boolean":
        text = "yes" if text == "true" else "no"
    return f"{word} {text}".strip()


def _number(value: Decimal) -> str:
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _day(value: Decimal) -> str:
    return dt.date.fromordinal(int(value)).isoformat()

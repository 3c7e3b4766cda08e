"""The expressions that rules may use, as typed values, and the SQL they are run as.

Owns the nodes, their value types with exact bounds, and rendering. DuckDB only ever runs what is rendered from these
nodes, never the text that a rule owner wrote: what has no node cannot run. It must not parse and must not execute.

Exactness: each number carries its bounds and its decimals, and every operand is cast to the tightest DECIMAL that holds
it, so products and sums never leave DECIMAL and never overflow. DuckDB's `/` gives floats even for two DECIMALs, so a
quotient exists only inside `round(a / b, n)` and is computed in HUGEINT, half away from zero.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, TypeAlias

MAX_DIGITS = 18
"""Digits that a number of an expression may have: two of them multiplied still fit DuckDB's widest DECIMAL, 38."""

WIDEST = 38

CompareOperator = Literal["=", "<>", "<", "<=", ">", ">="]


@dataclass(frozen=True)
class Numeric:
    """An exact number between `low` and `high` with at most `scale` decimals."""

    low: Decimal
    high: Decimal
    scale: int

    @property
    def digits(self) -> int:
        """Digits that hold every value: those before the point and the decimals."""
        largest = max(abs(self.low), abs(self.high))
        whole = len(str(int(largest)))
        return max(1, whole + self.scale)

    @property
    def sql(self) -> str:
        """The tightest DECIMAL."""
        return f"DECIMAL({self.digits}, {self.scale})"


@dataclass(frozen=True)
class Text:
    """One of some words; `values` is None where any word may stand."""

    values: tuple[str, ...] | None = None
    sql: str = "VARCHAR"


@dataclass(frozen=True)
class Boolean:
    """True or false."""

    sql: str = "BOOLEAN"


@dataclass(frozen=True)
class Day:
    """A calendar day; `low` and `high` are ISO days."""

    low: str
    high: str
    sql: str = "DATE"


ValueType: TypeAlias = Numeric | Text | Boolean | Day


@dataclass(frozen=True)
class Column:
    """A fact or a parameter."""

    name: str
    type: ValueType


@dataclass(frozen=True)
class Constant:
    """A literal: canonical text of a number, a word, `true`/`false` or an ISO day."""

    text: str
    type: ValueType


@dataclass(frozen=True)
class Compare:
    """`left operator right`."""

    operator: CompareOperator
    left: Node
    right: Node
    type: Boolean = Boolean()


@dataclass(frozen=True)
class Junction:
    """`and` or `or` of two or more conditions."""

    word: Literal["AND", "OR"]
    parts: tuple[Node, ...]
    type: Boolean = Boolean()


@dataclass(frozen=True)
class Not:
    """A condition turned round."""

    part: Node
    type: Boolean = Boolean()


@dataclass(frozen=True)
class In:
    """`value in (…)`: the options are constants."""

    value: Node
    options: tuple[Constant, ...]
    type: Boolean = Boolean()


@dataclass(frozen=True)
class IsNull:
    """`value is null`."""

    value: Node
    type: Boolean = Boolean()


@dataclass(frozen=True)
class Arithmetic:
    """A sum, difference or product of two numbers."""

    operator: Literal["+", "-", "*"]
    left: Node
    right: Node
    type: Numeric


@dataclass(frozen=True)
class Quotient:
    """`round(left / right, n)`, half away from zero; NULL where `right` is zero, which only `nullif` lets pass."""

    left: Node
    right: Node
    type: Numeric


@dataclass(frozen=True)
class Round:
    """A number with fewer decimals, half away from zero."""

    value: Node
    type: Numeric


@dataclass(frozen=True)
class Extreme:
    """`least` or `greatest` of numbers."""

    word: Literal["least", "greatest"]
    parts: tuple[Node, ...]
    type: Numeric


@dataclass(frozen=True)
class DaysBetween:
    """Whole days from one day to another."""

    start: Node
    end: Node
    type: Numeric


Node: TypeAlias = (
    Column | Constant | Compare | Junction | Not | In | IsNull | Arithmetic | Quotient | Round | Extreme | DaysBetween
)


def children(node: Node) -> tuple[Node, ...]:
    """The nodes directly below."""
    match node:
        case Compare(left=left, right=right) | Arithmetic(left=left, right=right) | Quotient(left=left, right=right):
            return left, right
        case Junction(parts=parts) | Extreme(parts=parts):
            return parts
        case Not(part=part):
            return (part,)
        case IsNull(value=value) | Round(value=value):
            return (value,)
        case In(value=value, options=options):
            return value, *options
        case DaysBetween(start=start, end=end):
            return start, end
        case _:
            return ()


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it, in the order of the text."""
    yield node
    for child in children(node):
        yield from walk(child)


def column_names(node: Node) -> frozenset[str]:
    """Facts and parameters that the expression reads."""
    return frozenset(part.name for part in walk(node) if isinstance(part, Column))


def quoted(name: str) -> str:
    """An identifier that can be nothing else."""
    return '"' + name.replace('"', '""') + '"'


def to_sql(node: Node) -> str:
    """DuckDB's SQL of an expression, fully parenthesised; nothing of the owner's text but names and literals."""
    match node:
        case Column(name=name):
            return quoted(name)
        case Constant(text=text, type=kind):
            return _constant_sql(text, kind)
        case Compare(operator=operator, left=left, right=right):
            return f"({to_sql(left)} {operator} {to_sql(right)})"
        case Junction(word=word, parts=parts):
            return "(" + f" {word} ".join(map(to_sql, parts)) + ")"
        case Not(part=part):
            return f"(NOT {to_sql(part)})"
        case In(value=value, options=options):
            return f"({to_sql(value)} IN ({', '.join(map(to_sql, options))}))"
        case IsNull(value=value):
            return f"({to_sql(value)} IS NULL)"
        case _:
            return _number_sql(node)


def _number_sql(node: Node) -> str:
    match node:
        case Arithmetic(operator=operator, left=left, right=right, type=kind):
            return f"CAST(({_tight(left)} {operator} {_tight(right)}) AS {kind.sql})"
        case Quotient(left=left, right=right, type=kind):
            return _quotient_sql(left, right, kind)
        case Round(value=value, type=kind):
            return f"CAST(round({_tight(value)}, {kind.scale}) AS {kind.sql})"
        case Extreme(word=word, parts=parts, type=kind):
            return f"{word}({', '.join(f'CAST({to_sql(part)} AS {kind.sql})' for part in parts)})"
        case DaysBetween(start=start, end=end, type=kind):
            return f"CAST(date_diff('day', {to_sql(start)}, {to_sql(end)}) AS {kind.sql})"
        case _:
            raise AssertionError(f"no SQL for {type(node).__name__}")


def _tight(node: Node) -> str:
    return f"CAST({to_sql(node)} AS {node.type.sql})"


def _constant_sql(text: str, kind: ValueType) -> str:
    if isinstance(kind, Boolean):
        return text.upper()
    escaped = text.replace("'", "''")
    return f"CAST('{escaped}' AS {kind.sql})"


def _quotient_sql(left: Node, right: Node, kind: Numeric) -> str:
    """round(l / r, n) = sign · floor((2·|l|·10^n + |r|) / (2·|r|)) · 10^-n over whole numbers of a common scale."""
    scale = max(_scale(left), _scale(right))
    top, bottom = (f"CAST({to_sql(part)} * {10**scale} AS HUGEINT)" for part in (left, right))
    whole = f"(2 * abs({top}) * {10**kind.scale} + abs({bottom})) // nullif(2 * abs({bottom}), 0)"
    signed = f"(sign({top}) * sign({bottom}) * ({whole}))"
    return _shift(signed, kind)


def _shift(whole: str, kind: Numeric) -> str:
    """A whole number times 10^-scale, by a product of DECIMALs, which is exact."""
    unit = f"CAST('{Decimal(1).scaleb(-kind.scale):f}' AS DECIMAL({kind.scale + 1}, {kind.scale}))"
    return f"CAST(CAST({whole} AS DECIMAL({WIDEST - kind.scale - 1}, 0)) * {unit} AS {kind.sql})"


def _scale(node: Node) -> int:
    return node.type.scale if isinstance(node.type, Numeric) else 0

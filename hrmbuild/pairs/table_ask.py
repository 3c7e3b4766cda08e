"""A question about shown rows, before it has words: its SQL, what the SQL finds, its kind of answer, its draws.

Owns the shape that the kinds in `table_counts` and `table_amounts` fill, and exact ratios as SQL and in decimals.
It must not run SQL: each kind computes what its statement finds; `table_agreement` runs statements and compares.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from hrmbuild.fingerprint import draw_below, draw_one
from hrmbuild.pairs.table_columns import ColumnProfile, Role, Value
from hrmbuild.pairs.table_view import View

AnswerType = Literal["number", "text", "date", "boolean"]


@dataclass(frozen=True)
class Ask:
    """A question about a view."""

    sql: str
    """Over the view's table; its rows, in order, are the answer."""
    values: dict[str, object]
    """What the wordings may use."""
    found: tuple[object, ...]
    """What the SQL finds, computed from the shown cells in exact decimals: at most forty rows are read a hundred times
    faster than a statement over them is planned."""
    answer: AnswerType = "number"
    unit: str | None = None
    decimals: int = 0
    ground: str = ""
    """Said after the answer."""
    only_if: str | None = None
    """SQL that must give 1: no tie, no empty group."""
    is_clear: bool = True
    """Whether `only_if` gives 1, computed like `found`."""


@dataclass(frozen=True)
class Draws:
    """The chance of one question: every draw has its own name."""

    seed: int
    key: str

    def below(self, n: int, name: str) -> int:
        return draw_below(n, "table", self.seed, f"{self.key}:{name}")

    def value(self, view: View, column: ColumnProfile, name: str) -> Value:
        """One of the shown values of a column (never an empty cell)."""
        known = [value for value in view.values(column) if value is not None]
        return draw_one(known, "table", self.seed, f"{self.key}:{name}")

    def two_rows(self, view: View) -> tuple[int, int]:
        """Two different shown rows."""
        first = self.below(len(view.rows), "row 1")
        second = (first + 1 + self.below(len(view.rows) - 1, "row 2")) % len(view.rows)
        return view.rows[first], view.rows[second]


Columns = tuple[ColumnProfile, ...]
Build = Callable[[View, Columns, Draws], Ask | None]


@dataclass(frozen=True)
class Kind:
    """A kind of question and the columns it needs."""

    name: str
    needs: tuple[Role, ...]
    build: Build
    needs_empty: bool = False
    """Asks about empty cells; all other kinds are ambiguous where a needed cell is empty."""


def text_literal(value: object) -> str:
    """A value as SQL: numbers bare, days as DATE, words quoted."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, dt.date):
        return f"DATE '{value.isoformat()}'"
    return "'" + str(value).replace("'", "''") + "'"


def ratio_sql(above: str, below: str, decimals: int) -> str:
    """`above / below` of two integers, not negative, rounded half away from zero to `decimals`: exact, no float."""
    top, bottom = f"CAST({above} AS HUGEINT)", f"CAST({below} AS HUGEINT)"
    scaled = f"(2 * {top} * {10**decimals} + {bottom}) // (2 * {bottom})"
    return f"CAST({scaled} AS DECIMAL(28,0)) * CAST('{Decimal(1).scaleb(-decimals):f}' AS DECIMAL(9,{decimals}))"


def ratio(above: Decimal, below: Decimal, decimals: int) -> Decimal:
    """What `ratio_sql` gives, in whole numbers of the same size."""
    scale = 10 ** max(0, -int(above.as_tuple().exponent), -int(below.as_tuple().exponent))
    top, bottom = int(above * scale), int(below * scale)
    return Decimal((2 * top * 10**decimals + bottom) // (2 * bottom)).scaleb(-decimals)

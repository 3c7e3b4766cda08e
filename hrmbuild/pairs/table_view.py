"""Some rows and columns of a table as they are shown, and the SQL that runs over exactly these.

Owns drawing a view, its text, and its CTE: the query that a pair records holds its rows, so that it runs anywhere and
gives the same answer for ever.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property

from hrmbuild.fingerprint import draw_below
from hrmbuild.pairs.table_columns import ColumnProfile, Value
from hrmbuild.pairs.table_names import sql_name

MAX_SHOWN_ROWS = 40
"""More is not read, it is queried."""


@dataclass(frozen=True)
class View:
    """Rows (0-based numbers, in the table's order) and columns on display."""

    table: str
    columns: tuple[ColumnProfile, ...]
    rows: tuple[int, ...]

    @cached_property
    def text(self) -> str:
        """A header line and one line a row, cells apart by ` | `; an empty cell is `-`."""
        lines = [" | ".join(column.name for column in self.columns)]
        lines += [" | ".join(show(column.values[row], column) for column in self.columns) for row in self.rows]
        return "\n".join(lines)

    def values(self, column: ColumnProfile) -> list[Value]:
        """The shown cells of a column."""
        return [column.values[row] for row in self.rows]

    def numbers(self, column: ColumnProfile) -> list[Decimal]:
        """The shown cells of a number, all of them filled."""
        return [column.number_at(row) for row in self.rows]

    def rows_with(self, column: ColumnProfile, value: Value) -> list[int]:
        """The shown rows with this value, or without one."""
        return [row for row in self.rows if column.values[row] == value]

    def cte(self) -> str:
        """`WITH claims(a, b) AS (VALUES (...), ...)`: the shown rows as SQL."""
        names = ", ".join(column.sql_name for column in self.columns)
        rows = ", ".join("(" + ", ".join(_literal(c, c.values[row]) for c in self.columns) + ")" for row in self.rows)
        return f"WITH {sql_name(self.table)}({names}) AS (VALUES {rows})"


def show(value: Value, column: ColumnProfile) -> str:
    """A cell as text: numbers with the column's decimals, days as ISO 8601."""
    if value is None:
        return "-"
    if isinstance(value, Decimal):
        return f"{value:.{column.decimals}f}"
    return value.isoformat() if isinstance(value, dt.date) else value


def _literal(column: ColumnProfile, value: Value) -> str:
    text = "NULL" if value is None else "'" + show(value, column).replace("'", "''") + "'"
    return f"CAST({text} AS {column.sql_type})"


def draw_rows(rows: Sequence[int], wanted: int, seed: int, key: str) -> tuple[int, ...]:
    """`wanted` different ones of the given rows, in the table's order."""
    picked: set[int] = set()
    step = 0
    while len(picked) < min(wanted, len(rows)):
        picked.add(rows[draw_below(len(rows), "row", seed, f"{key}#{step}")])
        step += 1
    return tuple(sorted(picked))


def fit_rows(view_rows: Sequence[int], columns: tuple[ColumnProfile, ...], *, table: str, room: int) -> View | None:
    """The view with as many of the rows as fit into `room` bytes, at least three; None where they don't."""
    rows = tuple(view_rows)
    while len(rows) >= 3:
        view = View(table, columns, rows)
        if len(view.text.encode()) <= room:
            return view
        rows = rows[:-1]
    return None

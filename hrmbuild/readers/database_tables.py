"""Tables of a database, or columns of a Parquet file, to records: exact cells, names, keys, caps, and a skip for each
thing that is left out.

Owns how a value of a database becomes a cell and how many rows are taken. It must not open a database or know SQL.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from uuid import UUID

from hrmbuild.readers.result import SourceFile, skip
from hrmbuild.readers.table_shape import cell_text, identifier
from hrmbuild.records.document import Column, Fields, Record, Table
from hrmbuild.records.locator import Locator
from hrmbuild.records.source import Skip

MAX_ROWS = 200_000
"""Of one table: questions are asked over samples, and the compilers hold the cells in memory."""
MAX_CELLS = 5_000_000
MAX_TABLES = 500


class BadText:
    """Stands for a text that is not written in the database's encoding."""


@dataclass(frozen=True)
class StoredTable:
    """A table as the database tells it; `rows` are the first `row_cap(len(columns))` in the order of storage."""

    name: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[object]]
    n_rows: int
    """With those that were not taken."""
    key: str | None = None
    """The column of a primary key of one column."""
    references: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Column -> (table, column) of the foreign keys of one column."""


def row_cap(n_columns: int) -> int:
    """How many rows of a table are taken."""
    return max(1, min(MAX_ROWS, MAX_CELLS // max(1, n_columns)))


def plain_number(value: float) -> str:
    """A binary float as the shortest decimal that reads back as it, without an exponent."""
    number = Decimal(repr(value))
    if not number.is_finite():
        return str(value)
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def stored_text(value: object) -> str | None:
    """A stored value as a cell's text; None for NULL.

    Raises:
        TypeError: the value is none that a cell can hold: bytes, a list, a structure.
    """
    if value is None or isinstance(value, str):
        return None if value is None else cell_text(value)
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, Decimal):
        return f"{value:f}" if value.is_finite() else str(value)
    if isinstance(value, float):
        return plain_number(value)
    if isinstance(value, dt.datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, int | UUID | dt.timedelta):
        return str(value)
    raise TypeError(type(value).__name__)


def table_names(names: Iterable[str]) -> dict[str, str]:
    """Name in the database -> name in questions, each its own."""
    given: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        base = identifier(name)
        options = (base if n == 1 else f"{base}_{n}" for n in range(1, len(taken) + 3))
        given[name] = next(option for option in options if option not in taken)
        taken.add(given[name])
    return given


def stored_records(file: SourceFile, table: StoredTable, names: Mapping[str, str], skips: list[Skip]) -> list[Record]:
    """The table as one Table, or as one Fields a row where the source's kind is `pairs`; what is left out as skips."""
    cells = _cells(table, skips)
    if not table.rows or not cells:
        why = "the table holds no rows" if not table.rows else "no column of it can be shown as text"
        skips.append(skip("read.empty_table", why, Locator(sheet=table.name)))
        return []
    if table.n_rows > len(table.rows):
        detail = f"rows beyond the first {len(table.rows):,} are not read: {table.n_rows - len(table.rows):,}"
        place = Locator(sheet=table.name, row_from=len(table.rows) + 1, row_to=table.n_rows)
        skips.append(skip("read.row_cap", detail, place))
    if file.source.kind == "pairs":
        return list(_fields(file, table, cells))
    return [
        Table(
            source_sha256=file.sha256,
            path=file.relative,
            name=names[table.name],
            columns=tuple(Column(name=name, cells=tuple(column)) for name, column in cells.items()),
            locator=Locator(sheet=table.name, row_from=1, row_to=len(table.rows)),
            key=_spaced(table.key) if table.key else None,
            references=_references(table, names, cells),
        )
    ]


def _references(table: StoredTable, names: Mapping[str, str], cells: Mapping[str, object]) -> dict[str, str]:
    """By the names in questions; databases do not tell names apart by case."""
    folded = {name.casefold(): given for name, given in names.items()}
    return {
        _spaced(column): f"{folded[other.casefold()]}.{_spaced(target)}"
        for column, (other, target) in sorted(table.references.items())
        if other.casefold() in folded and _spaced(column) in cells
    }


def _spaced(name: str) -> str:
    return " ".join(name.split())


def _cells(table: StoredTable, skips: list[Skip]) -> dict[str, list[str | None]]:
    """Name -> texts, of the columns that hold any value that is text; other values are counted in a skip."""
    kept: dict[str, list[str | None]] = {}
    for index, name in enumerate(table.columns):
        column, left = _column([row[index] for row in table.rows])
        for sort, count in left.items():
            code, what = _LEFT_OUT.get(sort, ("read.nested_value", f"values of type {sort}"))
            skips.append(skip(code, f"column {name!r}: {what} are not read: {count:,}", Locator(sheet=table.name)))
        if not left or any(cell is not None for cell in column):
            kept[_spaced(name) or f"column_{index + 1}"] = column
    return kept


_LEFT_OUT = {
    "bytes": ("read.blob", "values of bytes"),
    "BadText": ("read.bad_unicode", "texts in another encoding than the database's"),
}


def _column(values: Sequence[object]) -> tuple[list[str | None], dict[str, int]]:
    cells: list[str | None] = []
    left: dict[str, int] = {}
    for value in values:
        try:
            cells.append(stored_text(value))
        except TypeError:
            cells.append(None)
            left[type(value).__name__] = left.get(type(value).__name__, 0) + 1
    return cells, dict(sorted(left.items()))


def _fields(file: SourceFile, table: StoredTable, cells: Mapping[str, Sequence[str | None]]) -> Iterator[Fields]:
    for number in range(1, len(table.rows) + 1):
        texts = {name: text for name, column in cells.items() if (text := column[number - 1]) is not None}
        place = Locator(sheet=table.name, row_from=number, row_to=number)
        yield Fields(source_sha256=file.sha256, path=file.relative, fields=texts, locator=place)

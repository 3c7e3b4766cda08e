"""What a column is: number, date, category, key, foreign key, personal; with unit and decimals.

Owns the inference and its overrides (`columns:` and `references:` of a source). `describe_columns` is what a user is
shown before anything is made. In doubt a column is `text`, and nothing is asked about it.
"""

from __future__ import annotations

import datetime as dt
import re
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Literal

from hrmbuild.config.project import SourceConfig
from hrmbuild.errors import ConfigError
from hrmbuild.pairs.table_names import sql_name
from hrmbuild.records.document import Column, Table

Role = Literal[
    "key", "foreign_key", "number", "date", "category", "text", "personal", "protected", "label", "ignore"
]  # fmt: skip
"""Nothing is asked about, by or beside a personal, protected, label or ignored column."""
Value = Decimal | dt.date | str | None

MAX_CATEGORIES = 12
"""More distinct values than this are names, not categories."""
DECLARED_ROLES: dict[str, Role] = {
    role: role for role in ("key", "ignore", "label", "personal", "protected", "text", "number", "date", "category")
}
_KEY_NAME = re.compile(r"(?:^|_)(?:id|key|code|no|nr|number|uuid|sku)$|(?-i:(?<=[a-z])I[Dd])$|^id$", re.I)
_PERSONAL_NAME = re.compile(
    r"(?:first|last|sur|middle|full|given|family|person|customer|employee|client|holder|contact|user)_?name$|^name$|"
    r"e_?mail|phone(?:_?(?:no|nr|number))?$|mobile$|street|address|birth(?!s$)|\bdob\b|iban|ssn|passport|gender|^sex$|religion|ethnic|nationality|"
    r"senior_?citizen|marital|^age$",
    re.I,
)
_NO_QUANTITY = re.compile(
    r"(?:^|[ _])(?:year|yr|fy|quarter|month|week|weekday|day|hour|(?:day|date)_of_(?:week|month|year)|rank|"
    r"zip|zip_?code|postal_?code|postcode|lat|latitude|lon|lng|longitude|id|code|no|nr|ext|extension|fax)$|"
    r"(?-i:(?<=[a-z])(?:I[Dd]|Code|No|Nr|Ext|Fax|Year|Month|Rank))$",
    re.I,
)
"""Numbers by their form only: nobody adds up years, ranks or postcodes."""
_NAMELESS = re.compile(r"\s*$|column_\d+$|Unnamed: \d+$|__index_level_\d+__$", re.I)
_PLAIN = re.compile(r"[+-]?\d+(?:\.\d+)?$")
_GROUPED = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?$")
_COMMA = re.compile(r"[+-]?(?:\d{1,3}(?:\.\d{3})+|\d+),\d{1,2}$")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}(?:[ T]00:00(?::00(?:\.0+)?)?Z?)?$")
_MOST_DECIMALS, _MOST_DIGITS = 6, 15
"""Beyond these a number is a measurement or a code: its sums would not fit a DECIMAL, nor its cells a shown row."""
_DRESS = re.compile(r"^(?P<open>\()?(?P<sign>-)?(?P<currency>[$€£])?\s?(?P<digits>[\d.,+-]+)\s?(?P<percent>%)?\)?$")
_CURRENCIES = {"$": "USD", "€": "EUR", "£": "GBP"}
_UNIT_SUFFIX = re.compile(
    r"(?:[_ (]|^)(eur|usd|gbp|chf|km|kg|kwh|kw|percent|pct|days|hours|minutes|months|years|pages)\)?$", re.I
)


@dataclass(frozen=True, eq=False)
class ColumnProfile:
    """A column with its parsed cells; equal by identity, since to compare cells would cost more than a draw."""

    name: str
    """As in the file; questions use it as it stands."""
    role: Role
    unit: str | None
    decimals: int
    """Largest number of decimals in the column; 0 where it is no number."""
    values: tuple[Value, ...]
    references: str | None = None
    """`table.column` of a foreign key."""

    @property
    def sql_name(self) -> str:
        """As SQL writes it."""
        return sql_name(self.name)

    @property
    def sql_type(self) -> str:
        """DECIMAL for numbers: sums of floats differ from run to run."""
        return {"number": f"DECIMAL(18,{self.decimals})", "date": "DATE"}.get(self.role, "VARCHAR")

    def number_at(self, row: int) -> Decimal:
        """A number that is there; an empty cell is our bug, the caller looks first."""
        value = self.values[row]
        assert isinstance(value, Decimal)
        return value

    def day_at(self, row: int) -> dt.date:
        """A day that is there."""
        value = self.values[row]
        assert isinstance(value, dt.date)
        return value

    @cached_property
    def empty_rows(self) -> frozenset[int]:
        """Rows whose cell is empty."""
        return frozenset(row for row, value in enumerate(self.values) if value is None)

    @cached_property
    def words(self) -> frozenset[str]:
        """The different values as texts."""
        return frozenset(str(value) for value in self.values if value is not None)

    @cached_property
    def distinct(self) -> int:
        """Number of different values."""
        return len({value for value in self.values if value is not None})

    def describe(self) -> str:
        """`amount_eur number EUR`, `status: open, settled`: as a schema shows it."""
        if self.role == "category":
            return f"{self.name}: {', '.join(sorted(self.words))}"
        if self.role == "foreign_key":
            return f"{self.name} -> {self.references}"
        shown = {"number": "number", "date": "date", "key": "key"}.get(self.role, "text")
        return f"{self.name} {shown}" + (f" {self.unit}" if self.unit else "")


_FLAGS = {Decimal(0), Decimal(1), None}
"""A column of these says yes or no; its mean is a share, and nobody asks for it so."""


def describe_columns(table: Table, settings: SourceConfig, siblings: Sequence[Table] = ()) -> tuple[ColumnProfile, ...]:
    """The profile of each column: declared where the source says so, else inferred.

    Raises:
        ConfigError: `columns` or `references` of the source name something else than a known role.
    """
    return tuple(_with_reference(column, table, settings, siblings) for column in _profiles(table, settings))


_KNOWN: dict[int, tuple[SourceConfig, tuple[ColumnProfile, ...]]] = {}
"""By the identity of a table, as long as it lives: every table of an entry looks at all others for keys, and to parse
all cells of all tables for each of them took most of the time where tables are many."""


def _profiles(table: Table, settings: SourceConfig) -> tuple[ColumnProfile, ...]:
    """The columns that may be asked about, before references."""
    known = _KNOWN.get(id(table))
    if known is not None and known[0] is settings:
        return known[1]
    columns = tuple(_profile(column, table, settings) for column in table.columns if _is_askable(column, table))
    if known is None:
        weakref.finalize(table, _KNOWN.pop, id(table), None)
    _KNOWN[id(table)] = (settings, columns)
    return columns


def _is_askable(column: Column, table: Table) -> bool:
    """SQL does not tell names apart by case, and nobody can ask for a column without a name."""
    same = [other for other in table.columns if other.name.casefold() == column.name.casefold()]
    return not _NAMELESS.match(column.name) and len(same) == 1


def _profile(column: Column, table: Table, settings: SourceConfig) -> ColumnProfile:
    cells = tuple(cell.strip() if cell and cell.strip() else None for cell in column.cells)
    declared = settings.columns.get(f"{table.name}.{column.name}") or settings.columns.get(column.name)
    role, _, unit = (declared or "").partition(":")
    if declared and role not in DECLARED_ROLES:
        raise ConfigError(
            "config.column_role",
            f"column {column.name!r} is declared as {declared!r}",
            where="sources.columns",
            fix=f"use one of {', '.join(DECLARED_ROLES)}; a unit follows `number:`",
        )
    position = table.columns.index(column)
    is_key = column.name == table.key and None not in cells
    return _parsed(column.name, cells, role=role or None, unit=unit or None, position=position, is_key=is_key)


def _parsed(
    name: str, cells: tuple[str | None, ...], *, role: str | None, unit: str | None, position: int,
    is_key: bool = False,
) -> ColumnProfile:  # fmt: skip
    if role is not None and role not in ("number", "date"):
        return ColumnProfile(name, DECLARED_ROLES[role], None, 0, cells)
    if not role and _PERSONAL_NAME.search(name):
        return ColumnProfile(name, "personal", None, 0, cells)
    if not role and (is_key or _is_key(name, cells, position)):
        return ColumnProfile(name, "key", None, 0, cells)
    numbers = read_numbers(cells) if role == "number" or not (role or _NO_QUANTITY.search(name)) else None
    if numbers and not (role is None and set(numbers.values) <= _FLAGS):
        return _number(name, numbers, unit)
    dates = _read_dates(cells) if role in (None, "date") else None
    if dates:
        return ColumnProfile(name, "date", None, 0, dates)
    return ColumnProfile(name, _category_or_text(cells), None, 0, cells)


def _is_key(name: str, cells: tuple[str | None, ...], position: int) -> bool:
    if None in cells or len(set(cells)) != len(cells) or len(cells) < 2:
        return False
    words = all(not _PLAIN.match(cell or "") for cell in cells)
    return bool(_KEY_NAME.search(name)) or (position == 0 and words)


def _category_or_text(cells: tuple[str | None, ...]) -> Literal["category", "text"]:
    known = [cell for cell in cells if cell is not None]
    distinct = set(known)
    few = 2 <= len(distinct) <= min(MAX_CATEGORIES, max(2, len(known) // 3))
    return "category" if few and max(map(len, distinct)) <= 40 else "text"


@dataclass(frozen=True)
class Numbers:
    """Cells as exact decimals, with what stood around them."""

    values: tuple[Decimal | None, ...]
    unit: str | None


def read_numbers(cells: Sequence[str | None]) -> Numbers | None:
    """All cells as decimals, or None where one is no number.

    `(12.3)` is negative; `1,234.5` and `1.234,5` are told apart by the column as a whole; a leading zero makes a code.
    """
    known = [cell for cell in cells if cell is not None]
    dressed = [_DRESS.match(cell) for cell in known]
    if not known or any(match is None for match in dressed):
        return None
    digits = [match["digits"] for match in dressed if match]
    comma = all(_COMMA.match(d) or _PLAIN.match(d) for d in digits) and any(_COMMA.match(d) for d in digits)
    if comma and any("." in d and not _COMMA.match(d) for d in digits):
        return None
    if not comma and not all(_PLAIN.match(d) or _GROUPED.match(d) for d in digits):
        return None
    if any(re.match(r"[+-]?0\d", d) for d in digits):
        return None
    marks = {match["currency"] or match["percent"] or "" for match in dressed if match}
    unit = marks.pop() if len(marks) == 1 else ""
    values = iter([_decimal(match, comma) for match in dressed if match])
    named = _CURRENCIES.get(unit, "percent" if unit == "%" else None)
    return Numbers(tuple(None if cell is None else next(values) for cell in cells), named)


def _decimal(match: re.Match[str], comma: bool) -> Decimal:
    digits = match["digits"]
    digits = digits.replace(".", "").replace(",", ".") if comma else digits.replace(",", "")
    value = Decimal(digits)
    return -value if match["open"] or match["sign"] else value


def _number(name: str, numbers: Numbers, unit: str | None) -> ColumnProfile:
    known = [value for value in numbers.values if value is not None]
    decimals = max(max(0, -int(value.as_tuple().exponent)) for value in known)
    digits = max(value.adjusted() + 1 for value in known)
    if decimals > _MOST_DECIMALS or digits + decimals > _MOST_DIGITS:
        words = tuple(None if value is None else f"{value:f}" for value in numbers.values)
        return ColumnProfile(name, "text", None, 0, words)
    suffix = _UNIT_SUFFIX.search(name)
    found = unit or numbers.unit or (_unit_name(suffix.group(1)) if suffix else None)
    return ColumnProfile(name, "number", found, decimals, numbers.values)


def _unit_name(suffix: str) -> str:
    lower = suffix.lower()
    return {"pct": "percent", "kwh": "kWh", "kw": "kW"}.get(lower, lower.upper() if len(lower) == 3 else lower)


def _read_dates(cells: Sequence[str | None]) -> tuple[dt.date | None, ...] | None:
    """ISO 8601 days only, also as databases write them, at midnight: 3/4/2025 is two days, and a time is no day."""
    if not any(cells) or any(cell is not None and not _DAY.match(cell) for cell in cells):
        return None
    try:
        return tuple(None if cell is None else dt.date.fromisoformat(cell[:10]) for cell in cells)
    except ValueError:
        return None


def _with_reference(
    column: ColumnProfile, table: Table, settings: SourceConfig, siblings: Sequence[Table]
) -> ColumnProfile:
    target = settings.references.get(f"{table.name}.{column.name}")
    if target is None and column.role in ("text", "category", "number"):
        target = table.references.get(column.name)
    if target is None and column.role in ("text", "category", "number") and _KEY_NAME.search(column.name):
        target = _inferred_reference(column, table, settings, siblings)
    if target is None:
        return column
    return ColumnProfile(
        column.name, "foreign_key", None, 0, tuple(None if v is None else str(v) for v in column.values), target
    )


def _inferred_reference(
    column: ColumnProfile, table: Table, settings: SourceConfig, siblings: Sequence[Table]
) -> str | None:
    """The one key of the same name in another table that holds all of this column's values."""
    values, found = column.words, []
    for other in sorted(siblings, key=lambda t: t.name):
        if other.name == table.name:
            continue
        for candidate in _profiles(other, settings):
            if candidate.name == column.name and candidate.role == "key" and values and values <= candidate.words:
                found.append(f"{other.name}.{candidate.name}")
    return found[0] if len(found) == 1 else None

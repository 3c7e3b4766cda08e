"""The cells of decision tables: unary tests of spreadsheets and of FEEL, to values.

Owns the grammar: `-` or nothing for any, `<= 500`, `500..1000`, `]500..1000]`, lists, `not(…)`, numbers, words,
booleans and days. It knows no function besides `date("…")` and `not`, and no name: whatever else stands in a cell is
refused, so that no cell becomes code. It must not know rows or columns.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

ValueSort = Literal["number", "text", "boolean", "date"]

_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?")
_BEARABLE = re.compile(r"[-+]?[0-9]{1,15}(?:\.[0-9]{1,9})?")
_GROUPED = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_DATE_CALL = re.compile(r'date\(\s*"(\d{4}-\d{2}-\d{2})"\s*\)')
_QUOTED = re.compile(r'"([^"\\{}]*)"')
_WORDS = re.compile(r"\w(?:[\w \-./&'+%:]*[\w.%+])?")
_COMPARE = re.compile(r"(<=|>=|!=|<|>|=|≤|≥|≠)\s*(.+)", re.DOTALL)
_RANGE = re.compile(r"([\[\](])?\s*(.+?)\s*\.\.\s*(.+?)\s*([\[\])])?", re.DOTALL)
_NOT = re.compile(r"not\s*\((.*)\)", re.IGNORECASE | re.DOTALL)
_SIGNS = {"≤": "<=", "≥": ">=", "≠": "!="}
_YES, _NO = ("yes", "true", "y"), ("no", "false", "n")
_MOST_CHARACTERS = 2000
EXPECTED = "-, a value, <=500, 500..1000, ]500..1000], a list with commas, or not(…)"


class CellError(Exception):
    """What is wrong with one cell, and what is expected."""

    def __init__(self, what: str, *, expected: str = EXPECTED) -> None:
        super().__init__(what)
        self.what, self.expected = what, expected


@dataclass(frozen=True)
class Value:
    """A literal with its canonical text: `500`, `meals`, `true`, `2024-01-31`."""

    sort: ValueSort
    text: str

    @property
    def position(self) -> Decimal:
        """A number as it is, a day as its ordinal."""
        return Decimal(dt.date.fromisoformat(self.text).toordinal()) if self.sort == "date" else Decimal(self.text)


@dataclass(frozen=True)
class Bound:
    """One comparison with a value: `<=`, `<`, `>=`, `>`, `=`, `!=`."""

    sign: str
    value: Value


@dataclass(frozen=True)
class Cell:
    """Alternatives, each of one or two bounds; none at all is any value."""

    alternatives: tuple[tuple[Bound, ...], ...] = ()
    negated: bool = False

    @property
    def values(self) -> Iterator[Value]:
        """All literals."""
        return (bound.value for bounds in self.alternatives for bound in bounds)


def parse_cell(text: str | None, *, feel: bool) -> Cell:
    """One input cell.

    Args:
        feel: words stand in quotes, as DMN has them; in a spreadsheet they stand bare.

    Raises:
        CellError: the cell holds something else.
    """
    trimmed = (text or "").strip()
    if trimmed in ("", "-", "–", "—"):
        return Cell()
    if len(trimmed) > _MOST_CHARACTERS:
        raise CellError(f"the cell has more than {_MOST_CHARACTERS:,} characters")
    inside = _NOT.fullmatch(trimmed)
    if not feel and _GROUPED.search(trimmed):
        raise CellError(f"in {trimmed!r} a comma may part thousands or values", expected="1000, or a list as 1, 200")
    parts = _parts(inside.group(1) if inside else trimmed)
    return Cell(tuple(_alternative(part, feel=feel) for part in parts), negated=inside is not None)


def _parts(text: str) -> list[str]:
    """Split at commas outside quotes."""
    parts = [part.strip() for part in re.split(r',(?=(?:[^"]*"[^"]*")*[^"]*$)', text)]
    if not all(parts):
        raise CellError(f"a list with an empty place: {text!r}")
    return parts


def _alternative(text: str, *, feel: bool) -> tuple[Bound, ...]:
    compared = _COMPARE.fullmatch(text)
    if compared:
        return (_bound(_SIGNS.get(compared.group(1), compared.group(1)), parse_value(compared.group(2), feel=feel)),)
    ranged = _RANGE.fullmatch(text) if not _QUOTED.fullmatch(text) else None
    return _interval(ranged, feel=feel) if ranged else (Bound("=", parse_value(text, feel=feel)),)


def _bound(sign: str, value: Value) -> Bound:
    if sign not in ("=", "!=") and value.sort in ("text", "boolean"):
        raise CellError(f"{value.text!r} has no order, so {sign} says nothing", expected="a number or a day after it")
    return Bound(sign, value)


def _interval(match: re.Match[str], *, feel: bool) -> tuple[Bound, ...]:
    opening, closing = match.group(1), match.group(4)
    if (opening is None) != (closing is None) or (feel and opening is None):
        raise CellError(f"the range {match.group(0)!r} has one bracket", expected="[a..b], ]a..b], (a..b) or a..b")
    low, high = (parse_value(match.group(i), feel=feel) for i in (2, 3))
    bounds = (_bound(">" if opening in ("]", "(") else ">=", low), _bound("<" if closing in ("[", ")") else "<=", high))
    if low.sort != high.sort or low.position > high.position:
        raise CellError(f"the range {match.group(0)!r} does not rise")
    return bounds


def parse_value(text: str, *, feel: bool) -> Value:
    """One literal.

    Raises:
        CellError: a name, a function, or anything else that is no value.
    """
    trimmed = text.strip()
    if _NUMBER.fullmatch(trimmed):
        return parse_number(trimmed)
    day = _DATE_CALL.fullmatch(trimmed)
    if day or (not feel and _DAY.fullmatch(trimmed)):
        return parse_day(day.group(1) if day else trimmed)
    quoted = _QUOTED.fullmatch(trimmed)
    if quoted:
        return Value("text", quoted.group(1))
    if trimmed in ("true", "false") or (not feel and trimmed.lower() in _YES + _NO):
        return Value("boolean", "true" if trimmed.lower() in _YES else "false")
    if not feel and _WORDS.fullmatch(trimmed):
        return Value("text", trimmed)
    raise CellError(f"{trimmed[:80]!r} is no value that a table may hold")


def parse_number(text: str) -> Value:
    """A number whose sums and shares stay exact in decimals of 28 digits.

    Raises:
        CellError: it is no number, or has more digits than that.
    """
    if not _BEARABLE.fullmatch(text.strip()):
        raise CellError(
            f"{text.strip()[:80]!r} is no number of at most 15 digits and 9 decimals", expected="500 or 0.5"
        )
    return Value("number", f"{Decimal(text.strip()):f}")


def parse_day(text: str) -> Value:
    """A day that leaves room for others before and after it.

    Raises:
        CellError: it is no day, or none of the years 1000 to 9000.
    """
    try:
        day = dt.date.fromisoformat(text.strip())
    except ValueError:
        raise CellError(f"{text.strip()[:80]!r} is no day", expected="a day as 2024-01-31") from None
    if not 1000 <= day.year <= 9000:
        raise CellError(f"{day} is no day of the years 1000 to 9000", expected="a day as 2024-01-31")
    return Value("date", day.isoformat())

"""Each number and date of an answer that is quoted from shown text stands in that text.

Owns the comparison of numbers and dates across ways of writing (`1,000.50` and `1.000,50`, `5 May 2026` and
`2026-05-05`). It applies to open-book pairs whose answer is quoted or absent; what is queried, evaluated or imported
is checked elsewhere. It must be lenient on notation and strict on value: a date that can be read two ways is grounded
by either (so is `2 500`: by 2,500, or by 2 and 500).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation

from hrmbuild.config.project import GatesConfig
from hrmbuild.gates.finding import Finding
from hrmbuild.records.pair import CompiledPair

NAME = "grounding"

_GROUNDED = frozenset({"quoted", "absent"})
_MONTHS = {
    name[:3]: number
    for number, name in enumerate(
        ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
         "december"), start=1)
}  # fmt: skip
_MONTH = r"\b(?P<month>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\.?"
_DATES = (
    re.compile(r"(?<!\d)(?P<year>\d{4})-(?P<m>\d{1,2})-(?P<d>\d{1,2})(?!\d)"),
    re.compile(
        rf"(?<!\d)(?P<d>\d{{1,2}})(?:st|nd|rd|th)?\.?\s+(?:of\s+)?{_MONTH},?\s+(?P<year>\d{{4}})(?!\d)", re.IGNORECASE
    ),
    re.compile(rf"{_MONTH}\s+(?P<d>\d{{1,2}})(?:st|nd|rd|th)?,?\s+(?P<year>\d{{4}})(?!\d)", re.IGNORECASE),
    re.compile(r"(?<!\d)(?P<d>\d{1,2})[./](?P<m>\d{1,2})[./](?P<year>\d{4})(?!\d)"),
)
_NUMBER = re.compile(r"\d+(?:[.,'’\u00a0\u202f ]\d{3}(?!\d))*(?:[.,]\d+)*")

Day = tuple[int, int, int]


def check(pair: CompiledPair, config: GatesConfig) -> Finding | None:
    """`gate.ungrounded_date`, `gate.ungrounded_number`."""
    if pair.book != "open" or pair.derivation not in _GROUNDED:
        return None
    shown_days = {day for _, days in _dates(pair.instruction) for day in days}
    rest = pair.response
    for words, days in list(_dates(pair.response)):
        if not days & shown_days and words not in pair.instruction:
            return Finding("gate.ungrounded_date", f"the answer's date {words!r} does not stand in what is shown")
        rest = rest.replace(words, " ")
    shown: set[Decimal] = set()
    for match in _NUMBER.finditer(pair.instruction):
        shown.update(readings(match.group()), *map(readings, match.group().split()))
    for match in _NUMBER.finditer(rest):
        if not readings(match.group()) & shown and not all(readings(part) & shown for part in match.group().split()):
            detail = f"the answer's number {match.group()!r} does not stand in what is shown"
            return Finding("gate.ungrounded_number", detail)
    return None


def _dates(text: str) -> Iterator[tuple[str, set[Day]]]:
    """Each date as written, with the days that it can mean."""
    for pattern in _DATES:
        for match in pattern.finditer(text):
            days = _days(match.groupdict())
            if days:
                yield match.group(), days


def _days(parts: dict[str, str | None]) -> set[Day]:
    year, day = int(parts.get("year") or 0), int(parts.get("d") or 0)
    month_name = parts.get("month")
    if month_name:
        return _valid({(year, _MONTHS[month_name[:3].lower()], day)})
    month = int(parts.get("m") or 0)
    return _valid({(year, month, day), (year, day, month)})


def _valid(days: set[Day]) -> set[Day]:
    return {(year, month, day) for year, month, day in days if 1 <= month <= 12 and 1 <= day <= 31}


def readings(written: str) -> set[Decimal]:
    """The values that a number as written can have: `1.000` is one thousand or one."""
    plain = re.sub(r"['’\u00a0\u202f ]", "", written)
    candidates = {plain.replace(",", ""), plain.replace(".", "").replace(",", ".")}
    return {value for candidate in candidates if (value := _decimal(candidate)) is not None} or {Decimal(-1)}


def _decimal(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except InvalidOperation:
        return None

"""What one sentence of a memo says, where its form leaves no doubt: decision, action, reason, figure.

Owns the patterns; each gives parts in the sentence's own words, or None. It must not know headers or documents.
"""

from __future__ import annotations

import datetime as dt
import re
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from hrmbuild.pairs.prose_patterns import is_subject, lower_first

_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_MONTH = "(?:" + "|".join(_MONTHS) + ")"
DATE = rf"(?:\d{{1,2}} {_MONTH}(?: \d{{4}})?|{_MONTH} \d{{1,2}}(?:, \d{{4}})?|\d{{4}}-\d{{2}}-\d{{2}})"


class Action(NamedTuple):
    """`<who> will <what> by <when>.`"""

    who: str
    what: str
    when: str
    """`by 17 January 2025`, as written."""


_ACTION = re.compile(
    rf"^(?P<who>[^,;:]{{3,60}}?) (?:will|is to|are to|shall|must) (?P<what>[a-z][^;:?]{{5,140}}?) "
    rf"(?P<when>(?:by|on) {DATE})\.?$"
)


def find_action(sentence: str) -> Action | None:
    """Someone's task with its day."""
    found = _ACTION.match(sentence)
    if not found or not is_subject(found["who"]) or found["who"].lower() in ("we", "you", "i"):
        return None
    if re.search(r"\b(?:will|shall|must|may|not)\b", found["what"]) or found["what"].startswith("be "):
        return None
    return Action(lower_first(found["who"]), found["what"], found["when"])


_DECISION = re.compile(
    r"^(?:It was|We(?: have)?|The [\w -]{3,40}?(?: has| have)?) (?:decided|agreed|resolved) "
    r"(?P<what>(?:to|that) [^:?]{10,200})\.$"
)


def find_decision(sentence: str) -> str | None:
    """`to raise the premium ...`: what was decided, as written."""
    found = _DECISION.match(sentence)
    return found["what"] if found else None


class Reason(NamedTuple):
    """A statement and its reason, as written."""

    statement: str
    reason: str
    """`because its customers wait for more than an hour`."""


_REASON = re.compile(r"^(?P<statement>[^;:?]{15,140}?),? (?P<reason>because (?!of\b)[^;:?]{12,140})\.$")


def find_reason(sentence: str) -> Reason | None:
    """`<statement> because <reason>.`"""
    found = _REASON.match(sentence)
    if not found or "because" in found["reason"][7:] or not found["statement"][0].isupper():
        return None
    leans = found["statement"].split()[0].lower() in ("it", "this", "that", "they", "these", "but", "and", "so", "not")
    leans = leans or found["statement"].split()[-1] in (
        "simply",
        "only",
        "just",
        "mainly",
        "partly",
        "precisely",
        "not",
    )
    return None if leans else Reason(found["statement"], found["reason"])


class Figure(NamedTuple):
    """The only number with a unit in a sentence, and the sentence with a gap in its place."""

    figure: str
    number: str
    unit: str
    scale: str | None
    """`million` where the sentence says so."""
    gap: str


_FIGURE = re.compile(
    r"(?P<currency>[$€£])?(?<![\d.,])(?P<number>\d+(?:,\d{3})*(?:\.\d+)?)(?:\s(?P<scale>thousand|million|billion|trillion))?"
    r"(?:\s?(?P<unit>EUR|USD|GBP|%|percent|kW|kWh|km|(?:new |open )?(?:claims|complaints|questions|employees|boxes|"
    r"addresses|letters|days|weeks|months|minutes|hours))(?!\w))?"
)
_SYMBOLS = {"$": "USD", "€": "EUR", "£": "GBP"}


def find_figure(sentence: str) -> Figure | None:
    """The one amount that a statement gives; questions, and sentences with a second number, have none."""
    found = list(_FIGURE.finditer(sentence))
    with_unit = [m for m in found if m["unit"] or m["currency"]]
    others = [m for m in found if m not in with_unit and not re.match(r"\d{4}$", m["number"])]
    if len(with_unit) != 1 or others or not 25 <= len(sentence) <= 170 or not sentence.endswith("."):
        return None
    match = with_unit[0]
    return Figure(
        figure=match.group(),
        number=match["number"].replace(",", ""),
        unit=match["unit"] or _SYMBOLS[match["currency"]],
        scale=match["scale"],
        gap=f"{sentence[: match.start()]}[...]{sentence[match.end() :]}",
    )


def read_day(words: str) -> str | None:
    """ISO 8601 of a day as people and mails write it; None where the year is missing or the form is unknown."""
    iso = re.match(r"(\d{4})-(\d{2})-(\d{2})", words)
    if iso:
        return _iso(int(iso[1]), int(iso[2]), int(iso[3]))
    day_first = re.search(rf"(\d{{1,2}})\.? ({_MONTH}),? (\d{{4}})", words)
    if day_first:
        return _iso(int(day_first[3]), _MONTHS.index(day_first[2]) + 1, int(day_first[1]))
    month_first = re.search(rf"({_MONTH}) (\d{{1,2}}), (\d{{4}})", words)
    if month_first:
        return _iso(int(month_first[3]), _MONTHS.index(month_first[1]) + 1, int(month_first[2]))
    try:
        return parsedate_to_datetime(words).date().isoformat()
    except (ValueError, TypeError, IndexError):
        return None


def _iso(year: int, month: int, day: int) -> str | None:
    try:
        return dt.date(year, month, day).isoformat()
    except ValueError:
        return None

"""One response against one typed answer: is it right, and how near is it?

Owns the reading of an answer out of a response: its first words under `direct`, what follows `####` (else the last
line) under a condition that reasons first. It must not know models, pairs or splits. Token F1 is SQuAD's
(arXiv 1606.05250), over case-folded words.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal

from hrmbuild.records.json_object import read_json_object, same_values
from hrmbuild.records.pair import Answer

_NUMBER = re.compile(r"[-−]?\d+(?:,\d{3})*(?:\.\d+)?(?![-,:/.]?\d)")
"""A whole number of prose: neither a part of a date, of a time, nor of digits that are grouped wrongly."""
_ISO_DATE = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})\b")
_LONG_DATE = re.compile(r"\b(\d{1,2}) ([A-Z][a-z]+) (\d{4})\b")
_NAMES = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_MONTHS = {form: number for number, name in enumerate(_NAMES, 1) for form in (name, name[:3])}
"""Number of a month by its name, or by three letters as mails have it."""
_SENTENCE_END = re.compile(r"[.!?;](?=\s|$)|\n")
_CLAUSE_END = re.compile(r"[.!?;:,](?=\s|$)|\n")
DECLINING = (
    "not stated",
    "not given",
    "not specified",
    "not mentioned",
    "not said",
    "unknown",
    "no information",
    "cannot be decided",
    "cannot be determined",
    "cannot be answered",
    "the text shown does not say",
    "the text does not say",
    "it is not stated",
)
"""Openings that decline. What is missing may follow."""
_CURRENCIES = {"€": "eur", "euro": "eur", "$": "usd", "dollar": "usd", "£": "gbp", "pound": "gbp"}
_PERCENT = {"%": "percent", "per": "percent"}
_UNITS = _CURRENCIES | _PERCENT
"""Other spellings of a unit's first word, singular."""
_YES, _NO = frozenset({"yes", "true"}), frozenset({"no", "false"})


@dataclass(frozen=True)
class Score:
    """What one response is worth."""

    exact: bool
    """The typed answer is the expected one (a number within its tolerance)."""
    f1: float
    """Token F1 against the expected words, 0 to 1; equals `exact` for every type but text."""


def score_response(answer: Answer, response: str, *, expected: str, condition: str = "direct") -> Score:
    """Score a response.

    Args:
        answer: the typed answer.
        expected: the whole expected response; texts may match it instead of the bare value.
        condition: `direct` answers first, the others reason first.
    """
    given = answer_part(response, condition=condition)
    if answer.type == "text":
        texts = [answer.value, answer_part(expected, condition=condition)]
        exact = any(words(given) == words(text) for text in texts)
        return Score(exact, max(token_f1(given, text) for text in texts))
    exact = _MATCHERS[answer.type](answer, given)
    return Score(exact, float(exact))


def answer_part(response: str, *, condition: str = "direct") -> str:
    """The part of a response that holds the answer."""
    text = unicodedata.normalize("NFC", response).strip()
    if condition == "direct":
        return text
    if "####" in text:
        return text.rsplit("####", 1)[1].strip()
    return text.splitlines()[-1].strip() if text else ""


def words(text: str) -> list[str]:
    """Case-folded words; marks between words are dropped, marks inside numbers stay."""
    folded = unicodedata.normalize("NFC", text).casefold()
    return re.findall(r"(?<!\w)[-−]\d+(?:[.,:/-]\d+)*|\d+(?:[.,:/-]\d+)*|\w+[+#]*|[%€$£]", folded)


def token_f1(given: str, expected: str) -> float:
    """Harmonic mean of the share of given words that are expected and of expected words that are given."""
    ours, theirs = Counter(words(given)), Counter(words(expected))
    common = (ours & theirs).total()
    if not ours or not theirs:
        return float(ours == theirs)
    return 2 * common / (ours.total() + theirs.total())


def starts_with(text: str, phrase: str) -> bool:
    """Whether the first words of `text` are those of `phrase`."""
    expected = words(phrase)
    return bool(expected) and words(text)[: len(expected)] == expected


def _choice(answer: Answer, given: str) -> bool:
    """The first clause is the choice, and the sentence names no other: "approved, refused" is no answer."""
    expected = words(answer.value)
    rest = _heads(given)[1][len(expected) :]
    others = [words(choice) for choice in answer.choices or () if choice != answer.value]
    return expected in _heads(given) and not any(_within(other, rest) for other in others)


def _heads(given: str) -> tuple[list[str], list[str]]:
    """Words of the first clause and of the first sentence: a choice may hold a comma of its own."""
    return words(_CLAUSE_END.split(given, maxsplit=1)[0]), words(_SENTENCE_END.split(given, maxsplit=1)[0])


def _within(part: list[str], whole: list[str]) -> bool:
    return any(whole[i : i + len(part)] == part for i in range(len(whole) - len(part) + 1))


def _number(answer: Answer, given: str) -> bool:
    head = _SENTENCE_END.split(given, maxsplit=1)[0]
    found = _NUMBER.search(head)
    if found is None or not _unit_fits(answer.unit, before=head[: found.start()], after=head[found.end() :]):
        return False
    number = Decimal(found.group().replace(",", "").replace("−", "-"))
    return abs(number - Decimal(answer.value)) <= Decimal(answer.tolerance or "0")


def _unit_fits(unit: str | None, *, before: str, after: str) -> bool:
    """A unit that is written must be the right one; one that is left out is forgiven. `day` passes for `days`, `€` for
    `EUR`; a sign may stand before the number.
    """
    expected = words(unit or "")[:1]
    sign = before.rstrip()[-1:]
    given = [sign] if sign in _CURRENCIES else words(after)[:1]
    return not given or not expected or _spelt(given[0]) == _spelt(expected[0])


def _spelt(word: str) -> str:
    singular = word.rstrip("s")
    return _UNITS.get(singular, singular)


def _date(answer: Answer, given: str) -> bool:
    return _dates(_SENTENCE_END.split(given, maxsplit=1)[0]) == {answer.value}


def _dates(text: str) -> set[str]:
    """Every day that a text names, ISO 8601."""
    long = [found.groups() for found in _LONG_DATE.finditer(text) if found.group(2) in _MONTHS]
    named = {f"{year}-{_MONTHS[month]:02d}-{int(day):02d}" for day, month, year in long}
    return named | {found.group() for found in _ISO_DATE.finditer(text)}


def _boolean(answer: Answer, given: str) -> bool:
    expected = _YES if answer.value.casefold() in _YES else _NO
    return any([word] in _heads(given) for word in expected)


def _sql(answer: Answer, given: str) -> bool:
    return given.split() == answer.value.split()


def _json(answer: Answer, given: str) -> bool:
    found, expected = read_json_object(given), read_json_object(answer.value)
    return found is not None and expected is not None and same_values(found, expected)


def declines(given: str) -> bool:
    """Whether a response opens by saying that what is shown does not answer the question."""
    return any(starts_with(given, phrase) for phrase in DECLINING)


def _absent(answer: Answer, given: str) -> bool:
    """A phrase that names what is missing must be said; one that names nothing stands for all of its kind."""
    return starts_with(given, answer.value) or (answer.value in DECLINING and declines(given))


_MATCHERS = {
    "choice": _choice,
    "number": _number,
    "date": _date,
    "boolean": _boolean,
    "sql": _sql,
    "json": _json,
    "absent": _absent,
}

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

from hrmbuild.records.pair import Answer

_NUMBER = re.compile(r"[-−]?\d+(?:,\d{3})*(?:\.\d+)?")
_ISO_DATE = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})\b")
_LONG_DATE = re.compile(r"\b(\d{1,2}) ([A-Z][a-z]+) (\d{4})\b")
_MONTHS = ["January", "February", "March", "April", "May", "June"]
_MONTHS += ["July", "August", "September", "October", "November", "December"]
_SENTENCE_END = re.compile(r"[.!?;](?=\s|$)|\n")
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
    return re.findall(r"\d+(?:[.,:/-]\d+)*|\w+|[%€$£]", folded)


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
    # The longest choice that fits is meant: "approved with a note" is not "approved".
    fitting = [choice for choice in {answer.value, *(answer.choices or ())} if starts_with(given, choice)]
    return bool(fitting) and words(max(fitting, key=len)) == words(answer.value)


def _number(answer: Answer, given: str) -> bool:
    head = _SENTENCE_END.split(given, maxsplit=1)[0]
    found = _NUMBER.search(head)
    if found is None or not _unit_fits(answer.unit, head[found.end() :]):
        return False
    number = Decimal(found.group().replace(",", "").replace("−", "-"))
    return abs(number - Decimal(answer.value)) <= Decimal(answer.tolerance or "0")


def _unit_fits(unit: str | None, after: str) -> bool:
    """A unit that is written must be the right one; one that is left out is forgiven. `day` passes for `days`."""
    given = words(after)[:1]
    expected = words(unit or "")[:1]
    return not given or not expected or given[0].rstrip("s") == expected[0].rstrip("s")


def _date(answer: Answer, given: str) -> bool:
    head = given.split("\n", 1)[0]
    if iso := _ISO_DATE.search(head):
        return iso.group() == answer.value
    if long := _LONG_DATE.search(head):
        day, month, year = long.groups()
        return month in _MONTHS and f"{year}-{_MONTHS.index(month) + 1:02d}-{int(day):02d}" == answer.value
    return False


def _boolean(answer: Answer, given: str) -> bool:
    first = set(words(given)[:1])
    expected = _YES if answer.value.casefold() in _YES else _NO
    return bool(first & expected)


def _sql(answer: Answer, given: str) -> bool:
    return given.split() == answer.value.split()


def _absent(answer: Answer, given: str) -> bool:
    return starts_with(given, answer.value)


_MATCHERS = {
    "choice": _choice,
    "number": _number,
    "date": _date,
    "boolean": _boolean,
    "sql": _sql,
    "absent": _absent,
}

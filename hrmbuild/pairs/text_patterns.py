"""Forms that any text has, rule or memo: a short form beside its long one, the one day in a sentence.

Owns the patterns; each gives parts in the sentence's own words, or None. It must not know documents.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from hrmbuild.pairs.memo_patterns import DATE, read_day

_SMALL = {"of", "the", "and", "for", "in", "on", "at", "to", "a", "an", "by", "with"}
_LONG_THEN_SHORT = re.compile(r"(?P<before>(?:[\w’'&-]+ ){1,9}[\w’'&-]+) \((?P<short>[A-Z]{2,6})s?\)")
_SHORT_THEN_LONG = re.compile(r"\b(?P<short>[A-Z]{2,6}) \((?P<long>(?:[\w’'&-]+ ){1,7}[\w’'&-]+)\)")


class Abbreviation(NamedTuple):
    """`FOMC`, and `Federal Open Market Committee`, both as written."""

    short: str
    long: str


def find_abbreviation(sentence: str) -> Abbreviation | None:
    """The one short form that a sentence spells out: each letter begins a word, small words may be passed over."""
    found = [one for match in _LONG_THEN_SHORT.finditer(sentence) if (one := _before(match["before"], match["short"]))]
    found += [
        Abbreviation(match["short"], match["long"])
        for match in _SHORT_THEN_LONG.finditer(sentence)
        if _spells(match["long"].split(), match["short"])
    ]
    return found[0] if len(found) == 1 else None


def _before(words_before: str, short: str) -> Abbreviation | None:
    """The words before the bracket, as many as the letters need."""
    words = words_before.split()
    for n in range(len(short), len(words) + 1):
        if _spells(words[-n:], short):
            return Abbreviation(short, re.sub(r"['’]s$", "", " ".join(words[-n:])))
    return None


def _spells(words: list[str], short: str) -> bool:
    parts = [part for word in words for part in re.split(r"[-&]", word) if part]
    bearing = [part for part in parts if part.lower() not in _SMALL]
    spelt = {"".join(part[0] for part in some).upper() for some in (parts, bearing)}
    return short in spelt and words[0].lower() not in _SMALL and words[-1].lower() not in _SMALL


class Day(NamedTuple):
    """The only day with a year in a sentence, and the sentence with a gap in its place."""

    words: str
    iso: str
    gap: str

    def says_as(self, sentence: str) -> bool:
        """Whether a sentence says the same of this or another day."""
        before, _, after = self.gap.partition("[...]")
        return len(sentence) >= len(before) + len(after) and sentence.startswith(before) and sentence.endswith(after)


_DAY = re.compile(rf"(?<![\w-]){DATE}(?![\w-])")
_DAY_WORDS = 8
"""A shorter sentence (`Retrieved on 8 July 2020.`) says too little of what happened on its day."""
_YEAR = re.compile(r"(?<!\d)(?:1[89]|20)\d\d(?!\d)")


def find_day(sentence: str) -> Day | None:
    """The one day that a statement gives; with a second day or year it is in doubt which is asked for."""
    found = list(_DAY.finditer(sentence))
    if len(found) != 1 or not 40 <= len(sentence) <= 200 or not sentence.endswith("."):
        return None
    match = found[0]
    iso = read_day(match.group())
    gap = f"{sentence[: match.start()]}[...]{sentence[match.end() :]}"
    in_doubt = _YEAR.search(gap) or "://" in gap or len(gap.split()) < _DAY_WORDS
    return Day(match.group(), iso, gap) if iso and not in_doubt else None

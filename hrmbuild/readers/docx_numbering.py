"""Numbers that Word draws before paragraphs: `3.2`, `(a)`, `iv.`; they stand in no text, only in counters.

Owns the counting (ECMA-376 part 1, 17.9). It must not read paragraphs: it is told of each in reading order.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import lxml.etree as etree

from hrmbuild.readers.archive import attribute, child, children, local_name

_PLACE = re.compile(r"%([1-9])")
_ROMAN = ((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"), (10, "x"),
          (9, "ix"), (5, "v"), (4, "iv"), (1, "i"))  # fmt: skip
_MAX_COUNT = 3000
"""Roman numerals and letters above this are written in digits."""


@dataclass(frozen=True)
class _Level:
    start: int
    style: str
    """`decimal`, `lowerLetter`, `bullet` …"""
    pattern: str
    """`%1.%2` and the signs around."""


@dataclass
class Numbering:
    """The lists of one document and where each has got to."""

    _lists: Mapping[str, tuple[str, Mapping[int, _Level]]]
    """Number id -> abstract id and its levels."""
    _counts: dict[tuple[str, int], int] = field(default_factory=dict)

    def next(self, list_id: str, level: int) -> tuple[str | None, bool]:
        """The number of the next paragraph of a list at a level (0-based), and whether the list is known at all.

        The number is None for a bullet.
        """
        known = self._lists.get(list_id)
        if known is None or level not in known[1]:
            return None, False
        abstract, levels = known
        here = levels[level]
        self._counts[abstract, level] = self._counts.get((abstract, level), here.start - 1) + 1
        for deeper in range(level + 1, 9):
            self._counts.pop((abstract, deeper), None)
        if here.style in ("bullet", "none"):
            return None, True
        return _PLACE.sub(lambda m: self._one(abstract, levels, int(m[1]) - 1), here.pattern).strip() or None, True

    def _one(self, abstract: str, levels: Mapping[int, _Level], level: int) -> str:
        declared = levels.get(level, _Level(1, "decimal", ""))
        return _written(self._counts.get((abstract, level), declared.start), declared.style)


def read_numbering(root: etree._Element | None) -> Numbering:
    """The lists of `word/numbering.xml`; none where there is no such part."""
    abstracts: dict[str, dict[int, _Level]] = {}
    lists: dict[str, tuple[str, Mapping[int, _Level]]] = {}
    for one in children(root):
        if local_name(one) == "abstractNum":
            abstracts[attribute(one, "abstractNumId") or ""] = _levels(one)
        elif local_name(one) == "num":
            abstract = attribute(child(one, "abstractNumId"), "val") or ""
            own = {
                number: level
                for override in children(one)
                if local_name(override) == "lvlOverride"
                for number, level in _levels(override).items()
            }
            key = f"{abstract}/{attribute(one, 'numId')}" if own else abstract
            lists[attribute(one, "numId") or ""] = (key, {**abstracts.get(abstract, {}), **own})
    return Numbering(lists)


def _levels(parent: etree._Element) -> dict[int, _Level]:
    found: dict[int, _Level] = {}
    for one in children(parent):
        number = attribute(one, "ilvl") or ""
        if local_name(one) == "lvl" and number.isdecimal():
            found[int(number)] = _Level(
                _whole(attribute(child(one, "start"), "val"), 1),
                attribute(child(one, "numFmt"), "val") or "decimal",
                attribute(child(one, "lvlText"), "val") or "",
            )
    return found


def _whole(text: str | None, otherwise: int) -> int:
    return int(text) if text and text.isdecimal() and len(text) < 7 else otherwise


def _written(count: int, style: str) -> str:
    if not 0 < count <= _MAX_COUNT:
        return str(count)
    if style in ("lowerLetter", "upperLetter"):
        letters = chr(ord("a") + (count - 1) % 26) * ((count - 1) // 26 + 1)
        return letters.upper() if style == "upperLetter" else letters
    if style in ("lowerRoman", "upperRoman"):
        letters = ""
        for value, sign in _ROMAN:
            letters += sign * (count // value)
            count %= value
        return letters.upper() if style == "upperRoman" else letters
    return f"{count:02}" if style == "decimalZero" else str(count)

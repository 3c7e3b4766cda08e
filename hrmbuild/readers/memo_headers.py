"""Header lines at the top of a memo: `From: …`, `**Date:** …`, several on one line, continued on indented lines.

Owns which lines are headers. A run counts when it names at least one header that memos use; it ends at the first line
that is neither `name: value` nor a continuation. It must not interpret values (dates stay as written).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from hrmbuild.readers.spans import Line, SourceText, nfc
from hrmbuild.records.locator import Locator

KNOWN = frozenset({
    "from", "to", "cc", "bcc", "date", "sent", "subject", "re", "owner", "author", "authors", "attendees",
    "participants", "present", "absent", "location", "place", "chair", "reference", "ref", "version", "effective",
    "status", "classification", "department", "prepared", "approved", "distribution", "through", "via",
})  # fmt: skip
_SYNONYMS = {"re": "subject", "sent": "date"}
_NAME = r"[A-Z][A-Za-z /-]{0,30}?"
_HEADER = re.compile(rf"(?P<mark>\*\*|__)?(?P<name>{_NAME})\s?(?::(?(mark)(?P=mark))|(?(mark)(?P=mark)):)(?:[ \t]+|$)")
_SEPARATOR = re.compile(r"\s*[|·;]\s*|[ \t]{2,}|(?<=\S)\s+(?=\*\*[A-Z])")
_MAX_LINE_CHARS = 2000
_MAX_LINES = 25
"""A memo's header stands at its top; a list of definitions further down is text."""


@dataclass(frozen=True)
class MemoHeaders:
    """Headers found at the top of a text."""

    values: dict[str, str] = field(default_factory=dict)
    locators: dict[str, Locator] = field(default_factory=dict)
    lines: frozenset[int] = frozenset()
    """Numbers of the lines that the headers take up."""


@dataclass(frozen=True)
class _Entry:
    name: str
    start: int
    end: int
    first: int
    last: int


def find_memo_headers(
    source: SourceText, *, first_line: int = 1, is_title: re.Pattern[str] | None = None
) -> MemoHeaders:
    """The header lines from `first_line` on; lines that `is_title` matches may stand above them."""
    entries = _run(source, first_line, is_title)
    if not any(entry.name.split()[0] in KNOWN for entry in entries):
        return MemoHeaders()
    return _collected(source, entries)


def _run(source: SourceText, first_line: int, is_title: re.Pattern[str] | None) -> list[_Entry]:
    entries: list[_Entry] = []
    for line in source.lines[first_line - 1 : first_line - 1 + _MAX_LINES]:
        if line.is_blank or (not entries and is_title and is_title.match(line.text)):
            continue
        found = _entries_of(line)
        if found:
            entries += found
        elif entries and line.text[0] in " \t" and line.number == entries[-1].last + 1:
            entries[-1] = _continued(entries[-1], line)
        else:
            break
    return _without_prose(entries)


def _without_prose(entries: list[_Entry]) -> list[_Entry]:
    """`Note: …` as the first sentence after the headers is text: unknown names count only between known ones."""
    while entries and entries[-1].name.split()[0] not in KNOWN:
        entries.pop()
    return entries


def _entries_of(line: Line) -> list[_Entry]:
    """All `name: value` of a line, or nothing when the line does not begin with one."""
    if len(line.text) > _MAX_LINE_CHARS:
        return []
    body = re.match(r"\s*(?:[-*+]\s+)?", line.text)
    start = body.end() if body else 0
    first = _HEADER.match(line.text, start)
    if first is None:
        return []
    heads = [first, *_further(line.text, first.end())]
    ends = [head.start() for head in heads[1:]] + [len(line.text)]
    return [_entry(line, head, end) for head, end in zip(heads, ends, strict=True)]


def _further(text: str, start: int) -> list[re.Match[str]]:
    found: list[re.Match[str]] = []
    for separator in _SEPARATOR.finditer(text, start):
        head = _HEADER.match(text, separator.end())
        if head and _key(head).split()[0] in KNOWN:
            found.append(head)
    return found


def _entry(line: Line, head: re.Match[str], end: int) -> _Entry:
    value = line.text[head.end() : end]
    words = value.rstrip().rstrip("\\|·;").rstrip()
    blanks = len(words) - len(words.lstrip())
    start = line.start + head.end() + blanks
    return _Entry(_key(head), start, max(start, line.start + head.end() + len(words)), line.number, line.number)


def _key(head: re.Match[str]) -> str:
    name = head["name"].strip().lower()
    return _SYNONYMS.get(name, name)


def _continued(entry: _Entry, line: Line) -> _Entry:
    return _Entry(entry.name, entry.start, line.start + len(line.text.rstrip()), entry.first, line.number)


def _collected(source: SourceText, entries: list[_Entry]) -> MemoHeaders:
    """The first of two equal names wins; the other stays text, and so does a name without a value."""
    values: dict[str, str] = {}
    locators: dict[str, Locator] = {}
    taken: set[int] = set()
    for entry in entries:
        start, end = source.trimmed(entry.start, entry.end)
        if entry.name in values or start == end:
            continue
        values[entry.name] = nfc(source.text[start:end])
        locators[entry.name] = source.locator(start, end)
        taken.update(range(entry.first, entry.last + 1))
    return MemoHeaders(values, locators, frozenset(taken))

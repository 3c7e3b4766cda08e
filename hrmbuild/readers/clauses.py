"""Numbered clauses inside one paragraph: cut where the next number of the same shape begins a line.

Owns that cut. It must not change the words: each piece is a span of the paragraph.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from hrmbuild.readers.outline import ENUMERATIONS, ClauseNumber, clause_number
from hrmbuild.readers.spans import SourceText
from hrmbuild.records.document import Block

_BOLD_NUMBER = re.compile(r"(?P<mark>\*\*|__)(?P<number>[^*_\n]{1,24}?)(?P=mark)[.:)]?\s+")


def leading_number(text: str) -> ClauseNumber | None:
    """The clause number at the beginning of `text`, also where it alone is set in bold: `**3.2** The traveller …`."""
    bold = _BOLD_NUMBER.match(text)
    if bold is None:
        return clause_number(text)
    inner = clause_number(bold["number"] + " X")
    if inner is None or inner.number not in (bold["number"], bold["number"].rstrip(".:)")):
        return None
    return ClauseNumber(inner.number, inner.shape, bold.end())


def clause_blocks(source: SourceText, start: int, end: int, *, path: tuple[str, ...], level: int | None) -> list[Block]:
    """The paragraph at `start`..`end` as one block, or as one a clause."""
    return [_block(source, *span, path=path, level=level) for span in _pieces(source, start, end)]


def _pieces(source: SourceText, start: int, end: int) -> Iterator[tuple[int, int]]:
    first = leading_number(source.text[start:end])
    if first is not None:
        at = source.text.find("\n", start, end)
        while at >= 0:
            begin, _ = source.trimmed(at, end)
            following = leading_number(source.text[begin:end])
            if following and following.shape == first.shape:
                yield source.trimmed(start, at)
                start = begin
            at = source.text.find("\n", begin, end)
    yield source.trimmed(start, end)


def _block(source: SourceText, start: int, end: int, *, path: tuple[str, ...], level: int | None) -> Block:
    clause = leading_number(source.text[start:end])
    if clause is None or clause.length >= end - start:
        return source.block("paragraph", start, end, heading_path=path, level=level)
    kind = "list_item" if clause.shape in ENUMERATIONS else "paragraph"
    start += clause.length
    return source.block(kind, start, end, heading_path=path, number=clause.number, level=level)

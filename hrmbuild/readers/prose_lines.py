"""Plain lines cut into pieces: paragraphs, bullets, numbered clauses, underlined titles. Shared by texts and mail
bodies.

Owns where a piece begins and ends. It must not decide what a piece means (heading, quotation, signature).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hrmbuild.readers.outline import ENUMERATIONS, ClauseNumber, clause_number
from hrmbuild.readers.spans import Line, SourceText

_BULLET = re.compile(r"\s*[-*+•·▪‣–]\s+(?=\S)")
_UNDERLINE = re.compile(r"\s*(={3,}|-{3,}|~{3,})\s*$")
_RULE = re.compile(r"[-=_*~#.\s]{3,}$")
_ENDS_OPEN = re.compile(r"[:;,.—–-]\s*$|\b(?:and|or)\s*$")


@dataclass(frozen=True)
class Piece:
    """Some lines that belong together."""

    lines: tuple[Line, ...]
    start: int
    """First character of its words: after a bullet, before a clause number."""
    end: int
    clause: ClauseNumber | None
    bullet: bool
    underline: str | None
    """`=`, `-` or `~` where the line below draws a rule under it."""
    alone: bool
    """Blank lines, or the text's ends, stand on both sides."""

    @property
    def indent(self) -> int:
        """Columns before its first line."""
        return self.lines[0].indent


def pieces(source: SourceText, lines: Sequence[Line]) -> list[Piece]:
    """The pieces of some lines of a text, in order; blank lines and drawn rules belong to none."""
    return [piece for group in _groups(lines) for piece in _pieces_of(source, group)]


def _groups(lines: Sequence[Line]) -> Iterator[list[Line]]:
    """Runs of lines without a blank one (or a jump in the numbers) between."""
    group: list[Line] = []
    for line in lines:
        if group and (line.is_blank or line.number != group[-1].number + 1):
            yield group
            group = []
        if not line.is_blank:
            group.append(line)
    if group:
        yield group


def _pieces_of(source: SourceText, group: list[Line]) -> Iterator[Piece]:
    if len(group) == 2 and _UNDERLINE.match(group[1].text):
        yield _piece(source, group[:1], alone=True, underline=group[1].text.strip()[0])
        return
    cut = [index for index, line in enumerate(group) if index == 0 or _begins(group, index, line)]
    for begin, end in zip(cut, [*cut[1:], len(group)], strict=True):
        lines = [line for line in group[begin:end] if not _RULE.match(line.text)]
        if lines:
            yield _piece(source, lines, alone=len(cut) == 1)


def _begins(group: list[Line], index: int, line: Line) -> bool:
    """A bullet or a drawn rule begins a piece anywhere; a number only where the lines before look like clauses too."""
    if _BULLET.match(line.text) or _RULE.match(line.text) or _RULE.match(group[index - 1].text):
        return True
    clause = clause_number(line.text.lstrip())
    if clause is None:
        return False
    first_is_numbered = clause_number(group[0].text.lstrip()) is not None
    return first_is_numbered or bool(_ENDS_OPEN.search(group[index - 1].text)) or clause.shape not in ENUMERATIONS


def _piece(source: SourceText, lines: list[Line], *, alone: bool, underline: str | None = None) -> Piece:
    bullet = _BULLET.match(lines[0].text)
    begin = lines[0].start + (bullet.end() if bullet else 0)
    start, end = source.trimmed(begin, lines[-1].end)
    clause = clause_number(source.text[start:end])
    return Piece(
        lines=tuple(lines),
        start=start,
        end=end,
        clause=clause if clause and clause.length < end - start else None,
        bullet=bullet is not None,
        underline=underline,
        alone=alone,
    )

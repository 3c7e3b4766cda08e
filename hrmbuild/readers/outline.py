"""Clause numbers, and the path of headings that a block stands under.

Owns how a number such as `3.2`, `(a)`, `§ 63` or `Article 5` is recognised at the beginning of a block, and how
numbered clauses of a plain text nest. It must not cut text: it only says where a number ends.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_NUMBERS = (
    ("word", r"(?:Section|Article|Clause|Rule|Part|Chapter|Annex|Appendix|Schedule|Paragraph)\s+"
             r"(?:\d{1,4}[A-Za-z]?(?:\.\d{1,3})*|[IVXLC]+|[A-Z])(?=[\s.:,)–—-]|$)"),
    ("§", r"§{1,2}\s?\d{1,5}[A-Za-z]?(?:\.\d{1,3})*"),
    ("code", r"[A-Z]{1,6}-?\d{1,4}(?:[.-]\d{1,3})*(?=\s?[:–—]\s|\.\s|\)\s)"),
    ("dotted", r"\d{1,3}(?:\.\d{1,3})+(?=\.?\)?\s+[^\W\da-z_]|\.?\)?\s+[\"“‘'(\[*_]|\.?\s*$|[.)]\s)"),
    ("n.", r"\d{1,3}(?=[.)]\s)"),
    ("(n)", r"\(\d{1,3}\)(?=\s|$)"),
    ("(roman)", r"\((?:x{0,3}(?:ix|iv|v?i{1,3}|v)|x{1,3})\)(?=\s|$)"),
    ("(a)", r"\([a-z]{1,2}\)(?=\s|$)"),
    ("(A)", r"\([A-Z]{1,2}\)(?=\s|$)"),
    ("a)", r"[a-z]\)(?=\s)"),
)  # fmt: skip
_PATTERNS = tuple((shape, re.compile(pattern)) for shape, pattern in _NUMBERS)
_AFTER = re.compile(r"[.:)]?\s*(?:[–—-]\s+)?")
"""Between a number and its words: `3.2. `, `Article 5: `, `TRV-2 — `."""

ENUMERATIONS = frozenset({"n.", "(n)", "(roman)", "(a)", "(A)", "a)"})
"""Shapes that count items within a clause; the others name a clause of their own."""


@dataclass(frozen=True)
class ClauseNumber:
    """A number at the beginning of a block."""

    number: str
    """As written, without the full stop or colon after it: `3.2`, `(a)`, `Article 5`."""
    shape: str
    length: int
    """Characters up to the first word after it."""


def clause_number(text: str) -> ClauseNumber | None:
    """The clause number that `text` begins with, if any."""
    for shape, pattern in _PATTERNS:
        match = pattern.match(text)
        if match:
            after = _AFTER.match(text, match.end())
            return ClauseNumber(match.group(), shape, after.end() if after else match.end())
    return None


@dataclass
class Outline:
    """The headings and clauses that are open at the current line."""

    _open: list[tuple[tuple[int, str], str]] = field(default_factory=list)

    @property
    def path(self) -> tuple[str, ...]:
        """Titles of the open headings and numbers of the open clauses, outermost first."""
        return tuple(title for _, title in self._open)

    def open_level(self, level: int, title: str) -> None:
        """A heading with a declared level: everything at or below that level closes."""
        while self._open and self._open[-1][0][0] >= level:
            self._open.pop()
        self._open.append(((level, ""), title))

    def open_clause(self, indent: int, shape: str, title: str) -> None:
        """A numbered clause: sibling of an open clause of equal indent and shape, else nested under what is open."""
        key = (indent, shape)
        if key in [known for known, _ in self._open]:
            while self._open.pop()[0] != key:
                pass
        else:
            self.close_deeper(indent)
        self._open.append((key, title))

    def close_deeper(self, indent: int) -> None:
        """A line at `indent` ends every clause that is indented further."""
        while self._open and self._open[-1][0][0] > indent:
            self._open.pop()

    def depth(self) -> int:
        """How many headings and clauses are open."""
        return len(self._open)

    def sibling_shape(self, indent: int, clause: ClauseNumber) -> str:
        """`(i)` after `(h)` is a letter, otherwise a Roman number: the open clause at this indent decides."""
        if clause.shape != "(roman)" or len(clause.number) != 3:
            return clause.shape
        for (open_indent, shape), title in reversed(self._open):
            if open_indent == indent and shape == "(a)":
                return "(a)" if title[1:2] == chr(ord(clause.number[1]) - 1) else clause.shape
        return clause.shape

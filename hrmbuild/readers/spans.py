"""Exact places in a decoded text: from character offsets to locators and back.

Owns the rule that every quoted span obeys: `NFC(text[char_from:char_to])` are the quoted words, where `text` is the
decoded file (or mail part) with `\\n` newlines. It must not know any format.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from hrmbuild.records.document import Block, BlockKind
from hrmbuild.records.locator import Locator


@dataclass(frozen=True)
class Line:
    """One line without its newline: its number (1-based) and where it stands."""

    number: int
    start: int
    text: str

    @property
    def end(self) -> int:
        """One past its last character."""
        return self.start + len(self.text)

    @property
    def indent(self) -> int:
        """Columns of white space before the first word; a tab reaches the next multiple of 4."""
        blanks = self.text[: len(self.text) - len(self.text.lstrip())]
        return len(blanks.expandtabs(4))

    @property
    def is_blank(self) -> bool:
        """Nothing but white space."""
        return not self.text.strip()


@dataclass(frozen=True)
class SourceText:
    """A decoded text whose spans can be named."""

    text: str
    part: str | None = None
    """Mail part that the text belongs to."""

    @cached_property
    def lines(self) -> tuple[Line, ...]:
        """All lines, split at `\\n` only: other separators of Unicode are characters of a line."""
        return tuple(_lines(self.text))

    @cached_property
    def _starts(self) -> list[int]:
        return [line.start for line in self.lines]

    def line_number(self, offset: int) -> int:
        """The 1-based line that holds the character at `offset`."""
        return bisect_right(self._starts, offset)

    def trimmed(self, start: int, end: int) -> tuple[int, int]:
        """The span without white space at its ends; an empty span stays at `start`."""
        piece = self.text[start:end]
        words = piece.strip()
        if not words:
            return start, start
        start += len(piece) - len(piece.lstrip())
        return start, start + len(words)

    def locator(self, start: int, end: int, *, heading_path: tuple[str, ...] = ()) -> Locator:
        """The place of characters `start` to `end`."""
        return Locator(
            line_from=self.line_number(start),
            line_to=self.line_number(max(start, end - 1)),
            char_from=start,
            char_to=end,
            heading_path=heading_path or None,
            part=self.part,
        )

    def lines_locator(self, first: int, last: int) -> Locator:
        """Whole lines, 1-based, both included."""
        return Locator(line_from=first, line_to=last, part=self.part)

    def quoted(self, locator: Locator) -> str:
        """The words at a locator: its characters where it has them, else its whole lines.

        Raises:
            ValueError: the locator names no span of a text, or one outside this text.
        """
        if locator.char_from is not None and locator.char_to is not None:
            if not locator.char_from <= locator.char_to <= len(self.text):
                raise ValueError(f"characters {locator.char_from}-{locator.char_to} are outside the text")
            return nfc(self.text[locator.char_from : locator.char_to])
        if locator.line_from is None:
            raise ValueError("the locator names no characters and no lines")
        last = locator.line_to or locator.line_from
        if last > len(self.lines):
            raise ValueError(f"line {last} is outside the text")
        return nfc(self.text[self.lines[locator.line_from - 1].start : self.lines[last - 1].end])

    def block(self, kind: BlockKind, start: int, end: int, *, heading_path: tuple[str, ...] = (),
              number: str | None = None, level: int | None = None) -> Block:  # fmt: skip
        """A block whose text is exactly what stands at its span."""
        return Block(
            kind=kind,
            text=nfc(self.text[start:end]),
            locator=self.locator(start, end, heading_path=heading_path),
            number=number,
            level=level,
        )


def nfc(text: str) -> str:
    """Unicode's composed form, the only one that records hold."""
    return unicodedata.normalize("NFC", text)


def _lines(text: str) -> Iterator[Line]:
    start = 0
    for number, piece in enumerate(text.split("\n"), start=1):
        yield Line(number, start, piece)
        start += len(piece) + 1

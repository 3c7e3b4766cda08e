"""Where in a source file something stands. One type for all formats; absent parts do not apply."""

from __future__ import annotations

from pydantic import Field

from hrmbuild.records.base import Noun


class Locator(Noun):
    """A place inside one source file.

    Texts: `line_from`..`line_to` (1-based, both ends included) and, where the words are quoted, `char_from`..`char_to`
    (0-based offsets into the file's decoded text, end excluded, newlines normalised to `\\n`): the text stands there
    byte for byte. Mails add `part`; sheets have `sheet` and `cells`; row-shaped files have `row_from`..`row_to`.
    """

    line_from: int | None = Field(default=None, ge=1)
    """First line, 1-based."""
    line_to: int | None = Field(default=None, ge=1)
    """Last line, 1-based, included."""
    char_from: int | None = Field(default=None, ge=0)
    """First character of the quoted words in the decoded text (of `part`, where there is one)."""
    char_to: int | None = Field(default=None, ge=0)
    """One past the last character."""
    heading_path: tuple[str, ...] | None = None
    """Titles of the headings above, outermost first."""
    paragraph: int | None = Field(default=None, ge=1)
    """Number of the paragraph in the document, 1-based, for formats without lines."""
    page: int | None = Field(default=None, ge=1)
    """Page, 1-based."""
    part: str | None = None
    """Mail part (`header:Subject`, `1`, `1.2`)."""
    sheet: str | None = None
    """Sheet of a workbook, or table of a database."""
    cells: str | None = None
    """Range of cells as spreadsheets write it: `B2:D9`."""
    row_from: int | None = Field(default=None, ge=1)
    """First data row, 1-based (the header is not counted)."""
    row_to: int | None = Field(default=None, ge=1)
    """Last data row, included."""
    pointer: str | None = None
    """JSON pointer (RFC 6901), for JSON and YAML; the path of the element for XML."""

    def __str__(self) -> str:
        bits = [
            f"p. {self.page}" if self.page else None,
            f"sheet {self.sheet}" if self.sheet else None,
            self.cells,
            f"part {self.part}" if self.part else None,
            _range("line", self.line_from, self.line_to),
            _range("row", self.row_from, self.row_to),
            f"paragraph {self.paragraph}" if self.paragraph else None,
            self.pointer,
        ]
        return ", ".join(bit for bit in bits if bit) or "whole file"


def _range(word: str, first: int | None, last: int | None) -> str | None:
    if first is None:
        return None
    return f"{word} {first}" if last in (None, first) else f"{word}s {first}-{last}"

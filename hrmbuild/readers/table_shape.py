"""From a grid of cells to a Table: where the header is, how columns are called, which rows do not fit.

Owns these decisions for CSV files and sheets alike; each one that a user may doubt is a note, each row that is left
out a skip. It must not infer types and must not change a cell.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from hrmbuild.readers.result import skip
from hrmbuild.readers.spans import nfc
from hrmbuild.records.document import Column
from hrmbuild.records.locator import Locator
from hrmbuild.records.source import Skip

_NUMBER = re.compile(r"[-+(]?[\s$€£]*\d[\d.,\s'%]*\)?")
_TOTAL = re.compile(r"(?:grand |sub)?totals?:?|sum:?|summe:?|gesamt:?", re.IGNORECASE)
_HEADER_SEARCH_ROWS = 40


class ShapeError(Exception):
    """The grid is no table; `what` says why."""

    def __init__(self, code: str, what: str, *, fix: str, row: int | None = None) -> None:
        super().__init__(what)
        self.code, self.what, self.fix, self.row = code, what, fix, row


@dataclass(frozen=True)
class Row:
    """One row of cells (None is empty) and the line or sheet row where it begins and ends, 1-based."""

    cells: tuple[str | None, ...]
    first: int
    last: int

    @property
    def is_blank(self) -> bool:
        """No cell holds anything."""
        return not any(self.cells)

    @property
    def n_filled(self) -> int:
        """Cells that hold something."""
        return sum(cell is not None for cell in self.cells)


@dataclass(frozen=True)
class Shape:
    """A table found in a grid; columns with neither a name nor a value (trailing delimiters) are left out."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    """The data rows, in order, with the cells of `columns`."""
    header: Row
    skips: list[Skip] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


Place = Callable[[Row, Row], Locator]
"""Locator of the rows from the first to the second."""


def cell_text(text: str) -> str | None:
    """A cell as records hold it: NFC, untouched otherwise; one of white space only is empty."""
    return nfc(text) if text.strip() else None


def find_table(rows: Sequence[Row], place: Place) -> Shape:
    """The table in a grid: title rows above its header are skipped, and so is every row of another width.

    Raises:
        ShapeError: `read.empty_table`, `read.no_header`, `read.duplicate_columns`, `read.no_rectangle`.
    """
    filled = [row for row in rows if not row.is_blank]
    header = find_header(filled)
    at = filled.index(header)
    names = _column_names(header)
    notes: list[str] = []
    skips: list[Skip] = []
    if at > 0:
        skips.append(skip("read.above_header", f"rows above the header: {at}", place(filled[0], filled[at - 1])))
        notes.append(f"the header is row {header.first}: what stands above it is a title or a remark")
    data = _without_total(_rectangle(filled[at + 1 :], len(names), skips, place), skips, place)
    if not data:
        raise ShapeError("read.empty_table", "the table has a header and no rows", row=header.first, fix="leave it out")
    kept = [i for i, cell in enumerate(header.cells) if cell is not None or any(row.cells[i] for row in data)]
    notes += _header_notes(header, kept)
    columns = (Column(name=names[i], cells=tuple(row.cells[i] for row in data)) for i in kept)
    cut = tuple(Row(tuple(row.cells[i] for i in kept), row.first, row.last) for row in data)
    return Shape(tuple(columns), cut, header, skips, notes)


def find_header(rows: Sequence[Row]) -> Row:
    """The first row as wide as the table, of which at least half is filled, and with words rather than numbers.

    Raises:
        ShapeError: `read.empty_table`, `read.no_header`.
    """
    if not rows:
        raise ShapeError("read.empty_table", "the table is empty", fix="leave it out, or fill it")
    width = _usual_width(rows)
    for row in rows[:_HEADER_SEARCH_ROWS]:
        if _trimmed_width(row) >= width * 0.8 and row.n_filled * 2 >= width and _has_words(row):
            return row
        if _trimmed_width(row) >= width and row.n_filled * 2 >= width:
            break
    raise ShapeError(
        "read.no_header",
        "no row of column names was found: the first full row holds numbers only",
        row=rows[0].first,
        fix="add a row of names above the data",
    )


def _trimmed_width(row: Row) -> int:
    return max((index + 1 for index, cell in enumerate(row.cells) if cell is not None), default=0)


def _usual_width(rows: Sequence[Row]) -> int:
    """The width that most rows have; of equally frequent ones the largest."""
    widths = Counter(_trimmed_width(row) for row in rows[:1000])
    return max(widths, key=lambda width: (widths[width], width))


def _has_words(row: Row) -> bool:
    return any(cell is not None and not _NUMBER.fullmatch(cell.strip()) for cell in row.cells)


def _column_names(header: Row) -> list[str]:
    """Names without white space at their ends; a blank one is called by its position."""
    names = [" ".join((cell or f"column_{index}").split()) for index, cell in enumerate(header.cells, start=1)]
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        positions = [str(i + 1) for i, name in enumerate(names) if name == twice[0]]
        raise ShapeError(
            "read.duplicate_columns",
            f"{len(twice)} column name(s) stand more than once: {twice[0]!r} in columns {', '.join(positions)}",
            row=header.first,
            fix="give each column a name of its own",
        )
    return names


def _header_notes(header: Row, kept: Sequence[int]) -> list[str]:
    """What a user should look at: columns without a name, and a header that might be a row of data."""
    blank = [str(i + 1) for i in kept if header.cells[i] is None]
    numbers = [cell for i in kept if (cell := header.cells[i]) is not None and _NUMBER.fullmatch(cell.strip())]
    notes = [f"columns without a name are called by position: {', '.join(blank)}"] if blank else []
    if numbers:
        notes.append(
            f"the header holds numbers ({', '.join(numbers[:3])}): is it a header, and not the first row of data?"
        )
    return notes


def _rectangle(rows: Sequence[Row], width: int, skips: list[Skip], place: Place) -> list[Row]:
    data: list[Row] = []
    for row in rows:
        fitted = _fitted(row, width)
        if fitted is None:
            detail = f"the row has {len(row.cells)} cells where the header has {width}"
            skips.append(skip("read.ragged_row", detail, place(row, row)))
        else:
            data.append(fitted)
    if len(data) * 2 < len(rows):
        raise ShapeError(
            "read.no_rectangle",
            f"{len(rows) - len(data)} of {len(rows)} rows are not as wide as the header ({width})",
            row=rows[0].first,
            fix="check the delimiter and the quotes, or give one table a file",
        )
    return data


def _without_total(data: list[Row], skips: list[Skip], place: Place) -> list[Row]:
    """A last row of totals is no record: counted with the others it would double every sum."""
    while data and _TOTAL.fullmatch(next((cell for cell in data[-1].cells if cell is not None), "").strip()):
        skips.append(skip("read.total_row", "a row of totals at the end is no record", place(data[-1], data[-1])))
        data = data[:-1]
    return data


def _fitted(row: Row, width: int) -> Row | None:
    """A row as wide as the header; empty cells beyond it hold nothing and are let go."""
    if len(row.cells) == width:
        return row
    if len(row.cells) > width and not any(row.cells[width:]):
        return Row(row.cells[:width], row.first, row.last)
    return None


def identifier(name: str) -> str:
    """A table's name for questions: lower case, words joined by `_`, never beginning with a digit."""
    words = re.sub(r"\W+", "_", nfc(name).lower()).strip("_") or "table"
    return f"t_{words}" if words[0].isdigit() else words

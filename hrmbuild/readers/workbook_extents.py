"""How far the sheets of .xlsb and .ods reach, and which of their formulas have no value, before a parser unpacks them.

Owns the scan of both containers: BIFF12 records by number and length, OpenDocument's repeated rows and cells by
arithmetic, so that a stray cell in the last corner costs nothing. It must not read values. Sources: MS-XLSB 2.1.4 for
the records, OpenDocument 1.3 part 3 for the attributes.
"""

from __future__ import annotations

import re
import xml.parsers.expat
from collections.abc import Iterator
from dataclasses import dataclass, field

from hrmbuild.readers.result import SourceFile
from hrmbuild.readers.workbook_safety import (
    SheetFacts,
    WorkbookFacts,
    check_extent,
    column_letters,
    parse_xml,
    unpacked_entries,
)

_ROW_HEADER = 0
_CELLS = range(1, 12)
"""BrtCellBlank to BrtFmlaError: all begin with their column."""


def inspect_xlsb(file: SourceFile) -> WorkbookFacts:
    """Check the archive and the reach of each binary sheet. A formula here always keeps its last value.

    Raises:
        InputError: `read.encrypted`, `read.not_a_workbook`, `read.too_large`, `read.xml_entities`.
    """
    entries = unpacked_entries(file, keep=(".xml", ".rels", ".bin"))
    for name in sorted(entries):
        if re.match(r"(?i)xl/worksheets/[^/]+\.bin$", name):
            check_extent(file, name, *_reach(entries[name]))
    sorts = (("comments", r"(?i)xl/comments"), ("charts", r"(?i)xl/charts/"), ("pictures", r"(?i)xl/media/"),
             ("macros", r"(?i)xl/vbaproject\.bin"))  # fmt: skip
    return WorkbookFacts({}, tuple(sort for sort, pattern in sorts if any(re.match(pattern, n) for n in entries)))


def _reach(data: bytes) -> tuple[int, int]:
    """Last row and column with a cell, 1-based."""
    rows = columns = row = 0
    for kind, start, size in _records(data):
        if kind == _ROW_HEADER and size >= 4:
            row = int.from_bytes(data[start : start + 4], "little") + 1
        elif kind in _CELLS and size >= 4:
            rows, columns = max(rows, row), max(columns, int.from_bytes(data[start : start + 4], "little") + 1)
    return rows, columns


def _records(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Number, first byte and length of each record; numbers and lengths are little-endian groups of seven bits."""
    at = 0
    while at < len(data):
        kind, at = _varint(data, at, 2)
        size, at = _varint(data, at, 4)
        yield kind, at, size
        at += size


def _varint(data: bytes, at: int, most: int) -> tuple[int, int]:
    value = 0
    for index in range(most):
        if at >= len(data):
            break
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << (7 * index)
        if not byte & 0x80:
            break
    return value, at


def inspect_ods(file: SourceFile) -> WorkbookFacts:
    """Check the archive, the reach of each sheet and its formulas.

    Raises:
        InputError: `read.encrypted`, `read.not_a_workbook`, `read.too_large`, `read.xml_entities`.
    """
    entries = unpacked_entries(file, keep=(".xml",))
    if b"encryption-data" in entries.get("META-INF/manifest.xml", b""):
        raise file.error("read.encrypted", "the workbook is protected by a password",
                         fix="save it without a password")  # fmt: skip
    scan = _OdsScan()
    try:
        parse_xml(entries.get("content.xml", b""), scan.start, scan.end)
    except xml.parsers.expat.ExpatError as error:
        raise file.error("read.not_a_workbook", f"the workbook's XML is broken: {error}",
                         fix="open it in a spreadsheet program and save it again") from None  # fmt: skip
    for sheet in scan.sheets:
        check_extent(file, sheet.name, sheet.last_row, sheet.last_column)
    unread = [sort for sort, seen in (("comments", scan.has_comments), ("charts or pictures", scan.has_frames)) if seen]
    return WorkbookFacts({s.name: SheetFacts(tuple(s.uncomputed), s.hidden_rows, s.hidden_columns)
                          for s in scan.sheets}, tuple(unread))  # fmt: skip


@dataclass
class _OdsSheet:
    name: str
    row: int = 0
    column: int = 0
    last_row: int = 0
    last_column: int = 0
    row_repeat: int = 1
    hidden_rows: int = 0
    hidden_columns: int = 0
    uncomputed: list[str] = field(default_factory=list)


@dataclass
class _OdsScan:
    """Handlers of content.xml; only rows and cells directly in a sheet count, not those of tables inside a note."""

    sheets: list[_OdsSheet] = field(default_factory=list)
    has_comments: bool = False
    has_frames: bool = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        plain = {key.rpartition(":")[2]: value for key, value in attributes.items()}
        if name == "table":
            self.sheets.append(_OdsSheet(plain.get("name", "")))
        elif not self.sheets:
            return
        elif name == "table-row":
            self._row(self.sheets[-1], plain)
        elif name == "table-column":
            self.sheets[-1].hidden_columns += plain.get("visibility") in ("collapse", "filter")
        elif name in ("table-cell", "covered-table-cell"):
            self._cell(self.sheets[-1], plain)
        elif name == "p" and not self.has_comments:
            sheet = self.sheets[-1]
            sheet.last_row, sheet.last_column = max(sheet.last_row, sheet.row), max(sheet.last_column, sheet.column)
        self.has_comments = self.has_comments or name == "annotation"
        self.has_frames = self.has_frames or name == "frame"

    def _row(self, sheet: _OdsSheet, plain: dict[str, str]) -> None:
        sheet.row_repeat = _repeat(plain.get("number-rows-repeated"))
        sheet.row += sheet.row_repeat
        sheet.column = 0
        sheet.hidden_rows += plain.get("visibility") in ("collapse", "filter")

    def _cell(self, sheet: _OdsSheet, plain: dict[str, str]) -> None:
        sheet.column += _repeat(plain.get("number-columns-repeated"))
        has_value = "value-type" in plain
        if has_value:
            sheet.last_row, sheet.last_column = max(sheet.last_row, sheet.row), max(sheet.last_column, sheet.column)
        if "formula" in plain and not has_value:
            sheet.uncomputed.append(f"{column_letters(sheet.column)}{sheet.row}")

    def end(self, name: str) -> None:
        """An element ends; nothing is closed that the next start does not reset."""


def _repeat(text: str | None) -> int:
    return max(1, int(text)) if text and text.isdecimal() and len(text) < 10 else 1

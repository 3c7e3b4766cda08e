"""CSV and its kin to a Table (to rows of fields where the source holds pairs): delimiter and encoding detected and
shown.

Owns the choice of the delimiter: the one under which the most rows have the same width of at least two. It must not
drop a row in silence: one of another width is a skip with its lines. Quoting is RFC 4180 (`""` inside quotes), read
by Python's csv module. (The name avoids a shadow of that module.)
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from hrmbuild.readers.decision_sheets import csv_rules
from hrmbuild.readers.decoding import decode
from hrmbuild.readers.result import ReadResult, SourceFile
from hrmbuild.readers.spans import SourceText
from hrmbuild.readers.table_shape import Row, Shape, ShapeError, cell_text, find_table, identifier
from hrmbuild.records.document import Fields, Record, Table
from hrmbuild.records.locator import Locator

DELIMITERS = (",", ";", "\t", "|")
_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_SAMPLE_ROWS = 500
_DECLARED = re.compile(r"sep=(.)\n", re.IGNORECASE)


@dataclass(frozen=True)
class Dialect:
    """How the cells of a file are apart."""

    delimiter: str
    skip_spaces: bool = False
    """A space after each delimiter belongs to neither cell."""
    declared: bool = False
    """Named by a first line `sep=;`, as Excel writes it."""


def read_csv(file: SourceFile) -> ReadResult:
    """One Table; one Fields a row where the source's kind is `pairs`; rule sets where it is `rules`."""
    decoded = decode(file.data, where=file.relative)
    source = SourceText(decoded.text)
    dialect = find_dialect(decoded.text)
    shape = _shape(file, source, dialect)
    notes = [*decoded.notes, f"delimiter: {_NAMES.get(dialect.delimiter, dialect.delimiter)}", *shape.notes]
    if file.source.kind == "rules":
        rules, told = csv_rules(file, shape)
        return ReadResult(rules, shape.skips, [*notes, *told])
    records: list[Record] = list(_fields(file, shape)) if file.source.kind == "pairs" else [_table(file, shape)]
    return ReadResult(records, shape.skips, notes)


def _shape(file: SourceFile, source: SourceText, dialect: Dialect) -> Shape:
    try:
        rows = list(_rows(source.text, dialect))
        return find_table(rows, lambda first, last: source.lines_locator(first.first, last.last))
    except csv.Error as error:
        raise file.error("read.bad_csv", f"the file breaks the rules of CSV: {error}",
                         fix="check that every quote is closed") from None  # fmt: skip
    except ShapeError as error:
        raise file.error(error.code, error.what, line=error.row, fix=error.fix) from None


def _rows(text: str, dialect: Dialect) -> Iterator[Row]:
    lines = text.split("\n")
    offset = 1 if dialect.declared else 0
    reader = csv.reader(
        (line + "\n" for line in lines[offset:]),
        delimiter=dialect.delimiter,
        skipinitialspace=dialect.skip_spaces,
    )
    first = offset + 1
    for cells in reader:
        yield Row(tuple(cell_text(cell) for cell in cells), first, reader.line_num + offset)
        first = reader.line_num + offset + 1


def find_dialect(text: str) -> Dialect:
    """The declared delimiter, else the one that makes the most rows equally wide; a comma where none does."""
    declared = _DECLARED.match(text)
    if declared:
        return Dialect(declared.group(1), declared=True)
    lines = text.split("\n", _SAMPLE_ROWS)[:_SAMPLE_ROWS]
    delimiter = max(DELIMITERS, key=lambda candidate: _evenness(lines, candidate))
    return Dialect(delimiter, skip_spaces=_spaces_follow(lines, delimiter))


def _evenness(lines: list[str], delimiter: str) -> tuple[float, int]:
    """(share of rows with the commonest width, that width); (0, 0) where that width is one."""
    try:
        widths = Counter(len(row) for row in csv.reader([line + "\n" for line in lines], delimiter=delimiter) if row)
    except csv.Error:
        return 0.0, 0
    if not widths:
        return 0.0, 0
    width, count = max(widths.items(), key=lambda pair: (pair[1], pair[0]))
    return (count / widths.total(), width) if width > 1 else (0.0, 0)


def _spaces_follow(lines: list[str], delimiter: str) -> bool:
    """Every delimiter of the first lines is followed by a space: `"a", "b"`."""
    head = [line for line in lines[:20] if delimiter in line]
    return bool(head) and all(
        line.count(delimiter) == line.count(delimiter + " ") for line in head
    )  # fmt: skip


def _table(file: SourceFile, shape: Shape) -> Table:
    n_rows = len(shape.rows)
    place = (
        Locator(row_from=1, row_to=n_rows, line_from=shape.rows[0].first, line_to=shape.rows[-1].last)
        if n_rows
        else Locator()
    )
    return Table(
        source_sha256=file.sha256,
        path=file.relative,
        name=identifier(PurePosixPath(file.relative).stem),
        columns=shape.columns,
        locator=place,
    )


def _fields(file: SourceFile, shape: Shape) -> Iterator[Fields]:
    names = [column.name for column in shape.columns]
    for number, row in enumerate(shape.rows, start=1):
        cells = {name: cell for name, cell in zip(names, row.cells, strict=True) if cell is not None}
        place = Locator(row_from=number, row_to=number, line_from=row.first, line_to=row.last)
        yield Fields(source_sha256=file.sha256, path=file.relative, fields=cells, locator=place)

"""A workbook (xlsx, xls, xlsb, ods) to Tables: one a visible sheet, its header found below title rows, its numbers in
plain decimal form.

Owns which rectangle of a sheet is the table: from the header down to the first empty row and across to the first
empty column; what stands above, below or beside is a skip with its cells. It must not calculate: a formula that was
never computed has no value, and its cell is named. Values come from python-calamine, after `workbook_safety` let the
file pass.
"""

from __future__ import annotations

import datetime as dt
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import PurePosixPath

from python_calamine import (
    CalamineError,
    CalamineSheet,
    CalamineWorkbook,
    PasswordError,
    SheetTypeEnum,
    SheetVisibleEnum,
)

from hrmbuild.errors import InputError
from hrmbuild.readers.decision_sheets import sheet_records
from hrmbuild.readers.result import ReadResult, SourceFile, skip
from hrmbuild.readers.table_shape import Row, Shape, ShapeError, cell_text, find_header, find_table, identifier
from hrmbuild.readers.workbook_extents import inspect_ods, inspect_xlsb
from hrmbuild.readers.workbook_safety import (
    MAX_CELLS,
    OLE_MAGIC,
    SheetFacts,
    WorkbookFacts,
    column_letters,
    inspect_workbook,
)
from hrmbuild.records.document import Record, Table
from hrmbuild.records.locator import Locator
from hrmbuild.records.source import Skip

Value = int | float | str | bool | dt.time | dt.date | dt.datetime | dt.timedelta
_GENERIC_NAME = re.compile(r"(?:sheet|tabelle|feuil|foglio|hoja|blad|ark|лист)\s?\d*$", re.IGNORECASE)
_SHOWN_CELLS = 5


def read_xlsx(file: SourceFile) -> ReadResult:
    """One Table for each visible sheet that holds one.

    Raises:
        InputError: `read.not_a_workbook`, `read.encrypted`, `read.too_large`, `read.xml_entities`, `read.no_table`.
    """
    return _read_workbook(file, inspect_workbook(file))


def read_xls(file: SourceFile) -> ReadResult:
    """As `read_xlsx`, of the binary workbooks of Excel 5 to 2003. Their formulas always keep a value."""
    if not file.data.startswith(OLE_MAGIC):
        raise file.error("read.not_a_workbook", "this is no .xls workbook: its first bytes are of something else",
                         fix="give it the suffix of what it is, or save it as .xlsx")  # fmt: skip
    try:
        return _read_workbook(file, WorkbookFacts({}, ()))
    except InputError as error:
        raise (_protected(file) if error.code == "read.not_a_workbook" else None) or error from None


def _protected(file: SourceFile) -> InputError | None:
    """The parser tells a password from damage only where it is told the format, which the suffix does."""
    try:
        with _panics_told(file):
            CalamineWorkbook.from_path(file.path)
    except PasswordError:
        return file.error("read.encrypted", "the workbook is protected by a password",
                          fix="save it without a password")  # fmt: skip
    except (CalamineError, OSError):
        return None
    return None


def read_xlsb(file: SourceFile) -> ReadResult:
    """As `read_xlsx`, of binary sheets in a zip archive."""
    return _read_workbook(file, inspect_xlsb(file))


def read_ods(file: SourceFile) -> ReadResult:
    """As `read_xlsx`, of OpenDocument spreadsheets."""
    return _read_workbook(file, inspect_ods(file))


def _read_workbook(file: SourceFile, facts: WorkbookFacts) -> ReadResult:
    result = ReadResult([])
    try:
        with _panics_told(file), CalamineWorkbook.from_filelike(io.BytesIO(file.data)) as workbook:
            _read_sheets(file, workbook, facts, result)
    except PasswordError:
        raise file.error("read.encrypted", "the workbook is protected by a password",
                         fix="save it without a password") from None  # fmt: skip
    except (CalamineError, OSError) as error:
        raise file.error("read.not_a_workbook", f"the workbook cannot be read: {error}",
                         fix="open it in a spreadsheet program and save it again") from None  # fmt: skip
    result.records[:] = _named_apart(result.records)
    result.skips.extend(
        skip("read.not_cells", f"the workbook's {sort} are not read", Locator()) for sort in facts.unread
    )
    if not result.records:
        reasons = "; ".join(f"{skipped.locator}: {skipped.detail}" for skipped in result.skips[:3])
        raise file.error("read.no_table", f"no sheet holds a table ({reasons or 'there are no sheets'})",
                         fix="leave it out, or give the table a row of column names")  # fmt: skip
    return result


@contextmanager
def _panics_told(file: SourceFile) -> Iterator[None]:
    """The parser is written in Rust: where it gives up on damage it raises what is no `Exception`, of no public name.

    Raises:
        InputError: `read.not_a_workbook`.
    """
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise file.error("read.not_a_workbook", f"the workbook is damaged: its parser gave up ({error})",
                         fix="open it in a spreadsheet program and save it again") from None  # fmt: skip


def _named_apart(tables: Sequence[Record]) -> list[Record]:
    """Equal names of one workbook's tables get the sheet's name, and a number where even that is equal."""
    named: list[Record] = []
    taken: set[str] = set()
    for table in tables:
        if isinstance(table, Table) and table.name in taken:
            base = identifier(f"{table.name} {table.locator.sheet}")
            names = (base if n == 1 else f"{base}_{n}" for n in range(1, len(tables) + 1))
            table = table.model_copy(update={"name": next(name for name in names if name not in taken)})
        taken.update({table.name} if isinstance(table, Table) else ())
        named.append(table)
    return named


def _read_sheets(file: SourceFile, workbook: CalamineWorkbook, facts: WorkbookFacts, result: ReadResult) -> None:
    for sheet in workbook.sheets_metadata:
        place = Locator(sheet=sheet.name)
        if sheet.typ != SheetTypeEnum.WorkSheet:
            result.skips.append(skip("read.not_cells", "a sheet without cells (a chart, a dialog or a macro)", place))
        elif sheet.visible != SheetVisibleEnum.Visible:
            result.skips.append(skip("read.hidden_sheet", "a hidden sheet is not read", place))
        else:
            _try_sheet(file, workbook, sheet.name, facts, result)


def _try_sheet(file: SourceFile, workbook: CalamineWorkbook, name: str, facts: WorkbookFacts,
               result: ReadResult) -> None:  # fmt: skip
    """A sheet that is damaged, or too large to spread out, does not take the others with it."""
    try:
        sheet = workbook.get_sheet_by_name(name)
    except (CalamineError, OSError) as error:
        result.skips.append(skip("read.sheet_unreadable", f"the sheet cannot be read: {error}", Locator(sheet=name)))
        return
    n_rows, n_columns = (sheet.end[0] + 1, sheet.end[1] + 1) if sheet.end else (0, 0)
    if n_rows * n_columns > MAX_CELLS:
        detail = f"the sheet reaches to row {n_rows:,} and column {n_columns:,}: more than {MAX_CELLS:,} cells"
        result.skips.append(skip("read.too_large", detail, Locator(sheet=name)))
        return
    _read_sheet(file, sheet, facts, result)


def _read_sheet(file: SourceFile, sheet: CalamineSheet, facts: WorkbookFacts, result: ReadResult) -> None:
    result.skips.extend(_fact_skips(sheet.name, facts.sheets.get(sheet.name, SheetFacts())))
    rows = [
        Row(tuple(value_text(value) for value in values), number, number)
        for number, values in enumerate(sheet.to_python(skip_empty_area=False), start=1)
    ]
    try:
        shape, left = _table_in(rows, sheet.name, result.skips)
    except ShapeError as error:
        place = Locator(sheet=sheet.name, cells=f"{error.row}:{error.row}" if error.row else None)
        result.skips.append(skip(error.code, error.what, place))
        return
    if file.source.kind == "rules":
        result.records.extend(_rules(file, sheet.name, shape, left, result))
    else:
        result.records.append(_table(file, sheet.name, shape, left))
    result.notes.extend(f"sheet {sheet.name}: {note}" for note in (*shape.notes, *_fact_notes(sheet, facts)))


def _fact_skips(sheet: str, facts: SheetFacts) -> Iterator[Skip]:
    if facts.uncomputed:
        more = " …" if len(facts.uncomputed) > _SHOWN_CELLS else ""
        shown = ", ".join(facts.uncomputed[:_SHOWN_CELLS]) + more
        detail = f"{len(facts.uncomputed)} formulas were never computed and have no value: {shown}"
        yield skip("read.formula_without_value", detail, Locator(sheet=sheet, cells=facts.uncomputed[0]))


def _fact_notes(sheet: CalamineSheet, facts: WorkbookFacts) -> Iterator[str]:
    seen = facts.sheets.get(sheet.name, SheetFacts())
    if seen.hidden_rows or seen.hidden_columns:
        yield f"{seen.hidden_rows} hidden rows and {seen.hidden_columns} hidden columns are read like the others"
    if sheet.merged_cell_ranges:
        yield f"{len(sheet.merged_cell_ranges)} merged ranges: their value stands in the first cell only"


def value_text(value: Value) -> str | None:
    """A cell's value as text: numbers in plain decimals with the 15 digits that spreadsheets keep, dates ISO 8601."""
    if isinstance(value, str):
        return cell_text(value)
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int | float):
        return _plain_number(value)
    if isinstance(value, dt.datetime):
        return value.isoformat(sep=" ")
    return value.isoformat() if isinstance(value, dt.date | dt.time) else str(value)


def _plain_number(value: int | float) -> str:
    if isinstance(value, int):
        return str(value)
    number = Decimal(f"{value:.15g}")
    if not number.is_finite():
        return str(value)
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _table_in(rows: Sequence[Row], sheet: str, skips: list[Skip]) -> tuple[Shape, int]:
    """The table of a sheet and its leftmost column (0-based)."""
    filled = [row for row in rows if not row.is_blank]
    header = find_header(filled)
    above, body = [row for row in filled if row.first < header.first], _down_to_blank(rows, header)
    left, right = _widest_block(body)
    below = [row for row in filled if row.first > body[-1].first]
    _skip_rows(skips, "read.above_header", "rows above the header", above, sheet)
    _skip_rows(skips, "read.below_table", "rows below the first empty row under the table", below, sheet)
    beside = [cells for cells in ((0, left), (right, len(header.cells))) if _any_filled(body, *cells)]
    for first, last in beside:
        skips.append(skip("read.beside_table", "cells beside the table, across an empty column",
                          _cells(sheet, body[0].first, body[-1].first, first, last)))  # fmt: skip
    cut = [Row(row.cells[left:right], row.first, row.last) for row in body]
    shape = find_table(cut, lambda first, last: _cells(sheet, first.first, last.first, left, right))
    skips.extend(shape.skips)
    return shape, left


def _down_to_blank(rows: Sequence[Row], header: Row) -> list[Row]:
    """Header and data; empty rows right below the header are only space."""
    body = [header]
    for row in rows[header.first :]:
        if not row.is_blank:
            body.append(row)
        elif len(body) > 1:
            break
    return body


def _widest_block(body: Sequence[Row]) -> tuple[int, int]:
    """The columns between empty columns that hold the most names in the header; the first of equals."""
    width = len(body[0].cells)
    used = [any(row.cells[column] is not None for row in body) for column in range(width)]
    blocks: list[tuple[int, int]] = []
    for column in range(width):
        if used[column] and blocks and blocks[-1][1] == column:
            blocks[-1] = (blocks[-1][0], column + 1)
        elif used[column]:
            blocks.append((column, column + 1))
    return max(blocks, key=lambda block: sum(cell is not None for cell in body[0].cells[slice(*block)]))


def _any_filled(rows: Sequence[Row], first: int, last: int) -> bool:
    return any(cell is not None for row in rows for cell in row.cells[first:last])


def _skip_rows(skips: list[Skip], code: str, what: str, rows: Sequence[Row], sheet: str) -> None:
    if rows:
        place = _cells(sheet, rows[0].first, rows[-1].first, 0, len(rows[0].cells))
        skips.append(skip(code, f"{what}: {len(rows)}", place))


def _cells(sheet: str, first_row: int, last_row: int, left: int, right: int) -> Locator:
    cells = f"{column_letters(left + 1)}{first_row}:{column_letters(max(right, left + 1))}{last_row}"
    return Locator(sheet=sheet, cells=cells)


def _table(file: SourceFile, sheet: str, shape: Shape, left: int) -> Table:
    """A sheet called `Sheet1` says nothing, so its table takes the file's name."""
    stem = PurePosixPath(file.relative).stem
    n_rows = len(shape.rows)
    last = shape.rows[-1].first if shape.rows else shape.header.first
    first = shape.rows[0].first if shape.rows else shape.header.first
    place = _cells(sheet, first, last, left, left + len(shape.columns))
    rows = {"row_from": 1, "row_to": n_rows} if n_rows else {}
    return Table(
        source_sha256=file.sha256,
        path=file.relative,
        name=identifier(stem if _GENERIC_NAME.match(sheet.strip()) else sheet),
        columns=shape.columns,
        locator=place.model_copy(update=rows),
    )


def _rules(file: SourceFile, sheet: str, shape: Shape, left: int, result: ReadResult) -> list[Record]:
    """The decision table of a sheet; one that is none does not take the other sheets with it."""
    right = left + len(shape.columns)
    rows = [_cells(sheet, row.first, row.last, left, right) for row in shape.rows]
    whole = _cells(sheet, shape.header.first, shape.rows[-1].last, left, right)
    name = PurePosixPath(file.relative).stem if _GENERIC_NAME.match(sheet.strip()) else sheet
    try:
        records, notes = sheet_records(file, shape, rows, name=name, whole=whole)
    except InputError as error:
        result.skips.append(skip(error.code, f"{error.what} ({error.where}; {error.fix})", whole))
        return []
    result.notes.extend(f"sheet {sheet}: {note}" for note in notes)
    return records

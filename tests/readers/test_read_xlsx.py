"""Workbooks: the table in each sheet, and refusal of those made to exhaust memory."""

from __future__ import annotations

import datetime as dt
import io
import zipfile
from pathlib import Path

import openpyxl
import pytest

from hrmbuild.errors import InputError


def workbook_bytes(sheets: dict[str, list[list[object]]]) -> openpyxl.Workbook:
    """A workbook with these rows."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    return book


def saved(book: openpyxl.Workbook) -> bytes:
    """Its bytes."""
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def test_numbers_are_plain_decimals_and_text_stays_text(read_file):
    rows = [["id", "price", "day", "ok"], ["007", 0.1 + 0.2, dt.date(2026, 3, 1), True], ["8", 1e6, None, False]]
    result = read_file("book.xlsx", saved(workbook_bytes({"Sheet1": rows})), kind="tables")
    table = result.records[0]
    assert table.name == "book"
    assert [(column.name, column.cells) for column in table.columns] == [
        ("id", ("007", "8")),
        ("price", ("0.3", "1000000")),
        ("day", ("2026-03-01", None)),
        ("ok", ("TRUE", "FALSE")),
    ]
    assert (table.locator.sheet, table.locator.cells) == ("Sheet1", "A2:D3")


def test_titles_footnotes_and_neighbours_are_skips_with_their_cells(read_file):
    rows = [["Prices 2026"], [], ["item", "price", None, "memo"], ["a", 1, None, "x"], ["b", 2], [], ["Source: us"]]
    result = read_file("book.xlsx", saved(workbook_bytes({"List": rows})), kind="tables")
    assert [column.cells for column in result.records[0].columns] == [("a", "b"), ("1", "2")]
    assert [(skip.code, skip.locator.cells) for skip in result.skips] == [
        ("read.above_header", "A1:D1"),
        ("read.below_table", "A7:D7"),
        ("read.beside_table", "C3:D5"),
    ]


def test_hidden_sheets_empty_sheets_and_formulas_without_value_are_named(read_file):
    book = workbook_bytes({"A": [["x", "y"], [1, "=B1"], [2, 3]], "B": [["p", "q"], [1, 2]], "C": []})
    book["B"].sheet_state = "hidden"
    result = read_file("book.xlsx", saved(book), kind="tables")
    assert [record.name for record in result.records] == ["a"]
    assert [(skip.code, skip.locator.sheet) for skip in result.skips] == [
        ("read.formula_without_value", "A"),
        ("read.hidden_sheet", "B"),
        ("read.empty_table", "C"),
    ]


def test_tables_of_one_workbook_have_names_of_their_own(read_file):
    rows = [["x", "y"], [1, 2]]
    book = workbook_bytes({"Sheet1": rows, "Sheet2": rows, "Prices a": rows, "Prices_a": rows})
    names = [record.name for record in read_file("b.xlsx", saved(book), kind="tables").records]
    assert names == ["b", "b_sheet2", "prices_a", "prices_a_prices_a"]


def test_a_stray_cell_in_the_last_corner_is_refused_before_it_is_allocated(read_file):
    book = workbook_bytes({"A": [["x", "y"], [1, 2]]})
    book["A"]["XFD1048576"] = 1
    with pytest.raises(InputError) as caught:
        read_file("book.xlsx", saved(book), kind="tables")
    assert caught.value.code == "read.too_large"


def altered(data: bytes, name: str, content: bytes) -> bytes:
    """The archive with one entry replaced or added."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            if info.filename != name:
                new.writestr(info.filename, old.read(info))
        new.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("xl/media/bomb.bin", bytes(300 << 20), "read.too_large"),
        ("xl/workbook.xml", b'<!DOCTYPE a [<!ENTITY b "c">]><workbook/>', "read.xml_entities"),
        ("xl/worksheets/sheet1.xml", b"<worksheet><unclosed>", "read.not_a_workbook"),
    ],
)
def test_hostile_archives_are_refused(read_file, name, content, code):
    data = altered(saved(workbook_bytes({"A": [["x", "y"], [1, 2]]})), name, content)
    with pytest.raises(InputError) as caught:
        read_file("book.xlsx", data, kind="tables")
    assert caught.value.code == code


@pytest.mark.parametrize(("data", "code"), [(b"PK\x03\x04 cut", "read.not_a_workbook"), (b"", "read.not_a_workbook"),
                                            (b"\xd0\xcf\x11\xe0" + bytes(600), "read.encrypted")])  # fmt: skip
def test_what_is_no_workbook_is_refused(read_file, data, code):
    with pytest.raises(InputError) as caught:
        read_file("book.xlsx", data, kind="tables")
    assert caught.value.code == code


def test_a_truncated_workbook_never_ends_in_anything_but_a_refusal(read_file, tmp_path: Path):
    data = saved(workbook_bytes({"A": [["x", "y"], [1, 2]]}))
    for size in range(0, len(data), 200):
        with pytest.raises(InputError):
            read_file("book.xlsx", data[:size], kind="tables")

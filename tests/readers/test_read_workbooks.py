"""xls, xlsb and ods through the road of xlsx: hidden sheets, formulas without value, stray cells, passwords."""

from __future__ import annotations

import io
import zipfile

import pytest

from hrmbuild.errors import InputError
from hrmbuild.readers.workbook_extents import _reach

_NAMES = " ".join(
    f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for name in ("office", "table", "text", "style")
)


def ods(body: str, *, manifest: str = "") -> bytes:
    """An OpenDocument spreadsheet with this content."""
    styles = (
        '<office:automatic-styles><style:style style:name="gone" style:family="table">'
        '<style:table-properties table:display="false"/></style:style></office:automatic-styles>'
    )
    content = (
        f'<?xml version="1.0"?><office:document-content {_NAMES}>{styles}<office:body><office:spreadsheet>'
        f"{body}</office:spreadsheet></office:body></office:document-content>"
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("content.xml", content)
        archive.writestr("META-INF/manifest.xml", f"<manifest>{manifest}</manifest>")
    return buffer.getvalue()


def text_cell(words: str, extra: str = "") -> str:
    return f'<table:table-cell office:value-type="string" {extra}><text:p>{words}</text:p></table:table-cell>'


def number_cell(number: str, extra: str = "") -> str:
    attributes = f'office:value-type="float" office:value="{number}" {extra}'
    return f"<table:table-cell {attributes}><text:p>x</text:p></table:table-cell>"


def row(*cells: str, extra: str = "") -> str:
    return f"<table:table-row {extra}>{''.join(cells)}</table:table-row>"


def sheet(name: str, *rows: str, style: str = "") -> str:
    return f'<table:table table:name="{name}" {style}>{"".join(rows)}</table:table>'


PLAIN = (row(text_cell("item"), text_cell("price")), row(text_cell("007"), number_cell("1.10")))


def test_an_ods_sheet_is_a_table_with_its_cells(read_file):
    result = read_file("book.ods", ods(sheet("Prices", *PLAIN)), kind="tables")
    table = result.records[0]
    assert [(c.name, c.cells) for c in table.columns] == [("item", ("007",)), ("price", ("1.1",))]
    assert (table.locator.sheet, table.locator.cells) == ("Prices", "A2:B2")


def test_hidden_sheets_and_formulas_without_value_are_named_in_ods(read_file):
    formula = row(text_cell("8"), '<table:table-cell table:formula="of:=1+1"/>')
    body = sheet("A", *PLAIN, formula) + sheet("B", *PLAIN, style='table:style-name="gone"')
    result = read_file("book.ods", ods(body), kind="tables")
    assert [record.name for record in result.records] == ["a"]
    assert [(s.code, s.locator.sheet, s.locator.cells) for s in result.skips] == [
        ("read.formula_without_value", "A", "B3"),
        ("read.hidden_sheet", "B", None),
    ]


@pytest.mark.parametrize("rows", [
    pytest.param(
        (*PLAIN, row('<table:table-cell/>', extra='table:number-rows-repeated="1048000"'), row(text_cell("x"))),
        marks=pytest.mark.slow,
    ),
    (*PLAIN, row('<table:table-cell/>', extra='table:number-rows-repeated="20000"'), row(text_cell("x"))),
    (*PLAIN, row(number_cell("1", 'table:number-columns-repeated="16000"'), extra='table:number-rows-repeated="9999"')),
])  # fmt: skip
def test_cells_repeated_to_the_last_corner_are_refused_or_read_in_little_room(read_file, rows):
    try:
        result = read_file("book.ods", ods(sheet("A", *rows)), kind="tables")
    except InputError as error:
        assert error.code == "read.too_large"
    else:
        assert result.records[0].n_rows == 1


def test_empty_rows_to_the_end_of_the_sheet_cost_nothing(read_file):
    rest = row(
        '<table:table-cell table:number-columns-repeated="16384"/>', extra='table:number-rows-repeated="1048574"'
    )
    assert read_file("book.ods", ods(sheet("A", *PLAIN, rest)), kind="tables").records[0].n_rows == 1


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("a.ods", ods(sheet("A", *PLAIN), manifest="<encryption-data/>"), "read.encrypted"),
        ("a.ods", ods("<unclosed>"), "read.not_a_workbook"),
        ("a.ods", ods("<!DOCTYPE a>"), "read.xml_entities"),
        ("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "read.not_a_workbook"),
        ("a.xls", b"item;price\n", "read.not_a_workbook"),
        ("a.xlsb", b"PK\x03\x04 cut", "read.not_a_workbook"),
        ("a.xlsb", b"\xd0\xcf\x11\xe0" + bytes(600), "read.encrypted"),
    ],
)
def test_what_is_no_readable_workbook_is_refused(read_file, name, data, code):
    with pytest.raises(InputError) as caught:
        read_file(name, data, kind="tables")
    assert caught.value.code == code


def test_the_reach_of_a_binary_sheet_is_measured_without_its_values():
    record = (
        bytes([0, 4]) + (1_048_575).to_bytes(4, "little") + bytes([7, 8]) + (16_383).to_bytes(4, "little") + bytes(4)
    )
    assert _reach(record) == (1_048_576, 16_384)
    assert _reach(b"\xff\xff\xff") == (0, 0)


@pytest.mark.parametrize(
    ("path", "tables", "skips"),
    [
        ("nasty/calamine-sheets/files/date.xls", ["date"], set()),
        ("nasty/calamine-sheets/files/date_1904.xlsb", ["date_1904"], set()),
        ("nasty/messytables-horror/files/loffice-4.4.1.2.ods", ["loffice_4_4_1_2"], set()),
        ("tables/business-xlsx/files/tests-example.xls", ["example_test", "format_abbr", "readme"],
         {"read.above_header", "read.below_table"}),
    ],
)  # fmt: skip
def test_real_workbooks_of_each_container_are_read(shared_data, read_file, path, tables, skips):
    result = read_file(path.rsplit("/")[-1], (shared_data / path).read_bytes(), kind="tables")
    assert [record.name for record in result.records] == tables
    assert {skip.code for skip in result.skips} == skips

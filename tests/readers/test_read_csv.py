"""CSV: delimiter and header found and shown, every row that does not fit named."""

from __future__ import annotations

import csv
import io
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hrmbuild import readers
from hrmbuild.config.project import SourceConfig
from hrmbuild.errors import InputError
from hrmbuild.fingerprint import sha256_hex


def columns_of(result: readers.ReadResult) -> dict[str, tuple[str | None, ...]]:
    """Name -> cells of the only table."""
    return {column.name: column.cells for column in result.records[0].columns}


@pytest.mark.parametrize(("delimiter", "name"), [(",", "comma"), (";", "semicolon"), ("\t", "tab"), ("|", "bar")])
def test_each_delimiter_is_detected_and_shown(read_file, delimiter, name):
    lines = [["id", "price", "note"], ["007", "1,5" if delimiter != "," else "1.5", ""], ["8", "2", "x"]]
    result = read_file("t.csv", "\n".join(delimiter.join(line) for line in lines), kind="tables")
    assert columns_of(result)["id"] == ("007", "8")
    assert columns_of(result)["note"] == (None, "x")
    assert f"delimiter: {name}" in result.notes


def test_a_declared_delimiter_wins(read_file):
    result = read_file("t.csv", "sep=;\na;b\n1,2;3,4\n", kind="tables")
    assert columns_of(result) == {"a": ("1,2",), "b": ("3,4",)}
    assert result.records[0].locator.line_from == 3


def test_a_ragged_row_is_a_skip_with_its_lines(read_file):
    result = read_file("t.csv", 'a,b\n1,"x\ny"\n3\n4,5,6\n7,8,\n', kind="tables")
    assert columns_of(result) == {"a": ("1", "7"), "b": ("x\ny", "8")}
    assert [(s.code, s.locator.line_from) for s in result.skips] == [("read.ragged_row", 4), ("read.ragged_row", 5)]


def test_a_title_above_the_header_and_a_total_below_are_skips(read_file):
    result = read_file("t.csv", "Sales 2025,,\n,,\nregion,units,price\nn,1,2\ns,3,4\nTotal,4,6\n", kind="tables")
    assert columns_of(result)["region"] == ("n", "s")
    assert [skip.code for skip in result.skips] == ["read.above_header", "read.total_row"]


def test_a_column_without_a_name_is_called_by_its_position(read_file):
    result = read_file("t.csv", ",b\n1,2\n", kind="tables")
    assert list(columns_of(result)) == ["column_1", "b"]
    assert any("called by position: 1" in note for note in result.notes)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("a,a,b\n1,2,3\n", "read.duplicate_columns"),
        ("1,2\n3,4\n", "read.no_header"),
        (",0\nmeals,12\nhotels,3\n", "read.no_header"),
        ("", "read.empty_table"),
        ("a,b\n", "read.empty_table"),
        ("a,b\n" + "x\n" * 9 + "1,2\n" * 4, "read.no_rectangle"),
    ],
)
def test_what_is_no_table_is_refused_with_its_reason(read_file, content, code):
    with pytest.raises(InputError) as caught:
        read_file("t.csv", content, kind="tables")
    assert caught.value.code == code


def test_a_column_with_neither_name_nor_value_is_no_column(read_file):
    result = read_file("t.csv", "a;b;\n1;2;\n3;4;\n", kind="tables")
    assert list(columns_of(result)) == ["a", "b"] and not any("position" in note for note in result.notes)


def test_a_header_that_may_be_data_is_noted(read_file):
    assert any("first row of data" in note for note in read_file("t.csv", "Ada,30\nBen,25\n", kind="tables").notes)


def test_rows_of_existing_pairs_become_fields(read_file):
    result = read_file("p.csv", "question,query\nHow many?,SELECT 1\nWhy?,\n", kind="pairs")
    assert [record.fields for record in result.records] == [
        {"question": "How many?", "query": "SELECT 1"},
        {"question": "Why?"},
    ]
    assert result.records[1].locator.line_from == 3


CELLS = st.text(alphabet=st.sampled_from(list("ab1,;|\t\"' \n")), min_size=1, max_size=6).map(lambda text: "x" + text)


@settings(max_examples=100, deadline=None)
@given(
    st.integers(2, 4).flatmap(
        lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=3, max_size=6)
    )
)
def test_cells_that_were_written_with_a_declared_delimiter_come_back_as_they_were(rows):
    header = [f"name {index}" for index in range(len(rows[0]))]
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\n", quoting=csv.QUOTE_ALL, delimiter=";").writerows([header, *rows])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        path.write_bytes(b"sep=;\n" + buffer.getvalue().encode())
        source = SourceConfig(path="t.csv", kind="tables")
        sha256 = sha256_hex(path.read_bytes())
        table = readers.read(path, relative="t.csv", sha256=sha256, source=source, format="csv").records[0]
    assert [column.name for column in table.columns] == header
    assert [list(row) for row in zip(*(column.cells for column in table.columns), strict=True)] == rows

"""Parquet: a table with exact cells, rows of pairs with nested values by pointer, damage refused."""

from __future__ import annotations

import datetime as dt
import io
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hrmbuild.errors import InputError


def parquet(**columns: pa.Array) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


def test_cells_are_exact(read_file):
    data = parquet(
        price=pa.array([Decimal("0.10"), None], pa.decimal128(9, 2)),
        rate=pa.array([0.1, 1e21], pa.float64()),
        half=pa.array([0.1, 2], pa.float32()),
        day=pa.array([dt.date(2026, 3, 1), None]),
        at=pa.array([1, 2], pa.timestamp("ns")),
        ok=pa.array([True, False]),
        raw=pa.array([b"a", b"b"]),
        tags=pa.array([["a"], []]),
    )
    result = read_file("shop prices.parquet", data, kind="tables")
    table = result.records[0]
    assert table.name == "shop_prices"
    assert [(c.name, c.cells) for c in table.columns] == [
        ("price", ("0.10", None)),
        ("rate", ("0.1", "1000000000000000000000")),
        ("half", ("0.1", "2")),
        ("day", ("2026-03-01", None)),
        ("at", ("1970-01-01 00:00:00.000000001", "1970-01-01 00:00:00.000000002")),
        ("ok", ("TRUE", "FALSE")),
    ]
    assert (table.locator.row_from, table.locator.row_to, table.locator.sheet) == (1, 2, None)
    assert {skip.code for skip in result.skips} == {"read.blob", "read.nested_value"}


def test_rows_of_the_cleaned_mix_are_pairs(read_file):
    data = parquet(condition=pa.array(["direct"]), instruction=pa.array(["1+1?"]), response=pa.array(["2"]))
    row = read_file("mix.parquet", data, kind="pairs").records[0]
    assert row.fields == {"condition": "direct", "instruction": "1+1?", "response": "2"}
    assert (row.locator.row_from, row.locator.row_to) == (1, 1)


def test_messages_are_named_by_pointer(read_file):
    turns = [[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]]
    row = read_file("a.parquet", parquet(messages=pa.array(turns)), kind="pairs").records[0]
    assert row.fields["messages/1/content"] == "Hello"


@pytest.mark.parametrize("data", [b"PAR1", b"PAR1" + bytes(100) + b"PAR1", b"words"])
def test_what_is_no_parquet_is_refused(read_file, data):
    with pytest.raises(InputError) as caught:
        read_file("a.parquet", data, kind="tables")
    assert caught.value.code == "read.not_parquet"


def test_bad_parquet_files_are_refused_and_unusual_ones_read(shared_data, read_file):
    outcomes: dict[str, str] = {}
    for path in sorted((shared_data / "nasty/parquet-bad/files").rglob("*.parquet")):
        try:
            outcomes[path.name] = f"{read_file(path.name, path.read_bytes(), kind='tables').records[0].n_rows}"
        except InputError as error:
            outcomes[path.name] = error.code
    bad = [path.name for path in (shared_data / "nasty/parquet-bad/files/bad_data").glob("*.parquet")]
    assert {outcomes[name] for name in bad} == {"read.not_parquet"}
    assert outcomes["rle-dict-uncompressed-corrupt-checksum.parquet"] == "read.not_parquet"
    assert outcomes["delta_length_byte_array.parquet"] == "1000"

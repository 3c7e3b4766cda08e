"""SQLite and DuckDB files: tables with their keys, what is left out by name, and nothing that the file could run."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import duckdb
import pytest

from hrmbuild import readers
from hrmbuild.config.project import SourceConfig
from hrmbuild.errors import InputError
from hrmbuild.fingerprint import sha256_hex
from hrmbuild.pairs.table_columns import describe_columns
from hrmbuild.readers import database_tables
from hrmbuild.readers.worker import read_guarded
from hrmbuild.store.database_files import open_database_file

SCHEMA = """
CREATE TABLE customers (id INTEGER PRIMARY KEY, town TEXT);
CREATE TABLE orders (number INTEGER PRIMARY KEY, buyer INTEGER REFERENCES customers(id), amount DECIMAL(10,2),
                     raw BLOB);
CREATE VIEW dear AS SELECT * FROM orders WHERE amount > 5;
INSERT INTO customers VALUES (1, 'Bonn'), (2, 'Köln');
INSERT INTO orders VALUES (7, 1, 0.1, NULL), (8, 2, 1e6, NULL), (9, 2, 12.30, 'abc'::BLOB);
"""


def sqlite_file(path: Path, script: str) -> Path:
    connection = sqlite3.connect(path)
    connection.executescript(script)
    connection.close()
    return path


def duckdb_file(path: Path, script: str) -> Path:
    connection = duckdb.connect(str(path))
    connection.execute(script)
    connection.close()
    return path


def read(path: Path, *, guarded: bool = False, **settings: object) -> readers.ReadResult:
    data = path.read_bytes()
    source = SourceConfig(path=path.name, **{"kind": "tables", **settings})
    format = readers.choose_format(path, data[: readers.HEAD_BYTES], source)
    take = read_guarded if guarded else readers.read
    return take(path, relative=path.name, sha256=sha256_hex(data), source=source, format=format,
                open_database=open_database_file)  # fmt: skip


@pytest.fixture(params=["sqlite", "duckdb"])
def shop(request, tmp_path: Path) -> Path:
    """The same database in both kinds, under a suffix that says neither."""
    if request.param == "duckdb":
        return duckdb_file(tmp_path / "shop.db", SCHEMA)
    return sqlite_file(tmp_path / "shop.db", SCHEMA.replace("'abc'::BLOB", "x'616263'"))


def test_tables_come_with_exact_cells_keys_and_references(shop):
    customers, orders = read(shop).records
    assert (customers.name, customers.key, orders.key, orders.references) == (
        "customers", "id", "number", {"buyer": "customers.id"},
    )  # fmt: skip
    cells = {column.name: column.cells for column in orders.columns}
    assert sorted(cells) == ["amount", "buyer", "number"]
    assert [float(cell) for cell in cells["amount"]] == [0.1, 1_000_000, 12.3] and "e" not in "".join(cells["amount"])
    assert (orders.locator.sheet, orders.locator.row_from, orders.locator.row_to) == ("orders", 1, 3)
    assert customers.columns[1].cells == ("Bonn", "Köln")


def test_views_and_bytes_are_named_and_not_read(shop):
    assert {(skip.code, skip.locator.sheet) for skip in read(shop).skips} == {
        ("read.view", "dear"),
        ("read.blob", "orders"),
    }


def test_declared_references_win_over_the_database_and_the_database_over_names(shop):
    customers, orders = read(shop).records
    told = {c.name: c for c in describe_columns(orders, SourceConfig(path="x", kind="tables"), [customers])}
    assert (told["number"].role, told["buyer"].role, told["buyer"].references) == ("key", "foreign_key", "customers.id")
    source = SourceConfig(path="x", kind="tables", references={"orders.buyer": "customers.town"})
    declared = {c.name: c for c in describe_columns(orders, source, [customers])}
    assert declared["buyer"].references == "customers.town"


def test_rows_beyond_the_cap_are_counted(shop, monkeypatch):
    monkeypatch.setattr(database_tables, "MAX_ROWS", 2)
    result = read(shop)
    assert [record.n_rows for record in result.records] == [2, 2]
    capped = [skip for skip in result.skips if skip.code == "read.row_cap"]
    assert [(skip.locator.sheet, skip.locator.row_from, skip.locator.row_to) for skip in capped] == [("orders", 3, 3)]


def test_rows_of_pairs_keep_table_and_row(shop):
    rows = read(shop, kind="pairs").records
    assert rows[0].fields == {"id": "1", "town": "Bonn"}
    assert (rows[-1].locator.sheet, rows[-1].locator.row_from) == ("orders", 3)


def test_the_worker_reads_the_same(shop):
    assert read(shop, guarded=True) == read(shop)


def test_reading_leaves_no_trace(shop):
    before = sorted(path.name for path in shop.parent.iterdir())
    read(shop)
    assert sorted(path.name for path in shop.parent.iterdir()) == before


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.sqlite", b"SQLite format 3\0" + bytes(600)),
        ("a.sqlite", b"words"),
        ("a.duckdb", bytes(8) + b"DUCK" + bytes(9000)),
        ("a.duckdb", b""),
    ],
)
def test_what_is_no_database_is_refused(tmp_path, name, data):
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(InputError) as caught:
        read(path)
    assert caught.value.code == "read.not_a_database"


def test_a_database_without_rows_is_refused(tmp_path):
    with pytest.raises(InputError) as caught:
        read(sqlite_file(tmp_path / "a.sqlite", "CREATE TABLE t (a)"))
    assert caught.value.code == "read.no_table"


def test_calculated_columns_and_virtual_tables_are_not_run(tmp_path):
    script = """CREATE TABLE t (a INTEGER, b TEXT GENERATED ALWAYS AS (hex(zeroblob(a))));
                INSERT INTO t (a) VALUES (100); CREATE VIRTUAL TABLE words USING fts5(text);"""
    result = read(sqlite_file(tmp_path / "a.sqlite", script))
    assert [column.name for column in result.records[0].columns] == ["a"]
    assert {skip.code for skip in result.skips} == {"read.calculated_column", "read.virtual_table"}


def test_text_in_another_encoding_is_a_skip(tmp_path):
    path = sqlite_file(tmp_path / "a.sqlite", "CREATE TABLE t (a, b); INSERT INTO t VALUES (1, CAST(x'fc' AS TEXT))")
    result = read(path)
    assert [skip.code for skip in result.skips] == ["read.bad_unicode"]
    assert [column.name for column in result.records[0].columns] == ["a"]


def test_a_database_that_is_still_written_is_refused_or_said(tmp_path):
    lite = sqlite_file(tmp_path / "a.sqlite", "CREATE TABLE t (a); INSERT INTO t VALUES (1)")
    (tmp_path / "a.sqlite-wal").write_bytes(b"x")
    assert [skip.code for skip in read(lite).skips] == ["read.write_ahead_log"]
    duck = duckdb_file(tmp_path / "a.duckdb", "CREATE TABLE t (a INT); INSERT INTO t VALUES (1)")
    (tmp_path / "a.duckdb.wal").write_bytes(b"x")
    with pytest.raises(InputError) as caught:
        read(duck)
    assert caught.value.code == "read.open_elsewhere"


def test_names_with_quotes_are_names(tmp_path):
    script = 'CREATE TABLE "a""; DROP" ("x"" y"); INSERT INTO "a""; DROP" VALUES (1)'
    result = read(sqlite_file(tmp_path / "a.sqlite", script))
    assert (result.records[0].name, result.records[0].columns[0].name) == ("a_drop", 'x" y')

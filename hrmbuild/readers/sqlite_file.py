"""An SQLite database to one Table for each of its tables, with the keys that it declares.

Owns the opening: read-only and immutable (no journal is replayed, no lock taken, nothing written beside the file), no
extension, no SQL of the file's own (views, triggers, calculated columns and virtual tables are not run), and a limit on
time that a damaged or hostile file meets. It must not write.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager

from hrmbuild.readers.database_tables import (
    MAX_TABLES,
    BadText,
    StoredTable,
    row_cap,
    stored_records,
    table_names,
)
from hrmbuild.readers.result import ReadResult, SourceFile, skip
from hrmbuild.records.locator import Locator
from hrmbuild.records.source import Skip

"""Of one file."""
_STEPS = 20_000
"""Instructions of SQLite's machine between two looks at the clock."""
_MAX_VALUE_BYTES = 16 << 20
_ALLOWED = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_PRAGMA})
_PRAGMAS = frozenset({"table_list", "table_xinfo", "foreign_key_list"})
_LEFT_OUT = {
    "view": ("read.view", "a view is a query, not stored data, and is not run"),
    "virtual": ("read.virtual_table", "a virtual table is read by code that is not part of the file"),
    "shadow": ("read.virtual_table", "a table that keeps the inside of a virtual table"),
}


def read_sqlite(file: SourceFile) -> ReadResult:
    """One Table a table, or one Fields a row where the source's kind is `pairs`.

    Raises:
        InputError: `read.not_a_database`, `read.too_slow`, `read.no_table`.
    """
    result = ReadResult([])
    deadline_s = time.monotonic() + file.limits.seconds_per_file
    try:
        with _opened(file, deadline_s) as connection:
            _read_tables(file, connection, result)
    except sqlite3.Error as error:
        if time.monotonic() >= deadline_s:
            seconds = f"{file.limits.seconds_per_file:g} s (limits.seconds_per_file)"
            raise file.error("read.too_slow", f"reading the database took more than {seconds}",
                             fix="raise limits.seconds_per_file, or export the tables as CSV") from None  # fmt: skip
        raise file.error("read.not_a_database", f"the file is no SQLite database that can be read: {error}",
                         why="it may be damaged, encrypted or of another kind",
                         fix="check it with: sqlite3 FILE 'pragma integrity_check'") from None  # fmt: skip
    if not result.records:
        raise file.error("read.no_table", "the database holds no table with rows",
                         fix="leave it out, or export its views as tables")  # fmt: skip
    return result


@contextmanager
def _opened(file: SourceFile, deadline_s: float) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(f"{file.path.resolve().as_uri()}?mode=ro&immutable=1", uri=True, isolation_level=None)
    try:
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_VALUE_BYTES)
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        connection.set_progress_handler(lambda: time.monotonic() >= deadline_s, _STEPS)
        for pragma in ("trusted_schema = OFF", "query_only = ON", "cell_size_check = ON", "mmap_size = 0"):
            connection.execute(f"PRAGMA {pragma}")
        connection.set_authorizer(_allow)
        connection.text_factory = _text
        yield connection
    finally:
        connection.close()


def _allow(action: int, first: str | None, second: str | None, database: str | None, source: str | None) -> int:
    """Nothing but selecting stored columns, counting rows and asking for the schema."""
    named = {sqlite3.SQLITE_PRAGMA: _PRAGMAS}.get(action)
    counts = action == sqlite3.SQLITE_FUNCTION and second == "count"
    allowed = counts or (action in _ALLOWED and (named is None or (first or "").lower() in named))
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY


def _text(raw: bytes) -> str | BadText:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return BadText()


def _read_tables(file: SourceFile, connection: sqlite3.Connection, result: ReadResult) -> None:
    log = file.path.with_name(file.path.name + "-wal")
    if log.exists() and log.stat().st_size > 0:
        detail = f"{log.name} beside it holds changes that are not yet in the file, and is not read"
        result.skips.append(skip("read.write_ahead_log", detail, Locator()))
    listed = sorted(row for row in connection.execute("PRAGMA table_list") if row[0] == "main")
    mine = [row for row in listed if not str(row[1]).startswith("sqlite_")]
    for row in mine:
        if row[2] in _LEFT_OUT:
            result.skips.append(skip(*_LEFT_OUT[row[2]], Locator(sheet=row[1])))
    stored = [row for row in mine if row[2] == "table"]
    result.skips.extend(skip("read.too_many_tables", f"only {MAX_TABLES} tables are read", Locator(sheet=row[1]))
                        for row in stored[MAX_TABLES:])  # fmt: skip
    names = table_names(row[1] for row in stored[:MAX_TABLES])
    for row in stored[:MAX_TABLES]:
        table = _stored(connection, row[1], has_rowid=not row[4], skips=result.skips)
        result.records.extend(stored_records(file, table, names, result.skips))


def _stored(connection: sqlite3.Connection, name: str, *, has_rowid: bool, skips: list[Skip]) -> StoredTable:
    described = connection.execute(f"PRAGMA table_xinfo({_quoted(name)})").fetchall()
    columns = tuple(str(row[1]) for row in described if row[6] == 0)
    for row in described:
        if row[6] != 0:
            detail = f"column {row[1]!r} is calculated by the database and is not read"
            skips.append(skip("read.calculated_column", detail, Locator(sheet=name)))
    keys = [str(row[1]) for row in sorted(described, key=lambda row: row[5]) if row[5]]
    order = "rowid" if has_rowid else ", ".join(_quoted(key) for key in keys)
    shown = ", ".join(_quoted(column) for column in columns)
    cap = row_cap(len(columns))
    query = f"SELECT {shown} FROM {_quoted(name)} ORDER BY {order} LIMIT {cap}"
    rows = connection.execute(query).fetchall() if columns else []
    n_rows = len(rows)
    if n_rows == cap:
        n_rows = connection.execute(f"SELECT count(*) FROM {_quoted(name)}").fetchone()[0]
    key = keys[0] if len(keys) == 1 else None
    return StoredTable(name, columns, rows, n_rows, key, _references(connection, name))


def _references(connection: sqlite3.Connection, name: str) -> dict[str, tuple[str, str]]:
    """Foreign keys of one column; one that names no column means the other table's primary key."""
    rows = connection.execute(f"PRAGMA foreign_key_list({_quoted(name)})").fetchall()
    numbers = [row[0] for row in rows]
    found: dict[str, tuple[str, str]] = {}
    for number, _, table, column, target, *_ in rows:
        goal = target or _primary_key(connection, table)
        if numbers.count(number) == 1 and goal:
            found[column] = (table, goal)
    return found


def _primary_key(connection: sqlite3.Connection, table: str) -> str | None:
    keys = [row[1] for row in connection.execute(f"PRAGMA table_xinfo({_quoted(table)})") if row[5]]
    return keys[0] if len(keys) == 1 else None


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'

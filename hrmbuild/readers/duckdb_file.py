"""A DuckDB database to one Table for each of its tables, with the keys that it declares.

Owns what is asked of the database. It opens none itself: whoever calls `read` hands in an opener (DuckDB stays in
`store/`), which opens read-only, closed to the outside, and turns DuckDB's errors into ours.
"""

from __future__ import annotations

from hrmbuild.readers.database_tables import MAX_TABLES, StoredTable, row_cap, stored_records, table_names
from hrmbuild.readers.result import DatabaseConnection, ReadResult, SourceFile, skip
from hrmbuild.records.locator import Locator

_OWN = "database_name = current_database() AND NOT internal"


def read_duckdb(file: SourceFile) -> ReadResult:
    """One Table a table, or one Fields a row where the source's kind is `pairs`.

    Raises:
        InputError: `read.no_opener`, `read.open_elsewhere`, `read.not_a_database`, `read.too_slow`, `read.no_table`.
    """
    if file.open_database is None:
        raise file.error("read.no_opener", "DuckDB files are read by hrmbuild ingest only",
                         fix="run: hrmbuild ingest")  # fmt: skip
    log = file.path.with_name(file.path.name + ".wal")
    if log.exists() and log.stat().st_size > 0:
        raise file.error("read.open_elsewhere", f"{log.name} beside it holds changes that are not yet in the file",
                         why="what would be read is not what the file's hash stands for",
                         fix="close the program that writes it (CHECKPOINT), then run again")  # fmt: skip
    result = ReadResult([])
    with file.open_database(file.path, file.relative, file.limits.seconds_per_file) as connection:
        _read_tables(file, connection, result)
    if not result.records:
        raise file.error("read.no_table", "the database holds no table with rows",
                         fix="leave it out, or export its views as tables")  # fmt: skip
    return result


def _read_tables(file: SourceFile, connection: DatabaseConnection, result: ReadResult) -> None:
    views = connection.execute(
        f"SELECT schema_name, view_name FROM duckdb_views() WHERE {_OWN} ORDER BY ALL"
    ).fetchall()
    result.skips.extend(skip("read.view", "a view is a query, not stored data, and is not run",
                             Locator(sheet=_name(schema, view))) for schema, view in views)  # fmt: skip
    tables = connection.execute(
        f"SELECT schema_name, table_name FROM duckdb_tables() WHERE {_OWN} AND NOT temporary ORDER BY ALL"
    ).fetchall()
    result.skips.extend(skip("read.too_many_tables", f"only {MAX_TABLES} tables are read", Locator(sheet=_name(*row)))
                        for row in tables[MAX_TABLES:])  # fmt: skip
    names = table_names(_name(schema, table) for schema, table in tables[:MAX_TABLES])
    for schema, table in tables[:MAX_TABLES]:
        stored = _stored(connection, str(schema), str(table))
        result.records.extend(stored_records(file, stored, names, result.skips))


def _name(schema: object, table: object) -> str:
    return str(table) if schema == "main" else f"{schema}.{table}"


def _stored(connection: DatabaseConnection, schema: str, table: str) -> StoredTable:
    described = connection.execute(
        f"SELECT column_name FROM duckdb_columns() WHERE {_OWN} AND schema_name = ? AND table_name = ? "
        "ORDER BY column_index",
        [schema, table],
    ).fetchall()
    columns = tuple(str(row[0]) for row in described)
    place = f"{_quoted(schema)}.{_quoted(table)}"
    cap = row_cap(len(columns))
    shown = ", ".join(_quoted(column) for column in columns)
    rows = connection.execute(f"SELECT {shown} FROM {place} ORDER BY rowid LIMIT {cap}").fetchall()
    n_rows = len(rows)
    if n_rows == cap:
        n_rows = int(str(connection.execute(f"SELECT count(*) FROM {place}").fetchall()[0][0]))
    key, references = _keys(connection, schema, table)
    return StoredTable(_name(schema, table), columns, rows, n_rows, key, references)


def _keys(connection: DatabaseConnection, schema: str, table: str) -> tuple[str | None, dict[str, tuple[str, str]]]:
    """The primary key and the foreign keys that are of one column; DuckDB's stay within a schema."""
    rows = connection.execute(
        "SELECT constraint_type, constraint_column_names, referenced_table, referenced_column_names "
        "FROM duckdb_constraints() WHERE database_name = current_database() AND schema_name = ? AND table_name = ? "
        "ORDER BY constraint_index",
        [schema, table],
    ).fetchall()
    key: str | None = None
    references: dict[str, tuple[str, str]] = {}
    for kind, columns, other, targets in rows:
        if not isinstance(columns, list) or len(columns) != 1:
            continue
        if kind == "PRIMARY KEY":
            key = str(columns[0])
        elif kind == "FOREIGN KEY" and isinstance(targets, list) and len(targets) == 1:
            references[str(columns[0])] = (_name(schema, other), str(targets[0]))
    return key, references


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'

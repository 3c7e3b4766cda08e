"""The corpus file's schema, grown by append-only steps; each is recorded in the file.

Owns which steps there are and running them. A step that has been released never changes.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import duckdb

from hrmbuild.errors import InputError
from hrmbuild.store.migrations import (
    m001_corpus,
    m002_passages,
    m003_audit_views,
    m004_conflicts,
    m005_included,
    m006_rejected_labels,
)

MIGRATIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("m001_corpus", m001_corpus.STATEMENTS),
    ("m002_passages", m002_passages.STATEMENTS),
    ("m003_audit_views", m003_audit_views.STATEMENTS),
    ("m004_conflicts", m004_conflicts.STATEMENTS),
    ("m005_included", m005_included.STATEMENTS),
    ("m006_rejected_labels", m006_rejected_labels.STATEMENTS),
)


_OBJECTS = """
SELECT 'table', schema_name || '.' || table_name, sql FROM duckdb_tables() WHERE NOT internal AND NOT temporary
UNION ALL SELECT 'view', schema_name || '.' || view_name, sql FROM duckdb_views() WHERE NOT internal AND NOT temporary
UNION ALL SELECT 'macro', schema_name || '.' || function_name || '/' || len(parameters),
                 string_agg(concat_ws(' ', parameters, macro_definition), ';' ORDER BY macro_definition)
          FROM duckdb_functions() WHERE NOT internal GROUP BY ALL
UNION ALL SELECT 'index', index_name, sql FROM duckdb_indexes()
UNION ALL SELECT 'sequence', sequence_name, sql FROM duckdb_sequences() WHERE NOT temporary
UNION ALL SELECT 'type', type_name, logical_type FROM duckdb_types() WHERE NOT internal
"""
"""Everything in a file that somebody made."""


def applied(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Names of the steps that this file has, oldest first."""
    known = connection.execute(
        "SELECT count(*) FROM information_schema.tables WHERE table_name = 'migration'"
    ).fetchall()
    if not known[0][0]:
        return []
    return [name for (name,) in connection.execute("SELECT name FROM migration ORDER BY name").fetchall()]


def migrate(connection: duckdb.DuckDBPyConnection) -> None:
    """Bring a file to the newest schema, each step in one transaction."""
    done = applied(connection)
    for name, statements in MIGRATIONS:
        if name in done:
            continue
        connection.execute("BEGIN")
        for statement in statements:
            connection.execute(statement)
        connection.execute("CREATE TABLE IF NOT EXISTS migration (name VARCHAR NOT NULL)")
        connection.execute("INSERT INTO migration VALUES (?)", [name])
        connection.execute("COMMIT")


def check_schema(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Refuse a database that is not ours, or that a newer release wrote.

    Raises:
        InputError: `store.not_a_corpus`, `store.newer`.
    """
    ours = [name for name, _ in MIGRATIONS]
    done = applied(connection)
    if not done and _n_tables(connection):
        raise InputError(
            "store.not_a_corpus",
            "this DuckDB file holds other tables, not a corpus",
            where=str(path),
            fix="give another path with --corpus; hrmbuild writes into no database that it did not make",
        )
    unknown = [name for name in done if name not in ours]
    if unknown:
        raise InputError(
            "store.newer",
            f"a newer hrmbuild wrote this corpus (it has {unknown[-1]})",
            where=str(path),
            fix="install that release, or move the file away and run: hrmbuild ingest",
        )


def foreign_objects(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Tables, views, macros and the like of a corpus that are not exactly those that the steps make: `view pair`.

    A macro named like a function of DuckDB is called in its place, and a view named like a table is read in its place.
    """
    theirs, ours = _objects(connection), _made_by(tuple(applied(connection)))
    return sorted(name for name in theirs.keys() | ours.keys() if theirs.get(name) != ours.get(name))


@lru_cache
def _made_by(steps: tuple[str, ...]) -> dict[str, str]:
    with duckdb.connect(":memory:") as fresh:
        for name, statements in MIGRATIONS:
            for statement in statements if name in steps else ():
                fresh.execute(statement)
            fresh.execute("CREATE TABLE IF NOT EXISTS migration (name VARCHAR NOT NULL)")
        return _objects(fresh)


def _objects(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    rows = connection.execute(_OBJECTS).fetchall()
    return {f"{kind} {name}": str(made) for kind, name, made in rows}


def _n_tables(connection: duckdb.DuckDBPyConnection) -> int:
    return int(connection.execute("SELECT count(*) FROM information_schema.tables").fetchall()[0][0])

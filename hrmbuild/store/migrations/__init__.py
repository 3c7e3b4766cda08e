"""The corpus file's schema, grown by append-only steps; each is recorded in the file.

Owns which steps there are and running them. A step that has been released never changes.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

from hrmbuild.errors import InputError
from hrmbuild.store.migrations import m001_corpus, m002_passages, m003_audit_views, m004_conflicts

MIGRATIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("m001_corpus", m001_corpus.STATEMENTS),
    ("m002_passages", m002_passages.STATEMENTS),
    ("m003_audit_views", m003_audit_views.STATEMENTS),
    ("m004_conflicts", m004_conflicts.STATEMENTS),
)


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


def _n_tables(connection: duckdb.DuckDBPyConnection) -> int:
    return int(connection.execute("SELECT count(*) FROM information_schema.tables").fetchall()[0][0])

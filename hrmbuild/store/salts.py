"""The salts: 32 random bytes a pair, drawn once and kept, so that a row can be erased and no row can be guessed.

Owns their two statements. They are the only random bytes of a corpus and enter nothing but the signed roots.
"""

from __future__ import annotations

import duckdb
import polars as pl

from hrmbuild.store.writer import insert_rows


def read_salts(connection: duckdb.DuckDBPyConnection) -> dict[str, bytes]:
    """Salt by pair id."""
    return dict(connection.execute("SELECT pair_id, salt FROM salt ORDER BY pair_id").fetchall())


def write_salts(connection: duckdb.DuckDBPyConnection, new: dict[str, bytes]) -> None:
    """Add salts inside the caller's transaction."""
    rows: list[tuple[object, ...]] = sorted(new.items())
    insert_rows(connection, "salt", schema={"pair_id": pl.String, "salt": pl.Binary}, rows=rows)

"""Writing one unit: candidates, rejections, skips and files, in bulk through Arrow.

Owns the mapping from values to columns. It must not begin or end a transaction:
`Corpus.replace_unit` does, and hands in what ends a part of a large unit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import duckdb
import polars as pl

from hrmbuild.fingerprint import canonical_json
from hrmbuild.records.pair import Axis, CompiledPair, Rejection, Split, pair_id
from hrmbuild.records.passage import SourcePassage
from hrmbuild.records.source import Skip, Source

_BATCH_ROWS = 8192
UNIT_TABLES = ("candidate", "passage", "rejection", "skip", "source", "unit")
"""Tables that hold what one unit made."""

Rows = dict[str, list[tuple[object, ...]]]
"""Rows by their table."""
_TEXT, _WHOLE, _TRUTH = pl.String, pl.Int64, pl.Boolean
_SCHEMAS: dict[str, dict[str, Any]] = {
    "candidate": {
        "unit": _TEXT, "ordinal": _WHOLE, "path": _TEXT, "pair_id": _TEXT, "condition": _TEXT,
        "instruction": _TEXT, "response": _TEXT, "kind": _TEXT, "stratum": _TEXT, "split": _TEXT, "axis": _TEXT,
        "boundary": _TRUTH, "book": _TEXT, "derivation": _TEXT, "answer": _TEXT, "content_key": _TEXT,
        "label": _TEXT, "valid_from": _TEXT, "valid_until": _TEXT, "occurrence": _TEXT,
    },
    "rejection": {
        "unit": _TEXT, "ordinal": _WHOLE, "path": _TEXT, "stage": _TEXT, "code": _TEXT, "detail": _TEXT,
        "source_sha256": _TEXT, "locator": _TEXT, "text": _TEXT, "pair_id": _TEXT, "gate": _TEXT, "label": _TEXT,
    },
    "passage": {
        "unit": _TEXT, "path": _TEXT, "ordinal": _WHOLE, "source_sha256": _TEXT, "locator": _TEXT, "place": _WHOLE,
        "title": _TEXT, "heading": _TEXT, "text": _TEXT,
    },
    "skip": {"unit": _TEXT, "path": _TEXT, "ordinal": _WHOLE, "code": _TEXT, "detail": _TEXT, "locator": _TEXT},
    "source": {
        "path": _TEXT, "unit": _TEXT, "sha256": _TEXT, "meta": _TEXT, "max_pairs": pl.Int32, "status": _TEXT,
        "reason": _TEXT, "n_records": _WHOLE, "n_productive": _WHOLE, "n_barren": _WHOLE, "n_made": _WHOLE,
    },
}  # fmt: skip


@dataclass(frozen=True)
class FileOutcome:
    """What became of one file of a unit, as counted while it was worked on."""

    source: Source
    max_pairs: int | None
    """Cap of its entry."""
    status: Literal["read", "quarantined"]
    reason: str | None = None
    n_records: int = 0
    """Records that the reader gave."""
    n_productive: int = 0
    """Records with at least one pair."""
    n_barren: int = 0
    """Records with rejections only."""
    n_made: int = 0
    """Pairs that compilers made of them, before the gates."""


class UnitWriter:
    """Collects the rows of one unit and inserts them in batches."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection | None, unit: str, *, end_part: Callable[[], None] | None = None
    ) -> None:
        """Without a connection it collects rows that another process inserts: see `taken`."""
        self._connection, self._unit, self._end_part = connection, unit, end_part
        self._rows: Rows = {table: [] for table in _SCHEMAS}
        self._ordinal = 0
        self.n_made = 0
        """Pairs that compilers made, over the unit's files so far."""
        self.is_final = True
        """False: what is written here is to be done again by the next ingest, whatever its files' hashes are."""

    def add_candidate(self, path: str, pair: CompiledPair, *, split: Split, axis: Axis | None) -> None:
        """A compiled pair of the file `path` that passed the gates."""
        key = pair_id(pair.condition, pair.instruction, pair.response)
        self._add("candidate", (
            self._unit, self._next(), path, key, pair.condition, pair.instruction, pair.response, pair.kind,
            pair.stratum, split, axis, pair.boundary, pair.book, pair.derivation, _json(pair.answer),
            pair.content_key, pair.label, pair.valid_from, pair.valid_until, _json(pair.occurrence),
        ))  # fmt: skip

    def add_rejection(self, rejection: Rejection, *, gate: str | None = None) -> None:
        """Something that a reader, a compiler or a gate (named by `gate`) turned down."""
        self._add("rejection", (
            self._unit, self._next(), rejection.path, rejection.stage, rejection.code, rejection.detail,
            rejection.source_sha256, _json(rejection.locator), rejection.text, rejection.pair_id, gate, rejection.label,
        ))  # fmt: skip

    def add_skip(self, path: str, skip: Skip) -> None:
        """Something in the file `path` that its reader did not read."""
        self._add("skip", (self._unit, path, self._next(), skip.code, skip.detail, _json(skip.locator)))

    def add_passage(self, passage: SourcePassage) -> None:
        """A piece of a file that may be shown beside a question."""
        self._add("passage", (
            self._unit, passage.path, self._next(), passage.source_sha256, _json(passage.locator), passage.order,
            passage.title, passage.heading, passage.text,
        ))  # fmt: skip

    def add_file(self, outcome: FileOutcome) -> None:
        """A file with its counts."""
        self.n_made += outcome.n_made
        self._add("source", (
            outcome.source.path, self._unit, outcome.source.sha256, source_json(outcome.source), outcome.max_pairs,
            outcome.status, outcome.reason, outcome.n_records, outcome.n_productive, outcome.n_barren,
            outcome.n_made,
        ))  # fmt: skip

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """Of the unit's transaction, for rows that SQL makes."""
        assert self._connection is not None, "this writer only collects"
        return self._connection

    def go_on_from(self, ordinal: int) -> None:
        """The next row has this ordinal: rows of a large file are written in pieces, and keep their order."""
        self._ordinal = ordinal - 1

    def end_part(self) -> None:
        """Commit what was written so far, under no key: DuckDB keeps over a kilobyte in memory for each row before."""
        assert self._end_part is not None, "this writer only collects"
        self.flush()
        self._end_part()

    def taken(self) -> Rows:
        """The rows that were collected, which are no longer here."""
        rows, self._rows = self._rows, {table: [] for table in _SCHEMAS}
        return rows

    def add_rows(self, rows: Rows) -> None:
        """Rows that another writer collected."""
        self.flush()
        for table, some in rows.items():
            if some:
                insert_rows(self.connection, table, schema=_SCHEMAS[table], rows=some)

    def forget(self) -> None:
        """Nothing was written so far."""
        self.taken()
        for table in UNIT_TABLES:
            column = "name" if table == "unit" else "unit"
            self.connection.execute(f"DELETE FROM {table} WHERE {column} = ?", [self._unit])

    def _next(self) -> int:
        self._ordinal += 1
        return self._ordinal

    def _add(self, table: str, row: tuple[object, ...]) -> None:
        rows = self._rows[table]
        rows.append(row)
        if len(rows) >= _BATCH_ROWS and self._connection is not None:
            self._insert(table)

    def flush(self) -> None:
        """Insert what is left."""
        for table in _SCHEMAS:
            self._insert(table)

    def _insert(self, table: str) -> None:
        if not self._rows[table]:
            return
        insert_rows(self.connection, table, schema=_SCHEMAS[table], rows=self._rows[table])
        self._rows[table] = []


def insert_rows(
    connection: duckdb.DuckDBPyConnection, table: str, *, schema: dict[str, Any], rows: list[tuple[object, ...]]
) -> None:
    """Bulk insert through Arrow: row by row, 50,000 pairs take minutes; so they take less than a second."""
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    connection.register("batch", frame.to_arrow())
    columns = ", ".join(f'"{name}"' for name in schema)
    connection.execute(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM batch")
    connection.unregister("batch")


def source_json(source: Source) -> str:
    """The canonical JSON text of a source."""
    return canonical_json(source.canonical()).decode()


def _json(value: Any) -> str:
    return value.canonical_bytes().decode()

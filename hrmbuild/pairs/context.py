"""What a compiler is given beside the record.

Owns the shape of the compile context and of the SQL connection that is handed in. It must not open anything: the
connection comes from `store`, by way of a pipeline, so that `pairs` never imports DuckDB.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from hrmbuild.config.project import SourceConfig
from hrmbuild.pairs.environment import Templates
from hrmbuild.records.document import Record
from hrmbuild.records.source import Source


class SqlResult(Protocol):
    """Rows of one statement."""

    def fetchall(self) -> list[tuple[Any, ...]]:
        """All rows that are left."""
        ...


class SqlConnection(Protocol):
    """The part of a DuckDB connection that compilers use: an in-memory database without external access."""

    def execute(self, query: str, parameters: Sequence[object] = ..., /) -> SqlResult:
        """Run one statement with bound parameters."""
        ...


@dataclass(frozen=True)
class CompileContext:
    """Everything that decides, with the record, which pairs come out; nothing else does."""

    seed: int
    """Of every draw."""
    source: Source
    """The file that the record came from."""
    settings: SourceConfig
    """Its entry in the config."""
    templates: Templates
    connection: SqlConnection | None = None
    """For rules and tables; None where the record needs no SQL."""
    siblings: tuple[Record, ...] = ()
    """Other records of the same entry (and context documents): joins, distractors, statutes."""
    shown_labels: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of a shown file -> its label: what it supports carries the stricter one."""
    as_of: dt.date | None = None
    """The day that decides which dated rules are in force; the clock is never read."""

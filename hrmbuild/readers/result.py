"""What a reader is given and what it gives back: plain values, so that a reader may run in a worker process.

Owns the two types and the limits on size. It must not open a file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from hrmbuild.config.limits import DEFAULT_LIMITS, LimitsConfig
from hrmbuild.config.project import SourceConfig
from hrmbuild.errors import InputError
from hrmbuild.records.document import Record
from hrmbuild.records.locator import Locator
from hrmbuild.records.source import Skip

MAX_FILE_BYTES = 512 << 20
"""No file above this is read at all: readers hold a file in memory."""

MAX_TEXT_BYTES = 32 << 20
"""Documents that people wrote (Markdown, text, mail) stay far below this."""


class DatabaseRows(Protocol):
    """What a statement found."""

    def fetchall(self) -> list[Any]:
        """All rows, each a tuple of plain Python values."""
        ...


class DatabaseConnection(Protocol):
    """An open database: readers speak SQL to it and know nothing else of it."""

    def execute(self, query: str, parameters: Sequence[object] = ..., /) -> DatabaseRows:
        """Run one statement."""
        ...


DatabaseOpener = Callable[[Path, str, float], AbstractContextManager[DatabaseConnection]]
"""Opens the database at a path, named by the second argument in messages, to be read within so many seconds."""


@dataclass(frozen=True)
class SourceFile:
    """One file with its bytes, as a reader sees it."""

    path: Path
    relative: str
    """POSIX path that messages and records use."""
    sha256: str
    """Of `data`."""
    data: bytes
    source: SourceConfig
    open_database: DatabaseOpener | None = None
    """For the formats that need one; handed in, since readers import no database."""
    limits: LimitsConfig = DEFAULT_LIMITS
    """What reading it may take."""

    def error(self, code: str, what: str, *, line: int | None = None, why: str | None = None,
              fix: str | None = None) -> InputError:  # fmt: skip
        """An InputError that points into this file."""
        where = f"{self.relative}:{line}" if line else self.relative
        return InputError(code, what, where=where, why=why, fix=fix)


@dataclass(frozen=True)
class ReadResult:
    """Everything that stands in one file: what was read and what was not."""

    records: list[Record]
    skips: list[Skip] = field(default_factory=list)
    """Seen and not read, each with its reason and place."""
    notes: list[str] = field(default_factory=list)
    """What was inferred and should be shown: a guessed encoding, a delimiter, a header row below a title."""


Reader = Callable[[SourceFile], ReadResult]


def skip(code: str, detail: str, locator: Locator) -> Skip:
    """A Skip in one line; the detail is one sentence."""
    return Skip(code=code, detail=detail, locator=locator)


def check_size(file: SourceFile, limit_bytes: int) -> None:
    """Refuse a file above a format's limit before anything parses it.

    Raises:
        InputError: `read.too_large`.
    """
    if len(file.data) > limit_bytes:
        raise file.error(
            "read.too_large",
            f"the file has {len(file.data):,} bytes; this format is read up to {limit_bytes:,}",
            fix="split the file, or leave it out",
        )

"""Tables of databases as files: an ingest copies them anew, and everything after it reads the copies.

Owns where a copy lies (the folder `path` of its entry) and when it is replaced: all tables of an entry were read before
the first file changes, and a table that is as it was leaves its file alone. A dry run copies into a folder that goes
with it. Nothing but an ingest connects: `freeze`, `verify` and all others see files like any other.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from hrmbuild.config.database import DatabaseConfig
from hrmbuild.config.loading import Project
from hrmbuild.errors import ConfigError
from hrmbuild.files import disk_errors, write_atomic
from hrmbuild.fingerprint import sha256_hex
from hrmbuild.pipelines.progress import Progress
from hrmbuild.pipelines.source_files import Found, FoundFile
from hrmbuild.readers.postgres_server import copy_tables
from hrmbuild.readers.table_copy import SUFFIX


@dataclass(frozen=True)
class Copies:
    """The copies that a dry run made; none where the files themselves are new."""

    files: Mapping[int, tuple[FoundFile, ...]] = field(default_factory=dict)
    """By number of the entry."""

    def found(self, found: Found) -> Found:
        """The files of a project, with these in place of those that lie there from the last ingest."""
        if not self.files:
            return found
        others = [file for file in found.files if file.entry not in self.files]
        mine = [file for files in self.files.values() for file in files]
        found.files = sorted((*others, *mine), key=lambda file: file.relative)
        found.unmatched = [one for one in found.unmatched if one[0] not in self.files]
        return found


@contextmanager
def copied_databases(project: Project, *, keeps_nothing: bool, progress: Progress) -> Iterator[Copies]:
    """Copy the tables of every entry that names a database.

    Raises:
        ConfigError, InputError: see `readers.postgres_server.copy_tables`; `config.database_twice`.
    """
    entries = {n: one.database for n, one in enumerate(project.config.sources) if one.database is not None}
    _check_places(project, entries)
    progress_of = {entry: _fetched(project, entry, config, progress) for entry, config in entries.items()}
    if not keeps_nothing:
        for entry, copies in progress_of.items():
            _replace(project.folder / project.config.sources[entry].path, copies)
        yield Copies()
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Copies({entry: tuple(_kept_apart(project, Path(folder), entry, copies))
                      for entry, copies in progress_of.items()})  # fmt: skip


def _check_places(project: Project, entries: Mapping[int, DatabaseConfig]) -> None:
    taken: dict[str, int] = {}
    for entry in entries:
        path = os.path.normpath(project.config.sources[entry].path)
        if taken.setdefault(path, entry) != entry:
            raise ConfigError("config.database_twice", f"two entries keep their copies in {path}",
                              where=project.declared_by(entry), why="each would remove the other's",
                              fix="give each its own folder, or name all tables in one entry")  # fmt: skip


def _fetched(project: Project, entry: int, config: DatabaseConfig, progress: Progress) -> dict[str, bytes]:
    """Name of the file -> its bytes."""
    progress.stage("database", total=0, unit="tables")
    copies: dict[str, bytes] = {}
    for schema, table, copy in copy_tables(config, where=project.declared_by(entry)):
        copies[f"{_safe(schema)}.{_safe(table)}{SUFFIX}"] = copy.data()
        progress.advance(note=copy.name)
    return copies


def _safe(name: str) -> str:
    """A name of the database as part of a file's name; no two become one."""
    return quote(name, safe=" ").replace(".", "%2E").replace("~", "%7E")


def _replace(folder: Path, copies: Mapping[str, bytes]) -> None:
    """Write what changed, for the owner's eyes; remove tables that are declared no more."""
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name, data in copies.items():
            path = folder / name
            if not path.is_file() or path.read_bytes() != data:
                write_atomic(path, data)
                path.chmod(0o600)
        for path in folder.glob(f"*{SUFFIX}"):
            if path.name not in copies:
                path.unlink()


def _kept_apart(project: Project, folder: Path, entry: int, copies: Mapping[str, bytes]) -> Iterator[FoundFile]:
    base = Path(os.path.normpath(project.config.sources[entry].path))
    for name, data in sorted(copies.items()):
        path = folder / f"{entry}-{sha256_hex(name.encode())[:16]}{SUFFIX}"
        path.write_bytes(data)
        yield FoundFile(path, (base / name).as_posix(), sha256_hex(data), len(data), entry)

"""`log.jsonl`: what was frozen, packaged and decided, one canonical JSON object a line, each naming the line before.

Owns the chain: appending under a lock, reading, and saying where it breaks. A chain alone does not show that its end
was cut off, so its head goes into every signed statement. It must not decide what is worth an entry.

A line's link is SHA-256 of its bytes without the newline; `previous` of the first is 64 zeros.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hrmbuild.errors import InputError
from hrmbuild.files import disk_errors
from hrmbuild.fingerprint import canonical_json, sha256_hex
from hrmbuild.records.log import LogEntry

LOG_NAME = "log.jsonl"
START = "0" * 64
_CLOCKS_DIFFER = timedelta(days=1)


@dataclass(frozen=True)
class Log:
    """A log that was read, as far as its chain holds."""

    entries: tuple[LogEntry, ...]
    links: tuple[str, ...]
    """Link of each entry."""
    problem: str | None = None
    """Where the chain breaks; None where it holds to the end."""

    @property
    def head(self) -> str:
        """Link of the last entry."""
        return self.links[-1] if self.links else START

    def is_before(self, stated: object, link: str) -> bool:
        """Whether a stated time lies more than a day before the line with this link: so far may clocks differ."""
        entry = next((one for one, known in zip(self.entries, self.links, strict=True) if known == link), None)
        then, told = (_time(stated), _time(entry.at)) if entry is not None else (None, None)
        return then is not None and told is not None and then < told - _CLOCKS_DIFFER

    def knows(self, event: str, sha256: str) -> bool:
        """Whether an event on this digest is told."""
        return any((one.event, one.sha256) == (event, sha256) for one in self.entries)


def _time(at: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(at) if isinstance(at, str) else None
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None


def read_log(path: Path) -> Log:
    """Read a log; one that is not there is empty.

    Raises:
        InputError: `log.unreadable`: the disk's own word.
    """
    try:
        data = path.read_bytes() if path.exists() else b""
    except OSError as error:
        raise InputError("log.unreadable", f"the log cannot be read: {error.strerror}", where=str(path),
                         fix="check the file's permissions") from error  # fmt: skip
    entries: list[LogEntry] = []
    links: list[str] = []
    for number, line in enumerate(data.split(b"\n")[:-1], start=1):
        found = _entry(line, previous=links[-1] if links else START, number=number)
        if isinstance(found, str):
            return Log(tuple(entries), tuple(links), f"line {number}: {found}")
        entries.append(found)
        links.append(sha256_hex(line))
    torn = None if data.endswith(b"\n") or not data else f"line {len(links) + 1}: it was torn off"
    return Log(tuple(entries), tuple(links), torn)


def _entry(line: bytes, *, previous: str, number: int) -> LogEntry | str:
    try:
        value = json.loads(line)
        same = canonical_json(value) == line
        entry = LogEntry.model_validate(value)
    except (ValueError, TypeError, RecursionError, ValidationError):
        return "it is no entry of a log"
    if not same:
        return "its bytes are not the canonical ones"
    if entry.previous != previous:
        return "it does not continue the line before"
    return entry if entry.n == number else f"it says that it is entry {entry.n}"


def append(path: Path, event: str, sha256: str, *, at: str, facts: dict[str, str]) -> str:
    """Append an entry and return the new head; an entry on the same event, digest and facts is not told twice.

    Raises:
        InputError: `log.broken`: the chain does not hold, so nothing is added to it; the disk's own word.
    """
    with disk_errors(path), locked(path):
        return append_locked(path, event, sha256, at=at, facts=facts)


def append_locked(path: Path, event: str, sha256: str, *, at: str, facts: dict[str, str]) -> str:
    """The same for who holds the lock: `locked`."""
    log = read_log(path)
    if log.problem is not None:
        raise InputError("log.broken", f"the log does not hold: {log.problem}", where=str(path),
                         why="an entry after a break would vouch for what stands before it",
                         fix="restore log.jsonl from its copy, or move it away and begin another")  # fmt: skip
    if any((one.event, one.sha256, one.facts) == (event, sha256, facts) for one in log.entries):
        return log.head
    entry = LogEntry(n=len(log.links) + 1, event=event, sha256=sha256, at=at, facts=facts, previous=log.head)
    return _write(path, entry.canonical())


def _write(path: Path, value: dict[str, Any]) -> str:
    line = canonical_json(value)
    with path.open("ab") as file:
        file.write(line + b"\n")
        file.flush()
        os.fsync(file.fileno())
    return sha256_hex(line)


@contextmanager
def locked(path: Path) -> Generator[None]:
    """One writer at a time; the lock is the log's own file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)

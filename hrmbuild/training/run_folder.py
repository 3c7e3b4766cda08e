"""A run's folder: what lies where, who may write in it, and whether it can be gone on with.

Owns names, the lock and `run.json`. Layout: `run.json`, `metrics.jsonl`, `events.jsonl`, `loss.svg`, `report.html`,
`checkpoints/`, `trackers/` where asked for, `result.json` (written last), `lock`. It must not train.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from hrmbuild.errors import InputError, UsageError
from hrmbuild.files import disk_errors, write_atomic
from hrmbuild.fingerprint import strict_json
from hrmbuild.records.base import Noun
from hrmbuild.records.run import RunConfig, RunRecord, RunResult, run_digest

Record = TypeVar("Record", bound=Noun)


class RunFolder:
    """Paths of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.run_json = path / "run.json"
        self.result_json = path / "result.json"
        self.metrics = path / "metrics.jsonl"
        self.checkpoints = path / "checkpoints"
        self.loss_svg = path / "loss.svg"
        self.events = path / "events.jsonl"
        self.report_html = path / "report.html"
        self.trackers = path / "trackers"
        self.lock = path / "lock"

    def write_record(self, record: RunRecord) -> None:
        """`run.json`."""
        write_atomic(self.run_json, _pretty(record))

    def write_result(self, result: RunResult) -> None:
        """`result.json`: the run is finished."""
        write_atomic(self.result_json, _pretty(result))

    def record(self) -> RunRecord | None:
        """`run.json`, None where there is none.

        Raises:
            InputError: `train.run_unreadable`.
        """
        return _read(self.run_json, RunRecord)

    def result(self) -> RunResult | None:
        """`result.json`, None while the run is not finished."""
        return _read(self.result_json, RunResult)

    def refuse_foreign(self) -> None:
        """Refuse a place that holds anything else than the beginning of a run.

        Raises:
            UsageError: `train.folder_taken`.
        """
        own = {path.name for path in vars(self).values() if path != self.path}
        held = {path.name for path in self.path.iterdir()} if self.path.is_dir() else set[str]()
        foreign = sorted(name for name in held if name.removeprefix(".").removesuffix(".incomplete") not in own)
        if foreign or (self.path.exists() and not self.path.is_dir()):
            raise UsageError(
                "train.folder_taken",
                f"there is something else than a run here: {', '.join(foreign[:3]) or 'a file'}",
                where=str(self.path),
                why="a run's folder holds the run and nothing else",
                fix="name a folder with --out that does not exist yet",
            )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder against other processes; a kill releases it. Of several ranks the main one holds it.

        Raises:
            UsageError: `train.run_locked`: another process trains here.
        """
        with disk_errors(self.lock):
            self.path.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.lock, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _take(handle, self.lock)
            yield
        finally:
            os.close(handle)


def last_seen(folder: RunFolder) -> dt.datetime | None:
    """When a run last wrote a step or an event."""
    times = [path.stat().st_mtime for path in (folder.metrics, folder.events) if path.is_file()]
    return dt.datetime.fromtimestamp(max(times), dt.UTC) if times else None


def is_locked(lock: Path) -> bool:
    """Whether a living process holds the folder; it writes nothing and waits for nobody."""
    try:
        handle = os.open(lock, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def _lock(handle: int) -> None:
    for wait_s in (0.02, 0.2, None):  # `is_locked` holds it for an instant.
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if wait_s is None:
                raise
            time.sleep(wait_s)


def _take(handle: int, path: Path) -> None:
    try:
        _lock(handle)
    except BlockingIOError:
        holder = os.read(handle, 64).decode("ascii", "replace").strip()
        raise UsageError(
            "train.run_locked",
            f"process {holder or '?'} is training in this folder",
            where=str(path.parent),
            fix="wait for it, end it, or train elsewhere with --out",
        ) from None
    os.truncate(handle, 0)
    os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)


def default_name(config: RunConfig) -> str:
    """`nano-1a2b3c4d-5e6f70`: preset, corpus, settings; equal runs have equal names."""
    return f"{config.preset}-{config.content_root[:8]}-{run_digest(config)[:6]}"


def check_resumable(recorded: RunConfig, wanted: RunConfig, *, where: str) -> None:
    """A run goes on with the settings it began with.

    Raises:
        UsageError: `train.other_run`, naming the settings that differ.
    """
    before, now = recorded.model_dump(mode="json"), wanted.model_dump(mode="json")
    differing = [f"{key} was {before[key]}, is {now[key]}" for key in sorted(before) if before[key] != now[key]]
    if differing:
        raise UsageError(
            "train.other_run",
            f"this run began with other settings: {'; '.join(differing)}",
            where=where,
            why="a schedule that changes on the way draws another curve",
            fix="give the settings it began with, or start a new run with --out",
        )


def _pretty(record: Noun) -> bytes:
    values = record.model_dump(mode="json", exclude_none=True)
    return (json.dumps(values, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode("utf-8")


def _read(path: Path, kind: type[Record]) -> Record | None:
    try:
        return kind.model_validate(strict_json(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, ValidationError) as error:
        raise InputError(
            "train.run_unreadable",
            f"this is no readable {path.name}",
            where=str(path),
            why=str(error).splitlines()[0],
            fix="restore the file, or train again with --out in another folder",
        ) from error

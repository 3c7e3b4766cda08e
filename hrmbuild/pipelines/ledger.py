"""What every run really cost, failed ones, interrupted ones and evaluations included: `ledger.jsonl` beside `runs/`.

Owns opening, closing and settling entries, and what follows from them: GPU-hours, dollars, energy, share of the peak.
It must not train. While an entry is open its process holds a lock (`.ledger/<id>`) and touches it every few seconds; a
process that was killed lost it, so the next command that looks closes the entry: the lock's time is the last sign of
life, and the lines that a run left in its metrics are its work.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import json
import os
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from hrmbuild.config.flops import flops_per_token
from hrmbuild.config.gpus import hardware_for
from hrmbuild.config.loading import Project
from hrmbuild.errors import HrmbuildError, InputError
from hrmbuild.files import disk_errors
from hrmbuild.pipelines.ledger_entries import LedgerEntry, fold
from hrmbuild.pipelines.progress import Progress
from hrmbuild.records.ledger import Began, Closed, Kind, Opened
from hrmbuild.records.run import Machine, RunRecord
from hrmbuild.training.interrupt import InterruptedRunError
from hrmbuild.training.metrics import read_metrics
from hrmbuild.training.run_folder import RunFolder, is_locked

SIGN_OF_LIFE_S = 5.0
LEDGER_NAME, LOCKS_NAME = "ledger.jsonl", ".ledger"


class OpenEntry:
    """An entry whose command is at work."""

    def __init__(self, ledger: Ledger, opened: Opened, *, run: Path | None) -> None:
        self._ledger, self.opened, self._run = ledger, opened, run
        self._started_at_s = time.monotonic()
        self.first_step: int | None = None
        self.answers = 0
        """Questions answered, for evaluations."""

    def begin(self, step: int) -> None:
        """A training goes on after `step` updates."""
        self.first_step = step
        self._ledger.append(Began(id=self.opened.id, step=step))

    def watching(self, progress: Progress) -> Progress:
        """A progress that also tells this entry where the training began: its first `advance`."""
        return _Watching(progress, self)

    def close(self, outcome: str, *, code: str | None = None) -> None:
        """Write what it came to."""
        work = _work_of(self._run, self.first_step) if self._run is not None else {}
        seconds = round(time.monotonic() - self._started_at_s, 3)
        known = {"id": self.opened.id, "at": _now(), "outcome": outcome, "code": code, "seconds": seconds}
        self._ledger.append(Closed.model_validate(known | {"answers": self.answers} | work))


class _Watching:
    """Hands everything on; the first `advance` is the step that the loop restored."""

    def __init__(self, inner: Progress, entry: OpenEntry) -> None:
        self._inner, self._entry, self._begun = inner, entry, False

    def stage(self, name: str, *, total: int | None, unit: str) -> None:
        self._inner.stage(name, total=total, unit=unit)

    def advance(self, n: int = 1, *, note: str = "", left_s: float | None = None, before: bool = False) -> None:
        if not self._begun:
            self._begun = True
            self._entry.begin(n)
        self._inner.advance(n, note=note, left_s=left_s, before=before)

    def message(self, text: str) -> None:
        self._inner.message(text)


class Ledger:
    """The ledger of a project."""

    def __init__(self, project: Project) -> None:
        self._project, self.path = project, project.work / LEDGER_NAME
        self._locks = project.work / LOCKS_NAME

    def of_run(self, folder: Path) -> tuple[LedgerEntry, ...]:
        """The trainings in one folder, the oldest first: a run that was interrupted has several."""
        subject = self._subject(folder)
        return tuple(one for one in self.entries() if one.opened.kind == "train" and one.opened.subject == subject)

    def _subject(self, folder: Path) -> str:
        return os.path.relpath(folder.resolve(), self._project.work.resolve())

    def entries(self) -> tuple[LedgerEntry, ...]:
        """All entries, the oldest first, those of dead processes closed before.

        Raises:
            InputError: `ledger.unreadable`.
        """
        self.settle()
        return tuple(self._folded())

    @contextmanager
    def recorded(self, opened: Opened, *, run: Path | None = None) -> Iterator[OpenEntry]:
        """Around the work of one command: opened before, closed after, whatever ends it.

        Args:
            run: the run's folder, whose metrics say what was done.
        """
        self.settle()
        lock = self._hold(opened.id)
        try:
            self.append(opened)
            entry = OpenEntry(self, opened, run=run)
            with _signs_of_life(self._locks / opened.id), _closing(entry):
                yield entry
        finally:
            (self._locks / opened.id).unlink(missing_ok=True)
            os.close(lock)

    def training(self, folder: Path, *, preset: str, machine: Machine, dtype: str) -> Opened:
        """The opening line of a training."""
        line = self.opened("train", folder, preset=preset, device=machine.device)
        return line.model_copy(update={"ranks": machine.ranks, "threads": machine.threads, "dtype": dtype})

    def opened(self, kind: Kind, subject: Path, *, preset: str, device: str) -> Opened:
        """The opening line of a command on one device: `cpu`, `cuda`, or the GPU's name."""
        if device == "cuda":
            device = torch.cuda.get_device_name()
        row = hardware_for(device, self._project.config.hardware)
        return Opened(
            id=secrets.token_hex(8),
            at=_now(),
            kind=kind,
            subject=self._subject(subject),
            preset=preset,
            device=device,
            hardware=row.name,
            peak_tflops=row.peak_tflops,
            power_w=row.power_w,
            usd_per_hour=row.usd_per_hour,
        )

    def append(self, line: Opened | Began | Closed) -> None:
        """One line more, on disk when this returns; after a torn line it starts on a new one."""
        data = json.dumps(line.model_dump(mode="json", exclude_none=True), sort_keys=True).encode() + b"\n"
        with disk_errors(self.path):
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
                size = os.fstat(handle).st_size
                torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
                os.write(handle, b"\n" + data if torn else data)
                os.fsync(handle)
            finally:
                os.close(handle)

    def settle(self) -> None:
        """Close the entries of processes that are gone, from what their runs left."""
        for entry in self._folded():
            if entry.closed is None and not self._is_alive(entry.opened.id):
                lock = self._locks / entry.opened.id
                alive_until_s = lock.stat().st_mtime if lock.exists() else None
                self.append(_found_dead(entry, self._project.work / entry.opened.subject, alive_until_s))
                (self._locks / entry.opened.id).unlink(missing_ok=True)

    def _hold(self, name: str) -> int:
        with disk_errors(self._locks):
            self._locks.mkdir(parents=True, exist_ok=True)
            handle = os.open(self._locks / name, os.O_RDWR | os.O_CREAT, 0o644)
            fcntl.flock(handle, fcntl.LOCK_EX)
        return handle

    def _is_alive(self, name: str) -> bool:
        return is_locked(self._locks / name)

    def _folded(self) -> list[LedgerEntry]:
        try:
            return fold(self._lines())
        except (OSError, KeyError, ValidationError) as error:
            raise InputError(
                "ledger.unreadable", f"the ledger cannot be read: {str(error).splitlines()[0]}", where=str(self.path),
                fix="restore it, or move it away: a new one begins with the next run",
            ) from error  # fmt: skip

    def _lines(self) -> Iterator[dict[str, Any]]:
        """Every whole line; one that a kill tore off is left out wherever it stands."""
        for text in self.path.read_bytes().splitlines() if self.path.is_file() else ():
            try:
                line = json.loads(text)
            except ValueError:
                continue
            if isinstance(line, dict):
                yield line


@contextmanager
def _closing(entry: OpenEntry) -> Iterator[None]:
    try:
        yield
    except InterruptedRunError as error:
        entry.close("interrupted", code=error.code)
        raise
    except KeyboardInterrupt:
        entry.close("interrupted")
        raise
    except HrmbuildError as error:
        entry.close("failed", code=error.code)
        raise
    except BaseException:
        entry.close("failed", code="internal.bug")
        raise
    entry.close("finished")


@contextmanager
def _signs_of_life(lock: Path) -> Iterator[None]:
    """Touch the lock every few seconds, in a thread that does nothing else."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(SIGN_OF_LIFE_S):
            with suppress(OSError):
                os.utime(lock)

    thread = threading.Thread(target=beat, name="ledger", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _found_dead(entry: LedgerEntry, run: Path, alive_until_s: float | None) -> Closed:
    """A killed process's last word: its last sign of life, and what its metrics hold beyond where it began."""
    trains = entry.opened.kind == "train"
    first_step = entry.began.step if entry.began else None
    work = _work_of(run, first_step) if trains else {}
    lines = _new_lines(run, first_step) if trains else []
    opened_at = dt.datetime.fromisoformat(entry.opened.at)
    lived_s = 0.0 if alive_until_s is None else alive_until_s - opened_at.timestamp()
    seconds = round(max([0.0, lived_s, *(float(line.get("elapsed_s", 0)) for line in lines)]), 3)
    at = opened_at + dt.timedelta(seconds=seconds)
    known = {"id": entry.opened.id, "at": _iso(at), "outcome": "killed", "seconds": seconds}
    return Closed.model_validate(known | work)


def _new_lines(run: Path, first_step: int | None) -> list[dict[str, Any]]:
    if first_step is None:
        return []
    try:
        return [line for line in read_metrics(RunFolder(run).metrics) if line["step"] > first_step]
    except InputError:
        return []  # An altered record is the run's own fault to tell: the ledger then knows the time only.


def _work_of(run: Path, first_step: int | None) -> dict[str, Any]:
    lines = _new_lines(run, first_step)
    try:
        record = RunFolder(run).record()
    except InputError:
        record = None
    if record is None or not lines:
        return {}
    return {
        "steps": len(lines),
        "tokens": sum(int(line["tokens"]) for line in lines),
        "flops": flops_of(record, lines),
        "step_seconds": round(sum(float(line["seconds"]) for line in lines), 3),
    }


def flops_of(record: RunRecord, lines: list[dict[str, Any]]) -> float:
    """FLOPs of some lines of metrics by formula, each step at its own depth and share of labels."""
    keys = record.epoch_tokens / max(1, record.train_pairs)
    total = 0.0
    for line in lines:
        share = int(line["response_tokens"]) / max(1, int(line["tokens"]))
        each = flops_per_token(record.config.model, k=int(line["k"]), keys_per_token=keys, response_fraction=share)
        total += each.total * int(line["tokens"])
    return total


def _now() -> str:
    return _iso(dt.datetime.now(dt.UTC))


def _iso(moment: dt.datetime) -> str:
    return moment.isoformat(timespec="seconds")

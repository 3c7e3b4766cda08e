"""`events.jsonl`: what happened to a run by the clock: when it began, was interrupted, went on, ended; what it said.

Owns the file. It is for people and for the bill: it has a clock in it, enters no hash, and nothing that decides a
number reads it; no host and no user stands in it. A session is one process's part of a run; one that was killed could
not say so, hence the next one writes down when the one before was last seen. It must not know metrics.
"""

from __future__ import annotations

import datetime as dt
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hrmbuild.config.gpus import GpuType
from hrmbuild.files import disk_errors

FILE_NAME = "events.jsonl"


@dataclass(frozen=True)
class Session:
    """One process's part of a run."""

    began_at: dt.datetime
    from_step: int
    """Updates done before."""
    ranks: int
    usd_per_hour: float | None
    """Of all devices together; None: no price is known."""
    how: str | None = None
    """`finished`, `interrupted`, `failed`, `killed`; None: it runs, or was killed and nobody has looked since."""
    ended_at: dt.datetime | None = None
    step: int | None = None
    """Updates done at its end."""
    why: str = ""

    def seconds(self, now: dt.datetime) -> float:
        """How long it took, or has taken so far."""
        return max(0.0, ((self.ended_at or now) - self.began_at).total_seconds())

    def usd(self, now: dt.datetime) -> float | None:
        """What its devices cost in that time."""
        return None if self.usd_per_hour is None else self.usd_per_hour * self.seconds(now) / 3600


@dataclass(frozen=True)
class Told:
    """A message that the run gave."""

    at: dt.datetime
    text: str


@dataclass(frozen=True)
class Chronicle:
    """All that the file tells."""

    sessions: tuple[Session, ...] = ()
    told: tuple[Told, ...] = ()

    def usd(self, now: dt.datetime) -> float | None:
        """Cost of all sessions, lost steps included; None where a price is missing."""
        costs = [session.usd(now) for session in self.sessions]
        known = [cost for cost in costs if cost is not None]
        return sum(known) if known and len(known) == len(costs) else None

    def seconds(self, now: dt.datetime) -> float:
        """Time of all sessions."""
        return sum(session.seconds(now) for session in self.sessions)


class Events:
    """The open book of a run; a line is on its way to the disk when the call returns."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def began(self, step: int, *, device: str, ranks: int, usd_per_hour: float | None) -> None:
        """This process goes on from `step`."""
        self._write("began", step=step, device=device, ranks=ranks, usd_per_hour=usd_per_hour)

    def killed(self, step: int, *, last_seen: dt.datetime) -> None:
        """The session before ended without a word; it was last seen then."""
        self._write("killed", step=step, ended_at=_text(last_seen))

    def told(self, text: str) -> None:
        """A message."""
        self._write("told", text=text)

    def ended(self, step: int, *, how: str, why: str) -> None:
        """This process stops."""
        self._write("ended", step=step, how=how, why=why)

    def _write(self, event: str, **values: object) -> None:
        line = json.dumps({"event": event, "at": _text(now_utc())} | values, ensure_ascii=False) + "\n"
        with disk_errors(self._path), self._path.open("ab") as file:
            file.write((b"\n" if _ends_torn(self._path) else b"") + line.encode("utf-8"))


def _ends_torn(path: Path) -> bool:
    """Whether a kill tore the last line off: the next one must not be glued to it."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 1))
        return file.read(1) not in (b"", b"\n")


def read_events(path: Path) -> Chronicle:
    """Everything that can be read; a torn line, or one of a later version, is passed over."""
    sessions: list[Session] = []
    told: list[Told] = []
    try:
        pieces = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return Chronicle()
    for piece in pieces:
        try:
            _take(json.loads(piece), sessions, told)
        except (ValueError, KeyError, TypeError):
            continue
    return Chronicle(tuple(sessions), tuple(told))


def _take(line: dict[str, Any], sessions: list[Session], told: list[Told]) -> None:
    at = _time(line["at"])
    if line["event"] == "began":
        sessions.append(Session(at, line["step"], line["ranks"], line["usd_per_hour"]))
    elif line["event"] == "told":
        told.append(Told(at, str(line["text"])))
    elif line["event"] == "killed" and sessions:
        seen = max(sessions[-1].began_at, _time(line["ended_at"]))
        sessions[-1] = replace(sessions[-1], how="killed", ended_at=seen, step=line["step"])
    elif line["event"] == "ended" and sessions:
        sessions[-1] = replace(sessions[-1], how=line["how"], ended_at=at, step=line["step"], why=line["why"])


def usd_per_hour(gpu: GpuType | None, ranks: int) -> float | None:
    """Price of all devices for an hour: one a rank, and one machine where the ranks share its processor."""
    if gpu is None or gpu.usd_per_hour is None:
        return None
    return gpu.usd_per_hour * (1 if gpu.is_cpu else ranks)


def now_utc() -> dt.datetime:
    """The clock."""
    return dt.datetime.now(dt.UTC)


def _text(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _time(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)

"""What a terminal sees: results on stdout (text, or one JSON object), progress and messages on stderr.

Owns rendering only. It must not know any pipeline.
"""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Sequence
from typing import Annotated, Any, Protocol

import typer

PLAIN_INTERVAL_S = 10.0
REDRAW_INTERVAL_S = 0.2

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else.")]


class Report(Protocol):
    """What pipelines return."""

    def as_dict(self) -> dict[str, Any]:
        """The keys that `--json` promises."""
        ...


def print_json(value: dict[str, Any]) -> None:
    """One JSON object on one line of stdout; letters beyond ASCII are escaped where stdout cannot write them all."""
    writes_all = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    print(json.dumps(value, ensure_ascii=not writes_all, default=str), flush=True)


def write_every_letter() -> None:
    """A letter that a stream cannot write (another locale, a path that is no UTF-8) is escaped and ends no command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def emit(report: Report, lines: Sequence[str], *, as_json: bool) -> None:
    """Print a result: one JSON object, or lines for a person."""
    if as_json:
        print_json(report.as_dict())
        return
    for line in lines:
        print(line)


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Columns aligned by spaces: numbers to the right, words to the left."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(len(line[i]) for line in [list(header), *cells]) for i in range(len(header))]
    numeric = [bool(rows) and all(isinstance(row[i], int | float) for row in rows) for i in range(len(header))]
    lines = [list(header), *cells]
    return ["  ".join(_aligned(line[i], widths[i], right=numeric[i]) for i in range(len(header))).rstrip()
            for line in lines]  # fmt: skip


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _aligned(text: str, width: int, *, right: bool) -> str:
    return text.rjust(width) if right else text.ljust(width)


class TerminalProgress:
    """Stage, done/total, rate and time left on stderr: a redrawn line on a terminal, else a plain line now and then."""

    def __init__(self) -> None:
        self._redraw = sys.stderr.isatty()
        self._name: str | None = None
        self._drawn = False

    def stage(self, name: str, *, total: int | None, unit: str) -> None:
        """Close the stage before, open this one."""
        self.close()
        self._name, self._total, self._unit = name, total, unit
        self._done, self._note = 0, ""
        self._started_at_s = self._shown_at_s = time.monotonic()

    def advance(self, n: int = 1, *, note: str = "") -> None:
        """Count, and show where enough time has passed."""
        self._done += n
        self._note = note or self._note
        now_s = time.monotonic()
        if now_s - self._shown_at_s >= (REDRAW_INTERVAL_S if self._redraw else PLAIN_INTERVAL_S):
            self._shown_at_s = now_s
            self._show(now_s)

    def message(self, text: str) -> None:
        """One line that stays."""
        self._wipe()
        print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Print the last stage's outcome."""
        if self._name is None:
            return
        self._wipe()
        seconds = time.monotonic() - self._started_at_s
        if self._done:
            self.message(f"{self._name}: {self._done:,} {self._unit} in {_duration(seconds)}")
        self._name = None

    def _show(self, now_s: float) -> None:
        self._wipe()
        line = self._line(now_s - self._started_at_s)
        print(line, file=sys.stderr, end="" if self._redraw else "\n", flush=True)
        self._drawn = self._redraw

    def _line(self, seconds: float) -> str:
        rate = self._done / seconds if seconds > 0 else 0.0
        parts = [f"{self._name}: {self._done:,}" + (f"/{self._total:,}" if self._total else "") + f" {self._unit}"]
        parts.append(f"{rate:,.1f}/s")
        if self._total and rate > 0:
            parts.append(f"{_duration((self._total - self._done) / rate)} left")
        return "  ".join([*parts, self._note]).rstrip()

    def _wipe(self) -> None:
        if self._drawn:
            print("\r\x1b[2K", file=sys.stderr, end="", flush=True)
            self._drawn = False


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 60} min {whole % 60:02d} s" if whole >= 60 else f"{seconds:.1f} s"

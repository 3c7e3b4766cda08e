"""What a terminal sees: results on stdout (text, or one JSON object), progress and messages on stderr.

Owns rendering only. It must not know any pipeline.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from typing import Annotated, Any, Protocol

import typer

from hrmbuild.pipelines.progress import duration

PLAIN_INTERVAL_S = 10.0
PLAIN_LATER_INTERVAL_S = 60.0
"""Between plain lines of a stage that has run for ten minutes: a run of two days then leaves 3,000 lines."""
PLAIN_LATER_S = 600.0
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


def print_bytes(data: bytes) -> None:
    """What another process wrote on its stdout, on ours."""
    print(data.decode(sys.stdout.encoding or "utf-8", "replace"), end="", flush=True)


def say_nothing() -> None:
    """Of several processes that run one command, one speaks on stdout: the others' results go nowhere."""
    sys.stdout = io.TextIOWrapper(open(os.devnull, "wb"), encoding="utf-8")  # noqa: SIM115 - until the process ends


def write_every_letter() -> None:
    """A letter that a stream cannot write (another locale, a path that is no UTF-8) is escaped and ends no command; a
    stream that was closed before we began is an empty one."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - until the process ends
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


def visible(text: str) -> str:
    """Text of a document for a terminal: a character that would steer it, or that nobody sees, is written out."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


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
        self._done, self._before, self._note, self._left_s = 0, 0, "", None
        self._started_at_s = self._shown_at_s = time.monotonic()

    def advance(self, n: int = 1, *, note: str = "", left_s: float | None = None, before: bool = False) -> None:
        """Count, and show where enough time has passed; what was done `before` says nothing of the rate."""
        self._done += n
        self._before += n if before else 0
        self._note, self._left_s = note or self._note, left_s
        now_s = time.monotonic()
        if now_s - self._shown_at_s >= self._interval_s(now_s):
            self._shown_at_s = now_s
            self._show(now_s)

    def _interval_s(self, now_s: float) -> float:
        if self._redraw:
            return REDRAW_INTERVAL_S
        return PLAIN_INTERVAL_S if now_s - self._started_at_s < PLAIN_LATER_S else PLAIN_LATER_INTERVAL_S

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
        if self._done > self._before:
            self.message(f"{self._name}: {self._done - self._before:,} {self._unit} in {duration(seconds)}")
        self._name = None

    def _show(self, now_s: float) -> None:
        self._wipe()
        line = self._line(now_s - self._started_at_s)
        if self._redraw:
            line = _cut(line, shutil.get_terminal_size().columns - 1)
        print(line, file=sys.stderr, end="" if self._redraw else "\n", flush=True)
        self._drawn = self._redraw

    def _line(self, seconds: float) -> str:
        rate = (self._done - self._before) / seconds if seconds > 0 else 0.0
        parts = [f"{self._name}: {self._done:,}" + (f"/{self._total:,}" if self._total else "") + f" {self._unit}"]
        parts.append(f"{rate:,.1f}/s")
        left_s = self._left_s
        if left_s is None and self._total and rate > 0:
            left_s = (self._total - self._done) / rate
        if left_s is not None:
            parts.append(f"{duration(left_s)} left")
        return "  ".join([*parts, self._note]).rstrip()

    def _wipe(self) -> None:
        if self._drawn:
            print("\r\x1b[2K", file=sys.stderr, end="", flush=True)
            self._drawn = False


def _cut(line: str, width: int) -> str:
    """A line that wraps could not be wiped: what is too long for the terminal ends in an ellipsis."""
    return line if len(line) <= width else f"{line[: max(0, width - 1)]}…"

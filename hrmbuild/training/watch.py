"""What a run shows while it runs: the step line, `loss.svg`, the page, events and trackers. It changes no number of it.

Owns when each of them is told. The loop calls it on the main rank after the line of metrics is written; everything here
could be left out and the weights would be the same. It must not write metrics.
"""

from __future__ import annotations

import datetime as dt
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from hrmbuild.config.gpus import GpuType
from hrmbuild.errors import HrmbuildError, InputError
from hrmbuild.records.run import DevScore, Machine, RunConfig, run_digest
from hrmbuild.training.events import Events, now_utc, read_events, usd_per_hour
from hrmbuild.training.history import History, history_of
from hrmbuild.training.interrupt import InterruptedRunError
from hrmbuild.training.loss_plot import write_loss_plot
from hrmbuild.training.metrics import StepFacts, StepTimes, read_tail
from hrmbuild.training.outlook import mfu, seconds_left
from hrmbuild.training.run_folder import RunFolder, last_seen
from hrmbuild.training.trackers import TrackedRun, Trackers

PAGE_INTERVAL_S = 60.0
"""The page is written at least this often (and at each evaluation): it takes a tenth of a second at any length."""
RATE_STEPS = 20
"""Steps behind the rate of the step line."""


class Report(Protocol):
    """Where the loop tells what happens; `pipelines.progress.Progress` fits."""

    def advance(self, n: int = 1, *, note: str = "", left_s: float | None = None, before: bool = False) -> None:
        """`n` more steps are done; `before`: by an earlier process."""
        ...

    def message(self, text: str) -> None:
        """One line that stays."""
        ...


@dataclass(frozen=True)
class Watching:
    """What a run is watched with."""

    gpu: GpuType | None = None
    """Peak and price of a device."""
    keys_per_token: float = 0.0
    """Of the corpus; see `outlook.keys_per_token`."""
    trackers: Sequence[str] = ()
    page: Callable[[History], None] | None = None
    """Writes the page from what is in memory, the events and the checkpoints."""


NOT_WATCHED = Watching()
"""The step line, `loss.svg` and events only."""


class Watch:
    """The eyes on one process of a run."""

    def __init__(
        self, folder: RunFolder, config: RunConfig, *, machine: Machine, report: Report, watching: Watching
    ) -> None:
        """Look at what an earlier process left, before anything is cut back."""
        self._folder, self._config, self._machine = folder, config, machine
        self._report, self._watching = report, watching
        self._events = Events(folder.events)
        self._usd_per_hour = usd_per_hour(watching.gpu, machine.ranks)
        self._left = _left_behind(folder)
        self._recent: deque[tuple[int, float]] = deque(maxlen=RATE_STEPS)
        self._dev: DevScore | None = None
        self._history, self._trackers, self._page_at_s = History(), None, 0.0

    def message(self, text: str) -> None:
        """A line that stays, on the terminal and in the events."""
        self._report.message(text)
        self._events.told(text)

    def began(self, lines: Sequence[Mapping[str, Any]], step: int) -> None:
        """The state of `step` is restored, and `lines` lead to it."""
        self._from_step, self._began_at_s = step, time.monotonic()
        self._history = history_of(lines)
        evaluations = self._history.evaluations
        self._dev = evaluations[-1].dev if evaluations else None
        if self._left.killed_at is not None:
            self._events.killed(self._left.last_step, last_seen=self._left.killed_at)
        self._events.began(
            step, device=self._machine.device, ranks=self._machine.ranks, usd_per_hour=self._usd_per_hour
        )
        self._usd_before = read_events(self._folder.events).usd(now_utc())
        self._report.advance(step, before=True)
        if self._watching.trackers:
            self._trackers = Trackers(self._watching.trackers, self._tracked(step), tell=self.message)

    def _tracked(self, step: int) -> TrackedRun:
        return TrackedRun(
            folder=self._folder.trackers,
            name=self._folder.path.name,
            config=self._config,
            config_sha256=run_digest(self._config),
            step=step,
            last_told=max(step, self._left.last_step),
        )

    @contextmanager
    def until_it_ends(self, done: Callable[[], int]) -> Iterator[None]:
        """Around the steps and the result: writes down how the session ended; `done` tells the updates made."""
        try:
            yield
        except BaseException as error:
            with suppress(InputError):  # A full disk must not hide what went wrong.
                self._ended(done(), error)
            raise
        self._ended(done(), None)

    def _ended(self, step: int, error: BaseException | None) -> None:
        interrupted = isinstance(error, InterruptedRunError | KeyboardInterrupt)
        how = "finished" if error is None else "interrupted" if interrupted else "failed"
        self._events.ended(step, how=how, why="" if error is None else _reason(error))
        if self._trackers is not None:
            self._trackers.close()
        self._write_page()

    def measured(self, facts: StepFacts, times: StepTimes) -> StepTimes:
        """The times with what follows from them, and the memory of a run on a processor."""
        share = mfu(
            self._config,
            self._watching.gpu,
            ranks=self._machine.ranks,
            k=facts.k,
            tokens_per_s=times.tokens_per_s,
            keys_per_token=self._watching.keys_per_token,
            response_fraction=facts.response_tokens / max(1, facts.tokens),
        )
        resident = _resident_mib() if times.peak_mib is None else None
        return times.model_copy(update={"mfu": share and round(share, 4), "resident_mib": resident})

    def stepped(self, facts: StepFacts, times: StepTimes, *, evaluated: bool) -> None:
        """One step is recorded; after an evaluation everything is drawn again."""
        line = facts.model_dump(mode="json", exclude_none=True) | times.model_dump(mode="json", exclude_none=True)
        self._history.add(line)
        self._recent.append((facts.tokens, times.seconds))
        self._dev = facts.dev or self._dev
        left_s = self._seconds_left(facts.step)
        self._report.advance(1, note=self._note(facts, times), left_s=left_s)
        if self._trackers is not None:
            self._trackers.log(line)
        if facts.dev is not None:
            self._report.message(_dev_line(facts.step, facts.dev))
        if evaluated:
            title = f"{self._config.preset}, corpus {self._config.content_root[:12]}"
            write_loss_plot(self._folder.loss_svg, self._history, title=title)
        if evaluated or time.monotonic() - self._page_at_s > PAGE_INTERVAL_S:
            self._write_page()

    def _seconds_left(self, step: int) -> float | None:
        elapsed_s = time.monotonic() - self._began_at_s
        return seconds_left(self._config, from_step=self._from_step, step=step, elapsed_s=elapsed_s)

    def _note(self, facts: StepFacts, times: StepTimes) -> str:
        """The step line behind step, rate and time left; what matters most stands first, for narrow terminals."""
        tokens, seconds = (sum(column) for column in zip(*self._recent, strict=True))
        parts = [f"loss {facts.loss:.3f}"]
        parts += [f"held out {self._dev.loss:.3f}"] if self._dev else []
        parts += [f"{tokens / seconds:,.0f} tok/s"] if seconds > 0 else []
        parts += [f"MFU {times.mfu:.1%}"] if times.mfu is not None else []
        parts += [f"GPU {times.peak_mib / 1024:.1f} GiB"] if times.peak_mib is not None else []
        parts += [f"k {facts.k}", f"lr {facts.lr:.2g}"]
        if self._usd_before is not None and self._usd_per_hour is not None:
            now = self._usd_before + self._usd_per_hour * (time.monotonic() - self._began_at_s) / 3600
            parts.append(f"${now:,.2f}")
        return "  ".join(parts)

    def _write_page(self) -> None:
        if self._watching.page is not None:
            self._watching.page(self._history)
        self._page_at_s = time.monotonic()


class NoWatch:
    """On the ranks that report nothing."""

    def began(self, lines: Sequence[Mapping[str, Any]], step: int) -> None:
        """Nothing."""

    def message(self, text: str) -> None:
        """Nothing."""

    def measured(self, facts: StepFacts, times: StepTimes) -> StepTimes:
        """As they are."""
        return times

    def stepped(self, facts: StepFacts, times: StepTimes, *, evaluated: bool) -> None:
        """Nothing."""

    @contextmanager
    def until_it_ends(self, done: Callable[[], int]) -> Iterator[None]:
        """Nothing."""
        yield


@dataclass(frozen=True)
class _Left:
    last_step: int
    """Last step in the metrics, which may lie behind the last checkpoint."""
    killed_at: dt.datetime | None
    """When the process before was last seen, if it did not say how it ended."""


def _left_behind(folder: RunFolder) -> _Left:
    tail = read_tail(folder.metrics)
    sessions = read_events(folder.events).sessions
    silent = bool(sessions) and sessions[-1].how is None
    return _Left(tail[-1]["step"] if tail else 0, last_seen(folder) if silent else None)


def _reason(error: BaseException) -> str:
    return error.what if isinstance(error, HrmbuildError) else f"{type(error).__name__}: {error}".rstrip(": ")


def _dev_line(step: int, dev: DevScore) -> str:
    exact = "" if dev.exact is None else f", exact {dev.exact:.1%} of {dev.n_pairs}"
    return f"step {step}: held-out loss {dev.loss:.3f}{exact}"


def _resident_mib() -> float | None:
    """Memory of this process; Linux alone says it without a library."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)

"""A polite end: signals are noted, the step is finished, the state is saved, then the run says so.

Owns the handlers. SIGTERM and SIGUSR1 (what SLURM sends before the time is up, where asked to) exit with 143, SIGINT
with 130. A second SIGINT ends at once; a second one of the others changes nothing, because schedulers send them to a
process and to what started it, which hands its own on. It must not save anything itself.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from hrmbuild.errors import HrmbuildError

INTERRUPTED, ENDED = 130, 143
"""Exit statuses after SIGINT, and after the others."""
_STATUS = {signal.SIGINT: INTERRUPTED, signal.SIGTERM: ENDED, signal.SIGUSR1: ENDED}


class InterruptedRunError(HrmbuildError):
    """A signal ended the run; its state is saved. `exit_status` is 130 or 143."""

    def __init__(self, status: int, *, run: str, step: int) -> None:
        super().__init__(
            "train.interrupted",
            f"interrupted after step {step}; the state is saved",
            where=run,
            fix=f"go on with: hrmbuild train --resume --out {run}",
        )
        self.exit_status = status


class Signals:
    """While open, notes the first signal; the handlers that stood before are put back at the end."""

    def __init__(self) -> None:
        self.status: int | None = None
        """Exit status of the first signal, None while none came."""
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Signals:
        # Python delivers signals to the main thread; a run inside another thread is not interruptible this way.
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in _STATUS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.status == INTERRUPTED and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.status = self.status or _STATUS[signal.Signals(number)]

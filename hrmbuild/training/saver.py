"""Saving beside training: the loop stands still while the state is copied, and a thread writes the copy.

Owns when a checkpoint is due, the thread, and that never two are written at once. What the thread meets stops the run
on all ranks at the next step. It must not know how a checkpoint is laid out (`checkpoint`) or what is copied (`state`).

A rank writes its own files and a receipt; the main rank's thread waits for all receipts and completes the checkpoint.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

from hrmbuild.errors import HrmbuildError
from hrmbuild.training.agreement import on_main, raise_together
from hrmbuild.training.checkpoint import (
    SavedFacts,
    all_written,
    clear_place,
    complete,
    incomplete_folder,
    write_shards,
)
from hrmbuild.training.ranks import Ranks
from hrmbuild.training.refusals import stopped_by
from hrmbuild.training.state import Snapshot, TrainState, snapshot

_POLL_S = 0.02


class Saver:
    """The checkpoints of a run, from one rank's side; `save` and `settle` are called by all ranks at the same point."""

    def __init__(
        self, checkpoints: Path, *, ranks: Ranks, every_s: float, saved_step: int | None, sync: Callable[[], None]
    ) -> None:
        """`saved_step`: of the checkpoint that the run went on from; `sync`: puts on the disk what one counts on."""
        self._checkpoints, self._ranks, self._every_s, self._sync = checkpoints, ranks, every_s, sync
        self._saved_step, self._saved_at_s = saved_step, time.monotonic()
        self._writing: _Writing | None = None
        self._stood_s = 0.0
        self.n_saved = 0
        """Checkpoints of this process."""
        self.total_stood_s = 0.0
        """How long the loop stood still for them, waiting at the end included."""

    @property
    def is_late(self) -> bool:
        """Whether the clock asks for a checkpoint; ranks have their own clocks, so they ask one another."""
        return time.monotonic() - self._saved_at_s > self._every_s

    @property
    def has_failed(self) -> bool:
        """Whether writing met an error on this rank; `settle` then raises it on all of them."""
        return self._writing is not None and self._writing.error is not None

    def save(self, state: TrainState, facts: SavedFacts) -> None:
        """Copy the state and begin to write it, once the checkpoint before is complete; a saved step is left alone.

        Raises:
            HrmbuildError: the disk is full or not writable, here or on another rank.
        """
        if self._saved_step == state.step:
            return
        began_at_s = time.monotonic()
        self.settle()
        held = snapshot(state, self._ranks)
        on_main(self._ranks, lambda: clear_place(self._checkpoints, state.step))
        self._writing = _Writing(self._checkpoints, held, facts, sync=self._sync)
        self._writing.start()
        self._saved_step, self._saved_at_s = state.step, time.monotonic()
        self.n_saved += 1
        self._count(began_at_s)

    def settle(self) -> None:
        """Wait until what is being written is complete.

        Raises:
            HrmbuildError: it could not be written, here or on another rank; what was complete before is untouched.
        """
        writing, began_at_s = self._writing, time.monotonic()
        if writing is None:
            return
        try:
            writing.own_files.wait()
            raise_together(self._ranks, writing.problem())
            writing.join()
            raise_together(self._ranks, writing.problem())
        except HrmbuildError:
            self.close()
            on_main(self._ranks, writing.remove)
            raise
        self._writing = None
        self._count(began_at_s)

    def close(self) -> None:
        """The run ends early: write what can be written without the other ranks, leave the rest torn."""
        if self._writing is not None:
            self._writing.own_files.wait()
            self._writing.give_up.set()
            self._writing.join()

    def take_stood_s(self) -> float | None:
        """Seconds that the loop stood still since this was asked last; None where it did not."""
        stood_s, self._stood_s = self._stood_s, 0.0
        return round(stood_s, 6) if stood_s else None

    def _count(self, began_at_s: float) -> None:
        seconds = time.monotonic() - began_at_s
        self._stood_s += seconds
        self.total_stood_s += seconds


class _Writing(threading.Thread):
    """One checkpoint on its way to the disk. A daemon: a second Ctrl-C does not wait for it."""

    def __init__(self, checkpoints: Path, held: Snapshot, facts: SavedFacts, *, sync: Callable[[], None]) -> None:
        super().__init__(name=f"checkpoint-{held.step}", daemon=True)
        self._checkpoints, self._held, self._facts, self._sync = checkpoints, held, facts, sync
        self.own_files = threading.Event()
        """This rank's files are written, or never will be."""
        self.give_up = threading.Event()
        self.error: Exception | None = None

    def run(self) -> None:
        """Write; whatever goes wrong is kept for the main thread."""
        try:
            write_shards(self._checkpoints, self._held)
            self.own_files.set()
            if self._held.rank == 0 and self._all_are_there():
                self._sync()
                complete(self._checkpoints, self._held.step, self._facts, ranks=self._held.ranks)
        except Exception as error:  # noqa: BLE001 - it is raised again, in the thread that can stop the run
            self.error = error
        finally:
            self.own_files.set()

    def problem(self) -> HrmbuildError | None:
        """What a user can act on; any other error is raised here and now, as the fault of ours that it is."""
        if self.error is None or isinstance(self.error, HrmbuildError):
            what = f"the checkpoint of step {self._held.step}"
            return None if self.error is None else stopped_by(self.error, what=what)
        raise self.error

    def remove(self) -> None:
        """Give back the space that a checkpoint took which cannot be completed."""
        shutil.rmtree(incomplete_folder(self._checkpoints, self._held.step), ignore_errors=True)

    def _all_are_there(self) -> bool:
        while not all_written(self._checkpoints, self._held.step, ranks=self._held.ranks):
            if self.give_up.wait(_POLL_S):
                return False
        return True

"""Ranks as processes of this machine: started together, watched, ended together.

Owns processes, signals and exit statuses. Each rank runs the same command line; it finds the others through a store
that this process holds on a port that the system chose, so that two runs on one machine never meet. Only the main rank
speaks: what it wrote on stdout is handed back, the others' words are kept and shown if one of them fails alone. It must
not know what the ranks do.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import BinaryIO

from hrmbuild.errors import HrmbuildError
from hrmbuild.training.agreement import RankLostError
from hrmbuild.training.ranks import meeting_point

LAUNCHER_VARIABLE = "HRMBUILD_LAUNCHER"
"""Process id of what started this rank; absent elsewhere."""
_LOST_STATUS = 75
"""Between a rank and this process only: it ended because another one did, so every other status says more."""
ORDERLY_GRACE_S = 10.0
"""For the others after a rank ended with an error of its own: they write what they were writing, or hang in a sum."""
DEAD_GRACE_S = 3.0
"""The same after a rank was killed or crashed."""
_POLL_S = 0.05
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
_BUG_STATUS = 70
_SHOWN_BYTES = 4000
_PR_SET_PDEATHSIG = 1


class RankDiedError(HrmbuildError):
    """A rank ended and took the run with it; `exit_status` is its own where it has one that says something."""

    def __init__(self, what: str, *, why: str, status: int) -> None:
        super().__init__(
            "train.rank_died",
            what,
            why=why,
            fix="see to that, then go on from the newest complete checkpoint: the same command with --resume",
        )
        self.exit_status = status


class InterruptedLaunchError(HrmbuildError):
    """A signal ended the ranks before they could note it, or a second one did not wait for them."""

    def __init__(self, status: int) -> None:
        super().__init__(
            "train.interrupted",
            "interrupted; the ranks are ended",
            why="complete checkpoints are untouched",
            fix="go on with: the same command with --resume",
        )
        self.exit_status = status


@dataclass(frozen=True)
class Ended:
    """How the ranks ended, all by themselves."""

    status: int
    stdout: bytes
    """Of the main rank."""


def run_ranks(command: Sequence[str], *, count: int, environment: dict[str, str]) -> Ended:
    """Start `count` ranks of a command, hand signals on to them, wait, and end what is left when one of them fails.

    Raises:
        RankDiedError: a rank was killed, crashed or failed alone.
        InterruptedLaunchError: 130 or 143 without an orderly end.
    """
    store, port = meeting_point()
    shared = dict(os.environ) | environment | _rendezvous(port, count)
    with _Ranks(command, count, shared) as ranks, _handed_on(ranks):
        ranks.wait()
        outcome = ranks.outcome()
    del store  # Held until here: the ranks were its guests.
    return outcome


@contextmanager
def as_rank() -> Iterator[None]:
    """Around a training that may be a rank: one that `run_ranks` started ends when that process does, however it ends.

    It also leaves it to that process to tell which rank was lost.
    """
    launcher = int(os.environ.get(LAUNCHER_VARIABLE, "0"))
    if launcher:
        _end_with(launcher)
    try:
        yield
    except RankLostError as error:
        if launcher:
            error.quiet, error.exit_status = True, _LOST_STATUS
        raise


def _end_with(parent: int) -> None:
    if sys.platform != "linux":
        _watch(parent)
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # It ended before the line above.
        os._exit(128 + signal.SIGKILL)


def _watch(parent: int) -> None:
    def until_it_ends() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(128 + signal.SIGKILL)

    threading.Thread(target=until_it_ends, daemon=True).start()


def _rendezvous(port: int, count: int) -> dict[str, str]:
    """What torch's `env://` reads; the store is held here, as torchrun's agent does it."""
    return {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "TORCHELASTIC_USE_AGENT_STORE": "True",
        "TORCHELASTIC_RESTART_COUNT": "0",
        LAUNCHER_VARIABLE: str(os.getpid()),
    }


class _Ranks:
    """The processes, while they live."""

    def __init__(self, command: Sequence[str], count: int, environment: dict[str, str]) -> None:
        self._command, self._count, self._environment = command, count, environment
        self._files = ExitStack()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._words: list[BinaryIO] = []
        self._signal: signal.Signals | None = None
        self._ended_by_us: set[int] = set()

    def __enter__(self) -> _Ranks:
        self._stdout = self._temporary()
        for rank in range(self._count):
            self._words.append(self._temporary())
            own = {"RANK": str(rank), "LOCAL_RANK": str(rank)}
            self._processes.append(
                subprocess.Popen(
                    self._command,
                    env=self._environment | own,
                    stdin=subprocess.DEVNULL,
                    stdout=self._stdout if rank == 0 else subprocess.DEVNULL,
                    stderr=None if rank == 0 else self._words[rank],
                    # A terminal's Ctrl-C reaches this process only, which hands it on: nobody gets it twice.
                    start_new_session=True,
                )
            )
        return self

    def _temporary(self) -> BinaryIO:
        return self._files.enter_context(tempfile.TemporaryFile())

    def __exit__(self, *_: object) -> None:
        self._kill()
        for process in self._processes:
            process.wait()
        self._files.close()

    def hand_on(self, number: int) -> None:
        """Every rank gets the signal; a second Ctrl-C ends them at once."""
        again = self._signal == signal.SIGINT == number
        self._signal = self._signal or signal.Signals(number)
        if again:
            self._kill()
        for process in self._running():
            process.send_signal(number)

    def _running(self) -> list[subprocess.Popen[bytes]]:
        return [process for process in self._processes if process.poll() is None]

    def _kill(self) -> None:
        for process in self._running():
            self._ended_by_us.add(process.pid)
            process.kill()

    def wait(self) -> None:
        """Until every rank has ended; the others soon after one that failed."""
        ends_at_s: float | None = None
        while self._running():
            statuses = [process.returncode for process in self._processes if process.returncode]
            if statuses and ends_at_s is None:
                orderly = all(0 < status != _BUG_STATUS for status in statuses)
                ends_at_s = time.monotonic() + (ORDERLY_GRACE_S if orderly else DEAD_GRACE_S)
            if ends_at_s is not None and time.monotonic() > ends_at_s:
                self._kill()
            time.sleep(_POLL_S)

    def outcome(self) -> Ended:
        """What the statuses of all ranks come to."""
        own = [(rank, p.returncode) for rank, p in enumerate(self._processes) if p.pid not in self._ended_by_us]
        failed = [(rank, status) for rank, status in own if status]
        if self._signal is not None and (not own or any(status < 0 for _, status in failed)):
            raise InterruptedLaunchError(130 if self._signal == signal.SIGINT else 143)
        rank, status = min(failed, key=_says_most) if failed else (0, 0)
        if rank != 0 or status < 0 or status == _LOST_STATUS:
            raise self._death(rank, status)
        self._stdout.seek(0)
        return Ended(status, self._stdout.read())

    def _death(self, rank: int, status: int) -> RankDiedError:
        if status < 0:
            name = signal.Signals(-status).name
            memory = "the kernel sends SIGKILL when memory runs out" if -status == signal.SIGKILL else "it crashed"
            return RankDiedError(
                f"rank {rank} of {self._count} was ended by {name}; the others were ended",
                why=f"{memory}; complete checkpoints are untouched",
                status=HrmbuildError.exit_status,
            )
        if status == _LOST_STATUS:
            return RankDiedError(
                "the ranks lost one another", why="none of them ended with an error of its own",
                status=HrmbuildError.exit_status,
            )  # fmt: skip
        return RankDiedError(
            f"rank {rank} of {self._count} ended with status {status}; the others were ended",
            why=f"its last words: {self._last_words(rank) or 'none'}",
            status=status,
        )

    def _last_words(self, rank: int) -> str:
        file = self._words[rank]
        file.seek(max(0, file.seek(0, os.SEEK_END) - _SHOWN_BYTES))
        return file.read().decode("utf-8", "replace").strip()


def _says_most(failed: tuple[int, int]) -> tuple[int, int]:
    """Killed, then crashed, then an answer; last the ranks that lost one of these. Among equals the main rank."""
    rank, status = failed
    order = 0 if status < 0 else {_BUG_STATUS: 1, _LOST_STATUS: 3}.get(status, 2)
    return order, rank


@contextmanager
def _handed_on(ranks: _Ranks) -> Iterator[None]:
    """While open, signals go to the ranks."""

    def hand_on(number: int, frame: FrameType | None) -> None:
        ranks.hand_on(number)

    in_main_thread = threading.current_thread() is threading.main_thread()
    before = {number: signal.signal(number, hand_on) for number in _SIGNALS} if in_main_thread else {}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

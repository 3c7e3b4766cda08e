"""Files that could crash, hang or swell are read in a process of their own, which may die without taking more with it.

Owns that process from the outside: one worker for many files, started at the first, with limits on time and memory,
started again after a death. What comes back is JSON and is validated into our own records, for a worker whose parser
was subverted is not to be believed. It must not parse a file itself.
"""

from __future__ import annotations

import atexit
import json
import os
import pickle
import select
import signal
import struct
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hrmbuild.config.limits import DEFAULT_LIMITS, LimitsConfig
from hrmbuild.errors import InputError
from hrmbuild.readers.flow import FlowText
from hrmbuild.readers.registry import ISOLATED, ISOLATED_BYTES, NEEDS_OPENER, READERS, read
from hrmbuild.readers.resolving import load_texts
from hrmbuild.readers.result import MAX_FILE_BYTES, ReadResult
from hrmbuild.readers.spans import SourceText
from hrmbuild.records.document import Document, Fields, RuleSetFile, Table
from hrmbuild.records.source import Skip

_RECORDS = {"Document": Document, "Table": Table, "Fields": Fields, "RuleSetFile": RuleSetFile}
_START = "from hrmbuild.readers.worker_main import main; main()"
_HEAD = struct.Struct(">Q")
_MAX_ANSWER_BYTES = 2 << 30


@dataclass
class ReaderWorker:
    """A process that reads files one after the other."""

    limits: LimitsConfig = DEFAULT_LIMITS
    process: subprocess.Popen[bytes] | None = None
    n_started: int = field(default=0, init=False)
    _owner: int = field(default=0, init=False)
    """Process id that started it: a forked copy of this object must not talk to another's worker."""

    def read(self, path: Path, *, relative: str, format: str | None, **request: Any) -> ReadResult:
        """As `registry.read`, with its arguments, in the worker.

        Raises:
            InputError: as `registry.read`; `read.worker_died`, `read.too_slow`, `read.too_large`.
        """
        request |= {"path": path, "relative": relative, "format": format, "limits": self.limits}
        if format not in NEEDS_OPENER:  # what a worker does not need it does not load
            request.pop("open_database", None)
        answer = self._ask("read", request, where=relative)
        return ReadResult(
            [_RECORDS[name].model_validate_json(text) for name, text in answer["records"]],
            [Skip.model_validate(one) for one in answer["skips"]],
            [str(note) for note in answer["notes"]],
        )

    def load_texts(self, path: Path, *, format: str) -> dict[str | None, SourceText]:
        """As `resolving.load_texts`, in the worker."""
        answer = self._ask("texts", {"path": path, "format": format}, where=path.name)
        return {one["part"]: _text_of(one) for one in answer["texts"]}

    def close(self) -> None:
        """End the process, if there is one."""
        process, self.process = self.process, None
        if process is None or self._owner != os.getpid():
            return
        process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        process.wait()

    def _ask(self, task: str, request: dict[str, Any], *, where: str) -> dict[str, Any]:
        answer = self._answer(pickle.dumps((task, request)), where)
        if "crash" in answer:
            self.close()
            raise _died(where, f"the reader failed: {answer['crash']}")
        if "error" in answer:
            one = answer["error"]
            raise InputError(one["code"], one["what"], where=one["where"], why=one["why"], fix=one["fix"])
        return answer

    def _answer(self, request: bytes, where: str) -> dict[str, Any]:
        process = self._running()
        assert process.stdin is not None and process.stdout is not None
        deadline = time.monotonic() + self.limits.seconds_per_file
        try:
            process.stdin.write(_HEAD.pack(len(request)) + request)
            process.stdin.flush()
            (n_bytes,) = _HEAD.unpack(_receive(process, _HEAD.size, deadline))
            if n_bytes > _MAX_ANSWER_BYTES:
                raise EOFError
            answer = json.loads(_receive(process, n_bytes, deadline))
        except TimeoutError:
            self.close()
            raise _too_slow(where, self.limits) from None
        except (EOFError, OSError, ValueError):
            raise self._cause_of_death(process, where) from None
        return answer

    def _running(self) -> subprocess.Popen[bytes]:
        """The worker, started where there is none that lives."""
        if self.process is not None and self._owner == os.getpid() and self.process.poll() is None:
            return self.process
        self.close()
        folders = os.pathsep.join(str(Path(folder).absolute()) for folder in sys.path if folder)
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", _START, str(self.limits.memory_bytes), str(self.limits.seconds_per_file)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": folders, "PYTHONDONTWRITEBYTECODE": "1"},
        )  # fmt: skip
        self._owner = os.getpid()
        self.n_started += 1
        return self.process

    def _cause_of_death(self, process: subprocess.Popen[bytes], where: str) -> InputError:
        try:
            status = process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            status = 0
        self.close()
        if status == -signal.SIGXCPU:
            return _too_slow(where, self.limits)
        ended = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        return _died(where, f"the process that read the file ended ({ended})")


def _receive(process: subprocess.Popen[bytes], n_bytes: int, deadline: float) -> bytes:
    """Exactly so many bytes of the worker's answer.

    Raises:
        TimeoutError: the deadline passed.
        EOFError: the worker is gone.
    """
    assert process.stdout is not None
    pieces: list[bytes] = []
    missing, descriptor = n_bytes, process.stdout.fileno()
    while missing:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([descriptor], [], [], left)[0]:
            raise TimeoutError
        piece = os.read(descriptor, min(missing, 1 << 20))
        if not piece:
            raise EOFError
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces)


def _too_slow(where: str, limits: LimitsConfig) -> InputError:
    what = f"the file was not read within {limits.seconds_per_file:g} seconds (limits.seconds_per_file)"
    return InputError("read.too_slow", what, where=where, why="one file must not hold up the others",
                      fix="raise limits.seconds_per_file, split it, or leave it out")  # fmt: skip


def _died(where: str, what: str) -> InputError:
    return InputError("read.worker_died", what, where=where,
                      why="damaged and purpose-made files do this; the other files go on",
                      fix="open it in the program that wrote it and save it again, or leave it out")  # fmt: skip


def _text_of(one: dict[str, Any]) -> SourceText:
    if one["starts"] is None:
        return SourceText(one["text"], one["part"])
    return FlowText(one["text"], one["part"], tuple(one["starts"]), tuple(one["pages"]))


_WORKER = ReaderWorker()
atexit.register(_WORKER.close)


def read_guarded(
    path: Path, *, format: str | None, limits: LimitsConfig | None = None, **request: Any
) -> ReadResult:  # fmt: skip
    """`registry.read`, with its arguments, in the worker where the format's parser is not to be trusted with our
    process, or the file is large.
    """
    limits = limits or DEFAULT_LIMITS
    if not _is_isolated(path, format):
        return read(path, format=format, limits=limits, **request)
    if limits != _WORKER.limits:
        _WORKER.close()
        _WORKER.limits = limits
    return _WORKER.read(path, format=format, **request)


def _is_isolated(path: Path, format: str | None) -> bool:
    try:
        return format in ISOLATED or (format in READERS and ISOLATED_BYTES <= path.stat().st_size <= MAX_FILE_BYTES)
    except OSError:
        return False  # `read` says what is wrong with it.


def load_texts_guarded(path: Path, *, format: str) -> dict[str | None, SourceText]:
    """`resolving.load_texts`, in the worker where the format's parser is not to be trusted with our process."""
    return _WORKER.load_texts(path, format=format) if format in ISOLATED else load_texts(path, format=format)

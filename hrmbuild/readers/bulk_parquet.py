"""A large Parquet file as Arrow batches, read in a process of its own that may die.

Owns that process, the stream of batches between it and us, and the check that what comes back is what Arrow says it is
(every offset, every letter). It must not choose which columns mean what.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa

from hrmbuild.errors import InputError
from hrmbuild.fingerprint import hash_file
from hrmbuild.readers.bulk_lines import NotPlainError
from hrmbuild.records.arrays import arrow_numbers

MEMORY_BYTES = 2 << 30
"""Address space of the process that unpacks."""
TABLE_ROWS = 81_920
_FIRST_ROWS = 8192
"""Rows of the first table, so that work begins soon; each has twice those of the one before, up to the most."""
_PIPE_BYTES = 1 << 20
_START = "import sys; sys.modules['numpy'] = None; from hrmbuild.readers.bulk_unpacking import main; main()"
"""Arrow does without numpy where there is none, and starts in half the time."""


def parquet_tables(path: Path, *, relative: str, sha256: str | None) -> Iterator[pa.Table]:
    """Tables of the file's columns and `line`, the number of the row (1-based), in order.

    Args:
        sha256: what the bytes must be; None does not look (only the benchmark does so).

    Raises:
        NotPlainError: the file is no Parquet that can be read so; the ordinary reader says why.
        InputError: `read.changed`.
    """
    first, enough = 1, _FIRST_ROWS
    with _unpacking(path) as process:
        assert process.stdout is not None
        try:
            with pa.ipc.open_stream(process.stdout) as stream:
                waiting: list[pa.RecordBatch] = []
                for batch in stream:
                    batch.validate(full=True)
                    waiting.append(batch)
                    if sum(len(one) for one in waiting) >= enough:
                        yield (table := _numbered(waiting, first))
                        first, waiting, enough = first + table.num_rows, [], min(2 * enough, TABLE_ROWS)
                if waiting:
                    yield _numbered(waiting, first)
        except (pa.ArrowException, OSError):
            raise NotPlainError from None
        if process.wait() != 0:
            raise NotPlainError
    if sha256 is not None and hash_file(path) != sha256:
        raise InputError("read.changed", "the file changed while it was being read", where=relative,
                         fix="run the command again when nothing writes it")  # fmt: skip


class _unpacking:
    """The process, ended whatever happens."""

    def __init__(self, path: Path) -> None:
        folders = os.pathsep.join(str(Path(folder).absolute()) for folder in sys.path if folder)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _START, str(path), str(MEMORY_BYTES)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": folders, "PYTHONDONTWRITEBYTECODE": "1"},
        )  # fmt: skip

        _widen(self._process.stdout)

    def __enter__(self) -> subprocess.Popen[bytes]:
        return self._process

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process.wait()


def _widen(pipe: IO[bytes] | None) -> None:
    """Room for a whole batch, so that neither side waits for the other at every 64 KiB; without it all is as well."""
    if pipe is not None and hasattr(fcntl, "F_SETPIPE_SZ"):
        with suppress(OSError):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def _numbered(batches: list[pa.RecordBatch], first: int) -> pa.Table:
    table = pa.Table.from_batches(batches)
    numbers = arrow_numbers(np.arange(first, first + len(table)))
    return table.append_column(_line_name(table.column_names), numbers)


def _line_name(names: list[str]) -> str:
    if "line" in names:
        raise NotPlainError  # a column of that name belongs to the file, and SQL could not tell them apart
    return "line"

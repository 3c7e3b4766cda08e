"""Processes for the rows of a large file, started when the first row needs one; answers come in order.

Owns the processes and how much waits for them. It must not know what they do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import Any

import pyarrow as pa

from hrmbuild.errors import InputError
from hrmbuild.pipelines import bulk_worker
from hrmbuild.pipelines.bulk_worker import BulkJob, CompiledRows
from hrmbuild.processes import process_pool
from hrmbuild.tokens.encode_stream import available_cores

_MOST_PROCESSES = 8
"""Each takes about 150 MiB."""


class BulkPool:
    """The processes of one file."""

    def __init__(self, job: BulkJob) -> None:
        self._job = job
        self._n = min(available_cores(), _MOST_PROCESSES)
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> BulkPool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def look(self, batches: Iterable[pa.RecordBatch]) -> Iterator[list[int | tuple[str, str]]]:
        """See `bulk_worker.look`."""
        return self._ahead(bulk_worker.look, ((batch,) for batch in batches))

    def compile(self, tasks: Iterable[tuple[pa.RecordBatch, Sequence[int]]]) -> Iterator[CompiledRows]:
        """See `bulk_worker.compile_rows`."""
        return self._ahead(bulk_worker.compile_rows, tasks)

    def refused(self, batches: Iterable[pa.RecordBatch]) -> Iterator[list[int]]:
        """See `bulk_worker.refused`."""
        return self._ahead(bulk_worker.refused, ((batch,) for batch in batches))

    def _ahead(self, work: Callable[..., Any], tasks: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        """Answers in order; twice as many tasks as processes are under way."""
        waiting: deque[Future[Any]] = deque()
        try:
            for task in tasks:
                waiting.append(self._started().submit(work, *task))
                if len(waiting) > 2 * self._n:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool:
            raise InputError("read.worker_died", "a process that worked on its rows ended", where=self._job.source.path,
                             fix="run the command again; with less memory, on fewer cores") from None  # fmt: skip

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = process_pool(self._n, bulk_worker.start, self._job)
        return self._pool

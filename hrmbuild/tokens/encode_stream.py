"""Streams of pairs through the tokenizer on all cores, in order, a few batches in memory.

Owns who encodes: a short stream the library's own threads, a long one a process for each core. The library's threads
share a cache and one allocator, and Python's lock stands between them and whoever unpacks their ids; processes share
nothing. The ids are the same. It must not know files.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain, islice
from queue import SimpleQueue
from typing import TypeVar

from hrmbuild.tokens.encode import EncodedBatch, encode_batch
from hrmbuild.tokens.encode_worker import EncodeWorker
from hrmbuild.tokens.tokenizer import TextTokenizer

T = TypeVar("T")
Result = TypeVar("Result")

BATCH_PAIRS = 1024
"""Pairs encoded together: enough to keep a core busy for a tenth of a second, little enough to hold many in memory."""
_CALLS_AT_ONCE = 3
"""Of the library: while one batch ends and its cores fall idle, the next has begun."""
PAIRS_BEFORE_PROCESSES = 16 * BATCH_PAIRS
"""A stream that ends before this is done sooner than processes would have started."""
MOST_PROCESSES = 16
"""Each takes about 80 MiB; on a machine with more cores they encode with several threads each."""


def encode_stream(
    tokenizer: TextTokenizer, rows: Iterable[T], *, texts: Callable[[T], tuple[str, str, str]]
) -> Iterator[tuple[list[T], EncodedBatch]]:
    """Batches of rows with their ids, in order, however many there are.

    Raises:
        ValueError: an unknown condition, or a response without content.
        InputError: `tokens.worker_ended`: a process was killed from outside.
    """
    remaining, n_cores = iter(rows), available_cores()
    alone = remaining if n_cores == 1 else islice(remaining, PAIRS_BEFORE_PROCESSES)

    def here(batch: list[T]) -> EncodedBatch:
        return encode_batch(tokenizer, [texts(row) for row in batch])

    yield from _ahead(alone, here, at_once=_CALLS_AT_ONCE)
    following = list(islice(remaining, 1))
    if not following:
        return
    n = min(n_cores, MOST_PROCESSES)
    with _workers(tokenizer, n, threads=n_cores // n) as idle:

        def elsewhere(batch: list[T]) -> EncodedBatch:
            worker = idle.get()
            try:
                return worker.encode([texts(row) for row in batch])
            finally:
                idle.put(worker)

        yield from _ahead(chain(following, remaining), elsewhere, at_once=n)


def count_stream(
    tokenizer: TextTokenizer, rows: Iterable[T], *, texts: Callable[[T], tuple[str, str]]
) -> Iterator[tuple[T, tuple[int, int]]]:
    """Rows with the content tokens of their two texts, in order, however many there are."""

    def counted(batch: list[T]) -> list[int]:
        return [len(ids) for ids in tokenizer.encode_batch([text for row in batch for text in texts(row)])]

    for batch, lengths in _ahead(rows, counted, at_once=_CALLS_AT_ONCE):
        yield from zip(batch, zip(lengths[::2], lengths[1::2], strict=True), strict=True)


def available_cores() -> int:
    """Cores that this process may use; `RAYON_NUM_THREADS` asks for fewer, as it does of the library."""
    asked = os.environ.get("RAYON_NUM_THREADS", "")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, int(asked))) if asked.isdigit() and int(asked) else cores


@contextmanager
def _workers(tokenizer: TextTokenizer, n: int, *, threads: int) -> Generator[SimpleQueue[EncodeWorker], None, None]:
    started: list[EncodeWorker] = []
    idle: SimpleQueue[EncodeWorker] = SimpleQueue()
    try:
        for _ in range(n):
            started.append(EncodeWorker(tokenizer.data, threads=threads))
            idle.put(started[-1])
        yield idle
    finally:
        for worker in started:
            worker.close()


def _ahead(rows: Iterable[T], work: Callable[[list[T]], Result], *, at_once: int) -> Iterator[tuple[list[T], Result]]:
    """Batches with what `work` makes of them, in order; `at_once` are worked on, and twice as many are in memory."""
    with ThreadPoolExecutor(max_workers=at_once) as pool:
        under_way: deque[tuple[list[T], Future[Result]]] = deque()
        for batch in _in_batches(rows):
            under_way.append((batch, pool.submit(work, batch)))
            if len(under_way) == 2 * at_once:
                ready, made = under_way.popleft()
                yield ready, made.result()
        for ready, made in under_way:
            yield ready, made.result()


def _in_batches(rows: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(rows)
    while batch := list(islice(iterator, BATCH_PAIRS)):
        yield batch

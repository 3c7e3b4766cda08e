"""Processes that help this one, and end when it does.

Owns how they start and end. Each process of a pool holds the pipe open that the others wait on, so that they would
outlive a process that is killed, with what they hold of the company's texts.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any


def process_pool(n: int, start: Callable[..., None] | None = None, *arguments: Any) -> ProcessPoolExecutor:
    """A pool of `n` processes, in each of which `start(*arguments)` runs first.

    They are spawned: a fork would copy threads' locks and open databases.
    """
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(n, mp_context=context, initializer=_begin, initargs=(start, arguments))


def _begin(start: Callable[..., None] | None, arguments: tuple[Any, ...]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if start is not None:
        start(*arguments)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()  # also returns when the parent was killed: its end of a pipe is closed
    os._exit(1)

"""A large text file as Arrow batches of its lines: a bounded piece of it in memory, whatever its size.

Owns the cut into lines, numbered as `spans` numbers them (`\\n` after `\\r\\n` and `\\r` became it), and the check that
every byte is UTF-8. It must not look into a line, and it must not guess an encoding: a file that is not plain UTF-8
goes to the reader that can (`NotPlainError`).
"""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import FileIO
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from hrmbuild.errors import InputError
from hrmbuild.records.arrays import arrow_numbers

BLOCK_BYTES = 24 << 20
"""Read at a time; a batch holds about as much."""
MAX_LINE_BYTES = 64 << 20
"""A longer line is no row of a file of pairs."""
_ARRAY_ROWS = 2048
"""Rows of one Arrow batch of a table: DuckDB's threads share a table out by its batches."""
_LOOK_BYTES = 1 << 18
"""Searched for newlines at a time: what is compared stays in the processor's cache."""
T = TypeVar("T")


class NotPlainError(Exception):
    """The file is not plain UTF-8 text, or has a line beyond all measure: the ordinary reader decides about it."""


def line_tables(path: Path, *, relative: str, sha256: str | None, block_bytes: int | None = None) -> Iterator[pa.Table]:
    """Tables of `line` (1-based) and `text` (its newline included), in order.

    Args:
        sha256: what the bytes must be; None does not look (only the benchmark does so).
        block_bytes: `BLOCK_BYTES` if None.

    Raises:
        NotPlainError: see there.
        InputError: `read.changed`: the bytes are not those that were hashed; raised at the end.
    """
    digest, first_line, rest = None if sha256 is None else hashlib.sha256(), 1, b""
    with path.open("rb", buffering=0) as file:
        is_last = False
        while not is_last:
            data = _block(file, rest, block_bytes or BLOCK_BYTES)
            is_last = len(data) == len(rest)
            if digest is not None:
                with memoryview(data) as view:
                    digest.update(view[len(rest) :])
            if first_line == 1 and not rest:
                data = _without_mark(data)
            data, rest = _whole_lines(data, is_last=is_last)
            if data:
                table = _table(data, first_line)
                first_line += table.num_rows
                yield table
    if digest is not None and digest.hexdigest() != sha256:
        raise InputError("read.changed", "the file changed while it was being read", where=relative,
                         fix="run the command again when nothing writes it")  # fmt: skip


def _block(file: FileIO, rest: bytes, block_bytes: int) -> bytearray:
    """What was left over and what follows it, read straight to where the table will have it."""
    data = bytearray(len(rest) + block_bytes)
    data[: len(rest)] = rest
    with memoryview(data) as view:
        n = file.readinto(view[len(rest) :])
    del data[len(rest) + n :]
    return data


def _without_mark(block: bytearray) -> bytearray:
    if block.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)):
        raise NotPlainError
    return block.removeprefix(codecs.BOM_UTF8) if block.startswith(codecs.BOM_UTF8) else block


def _whole_lines(data: bytearray, *, is_last: bool) -> tuple[bytearray, bytes]:
    """What can be cut into lines now, newlines normalised, and what must wait for more."""
    held = b""
    if b"\r" in data:
        if data.endswith(b"\r") and not is_last:
            del data[-1:]
            held = b"\r"  # the `\n` that belongs to it may come yet
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if is_last:
        return data, b""
    cut = data.rfind(b"\n") + 1
    if len(data) - cut > MAX_LINE_BYTES:
        raise NotPlainError
    rest = bytes(data[cut:]) + held
    del data[cut:]
    return data, rest


def _table(data: bytearray, first_line: int) -> pa.Table:
    if b"\0" in data:
        raise NotPlainError
    bounds = _bounds(np.frombuffer(data, dtype=np.uint8))
    text = pa.StringArray.from_buffers(len(bounds) - 1, pa.py_buffer(bounds), pa.py_buffer(data))
    if not data.isascii():
        try:
            text.validate(full=True)
        except pa.ArrowInvalid:
            raise NotPlainError from None
    numbers = arrow_numbers(np.arange(first_line, first_line + len(text)))
    batch = pa.RecordBatch.from_arrays([numbers, text], names=["line", "text"])
    return pa.Table.from_batches([batch.slice(at, _ARRAY_ROWS) for at in range(0, len(text), _ARRAY_ROWS)])


def _bounds(data: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
    """Where each line begins, and where the last one ends."""
    starts = [np.flatnonzero(data[at : at + _LOOK_BYTES] == 0x0A) + at + 1 for at in range(0, len(data), _LOOK_BYTES)]
    ends = np.concatenate(starts)
    last = [] if len(ends) and ends[-1] == len(data) else [len(data)]
    return np.concatenate(([0], ends, last)).astype(np.int32)


def read_ahead(tables: Iterator[T]) -> Iterator[T]:
    """The same things, the next one made while the last one is worked on."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        following = thread.submit(next, tables, None)
        while (table := following.result()) is not None:
            following = thread.submit(next, tables, None)
            yield table

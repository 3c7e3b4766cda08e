"""Numbers, truths and texts between Python and Arrow by their buffers.

Owns that and nothing else: `pa.array` and `to_numpy` load pandas where it is installed, a quarter of a second in which
the interpreter does nothing else. It must not look at a value.
"""

# pyright: basic, reportMissingTypeStubs=false
# pyarrow says nothing of its types.
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def arrow_numbers(values: npt.NDArray[np.int64]) -> pa.Int64Array:
    """The same memory as an Arrow array."""
    held = np.ascontiguousarray(values, dtype=np.int64)
    return pa.Array.from_buffers(pa.int64(), len(held), [None, pa.py_buffer(held)])


def arrow_truths(values: npt.NDArray[np.bool_]) -> pa.BooleanArray:
    """An Arrow array, a bit each."""
    return pa.Array.from_buffers(pa.bool_(), len(values), [None, pa.py_buffer(np.packbits(values, bitorder="little"))])


def arrow_texts(texts: Sequence[str]) -> pa.StringArray:
    """A few texts."""
    letters = [text.encode() for text in texts]
    bounds = np.cumsum([0, *map(len, letters)], dtype=np.int32)
    return pa.StringArray.from_buffers(len(letters), pa.py_buffer(bounds), pa.py_buffer(b"".join(letters)))


def numbers_of(column: pa.ChunkedArray | pa.Array) -> npt.NDArray[np.int64]:
    """Whole numbers of 64 bits, none of which is absent."""
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    parts = [_held(chunk, np.int64) for chunk in chunks if len(chunk)]
    return parts[0] if len(parts) == 1 else np.concatenate([np.zeros(0, dtype=np.int64), *parts])


def _held(array: pa.Array, kind: type) -> npt.NDArray[np.int64]:
    return np.frombuffer(array.buffers()[1], dtype=kind)[array.offset : array.offset + len(array)]


def truths_of(column: pa.ChunkedArray | pa.Array) -> npt.NDArray[np.bool_]:
    """Truths, none of which is absent."""
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    return np.concatenate([np.zeros(0, dtype=np.bool_), *(_bits(chunk) for chunk in chunks if len(chunk))])


def _bits(array: pa.Array) -> npt.NDArray[np.bool_]:
    bits = np.frombuffer(array.buffers()[1], dtype=np.uint8)
    found = np.unpackbits(bits, count=array.offset + len(array), bitorder="little")
    return found[array.offset :].view(np.bool_)

"""Stretches of a buffer of letters as columns: the texts themselves are not copied.

Owns the layout of Arrow's string views, and the table `made` of rows that were cut out so. It must not judge a text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from hrmbuild.records.arrays import arrow_numbers, arrow_texts
from hrmbuild.records.pair import Condition

Bytes = npt.NDArray[np.uint8]
Places = npt.NDArray[np.int64]
Truths = npt.NDArray[np.bool_]
CONDITIONS: tuple[str, ...] = get_args(Condition)
_SHORT = 12
"""Bytes of a text that stand in its view itself."""


@dataclass(frozen=True)
class Stretches:
    """Texts between places of the letters of an array."""

    array: pa.StringArray
    starts: Places
    """Counted from the array's first letter, as `ends`."""
    ends: Places

    def chosen(self, which: Truths) -> Stretches:
        """Some of them."""
        return Stretches(self.array, self.starts[which], self.ends[which])

    def views(self) -> pa.StringViewArray:
        """An Arrow array: of each text its size, then the text itself where it is short, else its first four bytes, the
        number of the buffer and the place in it."""
        data, bounds = letters_of(self.array)
        views, sizes = np.zeros((len(self.starts), 4), dtype=np.int32), self.ends - self.starts
        views[:, 0], is_short = sizes, sizes <= _SHORT
        views[~is_short, 3] = self.starts[~is_short] + bounds[0]
        for some, n in ((is_short, _SHORT), (~is_short, 4)):
            if some.any():
                at = self.starts[some][:, None] + np.arange(n)
                inside = np.arange(n) < sizes[some][:, None]
                views.view(np.uint8)[some, 4 : 4 + n] = np.where(inside, data[np.minimum(at, len(data) - 1)], 0)
        return pa.Array.from_buffers(
            pa.string_view(), len(views), [None, pa.py_buffer(views), self.array.buffers()[2]]
        )  # fmt: skip


def letters_of(texts: pa.StringArray) -> tuple[Bytes, npt.NDArray[np.int32]]:
    """The letters of an array, and where in the whole buffer each text begins and the last one ends."""
    _, places, letters = texts.buffers()
    bounds = np.frombuffer(places, dtype=np.int32)[texts.offset : texts.offset + len(texts) + 1]
    return np.frombuffer(letters or b"", dtype=np.uint8)[bounds[0] : bounds[-1]], bounds


def made_batch(line: pa.Array, conditions: Places, asked: Stretches, answered: Stretches) -> pa.RecordBatch:
    """The columns of `imported_sql.made_select` for plain rows.

    Args:
        conditions: numbers in `CONDITIONS`.
    """
    nothing, condition = pa.nulls(len(line), pa.string()), arrow_texts(CONDITIONS).take(arrow_numbers(conditions))
    return pa.RecordBatch.from_pydict({
        "line": line, "condition": condition, "instruction": asked.views(), "response": answered.views(),
        "ji": nothing, "jr": nothing,
    })  # fmt: skip

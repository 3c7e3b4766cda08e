"""The rows of a large file that are certain at a look at their bytes, found while the piece before is written.

Owns the choice of the look for a file. It must not open a database: it runs beside the thread that writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa

from hrmbuild.config.project import PairsMapping
from hrmbuild.pairs.imported_lines import spelling_of
from hrmbuild.pairs.imported_plain import plain_columns, roles_of
from hrmbuild.pairs.imported_stretches import Truths
from hrmbuild.pipelines.bulk_mapping import mapping_of

_FIRST_LINES = 256
Look = Callable[[pa.RecordBatch], tuple[Truths, pa.RecordBatch]]


@dataclass(frozen=True)
class Looked:
    """A piece of a file, which of its rows are plain, and what was made of these."""

    table: pa.Table
    is_plain: Truths
    made: pa.Table | None


def looked_at(
    tables: Iterator[pa.Table], format_name: str, mapping: PairsMapping | None, *, is_asked: bool = True
) -> Iterator[Looked]:
    """The same tables, looked at; where it is not asked nothing is found plain."""
    look: Look | None = None
    for table in tables:
        if look is None and is_asked:
            look = _look_for(table, format_name, mapping)
        yield _looked(table, look) if look is not None else Looked(table, np.zeros(len(table), dtype=np.bool_), None)


def _look_for(table: pa.Table, format_name: str, mapping: PairsMapping | None) -> Look | None:
    if format_name == "parquet":
        names = [name for name in table.column_names if name != "line"]
        roles = roles_of(names, mapping) if mapping_of(format_name, mapping, table).select() is not None else None
        return None if roles is None else partial(plain_columns, roles=roles)
    spelling = spelling_of(table.column("text").slice(0, _FIRST_LINES).to_pylist(), mapping)
    return None if spelling is None else spelling.plain


def _looked(table: pa.Table, look: Look) -> Looked:
    found = [look(batch) for batch in table.to_batches()]
    made = pa.Table.from_batches([made for _, made in found])
    return Looked(table, np.concatenate([is_plain for is_plain, _ in found]), made if len(made) else None)

"""A Parquet file to a Table, or to a row of fields for each of its rows where the source holds pairs.

Owns the walk over its row groups: batches of a bounded number of rows, so that a file is never wholly unpacked. Values
come from Arrow; a column of lists or structures is named by pointer in a row of fields, and no column of a table. It
must not choose which columns mean what.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hrmbuild.readers.database_tables import StoredTable, row_cap, stored_records, stored_text, table_names
from hrmbuild.readers.json_values import BadValue, flattened
from hrmbuild.readers.result import ReadResult, SourceFile, skip
from hrmbuild.records.document import Fields
from hrmbuild.records.locator import Locator

_BATCH_ROWS = 4096
_MAX_COLUMNS = 2000


def read_parquet(file: SourceFile) -> ReadResult:
    """One Table, or one Fields a row where the source's kind is `pairs`.

    Raises:
        InputError: `read.not_parquet`, `read.too_large`, `read.empty_table`.
    """
    try:
        opened = pq.ParquetFile(pa.BufferReader(file.data), page_checksum_verification=True, pre_buffer=False)
        if len(opened.schema_arrow) > _MAX_COLUMNS:
            raise file.error("read.too_large", f"the file has {len(opened.schema_arrow):,} columns",
                             fix=f"choose at most {_MAX_COLUMNS:,} of them")  # fmt: skip
        result = _pairs(file, opened) if file.source.kind == "pairs" else _table(file, opened)
    except (pa.ArrowException, OSError, ValueError, OverflowError, UnicodeDecodeError) as error:
        first = (str(error).splitlines() or ["?"])[0][:200]
        raise file.error("read.not_parquet", f"the file is no Parquet that can be read: {first}",
                         why="it may be damaged, encrypted, or written with a codec that is not built in",
                         fix="write it again, with zstd or snappy and without encryption") from None  # fmt: skip
    if not result.records:
        reason = result.skips[0].detail if result.skips else "it holds no rows"
        raise file.error("read.empty_table", f"the file holds no table: {reason}", fix="leave it out")
    return result


def _table(file: SourceFile, opened: pq.ParquetFile) -> ReadResult:
    result = ReadResult([])
    stem = PurePosixPath(file.relative).stem
    columns = tuple(str(name) for name in opened.schema_arrow.names)
    rows: list[tuple[object, ...]] = []
    for row in _rows(opened):
        if len(rows) == row_cap(len(columns)):
            break
        rows.append(tuple(row))
    stored = StoredTable(stem, columns, rows, int(opened.metadata.num_rows))
    result.records.extend(stored_records(file, stored, table_names([stem]), result.skips))
    result.records[:] = [_without_sheet(record) for record in result.records]
    return result


def _without_sheet(record: Any) -> Any:
    return record.model_copy(update={"locator": record.locator.model_copy(update={"sheet": None})})


def _rows(opened: pq.ParquetFile) -> Iterator[list[object]]:
    for batch in opened.iter_batches(batch_size=_BATCH_ROWS, use_threads=False):
        yield from batch_rows(batch)


def _values(column: pa.Array) -> list[Any]:
    """Plain Python values; nanoseconds, which Python's own dates do not hold, go by text."""
    if pa.types.is_timestamp(column.type) or pa.types.is_time(column.type) or pa.types.is_duration(column.type):
        return column.cast(pa.string()).to_pylist()
    if pa.types.is_float16(column.type) or pa.types.is_float32(column.type):
        return [None if value is None else _short(value) for value in column]
    return column.to_pylist()


def _short(value: Any) -> Any:
    """Single precision as its own shortest decimal: 0.1, not 0.10000000149011612."""
    scalar = value.as_py()
    return None if scalar is None else float(str(np.float32(scalar)))


def _pairs(file: SourceFile, opened: pq.ParquetFile) -> ReadResult:
    result = ReadResult([])
    names = [str(name) for name in opened.schema_arrow.names]
    for number, row in enumerate(_rows(opened), start=1):
        place = Locator(row_from=number, row_to=number)
        try:
            fields = row_fields(names, row)
        except BadValue as error:
            result.skips.append(skip(error.code, error.detail, place))
            continue
        result.records.append(Fields(source_sha256=file.sha256, path=file.relative, fields=fields, locator=place))
    return result


def row_fields(names: Sequence[str], row: Sequence[object]) -> dict[str, str]:
    """The fields of one row.

    Raises:
        BadValue: with the skip's code and sentence.
    """
    return dict(flattened({name: _plain(value) for name, value in zip(names, row, strict=True)}))


def batch_rows(batch: pa.RecordBatch) -> Iterator[list[object]]:
    """The rows of a batch as plain Python values."""
    yield from (list(row) for row in zip(*(_values(column) for column in batch.columns), strict=True))


def _plain(value: Any) -> Any:
    """Nested values as JSON has them; numbers in their exact words."""
    if isinstance(value, dict):
        return {str(name): _plain(child) for name, child in value.items()}
    if isinstance(value, list):
        return [_plain(child) for child in value]
    if isinstance(value, bool) or value is None:
        return value
    try:
        return value if isinstance(value, str) else stored_text(value)
    except TypeError:
        raise BadValue("read.blob", "a value of bytes is not read") from None

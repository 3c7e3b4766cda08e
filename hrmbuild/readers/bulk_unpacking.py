"""The inside of the process that unpacks a large Parquet file: limits first, then the batches on its output.

Owns the reading of the file's columns. It must load little, for everything waits until it has started, and it must not
choose which columns mean what.
"""

from __future__ import annotations

import sys

import pyarrow as pa
import pyarrow.parquet as pq

from hrmbuild.readers.confinement import confine

_BATCH_ROWS = 4096


def main() -> None:
    """Begin, with the path and the bytes of memory that the command line tells."""
    path, memory_bytes = sys.argv[1], int(sys.argv[2])
    confine(memory_bytes)
    # With pre_buffer Arrow keeps every byte that it has read.
    with pq.ParquetFile(path, page_checksum_verification=True, pre_buffer=False, memory_map=False) as file:
        schema = pa.schema([pa.field(name, _plain_type(type_)) for name, type_ in _fields(file.schema_arrow)])
        with pa.ipc.new_stream(sys.stdout.buffer, schema) as out:
            for batch in file.iter_batches(_BATCH_ROWS, use_threads=False):
                out.write_batch(pa.RecordBatch.from_arrays(
                    [column if column.type == field.type else column.cast(field.type)
                     for column, field in zip(batch.columns, schema, strict=True)], schema=schema))  # fmt: skip


def _fields(schema: pa.Schema) -> list[tuple[str, pa.DataType]]:
    return [(str(field.name), field.type) for field in schema]


def _plain_type(type_: pa.DataType) -> pa.DataType:
    """All sorts of text as one."""
    inner = type_.value_type if pa.types.is_dictionary(type_) else type_
    is_text = pa.types.is_string(inner) or pa.types.is_large_string(inner) or pa.types.is_string_view(inner)
    return pa.string() if is_text else type_

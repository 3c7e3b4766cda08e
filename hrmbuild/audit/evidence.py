# pyright: basic
"""The evidence pack: Parquet files beside the manifest that anyone can read ten years from now, and their checker.

Owns the files' columns and reading them back. It must not know DuckDB or the corpus.

`pairs.parquet`: a row a pair, splits in the order train, dev, test, ids ascending inside; columns `split`, `id`, `leaf`
(content leaf, hex), `salted_leaf` (hex), `row` (canonical JSON text, what is hashed), `instruction_tokens`,
`response_tokens` (content tokens; control and end tokens left out). `rejections.parquet`: everything that was turned
down (`stage` read, compile, gate, corpus) or not read (`stage` skip). `salts.parquet`: `id`, `salt` (32 bytes), for the
owner's eyes only. `row.schema.json`: JSON Schema of a row. `check.py`: recomputes all of it without hrmbuild.
Row groups hold 65,536 rows; compression is Zstandard; equal rows give equal bytes with one version of Arrow.
(Arrow's Python package ships no types: hence pyright's basic mode for this file.)
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hrmbuild.errors import InputError
from hrmbuild.records.pair import Split

HELD = "quarantine"
"""Stage of a pair that a gate holds until a decision."""
PAIRS_NAME, REJECTIONS_NAME, SALTS_NAME = "pairs.parquet", "rejections.parquet", "salts.parquet"
TOKENIZER_NAME, SCHEMA_NAME, CHECK_NAME = "tokenizer.json", "row.schema.json", "check.py"
LEAVES_NAME, CHUNKS_NAME, CHECK_PROOF_NAME = "leaves.bin", "chunks.json", "check_proof.py"
"""What inclusion proofs need (`audit.proofs`); absent in the first packs."""
EVIDENCE_NAMES = (
    CHECK_NAME, CHECK_PROOF_NAME, CHUNKS_NAME, LEAVES_NAME, PAIRS_NAME, REJECTIONS_NAME, SCHEMA_NAME, SALTS_NAME,
    TOKENIZER_NAME,
)  # fmt: skip
"""Every file of the pack, which the manifest lists with its hash."""
ROW_GROUP_ROWS = 65_536
READ_ROWS = 4096
"""Rows decoded at a time: a whole group of long rows would take hundreds of megabytes."""

_PAIRS = pa.schema([
    ("split", pa.string()), ("id", pa.string()), ("leaf", pa.string()), ("salted_leaf", pa.string()),
    ("row", pa.large_string()), ("instruction_tokens", pa.int32()), ("response_tokens", pa.int32()),
])  # fmt: skip
_REJECTIONS = pa.schema([
    (name, pa.large_string() if name == "text" else pa.string())
    for name in ("path", "stage", "code", "detail", "source_sha256", "locator", "text", "pair_id", "gate")
])  # fmt: skip
_OPTIONAL = frozenset({"text", "pair_id", "gate"})
_SALTS = pa.schema([("id", pa.string()), ("salt", pa.binary(32))])


@dataclass(frozen=True)
class EvidenceRow:
    """One row of `pairs.parquet`."""

    split: Split
    id: str
    leaf: str
    salted_leaf: str
    row: str
    """Canonical JSON of the pair."""
    instruction_tokens: int
    response_tokens: int

    @property
    def value(self) -> dict[str, Any]:
        """The row as a value."""
        return json.loads(self.row)


@dataclass(frozen=True)
class EvidenceRejection:
    """One row of `rejections.parquet`; field order is column order."""

    path: str
    stage: str
    code: str
    detail: str
    source_sha256: str
    locator: str
    """Canonical JSON."""
    text: str | None
    pair_id: str | None
    gate: str | None


# Plain attribute access: `dataclasses.astuple` copies deeply and took a tenth of freeze.
_PAIR_COLUMNS = attrgetter(*(part.name for part in fields(EvidenceRow)))
_REJECTION_COLUMNS = attrgetter(*(part.name for part in fields(EvidenceRejection)))


def write_pairs(path: Path, rows: Iterable[EvidenceRow]) -> None:
    """Write `pairs.parquet`; rows must come in its order."""
    _write(path, _PAIRS, map(_PAIR_COLUMNS, rows))


def write_rejections(path: Path, rejections: Iterable[EvidenceRejection]) -> None:
    """Write `rejections.parquet`."""
    _write(path, _REJECTIONS, map(_REJECTION_COLUMNS, rejections))


def write_salts(path: Path, salts: Mapping[str, bytes]) -> None:
    """Write `salts.parquet`, mode 0600."""
    path.touch(mode=0o600)
    path.chmod(0o600)
    _write(path, _SALTS, iter(sorted(salts.items())))


def _write(path: Path, schema: pa.Schema, rows: Iterable[Sequence[object]]) -> None:
    remaining = iter(rows)
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        while group := list(islice(remaining, ROW_GROUP_ROWS)):
            columns = list(zip(*group, strict=True))
            arrays = [pa.array(column, type=part.type) for column, part in zip(columns, schema, strict=True)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema), row_group_size=ROW_GROUP_ROWS)


def read_evidence(folder: Path, split: Split | None = None) -> Iterator[EvidenceRow]:
    """The rows of `pairs.parquet` in their order, those of one split where it is given.

    Raises:
        InputError: `evidence.unreadable`.
    """
    for values in _read(folder / PAIRS_NAME, _PAIRS, split=split):
        row = EvidenceRow(**values)
        if split is None or row.split == split:
            yield row


def read_rows(folder: Path, split: Split) -> Iterator[dict[str, Any]]:
    """The pairs of a split as plain values (the keys of a row of format 1), ordered by id.

    Raises:
        InputError: `evidence.unreadable`.
    """
    for values in _read(folder / PAIRS_NAME, _PAIRS, split=split, columns=("split", "row")):
        if values["split"] == split:
            yield json.loads(values["row"])


def read_ids(folder: Path, split: Split) -> Iterator[str]:
    """Ids of the pairs of a split, in their order.

    Raises:
        InputError: `evidence.unreadable`.
    """
    for values in _read(folder / PAIRS_NAME, _PAIRS, split=split, columns=("split", "id")):
        if values["split"] == split:
            yield values["id"]


def read_leaves(folder: Path) -> pa.RecordBatchReader:
    """Columns `id` and `leaf` of `pairs.parquet`, in its order, a few thousand rows at a time.

    Raises:
        InputError: `evidence.unreadable`, also while the batches are read.
    """
    columns = ("id", "leaf")
    return pa.RecordBatchReader.from_batches(
        pa.schema([_PAIRS.field(name) for name in columns]), _batches(folder / PAIRS_NAME, _PAIRS, columns=columns)
    )


def read_salted_leaves(folder: Path, split: Split) -> Iterator[str]:
    """Column `salted_leaf` of a split, in the order of the rows.

    Raises:
        InputError: `evidence.unreadable`.
    """
    for values in _read(folder / PAIRS_NAME, _PAIRS, split=split, columns=("split", "salted_leaf")):
        if values["split"] == split:
            yield values["salted_leaf"]


def find_places(folder: Path, column: str, prefix: str) -> Iterator[tuple[int, int]]:
    """Row group and place in it of each row whose `id` or `salted_leaf` begins so.

    Raises:
        InputError: `evidence.unreadable`.
    """
    path = folder / PAIRS_NAME
    with _readable(path), pq.ParquetFile(path) as file:
        at = file.schema_arrow.get_field_index(column)
        for group in range(file.num_row_groups):
            bounds = file.metadata.row_group(group).column(at).statistics
            if bounds is not None and bounds.has_min_max and not bounds.min[: len(prefix)] <= prefix <= bounds.max:
                continue
            values = file.read_row_group(group, columns=[column])[column]
            begins = pc.call_function("starts_with", [values], pc.MatchSubstringOptions(prefix))
            places = pc.call_function("indices_nonzero", [begins])
            yield from ((group, place) for place in places.to_pylist())


def row_at(folder: Path, group: int, place: int) -> EvidenceRow:
    """One row of `pairs.parquet`.

    Raises:
        InputError: `evidence.unreadable`.
    """
    path = folder / PAIRS_NAME
    with _readable(path), pq.ParquetFile(path, pre_buffer=False) as file:
        for batch in file.iter_batches(READ_ROWS, row_groups=[group]):
            if place < batch.num_rows:
                return EvidenceRow(**batch.slice(place, 1).to_pylist()[0])
            place -= batch.num_rows
    raise _unreadable(path, f"row group {group} is shorter than it says")


def read_rejections(folder: Path) -> Iterator[EvidenceRejection]:
    """The rows of `rejections.parquet`.

    Raises:
        InputError: `evidence.unreadable`.
    """
    for values in _read(folder / REJECTIONS_NAME, _REJECTIONS):
        yield EvidenceRejection(**values)


def read_salts(folder: Path) -> dict[str, bytes]:
    """Salt by pair id.

    Raises:
        InputError: `evidence.unreadable`.
    """
    return {values["id"]: values["salt"] for values in _read(folder / SALTS_NAME, _SALTS)}


def n_row_groups(folder: Path) -> int:
    """Number of row groups of `pairs.parquet`.

    Raises:
        InputError: `evidence.unreadable`.
    """
    path = folder / PAIRS_NAME
    with _readable(path), pq.ParquetFile(path) as file:
        return file.num_row_groups


def read_group(folder: Path, group: int) -> Iterator[list[EvidenceRow]]:
    """The rows of one row group of `pairs.parquet`, a few thousand at a time.

    Raises:
        InputError: `evidence.unreadable`.
    """
    path = folder / PAIRS_NAME
    with _readable(path):
        for batch in _batches(path, _PAIRS, groups=[group]):
            columns = [column.to_pylist() for column in batch.columns]
            yield [EvidenceRow(*values) for values in zip(*columns, strict=True)]


class SaltTable:
    """`salts.parquet` in memory, about 100 bytes a row; a dictionary of Python values takes three times as much."""

    def __init__(self, folder: Path) -> None:
        """Raises:
        InputError: `evidence.unreadable`.
        """
        path = folder / SALTS_NAME
        with _readable(path):
            table = pa.Table.from_batches(list(_batches(path, _SALTS)), schema=_SALTS)
        self._ids, self._salts = (table[name].combine_chunks() for name in ("id", "salt"))

    def of(self, ids: Sequence[str]) -> list[bytes | None]:
        """The salt of each pair, None where it has none."""
        wanted = pa.array(ids, type=pa.string())
        places = pc.call_function("index_in", [wanted], pc.SetLookupOptions(value_set=self._ids))
        return self._salts.take(places).to_pylist()


def _read(
    path: Path, schema: pa.Schema, *, split: Split | None = None, columns: Sequence[str] | None = None
) -> Iterator[dict[str, Any]]:
    with _readable(path):
        for batch in _batches(path, schema, split=split, columns=columns):
            yield from batch.to_pylist()


def _batches(
    path: Path,
    schema: pa.Schema,
    *,
    split: Split | None = None,
    columns: Sequence[str] | None = None,
    groups: Sequence[int] | None = None,
) -> Iterator[pa.RecordBatch]:
    """Some columns of a file that must have this schema; with `split`, groups that hold no row of it are left out."""
    # With pre_buffer Arrow keeps every byte that it has read: 1.3 GB for ten million pairs.
    with _readable(path), pq.ParquetFile(path, pre_buffer=False) as file:
        if not file.schema_arrow.equals(schema):
            told = ", ".join(f"{part.name} {part.type}" for part in file.schema_arrow)
            raise _unreadable(path, f"its columns are {told}")
        if groups is None:
            groups = [n for n in range(file.num_row_groups) if _may_hold(file.metadata.row_group(n), split)]
        for batch in file.iter_batches(READ_ROWS, row_groups=groups, columns=list(columns or schema.names)):
            _check_filled(path, batch)
            yield batch


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        told = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise _unreadable(path, told) from error


def _may_hold(group: Any, split: Split | None) -> bool:
    """Whether a row group of `pairs.parquet` may hold rows of a split, by the bounds of its first column."""
    if split is None:
        return True
    bounds = group.column(0).statistics
    if bounds is None or not bounds.has_min_max or not isinstance(bounds.min, str):
        return True
    return bounds.min <= split <= bounds.max


def _check_filled(path: Path, rows: pa.RecordBatch) -> None:
    """Only the optional columns of rejections may be empty."""
    empty = [name for name in rows.schema.names if name not in _OPTIONAL and rows[name].null_count]
    if empty:
        raise _unreadable(path, f"the column {empty[0]} has empty cells")


def _unreadable(path: Path, told: str) -> InputError:
    return InputError(
        "evidence.unreadable",
        f"this file of the evidence pack cannot be read: {told}",
        where=str(path),
        fix="restore the manifest's folder, or run: hrmbuild freeze",
    )


def checker_source() -> bytes:
    """The stand-alone checker that goes into the pack as `check.py`."""
    return Path(__file__).with_name("standalone_check.py").read_bytes()


def proof_checker_source() -> bytes:
    """The stand-alone checker of proofs that goes into the pack as `check_proof.py`."""
    return Path(__file__).with_name("standalone_check_proof.py").read_bytes()

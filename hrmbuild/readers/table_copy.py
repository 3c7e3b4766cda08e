"""A copied table of a database: JSON lines, the first of which describes the table.

Owns the format, both ways. Equal content gives equal bytes: no clock, no server, no user stands in it, so the hash of
the file is the identity of what was read. All cells are texts. It must not connect to anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass

from hrmbuild.fingerprint import canonical_json
from hrmbuild.readers.database_tables import StoredTable, stored_records
from hrmbuild.readers.result import ReadResult, SourceFile, skip
from hrmbuild.readers.table_shape import identifier
from hrmbuild.records.locator import Locator

FORMAT = "table_copy"
SUFFIX = ".tablecopy"
MAX_BYTES = 256 << 20
"""Of one copy; further rows are counted and left out."""


@dataclass(frozen=True)
class TableCopy:
    """A table as it is copied."""

    name: str
    """As the database has it, with its schema where that is not the usual one."""
    columns: tuple[str, ...]
    rows: Sequence[Sequence[str | None]]
    n_rows: int
    """With those that were not copied."""
    key: str | None = None
    references: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Column -> (table, column), of tables that are copied too."""
    left_out: tuple[tuple[str, str], ...] = ()
    """Code and sentence of each thing that was not copied."""

    def data(self) -> bytes:
        """The bytes of the file."""
        head = {
            "format": 1, "table": self.name, "columns": list(self.columns), "n_rows": self.n_rows, "key": self.key,
            "references": {name: list(target) for name, target in self.references.items()},
            "left_out": [list(one) for one in self.left_out],
        }  # fmt: skip
        return b"".join(canonical_json(one) + b"\n" for one in (head, *map(list, self.rows)))


@checked_dataclass(frozen=True, config=ConfigDict(extra="forbid", strict=True))
class _Head:
    format: int
    table: str
    columns: list[str]
    n_rows: int
    key: str | None
    references: dict[str, list[str]]
    left_out: list[list[str]]


_HEAD, _ROW = TypeAdapter(_Head), TypeAdapter(list[str | None], config=ConfigDict(strict=True))


def read_table_copy(file: SourceFile) -> ReadResult:
    """The one Table of a copy.

    Raises:
        InputError: `read.not_a_table_copy`; `read.no_table` where it holds no row.
    """
    first, *others = file.data.split(b"\n")[:-1] or [b""]
    try:
        head = _HEAD.validate_json(first)
        rows = [_ROW.validate_json(line) for line in others]
        if head.format != 1 or any(len(row) != len(head.columns) for row in rows):
            raise ValueError
        targets = {name: (table, column) for name, (table, column) in head.references.items()}
        told = [(code, detail) for code, detail in head.left_out]
    except (ValidationError, ValueError):
        raise file.error("read.not_a_table_copy", "this is no copy of a table, or it was cut or edited",
                         fix="run hrmbuild ingest where the database can be reached") from None  # fmt: skip
    table = StoredTable(head.table, tuple(head.columns), rows, head.n_rows, head.key, targets)
    names = {name: identifier(name) for name in (head.table, *(target for target, _ in targets.values()))}
    result = ReadResult([], [skip(code, detail, Locator(sheet=head.table)) for code, detail in told])
    result.records.extend(stored_records(file, table, names, result.skips))
    if not result.records:
        raise file.error("read.no_table", "the table has no rows, or no column that can be shown",
                         fix="take it out of `tables`")  # fmt: skip
    return result

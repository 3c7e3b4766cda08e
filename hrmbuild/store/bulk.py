"""Rows of a large file in the corpus's database: mapped by SQL that is handed in, numbered, inserted, counted.

Owns the temporary tables of one piece of a file. It must not know what the SQL maps, and it begins and ends no
transaction: `Corpus.replace_unit` does.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

ORDINALS_A_ROW = 1 << 20
"""Room between the ordinals of two rows: a row makes no more pairs than this."""
_SIGNATURE_ROWS = 4096
_NOT_STORED = "line, answer_type, answer_value, answer_unit"


class BulkPiece:
    """One piece of a file: the Arrow table `piece` and, once mapped, the temporary table `made`."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, piece: pa.Table) -> None:
        self._connection = connection
        connection.register("piece", piece)

    def close(self) -> None:
        """Drop what the piece held."""
        self._connection.unregister("piece")
        self._connection.execute("DROP TABLE IF EXISTS made")

    def signatures(self, sql: str, prepared: str) -> list[str]:
        """The different values of an expression among the first rows, over the columns that `prepared` selects."""
        head = f"SELECT {sql} AS signature FROM ({prepared} FROM (SELECT * FROM piece LIMIT {_SIGNATURE_ROWS}))"
        found = self._connection.execute(f"SELECT DISTINCT signature FROM ({head}) WHERE signature IS NOT NULL")
        return sorted(signature for (signature,) in found.fetchall())

    def map(self, select: str) -> npt.NDArray[np.bool_]:
        """Run the mapping; for each row of the piece, in order, whether its outcome is certain."""
        self._connection.execute(f"CREATE OR REPLACE TEMP TABLE made AS {select}")
        found = self._connection.sql("SELECT line, certain FROM made").to_arrow_table()
        lines, certain = found.column("line").to_numpy(), found.column("certain").to_numpy(zero_copy_only=False)
        return certain[np.argsort(lines, kind="stable")].astype(bool)

    def doubt(self, lines: Sequence[int]) -> None:
        """These rows are not certain after all."""
        self._connection.execute("UPDATE made SET certain = false WHERE line IN (SELECT unnest(?::BIGINT[]))", [lines])

    def mapped(self, select: str, *, rows: int) -> pa.RecordBatchReader:
        """Rows of a query over `made`, so many at a time."""
        return self._connection.sql(select).to_arrow_reader(rows)

    def insert(
        self, select: str, *, valid: str, lines: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]
    ) -> list[int]:
        """Insert the certain rows of `made` as candidates; lines of those that are not valid, which are left out.

        Args:
            select: SQL of candidates over the table `placed`, which is `made` with `row` and `ordinal`.
            valid: SQL of a truth over its columns.
            lines, rows: the number of each line among the file's records.
        """
        self._place(lines, rows)
        inserted = f"INSERT INTO candidate BY NAME SELECT * EXCLUDE ({_NOT_STORED}) FROM ({select}) WHERE {valid}"
        [(n,)] = self._connection.execute(inserted).fetchall()
        [(wanted,)] = self._connection.execute("SELECT count(*) FROM made WHERE certain").fetchall()
        wrong = [] if n == wanted else self._connection.execute(
            f"SELECT line FROM ({select}) WHERE NOT {valid} ORDER BY line").fetchall()  # fmt: skip
        return [line for (line,) in wrong]

    def _place(self, lines: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]) -> None:
        shift = int(lines[0] - rows[0]) if len(lines) else 0
        row, joined = f"line - {shift}", "made"
        if not np.array_equal(lines - shift, rows):
            self._connection.register("numbered", pa.table({"line": lines, "row": rows}))
            row, joined = '"row"', "made JOIN numbered USING (line)"
        self._connection.execute(
            f"CREATE OR REPLACE TEMP VIEW placed AS SELECT made.*, {row} AS row, line * {ORDINALS_A_ROW} AS ordinal "
            f"FROM {joined} WHERE certain"
        )


def bound_memory(connection: duckdb.DuckDBPyConnection, mebibytes: int) -> None:
    """What DuckDB may hold; the rest spills beside the corpus."""
    connection.execute(f"SET memory_limit = '{mebibytes}MiB'")

"""Rows of a large file in the corpus's database: mapped by SQL that is handed in, numbered, inserted, counted.

Owns the tables of one piece of a file. It must not know what the SQL maps, and it begins and ends no
transaction: `Corpus.replace_unit` does.
"""

from __future__ import annotations

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

ORDINALS_A_ROW = 1 << 20
"""Room between the ordinals of two rows: a row makes no more pairs than this."""
_SIGNATURE_ROWS = 256
_NOT_STORED = "line, answer_type, answer_value, answer_unit"


class BulkPiece:
    """One piece of a file: the Arrow table `piece` and, once mapped, the Arrow table `made`.

    Both stay in Arrow, for DuckDB's threads share out an Arrow table by its batches, and a table of its own only by
    groups of 122,880 rows.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, piece: pa.Table) -> None:
        self._connection, self._lines = connection, piece.column("line")
        self._made: pa.Table | None = None
        self._at = np.zeros(0, dtype=np.int64)
        """Place in the piece of each row of `made`."""
        connection.register("piece", piece)

    def close(self) -> None:
        """Let go of what the piece held."""
        for name in ("piece", "placed"):
            self._connection.unregister(name)

    def signatures(self, sql: str, prepared: str) -> list[str]:
        """The different values of an expression among the first rows, over the columns that `prepared` selects."""
        head = f"SELECT {sql} AS signature FROM ({prepared} FROM (SELECT * FROM piece LIMIT {_SIGNATURE_ROWS}))"
        found = self._connection.execute(f"SELECT DISTINCT signature FROM ({head}) WHERE signature IS NOT NULL")
        return sorted(signature for (signature,) in found.fetchall())

    def map(self, select: str) -> npt.NDArray[np.bool_]:
        """Run the mapping; for each row of the piece, in order, whether its outcome is certain."""
        made = self._connection.sql(select).to_arrow_table()
        self._made = made.drop_columns(["certain"])
        # The threads hand in their rows in any order; the lines of a piece follow one another.
        self._at = made.column("line").to_numpy() - self._lines[0].as_py()
        certain = np.zeros(len(self._lines), dtype=bool)
        certain[self._at] = made.column("certain").to_numpy()
        return certain

    def place(self, rows: npt.NDArray[np.int64], chosen: npt.NDArray[np.bool_]) -> None:
        """The table `placed`: the chosen rows of `made` with their numbers among the file's records."""
        assert self._made is not None, "map comes first"
        ordinals = self._made.column("line").to_numpy() * ORDINALS_A_ROW
        placed = self._made.append_column("row", pa.array(rows[self._at])).append_column("ordinal", pa.array(ordinals))
        self._connection.register("placed", placed if chosen.all() else placed.filter(pa.array(chosen[self._at])))

    def mapped(self, select: str, *, rows: int) -> pa.RecordBatchReader:
        """Rows of a query over `placed`, so many at a time."""
        return self._connection.sql(select).to_arrow_reader(rows)

    def insert(self, select: str, *, valid: str, n_rows: int) -> list[int]:
        """Insert candidates; lines of those that are not valid, which are left out.

        Args:
            select: SQL of candidates over `placed`.
            valid: SQL of a truth over its columns.
            n_rows: number of rows in `placed`.
        """
        inserted = f"INSERT INTO candidate BY NAME SELECT * EXCLUDE ({_NOT_STORED}) FROM ({select}) WHERE {valid}"
        [(n,)] = self._connection.execute(inserted).fetchall()
        if n == n_rows:
            return []
        wrong = self._connection.execute(f"SELECT line FROM ({select}) WHERE NOT {valid} ORDER BY line").fetchall()
        return [line for (line,) in wrong]


def write_uncompressed(connection: duckdb.DuckDBPyConnection) -> None:
    """Texts are written as they are until the unit's last transaction has ended (`Corpus` sets it back: much is written
    with the commit): to look for the best compression takes three times as long as all the rest, and what is left of a
    corpus after `freeze` is its evidence pack, which is compressed."""
    connection.execute("SET force_compression = 'uncompressed'")

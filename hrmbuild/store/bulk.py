"""Rows of a large file in the corpus's database: mapped by SQL that is handed in, numbered, inserted, counted.

Owns the tables of one piece of a file. It must not know what the SQL maps, and it begins and ends no
transaction: `Corpus.replace_unit` does.
"""

from __future__ import annotations

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from hrmbuild.records.arrays import arrow_numbers, arrow_truths, numbers_of, truths_of

ORDINALS_A_ROW = 1 << 20
"""Room between the ordinals of two rows: a row makes no more pairs than this."""
_SIGNATURE_ROWS = 256
_NOT_STORED = "line, answer_type, answer_value, answer_unit"
_ARRAY_ROWS = 2048
PLACED = "(SELECT * EXCLUDE (chosen) FROM placed WHERE chosen)"
"""SQL of the rows that were placed."""


class BulkPiece:
    """One piece of a file: the Arrow table `piece` and, once mapped, what was made of it.

    Both stay in Arrow, for DuckDB's threads share out an Arrow table by its batches, and a table of its own only by
    groups of 122,880 rows.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, piece: pa.Table) -> None:
        self._connection, self._piece, self._lines = connection, piece, piece.column("line")
        self._made: pa.Table | None = None
        self._at = np.zeros(0, dtype=np.int64)
        """Place in the piece of each row that was made."""
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

    def map(self, select: str | None, known: npt.NDArray[np.bool_], made: pa.Table | None) -> npt.NDArray[np.bool_]:
        """Run the mapping; for each row of the piece, in order, whether its outcome is certain.

        Args:
            select: None leaves out what is not known.
            known: which rows of the piece are certain before.
            made: what was made of these; None if there are none.
        """
        certain, tables = known.copy(), [] if made is None else [made]
        if select is not None and not known.all():
            rest = self._mapped(select, known)
            certain[self._places(rest)] = truths_of(rest.column("certain"))
            rest = rest.drop_columns(["certain"])
            tables.append(rest if made is None else rest.cast(made.schema))
        if tables:
            self._made = _in_batches(pa.concat_tables(tables))
            self._at = self._places(self._made)
        return certain

    def _mapped(self, select: str, known: npt.NDArray[np.bool_]) -> pa.Table:
        if known.any():
            self._connection.register("piece", _in_batches(self._piece.filter(arrow_truths(~known)).combine_chunks()))
        return self._connection.sql(select).to_arrow_table()

    def _places(self, made: pa.Table) -> npt.NDArray[np.int64]:
        """The threads hand in their rows in any order; the lines of a piece follow one another."""
        return numbers_of(made.column("line")) - self._lines[0].as_py()

    def place(self, rows: npt.NDArray[np.int64], chosen: npt.NDArray[np.bool_]) -> None:
        """The rows `PLACED`: those of the piece that are chosen, with their numbers among the file's records."""
        assert self._made is not None, "map comes first"
        ordinals = numbers_of(self._made.column("line")) * ORDINALS_A_ROW
        more = {"row": arrow_numbers(rows[self._at]), "ordinal": arrow_numbers(ordinals),
                "chosen": arrow_truths(chosen[self._at])}  # fmt: skip
        placed = self._made
        for name, values in more.items():
            placed = placed.append_column(name, values)
        self._connection.register("placed", placed)

    def mapped(self, select: str, *, rows: int) -> pa.RecordBatchReader:
        """Rows of a query over `PLACED`, so many at a time."""
        return self._connection.sql(select).to_arrow_reader(rows)

    def insert(self, select: str, *, valid: str, n_rows: int) -> list[int]:
        """Insert candidates; lines of those that are not valid, which are left out.

        Args:
            select: SQL of candidates over `PLACED`.
            valid: SQL of a truth over its columns.
            n_rows: number of rows in `PLACED`.
        """
        inserted = f"INSERT INTO candidate BY NAME SELECT * EXCLUDE ({_NOT_STORED}) FROM ({select}) WHERE {valid}"
        [(n,)] = self._connection.execute(inserted).fetchall()
        if n == n_rows:
            return []
        wrong = self._connection.execute(f"SELECT line FROM ({select}) WHERE NOT {valid} ORDER BY line").fetchall()
        return [line for (line,) in wrong]


def _in_batches(table: pa.Table) -> pa.Table:
    return pa.Table.from_batches(table.to_batches(max_chunksize=_ARRAY_ROWS), table.schema)


def write_uncompressed(connection: duckdb.DuckDBPyConnection) -> None:
    """Texts are written as they are until the unit's last transaction has ended (`Corpus` sets it back: much is written
    with the commit): to look for the best compression takes three times as long as all the rest, and what is left of a
    corpus after `freeze` is its evidence pack, which is compressed."""
    connection.execute("SET force_compression = 'uncompressed'")

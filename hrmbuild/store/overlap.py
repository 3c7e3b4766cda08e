"""Which rows of an included corpus must not be trained on beside the own ones: leaks of held-out pairs, and duplicates.

Owns the SQL. A row leaks where it is a held-out pair, asks the very question of one, or shares so many words in a row
with one. Words that an own train pair shows, or that many held-out pairs show, are common text (the policy that every
case shows): the model sees them anyway. Rows stream through in pieces; what is kept are hashes of the own held-out
pairs' words and the own ids, which spill to a folder beyond the limit of memory.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import duckdb
import numpy as np
import polars as pl

from hrmbuild.store.surface import WORD

_PIECE_ROWS = 16_384
_SHORTEST_QUESTION = 5
"""Words: shorter questions (`Is it allowed?`) stand anywhere."""
_TABLES = """
CREATE TABLE own (id VARCHAR, held BOOLEAN);
CREATE TABLE held_run (gram UBIGINT, id VARCHAR);
CREATE TABLE held_question (gram UBIGINT, id VARCHAR);
CREATE TABLE common (gram UBIGINT);
"""
_WORDS = f"""
SELECT id, regexp_extract_all(lower(instruction), '{WORD}') AS asked,
       asked || regexp_extract_all(lower(response), '{WORD}') AS words FROM piece
"""
_HASHED = f"SELECT id, list_transform(words, lambda word: hash(word)) AS words FROM ({_WORDS}) WHERE len(words) >= $n"
_RUNS = "SELECT id, gram FROM piece_run"
_BASE = np.uint64(0x9E3779B97F4A7C15)
"""Odd, so that every word of a run counts; hashes of runs are sums of powers of it, modulo 2^64."""
_QUESTIONS = f"SELECT id, hash(asked) AS gram FROM ({_WORDS}) WHERE len(asked) >= {_SHORTEST_QUESTION}"
_FOUND = """
SELECT id, bool_or(leak), coalesce(min(because) FILTER (leak), min(because)) FROM ({}) GROUP BY id ORDER BY id
"""


class Text(NamedTuple):
    """The texts of a pair."""

    id: str
    instruction: str
    response: str


class Overlapping(NamedTuple):
    """A row that must not be trained on."""

    id: str
    is_leak: bool
    """Else a duplicate."""
    because: str
    """Id of the pair that it is, or that it shares words with: the smallest."""


class Overlap:
    """Own pairs once, then the rows of each included corpus."""

    def __init__(self, spill: Path, *, words: int | None, common: int) -> None:
        """Begin.

        Args:
            spill: a folder for what does not fit into memory.
            words: in a row that are a leak; None: only equal questions and equal pairs are.
            common: held-out pairs that may show words in a row which are no common text.
        """
        limits = {"memory_limit": "768MiB", "temp_directory": str(spill)}
        if hasattr(os, "sched_getaffinity"):
            limits["threads"] = str(len(os.sched_getaffinity(0)))
        self._connection = duckdb.connect(":memory:", config={**limits, "preserve_insertion_order": "false"})
        self._connection.execute("SET enable_external_access = false")
        self._connection.execute(_TABLES)
        self._words, self._common = words, common

    def __enter__(self) -> Overlap:
        return self

    def __exit__(self, *exc: object) -> None:
        self._connection.close()

    def add_own(self, held_out: Iterable[Text], trained: Iterable[Text]) -> None:
        """Own pairs that are held out, then those that are trained on."""
        for _ in self._pieces(held_out):
            self._keep("held_question", _QUESTIONS)
            self._keep("held_run", _RUNS)
            self._connection.execute("INSERT INTO own SELECT id, true FROM piece")
        for _ in self._pieces(trained):
            self._connection.execute("INSERT INTO own SELECT id, false FROM piece")
            for table, query in (("held_question", _QUESTIONS), ("held_run", _RUNS)):
                self._keep("common", f"SELECT gram FROM ({query}) SEMI JOIN {table} USING (gram)", columns="gram")
        self._connection.execute(
            "INSERT INTO common SELECT gram FROM held_run GROUP BY gram HAVING count(DISTINCT id) > ?", [self._common]
        )
        for table in ("held_question", "held_run"):
            self._connection.execute(
                f"CREATE TABLE wanted_{table} AS SELECT gram, min(id) AS because FROM {table} "
                "ANTI JOIN common USING (gram) GROUP BY gram"
            )

    def find(self, rows: Iterable[Text], *, remember: bool = False) -> Iterator[Overlapping]:
        """Rows of an included corpus that must not be trained on, by id where the rows are.

        Args:
            remember: these rows count as duplicates in the corpora that are looked at after this one.
        """
        parts = [
            "SELECT id, held AS leak, id AS because FROM piece JOIN own USING (id)",
            f"SELECT id, true, because FROM ({_QUESTIONS}) JOIN wanted_held_question USING (gram)",
        ]
        if self._words is not None:
            parts.append(f"SELECT id, true, because FROM ({_RUNS}) JOIN wanted_held_run USING (gram)")
        query = _FOUND.format(" UNION ALL ".join(parts))
        for _ in self._pieces(rows):
            found = self._connection.execute(query).fetchall()
            if remember:
                self._connection.execute("INSERT INTO own SELECT id, false FROM piece ANTI JOIN own USING (id)")
            yield from (Overlapping(*one) for one in found)

    def _keep(self, table: str, query: str, *, columns: str = "gram, id") -> None:
        if "piece_run" not in query or self._words is not None:
            self._connection.execute(f"INSERT INTO {table} SELECT {columns} FROM ({query})")

    def _runs(self, n: int) -> pl.DataFrame:
        """A hash of each run of words of the piece: in arrays, twice as fast as cutting lists in SQL."""
        hashed = pl.DataFrame(self._connection.sql(_HASHED, params={"n": n}).to_arrow_table())
        words = hashed["words"].explode().to_numpy().astype(np.uint64)
        of_row = np.repeat(np.arange(len(hashed)), hashed["words"].list.len().to_numpy())
        grams = np.zeros(max(0, len(words) - n + 1), dtype=np.uint64)
        for place in range(n if len(grams) else 0):
            grams = grams * _BASE + words[place : place + len(grams)]
        whole = of_row[: len(grams)] == of_row[n - 1 :] if len(grams) else np.zeros(0, dtype=bool)
        return pl.DataFrame({"id": hashed["id"].gather(of_row[: len(grams)][whole]), "gram": grams[whole]})

    def _pieces(self, rows: Iterable[Text]) -> Iterator[int]:
        """Each piece as the table `piece`, while the caller looks at it."""
        remaining = iter(rows)
        while piece := list(islice(remaining, _PIECE_ROWS)):
            columns = dict(zip(Text._fields, map(list, zip(*piece, strict=True)), strict=True))
            self._connection.register("piece", pl.DataFrame(columns).to_arrow())
            if self._words is not None:
                self._connection.register("piece_run", self._runs(self._words).to_arrow())
            yield len(piece)
            self._connection.unregister("piece")
            self._connection.unregister("piece_run")

"""Which rows of an included corpus must not be trained on beside the own ones, and which say nearly the same.

Owns the SQL. A row is a leak where it is a held-out pair, asks the very question of one, shares so many words in a row
with one, or says nearly the same; a duplicate where it is an own pair; a contradiction where it answers the question of
an own pair otherwise while both are in force. Nearly the same as a pair that is trained on is harmless, and counted.
Words that an own train pair shows, or that many held-out pairs show, are common text (the policy that every case
shows): the model sees them anyway. Rows stream through in pieces; what is kept are hashes of the own pairs' words,
questions and answers, and ids, which spill to a folder beyond the limit of memory.

Contradiction and nearness are those of `settle` and `surface`: of imported pairs, case and blanks make no other
question and no other answer; two texts are alike only where numbers, negations and the answer's beginning are the same.
Unlike there, whole instructions are compared: paragraphs that many pairs show are not taken away first.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Literal, NamedTuple

import duckdb
import numpy as np
import polars as pl

from hrmbuild.store.settle import BARE, PLAIN
from hrmbuild.store.surface import NEGATIONS, SHORT, WORD

Code = Literal["leak", "duplicate", "contradiction", "near"]
_PIECE_ROWS = 16_384
_SHORTEST_QUESTION = 5
"""Words: shorter questions (`Is it allowed?`) stand anywhere."""
_TABLES = """
CREATE TABLE own (id VARCHAR, held BOOLEAN);
CREATE TABLE held_run (gram UBIGINT, id VARCHAR);
CREATE TABLE held_question (gram UBIGINT, id VARCHAR);
CREATE TABLE common (gram UBIGINT);
CREATE TABLE answered (bare UBIGINT, question UBIGINT, answer UBIGINT, first VARCHAR, last VARCHAR, id VARCHAR);
CREATE TABLE near_text (number UINTEGER, id VARCHAR, held BOOLEAN, head UBIGINT, block UBIGINT, size UINTEGER);
CREATE TABLE near_gram (number UINTEGER, gram UBIGINT);
"""
_WORDS = f"""
CREATE OR REPLACE TEMP TABLE piece_words AS
SELECT *, hash(condition, CASE WHEN len(answer) <= {SHORT} THEN answer ELSE answer[1:4] END) AS head
FROM (SELECT id, condition, is_text, regexp_extract_all(lower(instruction), '{WORD}') AS asked,
             regexp_extract_all(lower(response), '{WORD}') AS answer FROM piece)
"""
_HASHED = """
SELECT id, list_transform(asked || answer, lambda word: hash(word)) AS words FROM piece_words
WHERE len(asked) + len(answer) >= $n
"""
_RUNS = "SELECT id, gram FROM piece_run"
_BASE = np.uint64(0x9E3779B97F4A7C15)
"""Odd, so that every word of a run counts; hashes of runs are sums of powers of it, modulo 2^64."""
_QUESTIONS = f"SELECT id, hash(asked) AS gram FROM piece_words WHERE len(asked) >= {_SHORTEST_QUESTION}"
_ANSWERED = f"""
SELECT bare, hash(condition, CASE WHEN is_plain THEN {PLAIN.format(column="instruction")} ELSE instruction
       END) AS question,
       hash(CASE WHEN is_plain THEN {PLAIN.format(column="response")} ELSE response END) AS answer, first, last, id
FROM (SELECT *, hash(condition, rtrim({BARE}, '.')) AS bare FROM piece)
"""
_CONTRADICTING = f"""
SELECT p.id, 'contradiction' AS code, a.id AS because
FROM ({_ANSWERED} SEMI JOIN answered USING (bare)) AS p
JOIN answered AS a ON a.question = p.question AND a.answer <> p.answer AND a.first <= p.last AND p.first <= a.last
"""
_BLOCKS = f"""
SELECT id, head, asked || answer AS words,
       hash(head, list_sort(list_filter(asked || answer, lambda word: regexp_matches(word, '[0-9]')
            OR NOT regexp_matches(word, '[\\p{{L}}]') OR list_contains({NEGATIONS}, word)))) AS block
FROM piece_words
"""
_GRAMS = """
SELECT DISTINCT id, block, hash(words[i : i + 1]) AS gram
FROM (SELECT id, block, words, unnest(range(1, greatest(len(words), 2))) AS i FROM ({}))
"""
_KEEP_NEAR = (
    f"CREATE OR REPLACE TEMP TABLE near_piece AS {_GRAMS.format(_BLOCKS + ' WHERE is_text')}",
    """INSERT INTO near_text
    SELECT (SELECT count(*) FROM near_text) + row_number() OVER (ORDER BY g.id), g.id, $held, any_value(w.head),
           any_value(g.block), count(*)
    FROM near_piece AS g JOIN piece_words AS w ON w.id = g.id GROUP BY g.id""",
    "INSERT INTO near_gram SELECT number, gram FROM near_piece JOIN near_text USING (id)",
)
_NEAR_PREFIX = """
CREATE TABLE near_prefix AS
SELECT block, gram, number FROM (
    SELECT *, row_number() OVER (PARTITION BY number ORDER BY shared, gram) AS place
    FROM (SELECT *, count(*) OVER (PARTITION BY block, gram) AS shared FROM near_gram JOIN near_text USING (number)))
WHERE place <= floor((1 - $near) * size + 1e-9) + 1
"""
"""The rarest word pairs of each own text: one that is alike shows at least one of them."""
_NEAR_PIECE = f"""
CREATE OR REPLACE TEMP TABLE near_piece AS
{
    _GRAMS.format(
        f"SELECT * FROM ({_BLOCKS} SEMI JOIN near_head USING (head) WHERE is_text) SEMI JOIN near_block USING (block)"
    )
}
"""
_NEAR = """
SELECT c.id, CASE WHEN t.held THEN 'leak' ELSE 'near' END AS code, t.id AS because FROM (
    SELECT m.id, m.number, count(*) AS n_common
    FROM (SELECT DISTINCT p.id, o.number FROM near_piece AS p JOIN near_prefix AS o USING (block, gram)) AS m
    JOIN near_piece AS p ON p.id = m.id JOIN near_gram AS g ON g.number = m.number AND g.gram = p.gram GROUP BY ALL
) AS c JOIN near_text AS t USING (number)
JOIN (SELECT id, count(*) AS n FROM near_piece GROUP BY id) AS s ON s.id = c.id
WHERE n_common >= $near * (s.n + t.size - n_common)
"""
_FOUND = """
SELECT id, arg_min(code, (place, because)), arg_min(because, (place, because)) FROM (
    SELECT *, list_position(['leak', 'duplicate', 'contradiction', 'near'], code) AS place FROM ({}))
GROUP BY id ORDER BY id
"""


class Text(NamedTuple):
    """A pair as it is compared."""

    id: str
    instruction: str
    response: str
    condition: str = "direct"
    is_plain: bool = True
    """Imported: case and blanks make no other question and no other answer."""
    is_text: bool = True
    """Imported or written: compared by its words. Compiled pairs are compared by their content, and quoted ones are of
    the own documents."""
    first: str = "0000"
    """First day on which it holds."""
    last: str = "9999"


class Overlapping(NamedTuple):
    """A row that stands in the own corpus in some way."""

    id: str
    code: Code
    """`near` is trained on all the same."""
    because: str
    """Id of the pair that it is, contradicts, shares words with or is near to: the smallest."""


class Overlap:
    """Own pairs once, then the rows of each included corpus."""

    def __init__(
        self, spill: Path, *, words: int | None, common: int, near: float | None = None, contradictions: bool = True
    ) -> None:
        """Begin.

        Args:
            spill: a folder for what does not fit into memory.
            words: in a row that are a leak; None: only equal questions and equal pairs are.
            common: held-out pairs that may show words in a row which are no common text.
            near: Jaccard likeness of word pairs from which on two texts say nearly the same; None: not looked for.
            contradictions: whether rows that answer an own question otherwise are looked for.
        """
        limits = {"memory_limit": "768MiB", "temp_directory": str(spill)}
        if hasattr(os, "sched_getaffinity"):
            limits["threads"] = str(len(os.sched_getaffinity(0)))
        self._connection = duckdb.connect(":memory:", config={**limits, "preserve_insertion_order": "false"})
        self._connection.execute("SET enable_external_access = false")
        self._connection.execute(_TABLES)
        self._words, self._common, self._near, self._contradictions = words, common, near, contradictions

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
            self._keep_near(held=True)
        for _ in self._pieces(trained):
            self._connection.execute("INSERT INTO own SELECT id, false FROM piece")
            for table, query in (("held_question", _QUESTIONS), ("held_run", _RUNS)):
                self._keep("common", f"SELECT gram FROM ({query}) SEMI JOIN {table} USING (gram)", columns="gram")
            self._keep_answers("")
            self._keep_near(held=False)
        self._connection.execute(
            "INSERT INTO common SELECT gram FROM held_run GROUP BY gram HAVING count(DISTINCT id) > ?", [self._common]
        )
        for table in ("held_question", "held_run"):
            self._connection.execute(
                f"CREATE TABLE wanted_{table} AS SELECT gram, min(id) AS because FROM {table} "
                "ANTI JOIN common USING (gram) GROUP BY gram"
            )
        if self._near is not None:
            self._connection.execute(_NEAR_PREFIX, {"near": self._near})
            for name in ("head", "block"):
                self._connection.execute(f"CREATE TABLE near_{name} AS SELECT DISTINCT {name} FROM near_text")

    def find(self, rows: Iterable[Text], *, remember: bool = False) -> Iterator[Overlapping]:
        """Rows of an included corpus that are leaks, duplicates, contradictions or near, by id where the rows are.

        Args:
            remember: those of these rows that are trained on count as duplicates, and contradict, in the corpora that
                are looked at after this one.
        """
        query = _FOUND.format(" UNION ALL ".join(self._parts()))
        for _ in self._pieces(rows):
            if self._near is not None:
                self._connection.execute(_NEAR_PIECE)
            given = {} if self._near is None else {"near": self._near}
            found = [Overlapping(*one) for one in self._connection.execute(query, given).fetchall()]
            if remember:
                self._remember([one.id for one in found if one.code != "near"])
            yield from found

    def _parts(self) -> Iterator[str]:
        is_own = "CASE WHEN held THEN 'leak' ELSE 'duplicate' END"
        yield f"SELECT id, {is_own} AS code, id AS because FROM piece JOIN own USING (id)"
        yield f"SELECT id, 'leak', because FROM ({_QUESTIONS}) JOIN wanted_held_question USING (gram)"
        if self._words is not None:
            yield f"SELECT id, 'leak', because FROM ({_RUNS}) JOIN wanted_held_run USING (gram)"
        if self._contradictions:
            yield _CONTRADICTING
        if self._near is not None:
            yield _NEAR

    def _remember(self, gone: list[str]) -> None:
        self._connection.execute("CREATE OR REPLACE TEMP TABLE gone AS SELECT unnest(?::VARCHAR[]) AS id", [gone])
        self._connection.execute("INSERT INTO own SELECT id, false FROM piece ANTI JOIN gone USING (id)")
        self._keep_answers("ANTI JOIN gone USING (id)")

    def _keep(self, table: str, query: str, *, columns: str = "gram, id") -> None:
        if "piece_run" not in query or self._words is not None:
            self._connection.execute(f"INSERT INTO {table} SELECT {columns} FROM ({query})")

    def _keep_answers(self, without: str) -> None:
        if self._contradictions:
            self._connection.execute(f"INSERT INTO answered SELECT * FROM ({_ANSWERED}) {without}")

    def _keep_near(self, *, held: bool) -> None:
        for query in _KEEP_NEAR if self._near is not None else ():
            self._connection.execute(query, {"held": held} if "$held" in query else {})

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
            self._connection.execute(_WORDS)
            if self._words is not None:
                self._connection.register("piece_run", self._runs(self._words).to_arrow())
            yield len(piece)
            self._connection.unregister("piece")
            self._connection.unregister("piece_run")

"""Likeness by words: near duplicates, leaks between the sides of the split, leaks into named evaluation sets.

Owns the SQL over words. Imported and quoted text is compared by its surface; compiled pairs are compared by their
content and never here (two cases that differ in one value and in outcome are no duplicates). The same holds for
imported minimal pairs: two texts are alike only where numbers, negations and the answer's beginning are the same.
Paragraphs that many pairs show (the statute above every case) are no text of a pair. What is found depends on values
only, not on order, threads or DuckDB's hash: candidates are joined by a prefix filter, which misses no two texts above
the threshold.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import duckdb
import polars as pl

from hrmbuild.store.rulings import let_released


@dataclass(frozen=True)
class SurfaceRules:
    """Thresholds of the pass; they stand in the settings under `gates`."""

    near_duplicates: float | None = None
    """Jaccard likeness of word pairs from which on two texts are one; None: not looked for."""
    leak_words: int | None = None
    """So many words in a row on two sides are a leak; None: not looked for."""
    leak_common: int = 20
    """Words in a row that more pairs than this show are common text."""
    protected: tuple[tuple[str, str], ...] = ()
    """Evaluation sets that must not be trained on: name and SHA-256."""


WORD = r"\.?\d+(?:[.,]\d+)*|[\p{L}\p{N}]+|[^\p{L}\p{N}\s.,;?''\"`]"
"""A number with its signs, a word, or any other sign: `3+4` and `3*4` are not the same words."""
NEGATIONS = (
    "['not', 'no', 'never', 'none', 'without', 'except', 'unless', 'nicht', 'kein', 'keine', 'nie', 'ohne', 'n', 't']"
)
_SHARED_PARAGRAPHS = 5
"""A paragraph that so many pairs show is context, not a pair's own text."""
_MOST_SHARED = 500
"""Word pairs that more texts of a block share than this are not joined on: the cost would grow with their square."""
_QUOTED_WORDS = 10
"""Shorter quotes (`Head of Claims`) stand in many documents and are no copies of one another."""
SHORT = 8
"""A response of at most so many words must be the same; of a longer one the first four words must be."""

_SURFACE = f"""
CREATE TEMP TABLE surface AS
WITH chosen AS (
    SELECT pair_id, derivation, kind, condition, path, content_key, axis, instruction, response,
           list_position(['train', 'dev', 'test'], split) AS side,
           json_extract_string(occurrence, '$.text') AS quoted
    FROM candidate AS c ANTI JOIN verdict AS v ON c.unit = v.unit AND c.ordinal = v.ordinal
    WHERE derivation IN ('imported', 'quoted', 'written_by_person', 'written_by_model')
), once AS (
    SELECT pair_id, min(derivation) AS derivation, min(kind) AS kind, min(condition) AS condition, min(path) AS path,
           min(content_key) AS content_key, min(side) AS side, max(axis) AS axis, min(instruction) AS instruction,
           min(response) AS response, min(quoted) AS quoted
    FROM chosen GROUP BY pair_id
), paragraph AS (
    SELECT pair_id, unnest(string_split(instruction, chr(10) || chr(10))) AS words,
           generate_subscripts(string_split(instruction, chr(10) || chr(10)), 1) AS place
    FROM once WHERE derivation <> 'quoted'
), own AS (
    SELECT p.pair_id, string_agg(p.words, ' ' ORDER BY p.place) AS instruction
    FROM paragraph AS p
    ANTI JOIN (SELECT words FROM paragraph GROUP BY words HAVING count(DISTINCT pair_id) >= {_SHARED_PARAGRAPHS}) AS c
      ON p.words = c.words
    GROUP BY p.pair_id
)
SELECT pair_id, derivation, kind, condition, path, content_key, side, axis,
       regexp_extract_all(lower(CASE WHEN derivation = 'quoted' THEN quoted
           ELSE coalesce(own.instruction, once.instruction) END), '{WORD}') AS words,
       regexp_extract_all(lower(response), '{WORD}') AS answer
FROM once LEFT JOIN own USING (pair_id)
"""

_GRAMS = f"""
CREATE TEMP TABLE gram AS
WITH text AS (
    SELECT pair_id, words || answer AS words,
           hash(kind, condition, derivation = 'quoted',
                CASE WHEN len(answer) <= {SHORT} THEN answer ELSE answer[1:4] END,
                list_sort(list_filter(words || answer, lambda word: regexp_matches(word, '[0-9]')
                          OR NOT regexp_matches(word, '[\\p{{L}}]') OR list_contains({NEGATIONS}, word)))) AS block
    FROM surface WHERE derivation <> 'quoted' OR len(words) >= {_QUOTED_WORDS}
)
SELECT DISTINCT pair_id, block, hash(words[i : i + 1]) AS gram
FROM (SELECT pair_id, block, words, unnest(range(1, greatest(len(words), 2))) AS i
      FROM text SEMI JOIN (SELECT block FROM text GROUP BY block HAVING count(*) > 1) AS crowd USING (block))
"""
_ALIKE = """
WITH counted AS (
    SELECT *, count(*) OVER (PARTITION BY pair_id) AS size, count(*) OVER (PARTITION BY block, gram) AS shared FROM gram
), prefix AS (
    SELECT * FROM (
        SELECT *, row_number() OVER (PARTITION BY pair_id ORDER BY shared, gram) AS place FROM counted)
    WHERE place <= floor((1 - $near) * size + 1e-9) + 1 AND shared BETWEEN 2 AND $most
), maybe AS (
    SELECT DISTINCT a.pair_id AS one, b.pair_id AS other, a.size AS n_one, b.size AS n_other
    FROM prefix AS a JOIN prefix AS b ON a.block = b.block AND a.gram = b.gram AND a.pair_id < b.pair_id
    WHERE least(a.size, b.size) >= $near * greatest(a.size, b.size)
), common AS (
    SELECT one, other, n_one, n_other, count(*) AS n_common
    FROM maybe JOIN gram AS a ON a.pair_id = one JOIN gram AS b ON b.pair_id = other AND b.gram = a.gram
    GROUP BY ALL
)
SELECT one, other FROM common
JOIN surface AS s ON s.pair_id = one JOIN surface AS o ON o.pair_id = other
WHERE n_common >= $near * (n_one + n_other - n_common)
  AND (s.derivation <> 'quoted' OR (s.path <> o.path AND s.content_key <> o.content_key))
ORDER BY one, other
"""

_LEAKS = """
WITH run AS (
    SELECT DISTINCT pair_id, side, quoted, held, hash(words[i : i + $n - 1]) AS gram
    FROM (SELECT *, unnest(range(1, len(words) - $n + 2)) AS i
          FROM (SELECT pair_id, side, derivation = 'quoted' AS quoted, words || answer AS words,
                       side > 1 AND (derivation <> 'quoted' OR axis = 'document') AS held FROM surface)
          WHERE len(words) >= $n)
), rare AS (
    SELECT gram, quoted, max(side) FILTER (held) AS high FROM run GROUP BY gram, quoted
    HAVING count(*) <= $common AND min(side) < max(side) FILTER (held)
)
SELECT run.pair_id, min(other.pair_id) FROM run JOIN rare USING (gram, quoted)
JOIN run AS other ON other.gram = run.gram AND other.quoted = run.quoted AND other.held AND other.side = high
WHERE run.side < high GROUP BY run.pair_id ORDER BY 1
"""
"""Of quoted pairs, only those whose whole document is held out share no words with the others by design."""

_WINDOWS = """
    SELECT *, unnest(CASE WHEN len(words) >= 5 THEN range(1, greatest(len(words) - $n + 2, 2)) ELSE [] END) AS i
"""
"""Runs of so many words; a shorter text of at least five words counts whole."""
_PROTECTED = f"""
WITH text AS (
    SELECT pair_id, regexp_extract_all(lower(unnest([instruction, response])), '{WORD}') AS words
    FROM candidate AS c ANTI JOIN verdict AS v ON c.unit = v.unit AND c.ordinal = v.ordinal
), guarded AS (
    SELECT regexp_extract_all(lower(text), '{WORD}') AS words FROM protected
), wanted AS (
    SELECT DISTINCT hash(words[i : i + $n - 1]) AS gram FROM ({_WINDOWS} FROM guarded)
), run AS (
    SELECT DISTINCT pair_id, hash(words[i : i + $n - 1]) AS gram FROM ({_WINDOWS} FROM text)
)
SELECT DISTINCT pair_id FROM run SEMI JOIN wanted USING (gram) ORDER BY 1
"""


_TAKE_OUT = """
DELETE FROM surface WHERE pair_id IN (SELECT unnest(?::VARCHAR[])) AND pair_id NOT IN (
    SELECT pair_id FROM candidate AS c ANTI JOIN verdict AS v ON c.unit = v.unit AND c.ordinal = v.ordinal)
"""
"""What is gone leaks nothing; a near duplicate that somebody released does."""


def reject_alike(connection: duckdb.DuckDBPyConnection, rules: SurfaceRules, protected: Iterable[str]) -> None:
    """Write the verdicts of the pass, and what each pair was found alike; contradictions are out already."""
    connection.execute("DELETE FROM likeness")
    if rules.protected and rules.leak_words:
        _reject(connection, _in_protected(connection, rules.leak_words, protected), "corpus.protected",
                "it shares a run of words with an evaluation set that is protected")  # fmt: skip
    if rules.near_duplicates is None and rules.leak_words is None:
        return
    connection.execute(_SURFACE)
    if rules.near_duplicates is not None:
        connection.execute(_GRAMS)
        edges = connection.execute(_ALIKE, {"near": rules.near_duplicates, "most": _MOST_SHARED}).fetchall()
        connection.execute("DROP TABLE gram")
        gone = superfluous(edges)
        _remember(connection, "corpus.near_duplicate", nearest(edges, gone))
        _reject(connection, gone, "corpus.near_duplicate", "another pair says nearly the same in nearly the same words")
        let_released(connection)
        connection.execute(_TAKE_OUT, [gone])
    if rules.leak_words is not None:
        found = connection.execute(_LEAKS, {"n": rules.leak_words, "common": rules.leak_common}).fetchall()
        _remember(connection, "corpus.leak", found)
        _reject(connection, [one for one, _ in found], "corpus.leak",
                "a pair that is held out shares a run of words with it")  # fmt: skip
    connection.execute("DROP TABLE surface")


def _in_protected(connection: duckdb.DuckDBPyConnection, n: int, texts: Iterable[str]) -> list[str]:
    connection.register("protected", pl.DataFrame({"text": list(texts)}, schema={"text": pl.String}).to_arrow())
    found = connection.execute(_PROTECTED, {"n": n}).fetchall()
    connection.unregister("protected")
    return [one for (one,) in found]


def superfluous(edges: Iterable[tuple[str, str]]) -> list[str]:
    """All of each connected component but its smallest id, sorted."""
    parent: dict[str, str] = {}

    def root(one: str) -> str:
        while parent.setdefault(one, one) != one:
            parent[one] = parent[parent[one]]
            one = parent[one]
        return one

    for one, other in edges:
        low, high = sorted((root(one), root(other)))
        parent[high] = low
    return sorted(one for one in parent if root(one) != one)


def nearest(edges: Sequence[tuple[str, str]], gone: Iterable[str]) -> list[tuple[str, str]]:
    """For each pair that went, the smallest id that it was found alike."""
    wanted, found = set(gone), dict[str, str]()
    for one, other in (*edges, *((other, one) for one, other in edges)):
        if one in wanted:
            found[one] = min(found.get(one, other), other)
    return sorted(found.items())


def _remember(connection: duckdb.DuckDBPyConnection, code: str, alike: list[tuple[str, str]]) -> None:
    connection.execute(
        "INSERT INTO likeness SELECT ?, unnest(?::VARCHAR[]), unnest(?::VARCHAR[])",
        [code, [one for one, _ in alike], [other for _, other in alike]],
    )


def _reject(connection: duckdb.DuckDBPyConnection, ids: list[str], code: str, detail: str) -> None:
    connection.execute(
        "INSERT INTO verdict SELECT c.unit, c.ordinal, $code, $detail FROM candidate AS c "
        "ANTI JOIN verdict AS v ON c.unit = v.unit AND c.ordinal = v.ordinal "
        "SEMI JOIN (SELECT unnest($ids::VARCHAR[]) AS pair_id) AS gone ON c.pair_id = gone.pair_id",
        {"code": code, "detail": detail, "ids": ids},
    )

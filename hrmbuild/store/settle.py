"""The corpus-level pass: contradictions, caps, and duplicates merged into pairs with several occurrences.

Owns the SQL of that pass. It looks at values only, never at the order in which units were written, so that an
incremental ingest ends where a fresh one would. It is done again whole whenever a unit changed: one scan of the corpus.

- contradiction: the same condition and instruction, another response, at overlapping validity: all of them go. Of
  imported pairs, case and blanks make no other question and no other answer.
- near duplicates, leaks, protected evaluation sets: see `surface`.
- cap: at most `max_pairs` pairs a file, the smallest draws of their content keys stay.
- duplicate: the same condition, instruction and response: one pair, several occurrences. Texts and kind come from the
  smallest candidate by value; `train` wins over `dev` over `test`; the strictest label and the widest validity hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import duckdb

from hrmbuild.store.rulings import Rulings, let_released, prepare
from hrmbuild.store.surface import SurfaceRules, reject_alike

ALIVE = "candidate AS c ANTI JOIN verdict AS v ON c.unit = v.unit AND c.ordinal = v.ordinal"
"""Candidates that the pass kept."""

PLAIN = "rtrim(trim(regexp_replace(lower({column}), '\\s+', ' ', 'g')), '.')"
BARE = "lower(instruction)"
for _space in ("' '", "chr(10)", "chr(9)", "chr(13)", "chr(12)"):
    BARE = f"replace({BARE}, {_space}, '')"
_SUSPECTS = f"""
CREATE OR REPLACE TEMP TABLE suspect AS
WITH bare AS (SELECT c.unit, c.ordinal, hash(condition, rtrim({BARE}, '.')) AS question, hash(response) AS answer
              FROM {ALIVE}),
crowd AS (SELECT question FROM bare GROUP BY question HAVING min(answer) <> max(answer))
SELECT unit, ordinal FROM bare SEMI JOIN crowd USING (question)
"""
"""Candidates whose question stands with two answers, blanks and case aside: all that can contradict. Hashes only, so
that a million pairs that contradict nothing take a second."""
_CONTRADICTIONS = """
INSERT INTO verdict
WITH plain AS (
    SELECT unit, ordinal, condition,
           coalesce(valid_from, '0000') AS first_day, coalesce(valid_until, '9999') AS last_day,
           CASE WHEN derivation = 'imported' THEN {instruction} ELSE instruction END AS instruction,
           CASE WHEN derivation = 'imported' THEN {response} ELSE response END AS response
    FROM candidate SEMI JOIN suspect USING (unit, ordinal)
), answered AS (
    SELECT * FROM plain
    WHERE (condition, instruction) IN (
        SELECT (condition, instruction) FROM plain GROUP BY condition, instruction
        HAVING count(DISTINCT response) > 1)
)
SELECT one.unit, one.ordinal, 'corpus.contradiction',
       'the same instruction has another response in this corpus, and both are in force'
FROM answered AS one
SEMI JOIN answered AS other
  ON one.condition = other.condition AND one.instruction = other.instruction AND one.response <> other.response
 AND one.first_day <= other.last_day AND other.first_day <= one.last_day
""".format(instruction=PLAIN.format(column="instruction"), response=PLAIN.format(column="response"))

_CAPS = f"""
INSERT INTO verdict
WITH placed AS (
    SELECT c.unit, c.ordinal, s.max_pairs,
           dense_rank() OVER (
               PARTITION BY c.path ORDER BY sha256('3:cap|' || ? || '|' || c.content_key), c.pair_id) AS place
    FROM (SELECT c.* FROM {ALIVE}) AS c JOIN source AS s ON s.path = c.path
    WHERE s.max_pairs IS NOT NULL
)
SELECT unit, ordinal, 'corpus.cap', 'over max_pairs (' || max_pairs || ') of its file'
FROM placed WHERE place > max_pairs
"""

_SINGLES = f"""
CREATE OR REPLACE TEMP TABLE grouped AS
SELECT c.pair_id, count(*) AS n, any_value(c.unit) AS unit, any_value(c.ordinal) AS ordinal,
       any_value(c.split) AS split, any_value(c.axis) AS axis, any_value(c.boundary) AS boundary,
       any_value(c.label) AS label,
       any_value(c.valid_from) AS valid_from, any_value(c.valid_until) AS valid_until
FROM {ALIVE} GROUP BY c.pair_id
"""
_ONE_PLACE = """
INSERT INTO pair
SELECT pair_id, unit, ordinal, split, CASE WHEN split <> 'train' THEN axis END, boundary, label, valid_from, valid_until
FROM grouped WHERE n = 1 ORDER BY pair_id
"""
"""Of a pair with one occurrence there is nothing to merge: most of a large corpus."""
_SEVERAL_PLACES = f"""
INSERT INTO pair
WITH alive AS (
    SELECT c.*, list_position(['train', 'dev', 'test'], c.split) AS side,
           list_position(?::VARCHAR[], c.label) AS height
    FROM {ALIVE} SEMI JOIN (SELECT pair_id FROM grouped WHERE n > 1) AS several ON c.pair_id = several.pair_id
), placed AS (
    SELECT *, min(side) OVER (PARTITION BY pair_id) AS first_side,
           row_number() OVER (
               PARTITION BY pair_id
               ORDER BY kind, stratum, book, derivation, answer, content_key, occurrence, unit, ordinal) AS place
    FROM alive
)
SELECT pair_id, arg_min(unit, place), arg_min(ordinal, place), arg_min(split, side),
       min(axis) FILTER (WHERE side = first_side AND split <> 'train'), bool_or(boundary), arg_max(label, height),
       CASE WHEN bool_or(valid_from IS NULL) THEN NULL ELSE min(valid_from) END,
       CASE WHEN bool_or(valid_until IS NULL) THEN NULL ELSE max(valid_until) END
FROM placed GROUP BY pair_id ORDER BY pair_id
"""


def settle(
    connection: duckdb.DuckDBPyConnection,
    *,
    labels: Sequence[str],
    seed: int,
    rules: SurfaceRules,
    protected: Iterable[str],
    rulings: Rulings,
) -> None:
    """Do the pass inside the caller's transaction.

    Args:
        labels: from lowest to highest.
        rules: what counts as likeness of words.
        protected: the texts of the evaluation sets that `rules` names.
        rulings: what persons decided.
    """
    connection.execute("DELETE FROM verdict")
    connection.execute("DELETE FROM pair")
    prepare(connection, rulings)
    connection.execute(_SUSPECTS)
    connection.execute(_CONTRADICTIONS)
    let_released(connection)
    reject_alike(connection, rules, protected)
    connection.execute(_CAPS, [str(seed)])
    let_released(connection)
    connection.execute(_SINGLES)
    connection.execute(_ONE_PLACE)
    connection.execute(_SEVERAL_PLACES, [list(labels)])
    for table in ("suspect", "grouped"):
        connection.execute(f"DROP TABLE {table}")

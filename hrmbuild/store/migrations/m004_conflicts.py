"""Migration 4: which pair another one was found alike, and a view of both sides of every conflict for auditors.

The likeness of two pairs is kept by their ids; a contradiction is read off the candidates themselves.
"""

from __future__ import annotations

_PLAIN = "rtrim(trim(regexp_replace(lower({column}), '\\s+', ' ', 'g')), '.')"
_TOLD = """c.pair_id, c.path, CAST(json_extract(c.occurrence, '$.locator') AS VARCHAR) AS locator,
               json_extract_string(c.occurrence, '$.text') AS text, c.response, c.valid_from, c.valid_until"""

STATEMENTS = (
    # pair_id went because of `other`.
    "CREATE TABLE likeness (code VARCHAR NOT NULL, pair_id VARCHAR NOT NULL, other VARCHAR NOT NULL)",
    # Each side of a contradiction, near duplicate or leak beside a place of the other side.
    f"""CREATE VIEW audit_conflicts AS
        WITH gone AS (
            SELECT v.code, c.condition, {_TOLD},
                   CASE WHEN derivation = 'imported' THEN {_PLAIN.format(column="instruction")}
                        ELSE instruction END AS question,
                   CASE WHEN derivation = 'imported' THEN {_PLAIN.format(column="response")}
                        ELSE response END AS answer,
                   coalesce(c.valid_from, '0000') AS first_day, coalesce(c.valid_until, '9999') AS last_day
            FROM verdict AS v JOIN candidate AS c USING (unit, ordinal)
            WHERE v.code IN ('corpus.contradiction', 'corpus.near_duplicate', 'corpus.leak')
        ), place AS (
            SELECT c.pair_id, arg_min({{path: c.path, locator: CAST(json_extract(c.occurrence, '$.locator') AS VARCHAR),
                   text: json_extract_string(c.occurrence, '$.text'), response: c.response, first: c.valid_from,
                   last: c.valid_until}}, (c.path, c.unit, c.ordinal)) AS at
            FROM candidate AS c SEMI JOIN likeness AS l ON l.other = c.pair_id GROUP BY c.pair_id
        )
        SELECT one.code, one.pair_id, one.path, one.locator, one.text, one.response, one.valid_from, one.valid_until,
               other.pair_id AS other_pair_id, other.path AS other_path, other.locator AS other_locator,
               other.text AS other_text, other.response AS other_response, other.valid_from AS other_valid_from,
               other.valid_until AS other_valid_until
        FROM gone AS one JOIN gone AS other
          ON one.condition = other.condition AND one.question = other.question AND one.answer <> other.answer
         AND one.first_day <= other.last_day AND other.first_day <= one.last_day
        WHERE one.code = 'corpus.contradiction' AND other.code = 'corpus.contradiction'
        UNION ALL
        SELECT one.code, one.pair_id, one.path, one.locator, one.text, one.response, one.valid_from, one.valid_until,
               l.other, p.at.path, p.at.locator, p.at.text, p.at.response, p.at.first, p.at.last
        FROM gone AS one JOIN likeness AS l ON l.code = one.code AND l.pair_id = one.pair_id
        JOIN place AS p ON p.pair_id = l.other""",
)

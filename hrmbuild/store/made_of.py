"""Which kept pairs a source supports, and which of them another file supports too.

Owns that SQL. A pair is supported by each of its occurrences that is alive: its candidates without a verdict. What one
making of a pair shows (a memo and the rules it excepts from, a case and its statute) it needs all of: without one of
them that making is gone, and only another making of the same pair keeps it.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

_MADE_OF = """
WITH alive AS (
    SELECT c.pair_id, c.unit, c.content_key, c.path, json_extract_string(c.occurrence, '$.source_sha256') AS source
    FROM candidate AS c ANTI JOIN verdict AS v ON c.unit = v.unit AND c.ordinal = v.ordinal
    SEMI JOIN pair AS p ON p.id = c.pair_id
), making AS (
    SELECT pair_id, list_sort(list_distinct(list(path))) AS paths, bool_or(source = $sha256) AS needs
    FROM alive GROUP BY pair_id, unit, content_key
)
SELECT pair_id, list_sort(list_distinct(flatten(list(paths) FILTER (NOT needs))))
FROM making GROUP BY pair_id HAVING bool_or(needs) ORDER BY pair_id
"""


@dataclass(frozen=True)
class Supported:
    """A pair that a source supports."""

    pair: str
    others: tuple[str, ...]
    """Paths of other files that support it as well."""


def read_made_of(connection: duckdb.DuckDBPyConnection, sha256: str) -> list[Supported]:
    """The kept pairs with an occurrence in the file of these bytes, by id."""
    rows = connection.execute(_MADE_OF, {"sha256": sha256}).fetchall()
    return [Supported(pair, tuple(others or ())) for pair, others in rows]

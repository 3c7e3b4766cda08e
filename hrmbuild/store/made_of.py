"""Which kept pairs a source supports, and which of them another file supports too.

Owns that SQL. A pair is supported by each of its occurrences that is alive: its candidates without a verdict.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

_MADE_OF = """
WITH alive AS (
    SELECT c.pair_id, c.path, json_extract_string(c.occurrence, '$.source_sha256') AS source
    FROM candidate AS c ANTI JOIN verdict AS v ON c.unit = v.unit AND c.ordinal = v.ordinal
    SEMI JOIN pair AS p ON p.id = c.pair_id
)
SELECT pair_id, list_sort(list_distinct(list(path) FILTER (source <> $sha256)))
FROM alive GROUP BY pair_id HAVING bool_or(source = $sha256) ORDER BY pair_id
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

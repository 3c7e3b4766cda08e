"""Choosing pairs by what is said of them, without their texts: ids for a review.

Owns one SELECT statement; it is ordered. It must not change anything.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from hrmbuild.store.settle import ALIVE

_CHOSEN = f"""
SELECT p.id, p.label FROM pair AS p
JOIN candidate AS t ON t.unit = p.unit AND t.ordinal = p.ordinal
WHERE ($split IS NULL OR p.split = $split)
  AND ($kind IS NULL OR t.kind = $kind OR starts_with(t.kind, $kind || '.'))
  AND ($source IS NULL OR p.id IN (SELECT c.pair_id FROM {ALIVE} WHERE c.path = $source OR c.path GLOB $source))
ORDER BY p.id
"""


def choose_ids(
    connection: duckdb.DuckDBPyConnection, *, split: str | None, kind: str | None, source: str | None
) -> Sequence[tuple[str, str]]:
    """Id and label of kept pairs.

    Args:
        kind: a kind of question, or the beginning of several (`tables` for `tables.read.sum`).
        source: a path, or a pattern with `*`, of a file that supports the pair.
    """
    return connection.execute(_CHOSEN, {"split": split, "kind": kind, "source": source}).fetchall()

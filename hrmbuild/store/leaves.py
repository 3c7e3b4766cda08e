"""Frozen leaves beside the living pairs, as one join: what is missing, what differs, what the corpus has more.

Owns the SQL that writes a pair's canonical row (RFC 8785) and hashes it, so that a million pairs take seconds and not
minutes. It must not have the last word on a pair that differs: a row that this SQL and `Pair.canonical_bytes` write
differently would look altered, so the caller reads those few as pairs and hashes them again. A row that hashes to the
frozen leaf is the frozen row, whoever wrote it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import duckdb

from hrmbuild.store.settle import ALIVE

_KEYS = (
    ("answer", "t.answer"), ("axis", "to_json(p.axis)"), ("book", "to_json(t.book)"),
    ("boundary", "CASE WHEN p.boundary THEN 'true' ELSE 'false' END"), ("condition", "to_json(t.condition)"),
    ("content_key", "to_json(t.content_key)"), ("derivation", "to_json(t.derivation)"), ("id", "to_json(p.id)"),
    ("instruction", "to_json(t.instruction)"), ("kind", "to_json(t.kind)"), ("label", "to_json(p.label)"),
    ("occurrences", "'[' || o.occurrences || ']'"), ("response", "to_json(t.response)"),
    ("split", "to_json(p.split)"), ("stratum", "to_json(t.stratum)"), ("valid_from", "to_json(p.valid_from)"),
    ("valid_until", "to_json(p.valid_until)"),
)  # fmt: skip
"""Every key of a row with its JSON text, keys sorted; a NULL leaves its key out. `answer` and `occurrence` are stored
as canonical JSON."""
_ROW = "'{' || concat_ws(',', " + ", ".join(f"""'"{key}":' || {value}""" for key, value in _KEYS) + ") || '}'"

_COMPARED = f"""
CREATE OR REPLACE TEMP TABLE compared AS
WITH o AS (
    SELECT c.pair_id, array_to_string(list_sort(list_distinct(list(c.occurrence))), ',') AS occurrences
    FROM {ALIVE} GROUP BY c.pair_id
), living AS (
    SELECT p.id, p.label, sha256('\\x00'::BLOB || encode({_ROW})) AS leaf
    FROM pair AS p
    JOIN candidate AS t ON t.unit = p.unit AND t.ordinal = p.ordinal
    JOIN o ON o.pair_id = p.id
)
SELECT coalesce(f.id, l.id) AS id, f.leaf, l.label,
       CASE WHEN l.id IS NULL THEN 'missing' WHEN f.id IS NULL THEN 'more'
            WHEN f.leaf = l.leaf THEN 'same' ELSE 'differs' END AS outcome
FROM frozen AS f FULL JOIN living AS l ON f.id = l.id
"""
_MORE_ADMITTED = """
SELECT id FROM compared WHERE outcome = 'more' AND (
    ? IS NULL OR label = ? OR label IN (SELECT label FROM compared WHERE outcome <> 'more')
) ORDER BY id
"""


@dataclass(frozen=True)
class ComparedLeaves:
    """Ids by outcome, sorted."""

    missing: tuple[str, ...]
    """Frozen, and no living pair has the id."""
    differing: dict[str, str]
    """The row as this SQL writes it has another leaf than this one, which was frozen."""
    more: tuple[str, ...]
    """Living, not frozen, and of a label that the frozen pairs admit."""
    n_more: int
    """Living and not frozen, of any label."""


def compare_leaves(connection: duckdb.DuckDBPyConnection, frozen: Any, *, max_label: str | None) -> ComparedLeaves:
    """Compare.

    Args:
        frozen: Arrow batches with the columns `id` and `leaf` (hex).
        max_label: highest label that was admitted; None: all.
    """
    connection.register("frozen", frozen)
    try:
        connection.execute(_COMPARED)
    finally:
        connection.unregister("frozen")
    missing = connection.execute("SELECT id FROM compared WHERE outcome = 'missing' ORDER BY id").fetchall()
    differing = connection.execute("SELECT id, leaf FROM compared WHERE outcome = 'differs' ORDER BY id").fetchall()
    more = connection.execute(_MORE_ADMITTED, [max_label, max_label]).fetchall()
    [(n_more,)] = connection.execute("SELECT count(*) FROM compared WHERE outcome = 'more'").fetchall()
    connection.execute("DROP TABLE compared")
    return ComparedLeaves(_first(missing), dict(differing), _first(more), n_more)


def _first(rows: list[tuple[str]]) -> tuple[str, ...]:
    return tuple(value for (value,) in rows)

"""What persons decided, as the pass over the whole corpus needs it: pairs that are refused, rejections that are not.

Owns the SQL that honours it. It must not know who decided, nor why.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import duckdb

from hrmbuild.fingerprint import canonical_json

_REFUSE = """
INSERT INTO verdict SELECT c.unit, c.ordinal, r.code, 'a person decided so' FROM candidate AS c
JOIN refused_pair AS r ON r.pair_id = c.pair_id
"""
_RELEASE = """
DELETE FROM verdict USING candidate AS c, source AS s
WHERE verdict.unit = c.unit AND verdict.ordinal = c.ordinal AND s.path = c.path
  AND sha256('["' || verdict.code || '","' || s.sha256 || '","' || c.pair_id || '"]') IN (SELECT digest FROM released)
"""
"""The digest is `decided.rejection_digest`: SHA-256 of the canonical JSON of [code, source, pair]."""


@dataclass(frozen=True)
class Rulings:
    """Decisions by what they are about."""

    refused: Mapping[str, str] = field(default_factory=dict)
    """Pair id -> code."""
    released: frozenset[str] = frozenset()
    """Digests of rejections that hold no longer."""

    def as_json(self) -> str:
        """Canonical; empty where nothing was decided."""
        if not self.refused and not self.released:
            return ""
        return canonical_json({"refused": dict(self.refused), "released": sorted(self.released)}).decode()

    @classmethod
    def from_json(cls, text: str) -> Rulings:
        """What `as_json` wrote."""
        told = json.loads(text or "{}")
        return cls(told.get("refused", {}), frozenset(told.get("released", ())))


def prepare(connection: duckdb.DuckDBPyConnection, rulings: Rulings) -> None:
    """Refuse what persons refused, and keep at hand what they released."""
    connection.execute("CREATE OR REPLACE TEMP TABLE refused_pair (pair_id VARCHAR, code VARCHAR)")
    connection.execute("CREATE OR REPLACE TEMP TABLE released (digest VARCHAR)")
    connection.execute("INSERT INTO released SELECT unnest(?::VARCHAR[])", [sorted(rulings.released)])
    refused = sorted(rulings.refused.items())
    connection.execute(
        "INSERT INTO refused_pair SELECT unnest(?::VARCHAR[]), unnest(?::VARCHAR[])",
        [[pair for pair, _ in refused], [code for _, code in refused]],
    )
    connection.execute(_REFUSE)


def let_released(connection: duckdb.DuckDBPyConnection) -> None:
    """Take back the verdicts that were released."""
    connection.execute(_RELEASE)

"""The balance sheet: for each file and each stage, what came in equals what went on plus what was rejected.

Owns computing and checking it. Counts made while a unit was worked on are held against the rows that are stored, so a
difference is a fault of ours and stops the program; it is never the user's.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import duckdb

from hrmbuild.store.settle import ALIVE


@dataclass(frozen=True)
class FileBalance:
    """The stages of one file."""

    path: str
    status: str
    records: int
    """Records that the reader gave: productive + barren."""
    productive: int
    barren: int
    """Records that yielded rejections only."""
    made: int
    """Pairs made: gate_rejected + held + corpus_rejected + kept."""
    gate_rejected: int
    corpus_rejected: int
    kept: int
    held: int = 0
    """Pairs that a gate holds until a decision."""


@dataclass(frozen=True)
class Balance:
    """All files, and what holds over the whole corpus."""

    files: tuple[FileBalance, ...]
    """Sorted by path."""
    distinct_pairs: int
    """Pairs after merging; each has one kept occurrence or more."""
    split_conflicts: int
    """Pairs whose occurrences drew different sides: the one that is trained on won."""
    reasons: dict[str, int]
    """Rejections of all stages by code, codes sorted; those that are held left out."""
    held: dict[str, int] = field(default_factory=dict)
    """Pairs held until a decision, by code, codes sorted."""

    @property
    def made(self) -> int:
        """Pairs made, over all files."""
        return sum(one.made for one in self.files)

    @property
    def kept(self) -> int:
        """Occurrences kept, over all files."""
        return sum(one.kept for one in self.files)

    @property
    def n_held(self) -> int:
        """Pairs held until a decision, over all files."""
        return sum(one.held for one in self.files)

    @property
    def rejected(self) -> int:
        """Pairs turned down by gates or by the corpus-level pass, over all files."""
        return sum(one.gate_rejected + one.corpus_rejected for one in self.files)


_FILES = f"""
SELECT s.path, s.status, s.n_records, s.n_productive, s.n_barren, s.n_made,
       coalesce(g.n, 0), coalesce(v.n, 0), coalesce(a.n, 0), coalesce(h.n, 0)
FROM source AS s
LEFT JOIN (SELECT path, count(*) AS n FROM rejection WHERE stage = 'gate' GROUP BY path) AS g USING (path)
LEFT JOIN (SELECT path, count(*) AS n FROM rejection WHERE stage = 'quarantine' GROUP BY path) AS h USING (path)
LEFT JOIN (SELECT c.path, count(*) AS n FROM verdict JOIN candidate AS c USING (unit, ordinal) GROUP BY c.path) AS v
       USING (path)
LEFT JOIN (SELECT c.path, count(*) AS n FROM {ALIVE} GROUP BY c.path) AS a USING (path)
ORDER BY s.path
"""
_REASONS = """
SELECT code, count(*) FROM (SELECT code FROM rejection WHERE stage <> 'quarantine' UNION ALL SELECT code FROM verdict)
GROUP BY code ORDER BY code
"""
_HELD = "SELECT code, count(*) FROM rejection WHERE stage = 'quarantine' GROUP BY code ORDER BY code"
_CONFLICTS = f"""
SELECT count(*) FROM (SELECT c.pair_id FROM {ALIVE} GROUP BY c.pair_id HAVING count(DISTINCT c.split) > 1)
"""
_ORPHANS = f"""
SELECT (SELECT count(*) FROM (SELECT DISTINCT c.pair_id FROM {ALIVE})), count(*), count(DISTINCT id) FROM pair
"""


def read_balance(connection: duckdb.DuckDBPyConnection) -> Balance:
    """Compute the balance sheet of a settled corpus and check it."""
    files = tuple(FileBalance(*row) for row in connection.execute(_FILES).fetchall())
    [(alive, pairs, distinct)] = connection.execute(_ORPHANS).fetchall()
    [(conflicts,)] = connection.execute(_CONFLICTS).fetchall()
    _check(files)
    assert alive == pairs == distinct, f"{alive} pairs have a kept occurrence, {pairs} rows stand, {distinct} differ"
    reasons, held = (dict(connection.execute(query).fetchall()) for query in (_REASONS, _HELD))
    return Balance(files, pairs, conflicts, reasons, held)


def _check(files: tuple[FileBalance, ...]) -> None:
    paths = [one.path for one in files]
    assert len(paths) == len(set(paths)), "a file stands in the corpus twice"
    for one in files:
        assert one.records == one.productive + one.barren, f"{one.path}: records are lost: {one}"
        assert one.made == one.gate_rejected + one.held + one.corpus_rejected + one.kept, (
            f"{one.path}: pairs are lost: {one}"
        )

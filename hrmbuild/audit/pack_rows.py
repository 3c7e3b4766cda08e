"""The rows of `pairs.parquet`, recomputed a row group at a time, in several processes where there are many groups.

Owns reading a row again: canonical bytes, id, leaves, counts, label, and which words it quotes. No row is kept: what
is kept of one is 96 bytes of leaves and its part in the counts, so that a million rows fit beside little else. It must
not judge the manifest: `pack_checks` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from hrmbuild.audit import evidence
from hrmbuild.audit.erased import erased_row
from hrmbuild.audit.evidence import EvidenceRow, SaltTable
from hrmbuild.audit.leaf_table import LeafTable
from hrmbuild.audit.manifest import Counts, Tally, counted_row
from hrmbuild.audit.rows import Leaf, leaf_of, parse_row
from hrmbuild.errors import InputError
from hrmbuild.fingerprint import canonical_json
from hrmbuild.processes import process_pool
from hrmbuild.records.pair import MASKS, SPLITS

Labels = set[tuple[str, frozenset[str]]]
"""Label of a row, and the SHA-256 of the sources that it shows."""
Quotes = dict[str, set[bytes]]
"""By source, canonical JSON of [locator, words after masks, masks]."""
_QUOTING = frozenset({"quoted", "absent"})
"""Derivations whose occurrences hold words of the source; the others hold shown rows, or rules as they were rendered.
A locator that counts no characters says where a record stands, not which words."""
_FIRST = (-1, "")
_GROUPS_BEFORE_PROCESSES = 2
"""So few row groups are done sooner than processes would have started."""


@dataclass
class PackContents:
    """The rows of a pack, recomputed; what cannot be read is a problem, not an exception."""

    leaves: LeafTable = field(default_factory=LeafTable)
    tally: Tally = field(default_factory=Tally)
    labels: Labels = field(default_factory=Labels)
    quotes: Quotes = field(default_factory=Quotes)
    row_problems: list[str] = field(default_factory=list[str])
    """One sentence a bad row."""
    unreadable: str | None = None
    """Why `pairs.parquet` cannot be read."""
    salts_unreadable: str | None = None
    n_erased: int = 0
    """Rows whose texts were erased."""
    erased: set[frozenset[str]] = field(default_factory=set[frozenset[str]])
    """SHA-256 of the sources of each of those."""
    first: tuple[int, str] = _FIRST
    """Split and id of the first row that could be read."""
    last: tuple[int, str] = _FIRST

    @property
    def n_rows(self) -> int:
        """Rows that could be read."""
        return self.leaves.n

    @property
    def counts(self) -> Counts:
        """Pairs and tokens under every heading."""
        return self.tally.counts()

    def take(self, row: EvidenceRow, salt: bytes | None) -> None:
        """Recompute one row."""
        if (gone := erased_row(row.row)) is not None:
            self._take_erased(row, gone)
            return
        value = parse_row(row.row)
        if isinstance(value, str):
            self.row_problems.append(f"row {row.id[:12]}: {value}")
            return
        leaf = leaf_of(value["id"], value["split"], row=row.row.encode(), salt=salt)
        place = (SPLITS.index(value["split"]), value["id"])
        self.row_problems += [f"row {row.id[:12]}: {problem}" for problem in _row_problems(row, value, leaf)]
        self._place(place, place)
        self.leaves.add(leaf)
        counted = counted_row(value, instruction_tokens=row.instruction_tokens, response_tokens=row.response_tokens)
        self.tally.add(counted)
        self.labels.add((value["label"], counted.sources))
        if value["derivation"] in _QUOTING:
            _add_quotes(self.quotes, value)

    def _take_erased(self, row: EvidenceRow, value: dict[str, Any]) -> None:
        """A row whose texts were erased: its leaves stand as they were noted, and the roots answer for them."""
        if (row.split, row.id) != (value["split"], value["id"]):
            self.row_problems.append(f"row {row.id[:12]}: the columns split and id are not those of the row")
            return
        place = (SPLITS.index(value["split"]), value["id"])
        self._place(place, place)
        self.leaves.add(Leaf(row.split, row.id, bytes.fromhex(row.leaf), bytes.fromhex(row.salted_leaf)))
        counted = counted_row(value, instruction_tokens=row.instruction_tokens, response_tokens=row.response_tokens)
        self.tally.add(counted)
        self.labels.add((value["label"], counted.sources))
        self.n_erased += 1
        self.erased.add(counted.sources)

    def join(self, later: PackContents) -> None:
        """What was made of the rows after these."""
        if later.n_rows:
            self._place(later.first, later.last)
        self.leaves.extend(later.leaves)
        self.tally.extend(later.tally)
        self.labels |= later.labels
        for sha256, quotes in later.quotes.items():
            self.quotes.setdefault(sha256, set()).update(quotes)
        self.row_problems += later.row_problems
        self.n_erased += later.n_erased
        self.erased |= later.erased
        self.unreadable = self.unreadable or later.unreadable
        self.salts_unreadable = self.salts_unreadable or later.salts_unreadable

    def _place(self, first: tuple[int, str], last: tuple[int, str]) -> None:
        if first <= self.last:
            self.row_problems.append(f"row {first[1][:12]}: it is out of order, or there twice")
        self.first = first if self.first == _FIRST else self.first
        self.last = last


def load_pack(folder: Path, *, processes: int = 1, on_rows: Callable[[int], None] = lambda n: None) -> PackContents:
    """Read and recompute every row.

    Args:
        processes: how many may work on it together.
        on_rows: told how many rows have been done.

    Raises:
        InputError: `verify.worker_ended`: a process was killed from outside.
    """
    pack = PackContents()
    try:
        n_groups = evidence.n_row_groups(folder)
    except InputError as error:
        return PackContents(unreadable=error.what, salts_unreadable=_salts_problem(folder))
    work = partial(_recompute, str(folder))
    spread = processes > 1 and n_groups > _GROUPS_BEFORE_PROCESSES
    for group in _in_processes(work, n_groups, processes) if spread else map(work, range(n_groups)):
        pack.join(group)
        on_rows(group.n_rows)
        if group.unreadable:
            break
    _salts.cache_clear()
    return pack


def _in_processes(work: Callable[[int], PackContents], n_groups: int, processes: int) -> Iterator[PackContents]:
    """In order."""
    with process_pool(min(processes, n_groups)) as pool:
        try:
            yield from pool.map(work, range(n_groups))
        except BrokenProcessPool as error:
            raise InputError("verify.worker_ended", "a process that recomputed rows was ended from outside",
                             why="the system ends processes when memory runs out",
                             fix="close other programs, then run the same command again") from error  # fmt: skip


def _recompute(folder: str, group: int) -> PackContents:
    """One row group."""
    pack = PackContents()
    salts = _salts(folder)
    if isinstance(salts, str):
        pack.salts_unreadable, salts = salts, None
    try:
        for rows in evidence.read_group(Path(folder), group):
            found = salts.of([row.id for row in rows]) if salts else [None] * len(rows)
            for row, salt in zip(rows, found, strict=True):
                pack.take(row, salt)
    except InputError as error:
        pack.unreadable = error.what
    return pack


@lru_cache(maxsize=1)
def _salts(folder: str) -> SaltTable | str:
    """The salts, read once a process; one sentence where they cannot be."""
    try:
        return SaltTable(Path(folder))
    except InputError as error:
        return error.what


def _salts_problem(folder: Path) -> str | None:
    found = _salts(str(folder))
    _salts.cache_clear()
    return found if isinstance(found, str) else None


def _row_problems(row: EvidenceRow, value: dict[str, Any], leaf: Leaf) -> Iterator[str]:
    if (row.split, row.id) != (value["split"], value["id"]):
        yield "the columns split and id are not those of the row"
    if row.leaf != leaf.content.hex():
        yield "its leaf differs"
    if leaf.salted is not None and row.salted_leaf != leaf.salted.hex():
        yield "its salted leaf differs"


def _add_quotes(quotes: Quotes, value: dict[str, Any]) -> None:
    for one in value["occurrences"]:
        if "char_from" in one["locator"]:
            key = canonical_json([one["locator"], one["text"], one.get("inputs", {}).get(MASKS)])
            quotes.setdefault(one["source_sha256"], set()).add(key)

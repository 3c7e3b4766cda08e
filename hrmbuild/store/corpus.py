"""The corpus: typed reads and writes over one DuckDB connection.

Owns transactions: a unit is one (a large one is several, and has its key with the last), the corpus-level pass is one,
and between them a kill leaves a corpus that says of itself that it is unsettled. It must not decide what a pair is or
whether it may stay: compilers, gates and `settle` do.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from hrmbuild.fingerprint import canonical_json, hash_value
from hrmbuild.records.pair import Pair, Split
from hrmbuild.records.passage import LabelledPassage
from hrmbuild.records.source import Source
from hrmbuild.store import reading, salts
from hrmbuild.store.balance import Balance, read_balance
from hrmbuild.store.bulk import write_uncompressed
from hrmbuild.store.choosing import choose_ids
from hrmbuild.store.connection import corpus_connection, memory_copy
from hrmbuild.store.leaves import ComparedLeaves, compare_leaves
from hrmbuild.store.made_of import Supported, read_made_of
from hrmbuild.store.migrations import check_schema, foreign_objects, migrate
from hrmbuild.store.reading import Refused, StoredRejection, StoredSkip, StoredSource
from hrmbuild.store.rulings import Rulings
from hrmbuild.store.settle import settle
from hrmbuild.store.surface import SurfaceRules
from hrmbuild.store.writer import UNIT_TABLES, UnitWriter, insert_rows, source_json

NO_RULES = SurfaceRules()
"""Likeness of words is not looked at."""
_RULINGS, _DECIDED, _SETTLED = "rulings", "decided", "settled"
_NO_KEY = ""
"""Key of a unit that must be worked on again."""
_FETCH_IDS = 4096
"""Pairs looked up by id in one query."""
_SETTLE_VERSION = 3
"""Raised when the corpus-level pass changes what it does, so that an old corpus is settled again."""


class Corpus:
    """An open corpus. Use `open` or `open_copy`; the connection closes with the context."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    @classmethod
    @contextmanager
    def open(cls, path: Path, *, read_only: bool = False, create: bool = True) -> Iterator[Corpus]:
        """The corpus at `path`; made when it is absent, unless `read_only` or not `create`.

        Raises:
            InputError: `store.missing`, `store.locked` (names the holder), `store.not_a_corpus`, `store.newer`.
        """
        with corpus_connection(path, read_only=read_only, create=create and not read_only) as connection:
            check_schema(connection, path)
            if not read_only:
                migrate(connection)
            yield cls(connection)

    @classmethod
    @contextmanager
    def open_copy(cls, path: Path) -> Iterator[Corpus]:
        """A copy in memory, for runs that must change nothing; empty where there is no corpus yet."""
        with memory_copy(path) as connection:
            check_schema(connection, path)
            migrate(connection)
            yield cls(connection)

    def foreign_objects(self) -> list[str]:
        """What stands in the file that no release made, or made otherwise: `macro main.sha256/1`."""
        return foreign_objects(self._connection)

    # --- units --------------------

    def unit_keys(self) -> dict[str, str]:
        """Key of each unit by its name, sorted."""
        return dict(self._connection.execute("SELECT name, key FROM unit ORDER BY name").fetchall())

    @contextmanager
    def replace_unit(self, name: str, key: str) -> Iterator[UnitWriter]:
        """Write a unit again: what it held goes, what the writer is given comes, in one transaction.

        An exception inside the block leaves the unit as it was; after `UnitWriter.end_part` it leaves the parts that
        were ended, under no key and unsettled, so that the next ingest does the unit again.
        """
        with self._transaction():
            self._delete_unit(name)
            writer = UnitWriter(self._connection, name, end_part=lambda: self._end_part(name))
            yield writer
            writer.flush()
            self._set_key(name, key if writer.is_final else _NO_KEY)

    def _end_part(self, name: str) -> None:
        """Commit what stands of a unit, as something that is not done; go on in the next transaction.

        The state `settled` goes too: the unit may come back to the key that was settled last.
        """
        self._set_key(name, _NO_KEY)
        self._connection.execute("DELETE FROM state WHERE name = ?", [_SETTLED])
        self._connection.execute("COMMIT")
        self._connection.execute("BEGIN")

    def _set_key(self, name: str, key: str) -> None:
        self._connection.execute("DELETE FROM unit WHERE name = ?", [name])
        self._connection.execute("INSERT INTO unit VALUES (?, ?)", [name, key])

    def drop_unit(self, name: str) -> None:
        """Remove everything that came from a unit."""
        with self._transaction():
            self._delete_unit(name)

    def _delete_unit(self, name: str) -> None:
        for table in UNIT_TABLES:
            column = "name" if table == "unit" else "unit"
            self._connection.execute(f"DELETE FROM {table} WHERE {column} = ?", [name])

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN")
        try:
            yield
        except BaseException:
            with suppress(duckdb.TransactionException):  # a commit that failed has ended the transaction
                self._connection.execute("ROLLBACK")
            raise
        else:
            self._connection.execute("COMMIT")
        finally:
            self._connection.execute("RESET force_compression")  # see `bulk.write_uncompressed`

    # --- what is known of sources beside their content --------------------

    def describe_sources(self, sources: dict[str, tuple[Source, int | None]]) -> int:
        """Bring owner, licence, config line and cap of files up to date without compiling; returns how many changed."""
        stored = self._connection.execute("SELECT path, meta, max_pairs FROM source ORDER BY path").fetchall()
        changed = [
            (path, source_json(sources[path][0]), sources[path][1])
            for path, meta, max_pairs in stored
            if path in sources and (source_json(sources[path][0]), sources[path][1]) != (meta, max_pairs)
        ]
        if changed:
            frame = pl.DataFrame(
                changed, schema={"path": pl.String, "meta": pl.String, "max_pairs": pl.Int32}, orient="row"
            )
            with self._transaction():
                self._connection.register("changed", frame.to_arrow())
                self._connection.execute(
                    "UPDATE source SET meta = changed.meta, max_pairs = changed.max_pairs "
                    "FROM changed WHERE source.path = changed.path"
                )
                self._connection.unregister("changed")
        return len(changed)

    def replace_refused(self, refused: Sequence[Refused]) -> None:
        """The files that were found and not opened in this ingest; nothing is written when they are the same."""
        wanted = sorted(refused, key=lambda one: one.path)
        if wanted == self.refused():
            return
        with self._transaction():
            self._connection.execute("DELETE FROM refused")
            rows: list[tuple[object, ...]] = [(r.path, r.code, r.detail, r.declared_by) for r in wanted]
            names = ("path", "code", "detail", "declared_by")
            if rows:
                insert_rows(self._connection, "refused", schema=dict.fromkeys(names, pl.String), rows=rows)

    # --- the corpus-level pass --------------------

    def settle(
        self, *, labels: Sequence[str], seed: int, rules: SurfaceRules = NO_RULES, protected: Iterable[str] = ()
    ) -> bool:
        """Do the corpus-level pass if anything that it looks at has changed; returns whether it was done."""
        wanted = self._settle_key(labels=labels, seed=seed, rules=rules)
        if self._state(_SETTLED) == wanted:
            return False
        with self._transaction():
            ruled = self.rulings()
            write_uncompressed(self._connection)
            settle(self._connection, labels=labels, seed=seed, rules=rules, protected=protected, rulings=ruled)
            self._set_state(_SETTLED, wanted)
        return True

    def is_settled(self, *, labels: Sequence[str], seed: int, rules: SurfaceRules = NO_RULES) -> bool:
        """Whether the pass saw everything that stands here now: false after an ingest that was cut off."""
        return self._state(_SETTLED) == self._settle_key(labels=labels, seed=seed, rules=rules)

    def _settle_key(self, *, labels: Sequence[str], seed: int, rules: SurfaceRules) -> str:
        units = [list(pair) for pair in sorted(self.unit_keys().items())]
        caps = self._connection.execute(
            "SELECT path, max_pairs FROM source WHERE max_pairs IS NOT NULL ORDER BY path"
        ).fetchall()
        told = {name: str(value) for name, value in sorted(vars(rules).items()) if value is not None}
        ruled = [self._state(_RULINGS)] if self._state(_RULINGS) else []
        return hash_value([_SETTLE_VERSION, units, [list(cap) for cap in caps], list(labels), seed, told, *ruled])

    # --- decisions --------------------

    def set_rulings(self, rulings: Rulings) -> None:
        """What persons decided, for the next corpus-level pass; nothing is written where it is the same."""
        told = rulings.as_json()
        if (self._state(_RULINGS) or "") != told:
            with self._transaction():
                self._set_state(_RULINGS, told)

    def rulings(self) -> Rulings:
        """What was set last."""
        return Rulings.from_json(self._state(_RULINGS) or "")

    def record_decided(self, told: dict[str, Any]) -> None:
        """Remember which decisions took effect (empty: none)."""
        if self.decided() != told:
            with self._transaction():
                self._set_state(_DECIDED, canonical_json(told).decode())

    def decided(self) -> dict[str, Any]:
        """Which decisions took effect, as the last complete ingest recorded it."""
        return json.loads(self._state(_DECIDED) or "{}")

    def known_pairs(self, ids: Iterable[str]) -> set[str]:
        """Those of some pairs that compilers made and gates let through."""
        rows = self._connection.execute(
            "SELECT DISTINCT pair_id FROM candidate WHERE list_contains(?::VARCHAR[], pair_id)", [sorted(ids)]
        ).fetchall()
        return {pair for (pair,) in rows}

    def has_kind(self, kind: str, paths: Sequence[str]) -> bool:
        """Whether any pair of this kind was made of these files and let through by the gates."""
        query = "SELECT 1 FROM candidate WHERE kind = ? AND list_contains(?::VARCHAR[], path) LIMIT 1"
        return bool(self._connection.execute(query, [kind, list(paths)]).fetchall())

    def record_freeze(self, content_root: str, max_label: str | None) -> None:
        """Remember that the settled corpus, with labels up to `max_label`, has this content root."""
        told = {"content_root": content_root, "settled": self._state(_SETTLED) or "", "max_label": max_label or ""}
        if json.loads(self._state("frozen") or "{}") != told:
            with self._transaction():
                self._set_state("frozen", canonical_json(told).decode())

    def frozen_content_root(self, max_label: str | None) -> str | None:
        """The content root of the corpus as it is settled now, where the last freeze remembered it."""
        told = json.loads(self._state("frozen") or "{}")
        same = (told.get("settled"), told.get("max_label")) == (self._state(_SETTLED), max_label or "")
        return str(told["content_root"]) if told and same else None

    def last_ingest(self) -> dict[str, str]:
        """Hashes of what the last complete ingest was told, by name; empty before the first."""
        return json.loads(self._state("ingest") or "{}")

    def record_ingest(self, told: dict[str, str]) -> None:
        """Remember what an ingest that is complete was told."""
        if self.last_ingest() != told:
            with self._transaction():
                self._set_state("ingest", canonical_json(told).decode())

    def _state(self, name: str) -> str | None:
        rows = self._connection.execute("SELECT value FROM state WHERE name = ?", [name]).fetchall()
        return rows[0][0] if rows else None

    def _set_state(self, name: str, value: str) -> None:
        self._connection.execute("DELETE FROM state WHERE name = ?", [name])
        self._connection.execute("INSERT INTO state VALUES (?, ?)", [name, value])

    # --- reads --------------------

    def pairs(self, split: Split | None = None) -> Iterator[Pair]:
        """The kept pairs of a split (of all when None), ordered by id."""
        return reading.read_pairs(self._connection, split)

    def drop_salts(self, ids: Iterable[str]) -> None:
        """Forget salts, so that nobody confirms a guessed row; the file keeps the bytes until it is written anew."""
        with self._transaction():
            self._connection.execute("DELETE FROM salt WHERE list_contains(?::VARCHAR[], pair_id)", [sorted(ids)])

    def made_of(self, sha256: str) -> list[Supported]:
        """The kept pairs that a source supports, by id, with the other files that support them."""
        return read_made_of(self._connection, sha256)

    def n_pairs(self) -> int:
        """Number of kept pairs."""
        return int(self._connection.execute("SELECT count(*) FROM pair").fetchall()[0][0])

    def pairs_of(self, paths: Sequence[str], *, limit: int) -> list[Pair]:
        """A few kept pairs with an occurrence in one of these files, those with the smallest ids."""
        return reading.read_pairs_of(self._connection, list(paths), limit=limit)

    def texts(self, split: Split, *, labels: Sequence[str]) -> Iterator[str]:
        """Instruction and response of each kept pair of a split with one of these labels, ordered by id."""
        return reading.read_texts(self._connection, split, labels=list(labels))

    def pairs_by_id(self, ids: Sequence[str]) -> Iterator[tuple[str, Pair | None]]:
        """The kept pairs with these ids, ordered; None where the stored values are no pair any more."""
        for first in range(0, len(ids), _FETCH_IDS):
            yield from reading.read_pairs_by_id(self._connection, sorted(ids)[first : first + _FETCH_IDS])

    def compare_leaves(self, frozen: Any, *, max_label: str | None) -> ComparedLeaves:
        """Arrow batches of frozen ids and leaves against the kept pairs; see `store.leaves`."""
        return compare_leaves(self._connection, frozen, max_label=max_label)

    def pair_ids(self) -> list[str]:
        """Ids of all kept pairs, sorted."""
        return [key for (key,) in self._connection.execute("SELECT id FROM pair ORDER BY id").fetchall()]

    def choose_ids(
        self, *, split: str | None = None, kind: str | None = None, source: str | None = None
    ) -> Sequence[tuple[str, str]]:
        """Id and label of the kept pairs of a split, a kind (or the beginning of one), a source (or a pattern)."""
        return choose_ids(self._connection, split=split, kind=kind, source=source)

    def occurrences_by_label(self) -> dict[str, dict[str, int]]:
        """Kept occurrences of each file by the label of their pair."""
        return reading.read_occurrences_by_label(self._connection)

    def sources(self) -> list[StoredSource]:
        """Every file with its counts, sorted by path."""
        return reading.read_sources(self._connection)

    def refused(self) -> list[Refused]:
        """Files that were found and not opened, sorted by path."""
        return reading.read_refused(self._connection)

    def skips(self) -> list[StoredSkip]:
        """What readers saw and did not read, sorted by path and place."""
        return reading.read_skips(self._connection)

    def passages(self, labels: Sequence[str]) -> list[LabelledPassage]:
        """The passages of files with one of these labels; of others not a byte leaves the database.

        Raises:
            InputError: `store.no_passages`: an earlier release wrote this corpus, and kept none.
        """
        return reading.read_passages(self._connection, list(labels))

    def rejections(self) -> Iterator[StoredRejection]:
        """Everything that was turned down, of all stages, sorted by path, stage and place."""
        return reading.read_rejections(self._connection)

    def rejections_by_gate(self, *, held: bool = False) -> dict[str, int]:
        """Pairs that each gate and each step of the corpus-level pass refused (or holds), by its name."""
        return reading.read_rejections_by_gate(self._connection, held=held)

    def balance(self) -> Balance:
        """The balance sheet, from stored rows."""
        return read_balance(self._connection)

    # --- salts --------------------

    def salts(self) -> dict[str, bytes]:
        """The salt of every pair that has one, by pair id."""
        return salts.read_salts(self._connection)

    def add_salts(self, new: dict[str, bytes]) -> None:
        """Keep new salts, for good."""
        if new:
            with self._transaction():
                salts.write_salts(self._connection, new)

"""Reading the corpus back: pairs with their occurrences, sources with their counts, rejections, skips.

Owns the SELECT statements; every one is ordered. It must not change anything.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import duckdb

from hrmbuild.errors import InputError
from hrmbuild.records.locator import Locator
from hrmbuild.records.pair import Pair, Split
from hrmbuild.records.passage import LabelledPassage, SourcePassage
from hrmbuild.records.source import Skip, Source
from hrmbuild.store.settle import ALIVE

_FETCH_ROWS = 4096

_PAIRS = f"""
SELECT p.id, t.instruction, t.response, t.condition, t.kind, t.stratum, p.split, p.axis, p.boundary, t.book,
       t.derivation, t.answer, t.content_key, p.label, p.valid_from, p.valid_until, o.occurrences
FROM pair AS p
JOIN candidate AS t ON t.unit = p.unit AND t.ordinal = p.ordinal
JOIN (
    SELECT c.pair_id, list_sort(list_distinct(list(c.occurrence))) AS occurrences FROM {ALIVE} GROUP BY c.pair_id
) AS o ON o.pair_id = p.id
"""
_COLUMNS = (
    "id", "instruction", "response", "condition", "kind", "stratum", "split", "axis", "boundary", "book",
    "derivation", "answer", "content_key", "label", "valid_from", "valid_until", "occurrences",
)  # fmt: skip


@dataclass(frozen=True)
class Refused:
    """A file that was found and not opened: it has no hash, because its bytes were not seen."""

    path: str
    code: str
    detail: str
    declared_by: str


@dataclass(frozen=True)
class StoredSource:
    """A file with what came of it."""

    source: Source
    unit: str
    status: str
    """`read` or `quarantined`."""
    reason: str | None
    n_records: int
    n_barren: int
    """Records that yielded rejections only."""
    n_skipped: int
    n_made: int
    """Pairs that compilers made: kept + rejected + held."""
    n_kept: int
    n_rejected: int
    reasons: dict[str, int]
    """Rejections by code, those before a pair was made included."""
    held: dict[str, int]
    """Pairs held until a decision, by code."""


@dataclass(frozen=True)
class StoredSkip:
    """Something that a reader did not read, with its file."""

    path: str
    skip: Skip


@dataclass(frozen=True)
class StoredRejection:
    """A rejection of any stage, as the evidence pack lists it."""

    stage: str
    code: str
    detail: str
    path: str
    source_sha256: str
    locator: str
    """Canonical JSON of the locator."""
    text: str | None
    pair_id: str | None
    gate: str | None
    """Name of the gate that refused it."""
    label: str
    """The highest label of what text and message show."""


def read_pairs(connection: duckdb.DuckDBPyConnection, split: Split | None) -> Iterator[Pair]:
    """Kept pairs ordered by id."""
    where = "" if split is None else "WHERE p.split = ?"
    return _fetch_pairs(connection, f"{_PAIRS} {where} ORDER BY p.id", [] if split is None else [split])


def read_pairs_of(connection: duckdb.DuckDBPyConnection, paths: list[str], *, limit: int) -> list[Pair]:
    """Kept pairs with an occurrence in one of these files, smallest ids first."""
    inside = (
        f"SELECT DISTINCT c.pair_id FROM {ALIVE} WHERE list_contains(?::VARCHAR[], c.path) ORDER BY c.pair_id LIMIT ?"
    )
    return list(_fetch_pairs(connection, f"{_PAIRS} WHERE p.id IN ({inside}) ORDER BY p.id", [paths, limit]))


def read_texts(connection: duckdb.DuckDBPyConnection, split: Split, *, labels: list[str]) -> Iterator[str]:
    """Instruction and response of kept pairs, and nothing else of them: a tenth of what reading pairs takes."""
    cursor = connection.cursor()
    cursor.execute(
        """SELECT t.instruction, t.response FROM pair AS p
           JOIN candidate AS t ON t.unit = p.unit AND t.ordinal = p.ordinal
           WHERE p.split = ? AND list_contains(?::VARCHAR[], p.label) ORDER BY p.id""",
        [split, labels],
    )
    while rows := cursor.fetchmany(_FETCH_ROWS):
        for row in rows:
            yield from row
    cursor.close()


def read_pairs_by_id(connection: duckdb.DuckDBPyConnection, ids: list[str]) -> Iterator[tuple[str, Pair | None]]:
    """The kept pairs with these ids, ordered; None where the stored values are no pair any more."""
    rows = connection.execute(f"{_PAIRS} WHERE list_contains(?::VARCHAR[], p.id) ORDER BY p.id", [ids]).fetchall()
    for row in rows:
        try:
            yield row[0], _pair(row)
        except ValueError:  # pydantic's and json's errors are both of it
            yield row[0], None


def _fetch_pairs(connection: duckdb.DuckDBPyConnection, query: str, bound: list[Any]) -> Iterator[Pair]:
    cursor = connection.cursor()  # its own: the caller may run other statements between two pairs
    cursor.execute(query, bound)
    while rows := cursor.fetchmany(_FETCH_ROWS):
        for row in rows:
            yield _pair(row)
    cursor.close()


def _pair(row: tuple[Any, ...]) -> Pair:
    values = {name: value for name, value in zip(_COLUMNS, row, strict=True) if value is not None}
    values["answer"] = json.loads(values["answer"])
    values["occurrences"] = [json.loads(text) for text in values["occurrences"]]
    return Pair.model_validate(values)


def read_occurrences_by_label(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[str, int]]:
    """Kept occurrences by file and by the label of the pair that they support."""
    rows = connection.execute(
        f"""SELECT c.path, p.label, count(*) FROM (SELECT c.* FROM {ALIVE}) AS c JOIN pair AS p ON p.id = c.pair_id
            GROUP BY c.path, p.label ORDER BY c.path, p.label"""
    ).fetchall()
    found: dict[str, dict[str, int]] = {}
    for path, label, n in rows:
        found.setdefault(path, {})[label] = n
    return found


def read_sources(connection: duckdb.DuckDBPyConnection) -> list[StoredSource]:
    """Files with their counts, sorted by path."""
    kept = dict(connection.execute(f"SELECT c.path, count(*) FROM {ALIVE} GROUP BY c.path").fetchall())
    skipped = dict(connection.execute("SELECT path, count(*) FROM skip GROUP BY path").fetchall())
    reasons, held = reasons_by_path(connection), reasons_by_path(connection, held=True)
    rows = connection.execute(
        "SELECT meta, unit, status, reason, n_records, n_barren, n_made FROM source ORDER BY path"
    ).fetchall()
    found: list[StoredSource] = []
    for meta, unit, status, reason, n_records, n_barren, n_made in rows:
        source = Source.model_validate_json(meta)
        n_kept = kept.get(source.path, 0)
        found.append(
            StoredSource(
                source, unit, status, reason, n_records, n_barren, skipped.get(source.path, 0), n_made, n_kept,
                n_made - n_kept - sum(held.get(source.path, {}).values()), reasons.get(source.path, {}),
                held.get(source.path, {}),
            )
        )  # fmt: skip
    return found


_ALL_REJECTIONS = """
SELECT stage, code, detail, path, source_sha256, locator, text, pair_id, gate, unit, ordinal, {label} AS label
FROM rejection
UNION ALL
SELECT 'corpus', v.code, v.detail, c.path, s.sha256, json_extract(c.occurrence, '$.locator')::VARCHAR,
       c.instruction || chr(10) || chr(10) || c.response, c.pair_id,
       CASE WHEN v.code LIKE 'review.%' THEN 'review' ELSE replace(v.code, 'corpus.', 'corpus_') END, c.unit, c.ordinal,
       c.label
FROM verdict AS v JOIN candidate AS c USING (unit, ordinal) JOIN source AS s ON s.path = c.path
"""


def _all_rejections(connection: duckdb.DuckDBPyConnection) -> str:
    """The SQL; a corpus that is only read may be older than the labels of rejections."""
    has = "SELECT count(*) FROM duckdb_columns() WHERE table_name = 'rejection' AND column_name = 'label'"
    known = connection.execute(has).fetchall()[0][0]
    return _ALL_REJECTIONS.format(label="label" if known else "NULL")


def reasons_by_path(connection: duckdb.DuckDBPyConnection, *, held: bool = False) -> dict[str, dict[str, int]]:
    """Rejections by file and code, codes sorted; or what is held until a decision."""
    rows = connection.execute(
        f"""SELECT path, code, count(*) FROM ({_all_rejections(connection)}) WHERE (stage = 'quarantine') = ?
            GROUP BY path, code ORDER BY path, code""",
        [held],
    ).fetchall()
    found: dict[str, dict[str, int]] = {}
    for path, code, n in rows:
        found.setdefault(path, {})[code] = n
    return found


def read_rejections_by_gate(connection: duckdb.DuckDBPyConnection, *, held: bool = False) -> dict[str, int]:
    """See `Corpus.rejections_by_gate`."""
    rows = connection.execute(
        f"""SELECT gate, count(*) FROM ({_all_rejections(connection)})
            WHERE gate IS NOT NULL AND (stage = 'quarantine') = ? GROUP BY gate ORDER BY gate""",
        [held],
    ).fetchall()
    return dict(rows)


def read_rejections(connection: duckdb.DuckDBPyConnection) -> Iterator[StoredRejection]:
    """All rejections, sorted by path, stage and place."""
    labels = {one.source.path: one.source.label for one in read_sources(connection)}
    cursor = connection.cursor()
    cursor.execute(f"SELECT * FROM ({_all_rejections(connection)}) ORDER BY path, ordinal, stage, code")
    while rows := cursor.fetchmany(_FETCH_ROWS):
        for row in rows:
            yield StoredRejection(*row[:9], label=row[11] or labels[row[3]])
    cursor.close()


def read_refused(connection: duckdb.DuckDBPyConnection) -> list[Refused]:
    """Files that were not opened, sorted by path."""
    rows = connection.execute("SELECT path, code, detail, declared_by FROM refused ORDER BY path").fetchall()
    return [Refused(*row) for row in rows]


def read_skips(connection: duckdb.DuckDBPyConnection) -> list[StoredSkip]:
    """What readers skipped, sorted by path and place."""
    rows = connection.execute("SELECT path, code, detail, locator FROM skip ORDER BY path, ordinal").fetchall()
    return [
        StoredSkip(path, Skip(code=code, detail=detail, locator=Locator.model_validate_json(locator)))
        for path, code, detail, locator in rows
    ]


_PASSAGES = """
SELECT s.label, p.source_sha256, p.path, p.locator, p.place, p.title, p.heading, p.text
FROM passage AS p
JOIN (SELECT path, json_extract_string(meta, '$.label') AS label FROM source WHERE status = 'read') AS s USING (path)
WHERE list_contains(?, s.label)
ORDER BY p.path, p.ordinal
"""


def read_passages(connection: duckdb.DuckDBPyConnection, labels: list[str]) -> list[LabelledPassage]:
    """See `Corpus.passages`: the database leaves out what may not be read, so that nothing later can forget to."""
    has = "SELECT count(*) FROM information_schema.tables WHERE table_name = 'passage'"
    if not connection.execute(has).fetchall()[0][0]:
        raise InputError("store.no_passages", "this corpus was written by a release that kept no passages",
                         fix="run hrmbuild ingest")  # fmt: skip
    return [
        LabelledPassage(
            label=label,
            passage=SourcePassage(
                source_sha256=sha, path=path, locator=Locator(**json.loads(locator)), order=place, title=title,
                heading=heading, text=text,
            ),
        )
        for label, sha, path, locator, place, title, heading, text in connection.execute(_PASSAGES, [labels]).fetchall()
    ]  # fmt: skip

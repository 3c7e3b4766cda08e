"""What the rows of an evidence pack say, counted and drawn with SQL over its Parquet file.

Owns the queries. They read `pairs.parquet` and nothing else, so that anybody can run them without hrmbuild. It must not
read the corpus.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from hrmbuild.audit import evidence
from hrmbuild.audit.erased import read_erased
from hrmbuild.audit.manifest import MANIFEST_NAME
from hrmbuild.audit.pack_checks import file_problem
from hrmbuild.audit.report_input import PackFacts
from hrmbuild.audit.sample import key_prefix
from hrmbuild.errors import InputError
from hrmbuild.records.manifest import Manifest

_HEADINGS = ("derivation", "label", "book", "condition")
_COUNTS = """
SELECT {columns}, count(*) FROM (
    SELECT {extracted} FROM read_parquet(?)
) GROUP BY ALL ORDER BY ALL
"""
_MASKED = """
SELECT json_extract_string(row, '$.label'),
       json_extract_string(row, '$.occurrences[*].inputs.redacted'),
       json_extract_string(row, '$.occurrences[*].inputs.masks')
FROM read_parquet(?)
WHERE contains(row, '"redacted":') OR contains(row, '"masks":')
"""
DRAW = """
SELECT salted_leaf, split, row, sha256(? || salted_leaf) AS key
FROM read_parquet(?) ORDER BY key LIMIT ?
"""
"""The draw of a sample: prefix of the key, file, size."""
_DRAW_TAKEN = """
SELECT salted_leaf, split, row, sha256($prefix || salted_leaf) AS key
FROM read_parquet($file) AS p ANTI JOIN (SELECT unnest($gone::VARCHAR[]) AS id) AS g ON p.id = g.id
WHERE split = 'train' AND ($strata IS NULL OR list_contains($strata::VARCHAR[], json_extract_string(row, '$.stratum')))
ORDER BY key LIMIT $n
"""
"""The same of an included corpus: of its train rows that are taken."""
_CHANGED = """
WITH changed AS (
    SELECT one.row FROM read_parquet(?) AS one ANTI JOIN read_parquet(?) AS other ON one.id = other.id
)
SELECT source, json_extract_string(row, '$.kind') AS kind, count(*)
FROM (SELECT row, unnest(list_distinct(json_extract_string(row, '$.occurrences[*].source_sha256'))) AS source
      FROM changed)
GROUP BY ALL ORDER BY ALL
"""
_N_CHANGED = "SELECT count(*) FROM read_parquet(?) AS one ANTI JOIN read_parquet(?) AS other ON one.id = other.id"
_OF_SOURCE = """
SELECT split, json_extract_string(row, '$.kind') AS kind,
       len(list_distinct(json_extract_string(row, '$.occurrences[*].source_sha256'))) > 1 AS shared, count(*)
FROM read_parquet($file) WHERE contains(row, $mark) GROUP BY ALL ORDER BY ALL
"""
_FIRST_OF_SOURCE = """
SELECT id, salted_leaf AS leaf, split, json_extract_string(row, '$.kind') AS question FROM read_parquet($file)
WHERE contains(row, $mark) ORDER BY list_position(['train', 'dev', 'test'], split), id LIMIT $n
"""
_BY_ID = """
SELECT id, salted_leaf, row FROM read_parquet(?) SEMI JOIN (SELECT unnest(?::VARCHAR[]) AS id) USING (id)
WHERE split = 'train'
"""
_MASK = re.compile(r"\[([A-Z_]+)_\d+\]")


@dataclass(frozen=True)
class Drawn:
    """One pair of a sample."""

    leaf: str
    split: str
    row: dict[str, Any]


def check_pack(folder: Path, manifest: Manifest, *names: str, erased_too: bool = False) -> None:
    """Refuse files that are not those that the manifest names.

    Args:
        erased_too: take files as an erasure left them: ids, kinds and sources of all rows are still there.

    Raises:
        InputError: `evidence.altered`, `evidence.erased`.
    """
    after = read_erased(folder)
    for name in names:
        problem = file_problem(folder / name, manifest.evidence[name])
        if problem is None:
            continue
        if after is not None and name in after.files and file_problem(folder / name, after.files[name]) is None:
            if erased_too:
                continue
            raise InputError("evidence.erased", f"the texts of {after.pairs:,} rows of this manifest were erased",
                             where=str(folder / name), why="what needs all of its rows cannot be made any more",
                             fix="hrmbuild ingest and freeze, and take the manifest that they make")  # fmt: skip
        raise InputError(
            "evidence.altered",
            f"{name} is not the file that {MANIFEST_NAME} names: {problem}",
            where=str(folder / name),
            why="what is told of a pack must be of the pack that was frozen",
            fix=f"see all of it: hrmbuild verify {folder}; then restore the folder, or run: hrmbuild freeze",
        )


def pack_facts(folder: Path) -> PackFacts:
    """Count the rows.

    Raises:
        InputError: `evidence.unreadable`.
    """
    facts = PackFacts(by={heading: {} for heading in _HEADINGS})
    path = str(folder / evidence.PAIRS_NAME)
    extracted = ", ".join(f"json_extract_string(row, '$.{heading}') AS {heading}" for heading in _HEADINGS)
    with _connected(folder) as connection:
        counted = _COUNTS.format(columns=", ".join(_HEADINGS), extracted=extracted)
        for *values, n in connection.execute(counted, [path]).fetchall():
            for heading, value in zip(_HEADINGS, values, strict=True):
                facts.by[heading][value] = facts.by[heading].get(value, 0) + n
        for _, redacted, masks in connection.execute(_MASKED, [path]).fetchall():
            _count_masks(facts, redacted, masks)
    return facts


def _count_masks(facts: PackFacts, redacted: list[str | None], masks: list[str | None]) -> None:
    facts.n_masked_pairs += 1
    for told in filter(None, redacted):
        for part in told.split(", "):
            kind, _, n = part.rpartition(" ")
            facts.masked[kind] = facts.masked.get(kind, 0) + int(n)
    for told in filter(None, masks):
        facts.n_name_masks += sum(not _MASK.fullmatch(mask[2]) for mask in json.loads(told))


def draw(folder: Path, *, root: str, nonce: str, n: int) -> list[Drawn]:
    """The `n` pairs with the smallest keys, in the order of their keys.

    Raises:
        InputError: `evidence.unreadable`.
    """
    arguments = [key_prefix(root, nonce), str(folder / evidence.PAIRS_NAME), n]
    with _connected(folder) as connection:
        found = connection.execute(DRAW, arguments).fetchall()
    return [Drawn(leaf, split, json.loads(row)) for leaf, split, row, _ in found]


def draw_taken(
    folder: Path, *, root: str, nonce: str, n: int, gone: Sequence[str], strata: Sequence[str] | None
) -> list[Drawn]:
    """The same among the rows of an included corpus that are trained on.

    Args:
        gone: ids of those left out.
        strata: that are taken; None: all.

    Raises:
        InputError: `evidence.unreadable`.
    """
    given: dict[str, Any] = {
        "prefix": key_prefix(root, nonce), "file": str(folder / evidence.PAIRS_NAME), "n": n, "gone": list(gone),
        "strata": None if strata is None else list(strata),
    }  # fmt: skip
    with _connected(folder) as connection:
        found = connection.execute(_DRAW_TAKEN, given).fetchall()
    return [Drawn(leaf, split, json.loads(row)) for leaf, split, row, _ in found]


def changed_pairs(folder: Path, other: Path) -> tuple[int, list[tuple[str, str, int]]]:
    """Pairs of `folder` that `other` has not, by id: how many, and by source and kind (a pair of two sources twice).

    Raises:
        InputError: `evidence.unreadable`.
    """
    paths = [str(one / evidence.PAIRS_NAME) for one in (folder, other)]
    with _connected(folder) as connection:
        total = connection.execute(_N_CHANGED, paths).fetchall()[0][0]
        return total, connection.execute(_CHANGED, paths).fetchall()


@dataclass(frozen=True)
class SourceRows:
    """The rows of a pack that a source supports."""

    by_split: dict[str, int]
    by_kind: dict[str, int]
    n_shared: int
    """Rows that another source supports as well."""
    first: list[dict[str, str]]
    """The first ones by split and id: `id`, `leaf`, `split`, `question`."""


def source_rows(folder: Path, sha256: str, *, n_shown: int) -> SourceRows:
    """Count the rows of a source.

    Raises:
        InputError: `evidence.unreadable`.
    """
    given: dict[str, Any] = {"file": str(folder / evidence.PAIRS_NAME), "mark": f'"source_sha256":"{sha256}"'}
    by_split, by_kind, n_shared = dict[str, int](), dict[str, int](), 0
    with _connected(folder) as connection:
        for split, kind, shared, n in connection.execute(_OF_SOURCE, given).fetchall():
            by_split[split] = by_split.get(split, 0) + n
            by_kind[kind] = by_kind.get(kind, 0) + n
            n_shared += n if shared else 0
        first = connection.execute(_FIRST_OF_SOURCE, {**given, "n": n_shown}).fetchall()
    told = [{"id": key, "leaf": leaf, "split": split, "question": kind} for key, leaf, split, kind in first]
    return SourceRows(by_split, dict(sorted(by_kind.items())), n_shared, told)


def train_rows(folder: Path, ids: Sequence[str]) -> dict[str, tuple[str, dict[str, Any]]]:
    """Salted leaf and row of each of these pairs that stands in the train split, by id.

    Raises:
        InputError: `evidence.unreadable`.
    """
    with _connected(folder) as connection:
        found = connection.execute(_BY_ID, [str(folder / evidence.PAIRS_NAME), list(ids)]).fetchall()
    return {key: (leaf, json.loads(row)) for key, leaf, row in found}


@contextmanager
def _connected(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect(config={"threads": 2})
    try:
        yield connection
    except duckdb.Error as error:
        raise InputError("evidence.unreadable", f"the evidence pack cannot be read: {str(error).splitlines()[0]}",
                         where=str(folder),
                         fix="restore the manifest's folder, or run: hrmbuild freeze") from error  # fmt: skip
    finally:
        connection.close()

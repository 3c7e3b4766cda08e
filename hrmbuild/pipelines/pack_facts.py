"""What the rows of an evidence pack say, counted and drawn with SQL over its Parquet file.

Owns the queries. They read `pairs.parquet` and nothing else, so that anybody can run them without hrmbuild. It must not
read the corpus.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from hrmbuild.audit import evidence
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
_MASK = re.compile(r"\[([A-Z_]+)_\d+\]")


@dataclass(frozen=True)
class Drawn:
    """One pair of a sample."""

    leaf: str
    split: str
    row: dict[str, Any]


def check_pack(folder: Path, manifest: Manifest, *names: str) -> None:
    """Refuse files that are not those that the manifest names.

    Raises:
        InputError: `evidence.altered`.
    """
    for name in names:
        problem = file_problem(folder / name, manifest.evidence[name])
        if problem is not None:
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


def changed_pairs(folder: Path, other: Path) -> tuple[int, list[tuple[str, str, int]]]:
    """Pairs of `folder` that `other` has not, by id: how many, and by source and kind (a pair of two sources twice).

    Raises:
        InputError: `evidence.unreadable`.
    """
    paths = [str(one / evidence.PAIRS_NAME) for one in (folder, other)]
    with _connected(folder) as connection:
        total = connection.execute(_N_CHANGED, paths).fetchall()[0][0]
        return total, connection.execute(_CHANGED, paths).fetchall()


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

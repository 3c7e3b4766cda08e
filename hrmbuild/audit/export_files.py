# pyright: basic
"""Pairs of a manifest as files for other programs: Parquet, JSON lines, CSV; equal rows give equal bytes.

Owns the columns and the three forms. A pair is named by its salted leaf, never by its id, which could be confirmed by
guessing its texts. It must not decide which pairs are exported. (Arrow's Python package ships no types: hence
pyright's basic mode.)
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hrmbuild.audit.evidence import EvidenceRow

FORMATS = ("parquet", "jsonl", "csv")
COLUMNS: dict[str, str] = {
    "leaf": "name of the pair: its salted leaf in the manifest's tree",
    "split": "train, dev or test",
    "instruction": "what is asked, with the text that decides it",
    "response": "the answer",
    "condition": "direct, cot, noisy, synth or synth+cot",
    "kind": "kind of question",
    "stratum": "part of the training mix",
    "book": "open: the deciding text stands in the instruction; closed: it does not",
    "derivation": "how the answer came about: quoted, queried, evaluated, absent, imported, written_by_…",
    "axis": "why it is held out; empty in train",
    "boundary": "a case at a threshold",
    "answer_type": "type of the answer that scores read",
    "answer_value": "its value",
    "answer_unit": "its unit",
    "label": "sensitivity",
    "valid_from": "first day on which it holds",
    "valid_until": "last day on which it holds",
    "sources": "paths of the files that support it",
}
"""Column -> meaning, in the order of the columns."""
_TYPES = {"boundary": pa.bool_(), "sources": pa.list_(pa.string())}
_SCHEMA = pa.schema([(name, _TYPES.get(name, pa.large_string())) for name in COLUMNS])
_GROUP_ROWS = 65_536
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a spreadsheet takes for the beginning of a formula, the wide forms included."""


def export_row(row: EvidenceRow, value: Mapping[str, Any], paths: Mapping[str, str]) -> dict[str, Any]:
    """A pair under the columns of an export.

    Args:
        paths: path of a source by its SHA-256.
    """
    answer = value["answer"]
    told = {name: value.get(name) for name in COLUMNS if name in value}
    told |= {"answer_type": answer["type"], "answer_value": answer["value"], "answer_unit": answer.get("unit")}
    sources = sorted({paths[one["source_sha256"]] for one in value["occurrences"]})
    told |= {"leaf": row.salted_leaf, "boundary": value.get("boundary", False), "sources": sources}
    return {name: told.get(name) for name in COLUMNS}


def write_export(path: Path, rows: Iterable[dict[str, Any]], *, form: str) -> int:
    """Write one file and return how many rows it holds."""
    return {"parquet": _write_parquet, "jsonl": _write_jsonl, "csv": _write_csv}[form](path, iter(rows))


def _write_parquet(path: Path, rows: Iterator[dict[str, Any]]) -> int:
    n = 0
    with pq.ParquetWriter(path, _SCHEMA, compression="zstd") as writer:
        while group := list(islice(rows, _GROUP_ROWS)):
            writer.write_table(pa.Table.from_pylist(group, schema=_SCHEMA), row_group_size=_GROUP_ROWS)
            n += len(group)
    return n


def _write_jsonl(path: Path, rows: Iterator[dict[str, Any]]) -> int:
    n = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            there = {name: value for name, value in row.items() if value is not None}
            file.write(json.dumps(there, ensure_ascii=False) + "\n")
            n += 1
    return n


def _write_csv(path: Path, rows: Iterator[dict[str, Any]]) -> int:
    n = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in rows:
            writer.writerow(_cell(row[name]) for name in COLUMNS)
            n += 1
    return n


def _cell(value: object) -> str:
    if isinstance(value, list):
        value = "; ".join(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return neutral(str(value)) if value is not None else ""


def neutral(text: str) -> str:
    """The text such that no spreadsheet computes it: an apostrophe before what could begin a formula."""
    begins = text.startswith(_FORMULA) or text.lstrip(" \u00a0\ufeff\n").startswith(_FORMULA)
    return f"'{text}" if begins else text

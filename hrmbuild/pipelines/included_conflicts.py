"""Rows of included corpora that own pairs contradict, for the report: both sides, as far as their packs are at hand.

Owns gathering them. All of them stand in `included_left_out.jsonl`; the first are told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from hrmbuild.audit.report_findings import LISTED
from hrmbuild.audit.report_included import CONTRADICTION
from hrmbuild.audit.report_input import ConflictSide, IncludedConflict
from hrmbuild.config.loading import Project
from hrmbuild.pipelines.base_pairs import Base, bases
from hrmbuild.pipelines.included_rows import LeftOut, read_left_out
from hrmbuild.pipelines.pack_facts import check_pack, train_rows
from hrmbuild.records.included import told_names
from hrmbuild.records.manifest import INCLUDED_LEFT_OUT_NAME, Manifest


@dataclass(frozen=True)
class _Pack:
    """Rows that are wanted of a pack, and how its files are told."""

    before: str
    paths: dict[str, str]
    rows: dict[str, tuple[str, dict[str, Any]]]


def included_conflicts(project: Project | None, folder: Path, manifest: Manifest) -> Iterator[IncludedConflict]:
    """The first rows left out as contradictions, each beside the pair that holds.

    Raises:
        InputError: `evidence.*`.
    """
    if not manifest.includes:
        return
    check_pack(folder, manifest, INCLUDED_LEFT_OUT_NAME)
    told = list(islice((one for one in read_left_out(folder) if one.code == CONTRADICTION), LISTED))
    at_hand = [one for one in bases(project, folder, manifest) if isinstance(one, Base)] if told else []
    own = _pack("", folder, manifest, [one.because for one in told])
    of_base = {
        base.included.content_root: _pack(f"{base.name}: ", base.pack.folder, base.pack.manifest, _wanted(told))
        for base in at_hand
    }
    names = told_names(manifest.includes)
    for one in told:
        holds = _side(one.because, [own, *of_base.values()], manifest.name)
        base = of_base.get(one.content_root)
        yield IncludedConflict(holds, _side(one.id, [base] if base else [], names[one.content_root]))


def _wanted(told: list[LeftOut]) -> list[str]:
    return sorted({key for one in told for key in (one.id, one.because)})


def _pack(before: str, folder: Path, manifest: Manifest, ids: list[str]) -> _Pack:
    paths = {entry.source.sha256: entry.source.path for entry in reversed(manifest.sources)}
    return _Pack(before, paths, train_rows(folder, ids))


def _side(key: str, packs: list[_Pack], name: str) -> ConflictSide:
    """The pair in the first of the packs that holds it."""
    for pack in packs:
        if key in pack.rows:
            row: Mapping[str, Any] = pack.rows[key][1]
            return ConflictSide(key, pack.before + pack.paths.get(row["occurrences"][0]["source_sha256"], "?"), row)
    return ConflictSide(key, name, None)

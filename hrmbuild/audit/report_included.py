"""Parts of the audit report on included corpora: what of them is trained on beside the manifest's own rows.

Owns those values: corpora, their files, and rows that were left out because an own pair answers their question
otherwise. The manifest tells the first two; it must not read a file.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hrmbuild.audit.report_input import ConflictSide, IncludedConflict, ReportInput
from hrmbuild.records.counts import Count
from hrmbuild.records.included import IncludedManifest, told_names
from hrmbuild.records.manifest import Manifest
from hrmbuild.records.source import Source

CONTRADICTION = "include.contradiction"


def included_files(manifest: Manifest) -> Iterator[tuple[str, IncludedManifest, Source, Count]]:
    """Every included file with a pair that is trained on: path begun by the corpus's name, corpus, file, counts."""
    names = told_names(manifest.includes or ())
    for one in manifest.includes or ():
        for entry in one.sources:
            yield f"{names[one.content_root]}: {entry.source.path}", one, entry.source, entry.count


def included_section(given: ReportInput) -> dict[str, Any] | None:
    """The corpora, their files and the conflicts with own pairs; None where nothing is included."""
    includes = given.manifest.includes
    if not includes:
        return None
    names = told_names(includes)
    return {
        "pairs": sum(one.taken.pairs for one in includes),
        "tokens": sum(_tokens(one.taken) for one in includes),
        "training_root": given.manifest.training_root,
        "corpora": [_corpus(one, names[one.content_root], given) for one in includes],
        "files": [_file(*one) for one in included_files(given.manifest)],
        "contradictions": sum(one.left_out.get(CONTRADICTION, 0) for one in includes),
        "conflicts": [_conflict(one, given) for one in given.included_conflicts],
        "unknown_makers": sum(source.maker in (None, "unknown") for _, _, source, _ in included_files(given.manifest)),
    }


def _tokens(count: Count) -> int:
    return count.instruction_tokens + count.response_tokens


def _corpus(one: IncludedManifest, name: str, given: ReportInput) -> dict[str, Any]:
    return {
        "name": name, "content_root": one.content_root, "manifest_sha256": one.manifest_sha256, "label": one.label,
        "lineage": one.lineage, "splits": dict(one.splits), "strata": list(one.strata) if one.strata else None,
        "taken": one.taken.pairs, "tokens": _tokens(one.taken), "repeat": one.repeat, "left_out": dict(one.left_out),
        "near": one.near or 0, "at_hand": one.content_root in given.bases_at_hand,
    }  # fmt: skip


def _file(path: str, one: IncludedManifest, source: Source, count: Count) -> dict[str, Any]:
    return {
        "path": path, "content_root": one.content_root, "sha256": source.sha256, "kind": source.kind,
        "format": source.format, "owner": source.owner, "license": source.license, "maker": source.maker,
        "label": source.label, "stratum": source.stratum, "repeat": source.repeat, "declared_by": source.declared_by,
        "pairs": count.pairs, "tokens": _tokens(count),
    }  # fmt: skip


def _conflict(one: IncludedConflict, given: ReportInput) -> dict[str, Any]:
    """Both sides; a side whose label is above the clearance, or whose pack is not at hand, without its words."""
    sides = [_side(side, given) for side in (one.own, one.included)]
    return {"question": next((side["question"] for side in sides if side["question"]), None), "sides": sides}


def _side(side: ConflictSide, given: ReportInput) -> dict[str, Any]:
    row = side.row
    words = row if row is not None and given.clearance.allows(row["label"]) else {"instruction": None, "response": None}
    return {
        "path": side.path, "place": side.pair_id[:16], "pair_id": side.pair_id, "shown": words is row,
        "kept_text": row is not None, "question": words["instruction"], "answer": words["response"],
    }  # fmt: skip

"""`hrmbuild audit diff`: what changed between two manifests.

Owns joining what the manifests state with the pairs of their packs, where both are at hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hrmbuild.audit.erased import read_erased
from hrmbuild.audit.evidence import PAIRS_NAME
from hrmbuild.audit.manifest_diff import manifest_diff
from hrmbuild.config.loading import Project
from hrmbuild.pipelines.audit_inputs import Frozen, find_frozen
from hrmbuild.pipelines.pack_facts import changed_pairs, check_pack


@dataclass(frozen=True)
class DiffReport:
    """Two manifests compared."""

    value: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """The keys of `audit diff --json`."""
        return self.value


def audit_diff(old: Path, new: Path, *, project: Project | None) -> DiffReport:
    """Compare two manifests (folders, files or packages).

    Raises:
        InputError: `manifest.*`, `evidence.*`.
    """
    return DiffReport(diff_of(find_frozen(old, project), find_frozen(new, project)))


def diff_of(old: Frozen, new: Frozen) -> dict[str, Any]:
    """What differs; `rows` is None where a pack is not at hand. Rows whose texts were erased are compared by id."""
    value = manifest_diff(old.manifest, new.manifest)
    if old.folder is None or new.folder is None:
        return {**value, "rows": None}
    for one in (old, new):
        assert one.folder is not None
        check_pack(one.folder, one.manifest, PAIRS_NAME, erased_too=True)
    added, added_by = changed_pairs(new.folder, old.folder)
    removed, removed_by = changed_pairs(old.folder, new.folder)
    rows = {
        "added": added, "removed": removed,
        "added_by": _by(added_by, new), "removed_by": _by(removed_by, old),
    }  # fmt: skip
    erased = [after.pairs if (after := read_erased(folder)) else 0 for folder in (old.folder, new.folder)]
    return {**value, "rows": {**rows, "erased": erased}}


def _by(counted: list[tuple[str, str, int]], frozen: Frozen) -> list[dict[str, Any]]:
    """By the path of the source; a pair of two sources counts with both."""
    paths = {one.source.sha256: one.source.path for one in frozen.manifest.sources}
    rows = [{"source": paths.get(sha256, sha256), "kind": kind, "pairs": n} for sha256, kind, n in counted]
    return sorted(rows, key=lambda row: (row["source"], row["kind"]))

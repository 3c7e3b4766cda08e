"""Which manifest and which of its pairs an auditor names, and what of it may be shown.

Owns looking up a manifest, a pair (by id, salted leaf, or the beginning of either), and the labels that are shown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from hrmbuild.audit import evidence
from hrmbuild.audit.evidence import EvidenceRow
from hrmbuild.audit.manifest import load_manifest_bytes, manifest_folder, read_manifest
from hrmbuild.audit.shown_text import clearance
from hrmbuild.config.loading import Project
from hrmbuild.errors import InputError, UsageError
from hrmbuild.fingerprint import sha256_hex
from hrmbuild.pipelines.manifests import current_manifest
from hrmbuild.records.manifest import Manifest

LEAST_DIGITS = 6
"""Of the beginning of an id or leaf: fewer are too likely to be several."""
_DIGITS = re.compile(rf"[0-9a-f]{{{LEAST_DIGITS},64}}")


@dataclass(frozen=True)
class FrozenPack:
    """A manifest with its evidence pack."""

    folder: Path
    manifest: Manifest

    @cached_property
    def sha256(self) -> str:
        """Of the manifest's bytes."""
        return sha256_hex(load_manifest_bytes(self.folder))


def frozen_pack(project: Project | None, path: Path | None) -> FrozenPack:
    """The manifest at `path`; absent: the project's current one.

    Raises:
        UsageError: `audit.no_manifest`: neither is there.
        InputError: `manifest.*`.
    """
    found = path or (current_manifest(project) if project is not None else None)
    if found is None:
        raise UsageError("audit.no_manifest", "no manifest is named, and none is current here", where="--manifest",
                         fix="name a folder that hrmbuild freeze wrote, or run: hrmbuild freeze")  # fmt: skip
    return FrozenPack(manifest_folder(found), read_manifest(found))


def find_pair(pack: FrozenPack, key: str) -> EvidenceRow:
    """The row whose id or salted leaf begins so.

    Raises:
        UsageError: `audit.bad_pair`, `audit.several_pairs`.
        InputError: `audit.no_pair`, `evidence.unreadable`.
    """
    digits = pair_digits(key)
    places = rows_of(pack, digits)
    if len(places) > 1:
        raise UsageError("audit.several_pairs", f"{len(places)} pairs begin with {digits}", where="PAIR",
                         fix="give more digits")  # fmt: skip
    if places:
        return evidence.row_at(pack.folder, *places[0])
    raise InputError("audit.no_pair", f"no pair of this manifest begins with {digits}", where=str(pack.folder),
                     why="neither an id nor a salted leaf does",
                     fix="name another manifest with --manifest, or look the id up in audit_pairs")  # fmt: skip


def pair_digits(key: str) -> str:
    """The digits that name a pair.

    Raises:
        UsageError: `audit.bad_pair`.
    """
    digits = key.strip().lower()
    if not _DIGITS.fullmatch(digits):
        raise UsageError("audit.bad_pair", f"{key!r} names no pair", where="PAIR",
                         why=f"a pair is named by {LEAST_DIGITS} to 64 hex digits of its id or of its salted leaf",
                         fix="take an id from audit_pairs, or a leaf from a report or a proof")  # fmt: skip
    return digits


def rows_of(pack: FrozenPack, digits: str) -> list[tuple[int, int]]:
    """Places of the rows whose id begins so, else of those whose salted leaf does.

    Raises:
        InputError: `evidence.unreadable`.
    """
    by_id = list(evidence.find_places(pack.folder, "id", digits))
    return by_id or list(evidence.find_places(pack.folder, "salted_leaf", digits))


def shown_labels(
    manifest: Manifest, *, show_label: str | None, role: str | None = None, project: Project | None = None,
    flag: str = "--show-label",
) -> frozenset[str]:  # fmt: skip
    """Labels whose texts may be shown: the lowest, or up to what is named or the role reads.

    Args:
        flag: how the user named the label.

    Raises:
        UsageError: `audit.unknown_label`, `audit.unknown_role`.
    """
    roles = project.config.roles if project is not None else None
    allowed = clearance(manifest.labels or (manifest.label,), show_label, role=role, roles=roles, flag=flag)
    return allowed.shown

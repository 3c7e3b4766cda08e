"""The frozen corpus behind a run or a package, found among the project's manifests.

Owns finding it and reading its pairs after comparing the evidence file with its hash. It must not freeze or open the
living database.
"""

from __future__ import annotations

from pathlib import Path

from hrmbuild.audit.evidence import PAIRS_NAME, read_rows
from hrmbuild.audit.manifest import load_manifest_bytes, read_manifest
from hrmbuild.config.loading import Project
from hrmbuild.errors import InputError
from hrmbuild.evaluation.questions import pairs_of
from hrmbuild.fingerprint import hash_file, sha256_hex
from hrmbuild.pipelines.manifests import all_manifests
from hrmbuild.records.pair import Pair, Split


def find_frozen(project: Project, manifest_sha256: str) -> Path | None:
    """The folder whose `manifest.json` has this hash; None where the project does not hold it."""
    for folder in all_manifests(project):
        if sha256_hex(load_manifest_bytes(folder)) == manifest_sha256:
            return folder
    return None


def frozen_folder(project: Project, manifest_sha256: str) -> Path:
    """The same, where it is needed.

    Raises:
        InputError: `package.manifest_missing`.
    """
    folder = find_frozen(project, manifest_sha256)
    if folder is None:
        raise InputError(
            "package.manifest_missing",
            f"no manifest here has the sha256 {manifest_sha256[:12]}…",
            where=str(project.manifests_folder),
            why="the held-out pairs and the tokenizer stand in the manifest that the model was trained on",
            fix="restore that manifest's folder, or train again on the current one",
        )
    return folder


def frozen_pairs(folder: Path, *splits: Split) -> dict[Split, list[Pair]]:
    """The pairs of some splits, each ordered by id.

    Raises:
        InputError: `manifest.altered`, or `package.evidence_altered`: the pairs are not those that were frozen.
    """
    expected = read_manifest(folder).evidence.get(PAIRS_NAME)
    path = folder / PAIRS_NAME
    if not path.is_file() or hash_file(path) != expected:
        raise InputError(
            "package.evidence_altered",
            "this file is missing or not the one that was frozen",
            where=str(path),
            fix="restore the manifest's folder: hrmbuild verify names everything that is wrong in it",
        )
    return {split: pairs_of(read_rows(folder, split)) for split in splits}

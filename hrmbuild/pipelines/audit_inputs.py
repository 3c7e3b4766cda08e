"""What the auditor's commands work on: a manifest that is named, the current one, or the one inside a package.

Owns finding it, with its pack where that is at hand. It must not judge anything that it finds.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from hrmbuild.audit.log import LOG_NAME, Log, read_log
from hrmbuild.audit.manifest import (
    MANIFEST_NAME,
    canonical_problem,
    load_manifest_bytes,
    manifest_folder,
    parse_manifest,
    read_manifest,
)
from hrmbuild.audit.trust import TRUST_NAME, Trust, read_trust
from hrmbuild.config.loading import Project
from hrmbuild.errors import InputError, UsageError
from hrmbuild.fingerprint import sha256_hex
from hrmbuild.pipelines.manifests import all_manifests, current_manifest, holds
from hrmbuild.records.manifest import Manifest

IN_PACKAGE = "corpus-manifest.json"


@dataclass(frozen=True)
class Frozen:
    """A manifest, and the folder of its pack where that is at hand."""

    manifest: Manifest
    sha256: str
    folder: Path | None
    name: str
    """Of its folder, or what it would be called."""


def find_frozen(path: Path | None, project: Project | None) -> Frozen:
    """The manifest that `path` names: its folder, its file, or a package; absent: the project's current one.

    Raises:
        UsageError: `audit.no_manifest`.
        InputError: `manifest.*`.
    """
    if path is None:
        current = current_manifest(project) if project is not None else None
        if current is None:
            raise UsageError("audit.no_manifest", "no manifest is named, and none is current here", where="MANIFEST",
                             fix="name a manifest's folder or a package, or run: hrmbuild freeze")  # fmt: skip
        path = current
    if (path / IN_PACKAGE).is_file():
        return _of_package(path / IN_PACKAGE, project)
    folder = manifest_folder(path)
    manifest = read_manifest(folder)
    return Frozen(manifest, sha256_hex(load_manifest_bytes(folder)), folder, folder.resolve().name)


def _of_package(file: Path, project: Project | None) -> Frozen:
    data = file.read_bytes()
    manifest, problem = parse_manifest(data, where=str(file)), canonical_problem(data)
    if problem is not None:
        raise InputError("manifest.altered", problem, where=str(file), why="a manifest never changes once frozen",
                         fix="restore the package")  # fmt: skip
    found = [folder for folder in (all_manifests(project) if project else []) if holds(folder, data)]
    folder = found[0] if found else None
    return Frozen(manifest, sha256_hex(data), folder, folder.name if folder else manifest.content_root[:12])


def previous_folder(frozen: Frozen, project: Project) -> Path | None:
    """The manifest that was frozen last before this one and is still there, by the project's log."""
    frozen_in_order = [one.sha256 for one in read_log(project.work / LOG_NAME).entries if one.event == "freeze"]
    if frozen.sha256 not in frozen_in_order:
        return None
    earlier = frozen_in_order[: frozen_in_order.index(frozen.sha256)]
    folders = {sha256_hex((folder / MANIFEST_NAME).read_bytes()): folder for folder in all_manifests(project)}
    return next((folders[sha256] for sha256 in reversed(earlier) if sha256 in folders), None)


def log_of(project: Project | None) -> Log | None:
    """The project's log."""
    return read_log(project.work / LOG_NAME) if project is not None else None


def trust_of(path: Path | None, project: Project | None) -> Trust | None:
    """The trust file that is named, else the project's own; None where there is none."""
    own = project.config_path.parent / TRUST_NAME if project is not None else None
    chosen = path or (own if own is not None and own.is_file() else None)
    return None if chosen is None else read_trust(chosen, today=datetime.now(UTC).date())

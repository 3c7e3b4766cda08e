"""Where frozen manifests lie, and which one is current.

Owns the names of the folders. A manifest is a folder `manifests/<first 12 digits of content_root>/`; where that name is
taken by an equal corpus under another manifest (another owner, another release), `-` and 6 digits of the manifest's own
hash follow. `manifests/CURRENT` names the one that was frozen last, in one line.
"""

from __future__ import annotations

import os
from pathlib import Path

from hrmbuild.audit.manifest import DIGEST_NAME, MANIFEST_NAME, digest_problem, load_manifest_bytes
from hrmbuild.audit.pack_checks import file_problem
from hrmbuild.config.loading import CORPUS_NAME, Project
from hrmbuild.files import disk_errors, sync_file, sync_folder, write_atomic
from hrmbuild.fingerprint import sha256_hex
from hrmbuild.records.manifest import Manifest

CURRENT_NAME = "CURRENT"


def folder_for(folder: Path, *, content_root: str, manifest: bytes) -> Path:
    """Where a manifest belongs inside `folder`: an existing folder with the same bytes, or a name that is free."""
    plain = folder / content_root[:12]
    if not plain.exists() or holds(plain, manifest):
        return plain
    return folder / f"{content_root[:12]}-{sha256_hex(manifest)[:6]}"


def holds(folder: Path, manifest: bytes) -> bool:
    """Whether a folder holds exactly this manifest."""
    path = folder / MANIFEST_NAME
    return path.is_file() and path.read_bytes() == manifest


def restore(folder: Path, manifest: Manifest, *, from_folder: Path) -> bool:
    """Put back the files of a manifest that are missing or altered; whether there were any.

    Raises:
        InputError: the disk's own word.
    """
    damaged = [name for name, digest in manifest.evidence.items() if file_problem(folder / name, digest)]
    damaged += [DIGEST_NAME] if digest_problem(folder, load_manifest_bytes(folder)) else []
    for name in damaged:
        with disk_errors(folder / name):
            sync_file(from_folder / name)
            os.replace(from_folder / name, folder / name)
            sync_folder(folder)
    return bool(damaged)


def current_manifest(project: Project) -> Path | None:
    """The folder that was frozen last; None before the first freeze (or when the folder is gone)."""
    named = project.manifests_folder / CURRENT_NAME
    if not named.is_file():
        return None
    folder = project.manifests_folder / named.read_text(encoding="utf-8").strip()
    return folder if (folder / MANIFEST_NAME).is_file() and folder.parent == project.manifests_folder else None


def corpus_beside(folder: Path) -> Path | None:
    """The corpus file of the project that a manifest lies in, where that manifest is its current one."""
    place = folder.resolve()
    named, corpus = place.parent / CURRENT_NAME, place.parent.parent / CORPUS_NAME
    is_current = named.is_file() and named.read_text(encoding="utf-8").strip() == place.name
    return corpus if is_current and corpus.is_file() else None


def set_current(project: Project, folder: Path) -> None:
    """Remember `folder` as current; nothing is written when it is."""
    if current_manifest(project) != folder:
        write_atomic(project.manifests_folder / CURRENT_NAME, f"{folder.name}\n".encode())


def all_manifests(project: Project) -> list[Path]:
    """Every manifest of the project, sorted by name; a freeze that was killed left a hidden folder, which is none."""
    if not project.manifests_folder.is_dir():
        return []
    return sorted(path.parent for path in project.manifests_folder.glob(f"[!.]*/{MANIFEST_NAME}"))

"""What stands on a withdrawn source: which files of a manifest, and how that is said of a run or a package.

Owns that look-up. It never says that a model forgot anything: only another training without the source makes a model
that never saw it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hrmbuild.audit.checks import Check, named
from hrmbuild.audit.decisions import DECISIONS_NAME
from hrmbuild.audit.manifest import read_manifest
from hrmbuild.config.loading import Project
from hrmbuild.errors import AnswerIsNoError, HrmbuildError, InputError
from hrmbuild.packaging.verify import read_package_manifest
from hrmbuild.pipelines.decided import SAID, WITHDRAWN, read_decided
from hrmbuild.pipelines.frozen_corpus import find_frozen
from hrmbuild.pipelines.manifests import current_manifest
from hrmbuild.records.manifest import Manifest


def withdrawn_sources(project: Project) -> dict[str, str]:
    """SHA-256 of each source that is withdrawn -> the reason.

    Raises:
        InputError: `decisions.broken`, `decisions.unreadable`.
    """
    if not (project.work / DECISIONS_NAME).exists():
        return {}
    return {one: reason for one, (code, reason) in read_decided(project).kept_out.items() if code == WITHDRAWN}


def withdrawn_in(project: Project, manifest: Manifest) -> list[str]:
    """Paths of the withdrawn sources that this manifest was made from."""
    gone = withdrawn_sources(project)
    own = [one.source.path for one in manifest.sources if one.status == "read" and one.source.sha256 in gone]
    return own + [f"{included.name}: {one.source.path}" for included in manifest.includes or ()
                  for one in included.sources if one.source.sha256 in gone]  # fmt: skip


def refuse_withdrawn(project: Project, folder: Path, manifest: Manifest) -> None:
    """Nothing more is trained on a manifest that holds a withdrawn source.

    Raises:
        AnswerIsNoError: `withdrawn.manifest`.
    """
    paths = withdrawn_in(project, manifest)
    if paths:
        raise AnswerIsNoError("withdrawn.manifest", f"this manifest holds withdrawn material: {named(paths)}",
                              where=str(folder), why="whoever withdrew it said that nothing more is made of it",
                              fix="run: hrmbuild ingest, then hrmbuild freeze, then train again")  # fmt: skip


def withdrawn_now(project: Project) -> list[str]:
    """The same of the current manifest; nothing where there is none, or it cannot be read."""
    folder = current_manifest(project)
    try:
        return withdrawn_in(project, read_manifest(folder)) if folder is not None else []
    except InputError:
        return []  # Said by `verify`.


def withdrawn_of_package(project: Project, package: Path) -> list[str]:
    """The same of a package's manifest; nothing where that is not at hand."""
    try:
        folder = find_frozen(project, read_package_manifest(package).corpus_manifest_sha256)
        return withdrawn_in(project, read_manifest(folder)) if folder is not None else []
    except InputError:
        return []  # Said by the checks of the package itself.


def withdrawn_check(project: Project | None, manifest_sha256: str) -> Iterator[Check]:
    """A line for `verify`: it says so and fails nothing, for not a byte was altered; no line where nothing is so."""
    if project is None:
        return
    try:
        folder = find_frozen(project, manifest_sha256)
        paths = withdrawn_in(project, read_manifest(folder)) if folder is not None else []
    except HrmbuildError:
        return  # Said by the checks of the manifest, or of the decisions.
    if paths:
        yield Check("withdrawn material", True, f"{SAID}: {named(paths)}")

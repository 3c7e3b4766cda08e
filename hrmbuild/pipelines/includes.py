"""The frozen corpora that the settings include: found, checked, and allowed or refused.

Owns `include:` of the settings. Nothing of an included corpus is ingested or frozen again: its folder is read as it is.
It must not read rows; `pipelines.included_rows` does.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hrmbuild.audit.manifest import load_manifest_bytes, manifest_folder, read_manifest
from hrmbuild.config.included import IncludeConfig
from hrmbuild.config.loading import Project
from hrmbuild.errors import AnswerIsNoError, ConfigError, InputError
from hrmbuild.fingerprint import sha256_hex
from hrmbuild.pipelines.pack_intact import check_evidence
from hrmbuild.records.manifest import IncludedManifest, Manifest

_RESTORE = "restore its folder from where it was frozen (hrmbuild verify FOLDER names all that is wrong in it)"


@dataclass(frozen=True)
class Included:
    """An included corpus at hand."""

    folder: Path
    manifest: Manifest
    sha256: str
    """Of the manifest's bytes."""
    settings: IncludeConfig


def open_includes(project: Project, *, max_label: str | None) -> tuple[Included, ...]:
    """Every include, its evidence compared with its hashes, in the order of the settings.

    Raises:
        InputError: `include.missing`, `manifest.*`, `evidence.altered`.
        ConfigError: `include.other_root`, `include.nested`, `include.unknown_label`, `include.unknown_stratum`.
        AnswerIsNoError: `include.above_max_label`.
    """
    found: list[Included] = []
    for number, settings in enumerate(project.config.include or ()):
        one = _open(project, settings, where=f"{project.config_path.name}: include.{number}")
        _check_label(project, one, max_label)
        check_evidence(one.folder, one.manifest, fix=_RESTORE)
        found.append(one)
    return tuple(found)


def _open(project: Project, settings: IncludeConfig, *, where: str) -> Included:
    folder = manifest_folder(project.config_path.parent / settings.manifest)
    if not folder.is_dir():
        raise InputError(
            "include.missing",
            f"the included corpus {settings.root} is not at {settings.manifest}",
            where=where,
            why=f"there is no folder {folder.resolve()}, and a base mix is read from the folder it was frozen into",
            fix="bring the folder there, or correct the path, which is relative to the folder of the settings",
        )
    manifest = read_manifest(folder)
    if manifest.content_root != settings.root:
        raise ConfigError(
            "include.other_root",
            f"{settings.manifest} holds the corpus {manifest.content_root}, and not {settings.root}",
            where=where,
            why="what is included is named by its root, so that nobody can put another corpus in its place",
            fix="name the folder of the corpus that is meant, or its root where this one is meant",
        )
    if manifest.includes:
        raise ConfigError(
            "include.nested",
            f"{manifest.name} includes others itself",
            where=where,
            why="what is left out of each is decided by the corpus that is trained on",
            fix="include "
            + ", ".join(f"{one.name} (root {one.content_root})" for one in manifest.includes)
            + " here, beside it, and freeze "
            f"{manifest.name} without includes",
        )
    _check_strata(manifest, settings, where)
    return Included(folder, manifest, sha256_hex(load_manifest_bytes(folder)), settings)


def _check_strata(manifest: Manifest, settings: IncludeConfig, where: str) -> None:
    for name in settings.strata or ():
        if name not in manifest.strata:
            nearest = difflib.get_close_matches(name, manifest.strata, n=1)
            raise ConfigError(
                "include.unknown_stratum",
                f"{manifest.name} has no stratum {name!r}",
                where=where,
                fix=f"did you mean {nearest[0]!r}?" if nearest else f"its strata are: {', '.join(manifest.strata)}",
            )


def _check_label(project: Project, one: Included, max_label: str | None) -> None:
    labels, label, name = project.config.labels, one.manifest.label, one.manifest.name
    if label not in labels:
        raise ConfigError(
            "include.unknown_label",
            f"{name} carries the label {label!r}, which is not declared here",
            where=f"{project.config_path.name}: labels",
            fix=f"the labels here are, lowest first: {', '.join(labels)}; declare {label!r} among them",
        )
    if max_label is not None and labels.index(label) > labels.index(max_label):
        raise AnswerIsNoError(
            "include.above_max_label",
            f"{name} carries the label {label!r}, above {max_label!r}",
            where=f"--max-label {max_label}",
            why="an included corpus is taken as it was frozen, with its label",
            fix=f"raise --max-label, or freeze {name} again with --max-label {max_label} and include that one",
        )


def same_includes(project: Project, manifest: Manifest) -> bool:
    """Whether the settings include what a manifest was frozen with.

    Raises:
        InputError, ConfigError: see `open_includes`; the evidence is not looked at.
    """
    now = [
        _open(project, one, where=f"{project.config_path.name}: include.{number}").sha256
        for number, one in enumerate(project.config.include or ())
    ]
    return now == [one.manifest_sha256 for one in manifest.includes or ()]


def included_folders(project: Project | None, manifest: Manifest) -> dict[str, Path]:
    """Where the includes of a manifest are at hand: content root -> folder. Those that are not are left out."""
    return {root: folder for root, folder in include_places(project, manifest).items() if folder.is_dir()}


def include_places(project: Project | None, manifest: Manifest) -> dict[str, Path]:
    """Where the settings say that the includes of a manifest lie, there or not: content root -> folder."""
    if project is None:
        return {}
    by_root = {one.root: project.config_path.parent / one.manifest for one in project.config.include or ()}
    return {one.content_root: manifest_folder(by_root[one.content_root]) for one in manifest.includes or ()
            if one.content_root in by_root}  # fmt: skip


def looked_for(project: Project | None, manifest: Manifest, included: IncludedManifest) -> str:
    """Why an include is not at hand: where it was looked for."""
    if project is None:
        return "no settings are at hand that say where it lies"
    place = include_places(project, manifest).get(included.content_root)
    return f"looked for at {place.resolve()}" if place else f"{project.config_path.name} includes no such root"


def not_at_hand(project: Project | None, manifest: Manifest, included: IncludedManifest) -> InputError:
    """The error that names an include and where it was looked for."""
    return InputError(
        "include.missing",
        f"the included corpus {included.name}, content root {included.content_root}, is not at hand",
        where=f"{project.config_path.name}: include" if project is not None else None,
        why=looked_for(project, manifest, included),
        fix=f"bring its folder there, or say where it lies: include: [{{manifest: FOLDER, root: "
        f"{included.content_root}}}]; the folder's place enters no hash",
    )


def checked_folders(project: Project, manifest: Manifest) -> dict[str, Path]:
    """The same for training: all of them, each with the bytes that the manifest names.

    Raises:
        InputError: `include.missing`, `include.altered`, `manifest.*`, `evidence.altered`.
    """
    at_hand = included_folders(project, manifest)
    for one in manifest.includes or ():
        if one.content_root not in at_hand:
            raise not_at_hand(project, manifest, one)
        folder = at_hand[one.content_root]
        check_same(folder, one)
        check_evidence(folder, read_manifest(folder), fix=_RESTORE)
    return at_hand


def check_same(folder: Path, included: IncludedManifest) -> None:
    """The folder's manifest is the one that was included.

    Raises:
        InputError: `include.altered`, `manifest.missing`.
    """
    found = sha256_hex(load_manifest_bytes(folder))
    if found != included.manifest_sha256:
        raise InputError(
            "include.altered",
            f"this is another manifest of {included.name} than the one that was included, content root "
            f"{included.content_root}",
            where=str(folder),
            why=f"its SHA-256 is {found[:12]}…, that of the included one {included.manifest_sha256[:12]}…",
            fix="bring the folder that was included, or run: hrmbuild freeze",
        )


def lineage_of(included: Sequence[Included]) -> str:
    """`complete` only where each include's is."""
    told = [f"{one.manifest.name} is {one.manifest.lineage}" for one in included if one.manifest.lineage != "complete"]
    return f"partial: included {'; included '.join(told)}" if told else "complete"

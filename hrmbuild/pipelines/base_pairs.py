"""Included corpora as an auditor asks for them: where each is at hand, its rows, and which of them are trained on.

Owns that look-up. An included corpus is read only where its manifest is the very one that was included; where it is
not, the error names its root and where it was looked for. A row is the base's own: its leaf stands in the base's roots.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hrmbuild.audit import evidence
from hrmbuild.audit.evidence import PAIRS_NAME, EvidenceRow
from hrmbuild.audit.manifest import manifest_folder, read_manifest
from hrmbuild.audit.pack_checks import file_problem
from hrmbuild.config.loading import Project
from hrmbuild.errors import InputError, UsageError
from hrmbuild.pipelines.audit_pairs import FrozenPack, find_pair, pair_digits, rows_of
from hrmbuild.pipelines.included_rows import LeftOut, read_left_out
from hrmbuild.pipelines.includes import check_same, include_places, included_folders, not_at_hand
from hrmbuild.records.included import IncludedManifest, IncludedSource, told_names
from hrmbuild.records.manifest import Manifest

TAKEN = "trained on"


@dataclass(frozen=True)
class Base:
    """An included corpus at hand, beside the manifest that includes it."""

    name: str
    """As it is told: with digits of its root where several have one name."""
    included: IncludedManifest
    pack: FrozenPack
    including: Path
    """Folder of the manifest that includes it."""

    @cached_property
    def left_out(self) -> dict[str, LeftOut]:
        """Rows that are not trained on, by id."""
        root = self.included.content_root
        return {one.id: one for one in read_left_out(self.including) if one.content_root == root}

    def fate(self, value: Mapping[str, Any]) -> str:
        """`trained on`, or why this row of the base is not."""
        if value["split"] != "train":
            return f"not trained on: it is held out there ({value['split']}), and only train rows are taken"
        if self.included.strata is not None and value["stratum"] not in self.included.strata:
            return f"not trained on: its stratum, {value['stratum']}, is not taken"
        gone = self.left_out.get(value["id"])
        what = "source" if gone is not None and gone.code == "include.withdrawn" else "pair"
        return TAKEN if gone is None else f"not trained on: {gone.code}, because of the {what} {gone.because}"

    def check_pairs(self) -> None:
        """Refuse rows that are not those that were included.

        Raises:
            InputError: `evidence.altered`.
        """
        path = self.pack.folder / PAIRS_NAME
        problem = file_problem(path, self.pack.manifest.evidence[PAIRS_NAME])
        if problem is not None:
            raise InputError("evidence.altered", f"the pairs of {self.name} are {problem}", where=str(path),
                             why=f"the corpus {self.included.content_root} was included as it was frozen",
                             fix=f"see all of it: hrmbuild verify {self.pack.folder}; then restore the folder",
                             )  # fmt: skip

    def named(self) -> dict[str, Any]:
        """What `--json` says of it."""
        return {
            "name": self.name, "content_root": self.included.content_root,
            "manifest_sha256": self.included.manifest_sha256, "folder": str(self.pack.folder),
        }  # fmt: skip


def bases(project: Project | None, folder: Path, manifest: Manifest) -> Iterator[Base | InputError]:
    """Every include of a manifest in its order: at hand, or why it is not."""
    at_hand, names = included_folders(project, manifest), told_names(manifest.includes or ())
    for one in manifest.includes or ():
        try:
            if one.content_root not in at_hand:
                raise not_at_hand(project, manifest, one)
            at = at_hand[one.content_root]
            check_same(at, one)
            yield Base(names[one.content_root], one, FrozenPack(manifest_folder(at), read_manifest(at)), folder)
        except InputError as error:
            yield error


def bases_at_hand(project: Project | None, folder: Path, manifest: Manifest) -> list[Base]:
    """Every include.

    Raises:
        InputError: `include.missing`, `include.altered`, `manifest.*`: of the first that is not at hand.
    """
    found = list(bases(project, folder, manifest))
    for one in found:
        if isinstance(one, InputError):
            raise one
    return [one for one in found if isinstance(one, Base)]


def base_named(project: Project | None, folder: Path, manifest: Manifest, name: str) -> Base:
    """The include of this name, or whose root begins so.

    Raises:
        UsageError: `audit.no_base`.
        InputError: as `bases_at_hand`.
    """
    includes = manifest.includes or ()
    names = told_names(includes)
    for number, one in enumerate(includes):
        if names[one.content_root] == name or (len(name) >= 6 and one.content_root.startswith(name)):
            found = list(bases(project, folder, manifest))[number]
            if isinstance(found, InputError):
                raise found
            return found
    told = ", ".join(f"{names[one.content_root]} ({one.content_root[:12]})" for one in includes)
    raise UsageError("audit.no_base", f"this manifest includes no {name!r}", where="--base",
                     fix=f"it includes: {told}" if told else "it includes nothing: leave --base out")  # fmt: skip


def find_trained(project: Project | None, pack: FrozenPack, key: str) -> tuple[Base | None, EvidenceRow]:
    """The row whose id or salted leaf begins so: an own one, else one of an include, that which is trained on first.

    Raises:
        UsageError: `audit.bad_pair`, `audit.several_pairs`.
        InputError: `audit.no_pair`, `evidence.unreadable`, or why an include that may hold it is not at hand.
    """
    digits = pair_digits(key)
    if not pack.manifest.includes or rows_of(pack, digits):
        return None, find_pair(pack, key)
    found: list[tuple[Base, EvidenceRow]] = []
    missing: list[InputError] = []
    for base in bases(project, pack.folder, pack.manifest):
        if isinstance(base, InputError):
            missing.append(base)
        else:
            found += [(base, evidence.row_at(base.pack.folder, *place)) for place in rows_of(base.pack, digits)]
    if len({row.id for _, row in found}) > 1:
        raise UsageError("audit.several_pairs", f"{len(found)} included pairs begin with {digits}", where="PAIR",
                         fix="give more digits")  # fmt: skip
    if found:
        taken = [(base, row) for base, row in found if base.fate(row.value) == TAKEN]
        return (taken or found)[0]
    if missing:
        raise missing[0]
    raise InputError("audit.no_pair", f"no pair of this manifest and of its includes begins with {digits}",
                     where=", ".join(str(one) for one in (pack.folder, *_places(project, pack.manifest))),
                     why="neither an id nor a salted leaf does",
                     fix="name another manifest with --manifest, or look the id up in audit_pairs")  # fmt: skip


def _places(project: Project | None, manifest: Manifest) -> list[Path]:
    return list(include_places(project, manifest).values())


def included_source(manifest: Manifest, thing: str) -> tuple[IncludedManifest, IncludedSource] | None:
    """The included source of this path (`base-mix: a.jsonl`, or the path alone) or beginning of a SHA-256."""
    names = told_names(manifest.includes or ())
    of_path: list[tuple[IncludedManifest, IncludedSource]] = []
    for one in manifest.includes or ():
        for source in one.sources:
            path, sha256 = source.source.path, source.source.sha256
            if thing == f"{names[one.content_root]}: {path}" or (len(thing) >= 6 and sha256.startswith(thing.lower())):
                return one, source
            of_path += [(one, source)] if path == thing else []
    return of_path[0] if of_path else None

"""`hrmbuild audit trace`: from a pair, a source, a run or a package to all that it hangs together with.

Owns following the links, both ways, inside one project and the corpora that it includes: pair, occurrence, source,
template, query or rule inputs, manifest, run, package. Words of a source are read again from the file where its bytes
are those that were frozen, and shown after the recorded masks; texts above the label that may be shown are left out,
their places are not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hrmbuild.assets import asset_folder
from hrmbuild.audit import evidence
from hrmbuild.audit.evidence import EvidenceRow
from hrmbuild.audit.manifest import load_manifest_bytes, read_manifest
from hrmbuild.audit.shown_text import numbers_of
from hrmbuild.config.loading import Project
from hrmbuild.errors import HrmbuildError, InputError
from hrmbuild.fingerprint import hash_file, sha256_hex
from hrmbuild.packaging.verify import read_package_manifest
from hrmbuild.pipelines.audit_pairs import FrozenPack, frozen_pack, shown_labels
from hrmbuild.pipelines.base_pairs import TAKEN, Base, bases, find_trained, included_source
from hrmbuild.pipelines.freeze_manifest import code_of
from hrmbuild.pipelines.frozen_corpus import frozen_folder
from hrmbuild.pipelines.manifests import all_manifests
from hrmbuild.pipelines.pack_facts import source_rows
from hrmbuild.pipelines.source_checks import words_again
from hrmbuild.pipelines.trace_step import trace_run
from hrmbuild.records.included import IncludedManifest, IncludedSource
from hrmbuild.records.locator import Locator
from hrmbuild.records.manifest import Manifest, SourceEntry
from hrmbuild.records.pair import SPLITS
from hrmbuild.training.run_folder import RunFolder

_SHA256 = re.compile(r"[0-9a-f]{6,64}")
SHOWN_PAIRS = 20
"""Pairs of a source that are named; all are counted."""


@dataclass(frozen=True)
class Trace:
    """What was found; a plain value of nested dictionaries, as `--json` prints it."""

    kind: str
    """`pair`, `source`, `run` or `package`."""
    found: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """The keys of `audit trace --json`."""
        return {"kind": self.kind, **self.found}


def trace(
    project: Project,
    thing: str,
    *,
    manifest: Path | None = None,
    step: int | None = None,
    show_label: str | None = None,
    role: str | None = None,
) -> Trace:
    """Follow a pair (id, salted leaf, six digits or more of either), a source (path or SHA-256), a run or a package
    (folders). Pairs and sources are own ones, or ones of an included corpus.

    Args:
        step: of a run: tell the pairs that it showed.

    Raises:
        UsageError, InputError: as `frozen_pack`, `find_trained` and `shown_labels`; `package.*` of a package,
            `trace.*` of a run; `include.*` where an include is needed and not at hand.
    """
    if (Path(thing) / "corpus-manifest.json").is_file():
        return Trace("package", _package(project, Path(thing)))
    if (Path(thing) / "run.json").is_file():
        return Trace("run", trace_run(project, Path(thing), step=step))
    pack = frozen_pack(project, manifest)
    shown = shown_labels(pack.manifest, show_label=show_label, role=role, project=project)
    entry = _source_entry(pack.manifest, thing)
    if entry is not None:
        return Trace("source", _source(project, pack, entry, shown))
    included = included_source(pack.manifest, thing)
    if included is not None:
        return Trace("source", _included_source(project, pack, *included, shown))
    base, row = find_trained(project, pack, thing)
    return Trace("pair", _pair(project, pack, row, shown, base))


def _source_entry(manifest: Manifest, thing: str) -> SourceEntry | None:
    by_path = [entry for entry in manifest.sources if entry.source.path == thing]
    digits = thing.lower()
    by_hash = [entry for entry in manifest.sources if entry.source.sha256.startswith(digits)]
    found = by_path or (by_hash if _SHA256.fullmatch(digits) else [])
    return found[0] if found else None


# --- a pair --------------------


def _pair(
    project: Project, pack: FrozenPack, row: EvidenceRow, shown: frozenset[str], base: Base | None
) -> dict[str, Any]:
    value = row.value
    manifest = pack.manifest if base is None else base.pack.manifest
    sources = project.folder if base is None else _sources_beside(base)
    readable = value["label"] in shown
    told = {name: value[name] for name in ("id", "split", "label", "condition", "derivation", "book", "stratum")}
    told |= {"leaf": row.salted_leaf, "question": value["kind"], "axis": value.get("axis"), "shown": readable}
    told |= {"tokens": [row.instruction_tokens, row.response_tokens]}
    if readable:
        told |= {name: value[name] for name in ("instruction", "response", "answer")}
    names = _names_of_templates(project)
    occurrences = [_occurrence(sources, manifest, value, one, readable) for one in value["occurrences"]]
    told |= {"base": None if base is None else {**base.named(), "fate": base.fate(value)}}
    return {
        **told,
        "also_in": [] if base is not None else list(_also_in(project, pack, row)),
        "occurrences": [{**one, "template": names.get(one["template_sha256"])} for one in occurrences],
        "gates": [_gate(gate) for gate in manifest.gates],
        **_descendants(project, [one for one in all_manifests(project) if _trains_on(project, one, row, base)]),
    }  # fmt: skip


def _sources_beside(base: Base) -> Path:
    """Where sources of a base lie, where they are at hand: beside the `manifests` folder of its project."""
    return base.pack.folder.resolve().parent.parent


def _also_in(project: Project, pack: FrozenPack, row: EvidenceRow) -> Iterator[dict[str, Any]]:
    """Includes at hand that hold the same pair."""
    for base in bases(project, pack.folder, pack.manifest):
        places = list(evidence.find_places(base.pack.folder, "id", row.id)) if isinstance(base, Base) else []
        if isinstance(base, Base) and places:
            there = evidence.row_at(base.pack.folder, *places[0])
            yield {**base.named(), "fate": base.fate(there.value)}


def _trains_on(project: Project, folder: Path, row: EvidenceRow, base: Base | None) -> bool:
    """Whether a manifest holds an own pair, or takes that of a base."""
    if base is None:
        return _holds(folder, row.id)
    try:
        taken = [one for one in bases(project, folder, read_manifest(folder)) if isinstance(one, Base)]
        root = base.included.content_root
        return any(one.included.content_root == root and one.fate(row.value) == TAKEN for one in taken)
    except InputError:
        return False  # `verify` says what is wrong with it


def _gate(gate: Any) -> str:
    thresholds = ", ".join(f"{name} {value}" for name, value in sorted(gate.thresholds.items()))
    return f"{gate.name} ({thresholds})" if thresholds else gate.name


def _occurrence(
    sources: Path, manifest: Manifest, value: dict[str, Any], one: dict[str, Any], readable: bool
) -> dict[str, Any]:
    entries = [entry.source for entry in manifest.sources if entry.source.sha256 == one["source_sha256"]]
    locator, inputs = Locator.model_validate(one["locator"]), one.get("inputs") or {}
    quotes = value["derivation"] in ("quoted", "absent") and locator.char_from is not None
    again = words_again(entries, locator, inputs, folder=sources)
    told: dict[str, Any] = {
        "source_sha256": one["source_sha256"], "paths": [source.path for source in entries],
        "declared": [_declared(source) for source in entries], "template_sha256": one["template_sha256"],
        "locator": one["locator"] if readable else numbers_of(one["locator"]),
        "file": again.file, "stands": again.words == one["text"] if quotes and again.words is not None else None,
    }  # fmt: skip
    if readable:
        told |= {"text": one["text"], "query": one.get("query"), "inputs": inputs, "place": str(locator)}
        told |= {"text_again": again.words if quotes else None}
    return told


def _declared(source: Any) -> dict[str, Any]:
    names = ("owner", "license", "label", "declared_by", "effective_from", "effective_until", "format")
    return {name: getattr(source, name) for name in names if getattr(source, name) is not None}


def _names_of_templates(project: Project) -> dict[str, str]:
    """Name of each template by its SHA-256: the project's own, and those of this release."""
    folders = [asset_folder("templates")]
    folders += [project.config_path.parent / project.config.templates] if project.config.templates else []
    files = [(folder, path) for folder in folders for path in sorted(folder.rglob("*.j2"))]
    return {hash_file(path): path.relative_to(folder).as_posix() for folder, path in files}


# --- a source --------------------


def _source(project: Project, pack: FrozenPack, entry: SourceEntry, shown: frozenset[str]) -> dict[str, Any]:
    folders = [folder for folder in all_manifests(project) if _names(folder, entry.source.sha256)]
    return {**_of_source(entry, pack.folder, shown), "base": None, **_descendants(project, folders)}


def _of_source(entry: SourceEntry, folder: Path, shown: frozenset[str]) -> dict[str, Any]:
    """What a manifest and its rows say of a file; a message about it may quote it."""
    source, rows = entry.source, source_rows(folder, entry.source.sha256, n_shown=SHOWN_PAIRS)
    return {
        "path": source.path, "sha256": source.sha256, "declared": _declared(source), "status": entry.status,
        "reason": entry.reason if source.label in shown else entry.reason and code_of(entry.reason),
        "records": entry.records, "made": entry.made, "kept": entry.kept,
        "rejected": entry.rejected, "reasons": entry.reasons, "n_pairs": sum(rows.by_split.values()),
        "splits": {split: rows.by_split.get(split, 0) for split in SPLITS}, "questions": rows.by_kind,
        "also_from_others": rows.n_shared, "pairs": rows.first,
    }  # fmt: skip


def _included_source(
    project: Project, pack: FrozenPack, included: IncludedManifest, source: IncludedSource, shown: frozenset[str]
) -> dict[str, Any]:
    """A file of an include, as the base's own manifest and rows tell it.

    Raises:
        InputError: why the include is not at hand.
    """
    [found] = [one for one, told in zip(bases(project, pack.folder, pack.manifest), pack.manifest.includes or (),
                                        strict=True) if told == included]  # fmt: skip
    if isinstance(found, InputError):
        raise found
    entries = [one for one in found.pack.manifest.sources if one.source.sha256 == source.source.sha256]
    base = {**found.named(), "trained_on": source.count.pairs}
    folders = [folder for folder in all_manifests(project) if _names(folder, source.source.sha256)]
    return {**_of_source(entries[0], found.pack.folder, shown), "base": base, **_descendants(project, folders)}


# --- a package, and what hangs on manifests --------------------


def _package(project: Project, folder: Path) -> dict[str, Any]:
    manifest = read_package_manifest(folder)
    try:
        frozen = frozen_folder(project, manifest.corpus_manifest_sha256)
    except InputError:
        frozen = None
    corpus = read_manifest(frozen) if frozen is not None else None
    counts = _counts(corpus) if corpus is not None else {}
    sources = [
        {"path": source.path, "sha256": source.sha256, **_declared(source), "pairs": counts[source.sha256]}
        for source in (corpus.trained_sources if corpus is not None else ())
    ]
    return {
        "package": str(folder), "name": manifest.name, "version": manifest.version, "label": manifest.label,
        "content_root": manifest.content_root, "corpus_content_root": manifest.corpus_content_root,
        "corpus_manifest_sha256": manifest.corpus_manifest_sha256,
        "splits": {split: count.pairs for split, count in corpus.splits.items()} if corpus is not None else None,
        "includes": [_short(one) for one in (corpus.includes or () if corpus is not None else ())],
        "sources": sources, **_descendants(project, [frozen] if frozen is not None else []),
    }  # fmt: skip


def _counts(manifest: Manifest) -> dict[str, int]:
    """Pairs by the SHA-256 of the file, own ones and included ones."""
    counts = {entry.source.sha256: entry.count.pairs for entry in reversed(manifest.sources)}
    for one in manifest.includes or ():
        for entry in one.sources:
            counts[entry.source.sha256] = counts.get(entry.source.sha256, 0) + entry.count.pairs
    return counts


def _short(one: IncludedManifest) -> dict[str, Any]:
    return {
        "name": one.name, "content_root": one.content_root, "manifest_sha256": one.manifest_sha256,
        "lineage": one.lineage, "taken": one.taken.pairs, "left_out": dict(one.left_out),
    }  # fmt: skip


def _descendants(project: Project, folders: list[Path]) -> dict[str, Any]:
    """Manifests with their runs and packages."""
    hashes = {sha256_hex(load_manifest_bytes(folder)): folder for folder in folders}
    runs = [name for name, sha256 in _runs(project) if sha256 in hashes]
    packages = [name for name, sha256 in _packages(project) if sha256 in hashes]
    manifests = [{"folder": folder.name, "sha256": sha256} for sha256, folder in hashes.items()]
    return {"manifests": manifests, "runs": runs, "packages": packages}


def _runs(project: Project) -> Iterator[tuple[str, str]]:
    for path in sorted(project.runs_folder.glob("*/run.json")):
        try:
            record = RunFolder(path.parent).record()
        except HrmbuildError:
            continue  # `verify` says what is wrong with it
        if record is not None:
            yield path.parent.name, record.manifest_sha256


def _packages(project: Project) -> Iterator[tuple[str, str]]:
    for path in sorted(project.packages_folder.glob("*/corpus-manifest.json")):
        try:
            yield path.parent.name, read_package_manifest(path.parent).corpus_manifest_sha256
        except HrmbuildError:
            continue


def _holds(folder: Path, pair_id: str) -> bool:
    try:
        return any(evidence.find_places(folder, "id", pair_id))
    except InputError:
        return False


def _names(folder: Path, source_sha256: str) -> bool:
    return source_sha256.encode() in load_manifest_bytes(folder)

"""`hrmbuild audit export`: the pairs of a manifest for other programs, with a data card; nothing above a label.

Owns which pairs go out and what is said beside them. The folder appears by rename when it is complete; equal inputs
give equal bytes; the project's log tells of it. Files: one a split, one an included corpus where these are asked for,
`README.md`, `export.json`, `croissant.json`.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hrmbuild.assets import asset_folder
from hrmbuild.audit import evidence, log
from hrmbuild.audit.croissant import croissant
from hrmbuild.audit.export_files import COLUMNS, FORMATS, export_row, write_export
from hrmbuild.audit.pack_checks import file_problem
from hrmbuild.config.loading import Project
from hrmbuild.errors import AnswerIsNoError, InputError, UsageError
from hrmbuild.files import disk_errors, rename_folder
from hrmbuild.fingerprint import canonical_json, hash_file
from hrmbuild.pairs.environment import Templates
from hrmbuild.pipelines.audit_pairs import FrozenPack, frozen_pack, shown_labels
from hrmbuild.pipelines.base_pairs import TAKEN, Base, bases_at_hand
from hrmbuild.pipelines.keys import now
from hrmbuild.records.included import told_names
from hrmbuild.records.manifest import Manifest
from hrmbuild.records.pair import SPLITS

CARD_NAME, FACTS_NAME, CROISSANT_NAME = "README.md", "export.json", "croissant.json"
_TEMPLATE = "export/card.md.j2"
_MEANINGS = {
    "quoted": "the answer is quoted from the source",
    "queried": "the answer is the result of a query over the rows shown",
    "evaluated": "the answer is what the rules give for the case",
    "absent": "the deciding text was taken away: the answer says what is missing",
    "imported": "the pair was there already",
    "written_by_person": "a person wrote or edited it",
    "written_by_model": "a language model wrote it",
}


@dataclass
class ExportReport:
    """What went out."""

    folder: Path
    form: str
    manifest_sha256: str
    label: str
    """Highest label of any pair in the files."""
    max_label: str
    left_out: dict[str, int]
    """Pairs by label that are above it."""
    files: list[dict[str, Any]]
    includes: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """Included corpora: `name`, `content_root`, `pairs` that are trained on, `file` (None where it did not go out)."""

    @property
    def n_pairs(self) -> int:
        """Pairs in the files."""
        return sum(one["pairs"] for one in self.files)

    def facts(self) -> dict[str, Any]:
        """What `export.json` holds: no clock, no path of the machine."""
        names = ("form", "manifest_sha256", "label", "max_label", "left_out", "files")
        told: dict[str, Any] = {"format": 1, **{name: getattr(self, name) for name in names}}
        return told | ({"includes": self.includes} if self.includes else {})

    def as_dict(self) -> dict[str, Any]:
        """The keys of `audit export --json`."""
        return {"out": str(self.folder), "pairs": self.n_pairs, **self.facts()}


@dataclass
class _Tally:
    """What is counted while rows go by."""

    left_out: Counter[str] = field(default_factory=Counter[str])
    labels: set[str] = field(default_factory=set[str])
    kinds: Counter[str] = field(default_factory=Counter[str])
    derivations: Counter[str] = field(default_factory=Counter[str])
    sources: Counter[str] = field(default_factory=Counter[str])
    filled: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    """Columns that hold a value in some row, by file."""

    def noted(self, name: str, rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """The rows of a file, while they go by."""
        filled = self.filled.setdefault(name, set())
        for row in rows:
            if len(filled) < len(row):
                filled.update(column for column, value in row.items() if value is not None)
            yield row

    def admits(self, value: Mapping[str, Any], shown: frozenset[str]) -> bool:
        """Whether a row may go out; it is counted either way."""
        if value["label"] not in shown:
            self.left_out[value["label"]] += 1
            return False
        self.labels.add(value["label"])
        self.kinds[value["kind"]] += 1
        self.derivations[value["derivation"]] += 1
        self.sources.update({one["source_sha256"] for one in value["occurrences"]})
        return True


def export(  # noqa: PLR0913 - one argument for each option of the command
    project: Project | None,
    *,
    out: Path,
    form: str = "parquet",
    manifest: Path | None = None,
    max_label: str | None = None,
    role: str | None = None,
    with_croissant: bool = False,
    with_bases: bool = False,
) -> ExportReport:
    """Export the pairs of a manifest up to a label.

    Args:
        with_bases: also the pairs of included corpora that are trained on, a file each.

    Raises:
        UsageError: `audit.unknown_format`, `audit.export_exists`, `audit.unknown_label`, `audit.unknown_role`.
        InputError: `manifest.*`, `evidence.*`, `disk.*`; `include.*`: an included corpus is not at hand.
        AnswerIsNoError: `audit.nothing_to_export`: every pair is above the label.
    """
    if form not in FORMATS:
        raise UsageError("audit.unknown_format", f"{form!r} is no format of exports", where="--format",
                         fix=f"take one of {', '.join(FORMATS)}")  # fmt: skip
    pack = frozen_pack(project, manifest)
    shown = shown_labels(pack.manifest, show_label=max_label, role=role, project=project, flag="--max-label")
    _check_pairs(pack)
    found = bases_at_hand(project, pack.folder, pack.manifest) if with_bases else []
    for base in found:
        base.check_pairs()
    _check_place(out)
    incomplete = out.with_name(f".{out.name}.incomplete")
    with disk_errors(out):
        shutil.rmtree(incomplete, ignore_errors=True)
        incomplete.mkdir(parents=True, mode=0o700)
        try:
            report = _write(pack, found, incomplete, out, form=form, shown=shown, with_croissant=with_croissant)
            if out.exists():
                out.rmdir()
            rename_folder(incomplete, out)
        finally:
            shutil.rmtree(incomplete, ignore_errors=True)
    if project is not None:
        facts = {"manifest_sha256": pack.sha256, "label": report.label, "name": out.name, "form": form}
        log.append(project.work / log.LOG_NAME, "export", hash_file(out / FACTS_NAME), at=now(), facts=facts)
    return report


def _check_pairs(pack: FrozenPack) -> None:
    problem = file_problem(pack.folder / evidence.PAIRS_NAME, pack.manifest.evidence.get(evidence.PAIRS_NAME, ""))
    if problem is not None:
        raise InputError("evidence.altered", f"the pairs are {problem}", where=str(pack.folder / evidence.PAIRS_NAME),
                         fix=f"restore the folder: hrmbuild verify {pack.folder} names all that is wrong")  # fmt: skip


def _check_place(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError("audit.export_exists", "this place holds something already", where=f"--out {out}",
                         why="an export is never written over another", fix="name a new folder")  # fmt: skip


def _write(
    pack: FrozenPack,
    found: Sequence[Base],
    folder: Path,
    out: Path,
    *,
    form: str,
    shown: frozenset[str],
    with_croissant: bool,
) -> ExportReport:
    tally, labels = _Tally(), pack.manifest.labels or (pack.manifest.label,)
    files: list[dict[str, Any]] = []
    rows = {split: _rows(pack, split, shown, tally) for split in SPLITS}
    rows |= {f"base_{number}": _base_rows(base, shown, tally) for number, base in enumerate(found, start=1)}
    for part, told in rows.items():
        name = f"{part}.{form}"
        n = write_export(folder / name, tally.noted(name, told), form=form)
        files.append({"name": name, "pairs": n, "sha256": hash_file(folder / name)})
    if not tally.labels:
        lowest = min(tally.left_out, key=labels.index) if tally.left_out else pack.manifest.label
        raise AnswerIsNoError("audit.nothing_to_export", "every pair is above the label that may go out",
                              where=f"--max-label {max(shown, key=labels.index)}",
                              fix=f"say --max-label {lowest} if they may go out")  # fmt: skip
    report = ExportReport(
        out, form, pack.sha256, label=max(tally.labels, key=labels.index), max_label=max(shown, key=labels.index),
        left_out={label: tally.left_out[label] for label in _in_order(labels, tally.left_out)}, files=files,
        includes=list(_includes(pack.manifest, [one["name"] for one in files[len(SPLITS):]])),
    )  # fmt: skip
    (folder / FACTS_NAME).write_bytes(canonical_json(report.facts()) + b"\n")
    (folder / CARD_NAME).write_text(_card(pack, report, tally), encoding="utf-8")
    if with_croissant:
        told = croissant(pack.manifest, report.facts(), manifest_sha256=pack.sha256, filled=tally.filled)
        (folder / CROISSANT_NAME).write_text(told, encoding="utf-8")
    return report


def _in_order(labels: Sequence[str], found: Iterable[str]) -> list[str]:
    """Labels lowest first; those of an included corpus that are not declared here are the last."""
    return sorted(found, key=lambda label: (labels.index(label) if label in labels else len(labels), label))


def _includes(manifest: Manifest, files: Sequence[str]) -> Iterator[dict[str, Any]]:
    names = told_names(manifest.includes or ())
    for number, one in enumerate(manifest.includes or ()):
        yield {"name": names[one.content_root], "content_root": one.content_root, "pairs": one.taken.pairs,
               "file": files[number] if number < len(files) else None}  # fmt: skip


def _rows(pack: FrozenPack, split: Any, shown: frozenset[str], tally: _Tally) -> Iterator[dict[str, Any]]:
    paths = {entry.source.sha256: entry.source.path for entry in reversed(pack.manifest.sources)}
    for row in evidence.read_evidence(pack.folder, split):
        value = row.value
        if tally.admits(value, shown):
            yield export_row(row, value, paths)


def _base_rows(base: Base, shown: frozenset[str], tally: _Tally) -> Iterator[dict[str, Any]]:
    """Rows of an included corpus that are trained on; their leaves stand in its own roots."""
    paths = {entry.source.sha256: f"{base.name}: {entry.source.path}" for entry in reversed(base.pack.manifest.sources)}
    for row in evidence.read_evidence(base.pack.folder, "train"):
        value = row.value
        if base.fate(value) == TAKEN and tally.admits(value, shown):
            yield export_row(row, value, paths)


def _card(pack: FrozenPack, report: ExportReport, tally: _Tally) -> str:
    manifest = pack.manifest
    sources = [
        {"path": _cell(source.path), "owner": _cell(source.owner or ""), "label": source.label,
         "license": _cell(source.license or ""), "pairs": tally.sources[source.sha256]}
        for source in manifest.trained_sources if tally.sources[source.sha256]
    ]  # fmt: skip
    derivations = [
        {"name": name, "pairs": n, "meaning": _MEANINGS[name]} for name, n in sorted(tally.derivations.items())
    ]
    return Templates([asset_folder("templates")]).render(
        _TEMPLATE, title=_cell(manifest.name), content_root=manifest.content_root, lineage=_cell(manifest.lineage),
        n_pairs=report.n_pairs, form=report.form, label=report.label, max_label=report.max_label,
        left_out=report.left_out, files=report.files,
        includes=[{**one, "name": _cell(one["name"])} for one in report.includes],
        manifest_sha256=report.manifest_sha256, sources=sources,
        derivations=derivations, kinds={_cell(kind): tally.kinds[kind] for kind in sorted(tally.kinds)},
        columns=COLUMNS, gates=[gate.name for gate in manifest.gates],
        made=sum(entry.made for entry in manifest.sources), rejected=sum(entry.rejected for entry in manifest.sources),
    ) + "\n"  # fmt: skip


def _cell(text: str) -> str:
    """Words of others in a table of Markdown: one line, no column of their own, no mark-up."""
    flat = " ".join(text.split())
    return "".join(f"\\{char}" if char in "\\|`*_[]<>#" else char for char in flat)

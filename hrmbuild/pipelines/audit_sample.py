"""`hrmbuild audit sample`: pairs that an auditor's nonce draws, and what the auditor found in them.

Owns the draw from a pack, the form for marks and its reading back. A form is CSV with the columns `leaf`, `error` (yes
or no) and `note`; `source` and `place` are for the reader.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hrmbuild.audit.evidence import PAIRS_NAME
from hrmbuild.audit.report_input import ReportInput, Sample
from hrmbuild.audit.report_sample import sample_section
from hrmbuild.audit.sample import sample_root
from hrmbuild.audit.shown_text import Clearance, clearance, visible
from hrmbuild.config.loading import Project
from hrmbuild.errors import InputError, UsageError
from hrmbuild.files import write_atomic
from hrmbuild.pipelines.audit_inputs import Frozen, find_frozen
from hrmbuild.pipelines.base_pairs import Base, base_named
from hrmbuild.pipelines.pack_facts import Drawn, check_pack, draw, draw_taken
from hrmbuild.records.included import told_names
from hrmbuild.records.manifest import INCLUDED_LEFT_OUT_NAME

N_DRAWN = 50
_COLUMNS = ("leaf", "source", "place", "error", "note")
_YES, _NO = frozenset({"yes", "y", "1", "x", "true"}), frozenset({"no", "n", "0", "false"})
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class SampleReport:
    """A drawn sample."""

    value: dict[str, Any]
    label: str
    """Highest label of what is shown."""
    form: Path | None = None
    """Where the form was written."""

    def as_dict(self) -> dict[str, Any]:
        """The keys of `audit sample --json`."""
        return {"label": self.label, **self.value, "form": str(self.form) if self.form else None}


@dataclass(frozen=True)
class SampleRequest:
    """What is drawn, and what was found in it."""

    nonce: str
    n: int = N_DRAWN
    errors: int | None = None
    marked: Path | None = None
    base: str | None = None
    """Draw from the rows of this included corpus that are trained on; None: from the manifest's own rows."""


def audit_sample(
    path: Path | None, request: SampleRequest, *, project: Project | None, show_label: str | None = None,
    form: Path | None = None,
) -> SampleReport:  # fmt: skip
    """Draw a sample.

    Raises:
        UsageError: `audit.no_nonce`, `audit.errors`, `audit.unknown_label`, `audit.no_pack`, `audit.no_base`,
            `audit.form_there`.
        InputError: `manifest.*`, `evidence.*`, `audit.marks`; `include.*`: the included corpus is not at hand.
    """
    if form is not None and form.exists():
        raise UsageError("audit.form_there", "this form is there already", where=str(form),
                         why="marks that somebody made in it would be lost",
                         fix="name another file, or move this one away")  # fmt: skip
    frozen = find_frozen(path, project)
    allowed = clearance(frozen.manifest.labels, show_label)
    base = _base(frozen, request, project)
    sample = draw_sample(frozen, request, allowed, base)
    value = sample_section(_only_sample(frozen if base is None else _frozen(base), sample, allowed))
    assert value is not None
    value |= {"base": None if base is None else base.named(), "not_drawn_from": _not_drawn_from(frozen, base)}
    label = allowed.highest({pair["label"] for pair in value["pairs"] if pair["shown"]})
    if form is not None:
        write_atomic(form, _form(value))
    return SampleReport(value, label, form)


def _base(frozen: Frozen, request: SampleRequest, project: Project | None) -> Base | None:
    if request.base is None:
        return None
    if frozen.folder is None:
        raise _no_pack(frozen)
    return base_named(project, frozen.folder, frozen.manifest, request.base)


def _frozen(base: Base) -> Frozen:
    """An included corpus in the place of the manifest: the sample hangs on its own roots."""
    return Frozen(base.pack.manifest, base.pack.sha256, base.pack.folder, base.name)


def _not_drawn_from(frozen: Frozen, base: Base | None) -> dict[str, int]:
    """Included corpora whose rows are trained on too, with how many: this sample says nothing of them."""
    includes = frozen.manifest.includes or ()
    names = told_names(includes)
    return {names[one.content_root]: one.taken.pairs for one in includes if base is None or one != base.included}


def _no_pack(frozen: Frozen) -> UsageError:
    return UsageError("audit.no_pack", "the evidence pack of this manifest is not at hand", where=frozen.name,
                      fix="name the manifest's folder, or type the command in its project")  # fmt: skip


def _drawn(frozen: Frozen, request: SampleRequest, base: Base | None) -> list[Drawn]:
    if frozen.folder is None:
        raise _no_pack(frozen)
    if base is None:
        check_pack(frozen.folder, frozen.manifest, PAIRS_NAME)
        return draw(frozen.folder, root=sample_root(frozen.manifest), nonce=request.nonce, n=request.n)
    base.check_pairs()
    check_pack(frozen.folder, frozen.manifest, INCLUDED_LEFT_OUT_NAME)
    return draw_taken(base.pack.folder, root=sample_root(base.pack.manifest), nonce=request.nonce, n=request.n,
                      gone=sorted(base.left_out), strata=base.included.strata)  # fmt: skip


def draw_sample(frozen: Frozen, request: SampleRequest, allowed: Clearance, base: Base | None = None) -> Sample:
    """The pairs, with the auditor's errors or marks checked against them."""
    if not request.nonce.strip():
        raise UsageError("audit.no_nonce", "the nonce is empty", where="--nonce",
                         fix="take words that nobody could foresee when the manifest was frozen")  # fmt: skip
    drawn = _drawn(frozen, request, base)
    of = base.included.taken.pairs if base is not None else None
    sample = Sample(request.nonce, request.n, tuple((one.leaf, one.row) for one in drawn), of=of)
    readable = {leaf for leaf, row in sample.rows if allowed.allows(row["label"])}
    if request.marked is not None:
        marks = _marks(request.marked, readable)
        return replace(sample, marks=marks, n_errors=sum(error for error, _ in marks.values()))
    if request.errors is not None and not 0 <= request.errors <= len(readable):
        raise UsageError("audit.errors", f"{request.errors} errors of {len(readable)} pairs that are shown",
                         where="--errors", fix="count the pairs that are wrong among those shown")  # fmt: skip
    return replace(sample, n_errors=request.errors)


def _only_sample(frozen: Frozen, sample: Sample, allowed: Clearance) -> ReportInput:
    return ReportInput(
        manifest=frozen.manifest, manifest_sha256=frozen.sha256, clearance=allowed, folder_name=frozen.name,
        facts=None, rejections=None, decisions=None, approval=None, log=None, trust=None, signature=(), diff=None,
        sample=sample, model=None,
    )  # fmt: skip


def _form(value: dict[str, Any]) -> bytes:
    """Shown pairs, a line each, nothing marked; a cell that a spreadsheet would compute is text."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    for pair in value["pairs"]:
        if pair["shown"]:
            first = pair["evidence"][0]
            writer.writerow([pair["leaf"], _cell(first["source"] or ""), _cell(first["place"]), "", ""])
    return text.getvalue().encode()


def _cell(text: str) -> str:
    told = visible(text)
    return f"'{told}" if told.startswith(_FORMULA) else told


def _marks(path: Path, readable: set[str]) -> dict[str, tuple[bool, str]]:
    """Every shown pair must be marked: who leaves out the doubtful ones finds no errors."""
    try:
        rows = list(csv.DictReader(io.StringIO(path.read_text("utf-8-sig"), newline="")))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        told = error.strerror if isinstance(error, OSError) else "it is no CSV in UTF-8"
        raise InputError("audit.marks", f"the marks cannot be read: {told}", where=str(path),
                         fix="fill in the form that --form FILE.csv writes") from error  # fmt: skip
    marks: dict[str, tuple[bool, str]] = {}
    problems: list[str] = []
    for number, row in enumerate(rows, start=2):
        leaf, told = (row.get("leaf") or "").strip(), (row.get("error") or "").strip().lower()
        if leaf not in readable:
            problems.append(f"line {number}: no pair of this sample that is shown")
        elif told not in _YES | _NO:
            problems.append(f"line {number}: error is {told!r}, not yes or no")
        else:
            marks[leaf] = (told in _YES, (row.get("note") or "").strip())
    missing = len(readable - marks.keys())
    problems += [f"{missing} of {len(readable)} shown pairs are not marked"] if missing and not problems else []
    if problems:
        raise InputError("audit.marks", "; ".join(problems[:5]), where=str(path),
                         why="a bound on errors needs each pair of the sample, with yes or no",
                         fix="fill in the form of --form FILE.csv, with the same --nonce and --show-label")  # fmt: skip
    return marks

"""`hrmbuild audit report`: all that a manifest, its pack, the decisions and the log say, as one page and one object.

Owns gathering. What is told stands in `audit.report`; how it looks in `audit_report_html`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hrmbuild.audit.checks import Check
from hrmbuild.audit.decisions import DECISIONS_NAME, read
from hrmbuild.audit.evidence import PAIRS_NAME, REJECTIONS_NAME, read_rejections
from hrmbuild.audit.manifest import load_manifest_bytes
from hrmbuild.audit.manifest_signature import manifest_signature_checks
from hrmbuild.audit.report import report_value
from hrmbuild.audit.report_input import ReportInput
from hrmbuild.audit.shown_text import clearance
from hrmbuild.audit.trust import Trust
from hrmbuild.config.loading import Project
from hrmbuild.errors import HrmbuildError, UsageError
from hrmbuild.pipelines.approvals import manifest_approval
from hrmbuild.pipelines.audit_diff import diff_of
from hrmbuild.pipelines.audit_inputs import Frozen, find_frozen, log_of, previous_folder, trust_of
from hrmbuild.pipelines.audit_report_html import render
from hrmbuild.pipelines.audit_sample import SampleRequest, draw_sample
from hrmbuild.pipelines.included_conflicts import included_conflicts
from hrmbuild.pipelines.includes import included_folders
from hrmbuild.pipelines.pack_facts import check_pack, pack_facts

REPORTS_FOLDER = "reports"


@dataclass(frozen=True)
class AuditReport:
    """The report."""

    value: dict[str, Any]
    written: Path | None
    """The page."""

    def as_dict(self) -> dict[str, Any]:
        """The keys of `audit report --json`."""
        return {**self.value, "written": str(self.written) if self.written else None}


@dataclass(frozen=True)
class ReportRequest:
    """What is told."""

    sample: SampleRequest | None = None
    since: Path | None = None
    """Compare with this manifest; absent: with the one before, by the log."""
    show_label: str | None = None
    trust: Path | None = None


def audit_report(
    path: Path | None, request: ReportRequest, *, project: Project | None, out: Path | None = None, page: bool = True
) -> AuditReport:
    """Gather, and write the page.

    Args:
        out: the page's file; absent: `reports/audit-ROOT-LABEL.html` in the project's folder.
        page: whether a page is written where `out` is absent.

    Raises:
        UsageError: `audit.*`.
        InputError: `manifest.*`, `evidence.*`, `decisions.unreadable`, `log.unreadable`, `disk.*`.
    """
    frozen = find_frozen(path, project)
    value = report_value(_gathered(frozen, request, project))
    target = out or (_place(frozen, project, label=value["label"]) if page else None)
    if target is not None:
        _check_target(target)
        render(value, target)
    return AuditReport(value, target)


def _gathered(frozen: Frozen, request: ReportRequest, project: Project | None) -> ReportInput:
    manifest, folder = frozen.manifest, frozen.folder
    allowed = clearance(manifest.labels, request.show_label)
    trust = trust_of(request.trust, project)
    if folder is not None:
        check_pack(folder, manifest, PAIRS_NAME, REJECTIONS_NAME)
    return ReportInput(
        manifest=manifest,
        manifest_sha256=frozen.sha256,
        clearance=allowed,
        folder_name=frozen.name,
        facts=pack_facts(folder) if folder is not None else None,
        rejections=read_rejections(folder) if folder is not None else None,
        decisions=read(project.work / DECISIONS_NAME) if project is not None else None,
        approval=_approval(project, folder),
        log=log_of(project),
        trust=trust,
        signature=_signature(frozen, trust),
        diff=_diff(frozen, request.since, project),
        sample=draw_sample(frozen, request.sample, allowed) if request.sample is not None else None,
        model=_model(project),
        included_conflicts=tuple(included_conflicts(project, folder, manifest)) if folder is not None else (),
        bases_at_hand=frozenset(included_folders(project, manifest)),
    )


def _approval(project: Project | None, folder: Path | None) -> Mapping[str, Any] | None:
    """How the manifest stands; what hinders an answer is the answer."""
    if project is None or folder is None:
        return None
    try:
        return manifest_approval(project, folder).as_dict()
    except HrmbuildError as error:
        return {"ok": False, "approved_by": [], "rejected_by": [], "awaited": [error.what], "not_counted": []}


def _signature(frozen: Frozen, trust: Trust | None) -> tuple[Check, ...]:
    if frozen.folder is None:
        return ()
    data = load_manifest_bytes(frozen.folder)
    return tuple(manifest_signature_checks(frozen.folder, frozen.manifest, data, trust=trust))


def _diff(frozen: Frozen, since: Path | None, project: Project | None) -> dict[str, Any] | None:
    before = since or (previous_folder(frozen, project) if project is not None else None)
    return None if before is None else diff_of(find_frozen(before, project), frozen)


def _model(project: Project | None) -> dict[str, str] | None:
    card = project.config.model if project is not None else None
    return None if card is None else {name: str(value) for name, value in card.model_dump().items()}


def _place(frozen: Frozen, project: Project | None, *, label: str) -> Path:
    """The label stands in the file's name too: who passes it on sees it."""
    word = "".join(char if char.isalnum() else "-" for char in label)
    name = f"audit-{frozen.manifest.content_root[:12]}-{word}.html"
    return project.work / REPORTS_FOLDER / name if project is not None else Path(name)


def _check_target(path: Path) -> None:
    if path.is_dir():
        raise UsageError("audit.report_place", "this is a folder", where=str(path), fix="name an .html file")

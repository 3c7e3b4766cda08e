"""`approve`, `reject`, `release` and `rejections`: what persons decide, and what waits for them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hrmbuild.cli.keys import KeyOption, ask_secret
from hrmbuild.cli.options import ConfigOption, WorkOption, project_of
from hrmbuild.cli.output import JsonFlag, emit, visible
from hrmbuild.cli.render_review import approval_lines

if TYPE_CHECKING:
    from hrmbuild.config.loading import Project
    from hrmbuild.pipelines.decide import DecisionsReport
    from hrmbuild.pipelines.deciders import Stated
    from hrmbuild.pipelines.rejections import ListedRejection, RejectionsReport
    from hrmbuild.records.decision import Decision

ReasonOption = Annotated[str, typer.Option("--reason", metavar="R", help="Why, in one sentence.")]
RoleOption = Annotated[str | None, typer.Option("--role", metavar="ROLE", help="As whom: compliance, data owner.")]
PersonOption = Annotated[str | None, typer.Option("--person", metavar="NAME", help="Who decides; needs --key.")]
Digests = Annotated[
    list[str], typer.Argument(metavar="DIGEST…", help="A manifest's folder, a source's path, or a digest (8 digits).")
]
KindOption = Annotated[
    Literal["source", "sample", "manifest", "run", "package", "rejection"] | None,
    typer.Option("--kind", help="What the digests are of; needed for a sample, run or package."),
]


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command(short_help="Record a signed approval of a manifest, source or sample.")(approve)
    app.command(short_help="Record that a manifest, source or held pair is rejected.")(reject)
    app.command(short_help="Let a refused or held pair into the next ingest.")(release)
    app.command(short_help="List what was turned down, with the digest to release.")(rejections)


def approve(
    digests: Digests, reason: ReasonOption, role: RoleOption = None, person: PersonOption = None,
    kind: KindOption = None, key: KeyOption = None, config: ConfigOption = None, work: WorkOption = None,
    as_json: JsonFlag = False,
) -> None:  # fmt: skip
    """A signed decision that somebody stands for what has this digest; it lapses when the digest changes."""
    from hrmbuild.pipelines.decide import decide

    project = project_of(config, None, work)
    _show(project, decide(project, "approve", digests, _stated(reason, role, person, key), kind=kind), as_json=as_json)


def reject(
    digests: Digests, reason: ReasonOption, role: RoleOption = None, person: PersonOption = None,
    kind: KindOption = None, key: KeyOption = None, config: ConfigOption = None, work: WorkOption = None,
    as_json: JsonFlag = False,
) -> None:  # fmt: skip
    """A signed decision against it: train refuses the manifest, ingest keeps the source or the held pair out."""
    from hrmbuild.pipelines.decide import decide

    project = project_of(config, None, work)
    _show(project, decide(project, "reject", digests, _stated(reason, role, person, key), kind=kind), as_json=as_json)


def release(
    digests: Annotated[list[str], typer.Argument(metavar="DIGEST…", help="As hrmbuild rejections lists them.")],
    reason: ReasonOption, role: RoleOption = None, person: PersonOption = None, key: KeyOption = None,
    config: ConfigOption = None, work: WorkOption = None, as_json: JsonFlag = False,
) -> None:  # fmt: skip
    """A signed decision that a refused or held pair may enter the corpus; the next ingest lets it in."""
    from hrmbuild.pipelines.decide import release as run

    project = project_of(config, None, work)
    _show(project, run(project, digests, _stated(reason, role, person, key)), as_json=as_json, ingest=True)


def rejections(
    code: Annotated[str | None, typer.Option("--code", metavar="C", help="Only this reason.")] = None,
    source: Annotated[str | None, typer.Option("--source", metavar="P", help="Only this source's path.")] = None,
    held: Annotated[bool, typer.Option("--held", help="Only what waits for a decision.")] = False,
    show_label: Annotated[
        str | None, typer.Option("--show-label", metavar="L", help="Show texts up to this label; default: the lowest.")
    ] = None,
    as_role: Annotated[
        str | None, typer.Option("--role", metavar="R", help="Show what this role may read.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=0, max=10**6, metavar="N", help="Rows at most.")] = 20,
    config: ConfigOption = None, work: WorkOption = None, as_json: JsonFlag = False,
) -> None:  # fmt: skip
    """What was turned down or is held: reason, place, text where it may be shown, and the digest to release."""
    from hrmbuild.pipelines.rejections import rejections as run

    project = project_of(config, None, work)
    report = run(project, code=code, source=source, held=held, show_label=show_label, role=as_role, limit=limit)
    emit(report, rejection_lines(report), as_json=as_json)


def _stated(reason: str, role: str | None, person: str | None, key: Path | None) -> Stated:
    from hrmbuild.pipelines.deciders import Stated

    return Stated(reason, role, person, key, ask_secret)


def _show(project: Project, report: DecisionsReport, *, as_json: bool, ingest: bool = False) -> None:
    lines = [
        f"{one.decision.action:<9} {one.decision.subject.kind} {one.decision.subject.sha256[:12]} "
        f"{visible(one.decision.subject.name or '')}  by {visible(one.decision.person)}"
        for one in report.recorded
    ]
    concerns_ingest = ingest or any(one.decision.subject.kind in ("source", "rejection") for one in report.recorded)
    lines += ["", "it takes effect with the next: hrmbuild ingest"] if concerns_ingest else []
    if project.config.approvals is None and any(_approves_a_manifest(one.decision) for one in report.recorded):
        lines += ["", "no setting demands it (approvals: {manifest: 2}), so train waits for nobody"]
    lines += [line for one in report.approvals for line in ["", *approval_lines(one)]]
    emit(report, lines, as_json=as_json)
    if any(one.keyid is None for one in report.recorded):
        print("nobody signed this (--key K): it counts for nothing where approvals are demanded", file=sys.stderr)


def _approves_a_manifest(decision: Decision) -> bool:
    return decision.action == "approve" and decision.subject.kind == "manifest"


def rejection_lines(report: RejectionsReport) -> list[str]:
    """A block each, then the counts."""
    lines = [line for one in report.rows for line in _block(one)]
    more = report.total - len(report.rows)
    lines += [f"… and {more:,} more (--limit, --code, --source)", ""] if more else []
    lines += [f"  {code}  {n:,}" for code, n in report.by_code.items()]
    if not report.total:
        return ["nothing of that kind was turned down"]
    hint = ["", 'let one in: hrmbuild release DIGEST --reason "…" --key K']
    return [*lines, *(hint if any(one.releasable for one in report.rows) else [])]


def _block(one: ListedRejection) -> list[str]:
    state = "held" if one.held else "rejected"
    note = "" if one.releasable else "  (cannot be released)"
    text = [f"   {visible(' '.join(one.text.split()))[:200]}"] if one.text is not None else []
    return [f"{one.digest[:12]}  {state}  {one.code}{note}", f"   {visible(one.path)}, {one.place}: "
            f"{visible(one.detail)}", *text, ""]  # fmt: skip

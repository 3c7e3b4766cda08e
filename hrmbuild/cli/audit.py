"""`audit`: the auditor's drawer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hrmbuild.cli import audit_drawer, audit_report, corpus, withdraw
from hrmbuild.cli.options import ConfigOption, WorkOption, project_of
from hrmbuild.cli.output import JsonFlag, TerminalProgress, emit, visible

if TYPE_CHECKING:
    from hrmbuild.pipelines.audit_log import LogReport
    from hrmbuild.pipelines.replay import ReplayReport


def register(app: typer.Typer) -> None:
    """Add this group."""
    group = typer.Typer(help="The auditor's drawer.", no_args_is_help=True, rich_markup_mode=None)
    group.command("replay", short_help="Train some steps of a run again and compare.")(replay)
    group.command("verify", short_help="The same as hrmbuild verify.")(corpus.verify)
    audit_report.register(group)
    audit_drawer.register(group)
    group.command("log", short_help="The chain of what was frozen and decided, and where it breaks.")(log)
    group.command("absence", short_help="What shows that a withdrawn source is not in the manifest.")(withdraw.absence)
    group.command("erase", short_help="The texts of a withdrawn source, out of all that can be reached.")(
        withdraw.erase
    )
    app.add_typer(group, name="audit")


def log(config: ConfigOption = None, work: WorkOption = None, as_json: JsonFlag = False) -> None:
    """The chain of what was frozen, packaged and decided; says where it breaks (and exits with 1)."""
    from hrmbuild.pipelines.audit_log import audit_log

    report = audit_log(project_of(config, None, work))
    emit(report, log_lines(report), as_json=as_json)
    if not report.ok:
        raise typer.Exit(1)


def log_lines(report: LogReport) -> list[str]:
    """A line for each entry, then whether the chain holds."""
    lines: list[str] = []
    for one in report.entries:
        lines.append(f"{one.entry.n:>4}  {one.entry.at}  {one.entry.event:<13} {one.entry.sha256[:12]}")
        if one.decision is not None:
            told = one.decision.decision
            about = f"{told.subject.kind} {told.subject.sha256[:12]} {visible(told.subject.name or '')}".rstrip()
            lines.append(f"      {about}, by {visible(told.person)}: {visible(told.reason)}")
    lines += [f"BROKEN  {visible(told)}" for told in report.problems]
    whole = f"{len(report.entries):,} entries, each chained to the one before; head {report.head}"
    return [*lines, *([] if report.problems else [whole])]


def replay(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder.")],
    nonce: Annotated[
        str, typer.Option("--nonce", metavar="N", help="Any text that nobody could foresee when the run ended.")
    ],
    steps: Annotated[int, typer.Option("--steps", min=1, max=10**9, metavar="N", help="Updates to make again.")] = 20,
    config: ConfigOption = None,
    work: WorkOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Train some steps of a run again, from a checkpoint that the nonce picks, and compare each with its record."""
    from hrmbuild.pipelines.replay import replay as again

    progress = TerminalProgress()
    report = again(project_of(config, None, work), run, nonce=nonce, steps=steps, progress=progress)
    progress.close()
    emit(report, replay_lines(report), as_json=as_json)
    if not report.ok:
        raise typer.Exit(1)


def replay_lines(report: ReplayReport) -> list[str]:
    """What was done again, whether it came to the same, and how much that says."""
    begin = f"the checkpoint of step {report.start:,}" if report.start else "the weights as they were drawn"
    lines = [f"steps {report.start + 1:,} to {report.end:,} of {report.run}, from {begin}", ""]
    lines += [f"  {one}" for one in report.different_steps[:10]]
    if len(report.different_steps) > 10:
        lines.append(f"  and {len(report.different_steps) - 10:,} more")
    if report.unlike_machine:
        lines.append(f"not the machine that trained ({'; '.join(report.unlike_machine)}): bits may differ")
        lines.append(f"largest difference of a loss: {report.largest_difference:.1e} (allowed {report.tolerance:.0e})")
    if report.weights is not None:
        lines.append(
            f"weights after step {report.end:,}: " + ("those of the checkpoint" if report.weights else "OTHERS")
        )
    elif report.ok:
        lines.append(f"the run keeps no checkpoint of step {report.end:,}: losses and gradients vouch for the weights")
    told = "ok" if report.ok else "NOT THE SAME"
    if report.ok and not report.unlike_machine:
        told = "ok, equal to the last bit"
    return [*lines, f"replay: {told}"]

"""`withdraw`: what was made of a source, and the decision that nothing more is made of it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from hrmbuild.cli.decisions import PersonOption, ReasonOption, RoleOption
from hrmbuild.cli.keys import KeyOption, ask_secret
from hrmbuild.cli.options import ConfigOption, WorkOption, project_of
from hrmbuild.cli.output import JsonFlag, emit, visible

if TYPE_CHECKING:
    from hrmbuild.pipelines.withdraw import WithdrawReport

SourceArgument = Annotated[
    str, typer.Argument(metavar="SOURCE", help="Its path as ingest shows it, or 8 digits of its SHA-256.")
]
_SHOWN = 10


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(short_help="List everything made from a source; with --yes, withdraw it.")(withdraw)


def withdraw(
    source: SourceArgument, reason: ReasonOption,
    yes: Annotated[bool, typer.Option("--yes", help="Record it; without this nothing changes.")] = False,
    role: RoleOption = None, person: PersonOption = None, key: KeyOption = None, config: ConfigOption = None,
    work: WorkOption = None, as_json: JsonFlag = False,
) -> None:  # fmt: skip
    """Pairs, manifests, runs, packages and exports made from a source; the next ingest keeps it and near copies out."""
    from hrmbuild.pipelines.decide import Stated
    from hrmbuild.pipelines.withdraw import withdraw as run

    stated = Stated(reason, role, person, key, ask_secret)
    report = run(project_of(config, None, work), source, stated, yes=yes)
    emit(report, withdraw_lines(report), as_json=as_json)
    if yes and key is None:
        print("nobody signed this (--key K): it counts for nothing where approvals are demanded", file=sys.stderr)


def withdraw_lines(report: WithdrawReport) -> list[str]:
    """What goes, what stays and by whom, what came of it, what nobody here can reach, and what comes next."""
    kept = [f"              {one.pair[:12]} by {visible(', '.join(one.others))}" for one in report.kept_by_others]
    manifests = [f"{one['folder']} ({one['pairs']:,} pairs)" for one in report.manifests]
    lines = [
        f"source        {report.source[:12]}  {visible(', '.join(report.paths))}",
        f"pairs         {len(report.pairs):,} go with the next ingest",
        *_some([f"              {one[:12]}" for one in report.pairs]),
        f"stay          {len(kept):,} that another source supports",
        *_some(kept),
        f"manifests     {', '.join(manifests) or 'none'}",
        f"runs          {', '.join(report.runs) or 'none'}",
        f"packages      {', '.join(report.packages) or 'none'}",
        f"exports       {', '.join(visible(one['name']) for one in report.exports) or 'none'}",
        _costs(report), "", "out of reach:",
        *(f"  {one}" for one in report.out_of_reach), *(["", *map(visible, report.notes)] if report.notes else []),
    ]  # fmt: skip
    return [*lines, "", _next(report)]


def _some(lines: list[str]) -> list[str]:
    more = len(lines) - _SHOWN
    return lines[:_SHOWN] + ([f"              and {more:,} more (--json names all)"] if more > 0 else [])


def _costs(report: WithdrawReport) -> str:
    costs = report.costs
    price = "" if costs.usd is None else f", ${costs.usd:,.2f}"
    took = f"{costs.gpu_hours:,.2f} hours{price}: training again takes about as much" if costs.runs else "nothing"
    return f"retraining    {costs.runs} runs took {took}" if costs.runs else "retraining    nothing was trained on it"


def _next(report: WithdrawReport) -> str:
    if not report.recorded:
        return "nothing was changed; say --yes to withdraw it"
    return "withdrawn; it takes effect with: hrmbuild ingest, then freeze and train again"

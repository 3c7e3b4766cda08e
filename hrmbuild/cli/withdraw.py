"""`withdraw`, `hold`, `due`, `audit erase`: what was made of a source, and the decisions that end it."""

from __future__ import annotations

import datetime as dt
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from hrmbuild.cli.decisions import PersonOption, ReasonOption, RoleOption
from hrmbuild.cli.keys import KeyOption, ask_secret
from hrmbuild.cli.options import ConfigOption, WorkOption, project_of
from hrmbuild.cli.output import JsonFlag, emit, visible
from hrmbuild.errors import UsageError

if TYPE_CHECKING:
    from hrmbuild.pipelines.due import DueSource
    from hrmbuild.pipelines.erase import EraseReport
    from hrmbuild.pipelines.withdraw import WithdrawReport

SourceArgument = Annotated[
    str, typer.Argument(metavar="SOURCE", help="Its path as ingest shows it, or 8 digits of its SHA-256.")
]
_SHOWN = 10


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(short_help="List everything made from a source; with --yes, withdraw it.")(withdraw)
    app.command(short_help="A legal hold over a source: nothing of it is erased; --release ends it.")(hold)
    app.command(short_help="Sources past their retain_until, what was made of them, and the next command.")(due)


def withdraw(
    source: SourceArgument, reason: ReasonOption,
    yes: Annotated[bool, typer.Option("--yes", help="Record it; without this nothing changes.")] = False,
    role: RoleOption = None, person: PersonOption = None, key: KeyOption = None, config: ConfigOption = None,
    work: WorkOption = None, as_json: JsonFlag = False,
) -> None:  # fmt: skip
    """Pairs, manifests, runs, packages and exports made from a source; the next ingest keeps it and near copies out."""
    from hrmbuild.pipelines.deciders import Stated
    from hrmbuild.pipelines.withdraw import withdraw as run

    stated = Stated(reason, role, person, key, ask_secret)
    report = run(project_of(config, None, work), source, stated, yes=yes)
    emit(report, withdraw_lines(report), as_json=as_json)
    if yes and key is None:
        print("nobody signed this (--key K): it counts for nothing where approvals are demanded", file=sys.stderr)


def hold(
    source: SourceArgument, reason: ReasonOption,
    release: Annotated[bool, typer.Option("--release", help="End the hold.")] = False,
    role: RoleOption = None, person: PersonOption = None, key: KeyOption = None, config: ConfigOption = None,
    work: WorkOption = None, as_json: JsonFlag = False,
) -> None:  # fmt: skip
    """A recorded hold over a source: while it stands, audit erase refuses it."""
    from hrmbuild.pipelines.deciders import Stated
    from hrmbuild.pipelines.erase import hold as run

    report = run(project_of(config, None, work), source, Stated(reason, role, person, key, ask_secret), release=release)
    told = "the hold ends" if release else "held: nothing of it is erased until the hold ends"
    emit(report, [f"{report.sha256[:12]}  {visible(', '.join(report.paths))}: {told}"], as_json=as_json)


def due(
    on: Annotated[str | None, typer.Option("--on", metavar="DATE", help="As of this day; default: today.")] = None,
    config: ConfigOption = None, work: WorkOption = None, as_json: JsonFlag = False,
) -> None:  # fmt: skip
    """Sources whose `retain_until` has passed, with pairs, manifests, runs and packages; changes nothing."""
    from hrmbuild.pipelines.due import due as run

    report = run(project_of(config, None, work), _day(on))
    lines = [line for one in report.due for line in _due_lines(one)] or [f"nothing is due on {report.on}"]
    emit(report, [*lines, *([f"next day: {report.upcoming}"] if report.upcoming else [])], as_json=as_json)


def _day(told: str | None) -> dt.date:
    try:
        return dt.date.fromisoformat(told) if told else dt.datetime.now(dt.UTC).date()
    except ValueError:
        raise UsageError("due.no_date", f"{told} is no day", where="--on", fix="write it as 2027-01-31") from None


def _due_lines(one: DueSource) -> list[str]:
    made = [f"{one.pairs:,} pairs"] if one.pairs else []
    made += [f"{word} {', '.join(names)}" for word, names in
             (("manifests", one.manifests), ("runs", one.runs), ("packages", one.packages)) if names]  # fmt: skip
    return [
        f"{one.retain_until}  {one.state:<9}  {one.source[:12]}  {visible(one.path)}",
        f"            made of it: {visible('; '.join(made)) or 'nothing'}", f"            next: {visible(one.next)}",
    ]  # fmt: skip


def erase(
    source: SourceArgument, reason: ReasonOption,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; it cannot be taken back.")] = False,
    role: RoleOption = None, person: PersonOption = None, key: KeyOption = None, config: ConfigOption = None,
    work: WorkOption = None, as_json: JsonFlag = False,
) -> None:  # fmt: skip
    """The texts of a withdrawn source out of sources, corpus, packs, edits and caches; leaves stay, so roots verify."""
    from hrmbuild.pipelines.deciders import Stated
    from hrmbuild.pipelines.erase import erase as run

    stated = Stated(reason, role, person, key, ask_secret)
    report = run(project_of(config, None, work), source, stated, yes=yes)
    emit(report, erase_lines(report), as_json=as_json)


def absence(
    source: SourceArgument, config: ConfigOption = None, work: WorkOption = None, as_json: JsonFlag = False
) -> None:  # fmt: skip
    """Neighbours of its hash in the sorted tree of the manifest's sources, and a recorded search of all texts."""
    from hrmbuild.pipelines.audit_absence import absence as run

    report = run(project_of(config, None, work), source)
    sides = [f"  {one['index']:>6}  {one['sha256']}" for one in report.neighbours]
    texts = ", ".join(f"{n:,} of the {where}" for where, n in report.searched.items())
    lines = [
        f"source        {report.source}", f"manifest      {report.manifest_sha256[:12]}, {report.n_sources:,} sources",
        f"root          {report.root}", "neighbours in the sorted tree:", *sides,
        f"searched      texts: {texts}; {report.fingerprints:,} runs of eight words; {len(report.hits):,} hits",
        *(f"  hit in {one[:12]}" for one in report.hits[:_SHOWN]),
        "absent, and nothing was found" if report.ok else "NOT SHOWN to be absent",
    ]  # fmt: skip
    emit(report, lines, as_json=as_json)
    if not report.ok:
        raise typer.Exit(1)


def erase_lines(report: EraseReport) -> list[str]:
    """What went, and what nobody here can reach."""
    packs = [f"{name} ({n:,} rows)" for name, n in report.manifests.items()]
    return [
        f"source        {report.source[:12]}  {visible(', '.join(report.paths))}",
        f"files         {visible(', '.join(report.files)) or 'none'}",
        f"packs         {', '.join(packs) or 'none'}",
        f"edits         {report.edits:,}",
        f"caches        {visible(', '.join(report.removed)) or 'none'}", "", "out of reach:",
        *(f"  {visible(one)}" for one in report.out_of_reach), "",
        "erased" if report.done else "nothing was changed; say --yes (with --key K) to erase it",
    ]  # fmt: skip


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
    if not costs.runs:
        return "retraining    nothing was trained on it"
    runs = "1 run" if costs.runs == 1 else f"{costs.runs} runs"
    return f"retraining    {runs} took {costs.gpu_hours:,.2f} hours{price}: training again takes about as much"


def _next(report: WithdrawReport) -> str:
    if not report.recorded:
        return "nothing was changed; say --yes to withdraw it"
    return "withdrawn; it takes effect with: hrmbuild ingest, then freeze and train again"

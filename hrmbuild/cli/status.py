"""`status`: where a run stands, from another shell."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hrmbuild.cli.options import ConfigOption, WorkOption, project_of
from hrmbuild.cli.output import JsonFlag, emit, table, visible
from hrmbuild.cli.render import here
from hrmbuild.cli.render_review import approval_lines, review_facts
from hrmbuild.pipelines.progress import duration

if TYPE_CHECKING:
    from hrmbuild.pipelines.status import RunStatus, StatusReport

_STATES = {
    "running": "running",
    "finished": "finished",
    "interrupted": "interrupted, its state is saved",
    "failed": "stopped by an error",
    "dead": "dead: its process ended without a word (killed, or the machine went down)",
    "not_started": "not started: no step was made yet",
}


def register(app: typer.Typer) -> None:
    """Add this group's command."""
    app.command(short_help="Where a run stands: step, loss, time left, cost.")(status)


def status(
    run: Annotated[
        Path | None,
        typer.Argument(metavar="[RUN]", help="A run's folder, or its name under runs/; default: the newest."),
    ] = None,
    config: ConfigOption = None,
    work: WorkOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Where a run stands, while it trains or after: step, loss, rate, time left, last checkpoint, cost so far."""
    from hrmbuild.config.loading import find_config
    from hrmbuild.pipelines.status import status as look

    needed = run is None or config is not None or work is not None or find_config(Path.cwd()) is not None
    project = project_of(config, None, work) if needed else None
    report = look(project, run=run)
    emit(report, status_lines(report), as_json=as_json)


def status_lines(report: StatusReport) -> list[str]:
    """What is known, a line each; then the other runs."""
    if report.run is None:
        return ["no run has begun yet; start one with: hrmbuild train", *_corpus_lines(report)]
    lines = [*_run_lines(report.run), *_corpus_lines(report)]
    if report.others:
        rows = [(Path(one.run).name, one.state.replace("_", " "), _steps(one)) for one in report.others]
        lines += ["", *table(["other runs", "state", "step"], rows)]
    return lines


def _corpus_lines(report: StatusReport) -> list[str]:
    """What was decided about the corpus behind it all, pair by pair and as a whole."""
    reviewed = review_facts(report.manifest) if report.manifest is not None else []
    gone = [f"withdrawn     {visible(one)} stands in the current manifest" for one in report.withdrawn]
    return [*_approval_lines(report), *([""] if reviewed else []), *reviewed, *gone]


def _approval_lines(report: StatusReport) -> list[str]:
    return [] if report.approval is None else ["", *approval_lines(report.approval)]


def _run_lines(run: RunStatus) -> list[str]:
    lines = [f"run           {here(Path(run.run))}" + (f" ({run.preset})" if run.preset else "")]
    lines += [f"state         {_STATES[run.state]}" + (f": {run.why}" if run.why else "")]
    share = f" ({run.step / run.total_steps:.1%})" if run.total_steps else ""
    age = f", the last one {duration(run.last_step_age_s)} ago" if run.last_step_age_s is not None else ""
    lines += [f"step          {_steps(run)}{share}{age}"]
    lines += [f"time left     {duration(run.seconds_left)}"] if run.seconds_left is not None else []
    if run.loss is not None:
        lines += [f"loss          {run.loss:.4f}", f"held out      {_held_out(run)}", f"rate          {_rate(run)}"]
        lines += [f"k, lr         {run.k}, {run.lr:.3g}"]
    saved = f"{run.checkpoint}, {duration(run.checkpoint_age_s or 0)} ago" if run.checkpoint else "none yet"
    lines += [f"checkpoint    {saved}"]
    lines += [f"time so far   {duration(run.elapsed_s)} in {_sessions(run)}"] if run.elapsed_s is not None else []
    cost = "no price is known; set hardware.usd_per_hour" if run.cost_usd is None else f"${run.cost_usd:,.2f}"
    lines += [f"cost so far   {cost}"] if run.sessions else []
    return [*lines, *_next(run)]


def _steps(run: RunStatus) -> str:
    return f"{run.step:,}" + (f" of {run.total_steps:,}" if run.total_steps else "")


def _held_out(run: RunStatus) -> str:
    if run.dev is None:
        return "not evaluated yet"
    exact = "" if run.dev.exact is None else f", exact {run.dev.exact:.1%} of {run.dev.n_pairs}"
    return f"{run.dev.loss:.4f}{exact}, at step {run.dev_step:,}"


def _rate(run: RunStatus) -> str:
    parts = [f"{run.tokens_per_s:,.0f} tokens/s"] if run.tokens_per_s is not None else []
    parts += [f"MFU {run.mfu:.1%}"] if run.mfu is not None else []
    parts += [f"GPU memory at most {run.peak_mib / 1024:.1f} GiB"] if run.peak_mib is not None else []
    return ", ".join(parts) or "unknown"


def _sessions(run: RunStatus) -> str:
    return "one session" if run.sessions == 1 else f"{run.sessions} sessions"


def _next(run: RunStatus) -> list[str]:
    if run.state in ("interrupted", "dead", "failed"):
        return ["", f"go on with: hrmbuild train --resume --out {here(Path(run.run))}"]
    return []

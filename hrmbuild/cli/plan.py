"""`plan`, `ledger` and `doctor`: what a training would take, what every run took, what this machine can do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hrmbuild.cli.options import AcceptOption, ConfigOption, SourcesOption, StepsOption, WorkOption, project_of
from hrmbuild.cli.output import JsonFlag, emit, table
from hrmbuild.config.loading import find_config
from hrmbuild.errors import UsageError

if TYPE_CHECKING:
    from hrmbuild.pipelines.doctor import DoctorReport
    from hrmbuild.pipelines.ledger_entries import LedgerEntry, LedgerReport
    from hrmbuild.pipelines.plan import PlanReport


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command(short_help="Tokens, memory, days, cost and energy of a training.")(plan)
    app.command(short_help="What every run really cost, failed and killed ones too.")(ledger)
    app.command(short_help="What this machine can do, and what training would lack.")(doctor)


def plan(
    manifest: Annotated[
        Path | None, typer.Option("--manifest", metavar="DIR", help="Default: the newest of the project.")
    ] = None,
    tokens: Annotated[
        float | None, typer.Option("--tokens", help="Plan for so many tokens, repeats counted; reads no manifest.")
    ] = None,
    preset: Annotated[str | None, typer.Option("--preset", help="Size of the model, over the settings.")] = None,
    arch: Annotated[str | None, typer.Option("--arch", help="hrm, or a baseline: transformer, trm, ut, rins.")] = None,
    steps: StepsOption = None,
    epochs: Annotated[float | None, typer.Option("--epochs", help="Passes over the corpus, over the settings.")] = None,
    gpus: Annotated[int, typer.Option("--gpus", min=1, max=100_000, help="Ranks, one a GPU.")] = 1,
    gpu_type: Annotated[
        str | None,
        typer.Option("--gpu-type", metavar="T", help="H100, A100, L40S, RTX-4090, CPU, …; default: this one."),
    ] = None,
    accept_insufficient: AcceptOption = None,
    config: ConfigOption = None,
    sources: SourcesOption = None,
    work: WorkOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Tokens, steps, operations, memory, days, cost and energy of a training; 1 where the corpus cannot carry it."""
    from hrmbuild.pipelines.plan import Wish
    from hrmbuild.pipelines.plan import plan as run

    if (tokens is not None and not 1 <= tokens < 1e15) or (epochs is not None and not 0 < epochs < 1e6):
        raise UsageError("usage.arguments", "this number of tokens or epochs plans nothing", where="hrmbuild plan",
                         fix="give a number above 0, e.g. --tokens 60e9")  # fmt: skip
    has_project = config is not None or find_config(Path.cwd()) is not None
    project = project_of(config, sources, work) if has_project else None
    wish = Wish(preset, arch, steps, epochs, tokens, gpus, gpu_type, accept_insufficient)
    report = run(project, wish, manifest=manifest)
    emit(report, plan_lines(report), as_json=as_json)
    if report.error is not None:
        typer.echo(f"error: {report.error}", err=True)
        raise typer.Exit(report.error.exit_status)


def plan_lines(report: PlanReport) -> list[str]:
    """The plan for a person."""
    shown = report.as_dict()
    rows = [
        ("model", f"{shown['preset']} ({shown['arch']}), {shown['parameters']:,} weights"),
        (
            "tokens",
            f"{shown['tokens']:,} in {shown['steps']:,} steps of {shown['batch_tokens']:,} = {shown['epochs']:.2f} "
            f"epochs of {shown['epoch_tokens']:,} ({shown['counts_from']})",
        ),
        ("compute", f"{shown['flops']:.3g} FLOPs; a token costs {_per_token(report)}"),
        ("speed", _speed(report)),
        ("time", _time(report)),
        ("cost", _cost(report)),
        ("energy", _energy(report)),
        ("ranks", _ranks(report)),
        ("corpus", report.sufficiency.words()),
    ]
    lines = [f"{name:<9}{text}" for name, text in rows if text]
    return [*lines, "", *_memory_lines(report), *(f"warning  {text}" for text in report.warnings)]


def _per_token(report: PlanReport) -> str:
    return ", ".join(f"{value / 1e9:.3g} GFLOP at k={k}" for k, value in report.flops_by_k.items())


def _speed(report: PlanReport) -> str:
    if report.speed is None:
        return "unknown"
    rate = f"{report.speed.flops_per_s / 1e12:.3g} TFLOP/s a device"
    share = f" = {report.speed.mfu:.1%} of its {report.gpu.peak_tflops:g}" if report.speed.mfu is not None else ""
    return f"{rate}{share}; {report.speed.source}"


def _time(report: PlanReport) -> str:
    if report.seconds is None:
        return "unknown"
    hours = report.seconds / 3600
    small = f"{report.seconds / 60:,.1f} minutes" if report.seconds >= 60 else f"{report.seconds:,.1f} seconds"
    words = f"{hours:,.1f} hours" if hours >= 1 else small
    days = f" = {hours / 24:,.1f} days" if hours >= 48 else ""
    published = report.as_dict()["published"]
    beside = (
        f"; published: {published['hours']:g} hours on {published['gpus']} {published['gpu']} for "
        f"{published['tokens'] / 1e9:g} billion tokens, ${published['usd']:,.0f}"
        if published
        else ""
    )
    device = "this processor" if report.gpu.is_cpu else f"{report.n_gpus} x {report.gpu.name}"
    return f"{words}{days} on {device}, evaluations and checkpoints on top{beside}"


def _cost(report: PlanReport) -> str:
    if report.cost_usd is None or report.gpu_hours is None:
        return ""
    what = "machine-hours" if report.gpu.is_cpu else "GPU-hours"
    cost = f"{report.cost_usd:,.2f}" if report.cost_usd >= 1 else f"{report.cost_usd:.2g}"
    return f"${cost} for {report.gpu_hours:,.3g} {what} at ${report.gpu.usd_per_hour:.2f}"


def _energy(report: PlanReport) -> str:
    return (
        f"{report.energy_kwh:,.3g} kWh ({report.as_dict()['energy_method']})" if report.energy_kwh is not None else ""
    )


def _ranks(report: PlanReport) -> str:
    bins = f"{report.shape.bins} bins of {report.shape.bin_tokens:,} tokens a step"
    if report.nearest_gpus is not None:
        return f"{bins}; {report.n_gpus} do not divide it, {report.nearest_gpus} do"
    return f"{bins}, {report.shape.bins // report.n_gpus} for each of {report.n_gpus}"


def _memory_lines(report: PlanReport) -> list[str]:
    parts = report.memory.as_gib()
    whole = "" if report.sharding == "none" else f", {report.sharding}"
    unit, factor = ("GiB", 1) if parts["total"] >= 1 else ("MiB", 1024)
    rows = [(name.replace("_", " "), f"{value * factor:,.2f}") for name, value in parts.items() if value]
    size = "" if report.gpu.memory_gib is None else f" of {report.gpu.memory_gib * factor:,g}"
    lines = table([f"memory of a rank{whole}", f"{unit}{size}"], rows)
    if report.largest_micro is not None:
        lines.append(
            f"largest micro-batch that fits: {report.largest_micro:,} tokens; planned: {report.micro_tokens:,}"
        )
    return [*lines, ""]


def ledger(
    config: ConfigOption = None,
    work: WorkOption = None,
    as_json: JsonFlag = False,
) -> None:
    """What every run really cost: failed, interrupted and killed ones, evaluations and packagings included."""
    from hrmbuild.pipelines.ledger import Ledger
    from hrmbuild.pipelines.ledger_entries import LedgerReport as Report

    found = Ledger(project_of(config, None, work))
    report = Report(found.path, found.entries())
    emit(report, ledger_lines(report), as_json=as_json)


def ledger_lines(report: LedgerReport) -> list[str]:
    """A row an entry, then the sum."""
    if not report.entries:
        return ["nothing was run in this project yet"]
    header = ["began", "what", "outcome", "on", "steps", "tokens", "hours", "TFLOP/s", "MFU", "USD", "kWh"]
    rows = [_entry_cells(entry) for entry in report.entries]
    total = report.as_dict()["total"]
    usd = "cost unknown (set hardware.usd_per_hour)" if total["usd"] is None else f"${total['usd']:,.4g}"
    energy = "" if total["energy_kwh"] is None else f", {total['energy_kwh']:,.3g} kWh at most"
    return [*table(header, rows), "", f"in all {total['gpu_hours']:,.3f} device-hours, {usd}{energy}"]


def _entry_cells(entry: LedgerEntry) -> list[str]:
    shown, opened = entry.as_dict(), entry.opened
    outcome = f"{entry.outcome} ({shown['code']})" if shown.get("code") else entry.outcome
    return [
        opened.at[:16].replace("T", " "),
        f"{opened.kind} {opened.subject}",
        outcome,
        f"{opened.ranks} x {opened.hardware}",
        f"{shown.get('steps', 0):,}",
        f"{shown.get('tokens', 0):,}",
        f"{entry.gpu_hours:,.3f}",
        *(
            "–" if value is None else form.format(value)
            for value, form in (
                (shown["tflops_per_s"], "{:.3g}"),
                (shown["mfu"], "{:.1%}"),
                (shown["usd"], "{:,.2f}" if (shown["usd"] or 0) >= 1 else "{:.2g}"),
                (shown["energy_kwh"], "{:,.3g}"),
            )
        ),
    ]


def doctor(
    config: ConfigOption = None,
    work: WorkOption = None,
    as_json: JsonFlag = False,
) -> None:
    """What this machine can do: GPUs, kernels, disk, locks, versions, optional parts; 1 where training would fail."""
    from hrmbuild.pipelines.doctor import doctor as run

    report = run(config=config, work=work)
    emit(report, doctor_lines(report), as_json=as_json)
    if not report.ok:
        raise typer.Exit(1)


def doctor_lines(report: DoctorReport) -> list[str]:
    """A line a check; NO is what training needs, – what it can do without."""
    lines: list[str] = []
    for check in report.checks:
        mark = "ok" if check.ok else "NO" if check.needed else "–"
        lines.append(f"{mark:<3} {check.name:<22} {check.detail}")
        lines += [f"{'':<27}{check.fix}"] if check.fix and (check.needed or not check.ok) else []
    return [*lines, "", "training works here" if report.ok else "training does not work here yet: see NO above"]

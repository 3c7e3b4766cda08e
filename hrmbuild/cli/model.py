"""`train` and `package`: from a manifest to a model in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hrmbuild.cli.keys import KeyOption, ask_secret
from hrmbuild.cli.options import AcceptOption, ConfigOption, SourcesOption, StepsOption, WorkOption, project_of
from hrmbuild.cli.output import JsonFlag, TerminalProgress, emit, print_bytes, say_nothing
from hrmbuild.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command(short_help="Train HRM-Text from scratch on a frozen corpus.")(train)
    app.command(short_help="Make a folder that transformers loads with no code of ours.")(package)


def train(
    context: typer.Context,
    manifest: Annotated[
        Path | None, typer.Option("--manifest", metavar="DIR", help="Default: the newest of the project.")
    ] = None,
    corpus: Annotated[
        Path | None, typer.Option("--corpus", metavar="FILE", help="Default: the project's corpus.duckdb.")
    ] = None,
    preset: Annotated[str | None, typer.Option("--preset", help="Size of the model, over the settings.")] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="RUN", help="Run folder; default: runs/NAME.")] = None,
    steps: StepsOption = None,
    gpus: Annotated[
        int | None, typer.Option("--gpus", min=1, max=9999, metavar="N", help="Ranks: GPUs, default all; on a CPU 1.")
    ] = None,
    arch: Annotated[str | None, typer.Option("--arch", help="hrm, or a baseline: transformer, trm, ut, rins.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the newest complete checkpoint.")] = False,
    init_from: Annotated[
        Path | None, typer.Option("--init-from", metavar="DIR", help="Start from a released HRM-Text folder.")
    ] = None,
    stop_on_spike: Annotated[
        float | None,
        typer.Option("--stop-on-spike", metavar="F", help="Stop at a loss above F times the median of 100 steps."),
    ] = None,
    accept_insufficient: AcceptOption = None,
    tracker: Annotated[
        list[str] | None,
        typer.Option("--tracker", metavar="NAME", help="Also tell tensorboard, mlflow or wandb; may stand repeatedly."),
    ] = None,
    config: ConfigOption = None,
    sources: SourcesOption = None,
    work: WorkOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Train HRM-Text from scratch on a frozen corpus (freezes first where there is no manifest)."""
    from hrmbuild.cli.render import train_lines
    from hrmbuild.pipelines.launch import group_of_this_process, launch
    from hrmbuild.pipelines.train import train as run
    from hrmbuild.pipelines.train_settings import Flags

    if stop_on_spike is not None and not stop_on_spike > 1:
        raise UsageError("usage.arguments", "a spike is a loss above F times the usual one, so F is above 1",
                         where=f"--stop-on-spike {stop_on_spike:g}", fix="for example --stop-on-spike 3")  # fmt: skip
    progress = TerminalProgress()
    project = project_of(config, sources, work)
    ended = launch(project, command=context.obj, gpus=gpus, flags=Flags(preset, steps, arch), progress=progress)
    if ended is not None:
        print_bytes(ended.stdout)
        raise typer.Exit(ended.status)
    group = group_of_this_process()
    if group is not None and group.index > 0:
        say_nothing()
    report = run(
        project, manifest=manifest, corpus=corpus, preset=preset, out=out, steps=steps, arch=arch, resume=resume,
        init_from=init_from, stop_on_spike=stop_on_spike, trackers=tracker,
        accept_insufficient=accept_insufficient, progress=progress,
    )  # fmt: skip
    progress.close()
    emit(report, train_lines(report), as_json=as_json)


def package(
    run_folder: Annotated[
        Path | None, typer.Argument(metavar="[RUN]", help="Default: the newest finished run.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="PKG", help="Default: packages/NAME.")] = None,
    package_require: Annotated[
        str | None,
        typer.Option("--require", metavar="EXPR", help="As in eval: where it does not hold nothing is written."),
    ] = None,
    key: KeyOption = None,
    config: ConfigOption = None,
    sources: SourcesOption = None,
    work: WorkOption = None,
    as_json: JsonFlag = False,
) -> None:
    """A folder that transformers loads with no code of ours, with card, probe, bill of materials and every hash."""
    from hrmbuild.cli.render import package_lines
    from hrmbuild.pipelines.package import package as run

    progress = TerminalProgress()
    project = project_of(config, sources, work)
    report = run(project, run=run_folder, out=out, key=key, ask=ask_secret, require=package_require, progress=progress)
    progress.close()
    emit(report, package_lines(report), as_json=as_json)

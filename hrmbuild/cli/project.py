"""`init`, `build`, and `hrmbuild` alone: the project as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hrmbuild.cli.options import ConfigOption, SourcesOption, StepsOption, WorkOption, project_of
from hrmbuild.cli.output import JsonFlag, TerminalProgress, emit, table, visible


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command()(init)
    app.command(short_help="Ingest, freeze, train, package, verify: only what is stale.")(build)


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the new project; made where absent.")],
    demo: Annotated[bool, typer.Option("--demo", help="Bring the example company's sources and settings.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Start a project: commented settings, source folders, .gitignore."""
    from hrmbuild.pipelines.init import init_project

    report = init_project(folder, demo=demo)
    next_command = "hrmbuild build" if demo else "put your files into the folders, then: hrmbuild ingest"
    lines = [f"{len(report.created)} files in {folder}", f"next: cd {folder} && {next_command}"]
    emit(report, lines, as_json=as_json)


def build(
    until: Annotated[
        str, typer.Option("--until", metavar="STAGE", help="Last stage: ingest, freeze, train, package or verify.")
    ] = "verify",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show which stages would run, and why.")] = False,
    steps: StepsOption = None,
    preset: Annotated[str | None, typer.Option("--preset", help="Size of the model, over the settings.")] = None,
    gpus: Annotated[
        int | None, typer.Option("--gpus", min=1, max=100_000, metavar="N", help="Ranks of the training, as in train.")
    ] = None,
    config: ConfigOption = None,
    sources: SourcesOption = None,
    work: WorkOption = None,
    as_json: JsonFlag = False,
) -> None:
    """The chain ingest, freeze, train, package, verify: only what is stale, stopping with 1 at a gate."""
    from hrmbuild.cli.render import build_lines
    from hrmbuild.pipelines.build import build as run

    progress = TerminalProgress()
    project = project_of(config, sources, work)
    report = run(project, until=until, dry_run=dry_run, steps=steps, preset=preset, gpus=gpus, progress=progress)
    progress.close()
    emit(report, build_lines(report), as_json=as_json)
    if report.exit_status:
        raise typer.Exit(report.exit_status)


def show_stages(*, as_json: bool) -> None:
    """`hrmbuild` alone."""
    from hrmbuild.config.loading import find_config
    from hrmbuild.pipelines.stages import NO_PROJECT, project_stages

    if find_config(Path.cwd()) is None:
        emit(NO_PROJECT, ["no project here. Start one with an example company: hrmbuild init DIR --demo"],
             as_json=as_json)  # fmt: skip
        return
    from hrmbuild.pipelines.withdrawn_material import withdrawn_now

    project = project_of(None, None, None)
    report, gone = project_stages(project), withdrawn_now(project)
    lines = [*table(["stage", "state", "detail"], [(s.name, s.state, s.detail) for s in report.stages])]
    lines += [f"withdrawn: the current manifest holds {visible(one)}" for one in gone]
    emit(report, [*lines, "", f"next: {report.next_command}"], as_json=as_json)

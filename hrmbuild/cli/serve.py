"""`serve`: an engine that exists, on a package."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, cast, get_args

import typer

from hrmbuild.cli.options import ConfigOption, WorkOption, project_of
from hrmbuild.cli.output import JsonFlag, TerminalProgress, emit
from hrmbuild.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(short_help="Start an engine on a package and prove its answers.")(serve)


def serve(
    package: Annotated[Path | None, typer.Argument(metavar="[PKG]", help="Default: the newest package.")] = None,
    engine: Annotated[
        str | None, typer.Option("--engine", help="transformers, vllm or sglang; default: what is installed and fits.")
    ] = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen on; the default is this machine only.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Port to listen on.")] = 8000,
    role: Annotated[str | None, typer.Option("--role", help="On whose behalf; default: the package's.")] = None,
    config: ConfigOption = None,
    work: WorkOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Start an engine on a package, prove that it answers as recorded, and stay until Ctrl-C."""
    from hrmbuild.pipelines.ask import newest_package
    from hrmbuild.pipelines.engines import EngineName
    from hrmbuild.pipelines.serve import ServeReport
    from hrmbuild.pipelines.serve import serve as run

    if engine is not None and engine not in get_args(EngineName):
        raise UsageError("serve.unknown_engine", f"there is no engine {engine!r}", where="--engine",
                         fix=f"one of: {', '.join(get_args(EngineName))}")  # fmt: skip

    def ready(report: ServeReport) -> None:
        told = f"{report.engine} serves {report.model} at {report.url} ({report.checked} prompts answered as recorded)"
        emit(report, [told, "Ctrl-C ends it"], as_json=as_json)
        sys.stdout.flush()

    progress = TerminalProgress()
    folder = package or newest_package(project_of(config, None, work))
    chosen = cast(EngineName | None, engine)
    raise typer.Exit(run(folder, engine=chosen, host=host, port=port, role=role, ready=ready, progress=progress))

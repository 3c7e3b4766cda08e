"""`ingest`, `freeze` and `verify`: from sources to a manifest, and the check of whatever was made."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hrmbuild.cli.keys import KeyOption, ask_secret
from hrmbuild.cli.options import ConfigOption, SourcesOption, WorkOption, project_of
from hrmbuild.cli.output import JsonFlag, TerminalProgress, emit, visible
from hrmbuild.config.loading import find_config


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command(short_help="Read sources into the corpus; only what changed is done again.")(ingest)
    app.command(short_help="Write down exactly what may be trained on, with evidence.")(freeze)
    app.command(short_help="Recompute all that can be recomputed; name every fault.")(verify)


def ingest(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would come out; write nothing.")] = False,
    preview: Annotated[
        int, typer.Option("--preview", min=0, max=10_000, help="Show N pairs a source; write nothing.")
    ] = 0,
    show_label: Annotated[
        str | None,
        typer.Option("--show-label", metavar="L", help="Preview pairs up to this label; default: all."),
    ] = None,
    role: Annotated[
        str | None, typer.Option("--role", metavar="R", help="Of --preview: what this role may read.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 when a file was quarantined.")] = False,
    config: ConfigOption = None,
    sources: SourcesOption = None,
    work: WorkOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Sources to records to pairs to gates to the corpus; only what changed is done again."""
    from hrmbuild.cli.render_ingest import ingest_lines
    from hrmbuild.pipelines.ingest import ingest as run

    progress = TerminalProgress()
    project = project_of(config, sources, work)
    report = run(project, dry_run=dry_run, preview=preview, show_label=show_label, role=role, strict=strict,
                 progress=progress)  # fmt: skip
    progress.close()
    emit(report, ingest_lines(report), as_json=as_json)
    for error in () if as_json else report.errors:  # as JSON they stand in the object
        typer.echo("error: " + "\n".join(map(visible, str(error).splitlines())), err=True)
    if report.exit_status:
        raise typer.Exit(report.exit_status)


def freeze(
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Folder of the manifest; default: manifests/ROOT.")
    ] = None,
    max_label: Annotated[
        str | None, typer.Option("--max-label", metavar="LABEL", help="Leave out pairs with a higher label; counted.")
    ] = None,
    key: KeyOption = None,
    config: ConfigOption = None,
    sources: SourcesOption = None,
    work: WorkOption = None,
    as_json: JsonFlag = False,
) -> None:
    """A manifest of exactly what may be trained on, its tokenizer, and its evidence pack."""
    from hrmbuild.cli.render import freeze_lines
    from hrmbuild.pipelines.freeze import freeze as run

    progress = TerminalProgress()
    project = project_of(config, sources, work)
    report = run(project, out=out, max_label=max_label, key=key, ask=ask_secret, progress=progress)
    progress.close()
    emit(report, freeze_lines(report), as_json=as_json)


def verify(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A manifest, a run or a package.")],
    sources: Annotated[
        Path | None,
        typer.Option("--sources", metavar="DIR", help="The sources' folder: checks their bytes and quotes."),
    ] = None,
    corpus: Annotated[
        Path | None,
        typer.Option("--corpus", metavar="FILE", help="The corpus; default: the project's, where there is one."),
    ] = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="Also train the tokenizer, count all tokens and make every pair again.")
    ] = False,
    state: Annotated[
        Path | None,
        typer.Option("--state", metavar="DIR", help="Where --deep keeps what it has made; it goes on from there."),
    ] = None,
    trust: Annotated[
        Path | None,
        typer.Option("--trust", metavar="T", help="Whose keys count; default: the project's trust.yaml, if any."),
    ] = None,
    config: ConfigOption = None,
    work: WorkOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Recompute all that can be recomputed; every missing, extra or altered thing is named."""
    from hrmbuild.cli.render import verify_lines
    from hrmbuild.pipelines.verify import verify as run

    has_project = config is not None or find_config(Path.cwd()) is not None
    project = project_of(config, sources, work) if has_project else None
    progress = TerminalProgress()
    how_deep = state if deep and state is not None else deep
    report = run(path, project=project, corpus=corpus, sources=sources, deep=how_deep, trust=trust, progress=progress)
    progress.close()
    emit(report, verify_lines(report), as_json=as_json)
    if not report.ok:
        raise typer.Exit(1)

"""`eval` and `canaries`: how good a package is on what it never saw, and how much of what it saw can be drawn out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hrmbuild.cli.options import ConfigOption, SourcesOption, WorkOption, project_of
from hrmbuild.cli.output import JsonFlag, TerminalProgress, emit

_NO = 1


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command(name="eval", short_help="Score a model by axis, beside answers that need no model.")(evaluate)
    app.command(short_help="Draw numbers to plant in a corpus, for eval --extraction.")(canaries)


def evaluate(
    package_folder: Annotated[Path | None, typer.Argument(metavar="[PKG]", help="Default: the newest package.")] = None,
    split: Annotated[str, typer.Option("--split", help="dev or test; each scoring of test is counted.")] = "dev",
    questions: Annotated[
        Path | None,
        typer.Option("--questions", metavar="FILE", help="A validator's own questions (.jsonl, .csv) instead."),
    ] = None,
    against: Annotated[
        list[Path] | None,
        typer.Option("--against", metavar="DIR", help="A package, run or model folder, asked the same; repeatable."),
    ] = None,
    require: Annotated[
        str | None,
        typer.Option("--require", metavar="EXPR", help="For example 'exact.low>=0.8, extraction<=0.01'; else exit 1."),
    ] = None,
    extraction: Annotated[
        bool, typer.Option("--extraction", help="Also try to draw trained text and planted canaries out of it.")
    ] = False,
    report_file: Annotated[
        Path | None, typer.Option("--report", metavar="FILE.html", help="Also write a page with plots.")
    ] = None,
    show: Annotated[
        int, typer.Option("--show", min=0, max=10**6, help="Also show N questions with their answers.")
    ] = 0,
    show_label: Annotated[
        str | None,
        typer.Option("--show-label", metavar="L", help="Shown questions are of no higher label; default: the lowest."),
    ] = None,
    most: Annotated[
        int, typer.Option("--most", min=1, max=10**9, help="Pairs to ask at most, drawn by id, axes in turn.")
    ] = 1200,
    kinds: Annotated[bool, typer.Option("--kinds", help="Also a row for each kind of question and answer.")] = False,
    config: ConfigOption = None,
    sources: SourcesOption = None,
    work: WorkOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Scores by axis beside answers that need no model, other models, and the same with the shown text removed."""
    from hrmbuild.cli.render_scores import evaluation_lines
    from hrmbuild.pipelines.evaluate import EvaluationRequest, evaluate_package

    progress = TerminalProgress()
    request = EvaluationRequest(
        package=package_folder, split=split, questions=questions, against=tuple(against or ()), require=require,
        extraction=extraction, report=report_file, show=show, show_label=show_label, most=most,
    )  # fmt: skip
    report = evaluate_package(project_of(config, sources, work), request, progress=progress)
    progress.close()
    emit(report, evaluation_lines(report, kinds=kinds), as_json=as_json)
    if not report.holds:
        raise typer.Exit(_NO)


def canaries(
    path: Annotated[Path, typer.Argument(metavar="FILE.jsonl", help="Where to write them, among the sources.")],
    n: Annotated[int, typer.Option("--n", min=1, max=1000, help="How many.")] = 10,
    label: Annotated[str | None, typer.Option("--label", metavar="L", help="Default: the project's highest.")] = None,
    repeat: Annotated[int, typer.Option("--repeat", min=1, max=10**6, help="How often an epoch shows each.")] = 1,
    config: ConfigOption = None,
    sources: SourcesOption = None,
    work: WorkOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Drawn numbers to plant in a corpus: `eval --extraction` then says how far they stand out in the model."""
    from hrmbuild.pipelines.canaries import write_canaries

    project = project_of(config, sources, work)
    report = write_canaries(project, path, n=n, label=label or project.config.labels[-1], repeat=repeat)
    lines = [f"{report.n} canaries in {report.path}; declare them under sources: in {project.config_path.name}:", ""]
    emit(report, [*lines, *report.entry], as_json=as_json)

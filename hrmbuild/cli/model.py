"""`train`, `package` and `ask`: from a manifest to a model, and what it answers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from hrmbuild.cli.options import ConfigOption, SourcesOption, WorkOption, project_of
from hrmbuild.cli.output import JsonFlag, TerminalProgress, emit, print_json
from hrmbuild.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command()(train)
    app.command()(package)
    app.command()(ask)


def train(
    manifest: Annotated[
        Path | None, typer.Option("--manifest", metavar="DIR", help="Default: the newest of the project.")
    ] = None,
    corpus: Annotated[
        Path | None, typer.Option("--corpus", metavar="FILE", help="Default: the project's corpus.duckdb.")
    ] = None,
    preset: Annotated[str | None, typer.Option("--preset", help="Size of the model, over the settings.")] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="RUN", help="Run folder; default: runs/NAME.")] = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Optimizer updates, over the settings.")] = None,
    arch: Annotated[str | None, typer.Option("--arch", help="hrm, or a baseline: transformer, trm, ut, rins.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the newest complete checkpoint.")] = False,
    init_from: Annotated[
        Path | None, typer.Option("--init-from", metavar="DIR", help="Start from a released HRM-Text folder.")
    ] = None,
    config: ConfigOption = None,
    sources: SourcesOption = None,
    work: WorkOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Train HRM-Text from scratch on a frozen corpus (freezes first where there is no manifest)."""
    from hrmbuild.cli.render import train_lines
    from hrmbuild.pipelines.train import train as run

    progress = TerminalProgress()
    report = run(
        project_of(config, sources, work), manifest=manifest, corpus=corpus, preset=preset, out=out, steps=steps,
        arch=arch, resume=resume, init_from=init_from, progress=progress,
    )  # fmt: skip
    progress.close()
    emit(report, train_lines(report), as_json=as_json)


def package(
    run_folder: Annotated[
        Path | None, typer.Argument(metavar="[RUN]", help="Default: the newest finished run.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="PKG", help="Default: packages/NAME.")] = None,
    config: ConfigOption = None,
    sources: SourcesOption = None,
    work: WorkOption = None,
    as_json: JsonFlag = False,
) -> None:
    """A folder that transformers loads with no code of ours, with card, probe, bill of materials and every hash."""
    from hrmbuild.cli.render import package_lines
    from hrmbuild.pipelines.package import package as run

    progress = TerminalProgress()
    report = run(project_of(config, sources, work), run=run_folder, out=out, progress=progress)
    progress.close()
    emit(report, package_lines(report), as_json=as_json)


def ask(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar='[PKG] "QUESTION"', help="A package (default: the newest) and a question; `-` reads it."
        ),
    ] = None,
    condition: Annotated[str, typer.Option("--condition", help="direct, cot, noisy, synth or synth+cot.")] = "direct",
    jsonl: Annotated[
        bool, typer.Option("--jsonl", help='Answer {"instruction": "…"} lines from stdin, one object a line.')
    ] = False,
    max_tokens: Annotated[int, typer.Option("--max-tokens", min=1, help="Longest answer, in tokens.")] = 256,
    config: ConfigOption = None,
    work: WorkOption = None,
    as_json: JsonFlag = False,
) -> None:
    """One question, one answer. The rule or table that decides stands in the question itself."""
    from hrmbuild.pipelines.ask import ask as run
    from hrmbuild.pipelines.ask import ask_lines

    folder, question = _package_and_question(words or [], jsonl=jsonl, config=config, work=work)
    if jsonl:
        answered = ask_lines(folder, sys.stdin, condition=condition, max_new_tokens=max_tokens)
        n_errors = sum(_print_line(line.as_dict()) for line in answered)
        raise typer.Exit(2 if n_errors else 0)
    text = sys.stdin.read() if question == "-" else question
    report = run(folder, text, condition=condition, max_new_tokens=max_tokens)
    emit(report, [report.response], as_json=as_json)


def _package_and_question(words: list[str], *, jsonl: bool, config: Path | None, work: Path | None) -> tuple[Path, str]:
    """`ask Q`, `ask PKG Q`, `ask --jsonl`, `ask --jsonl PKG`."""
    from hrmbuild.pipelines.ask import newest_package

    n_questions = 0 if jsonl else 1
    if not n_questions <= len(words) <= n_questions + 1:
        raise UsageError(
            "ask.arguments",
            "one question is asked at a time" if words else "there is no question",
            where="hrmbuild ask",
            fix='hrmbuild ask "QUESTION", hrmbuild ask PKG "QUESTION", or --jsonl for many',
        )
    named = len(words) > n_questions
    folder = Path(words[0]) if named else newest_package(project_of(config, None, work))
    return folder, "" if jsonl else words[-1]


def _print_line(line: dict[str, Any]) -> bool:
    print_json(line)
    return "error" in line

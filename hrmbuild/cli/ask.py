"""`ask`: questions to a package, from the command line or as JSON lines."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from hrmbuild.cli.options import ConfigOption, WorkOption, project_of
from hrmbuild.cli.output import JsonFlag, emit, print_json, visible
from hrmbuild.errors import UsageError

BAD_LINES_STATUS = 3
"""The input was unreadable in part: each of those lines has its own error on stdout."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(ask)


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
    batch: Annotated[
        int, typer.Option("--batch", min=1, max=65_536, help="With --jsonl: lines answered together; 1 for a dialogue.")
    ] = 16,
    max_tokens: Annotated[
        int, typer.Option("--max-tokens", "--max-new-tokens", min=1, max=1_000_000, help="Longest answer, in tokens.")
    ] = 256,
    temperature: Annotated[
        float | None, typer.Option("--temperature", help="Draw tokens; default: always the most likely one.")
    ] = None,
    top_k: Annotated[int | None, typer.Option("--top-k", help="Draw from the K likeliest tokens.")] = None,
    top_p: Annotated[
        float | None, typer.Option("--top-p", help="Draw from the likeliest tokens of this probability in all.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Of the draws: the same seed, the same answer.")] = None,
    role: Annotated[
        str | None, typer.Option("--role", help="Who asks; default: the package's default role, where it has one.")
    ] = None,
    corpus: Annotated[
        Path | None,
        typer.Option("--corpus", metavar="FILE", help="Show passages of it that the role may read with the question."),
    ] = None,
    stream: Annotated[
        bool | None, typer.Option("--stream/--no-stream", help="Show the answer as it comes; default: on a terminal.")
    ] = None,
    config: ConfigOption = None,
    work: WorkOption = None,
    as_json: JsonFlag = False,
) -> None:
    """One question, one answer. The rule or table that decides stands in the question, or comes from --corpus."""
    from hrmbuild.pipelines.ask import AskSettings, ask_lines, sampling_settings
    from hrmbuild.pipelines.ask import ask as run

    if jsonl and as_json:
        raise UsageError("ask.arguments", "--json prints one object and --jsonl one a line", where="hrmbuild ask",
                         fix="name one of the two")  # fmt: skip
    sampling = sampling_settings(temperature=temperature, top_k=top_k, top_p=top_p, seed=seed)
    folder, question = _package_and_question(words or [], jsonl=jsonl, config=config, work=work)
    withdrawn = _withdrawn(folder, config, work)
    settings = AskSettings(condition, max_tokens, sampling, role, corpus, withdrawn)
    if jsonl:
        n_errors = sum(
            _print_line(one.as_dict()) for one in ask_lines(folder, _stdin(), settings=settings, batch_size=batch)
        )
        raise typer.Exit(BAD_LINES_STATUS if n_errors else 0)
    tell = _teller(stream, as_json=as_json)
    report = run(folder, _stdin().read() if question == "-" else question, settings=settings, tell=tell)
    emit(report, ["" if tell else report.response, *_source_lines(report.sources)], as_json=as_json)


def _withdrawn(package: Path, config: Path | None, work: Path | None) -> tuple[str, ...]:
    """The withdrawn sources behind a package, said on stderr; nothing where no project is at hand."""
    from hrmbuild.config.loading import find_config
    from hrmbuild.pipelines.withdrawn_material import SAID, withdrawn_of_package

    if config is None and work is None and find_config(Path.cwd()) is None:
        return ()
    paths = tuple(withdrawn_of_package(project_of(config, None, work), package))
    if paths:
        print(f"{SAID}: {visible(', '.join(paths))}", file=sys.stderr)
    return paths


def _source_lines(sources: Sequence[dict[str, Any]]) -> list[str]:
    """Where the passages stand that the answer rests on."""
    return [f"  from {one['path']}, {one['place']} ({one['label']})" for one in sources]


def _teller(stream: bool | None, *, as_json: bool) -> Callable[[str], None] | None:
    """Prints pieces as they come; None where the answer is printed as a whole."""
    if as_json or not (sys.stdout.isatty() if stream is None else stream):
        return None
    return lambda piece: print(piece, end="", flush=True)


def _stdin() -> TextIO:
    """Bytes that are no text arrive as surrogates, and the question that holds them is refused by name."""
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(encoding="utf-8", errors="surrogateescape")
    return sys.stdin


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

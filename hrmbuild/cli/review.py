"""`review`: the local page."""

from __future__ import annotations

import sys
import webbrowser
from pathlib import Path
from typing import Annotated, Literal

import typer

from hrmbuild.cli.keys import KeyOption, ask_secret
from hrmbuild.cli.options import ConfigOption, SourcesOption, WorkOption, project_of
from hrmbuild.cli.output import JsonFlag, emit


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command(short_help="Go through pairs with the keyboard, in a page of this machine.")(review)


def review(
    n: Annotated[int, typer.Option("--n", min=1, help="How many pairs are drawn.")] = 50,
    nonce: Annotated[
        str, typer.Option("--nonce", metavar="N", help="Decides the draw; two reviewers with one nonce see the same.")
    ] = "1",
    source: Annotated[
        str | None, typer.Option("--source", metavar="PATH", help="Pairs that this file supports; * stands for any.")
    ] = None,
    kind: Annotated[
        str | None, typer.Option("--kind", metavar="K", help="Pairs of this kind: rules.outcome, or all of tables.")
    ] = None,
    split: Annotated[
        Literal["train", "dev", "test"] | None, typer.Option("--split", help="Pairs of this split.")
    ] = None,
    manifest: Annotated[
        Path | None, typer.Option("--manifest", metavar="M", help="Pairs of a frozen corpus; default: the living one.")
    ] = None,
    role: Annotated[
        str | None, typer.Option("--role", metavar="R", help="Who reads: pairs up to the label of this role.")
    ] = None,
    show_label: Annotated[
        str | None,
        typer.Option("--show-label", metavar="L", help="Pairs up to this label; default: the lowest, or the role's."),
    ] = None,
    reviewer: Annotated[
        str | None, typer.Option("--reviewer", metavar="NAME", help="Who decides; without --key it proves nothing.")
    ] = None,
    key: KeyOption = None,
    undo: Annotated[
        str | None, typer.Option("--undo", metavar="ID", help="Take back your review of this pair; opens no page.")
    ] = None,
    reason: Annotated[str | None, typer.Option("--reason", metavar="R", help="With --undo: why.")] = None,
    bind: Annotated[
        str, typer.Option("--bind", metavar="IP", help="Loopback address: 127.0.0.1 or ::1; no other is taken.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, metavar="P", help="0: any that is free.")] = 0,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page here; default: its address is printed.")
    ] = False,
    config: ConfigOption = None,
    sources: SourcesOption = None,
    work: WorkOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Accept, reject or edit pairs with the keyboard, evidence beside each; Ctrl-C ends it. The next ingest obeys."""
    from hrmbuild.cli.render_review import review_lines, undo_lines
    from hrmbuild.pipelines.review import Serving, reviewer_with
    from hrmbuild.pipelines.review import review as run
    from hrmbuild.pipelines.review import undo as take_back
    from hrmbuild.pipelines.review_choice import Wanted

    def announce(url: str) -> None:
        print(f"review: {url}\nthe address lets in whoever has it; Ctrl-C ends the review", file=sys.stderr, flush=True)
        if browser:
            webbrowser.open(url)

    project = project_of(config, sources, work)
    if undo is not None:
        who = reviewer_with(project, reviewer, role=role, key=key, ask=ask_secret)
        undone = take_back(project, undo, reason=reason, who=who)
        emit(undone, undo_lines(undone), as_json=as_json)
        return
    wanted = Wanted(n, nonce, source, kind, split, role, show_label, manifest)
    serving = Serving(announce, bind, port)
    report = run(project, wanted, serving=serving, reviewer=reviewer, key=key, ask=ask_secret)
    emit(report, review_lines(report), as_json=as_json)

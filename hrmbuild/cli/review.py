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


N = Annotated[int, typer.Option("--n", min=1, max=10**6, help="How many pairs are drawn.")]
Nonce = Annotated[
    str, typer.Option("--nonce", metavar="N", help="Decides the draw; two reviewers with one nonce see the same.")
]
Source = Annotated[
    str | None, typer.Option("--source", metavar="PATH", help="Pairs that this file supports; * stands for any.")
]
Kind = Annotated[
    str | None, typer.Option("--kind", metavar="K", help="Pairs of this kind: rules.outcome, or all of tables.")
]
OfSplit = Annotated[Literal["train", "dev", "test"] | None, typer.Option("--split", help="Pairs of this split.")]
OfManifest = Annotated[
    Path | None, typer.Option("--manifest", metavar="M", help="Pairs of a frozen corpus; default: the living one.")
]
Role = Annotated[str | None, typer.Option("--role", metavar="R", help="Who reads: pairs up to the label of this role.")]
ShowLabel = Annotated[
    str | None,
    typer.Option("--show-label", metavar="L", help="Pairs up to this label; default: the lowest, or the role's."),
]
ReviewerName = Annotated[
    str | None, typer.Option("--reviewer", metavar="NAME", help="Who decides; without --key it proves nothing.")
]
Undo = Annotated[
    str | None, typer.Option("--undo", metavar="ID", help="Take back your review of this pair; opens no page.")
]
Bind = Annotated[
    str, typer.Option("--bind", metavar="IP", help="Loopback address: 127.0.0.1 or ::1; no other is taken.")
]
Port = Annotated[int, typer.Option("--port", min=0, max=65535, metavar="P", help="0: any that is free.")]
Browser = Annotated[
    bool, typer.Option("--browser/--no-browser", help="Open the page here; default: its address is printed.")
]


def review(
    n: N = 50,
    nonce: Nonce = "1",
    source: Source = None,
    kind: Kind = None,
    split: OfSplit = None,
    manifest: OfManifest = None,
    role: Role = None,
    show_label: ShowLabel = None,
    reviewer: ReviewerName = None,
    key: KeyOption = None,
    undo: Undo = None,
    reason: Annotated[str | None, typer.Option("--reason", metavar="R", help="With --undo: why.")] = None,
    bind: Bind = "127.0.0.1",
    port: Port = 0,
    browser: Browser = False,
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

    project = project_of(config, sources, work)
    if undo is not None:
        who = reviewer_with(project, reviewer, role=role, key=key, ask=ask_secret)
        undone = take_back(project, undo, reason=reason, who=who)
        emit(undone, undo_lines(undone), as_json=as_json)
        return
    wanted = Wanted(n, nonce, source, kind, split, role, show_label, manifest)
    serving = Serving(_open_page if browser else _tell, bind, port)
    report = run(project, wanted, serving=serving, reviewer=reviewer, key=key, ask=ask_secret)
    emit(report, review_lines(report), as_json=as_json)


def _tell(url: str) -> None:
    print(f"review: {url}\nthe address lets in whoever has it; Ctrl-C ends the review", file=sys.stderr, flush=True)


def _open_page(url: str) -> None:
    _tell(url)
    webbrowser.open(url)

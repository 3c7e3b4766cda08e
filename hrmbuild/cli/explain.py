"""`explain`: what a reason code means, and what to do."""

from __future__ import annotations

from typing import Annotated

import typer

from hrmbuild.cli.output import JsonFlag, emit


def register(app: typer.Typer) -> None:
    """Add this group's command."""
    app.command()(explain)


def explain(
    code: Annotated[str, typer.Argument(metavar="CODE", help="A reason code as reports show it, e.g. gate.secret.")],
    as_json: JsonFlag = False,
) -> None:
    """What a reason code means, and what to do."""
    from hrmbuild.pipelines.explain import explain as run

    found = run(code)
    emit(found, [found.code, f"  {found.meaning}", f"  {found.action}"], as_json=as_json)

"""Options that several commands share, and the way from them to a project."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hrmbuild.config.loading import Project, load_project

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Settings file; default: hrmbuild.yaml here or in a folder above."),
]
SourcesOption = Annotated[
    Path | None,
    typer.Option("--sources", metavar="DIR", help="Folder that source paths start at; default: the settings' folder."),
]
WorkOption = Annotated[
    Path | None,
    typer.Option(
        "--work", metavar="DIR", help="Folder for corpus, manifests, runs and packages; default: the settings' folder."
    ),
]
StepsOption = Annotated[
    int | None, typer.Option("--steps", min=1, max=10**9, help="Optimizer updates, over the settings.")
]
AcceptOption = Annotated[
    str | None,
    typer.Option(
        "--accept-insufficient", metavar="REASON", help="Go on although the corpus is small; the card repeats it."
    ),
]


def project_of(config: Path | None, sources: Path | None, work: Path | None) -> Project:
    """The project that these options name."""
    return load_project(config, sources=sources, work=work)

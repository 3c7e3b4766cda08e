"""The small project, trained for a few steps and packaged: for tests of what comes after training."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from small_project import FILES, write_project

from hrmbuild.config.loading import Project, load_project
from hrmbuild.pipelines.freeze import freeze
from hrmbuild.pipelines.ingest import ingest
from hrmbuild.pipelines.package import package
from hrmbuild.pipelines.train import train

SETTINGS = """\
train: {preset: nano, steps: 4, batch_tokens: 1024, threads: 1, dtype: float32, eval_pairs: 4, eval_every_steps: 4}
model:
  name: small nano
  contact: desk@small.example
  intended_use: Tests.
  excluded_use: Everything else.
"""


@dataclass(frozen=True)
class Packaged:
    """Where everything is."""

    project: Project
    run: Path
    package: Path


def packaged_in(folder: Path) -> Packaged:
    """What `build_packaged` left in a folder."""
    project = load_project(folder / "hrmbuild.yaml")
    ((run,), (package,)) = (
        [path for path in parent.iterdir() if path.is_dir()] for parent in (project.runs_folder, folder / "packages")
    )
    return Packaged(project, run, package)


def build_packaged(folder: Path) -> Packaged:
    """Ingest, freeze, train, package."""
    files = FILES | {"hrmbuild.yaml": FILES["hrmbuild.yaml"] + SETTINGS}
    project = write_project(folder, files)
    ingest(project)
    freeze(project)
    run = train(project).folder
    return Packaged(project, run, package(project).folder)


def copy_packaged(packaged: Packaged, folder: Path) -> Packaged:
    """A copy that a test may spoil."""
    shutil.copytree(packaged.project.work, folder)
    project = load_project(folder / "hrmbuild.yaml")
    parts = (packaged.run, packaged.package)
    return Packaged(project, *(folder / path.relative_to(packaged.project.work) for path in parts))

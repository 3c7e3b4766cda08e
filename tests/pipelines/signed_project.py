"""The small project with a signed manifest, and the trust file of who verifies: for tests of what a key can show."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from small_project import write_project

from hrmbuild.audit.keys import new_key
from hrmbuild.config.loading import Project, load_project
from hrmbuild.pipelines.freeze import freeze
from hrmbuild.pipelines.ingest import ingest
from hrmbuild.pipelines.verify import verify


@dataclass(frozen=True)
class Frozen:
    """A project whose manifest is signed, and the trust file of who verifies."""

    project: Project
    manifest: Path
    trust: Path

    def failures(self) -> dict[str, str]:
        report = verify(self.manifest, project=self.project, trust=self.trust)
        return {check.name: check.detail for check in report.checks if not check.ok}


def trust_file(folder: Path, *, role: str, extra: str = "", start: str = "2020-01-01") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "trust.yaml"
    entry = f"person: Ines, roles: [{role}], public_key: ines.public.pem, valid_from: {start}{extra}"
    path.write_text(f"keys:\n  - {{{entry}}}\n", "utf-8")
    return path


def build_signed(place: Path) -> None:
    """Ingest, and freeze with the key of Ines."""
    project = write_project(place / "project")
    key = new_key("ines", place / "own").private
    ingest(project)
    freeze(project, key=key)
    trust_file(place / "own", role="ingester")


def signed_in(place: Path) -> Frozen:
    """What `build_signed` left in a folder."""
    project = load_project(place / "project" / "hrmbuild.yaml")
    (manifest,) = (path for path in project.manifests_folder.iterdir() if path.is_dir())
    return Frozen(project, manifest, place / "own" / "trust.yaml")


def copy_signed(frozen: Frozen, place: Path) -> Frozen:
    """A copy that a test may spoil."""
    shutil.copytree(frozen.project.work, place / "project")
    shutil.copytree(frozen.trust.parent, place / "own")
    return signed_in(place)

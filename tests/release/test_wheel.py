"""The wheel alone, in an environment that was empty, from a folder that has nothing to do with the checkout."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from installed import REPOSITORY, Environment, short_demo

pytestmark = pytest.mark.slow


def test_the_wheel_carries_templates_schemas_and_examples(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if name.startswith("hrmbuild/_assets/")}
    tracked = {
        f"hrmbuild/_assets/{path.relative_to(REPOSITORY).as_posix()}"
        for folder in ("templates", "schemas", "examples")
        for path in (REPOSITORY / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert inside == tracked


def test_the_wheel_names_no_folder_of_the_machine_that_built_it(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        naming = [name for name in archive.namelist() if str(REPOSITORY).encode() in archive.read(name)]
    assert naming == []


def test_help_works_both_ways(installed: Environment, tmp_path: Path) -> None:
    script = installed.run("hrmbuild", "--help", cwd=tmp_path)
    assert script == installed.run("python", "-m", "hrmbuild", "--help", cwd=tmp_path)
    assert "ingest" in script


def test_an_empty_project_says_what_comes_next(installed: Environment, tmp_path: Path) -> None:
    installed.run("hrmbuild", "init", "mine", cwd=tmp_path)
    assert "next: hrmbuild ingest" in installed.run("hrmbuild", cwd=tmp_path / "mine")


def test_the_demo_company_is_ingested_and_frozen_from_any_folder(installed: Environment, tmp_path: Path) -> None:
    project = short_demo(installed, tmp_path / "demo")
    settings = project / "hrmbuild.yaml"
    report = json.loads(installed.run("hrmbuild", "ingest", "--config", settings, "--json", cwd=tmp_path))
    assert report["sources"]["seen"] == report["sources"]["read"] > 30
    frozen = json.loads(installed.run("hrmbuild", "freeze", "--config", settings, "--json", cwd=tmp_path))
    verdict = json.loads(installed.run("hrmbuild", "verify", frozen["manifest"], "--json", cwd=project))
    assert verdict["ok"] is True
    assert str(REPOSITORY) not in (Path(frozen["manifest"]) / "manifest.json").read_text()

"""A small company that goes the whole road in seconds, and a way to type commands."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typed_commands import SETTINGS, Outcome, Type

from hrmbuild.cli.main import main

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
def typed(capsys: pytest.CaptureFixture[str]) -> Type:
    """Type a command in this process."""

    def run(*words: str | Path) -> Outcome:
        capsys.readouterr()
        status = main([str(word) for word in words])
        captured = capsys.readouterr()
        return Outcome(status, captured.out, captured.err)

    return run


def new_project(folder: Path, *, settings: str = SETTINGS) -> Path:
    """Sources and settings, nothing built."""
    for kind, name in (("rules", "home-claims.yaml"), ("memos", "2025-05-07-phishing.eml")):
        (folder / kind).mkdir(parents=True)
        shutil.copy(EXAMPLES / kind / name, folder / kind / name)
    (folder / "hrmbuild.yaml").write_text(settings, encoding="utf-8")
    return folder


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with nothing built; commands are typed inside it."""
    folder = new_project(tmp_path / "project")
    monkeypatch.chdir(folder)
    return folder


def build_project(folder: Path) -> None:
    """The whole road."""
    assert main(["build", "--config", str(new_project(folder) / "hrmbuild.yaml")]) == 0


@pytest.fixture(scope="session")
def built_once(make_once: Callable[..., Path]) -> Path:
    """A project that has gone the whole road; read it, or copy it."""
    return make_once("built", build_project)


@pytest.fixture
def built(built_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the built project that a test may spoil; commands are typed inside it."""
    folder = tmp_path / "project"
    shutil.copytree(built_once, folder)
    monkeypatch.chdir(folder)
    return folder

"""What the tests of a release share: the wheel, the bundle, and environments they are installed into."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from installed import CONSTRAINTS, REPOSITORY, Environment, empty_environment, needs_namespaces


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), "."]
    subprocess.run(command, check=True, cwd=REPOSITORY)
    return next(folder.glob("hrmbuild-*.whl"))


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The wheel and the pinned versions of what it needs, in an environment that was empty."""
    environment = empty_environment(tmp_path_factory.mktemp("installed") / "venv")
    environment.run("python", "-m", "pip", "install", "--quiet", "-c", CONSTRAINTS, wheel, cwd=wheel.parent)
    return environment


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make bundle` makes."""
    folder = tmp_path_factory.mktemp("bundle") / "bundle"
    subprocess.run([sys.executable, str(REPOSITORY / ".ci" / "bundle.py"), str(folder)], check=True)
    return folder


@pytest.fixture(scope="session")
def from_bundle(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The bundle, installed with the network cut off; it stays cut off for every command."""
    needs_namespaces()
    environment = Environment(empty_environment(tmp_path_factory.mktemp("bundled") / "venv").folder, cut_off=True)
    environment.run(
        "python", "-m", "pip", "install", "--quiet", "--no-index", "--find-links", "wheels", "--require-hashes",
        "-r", "requirements.txt", cwd=bundle, PIP_CONFIG_FILE="/dev/null", PIP_FIND_LINKS="",
    )  # fmt: skip
    return environment

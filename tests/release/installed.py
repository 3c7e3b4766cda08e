"""An environment that only what was installed can be used from: no checkout, and no network where it is asked for."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
CONSTRAINTS = REPOSITORY / "constraints.txt"
CUT_OFF = ("unshare", "--map-root-user", "--net")
"""A user namespace with a network namespace that has no interface up, not even loopback."""
STEPS = "5"
SHORTER = {"scenarios": 80, "variants": 16, "variant_scenarios": 4}


@dataclass(frozen=True)
class Environment:
    """A virtual environment; commands run in a folder of the caller's."""

    folder: Path
    cut_off: bool = False
    """No network for any command."""

    def run(self, *words: str | Path, cwd: Path, given: str | None = None, **variables: str) -> str:
        """Run a program of this environment; its stdout. The words must end with status 0."""
        command = [str(self.folder / "bin" / words[0]), *map(str, words[1:])]
        done = subprocess.run(
            [*(CUT_OFF if self.cut_off else ()), *command], cwd=cwd, input=given, env=clean_variables() | variables,
            capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, f"{' '.join(command)}: status {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout


def clean_variables() -> dict[str, str]:
    """Ours without what would let the checkout in; transformers may not look for a hub."""
    kept = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
    return kept | {"HF_HUB_OFFLINE": "1"}


def empty_environment(folder: Path) -> Environment:
    """A virtual environment with nothing but pip."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    return Environment(folder)


def needs_namespaces() -> None:
    """Skip where the system lets nobody make a network namespace."""
    if shutil.which("unshare") is None or subprocess.run([*CUT_OFF, "true"], capture_output=True).returncode:
        pytest.skip("this system forbids network namespaces: nothing can be cut off here")


def short_demo(environment: Environment, folder: Path) -> Path:
    """The example company with fewer scenarios: minutes become seconds, no kind of source is left out."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    environment.run("hrmbuild", "init", folder, "--demo", cwd=folder.parent)
    settings = folder / "hrmbuild.yaml"
    text = settings.read_text(encoding="utf-8")
    for key, most in SHORTER.items():
        text, n_shortened = re.subn(rf"\b{key}: [1-9]\d*", f"{key}: {most}", text)
        assert n_shortened
    settings.write_text(text, encoding="utf-8")
    return folder

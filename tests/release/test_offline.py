"""The whole road with the network cut off, on what the bundle installed with the network cut off."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from installed import CUT_OFF, STEPS, Environment, needs_namespaces, short_demo

pytestmark = pytest.mark.slow

REACH_OUT = "import socket; socket.create_connection(('127.0.0.1', 1), 1)"


def test_cut_off_means_cut_off(from_bundle: Environment, tmp_path: Path) -> None:
    needs_namespaces()
    command = [*CUT_OFF, str(from_bundle.folder / "bin" / "python"), "-c", REACH_OUT]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert "Network is unreachable" in done.stderr


def test_the_road_ends_verified_and_answers(from_bundle: Environment, tmp_path: Path) -> None:
    project = short_demo(from_bundle, tmp_path / "demo")
    built = json.loads(from_bundle.run("hrmbuild", "build", "--steps", STEPS, "--json", cwd=project))
    assert built["ok"] is True
    assert [stage["stage"] for stage in built["stages"] if stage["done"]] == [
        "ingest", "freeze", "train", "package", "verify",
    ]  # fmt: skip
    shown = ("--show", "3", "--show-label", "internal")
    scores = json.loads(
        from_bundle.run("hrmbuild", "eval", "--split", "test", "--most", "20", *shown, "--json", cwd=project)
    )
    assert len(scores["examples"]) == 3
    asked = json.loads(from_bundle.run("hrmbuild", "ask", "1. Pay.\nWhat is decided?", "--json", cwd=project))
    assert asked["tokens"] > 0

"""Stdout under `--json` is one object and nothing else: flags in another place, a terminal that writes few letters."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typed_commands import SETTINGS, Type

MARK = "=== the same as one object\n"
BOTH = f"""
import sys
from hrmbuild.cli.main import run
sys.argv = ["hrmbuild", "ingest"]
try:
    run()
except SystemExit as stop:
    assert stop.code == 1
print({MARK!r}, end="", flush=True)
sys.argv = ["hrmbuild", "ingest", "--json"]
run()
"""
"""One process for both: each loads what ingest needs."""


def test_json_before_the_command_is_an_object_that_says_where_it_belongs(typed: Type, project: Path) -> None:
    outcome = typed("--json", "ingest")
    assert (outcome.status, outcome.json["error"]["code"]) == (2, "usage.arguments")
    assert "hrmbuild ingest --json" in outcome.json["error"]["fix"]
    assert not (project / "corpus.duckdb").exists()


SLOW = pytest.mark.slow


@pytest.mark.parametrize("encoding", ["ascii", pytest.param("latin-1", marks=SLOW), pytest.param("utf-8", marks=SLOW)])
def test_a_letter_that_the_terminal_cannot_write_ends_no_command(project: Path, encoding: str) -> None:
    (project / "memos" / "Grüße → Köln 🚲.md").write_text("# Plan\n\nWe decided to lease six bicycles.\n")
    (project / "hrmbuild.yaml").write_text(SETTINGS.replace("path: rules, kind: rules", "path: none, kind: rules"))
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    program = [sys.executable, "-c", BOTH]
    done = subprocess.run(program, capture_output=True, cwd=project, env=environment, check=False)
    assert (done.returncode, b"Traceback" in done.stderr) == (1, False)
    plain, told = done.stdout.decode(encoding).split(MARK)
    assert plain.strip()
    paths = [one["path"] for one in json.loads(told)["files"]]
    assert "memos/Grüße → Köln 🚲.md" in paths

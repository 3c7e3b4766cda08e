"""Files that are broken, or made to break their reader: one run over all of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
MOST_MIB = 4096


@pytest.mark.slow
def test_every_nasty_file_is_accounted_for_within_4_gib_and_nothing_is_written_beside_the_corpus(
    shared_data: Path, tmp_path: Path
) -> None:
    command = [sys.executable, str(BENCHMARKS / "real_data_table.py"), "--data", str(shared_data), "--config",
               str(BENCHMARKS / "nasty_data.yaml"), "--work", str(tmp_path / "work")]  # fmt: skip
    before = {path: path.stat().st_mtime_ns for path in (shared_data / "nasty").rglob("*")}
    ran = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, cwd=tmp_path)
    assert ran.returncode == 0 and "Traceback" not in ran.stderr, ran.stderr[-2000:]
    told = json.loads(ran.stdout.splitlines()[-1])
    n_files = sum(1 for path in (shared_data / "nasty").rglob("*") if path.is_file() and path.name != "SOURCE.txt")
    assert told["files"] == n_files == told["read"] + told["quarantined"]
    assert told["peak_mib"] < MOST_MIB and told["wrong_quotes"] == 0
    assert {path: path.stat().st_mtime_ns for path in (shared_data / "nasty").rglob("*")} == before
    assert {one.name for one in tmp_path.iterdir()} == {"work"}
    assert {one.name for one in (tmp_path / "work").iterdir()} <= {"corpus.duckdb", "log.jsonl"}

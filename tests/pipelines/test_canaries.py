"""Canaries: drawn once, never over others, and declared by their owner."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from small_project import FILES, write_project

from hrmbuild.errors import UsageError
from hrmbuild.pipelines.canaries import write_canaries


def test_canaries_are_drawn_by_the_seed_and_come_with_their_entry(tmp_path: Path) -> None:
    project = write_project(tmp_path, FILES)
    path = project.folder / "canaries.jsonl"
    report = write_canaries(project, path, n=5, label="restricted", repeat=20)
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert len({row["response"] for row in rows}) == len({row["instruction"] for row in rows}) == 5
    assert all(row["response"].isdigit() and len(row["response"]) == 8 for row in rows)
    assert "  - path: canaries.jsonl" in report.entry and "    stratum: canaries" in report.entry
    first = path.read_bytes()
    with pytest.raises(UsageError):
        write_canaries(project, path, n=5, label="restricted", repeat=20)
    assert path.read_bytes() == first
    path.unlink()
    write_canaries(project, path, n=5, label="restricted", repeat=1)
    assert path.read_bytes() == first


@pytest.mark.parametrize(("name", "label"), [("x.csv", "public"), ("none/x.jsonl", "public"), ("x.jsonl", "top")])
def test_a_wrong_place_or_label_is_refused(tmp_path: Path, name: str, label: str) -> None:
    project = write_project(tmp_path, FILES)
    with pytest.raises(UsageError):
        write_canaries(project, project.folder / name, n=1, label=label, repeat=1)

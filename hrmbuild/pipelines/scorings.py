"""Which packages were scored, on what, and how often: a test split that is looked at often is no test any more.

Owns `evaluations.jsonl` beside the project's other outputs: one line a scoring. It must not score.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hrmbuild.config.loading import Project
from hrmbuild.errors import InputError
from hrmbuild.files import write_atomic

FILE_NAME = "evaluations.jsonl"


def n_scorings(project: Project, *, corpus_content_root: str, split: str) -> int:
    """How often this split of this corpus was scored in this project, by any package.

    Raises:
        InputError: `eval.record_unreadable`.
    """
    lines = _read(project.work / FILE_NAME)
    return sum(line.get("corpus") == corpus_content_root and line.get("split") == split for line in lines)


def record_scoring(project: Project, line: dict[str, Any]) -> None:
    """Append one scoring; `line` has `corpus`, `split`, `package`, `n` and `exact`."""
    path = project.work / FILE_NAME
    before = path.read_bytes() if path.is_file() else b""
    write_atomic(path, before + (json.dumps(line, sort_keys=True) + "\n").encode("utf-8"))


def _read(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    try:
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise InputError(
            "eval.record_unreadable",
            f"the record of scorings cannot be read: {error}",
            where=str(path),
            fix="restore the file; it counts how often the test split was looked at",
        ) from error

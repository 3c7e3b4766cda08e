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
QUESTIONS = "questions"
"""What stands for a split where a validator's file was asked: counted apart, by the file's hash."""

EXTRACTION = "extraction"
"""The same where trained text was tried to be drawn out: nothing of dev or test was asked."""


def n_scorings(project: Project, *, corpus_content_root: str, split: str, questions_sha256: str | None = None) -> int:
    """How often this split of this corpus (or this file of questions) was scored in this project, by any package.

    Raises:
        InputError: `eval.record_unreadable`.
    """
    wanted = {"corpus": corpus_content_root, "split": split, "questions_sha256": questions_sha256}
    return sum(all(line.get(key) == value for key, value in wanted.items()) for line in _read(project))


def scorings_of(project: Project, *, weights_sha256: str) -> list[dict[str, Any]]:
    """The lines of scorings of these weights, oldest first.

    Raises:
        InputError: `eval.record_unreadable`.
    """
    return [line for line in _read(project) if line.get("weights") == weights_sha256]


def record_scoring(project: Project, line: dict[str, Any]) -> None:
    """Append one scoring; `line` has `corpus`, `split`, `package`, `weights`, `n`, `exact` and their interval."""
    path = project.work / FILE_NAME
    before = path.read_bytes() if path.is_file() else b""
    write_atomic(path, before + (json.dumps(line, sort_keys=True) + "\n").encode("utf-8"))


def _read(project: Project) -> list[dict[str, Any]]:
    path: Path = project.work / FILE_NAME
    if not path.is_file():
        return []
    try:
        lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise _unreadable(path, str(error)) from error
    if not all(isinstance(line, dict) for line in lines):
        raise _unreadable(path, "a line is no JSON object")
    return lines


def _unreadable(path: Path, told: str) -> InputError:
    return InputError(
        "eval.record_unreadable",
        f"the record of scorings cannot be read: {told}",
        where=str(path),
        fix="restore the file; it counts how often the test split was looked at",
    )

"""Which run `--resume` means: the folder that was named, or one of the project's runs with these settings.

Owns the search. A run keeps the bins that its first number of ranks gave it, and its name depends on them: with another
number of ranks it has to be looked for. It must not judge whether the run can go on.
"""

from __future__ import annotations

import difflib
from pathlib import Path

from hrmbuild.config.loading import Project
from hrmbuild.errors import InputError, UsageError
from hrmbuild.records.run import RunRecord
from hrmbuild.records.token_files import TokenFiles, token_files_sha256
from hrmbuild.training.run_folder import RunFolder


def refuse_missing(project: Project, out: Path) -> None:
    """Refuse to go on with a run in a folder that does not exist: a misspelt path would begin a new run in silence.

    Raises:
        UsageError: `train.no_such_run`, naming the nearest run there is.
    """
    if out.exists():
        return
    beside = {folder.name: folder for folder in (*_runs(project.runs_folder), *_runs(out.parent))}
    nearest = difflib.get_close_matches(out.name, sorted(beside), n=1, cutoff=0.5)
    raise UsageError(
        "train.no_such_run",
        "this folder does not exist, so there is no run to go on with",
        where=f"--out {out}",
        fix=(f"did you mean --out {beside[nearest[0]]}? " if nearest else "")
        + "To begin a run there, leave --resume out (or make the folder first)",
    )


def refuse_other_tokens(recorded: RunRecord, files: TokenFiles, *, where: str) -> None:
    """Refuse to go on with token files that are not those that the run began with.

    Raises:
        InputError: `train.other_tokens`.
    """
    if recorded.token_files_sha256 not in (None, token_files_sha256(files)):
        raise InputError(
            "train.other_tokens",
            "the token files are not those that this run began with",
            where=where,
            why="their hashes fit one another, but what the manifest encodes to was read before: they were altered",
            fix="delete token-files/ (train writes it again from the manifest), then go on",
        )


def recorded_bins(project: Project, *, batch_tokens: int) -> list[int]:
    """Into how many bins the project's runs with steps of this size cut them."""
    records = [record for folder in _runs(project.runs_folder) if (record := _record(folder)) is not None]
    return sorted({record.config.bins for record in records if record.config.batch_tokens == batch_tokens})


def _runs(folder: Path) -> list[Path]:
    return sorted(path.parent for path in folder.glob("*/run.json")) if folder.is_dir() else []


def _record(folder: Path) -> RunRecord | None:
    try:
        return RunFolder(folder).record()
    except InputError:  # A damaged run is refused when it is meant, not when another one is looked for.
        return None

"""A finished run as package and verify see it: its records, its last checkpoint's averaged weights, its metrics.

Owns reading a run folder and refusing one that is not finished or not what its own hashes say. Only the averaged
weights are loaded: moments are twice the model, and nobody packages them. It must not train.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from torch import Tensor

from hrmbuild.config.loading import Project
from hrmbuild.errors import InputError, UsageError
from hrmbuild.fingerprint import hash_file, strict_json
from hrmbuild.inference.load import EMA_KIND
from hrmbuild.inference.stored_weights import StoredShards
from hrmbuild.model.digest import weights_sha256
from hrmbuild.records.checkpoint import CheckpointState, is_intact
from hrmbuild.records.run import RunRecord, RunResult, run_digest
from hrmbuild.shards import shard_name, shard_names
from hrmbuild.training.metrics import read_metrics
from hrmbuild.training.run_folder import RunFolder
from hrmbuild.training.step_folders import STATE_NAME


@dataclass(frozen=True)
class FinishedRun:
    """A run that ended."""

    folder: Path
    record: RunRecord
    result: RunResult
    state: CheckpointState
    """Of the last checkpoint."""

    @property
    def checkpoint(self) -> Path:
        """Folder of the last checkpoint."""
        return self.folder / "checkpoints" / self.result.checkpoint

    def averaged_weights(self) -> Mapping[str, Tensor]:
        """The weights that are packaged, by fused name; each is read when it is asked for.

        Raises:
            InputError: they are missing, or not those that training recorded.
        """
        state = StoredShards(self.checkpoint, EMA_KIND)
        if weights_sha256(state) != self.result.ema_sha256:
            raise _altered(self.checkpoint / shard_name(EMA_KIND), "these are not the weights that training recorded")
        return state

    def metrics(self) -> list[dict[str, Any]]:
        """All lines of `metrics.jsonl`."""
        return read_metrics(RunFolder(self.folder).metrics)


def newest_run(project: Project) -> Path:
    """The run that finished last.

    Raises:
        UsageError: `package.no_run`.
    """
    results = project.runs_folder.glob("*/result.json") if project.runs_folder.is_dir() else ()
    ordered = sorted(results, key=lambda path: (path.stat().st_mtime_ns, path.parent.name))
    if not ordered:
        raise UsageError(
            "package.no_run",
            "no run has finished yet",
            where=str(project.runs_folder),
            why="only a finished run can be packaged",
            fix="run hrmbuild train (with --resume where a run was interrupted)",
        )
    return ordered[-1].parent


def read_finished_run(folder: Path) -> FinishedRun:
    """Read a run and compare its records with one another.

    Raises:
        UsageError: `package.run_unfinished`.
        InputError: `package.run_altered`, or its files cannot be read.
    """
    files = RunFolder(folder)
    record, result = files.record(), files.result()
    if record is None:
        raise InputError("package.run_missing", "there is no run here", where=str(folder),
                         fix="name a folder that hrmbuild train wrote")  # fmt: skip
    if result is None:
        raise UsageError(
            "package.run_unfinished", "this run has not finished", where=str(folder),
            why="its learning-rate schedule and its weight average are those of a whole run",
            fix="go on with it: hrmbuild train --resume",
        )  # fmt: skip
    if run_digest(record.config) != record.config_sha256:
        raise _altered(files.run_json, "its config is not the one that its hash names")
    state = _checked_state(files.checkpoints / result.checkpoint, record)
    if {result.steps, state.step} != {record.config.steps}:
        raise _altered(files.result_json, f"it tells of {result.steps} steps, its settings of {record.config.steps}")
    return FinishedRun(folder, record, result, state)


def _checked_state(checkpoint: Path, record: RunRecord) -> CheckpointState:
    path = checkpoint / STATE_NAME
    try:
        state = CheckpointState.model_validate(strict_json(path.read_bytes()))
    except (OSError, ValueError, ValidationError) as error:
        raise _altered(path, f"it cannot be read: {str(error).splitlines()[0]}") from error
    if not is_intact(state) or state.config_sha256 != record.config_sha256:
        raise _altered(path, "it is not what was written for this run")
    names = shard_names(EMA_KIND, list(state.files))
    if not names:
        raise _altered(path, "it does not list the averaged weights")
    for name in names:
        if not (checkpoint / name).is_file() or hash_file(checkpoint / name) != state.files[name]:
            raise _altered(checkpoint / name, "its bytes are not those that were written")
    return state


def _altered(path: Path, what: str) -> InputError:
    return InputError(
        "package.run_altered",
        what,
        where=str(path),
        why="a package says which run its weights come from, and must be able to prove it",
        fix="restore the run's folder, or train again",
    )

"""Checkpoints: written whole or not at all, verified when read, the newest good one wins.

Owns the folder `checkpoints/` of a run; format: see `records.checkpoint`. Nothing is pickled. It knows no loop.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from hrmbuild import __version__
from hrmbuild.files import disk_errors, rename_folder, system_error, write_atomic
from hrmbuild.fingerprint import hash_file
from hrmbuild.model.digest import weights_sha256
from hrmbuild.model.weights import fused_state
from hrmbuild.records.checkpoint import CheckpointFacts, CheckpointState, is_intact, sealed
from hrmbuild.records.run import RunConfig, run_digest
from hrmbuild.training.state import Tensors, TrainState, averaged_state, moments_state

STATE_NAME = "state.json"
_FOLDER = re.compile(r"step_(\d{6,})")
_TORN = ".step_*.incomplete"
_SHARDS = ("weights", "moments", "ema", "rng")


@dataclass(frozen=True)
class Checkpoint:
    """One that was read and verified."""

    folder: Path
    state: CheckpointState
    weights: Tensors
    ema: Tensors
    moments: Tensors
    rng: torch.Tensor
    """State of torch's generator on the CPU; training draws nothing from it, extensions may."""


def folder_of(step: int) -> str:
    """`step_000120`."""
    return f"step_{step:06d}"


def save_checkpoint(
    checkpoints: Path, state: TrainState, *, config: RunConfig, k: int, metrics_sha256: str, keep: int
) -> Path:
    """Write the state after `state.step` updates, then remove what it makes useless; returns its folder.

    That is: what exceeds the newest `keep`, what a kill tore off, and checkpoints of later steps (a run that stands
    here went back behind them because they were damaged; left in place they would push out the good ones).

    Raises:
        InputError: the disk is full or not writable; what was complete before is untouched.
    """
    final = checkpoints / folder_of(state.step)
    incomplete = checkpoints / f".{final.name}.incomplete"
    with disk_errors(final):
        shutil.rmtree(incomplete, ignore_errors=True)
        incomplete.mkdir(parents=True)
    shards = _tensors(state)
    for name, tensors in shards.items():
        _write_shard(tensors, incomplete / f"{name}.safetensors")
    facts = CheckpointFacts(
        hrmbuild=__version__,
        step=state.step,
        k=k,
        content_root=config.content_root,
        tokenizer_sha256=config.tokenizer_sha256,
        config_sha256=run_digest(config),
        weights_sha256=weights_sha256(shards["weights"]),
        ema_sha256=weights_sha256(shards["ema"]),
        files={f"{name}.safetensors": hash_file(incomplete / f"{name}.safetensors") for name in _SHARDS},
        metrics_sha256=metrics_sha256,
    )
    write_atomic(incomplete / STATE_NAME, sealed(facts).canonical_bytes())
    with disk_errors(final):
        shutil.rmtree(final, ignore_errors=True)  # one that was found torn or altered
    rename_folder(incomplete, final)
    _remove_useless(checkpoints, step=state.step, keep=keep)
    return final


def _tensors(state: TrainState) -> dict[str, Tensors]:
    shards = {
        "weights": fused_state(state.model),
        "moments": moments_state(state),
        "ema": averaged_state(state),
        "rng": {"torch": torch.get_rng_state()},
    }
    return {
        shard: {name: tensor.detach().cpu().contiguous() for name, tensor in sorted(tensors.items())}
        for shard, tensors in shards.items()
    }


def _write_shard(tensors: Tensors, path: Path) -> None:
    with disk_errors(path):
        try:
            save_file(tensors, path, metadata={"format": "pt"})
        except SafetensorError as error:
            raise (system_error(error) or error) from error


def _remove_useless(checkpoints: Path, *, step: int, keep: int) -> None:
    complete = checkpoint_folders(checkpoints)
    later = [folder for folder in complete if _step_of(folder) > step]
    torn = sorted(checkpoints.glob(_TORN))
    for folder in [*later, *[one for one in complete if one not in later][keep:], *torn]:
        shutil.rmtree(folder)


def checkpoint_folders(checkpoints: Path) -> list[Path]:
    """Complete checkpoints, newest first; nothing in them is read."""
    if not checkpoints.is_dir():
        return []
    found = [path for path in checkpoints.iterdir() if _FOLDER.fullmatch(path.name)]
    return sorted(found, key=_step_of, reverse=True)


def _step_of(folder: Path) -> int:
    return int(folder.name.removeprefix("step_"))


def newest_checkpoint(checkpoints: Path, *, config_sha256: str, tell: Callable[[str], None]) -> Checkpoint | None:
    """The newest checkpoint of this run whose every byte is as written; those passed over are told, one line each."""
    for folder in checkpoint_folders(checkpoints):
        found = read_checkpoint(folder)
        if isinstance(found, Checkpoint) and found.state.config_sha256 == config_sha256:
            return found
        why = found if isinstance(found, str) else "it belongs to a run with other settings"
        tell(f"checkpoint {folder.name} is passed over: {why}")
    return None


def read_checkpoint(folder: Path) -> Checkpoint | str:
    """A verified checkpoint, or the reason why it cannot be trusted."""
    try:
        state = CheckpointState.model_validate(json.loads((folder / STATE_NAME).read_bytes()))
    except OSError as error:
        return f"{STATE_NAME} cannot be read ({error.strerror})"
    except (ValueError, ValidationError):
        return f"{STATE_NAME} is damaged"
    problem = _first_problem(folder, state)
    if problem is not None:
        return problem
    shards = {name: load_file(folder / f"{name}.safetensors") for name in _SHARDS}
    return Checkpoint(
        folder, state, shards["weights"], ema=shards["ema"], moments=shards["moments"], rng=shards["rng"]["torch"]
    )


def _first_problem(folder: Path, state: CheckpointState) -> str | None:
    if not is_intact(state):
        return f"{STATE_NAME} was altered"
    missing = {f"{name}.safetensors" for name in _SHARDS} - state.files.keys()
    if missing:
        return f"{STATE_NAME} does not list {min(missing)}"
    for name, expected in sorted(state.files.items()):
        path = folder / name
        if not path.is_file():
            return f"{name} is missing"
        if hash_file(path) != expected:
            return f"{name} was altered"
    return None

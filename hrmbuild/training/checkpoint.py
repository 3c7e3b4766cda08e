"""Checkpoints: written whole or not at all by all ranks together, verified when read, the newest good one wins.

Owns the folder `checkpoints/` of a run; format: see `records.checkpoint`. Nothing is pickled. It knows no loop. Saving
has four parts, so that the third and the fourth can run beside training:

    state.snapshot(state, ranks)      every rank    copies its rows to the CPU
    clear_place(checkpoints, step)    main rank     empties the place; all wait for it
    write_shards(checkpoints, copy)   every rank    writes its files and a receipt with their hashes; no rank is asked
    complete(checkpoints, step, ...)  main rank     when all receipts are there: `state.json`, rename, retention
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from hrmbuild import __version__
from hrmbuild.errors import InputError
from hrmbuild.files import disk_errors, rename_folder, sync_file, system_error, write_atomic
from hrmbuild.fingerprint import canonical_json, hash_file
from hrmbuild.model.digest import weights_sha256
from hrmbuild.records.checkpoint import CheckpointFacts, CheckpointState, is_intact, sealed
from hrmbuild.records.run import RunConfig, run_digest
from hrmbuild.shards import PLACEMENT_KEY, ShardFiles, shard_name, shard_names
from hrmbuild.training.agreement import on_main, together
from hrmbuild.training.ranks import Ranks
from hrmbuild.training.state import Rows, Snapshot, Tensors, TrainState, snapshot
from hrmbuild.training.step_folders import STATE_NAME, checkpoint_folders, folder_of, step_of

_TORN = ".step_*.incomplete"
_KINDS = ("weights", "moments", "ema", "rng")


@dataclass(frozen=True)
class Checkpoint:
    """One that was verified; its tensors are read when asked for, by rows where wished."""

    folder: Path
    state: CheckpointState
    weights: ShardFiles
    ema: ShardFiles
    moments: ShardFiles

    def rng(self, rank: int) -> Tensors:
        """States of a rank's generators; where more ranks go on than wrote, they begin again with the first's."""
        names = shard_names("rng", list(self.state.files))
        return load_file(self.folder / names[rank % len(names)])


@dataclass(frozen=True)
class SavedFacts:
    """What a checkpoint says beside its tensors."""

    config: RunConfig
    k: int
    """Backprop depth of the last update."""
    metrics_sha256: str
    """Head of the metrics chain."""
    keep: int
    """How many checkpoints stay."""


def save_checkpoint(checkpoints: Path, state: TrainState, facts: SavedFacts, *, ranks: Ranks) -> Path:
    """Write the state after `state.step` updates and return its folder; every rank calls it, and none returns before
    the checkpoint stands.

    Raises:
        HrmbuildError: the disk is full or not writable, here or on another rank; what was complete before is untouched.
    """
    held = snapshot(state, ranks)
    on_main(ranks, lambda: clear_place(checkpoints, state.step))
    together(ranks, lambda: write_shards(checkpoints, held))
    on_main(ranks, lambda: complete(checkpoints, state.step, facts, ranks=ranks.count))
    return checkpoints / folder_of(state.step)


def clear_place(checkpoints: Path, step: int) -> None:
    """Empty the folder that a checkpoint of `step` is written in.

    Raises:
        InputError: the disk is not writable.
    """
    incomplete = incomplete_folder(checkpoints, step)
    with disk_errors(checkpoints / folder_of(step)):
        shutil.rmtree(incomplete, ignore_errors=True)
        incomplete.mkdir(parents=True)


def write_shards(checkpoints: Path, held: Snapshot) -> None:
    """Write one rank's files, flushed to the disk, then the receipt that says so; asks nothing of other ranks.

    Raises:
        InputError: the disk is full or not writable.
    """
    folder = incomplete_folder(checkpoints, held.step)
    hashes: dict[str, str] = {}
    for kind, rows in held.kinds.items():
        name = shard_name(kind, held.rank + 1, held.ranks)
        placed = held.ranks > 1 and kind != "rng"
        _write_shard(rows, folder / name, placed=placed)
        hashes[name] = hash_file(folder / name)
    write_atomic(folder / _receipt(held.rank), canonical_json(hashes))


def _write_shard(rows: dict[str, Rows], path: Path, *, placed: bool) -> None:
    metadata = {"format": "pt"}
    if placed:
        offset = {name: [one.first, *[0] * (len(one.shape) - 1)][: len(one.shape)] for name, one in rows.items()}
        places = {name: {"offset": offset[name], "shape": list(one.shape)} for name, one in rows.items()}
        metadata = {PLACEMENT_KEY: canonical_json(places).decode("utf-8")}  # One key: the order of two is not stable.
    with disk_errors(path):
        try:
            save_file({name: one.tensor for name, one in rows.items()}, path, metadata=metadata)
        except SafetensorError as error:
            raise (system_error(error) or error) from error
        sync_file(path)


def complete(checkpoints: Path, step: int, facts: SavedFacts, *, ranks: int) -> Path:
    """Seal what all ranks wrote and give it its name, then remove what it makes useless; returns its folder.

    That is: what exceeds the newest `keep`, what a kill tore off, and checkpoints of later steps (a run that stands
    here went back behind them because they were damaged; left in place they would push out the good ones). The digests
    of the weights are made from the written files, whole tensor by whole tensor: they do not depend on sharding.

    Raises:
        InputError: the disk is full or not writable, or a rank's receipt is missing.
    """
    final, incomplete = checkpoints / folder_of(step), incomplete_folder(checkpoints, step)
    files = _receipts(incomplete, ranks)
    state = CheckpointFacts(
        hrmbuild=__version__,
        step=step,
        k=facts.k,
        content_root=facts.config.content_root,
        tokenizer_sha256=facts.config.tokenizer_sha256,
        config_sha256=run_digest(facts.config),
        weights_sha256=weights_sha256(ShardFiles(incomplete, "weights")),
        ema_sha256=weights_sha256(ShardFiles(incomplete, "ema")),
        files=files,
        metrics_sha256=facts.metrics_sha256,
    )
    write_atomic(incomplete / STATE_NAME, sealed(state).canonical_bytes())
    with disk_errors(final):
        for rank in range(ranks):
            (incomplete / _receipt(rank)).unlink()
        shutil.rmtree(final, ignore_errors=True)  # one that was found torn or altered
    rename_folder(incomplete, final)
    _remove_useless(checkpoints, step=step, keep=facts.keep)
    return final


def all_written(checkpoints: Path, step: int, *, ranks: int) -> bool:
    """Whether every rank's receipt is there, so that the checkpoint can be completed."""
    folder = incomplete_folder(checkpoints, step)
    return all((folder / _receipt(rank)).is_file() for rank in range(ranks))


def _receipts(incomplete: Path, ranks: int) -> dict[str, str]:
    """Hashes of all files that the ranks say they wrote."""
    files: dict[str, str] = {}
    with disk_errors(incomplete):
        for rank in range(ranks):
            files |= json.loads((incomplete / _receipt(rank)).read_bytes())
    return dict(sorted(files.items()))


def _receipt(rank: int) -> str:
    return f"written-{rank + 1:05d}.json"


def incomplete_folder(checkpoints: Path, step: int) -> Path:
    """Where a checkpoint lies while it is written."""
    return checkpoints / f".{folder_of(step)}.incomplete"


def _remove_useless(checkpoints: Path, *, step: int, keep: int) -> None:
    found = checkpoint_folders(checkpoints)
    later = [folder for folder in found if step_of(folder) > step]
    torn = sorted(checkpoints.glob(_TORN))
    for folder in [*later, *[one for one in found if one not in later][keep:], *torn]:
        with disk_errors(folder):
            shutil.rmtree(folder)


def newest_checkpoint(
    checkpoints: Path, *, config_sha256: str, tell: Callable[[str], None], ranks: Ranks
) -> Checkpoint | None:
    """The newest checkpoint of this run whose every byte is as written; those passed over are told, one line each.

    Every rank calls it. The main rank says which folders there are, each rank verifies its share of the files, and all
    come to the same answer.
    """
    names = ranks.texts("/".join(folder.name for folder in checkpoint_folders(checkpoints)))[0].split("/")
    for name in filter(None, names):
        found = read_checkpoint(checkpoints / name, part=(ranks.index, ranks.count))
        if isinstance(found, Checkpoint) and found.state.config_sha256 != config_sha256:
            found = "it belongs to a run with other settings"
        problems = [text for text in ranks.texts(found if isinstance(found, str) else "") if text]
        if isinstance(found, Checkpoint) and not problems:
            return found
        tell(f"checkpoint {name} is passed over: {problems[0]}")
    return None


def read_state(folder: Path) -> CheckpointState:
    """`state.json` of a checkpoint that this run has just verified or written.

    Raises:
        InputError: `checkpoint.unreadable`.
    """
    try:
        return CheckpointState.model_validate(json.loads((folder / STATE_NAME).read_bytes()))
    except (OSError, ValueError, ValidationError) as error:
        raise InputError(
            "checkpoint.unreadable",
            f"this is no readable {STATE_NAME}",
            where=str(folder / STATE_NAME),
            why=str(error).splitlines()[0],
            fix="go on with --resume: the newest good checkpoint is taken",
        ) from error


def read_checkpoint(folder: Path, *, part: tuple[int, int] = (0, 1)) -> Checkpoint | str:
    """A verified checkpoint, or the reason why it cannot be trusted; of (i, n) each n-th file is hashed."""
    try:
        state = CheckpointState.model_validate(json.loads((folder / STATE_NAME).read_bytes()))
    except OSError as error:
        return f"{STATE_NAME} cannot be read ({error.strerror})"
    except (ValueError, ValidationError):
        return f"{STATE_NAME} is damaged"
    problem = _first_problem(folder, state, part)
    if problem is not None:
        return problem
    try:
        weights, ema, moments = (ShardFiles(folder, kind) for kind in ("weights", "ema", "moments"))
    except InputError as error:
        return error.what
    return Checkpoint(folder, state, weights, ema=ema, moments=moments)


def _first_problem(folder: Path, state: CheckpointState, part: tuple[int, int]) -> str | None:
    if not is_intact(state):
        return f"{STATE_NAME} was altered"
    for kind in _KINDS:
        if not shard_names(kind, list(state.files)):
            return f"{STATE_NAME} does not list all of {shard_name(kind)}"
    for name, expected in sorted(state.files.items())[part[0] :: part[1]]:
        path = folder / name
        if not path.is_file():
            return f"{name} is missing"
        if hash_file(path) != expected:
            return f"{name} was altered"
    return None

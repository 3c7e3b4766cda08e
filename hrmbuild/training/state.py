"""What training holds between two steps, as named tensors, this rank's copy of its rows, and back.

Owns the mapping between the live model and optimizer and the tensors of a checkpoint. It must not touch files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from hrmbuild.errors import InputError
from hrmbuild.model.language_model import LanguageModel
from hrmbuild.model.weights import fused_state
from hrmbuild.shards import ShardFiles
from hrmbuild.training.optimizer import AdamAtan2
from hrmbuild.training.ranks import Ranks, is_sharded, local_rows

Tensors = dict[str, Tensor]


@dataclass
class TrainState:
    """The live state of a run."""

    model: LanguageModel
    """Float32 masters; never the wrapped module. Sharded: this rank's rows of them."""
    optimizer: AdamAtan2
    step: int = 0
    """Updates done."""


@dataclass(frozen=True)
class Rows:
    """Some rows of a tensor, copied to the CPU."""

    tensor: Tensor
    first: int
    shape: tuple[int, ...]
    """Of the whole tensor."""


@dataclass(frozen=True)
class Snapshot:
    """A copy of what one rank has to write of the state after `step` updates: the run may go on while it is written."""

    step: int
    rank: int
    ranks: int
    kinds: dict[str, dict[str, Rows]]
    """Kind (`weights`, `moments`, `ema`, `rng`) -> name -> rows; what has no row here is left out."""


def averaged_state(state: TrainState) -> Tensors:
    """The weights' averages by the weights' names; what has none yet (or is no parameter) as it is."""
    averages = {
        name: state.optimizer.state[parameter]["ema"]
        for name, parameter in state.model.named_parameters()
        if parameter in state.optimizer.state
    }
    return fused_state(state.model) | averages


def moments_state(state: TrainState) -> Tensors:
    """`m.<name>`, `v.<name>` and `t.<name>` (int64) of every parameter that was ever updated."""
    tensors: Tensors = {}
    for name, parameter in state.model.named_parameters():
        if parameter in state.optimizer.state:
            held = state.optimizer.state[parameter]
            tensors |= {f"m.{name}": held["exp_avg"], f"v.{name}": held["exp_avg_sq"]}
            tensors[f"t.{name}"] = torch.tensor(held["step"])
    return tensors


@torch.no_grad()
def snapshot(state: TrainState, ranks: Ranks) -> Snapshot:
    """Copy this rank's rows of everything a checkpoint holds to the CPU; every rank calls it, none waits.

    Every rank has its own rows of every tensor, whether the model is sharded or not: without sharding the ranks split
    the work of writing.
    """
    kinds = {"weights": fused_state(state.model), "moments": moments_state(state), "ema": averaged_state(state)}
    held = {
        kind: {name: rows for name, tensor in sorted(tensors.items()) if (rows := _own_rows(tensor, ranks)) is not None}
        for kind, tensors in kinds.items()
    }
    held["rng"] = {name: Rows(tensor, 0, tuple(tensor.shape)) for name, tensor in _rng(ranks.device).items()}
    return Snapshot(state.step, ranks.index, ranks.count, held)


def _own_rows(tensor: Tensor, ranks: Ranks) -> Rows | None:
    shape = tuple(tensor.shape)
    if not shape:
        return Rows(_copy(tensor), 0, shape) if ranks.is_main else None
    first, stop = ranks.own_rows(shape[0])
    rows = local_rows(tensor) if is_sharded(tensor) else tensor[first:stop]
    return Rows(_copy(rows), first, shape) if len(rows) else None


def _copy(tensor: Tensor) -> Tensor:
    return torch.empty(tensor.shape, dtype=tensor.dtype).copy_(tensor)


def _rng(device: torch.device) -> Tensors:
    """State of torch's generators; training draws nothing from them, extensions may."""
    on_gpu = {"cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else {}
    return {"torch": torch.get_rng_state()} | on_gpu


def restore_rng(rng: Mapping[str, Tensor], device: torch.device) -> None:
    """Set torch's generators."""
    torch.set_rng_state(rng["torch"])
    if "cuda" in rng and device.type == "cuda":
        torch.cuda.set_rng_state(rng["cuda"], device)


@torch.no_grad()
def restore(state: TrainState, weights: ShardFiles, *, ema: ShardFiles, moments: ShardFiles, ranks: Ranks) -> None:
    """Put a checkpoint's tensors into the live state, bit for bit; a sharded rank reads its own rows only.

    Raises:
        InputError: the weights do not fit the model.
    """
    own = fused_state(state.model)
    if {name: tuple(tensor.shape) for name, tensor in own.items()} != {name: weights.shape(name) for name in weights}:
        raise InputError(
            "model.weights_do_not_fit",
            "the checkpoint's weights are not those of this model",
            where="checkpoint",
            fix="train with the settings that the run began with",
        )
    for name, tensor in own.items():
        _fill(tensor, weights, name, ranks)
    state.optimizer.state.clear()
    for name, parameter in state.model.named_parameters():
        if f"t.{name}" in moments:
            held = {key: torch.empty_like(parameter) for key in ("exp_avg", "exp_avg_sq", "ema")}
            _fill(held["exp_avg"], moments, f"m.{name}", ranks)
            _fill(held["exp_avg_sq"], moments, f"v.{name}", ranks)
            _fill(held["ema"], ema, name, ranks)
            state.optimizer.state[parameter] = {"step": int(moments[f"t.{name}"]), **held}


def _fill(tensor: Tensor, files: ShardFiles, name: str, ranks: Ranks) -> None:
    if is_sharded(tensor):
        local_rows(tensor).copy_(files.rows(name, *ranks.own_rows(tensor.shape[0])))
    else:
        tensor.copy_(files[name])

"""Weights in and out: the fused layout of the released models, the split one of `transformers`, and folders on disk.

Owns names and shapes of the tensors and safetensors files. It must not read `config.json` nor decide a dtype. Fused is
what the modules here hold: `attn.gqkv_proj` = [gate | q | k | v] and `mlp.gate_up_proj` = [gate | up], along the rows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from hrmbuild.errors import InputError

State = dict[str, Tensor]

_SPLIT = {
    "attn.gqkv_proj.weight": tuple(f"self_attn.{part}_proj.weight" for part in ("gate", "q", "k", "v")),
    "attn.o_proj.weight": ("self_attn.o_proj.weight",),
    "mlp.gate_up_proj.weight": ("mlp.gate_proj.weight", "mlp.up_proj.weight"),
}
SINGLE_NAME, INDEX_NAME = "model.safetensors", "model.safetensors.index.json"


def fused_state(model: nn.Module) -> State:
    """Detached tensors by released name, sorted by name; they share memory with the model."""
    return {name: tensor.detach() for name, tensor in sorted(model.state_dict().items())}


def split_state(model: nn.Module) -> State:
    """The same weights by the names `transformers` uses; contiguous, so that each can be written on its own."""
    return split_layout(fused_state(model))


def split_layout(state: Mapping[str, Tensor]) -> State:
    """Fused names and tensors to split ones; tensors outside the blocks pass through."""
    out: State = {}
    for name, tensor in state.items():
        suffix = next((suffix for suffix in _SPLIT if name.endswith("." + suffix)), name)
        parts, stem = _SPLIT.get(suffix, (suffix,)), name.removesuffix(suffix)
        out |= {stem + part: piece.contiguous() for part, piece in zip(parts, tensor.chunk(len(parts)), strict=True)}
    return dict(sorted(out.items()))


def fused_layout(state: Mapping[str, Tensor]) -> State:
    """Split names and tensors to fused ones; what is fused already, and everything else, passes through."""
    left, out = dict(state), {}
    for suffix, parts in _SPLIT.items():
        for stem in [name.removesuffix(parts[0]) for name in state if name.endswith("." + parts[0])]:
            if stem + suffix not in state and all(stem + part in left for part in parts):
                out[stem + suffix] = torch.cat([left.pop(stem + part) for part in parts])
    return dict(sorted((left | out).items()))


@torch.no_grad()
def load_state(model: nn.Module, state: Mapping[str, Tensor], *, where: str = "weights") -> None:
    """Copy a state in either layout into the model, cast to the model's dtype.

    Raises:
        InputError: tensors are missing, unexpected or of another shape; every one is named.
    """
    given, own = fused_layout(state), model.state_dict()
    common = sorted(own.keys() & given.keys())
    other = [name for name in common if own[name].shape != given[name].shape]
    problems = {
        "missing": sorted(own.keys() - given.keys()),
        "unexpected": sorted(given.keys() - own.keys()),
        "wrong shape": [f"{name} {list(given[name].shape)} instead of {list(own[name].shape)}" for name in other],
    }
    if any(problems.values()):
        told = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in problems.items() if names)
        raise InputError("model.weights_do_not_fit", f"the weights do not fit the model: {told}", where=where)
    for name, tensor in own.items():
        tensor.copy_(given[name])


def read_weights(folder: Path) -> State:
    """All tensors of a folder: `model.safetensors`, or the shards its index names.

    Raises:
        InputError: no weights there, a shard is missing or outside the folder, or shards and index disagree.
    """
    if not (folder / INDEX_NAME).is_file():
        return _read_file(folder / SINGLE_NAME)
    weight_map: dict[str, str] = json.loads((folder / INDEX_NAME).read_text("utf-8"))["weight_map"]
    state: State = {}
    for shard in sorted(set(weight_map.values())):
        if Path(shard).name != shard:
            raise _unreadable(INDEX_NAME, f"shard '{shard}' lies outside the folder")
        state |= _read_file(folder / shard)
    if state.keys() != weight_map.keys():
        odd = ", ".join(sorted(state.keys() ^ weight_map.keys()))
        raise _unreadable(INDEX_NAME, f"index and shards disagree on {odd}")
    return dict(sorted(state.items()))


def _read_file(path: Path) -> State:
    if not path.is_file():
        raise _unreadable(path.name, "no such file")
    return load_file(path)


def _unreadable(where: str, what: str) -> InputError:
    fix = "point to a folder with complete safetensors weights"
    return InputError("model.weights_unreadable", what, where=where, fix=fix)


def write_weights(state: Mapping[str, Tensor], folder: Path) -> Path:
    """Write `model.safetensors`; names are sorted, so that the same tensors give the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in sorted(state.items())}
    save_file(plain, folder / SINGLE_NAME, metadata={"format": "pt"})
    return folder / SINGLE_NAME

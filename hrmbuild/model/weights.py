"""Weights in and out: the fused layout of the released models, the split one of `transformers`, and folders on disk.

Owns names and shapes of the tensors and safetensors files. It must not read `config.json` nor decide a dtype.

Fused is what the modules here hold: `attn.gqkv_proj` = [gate | q | k | v] and `mlp.gate_up_proj` = [gate | up], stacked
along the rows. Split holds `self_attn.{gate,q,k,v,o}_proj` and `mlp.{gate,up,down}_proj`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from hrmbuild.errors import InputError

State = dict[str, Tensor]

_FUSED = {
    "attn.gqkv_proj.weight": tuple(f"self_attn.{part}_proj.weight" for part in ("gate", "q", "k", "v")),
    "attn.o_proj.weight": ("self_attn.o_proj.weight",),
    "mlp.gate_up_proj.weight": ("mlp.gate_proj.weight", "mlp.up_proj.weight"),
    "mlp.down_proj.weight": ("mlp.down_proj.weight",),
}
INDEX_NAME = "model.safetensors.index.json"
SINGLE_NAME = "model.safetensors"


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
        suffix = _suffix(name, _FUSED)
        parts = _FUSED.get(suffix, (suffix,))
        stem = name.removesuffix(suffix)
        out |= {stem + part: piece.contiguous() for part, piece in zip(parts, tensor.chunk(len(parts)), strict=True)}
    return dict(sorted(out.items()))


def fused_layout(state: Mapping[str, Tensor]) -> State:
    """Split names and tensors to fused ones; what is fused already, and everything else, passes through."""
    left, out = dict(state), {}
    for suffix, parts in _FUSED.items():
        stems = [name.removesuffix(parts[0]) for name in state if name.endswith("." + parts[0])]
        for stem in stems:
            if stem + suffix not in left and all(stem + part in left for part in parts):
                out[stem + suffix] = torch.cat([left.pop(stem + part) for part in parts])
    return dict(sorted((left | out).items()))


def _suffix(name: str, suffixes: Iterable[str]) -> str:
    return next((suffix for suffix in suffixes if name.endswith("." + suffix)), name)


@torch.no_grad()
def load_state(model: nn.Module, state: Mapping[str, Tensor], *, where: str = "weights") -> None:
    """Copy a state in either layout into the model, cast to the model's dtype.

    Raises:
        InputError: tensors are missing, unexpected or of another shape; every one is named.
    """
    given, own = fused_layout(state), model.state_dict()
    missing, unexpected = sorted(own.keys() - given.keys()), sorted(given.keys() - own.keys())
    shapes = [
        f"{name} {list(given[name].shape)} instead of {list(own[name].shape)}"
        for name in sorted(own.keys() & given.keys())
        if own[name].shape != given[name].shape
    ]
    problems = {"missing": missing, "unexpected": unexpected, "wrong shape": shapes}
    if any(problems.values()):
        told = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in problems.items() if names)
        raise InputError("model.weights_do_not_fit", f"the weights do not fit the model: {told}", where=where)
    for name, tensor in own.items():
        tensor.copy_(given[name])


def read_weights(folder: Path) -> State:
    """All tensors of a folder: `model.safetensors`, or the shards its index names.

    Raises:
        InputError: no weights there, a shard is missing, or shards and index disagree.
    """
    index_path = folder / INDEX_NAME
    if not index_path.is_file():
        return _read_file(folder / SINGLE_NAME)
    weight_map: dict[str, str] = json.loads(index_path.read_text("utf-8"))["weight_map"]
    state: State = {}
    for shard in sorted(set(weight_map.values())):
        if Path(shard).name != shard:
            raise _unreadable(index_path, f"shard '{shard}' lies outside the folder")
        state |= _read_file(folder / shard)
    if state.keys() != weight_map.keys():
        named = ", ".join(sorted(state.keys() ^ weight_map.keys()))
        raise _unreadable(index_path, f"index and shards disagree on {named}")
    return dict(sorted(state.items()))


def _read_file(path: Path) -> State:
    if not path.is_file():
        raise _unreadable(path, "no such file")
    return load_file(path)


def _unreadable(path: Path, what: str) -> InputError:
    return InputError(
        "model.weights_unreadable",
        what,
        where=path.name,
        fix="point to a folder with complete safetensors weights",
    )


def write_weights(state: Mapping[str, Tensor], folder: Path, *, shard_bytes: int = 5 << 30) -> list[Path]:
    """Write `model.safetensors`, or shards with an index when the tensors exceed `shard_bytes`.

    Returns the files written. Names are sorted, so that the same tensors give the same bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shards = _shards(state, shard_bytes)
    if len(shards) == 1:
        return [_write_file(shards[0], folder / SINGLE_NAME)]
    names = [f"model-{i + 1:05d}-of-{len(shards):05d}.safetensors" for i in range(len(shards))]
    paths = [_write_file(shard, folder / name) for shard, name in zip(shards, names, strict=True)]
    weight_map = {key: name for shard, name in zip(shards, names, strict=True) for key in shard}
    total = sum(tensor.nbytes for tensor in state.values())
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
    (folder / INDEX_NAME).write_text(json.dumps(index, indent=2) + "\n", "utf-8")
    return [*paths, folder / INDEX_NAME]


def _shards(state: Mapping[str, Tensor], shard_bytes: int) -> list[State]:
    shards: list[State] = [{}]
    used = 0
    for name, tensor in sorted(state.items()):
        if shards[-1] and used + tensor.nbytes > shard_bytes:
            shards.append({})
            used = 0
        shards[-1][name] = tensor.detach().contiguous().cpu()
        used += tensor.nbytes
    return shards


def _write_file(state: State, path: Path) -> Path:
    save_file(state, path, metadata={"format": "pt"})
    return path

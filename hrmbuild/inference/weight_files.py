"""Folders of safetensors: one file, or shards with an index, as the libraries of the field write them.

Owns reading and writing of tensors by name. It must not know what a name means, nor change a dtype.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from hrmbuild.errors import InputError
from hrmbuild.files import disk_errors, system_error
from hrmbuild.model.weights import State

SINGLE_NAME, INDEX_NAME = "model.safetensors", "model.safetensors.index.json"


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
    with disk_errors(folder / SINGLE_NAME):
        try:
            save_file(plain, folder / SINGLE_NAME, metadata={"format": "pt"})
        except SafetensorError as error:
            raise (system_error(error) or error) from error
    return folder / SINGLE_NAME

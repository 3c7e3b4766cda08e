"""Weights that stay on disk: read one tensor at a time, written one tensor at a time.

Owns that, so that a package of 2.4 GB is made and checked without a second copy in memory. It knows no model. Each read
opens the file again on purpose: a library's mapping of a whole file counts as memory for as long as it is open.

The writer's bytes are those of safetensors' own: header of 8 bytes length and JSON padded to 8, tensors by dtype
(longest first) and name. Source: https://github.com/huggingface/safetensors (format).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from hrmbuild.errors import InputError
from hrmbuild.files import disk_errors
from hrmbuild.inference.weight_files import INDEX_NAME, SINGLE_NAME
from hrmbuild.model.digest import weights_sha256
from hrmbuild.shards import ShardFiles

_DTYPES = {torch.float32: "F32", torch.bfloat16: "BF16"}


class StoredWeights(Mapping[str, Tensor]):
    """The tensors of safetensors files by name, sorted; nothing is held."""

    def __init__(self, *paths: Path) -> None:
        """Read the headers.

        Raises:
            InputError: `model.weights_unreadable`: a file is missing or damaged, or a name stands in two.
        """
        self._files: dict[str, Path] = {}
        for path in paths:
            try:
                with safe_open(path, framework="pt") as file:
                    names = list(file.keys())
            except (OSError, SafetensorError) as error:
                raise _unreadable(path, error) from error
            twice = sorted(self._files.keys() & names)
            if twice:
                raise _unreadable(path, ValueError(f"{twice[0]} stands in another file too"))
            self._files |= dict.fromkeys(names, path)

    @classmethod
    def of_folder(cls, folder: Path) -> StoredWeights:
        """`model.safetensors`, or the shards that the index names.

        Raises:
            InputError: they are missing or unreadable, or shards and index disagree.
        """
        index = folder / INDEX_NAME
        if not index.is_file():
            return cls(folder / SINGLE_NAME)
        try:
            placed: dict[str, str] = json.loads(index.read_bytes())["weight_map"]
            outside = sorted(name for name in placed.values() if Path(name).name != name)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise _unreadable(index, error) from error
        if outside:
            raise _unreadable(index, ValueError(f"shard '{outside[0]}' lies outside the folder"))
        stored = cls(*(folder / name for name in sorted(set(placed.values()))))
        odd = sorted(name for name in placed.keys() | stored.keys() if stored.file_of(name) != placed.get(name))
        if odd:
            raise _unreadable(index, ValueError(f"index and shards disagree on {', '.join(odd)}"))
        return stored

    def __getitem__(self, name: str) -> Tensor:
        """The tensor, on the CPU."""
        with self._open(self._files[name]) as file:
            return file.get_tensor(name)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._files))

    def __len__(self) -> int:
        return len(self._files)

    def file_of(self, name: str) -> str | None:
        """Name of the file that holds a tensor."""
        return self._files[name].name if name in self._files else None

    def form(self, name: str) -> tuple[str, tuple[int, ...]]:
        """Dtype as safetensors spells it and shape; the tensor is not read."""
        with self._open(self._files[name]) as file:
            piece = file.get_slice(name)
            return piece.get_dtype(), tuple(piece.get_shape())

    @staticmethod
    def _open(path: Path) -> safe_open:
        try:
            return safe_open(path, framework="pt")
        except (OSError, SafetensorError) as error:
            raise _unreadable(path, error) from error


@dataclass(frozen=True)
class WrittenWeights:
    """What writing found out."""

    path: Path
    weights_sha256: str
    """`model.digest` of the tensors as stored."""


class StoredShards(Mapping[str, Tensor]):
    """The tensors of one kind in a checkpoint's folder, however many ranks wrote them; nothing is held."""

    def __init__(self, folder: Path, kind: str) -> None:
        """Read the headers.

        Raises:
            InputError: `model.weights_unreadable`.
        """
        self._folder, self._kind = folder, kind
        self._names = tuple(ShardFiles(folder, kind))

    def __getitem__(self, name: str) -> Tensor:
        """The whole tensor, on the CPU."""
        return ShardFiles(self._folder, self._kind)[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class _Converted(Mapping[str, Tensor]):
    """Tensors in another dtype, converted when they are asked for."""

    def __init__(self, state: Mapping[str, Tensor], dtype: torch.dtype) -> None:
        self._state, self._dtype = state, dtype

    def __getitem__(self, name: str) -> Tensor:
        return self._state[name].detach().cpu().to(self._dtype).contiguous()

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._state))

    def __len__(self) -> int:
        return len(self._state)


def stream_weights(state: Mapping[str, Tensor], folder: Path, *, dtype: torch.dtype) -> WrittenWeights:
    """Write `model.safetensors` with one tensor at a time in memory.

    Raises:
        InputError: the disk is full or not writable.
    """
    converted, path = _Converted(state, dtype), folder / SINGLE_NAME
    with disk_errors(path):
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            _write(converted, file, dtype)
    return WrittenWeights(path, weights_sha256(StoredWeights(path)))


def _write(state: Mapping[str, Tensor], file: BinaryIO, dtype: torch.dtype) -> None:
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name in state:
        tensor = state[name]
        begin, end = end, end + tensor.numel() * tensor.element_size()
        header[name] = {"dtype": _DTYPES[dtype], "shape": list(tensor.shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little") + text)
    for name in state:
        file.write(state[name].reshape(-1).view(torch.uint8).numpy().data)


def _unreadable(path: Path, error: Exception) -> InputError:
    told = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return InputError("model.weights_unreadable", f"these weights cannot be read: {told}", where=str(path),
                      fix="point to a folder with complete safetensors weights")  # fmt: skip

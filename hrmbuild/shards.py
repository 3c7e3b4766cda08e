"""Tensors of one kind (`weights`, `ema`, ...) that lie in one safetensors file or, by rows, in several.

Owns the names of such files, where each piece belongs, and reading any rows of a tensor whatever pieces they lie in. It
is a room of its own because training and inference both read checkpoints and must not know each other. It must not
verify hashes nor know what a name means.

One writer: `ema.safetensors`. Several: `ema-00002-of-00004.safetensors`, each with some rows of every tensor and, in
the file's metadata under `placement`, canonical JSON {name: {"offset": [first row, 0, ...], "shape": [of the whole]}}.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from hrmbuild.errors import InputError

PLACEMENT_KEY = "placement"


class Piece(NamedTuple):
    """Some rows of a tensor in a file."""

    path: Path
    first: int
    n_rows: int


def shard_name(kind: str, number: int = 1, count: int = 1) -> str:
    """`ema.safetensors`, or `ema-00002-of-00004.safetensors`; numbers count from 1."""
    return f"{kind}.safetensors" if count == 1 else f"{kind}-{number:05d}-of-{count:05d}.safetensors"


def shard_names(kind: str, names: list[str]) -> list[str]:
    """Of all these file names, those that make up a kind, in order; empty where a part is missing or two sets mix."""
    pattern = re.compile(re.escape(kind) + r"(?:-(\d{5})-of-(\d{5}))?\.safetensors")
    found = sorted(name for name in names if pattern.fullmatch(name))
    numbered = pattern.fullmatch(found[-1]) if found else None
    count = int(numbered[2] or 1) if numbered is not None else 0
    return found if found == [shard_name(kind, number, count) for number in range(1, count + 1)] else []


class ShardFiles(Mapping[str, Tensor]):
    """The tensors of a kind by name; nothing is read before it is asked for."""

    def __init__(self, folder: Path, kind: str) -> None:
        """Read the headers of the files.

        Raises:
            InputError: `model.weights_unreadable`: a file is missing, or the pieces do not make whole tensors.
        """
        self._where = folder / shard_name(kind)
        self._pieces: dict[str, list[Piece]] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._files: dict[Path, Any] = {}
        names = shard_names(kind, [path.name for path in folder.iterdir()] if folder.is_dir() else [])
        if not names:
            raise self._unreadable(f"the files of {kind} are missing or incomplete")
        for name in names:
            self._add(folder / name)
        for name in self._pieces:
            self._pieces[name].sort(key=lambda piece: piece.first)
            self._check_whole(name)

    def __getitem__(self, name: str) -> Tensor:
        """The whole tensor, on the CPU."""
        shape = self._shapes[name]
        return self.rows(name, 0, shape[0]) if shape else self._files[self._pieces[name][0].path].get_tensor(name)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._shapes))

    def __len__(self) -> int:
        return len(self._shapes)

    def shape(self, name: str) -> tuple[int, ...]:
        """Of the whole tensor."""
        return self._shapes[name]

    def rows(self, name: str, first: int, stop: int) -> Tensor:
        """Rows `first` to `stop` of a tensor with at least one dimension; only these bytes are read."""
        parts: list[Tensor] = []
        for piece in self._pieces[name]:
            low, high = max(first, piece.first), min(stop, piece.first + piece.n_rows)
            if low < high or (first == stop and not parts):
                held = self._files[piece.path].get_slice(name)
                parts.append(held[max(0, low - piece.first) : max(0, high - piece.first)])
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _add(self, path: Path) -> None:
        try:
            file = self._files[path] = safe_open(path, framework="pt")
            text = (file.metadata() or {}).get(PLACEMENT_KEY)
            placed = {} if text is None else json.loads(text)
            for name in file.keys():  # noqa: SIM118 - it is no mapping
                own = tuple(file.get_slice(name).get_shape())
                offset, shape = (placed[name]["offset"], tuple(placed[name]["shape"])) if text else ([0], own)
                if self._shapes.setdefault(name, shape) != shape or shape[1:] != own[1:]:
                    raise ValueError(f"two files disagree on the shape of {name}")
                self._pieces.setdefault(name, []).append(Piece(path, offset[0] if offset else 0, own[0] if own else 1))
        except (OSError, SafetensorError, ValueError, KeyError, TypeError, IndexError) as error:
            raise self._unreadable(f"{path.name} cannot be read: {error}") from error

    def _check_whole(self, name: str) -> None:
        reached = 0
        for piece in self._pieces[name]:
            if piece.first != reached:
                raise self._unreadable(f"rows of {name} are missing or stand twice, from row {reached} on")
            reached += piece.n_rows
        shape = self._shapes[name]
        if reached != (shape[0] if shape else 1):
            raise self._unreadable(f"{name} has {reached} rows of {shape[0] if shape else 1}")

    def _unreadable(self, what: str) -> InputError:
        fix = "restore the folder from where it was written, or train again"
        return InputError("model.weights_unreadable", what, where=str(self._where), fix=fix)

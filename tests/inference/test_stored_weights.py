"""Weights that stay on disk: the bytes of safetensors' own writer, one tensor at a time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from hrmbuild.errors import InputError
from hrmbuild.inference.stored_weights import StoredWeights, stream_weights
from hrmbuild.model.digest import weights_sha256

STATE = {
    "model.b.weight": torch.arange(12.0).reshape(3, 4),
    "model.a.weight": torch.linspace(-1, 1, 7),
    "ü.scalar": torch.tensor(3.5),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_bytes_are_those_of_the_library(tmp_path: Path, dtype: torch.dtype) -> None:
    written = stream_weights(STATE, tmp_path / "ours", dtype=dtype)
    stored = {name: tensor.to(dtype) for name, tensor in STATE.items()}
    save_file(stored, tmp_path / "theirs.safetensors", metadata={"format": "pt"})
    assert load_file(written.path).keys() == STATE.keys()
    assert written.path.read_bytes() == (tmp_path / "theirs.safetensors").read_bytes()
    assert written.weights_sha256 == weights_sha256(stored)


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    stored = StoredWeights(stream_weights(STATE, tmp_path, dtype=torch.float32).path)
    assert list(stored) == sorted(STATE) and len(stored) == 3
    assert all(torch.equal(stored[name], STATE[name]) for name in STATE)
    assert stored.form("model.b.weight") == ("F32", (3, 4))


def test_shards_are_read_by_their_index(tmp_path: Path) -> None:
    save_file({"a": torch.ones(2)}, tmp_path / "model-1.safetensors")
    save_file({"b": torch.zeros(2)}, tmp_path / "model-2.safetensors")
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}))
    assert set(StoredWeights.of_folder(tmp_path)) == {"a", "b"}
    for wrong in (
        {"a": "model-2.safetensors", "b": "model-2.safetensors"},
        {"a": "../model-1.safetensors"},
        {"a": "model-3.safetensors"},
        [],
    ):
        index.write_text(json.dumps({"weight_map": wrong}))
        with pytest.raises(InputError) as caught:
            StoredWeights.of_folder(tmp_path)
        assert caught.value.code == "model.weights_unreadable"


def test_a_name_in_two_files_and_a_damaged_file_are_refused(tmp_path: Path) -> None:
    save_file({"a": torch.ones(2)}, tmp_path / "1.safetensors")
    save_file({"a": torch.ones(2)}, tmp_path / "2.safetensors")
    with pytest.raises(InputError, match="another file too"):
        StoredWeights(tmp_path / "1.safetensors", tmp_path / "2.safetensors")
    (tmp_path / "1.safetensors").write_bytes(b"\x08")
    with pytest.raises(InputError, match="cannot be read"):
        StoredWeights(tmp_path / "1.safetensors")

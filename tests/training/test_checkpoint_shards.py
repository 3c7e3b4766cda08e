"""Rows of tensors in several files read as one, whatever the split; files that do not make a whole are refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from several_ranks import launch
from test_checkpoint_format import GOLDEN, SHAPE, golden_config

from hrmbuild.errors import InputError
from hrmbuild.model import build_model
from hrmbuild.model.digest import weights_sha256
from hrmbuild.shards import PLACEMENT_KEY, ShardFiles, shard_name, shard_names
from hrmbuild.training.checkpoint import Checkpoint, clear_place, incomplete_folder, read_checkpoint, write_shards
from hrmbuild.training.loop import new_state
from hrmbuild.training.ranks import Ranks
from hrmbuild.training.state import Rows, Snapshot, moments_state, restore

SHARDED = GOLDEN.parent.parent / "checkpoint_1_sharded" / "step_000001"


def written(folder: Path, tensors: dict[str, torch.Tensor], *, ranks: int) -> ShardFiles:
    """What `ranks` ranks write of these tensors, rows shared as ranks share them."""
    clear_place(folder, 0)
    for rank in range(ranks):
        rows: dict[str, Rows] = {}
        for name, tensor in tensors.items():
            each = -(-len(tensor) // ranks) if tensor.dim() else 0
            part = tensor[rank * each : (rank + 1) * each] if tensor.dim() else tensor
            if len(part) if tensor.dim() else rank == 0:
                rows[name] = Rows(
                    part.clone(), min(rank * each, len(tensor)) if tensor.dim() else 0, tuple(tensor.shape)
                )
        write_shards(folder, Snapshot(0, rank, ranks, {"weights": rows}))
    return ShardFiles(incomplete_folder(folder, 0), "weights")


@settings(max_examples=20, deadline=None)
@given(
    shapes=st.lists(st.lists(st.integers(1, 9), min_size=0, max_size=3), min_size=1, max_size=4),
    ranks=st.integers(1, 5),
    cut=st.tuples(st.integers(0, 9), st.integers(0, 9)),
)
def test_any_rows_of_any_split_are_those_of_the_whole(shapes: list, ranks: int, cut: tuple[int, int]) -> None:
    tensors = {f"t{i}": torch.arange(float(torch.Size(shape).numel())).reshape(shape) for i, shape in enumerate(shapes)}
    first, stop = sorted(cut)
    with TemporaryDirectory() as folder:
        files = written(Path(folder), tensors, ranks=ranks)
        assert list(files) == sorted(tensors) and weights_sha256(files) == weights_sha256(tensors)
        for name, tensor in tensors.items():
            assert torch.equal(files[name], tensor) and files.shape(name) == tuple(tensor.shape)
            if tensor.dim():
                first, stop = min(first, len(tensor)), min(stop, len(tensor))
                assert torch.equal(files.rows(name, first, stop), tensor[first:stop])


def test_a_set_of_files_is_complete_or_none() -> None:
    four = [shard_name("ema", number, 4) for number in (1, 2, 3, 4)]
    assert shard_names("ema", ["state.json", "rng.safetensors", *reversed(four)]) == four
    assert shard_names("ema", ["ema.safetensors", "weights.safetensors"]) == ["ema.safetensors"]
    assert (
        shard_names("ema", four[:3]) == shard_names("ema", [*four, "ema.safetensors"]) == shard_names("ema", []) == []
    )
    assert shard_names("ema", [*four, shard_name("ema", 1, 2), shard_name("ema", 2, 2)]) == []


def replaced(folder: Path, number: int, **placed: dict[str, list[int]]) -> None:
    """Write a part again with another placement."""
    path = incomplete_folder(folder, 0) / shard_name("weights", number, 2)
    tensors = load_file(path)
    path.unlink()
    save_file(tensors, path, metadata={PLACEMENT_KEY: json.dumps(placed)})


@pytest.mark.parametrize(
    ("placed", "told"),
    [
        ({"offset": [3], "shape": [4]}, "rows of a are missing or stand twice, from row 2 on"),
        ({"offset": [1], "shape": [4]}, "rows of a are missing or stand twice, from row 2 on"),
        ({"offset": [2], "shape": [5]}, "two files disagree on the shape of a"),
        ({"offset": 2, "shape": [4]}, "cannot be read"),
        ({"shape": [4]}, "cannot be read"),
    ],
)
def test_parts_that_make_no_whole_are_refused(tmp_path: Path, placed: dict, told: str) -> None:
    written(tmp_path, {"a": torch.arange(4.0)}, ranks=2)
    replaced(tmp_path, 2, a=placed)
    with pytest.raises(InputError, match=told) as caught:
        ShardFiles(incomplete_folder(tmp_path, 0), "weights")
    assert caught.value.code == "model.weights_unreadable"


def test_a_missing_or_torn_part_is_refused(tmp_path: Path) -> None:
    written(tmp_path, {"a": torch.arange(4.0)}, ranks=2)
    path = incomplete_folder(tmp_path, 0) / shard_name("weights", 2, 2)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(InputError, match="cannot be read"):
        ShardFiles(incomplete_folder(tmp_path, 0), "weights")
    path.unlink()
    with pytest.raises(InputError, match="missing or incomplete"):
        ShardFiles(incomplete_folder(tmp_path, 0), "weights")


def test_the_golden_checkpoint_of_two_ranks_is_read_and_restored() -> None:
    found, single = read_checkpoint(SHARDED), read_checkpoint(GOLDEN)
    assert isinstance(found, Checkpoint) and isinstance(single, Checkpoint)
    state = new_state(golden_config(), build_model(SHAPE))
    restore(state, found.weights, ema=found.ema, moments=found.moments, ranks=Ranks(cpu=True))
    assert weights_sha256(state.model.state_dict()) == found.state.weights_sha256
    assert weights_sha256(moments_state(state)) == weights_sha256(found.moments)
    assert weights_sha256(found.ema) == found.state.ema_sha256
    for ours, theirs in ((found.weights, single.weights), (found.ema, single.ema), (found.moments, single.moments)):
        assert ours.keys() == theirs.keys()
        assert all(torch.allclose(ours[name].double(), theirs[name].double(), atol=1e-6) for name in ours)
    assert [list(found.rng(rank)) for rank in (0, 1, 2)] == [["torch"]] * 3


@pytest.mark.slow
def test_two_ranks_write_the_golden_form_today(tmp_path: Path) -> None:
    body = f"import test_checkpoint_format as golden; golden.write(Path({str(tmp_path)!r}))"
    launch(tmp_path / "a.py", body, ranks=2)
    today = read_checkpoint(tmp_path / "step_000001")
    assert isinstance(today, Checkpoint)
    assert {path.name for path in today.folder.iterdir()} == {path.name for path in SHARDED.iterdir()}
    placements = [today.folder / name for name in today.state.files if not name.startswith("rng")]
    assert all(header(path) == header(SHARDED / path.name) for path in placements)


def header(path: Path) -> bytes:
    """Of a safetensors file: names, shapes, types, placement."""
    data = path.read_bytes()
    return data[: 8 + int.from_bytes(data[:8], "little")]


def test_a_rank_that_goes_on_beyond_those_that_wrote_takes_their_states_in_turn(tmp_path: Path) -> None:
    shutil.copytree(SHARDED, tmp_path / "step_000001")
    found = read_checkpoint(tmp_path / "step_000001")
    assert isinstance(found, Checkpoint)
    assert torch.equal(found.rng(0)["torch"], found.rng(2)["torch"])

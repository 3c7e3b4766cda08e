"""Several ranks on one machine draw the curve of one, sharded or not, and go on where any other number stopped."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from several_ranks import TWENTY_STEPS, bytes_of, facts, largest_difference, launch, train_line
from tiny_run import config, train_in

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty steps by one rank."""
    folder = tmp_path_factory.mktemp("one") / "run"
    train_in(folder, config(**TWENTY_STEPS))
    return folder


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[int, str], Path]:
    """The same by two and by four ranks, whole on each and sharded."""
    folder = tmp_path_factory.mktemp("several")
    runs = {(n, kind): folder / f"{n}-{kind}" for n in (2, 4) for kind in ("ddp", "fsdp")}
    for n in (2, 4):
        body = "".join(train_line(runs[n, kind], kind) for kind in ("ddp", "fsdp"))
        launch(folder / f"{n}.py", body, ranks=n)
    return runs


def halfway(run: Path, folder: Path) -> Path:
    """A copy of a run as a kill after step 10 leaves it."""
    shutil.copytree(run, folder)
    shutil.rmtree(folder / "checkpoints" / "step_000020")
    (folder / "result.json").unlink()
    return folder


@pytest.mark.parametrize(("n", "kind"), [(2, "ddp"), (2, "fsdp"), (4, "ddp"), (4, "fsdp")])
def test_ranks_see_the_batches_of_one_and_lose_the_same(several: dict, one: Path, n: int, kind: str) -> None:
    assert largest_difference(several[n, kind], one) < 1e-5
    assert facts(several[n, kind])[-1]["dev"]["loss"] == pytest.approx(facts(one)[-1]["dev"]["loss"], abs=1e-5)


@pytest.mark.parametrize("n", [2, 4])
def test_the_same_ranks_go_on_to_the_bit(several: dict, tmp_path: Path, n: int) -> None:
    halves = {kind: halfway(several[n, kind], tmp_path / kind) for kind in ("ddp", "fsdp")}
    launch(tmp_path / "again.py", "".join(train_line(halves[kind], kind) for kind in halves), ranks=n)
    for kind, folder in halves.items():
        whole = several[n, kind]
        assert facts(folder) == facts(whole)
        last = "checkpoints/step_000020"
        assert bytes_of(folder / last) == bytes_of(whole / last)
        assert len(bytes_of(folder / last)) == 4 * n + 1


def test_one_rank_goes_on_where_four_stopped(several: dict, tmp_path: Path) -> None:
    for kind in ("ddp", "fsdp"):
        folder = halfway(several[4, kind], tmp_path / kind)
        train_in(folder, config(**TWENTY_STEPS))
        assert largest_difference(folder, several[4, kind]) < 1e-5


def test_four_ranks_go_on_where_one_stopped_and_other_ways_of_holding_the_model_follow(
    several: dict, one: Path, tmp_path: Path
) -> None:
    from_one = {kind: halfway(one, tmp_path / f"one-{kind}") for kind in ("ddp", "fsdp")}
    to_fsdp = halfway(several[2, "ddp"], tmp_path / "ddp-to-fsdp")
    to_ddp = halfway(several[2, "fsdp"], tmp_path / "fsdp-to-ddp")
    body = "".join(train_line(folder, kind) for kind, folder in from_one.items())
    launch(tmp_path / "a.py", body + train_line(to_fsdp, "fsdp") + train_line(to_ddp, "ddp"), ranks=4)
    assert all(largest_difference(folder, one) < 1e-5 for folder in (*from_one.values(), to_fsdp, to_ddp))


def test_files_of_several_ranks_hold_the_weights_that_the_digest_names(several: dict) -> None:
    from hrmbuild.model.digest import weights_sha256
    from hrmbuild.training.checkpoint import Checkpoint, read_checkpoint

    for (n, kind), run in several.items():
        found = read_checkpoint(run / "checkpoints" / "step_000020")
        assert isinstance(found, Checkpoint), (n, kind)
        assert weights_sha256(dict(found.weights)) == found.state.weights_sha256
        assert weights_sha256(dict(found.ema)) == found.state.ema_sha256


def test_a_flipped_byte_in_any_file_of_a_checkpoint_is_found(several: dict, tmp_path: Path) -> None:
    from hrmbuild.training.checkpoint import read_checkpoint

    whole = several[4, "fsdp"] / "checkpoints" / "step_000020"
    for path in sorted(whole.iterdir()):
        folder = tmp_path / path.name
        shutil.copytree(whole, folder)
        data = bytearray((folder / path.name).read_bytes())
        data[len(data) // 2] ^= 1
        (folder / path.name).write_bytes(data)
        found = read_checkpoint(folder)
        assert isinstance(found, str) and path.name in found, path.name
        (folder / path.name).unlink()
        assert path.name in str(read_checkpoint(folder))


def test_what_any_rank_finds_altered_all_pass_over_and_it_is_told(several: dict, tmp_path: Path) -> None:
    """Each rank hashes some of the files: one that is altered must not depend on who looks."""
    names = [path.name for path in (several[2, "fsdp"] / "checkpoints" / "step_000020").iterdir()]
    spoilt = {name: tmp_path / name for name in sorted(names)[:3]}
    for name, folder in spoilt.items():
        shutil.copytree(several[2, "fsdp"], folder)
        (folder / "result.json").unlink()
        path = folder / "checkpoints" / "step_000020" / name
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    printed = launch(tmp_path / "a.py", "".join(train_line(folder, "fsdp") for folder in spoilt.values()), ranks=2)
    for name, folder in spoilt.items():
        assert f"checkpoint step_000020 is passed over: {name} was altered" in printed
        assert facts(folder) == facts(several[2, "fsdp"])

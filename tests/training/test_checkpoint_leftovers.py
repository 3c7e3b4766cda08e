"""What a kill or a damaged disk leaves among the checkpoints never outlives the next good one, nor pushes it out."""

from __future__ import annotations

from pathlib import Path

from tiny_run import config, train_in

from hrmbuild.training.step_folders import checkpoint_folders


def _spoil(folder: Path) -> None:
    path = folder / "ema.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")


def test_a_damaged_later_checkpoint_does_not_push_out_the_good_one(tmp_path: Path) -> None:
    """A run that went back behind damaged checkpoints keeps what it saves on the way, or a second kill costs it all."""
    run_config = config(steps=6, checkpoint_every_steps=2, keep_checkpoints=1)
    whole = train_in(tmp_path, run_config)
    damaged = tmp_path / "checkpoints" / "step_000006"
    _spoil(damaged)
    (tmp_path / "result.json").unlink()
    seen: list[list[str]] = []

    def watch(model: object, step: int) -> dict[str, float]:
        seen.append([path.name for path in checkpoint_folders(tmp_path / "checkpoints")])
        return {"exact": 0.0, "n": 1.0}

    again = train_in(tmp_path, run_config, score=watch)
    assert seen == [["step_000002"], ["step_000004"]]
    assert again.ema_sha256 == whole.ema_sha256


def test_a_checkpoint_torn_off_by_a_kill_is_cleared_away(tmp_path: Path) -> None:
    """By the clock a checkpoint may be due at any step: nothing else would ever write that name again."""
    torn = tmp_path / "checkpoints" / ".step_000001.incomplete"
    torn.mkdir(parents=True)
    (torn / "weights.safetensors").write_bytes(b"half")
    train_in(tmp_path, config())
    assert not torn.exists()

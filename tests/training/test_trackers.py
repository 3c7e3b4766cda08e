"""Trackers: none unless asked for, an error before the first step where one is not installed, no step told twice."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_run import Notes, config, new_model, new_run, train_in

from hrmbuild.errors import UsageError
from hrmbuild.training.loop import train
from hrmbuild.training.step_folders import folder_of
from hrmbuild.training.trackers import NAMES, check_installed
from hrmbuild.training.watch import Watching


def test_a_tracker_that_is_not_installed_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name in NAMES else found(name, *rest))
    check_installed(())
    with pytest.raises(UsageError) as caught:
        check_installed(("tensorboard", "wandb"))
    assert (caught.value.code, caught.value.exit_status) == ("train.tracker_not_installed", 2)
    assert "pip install tensorboard wandb" in str(caught.value.fix) and "tensorboard, wandb" in caught.value.what


@pytest.mark.slow
def test_without_being_asked_for_no_tracker_is_loaded_and_nothing_of_it_is_written(tmp_path: Path) -> None:
    program = (
        f"import sys; sys.path[:0] = {sys.path!r}\n"
        "from pathlib import Path; from tiny_run import *\n"
        f"train_in(Path({str(tmp_path / 'run')!r}), config(steps=1))\n"
        "print(sorted({'tensorboard', 'mlflow', 'wandb'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]" and not (tmp_path / "run" / "trackers").exists()


def tracked(folder: Path, **changes: object) -> None:
    settings = config(**changes)
    run = replace(new_run(folder, settings, notes=Notes()), watching=Watching(trackers=("tensorboard",)))
    train(run, new_model(settings))


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """By name, as a program that reads TensorBoard's files sees them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "trackers" / "tensorboard"), size_guidance={"scalars": 0})
    events.Reload()
    return {name: [(one.step, one.value) for one in events.Scalars(name)] for name in events.Tags()["scalars"]}


@pytest.mark.filterwarnings("default")  # what TensorBoard and its dependencies warn of is theirs
def test_tensorboard_has_every_step_once_after_a_kill_and_a_resumption(tmp_path: Path) -> None:
    settings = {"checkpoint_every_steps": 2, "keep_checkpoints": 9}
    tracked(tmp_path, **settings)
    shutil.rmtree(tmp_path / "checkpoints" / folder_of(6))  # a kill after step 6; that of step 4 is complete
    (tmp_path / "result.json").unlink()
    tracked(tmp_path, **settings)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    found = scalars(tmp_path)
    for name in ("loss", "grad_norm", "lr", "k", "tokens_per_s"):
        assert [step for step, _ in found[name]] == [1, 2, 3, 4, 5, 6], name
        assert [value for _, value in found[name]] == pytest.approx([line[name] for line in lines], rel=1e-6)
    assert [step for step, _ in found["dev/loss"]] == [3, 6]


@pytest.mark.filterwarnings("default")
def test_a_tracker_that_fails_is_left_behind_and_training_goes_on(tmp_path: Path) -> None:
    (tmp_path / "trackers").write_text("a file where a folder is needed")
    settings = config(steps=2)
    notes = Notes()
    run = replace(new_run(tmp_path, settings, notes=notes), watching=Watching(trackers=("tensorboard",)))
    assert train(run, new_model(settings)).steps == 2
    assert [one for one in notes.messages if one.startswith("tensorboard is told no more: ")]


def test_a_tracked_run_has_the_weights_of_one_that_is_not(tmp_path: Path) -> None:
    assert os.environ.get("WANDB_MODE") is None
    plain = train_in(tmp_path / "plain", config(steps=2))
    tracked(tmp_path / "tracked", steps=2)
    result = json.loads((tmp_path / "tracked" / "result.json").read_text())
    assert result["ema_sha256"] == plain.ema_sha256

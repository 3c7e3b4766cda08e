"""Saving beside training: when, how many stay, what a disk that says no comes to; and a loss that leaps."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
import torch
from tiny_run import Notes, config, new_model, new_run, train_in

from hrmbuild.errors import AnswerIsNoError, InputError
from hrmbuild.training.interrupt import Signals
from hrmbuild.training.loop import train
from hrmbuild.training.refusals import LossGuard


def lines_of(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def names_of(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "checkpoints").iterdir())


def test_checkpoints_by_the_clock_change_no_bit(tmp_path: Path) -> None:
    settings = config(checkpoint_every_steps=6, keep_checkpoints=9)
    plain = train_in(tmp_path / "plain", settings)
    run = new_run(tmp_path / "clock", settings)
    torch.manual_seed(0)
    often = train(type(run)(**{**vars(run), "saved_every_s": 0.0}), new_model(settings))
    assert names_of(tmp_path / "plain") == ["step_000006"]
    assert names_of(tmp_path / "clock") == [f"step_{step:06d}" for step in range(1, 7)]
    assert (often.ema_sha256, often.metrics_sha256) == (plain.ema_sha256, plain.metrics_sha256)


def test_the_time_that_saving_takes_stands_in_the_metrics_and_in_the_last_words(tmp_path: Path) -> None:
    notes = Notes()
    train_in(tmp_path, config(checkpoint_every_steps=2), notes=notes)
    assert [line["step"] for line in lines_of(tmp_path) if line.get("saved_s", 0) > 0] == [3, 5]
    assert notes.messages[-1].startswith("3 checkpoints were written beside training, which stood still ")


def test_a_disk_that_says_no_stops_the_run_with_its_own_word(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "checkpoints").write_text("a file where the folder belongs")
    with pytest.raises(InputError) as caught:
        train_in(tmp_path / "run", config(checkpoint_every_steps=2))
    assert caught.value.code == "disk.not_writable"
    assert len(lines_of(tmp_path / "run")) == 2


def test_what_fails_while_it_is_written_stops_the_run_at_a_later_step(tmp_path: Path) -> None:
    """The name of a finished checkpoint is taken by a file, so that the thread cannot publish it."""
    folder = tmp_path / "run"
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints" / "step_000002").write_text("in the way")
    with pytest.raises(InputError, match="the checkpoint of step 2 was not written") as caught:
        train_in(folder, config(steps=40, checkpoint_every_steps=2, eval_every_steps=40))
    assert "--resume" in str(caught.value.fix)
    assert names_of(folder) == ["step_000002"] and 2 <= len(lines_of(folder)) <= 4


def test_a_spike_stops_before_the_update_and_a_larger_factor_goes_on(tmp_path: Path) -> None:
    settings = config(steps=12, checkpoint_every_steps=12, eval_every_steps=12)
    whole = train_in(tmp_path / "whole", settings)
    losses = [line["loss"] for line in lines_of(tmp_path / "whole")]
    factor = max(losses[n] / sorted(losses[:n])[n // 2] for n in range(1, 12)) * 0.999
    run = new_run(tmp_path / "run", settings)
    torch.manual_seed(0)
    with pytest.raises(AnswerIsNoError, match="no update was made") as caught:
        train(type(run)(**{**vars(run), "stop_on_spike": factor}), new_model(settings))
    assert (caught.value.code, caught.value.exit_status) == ("train.loss_spike", 1)
    done = len(lines_of(tmp_path / "run"))
    assert names_of(tmp_path / "run") == [f"step_{done:06d}"] and done < 12
    with pytest.raises(AnswerIsNoError, match="no update was made"):  # From the checkpoint on it remembers the losses.
        train(type(run)(**{**vars(run), "stop_on_spike": factor}), new_model(settings))
    assert train_in(tmp_path / "run", settings).ema_sha256 == whole.ema_sha256


def test_a_spike_is_measured_against_the_median_of_the_last_hundred() -> None:
    guard = LossGuard([100.0] * 100, stop_on_spike=3)
    for _ in range(51):
        guard.add(1.0)
    assert guard.refusal(3.0, 1.0, step=152, run="runs/a") is None
    told = guard.refusal(3.1, 1.0, step=152, run="runs/a")
    assert told is not None and "3.1 times the median of the last 100 steps (1)" in told.what
    assert LossGuard([1.0], stop_on_spike=None).refusal(99.0, 1.0, step=2, run="runs/a") is None
    assert LossGuard([], stop_on_spike=3).refusal(9.0, 1.0, step=1, run="runs/a") is None


def test_only_a_second_interrupt_ends_at_once() -> None:
    with Signals() as signals:
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
            os.kill(os.getpid(), number)
        assert signals.status == 143
    with Signals() as signals:
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signals.status == 130

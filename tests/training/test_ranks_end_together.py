"""Ranks start together and end together: a signal, a death, or what only one of them meets."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from rank_tools import alive, last_checkpoint, lines_of, ranks_of, start, wait_until

SETTINGS = {"steps": 5000, "batch_tokens": 1024, "bins": 2, "checkpoint_every_steps": 4, "eval_every_steps": 5000}

pytestmark = pytest.mark.slow


def running(folder: Path, settings: dict, *, until_step: int = 3):
    """Two ranks that have trained a few steps: the parent, the ranks' ids, where stderr goes."""
    errors = folder.with_suffix(".err")
    parent = start(folder, settings, ranks=2, errors=errors)
    wait_until(lambda: len(lines_of(folder)) >= until_step or parent.poll() is not None)
    return parent, ranks_of(parent.pid), errors


def assert_gone(ranks: dict[int, int], *, within_s: float = 10) -> None:
    assert len(ranks) == 2
    assert wait_until(lambda: not any(alive(pid) for pid in ranks.values()), most_s=within_s)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGUSR1, 143)])
def test_a_signal_to_the_parent_ends_all_ranks_with_the_state_saved(
    tmp_path: Path, number: signal.Signals, status: int
) -> None:
    parent, ranks, errors = running(tmp_path / "run", SETTINGS | {"checkpoint_every_steps": 5000})
    parent.send_signal(number)
    assert parent.wait(60) == status
    assert_gone(ranks)
    done = len(lines_of(tmp_path / "run"))
    assert errors.read_text().count(f"interrupted after step {done}; the state is saved") == 1
    assert next(iter(last_checkpoint(tmp_path / "run"))).startswith(f"step_{done:06d}/")


def test_a_second_interrupt_waits_for_nothing(tmp_path: Path) -> None:
    parent, ranks, _ = running(tmp_path / "run", SETTINGS)
    os.kill(ranks[1], signal.SIGSTOP)  # A rank that answers nothing any more.
    parent.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert parent.poll() is None
    parent.send_signal(signal.SIGINT)
    assert parent.wait(10) == 130
    assert_gone(ranks)


def test_a_killed_rank_ends_the_others_and_is_named(tmp_path: Path) -> None:
    parent, ranks, errors = running(tmp_path / "run", SETTINGS)
    began_at_s = time.monotonic()
    os.kill(ranks[1], signal.SIGKILL)
    assert parent.wait(20) == 3
    assert time.monotonic() - began_at_s < 10
    assert_gone(ranks)
    assert "train.rank_died: rank 1 of 2 was ended by SIGKILL" in errors.read_text()
    assert "Traceback" not in errors.read_text()


def test_a_hung_group_ends_when_one_rank_dies(tmp_path: Path) -> None:
    """The others may wait in a sum that never ends: they are ended, not asked."""
    parent, ranks, _ = running(tmp_path / "run", SETTINGS)
    os.kill(ranks[0], signal.SIGSTOP)
    os.kill(ranks[1], signal.SIGKILL)
    assert parent.wait(20) == 3
    assert_gone(ranks)


def test_ranks_die_with_their_parent(tmp_path: Path) -> None:
    parent, ranks, _ = running(tmp_path / "run", SETTINGS)
    parent.kill()
    assert parent.wait(5) == -signal.SIGKILL
    assert_gone(ranks, within_s=5)


def test_two_runs_on_one_machine_do_not_meet(tmp_path: Path) -> None:
    one = running(tmp_path / "one", SETTINGS | {"steps": 12, "eval_every_steps": 12}, until_step=1)
    two = running(tmp_path / "two", SETTINGS | {"steps": 12, "eval_every_steps": 12}, until_step=1)
    assert [one[0].wait(60), two[0].wait(60)] == [0, 0]
    assert lines_of(tmp_path / "one") == lines_of(tmp_path / "two")
    assert last_checkpoint(tmp_path / "one") == last_checkpoint(tmp_path / "two")


def test_a_disk_that_is_full_for_one_rank_stops_all(tmp_path: Path) -> None:
    parent, _, errors = running(tmp_path / "run", SETTINGS | {"spoil": "disk"}, until_step=9)
    assert parent.wait(60) == 3
    told = errors.read_text()
    assert told.count("disk.full: rank 1: ") == 1 and "the checkpoint of step 4 was not written" in told
    assert list((tmp_path / "run" / "checkpoints").iterdir()) == []
    assert len(lines_of(tmp_path / "run")) <= 8


def test_a_number_that_is_none_on_one_rank_stops_all_before_the_update(tmp_path: Path) -> None:
    parent, _, errors = running(tmp_path / "run", SETTINGS | {"spoil": "nan"}, until_step=1)
    assert parent.wait(60) == 1
    assert errors.read_text().count("train.not_finite: ") == 1
    assert lines_of(tmp_path / "run") == []
    assert next(iter(last_checkpoint(tmp_path / "run"))).startswith("step_000000/")

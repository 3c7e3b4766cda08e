"""Twenty kills at drawn moments, of the parent and of single ranks, while checkpoints are written and in between.

What comes out is that of a run which nobody disturbed: weights, averages, moments and the metrics, to the bit.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from rank_tools import alive, last_checkpoint, lines_of, ranks_of, start, wait_until

from hrmbuild.fingerprint import draw_below, draw_fraction

KILLS = 20
STEPS = 240
SETTINGS = {
    "steps": STEPS, "batch_tokens": 1024, "bins": 4, "checkpoint_every_steps": 3, "keep_checkpoints": 2,
    "eval_every_steps": 40, "warm_up_steps": 20,
}  # fmt: skip
SEED = 6
MOST_START_S = 8.0
"""Kills in the first part fall anywhere from the start of the processes on."""

pytestmark = [pytest.mark.chaos, pytest.mark.skipif(not Path("/proc/self").exists(), reason="reads /proc")]


def torn(folder: Path) -> list[Path]:
    return list((folder / "checkpoints").glob(".step_*.incomplete"))


def wait_for_the_moment(folder: Path, key: str, *, before: int, over) -> str:
    """A third of the kills while a checkpoint is written, a third between steps, a third at any time from the start."""
    kind = ("writing", "training", "any")[draw_below(3, "chaos-kind", SEED, key)]
    share = draw_fraction("chaos-moment", SEED, key)
    if kind == "any":
        wait_until(over, most_s=share * MOST_START_S)
        return kind
    wait_until(lambda: len(lines_of(folder)) > before or over())
    time.sleep(share * 0.5)
    if kind == "writing":
        wait_until(lambda: bool(torn(folder)) or over(), each_s=0.0002)
        time.sleep(draw_fraction("chaos-write", SEED, key) * 0.01)
    return kind


def kill_once(folder: Path, number: int, *, ranks: int) -> tuple[str, str, float] | None:
    """Start the rest of the run and kill it: kind, victim, how long the others lived; None where it was done before."""
    parent = start(folder, SETTINGS, ranks=ranks, errors=folder.with_suffix(".err"))
    key = f"{ranks}-{number}"
    kind = wait_for_the_moment(folder, key, before=len(lines_of(folder)), over=lambda: parent.poll() is not None)
    living = ranks_of(parent.pid)
    drawn = draw_below(ranks + 1, "chaos-victim", SEED, key)
    victim = parent.pid if drawn == ranks or drawn not in living else living[drawn]
    if parent.poll() is not None:
        assert parent.returncode == 0, folder.with_suffix(".err").read_text()
        return None
    os.kill(victim, signal.SIGKILL)
    killed_at_s = time.monotonic()
    status = parent.wait(60)
    assert wait_until(lambda: not any(alive(pid) for pid in living.values()), most_s=15)
    assert status in (-9, 3, 0), folder.with_suffix(".err").read_text()
    return kind, "parent" if victim == parent.pid else f"rank {drawn}", time.monotonic() - killed_at_s


@pytest.mark.parametrize("ranks", [2, 4])
def test_twenty_kills_change_no_bit(tmp_path: Path, ranks: int) -> None:
    whole = tmp_path / "whole"
    assert start(whole, SETTINGS, ranks=ranks, errors=tmp_path / "whole.err").wait(300) == 0
    kills: list[tuple[str, str, float]] = []
    n_torn = runs = 0
    while len(kills) < KILLS:
        folder = tmp_path / f"run-{runs}"
        for number in range(len(kills), KILLS):
            killed = kill_once(folder, number, ranks=ranks)
            if killed is None:
                break
            kills.append(killed)
            n_torn += bool(torn(folder))
        last = start(folder, SETTINGS, ranks=ranks, errors=tmp_path / "last.err")
        assert last.wait(300) == 0, (tmp_path / "last.err").read_text()
        assert lines_of(folder) == lines_of(whole)
        assert last_checkpoint(folder) == last_checkpoint(whole)
        runs += 1
    lived = max(seconds for _, _, seconds in kills)
    counts = {kind: sum(one[0] == kind for one in kills) for kind in ("writing", "training", "any")}
    print(
        f"{ranks} ranks: {KILLS} kills {counts} of {sorted({one[1] for one in kills})}; {n_torn} left a torn "
        f"checkpoint; all processes gone {lived:.1f} s after a kill at most; {runs} runs of {STEPS} steps, each equal"
    )

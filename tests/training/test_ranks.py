"""Two ranks on one machine draw the curve of one, and go on where one stopped."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_run import config, train_in

SETTINGS = {"steps": 20, "batch_tokens": 2048, "bins": 4, "eval_every_steps": 20, "checkpoint_every_steps": 10}


def launch(folder: Path, *, ranks: int) -> None:
    """Train in processes that torchrun starts."""
    program = folder.with_suffix(".py")
    program.write_text(
        f"import sys; sys.path[:0] = {sys.path!r}\n"
        "from pathlib import Path; from tiny_run import *\n"
        f"train_in(Path({str(folder)!r}), config(**{SETTINGS!r}))\n"
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
    subprocess.run([*command, str(program)], check=True, capture_output=True, timeout=180)


def curve(folder: Path) -> list[tuple[str, float]]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [(line["batch"], line["loss"]) for line in lines]


@pytest.mark.slow
def test_two_ranks_see_the_batches_of_one_and_lose_the_same(tmp_path: Path) -> None:
    launch(tmp_path / "two", ranks=2)
    train_in(tmp_path / "one", config(**SETTINGS))
    two, one = curve(tmp_path / "two"), curve(tmp_path / "one")
    assert [batch for batch, _ in two] == [batch for batch, _ in one] and len(two) == 20
    assert max(abs(a - b) for (_, a), (_, b) in zip(two, one, strict=True)) < 1e-5


@pytest.mark.slow
def test_one_rank_goes_on_where_two_stopped(tmp_path: Path) -> None:
    launch(tmp_path / "two", ranks=2)
    whole = curve(tmp_path / "two")
    shutil.rmtree(tmp_path / "two" / "checkpoints" / "step_000020")
    train_in(tmp_path / "two", config(**SETTINGS))
    assert [batch for batch, _ in curve(tmp_path / "two")] == [batch for batch, _ in whole]
    assert max(abs(a - b) for (_, a), (_, b) in zip(curve(tmp_path / "two"), whole, strict=True)) < 1e-5

"""torchrun starts the ranks again after one died: the run goes on from its newest checkpoint and ends the same."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rank_tools import PROGRAM, last_checkpoint, lines_of, ranks_of, start, wait_until

SETTINGS = {"steps": 120, "batch_tokens": 1024, "bins": 2, "checkpoint_every_steps": 5, "eval_every_steps": 60}
TORCHRUN = [
    sys.executable, "-m", "torch.distributed.run", "--nnodes=1:1", "--nproc-per-node=2", "--max-restarts=2",
    "--rdzv-backend=c10d", "--rdzv-endpoint=127.0.0.1:0", "--monitor-interval=0.2",
]  # fmt: skip


@pytest.mark.slow
def test_a_restart_by_torchrun_goes_on_and_ends_bit_equal(tmp_path: Path) -> None:
    whole, folder = tmp_path / "whole", tmp_path / "run"
    assert start(whole, SETTINGS, ranks=2, errors=tmp_path / "whole.err").wait(120) == 0
    errors = tmp_path / "run.err"
    with errors.open("wb") as file:
        command = [*TORCHRUN, str(PROGRAM), str(folder), json.dumps(SETTINGS)]
        # Without it a restart finds the addresses of the ranks before it in torchrun's store (pytorch issue 135712).
        own = {"OMP_NUM_THREADS": "1", "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
        torchrun = subprocess.Popen(command, stderr=file, stdout=file, env=os.environ | own)
    assert wait_until(lambda: (folder / "checkpoints" / "step_000020").is_dir() or torchrun.poll() is not None)
    os.kill(ranks_of(torchrun.pid)[1], signal.SIGKILL)
    assert torchrun.wait(120) == 0, errors.read_text()
    assert lines_of(folder) == lines_of(whole)
    assert last_checkpoint(folder) == last_checkpoint(whole)
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    first, second = (event["step"] for event in events if event["event"] == "began")
    assert first == 0 and second >= 15

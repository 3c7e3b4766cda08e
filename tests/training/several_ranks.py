"""Starting a piece of Python on several CPU ranks, one thread each, and reading what a run left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from hrmbuild.fingerprint import hash_file

TWENTY_STEPS = {"steps": 20, "batch_tokens": 2048, "bins": 4, "eval_every_steps": 20, "checkpoint_every_steps": 10}


def launch(program: Path, body: str, *, ranks: int) -> str:
    """Run `body` (with all of `tiny_run` at hand) in processes that torchrun starts; what they print."""
    program.write_text(
        f"import sys; sys.path[:0] = {sys.path!r}\nfrom pathlib import Path\nfrom tiny_run import *\n{body}"
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}", str(program)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TORCH_CPP_LOG_LEVEL": "ERROR"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def train_line(folder: Path, sharding: str, **settings: object) -> str:
    """The line of a body that trains, or goes on, in a folder; rank 0 prints what the run tells."""
    return (
        f"notes = Notes(); run_config = config(**{settings or TWENTY_STEPS!r})\n"
        f"train_in(Path({str(folder)!r}), run_config, sharding={sharding!r}, notes=notes)\n"
        "if Ranks(cpu=True).is_main: print('\\n'.join(notes.messages))\n"
    )


def facts(folder: Path) -> list[dict]:
    """The lines of metrics without what the clock measured."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    kept = {"step", "epoch", "k", "lr", "loss", "grad_norm", "correct", "tokens", "batch", "dev", "chain"}
    return [{key: value for key, value in line.items() if key in kept} for line in lines]


def largest_difference(folder: Path, other: Path) -> float:
    """Between the losses of two runs that saw the same batches."""
    ours, theirs = facts(folder), facts(other)
    assert [line["batch"] for line in ours] == [line["batch"] for line in theirs] and len(ours) == 20
    return max(abs(a["loss"] - b["loss"]) for a, b in zip(ours, theirs, strict=True))


def bytes_of(checkpoint: Path) -> dict[str, str]:
    """Hash of each file of a checkpoint."""
    return {path.name: hash_file(path) for path in sorted(checkpoint.iterdir())}

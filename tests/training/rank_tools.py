"""What tests of several processes share: starting `rank_program`, finding its ranks, comparing what runs leave."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hrmbuild.fingerprint import hash_file

PROGRAM = Path(__file__).resolve().parent / "rank_program.py"
KEYS = ("step", "k", "lr", "loss", "dev", "batch")


def start(folder: Path, settings: dict[str, Any], *, ranks: int, errors: Path) -> subprocess.Popen[bytes]:
    """`--ranks N`; its stderr goes into a file, and what the ranks leave in temporary folders beside the run."""
    scratch = folder.parent / "scratch"
    scratch.mkdir(exist_ok=True)
    command = [sys.executable, str(PROGRAM), "--ranks", str(ranks), str(folder), json.dumps(settings)]
    with errors.open("wb") as file:
        return subprocess.Popen(command, stderr=file, stdout=file, env={**os.environ, "TMPDIR": str(scratch)})


def ranks_of(parent: int) -> dict[int, int]:
    """Rank -> process id, of the living ranks that a process started."""
    found: dict[int, int] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
            if int(fields[1]) == parent and fields[0] != "Z":
                words = (status.parent / "environ").read_bytes().split(b"\0")
                found |= {int(word[5:]): int(status.parent.name) for word in words if word.startswith(b"RANK=")}
        except (OSError, ValueError):
            continue
    return found


def alive(pid: int) -> bool:
    """Whether a process runs, or waits for nobody to bury it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(ready: Callable[[], bool], *, most_s: float = 120, each_s: float = 0.002) -> bool:
    """Whether it came true in time."""
    ends_at_s = time.monotonic() + most_s
    while time.monotonic() < ends_at_s:
        if ready():
            return True
        time.sleep(each_s)
    return False


def lines_of(folder: Path) -> list[dict[str, Any]]:
    """The metrics, without what the clock measured."""
    text = (folder / "metrics.jsonl").read_text() if (folder / "metrics.jsonl").is_file() else ""
    lines = [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
    return [{key: line[key] for key in KEYS if key in line} for line in lines]


def last_checkpoint(folder: Path) -> dict[str, str]:
    """Hash of every file of the newest checkpoint."""
    newest = sorted((folder / "checkpoints").glob("step_*"))[-1]
    return {f"{newest.name}/{path.name}": hash_file(path) for path in sorted(newest.iterdir())}

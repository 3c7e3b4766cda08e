"""Helping processes: what they do comes back, and none outlives the process that started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

PROGRAM = """
import os, sys, time
from hrmbuild.processes import process_pool
if __name__ == "__main__":
    pool = process_pool(2, os.putenv, "SET", "yes")
    print(pool.submit(os.getpid).result(), flush=True)
    pool.submit(time.sleep, 600)
    time.sleep(600)
"""


def _lives(pid: int) -> bool:
    """A zombie has ended, whoever collects it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_killed_process_takes_its_helpers_with_it(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM, encoding="utf-8")
    with subprocess.Popen(
        [sys.executable, program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as parent:
        assert parent.stdout is not None
        helper = int(parent.stdout.readline())
        assert helper != parent.pid and _lives(helper)
        os.kill(parent.pid, signal.SIGKILL)
    ends_at_s = time.monotonic() + 10
    while _lives(helper) and time.monotonic() < ends_at_s:
        time.sleep(0.02)
    assert not _lives(helper)

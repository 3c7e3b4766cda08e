"""Freed memory stays with the process: fewer page faults, nothing else."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys, torch
from hrmbuild.training.memory import keep_freed_memory
assert sys.argv[1] == "no" or keep_freed_memory()
for _ in range(5):
    activations = [torch.ones(1 << 20) for _ in range(16)]
    del activations
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    activations = [torch.ones(1 << 20) for _ in range(16)]
    del activations
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(keep: str) -> int:
    done = subprocess.run([sys.executable, "-c", PROGRAM, keep], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is one of the GNU C library")
def test_freed_memory_comes_back_without_page_faults() -> None:
    # Huge pages come and go with the machine's memory, and so do single counts: the best of three against the worst.
    kept, given_back = (sorted(faults(keep) for _ in range(3)) for keep in ("yes", "no"))
    assert kept[0] < given_back[-1] / 2

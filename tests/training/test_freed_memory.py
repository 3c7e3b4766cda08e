"""Freed memory stays with the process: fewer page faults, nothing else."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

# Larger from one to the next: without the setting the C library maps each of them anew, whatever it freed before, as
# long as nothing larger was freed first.
PROGRAM = """
import os, resource, torch
from hrmbuild.training.memory import keep_freed_memory

def print_faults(keep):
    if keep:
        assert keep_freed_memory()
        [torch.ones(31 << 18) for _ in range(3)]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for mebibytes in range(16, 32):
        activations = torch.ones(mebibytes << 18)
        del activations
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before, flush=True)
    os._exit(0)

for keep in (True, False):
    child = os.fork() or print_faults(keep)
    os.waitpid(child, 0)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is one of the GNU C library")
def test_freed_memory_comes_back_without_page_faults() -> None:
    # Two children of one process that has torch: to load it twice costs more than the whole test.
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    kept, given_back = (int(line) for line in done.stdout.split())
    assert kept < given_back / 4

"""Memory that a process keeps once it has it.

Owns one setting of the C library. It must not change any number: only where freed memory goes.
"""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_MMAP_THRESHOLD_BYTES = 32 << 20
"""glibc refuses larger values."""


def keep_freed_memory() -> bool:
    """Ask the C library not to hand freed memory back to the system; False where it has no such setting.

    A training step on a CPU frees and allocates the same activations again and again. Handed back each time, they
    return as zeroed pages with a fault each: up to a third of a nano model's forward pass.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    settings = ((_M_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD_BYTES), (_M_TRIM_THRESHOLD, 2**31 - 1))
    return all(mallopt(*setting) == 1 for setting in settings)

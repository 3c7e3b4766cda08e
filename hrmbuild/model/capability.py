"""What a machine can do, asked once before training: the dtype to compute in, and memory that stays.

Owns decisions by capability. It must never decide by a stopwatch: the same machine type must give the same bytes.
"""

from __future__ import annotations

import ctypes
import sys

import torch

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_MMAP_THRESHOLD_BYTES = 32 << 20
"""glibc takes no larger value."""


def compute_dtype_for(device: torch.device) -> torch.dtype:
    """bfloat16 where the device multiplies it faster than float32 (GPU from 8.0, AMX, AVX512-BF16), else float32."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float32
    if device.type == "cpu":
        able = torch.cpu.get_capabilities()
        return torch.bfloat16 if able.get("amx_bf16") or able.get("avx512_bf16") else torch.float32
    return torch.float32


def keep_freed_memory() -> bool:
    """Ask the C library to keep freed memory in the process; False where it has no such setting.

    A CPU training step frees and allocates the same activations again and again. Handed back to the system each time,
    they come back as zeroed pages, one fault each: up to a fifth of a small model's step.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    kept = mallopt(_M_MMAP_THRESHOLD, _MMAP_THRESHOLD_BYTES) and mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
    return bool(kept)

"""95 % intervals: how far a score could lie from what was measured.

Owns Wilson's interval for shares of right answers, and a percentile bootstrap for means of other values, whose draws
are counters of SHA-256 and so never change. It must not know what is scored. Sources: Wilson 1927, JASA 22:209;
Efron 1979, Annals of Statistics 7:1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Interval = tuple[float, float]
_Z = 1.959963984540054  # the 97.5 % point of the normal distribution
_RESAMPLES = 1000


def wilson_interval(n_right: int, n: int) -> Interval:
    """Interval of a share; it stays inside [0, 1] and does not collapse at 0 or 1. Nothing measured: (0, 1)."""
    if n == 0:
        return 0.0, 1.0
    share, z2 = n_right / n, _Z * _Z
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z / (1 + z2 / n) * (share * (1 - share) / n + z2 / (4 * n * n)) ** 0.5
    return max(0.0, centre - half), min(1.0, centre + half)


def bootstrap_interval(values: Sequence[float], *, seed: int, key: str) -> Interval:
    """Percentile interval of the mean over 1,000 resamples. Nothing measured: (0, 1)."""
    if not values:
        return 0.0, 1.0
    n = len(values)
    chosen = hashed_integers(_RESAMPLES * n, seed=seed, key=key) % np.uint64(n)
    means = np.asarray(values, np.float64)[chosen.astype(np.int64)].reshape(_RESAMPLES, n).mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def hashed_integers(n: int, *, seed: int, key: str) -> NDArray[np.uint64]:
    """`n` 32-bit integers: eight from each SHA-256("bootstrap" | seed | key | counter)."""
    prefix = hashlib.sha256(f"bootstrap|{seed}|{key}|".encode())
    blocks: list[bytes] = []
    for counter in range(-(-n // 8)):
        block = prefix.copy()
        block.update(counter.to_bytes(8, "big"))
        blocks.append(block.digest())
    return np.frombuffer(b"".join(blocks), dtype=">u4")[:n].astype(np.uint64)

"""95 % intervals: how far a score could lie from what was measured.

Owns Wilson's interval for shares and a bootstrap over whole clusters: variants of one rule set, twins of one case and
questions about one document share what they are about, so they are drawn together or not at all. Draws are counters of
SHA-256 and never change. It must not know what is scored. Sources: Wilson 1927, JASA 22:209; Efron 1979, Annals of
Statistics 7:1; Davison and Hinkley 1997, section 3.8 (resampling clusters); Franco et al. 2019, JSSAM 7:334 (Wilson's
interval at the effective sample size).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Interval = tuple[float, float]
_Z = 1.959963984540054  # the 97.5 % point of the normal distribution
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
"""The same point of Student's distribution with 1 to 9 degrees of freedom."""
_RESAMPLES = 1000
NOTHING: Interval = (0.0, 1.0)


@dataclass(frozen=True)
class Estimate:
    """A mean of values between 0 and 1 with its interval."""

    mean: float
    low: float
    high: float
    n: int
    n_clusters: int

    @property
    def interval(self) -> Interval:
        """Low and high."""
        return self.low, self.high

    def as_dict(self) -> dict[str, float | int]:
        """As `--json` shows it."""
        shares = {"mean": round(self.mean, 4), "low": round(self.low, 4), "high": round(self.high, 4)}
        return shares | {"n": self.n, "clusters": self.n_clusters}


def wilson_interval(n_right: float, n: float, *, z: float = _Z) -> Interval:
    """Interval of a share; it stays inside [0, 1] and does not collapse at 0 or 1. Nothing measured: (0, 1)."""
    if n == 0:
        return NOTHING
    share, z2 = n_right / n, z * z
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = z / (1 + z2 / n) * (share * (1 - share) / n + z2 / (4 * n * n)) ** 0.5
    return max(0.0, centre - half), min(1.0, centre + half)


class Resamples:
    """1,000 resamples of whole clusters, drawn once: every row and every column is read off the same ones."""

    def __init__(self, clusters: Sequence[str], *, seed: int) -> None:
        """`clusters` names the cluster of each item; names decide the draws, their order in the list does not."""
        names = sorted(set(clusters))
        position = {name: i for i, name in enumerate(names)}
        self._of = np.array([position[name] for name in clusters], np.int64)
        self._n = len(names)
        drawn = hashed_integers(_RESAMPLES * self._n, seed=seed, key="\n".join(names)) % np.uint64(max(1, self._n))
        rows = np.repeat(np.arange(_RESAMPLES), self._n)
        flat = rows * self._n + drawn.astype(np.int64)
        counts = np.bincount(flat, minlength=_RESAMPLES * self._n)
        self._times = counts.reshape(_RESAMPLES, self._n).astype(np.float64)

    def mean(self, values: Sequence[float | bool | None]) -> Estimate:
        """Mean of what applies (None does not), each value between 0 and 1."""
        known, totals, sizes, n_clusters = self._totals(values)
        n = len(known)
        if not n:
            return Estimate(0.0, *NOTHING, 0, 0)
        mean = float(known.mean())
        low, high = _interval(mean, self._means(totals, sizes), n=n, n_clusters=n_clusters)
        return Estimate(mean, low, high, n, n_clusters)

    def difference(self, ours: Sequence[bool | None], theirs: Sequence[bool | None]) -> Estimate:
        """Mean of ours minus theirs over the items that both answered: between -1 and 1, of the same questions."""
        pairs = zip(ours, theirs, strict=True)
        values = [None if a is None or b is None else float(a) - float(b) for a, b in pairs]
        known, totals, sizes, n_clusters = self._totals(values)
        if not len(known):
            return Estimate(0.0, -1.0, 1.0, 0, 0)
        mean = float(known.mean())
        low, high = _difference(mean, self._means(totals, sizes), n_clusters=n_clusters)
        return Estimate(mean, low, high, len(known), n_clusters)

    def _totals(
        self, values: Sequence[float | bool | None]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], int]:
        """What is known; its sum and its count for each cluster; the clusters that have any."""
        applies = np.array([value is not None for value in values], bool)
        known = np.array([float(value) for value in values if value is not None], np.float64)
        of = self._of[applies]
        totals = np.bincount(of, weights=known, minlength=self._n).astype(np.float64)
        sizes = np.bincount(of, minlength=self._n).astype(np.float64)
        return known, totals, sizes, int((sizes > 0).sum())

    def _means(self, totals: NDArray[np.float64], sizes: NDArray[np.float64]) -> NDArray[np.float64]:
        """One mean a resample; resamples that hold nothing of these items say nothing."""
        weights = self._times @ sizes
        return (self._times @ totals)[weights > 0] / weights[weights > 0]


def _interval(mean: float, means: NDArray[np.float64], *, n: int, n_clusters: int) -> Interval:
    """The percentiles of the resampled means, and never less than Wilson's interval of as many independent answers as
    the clusters are worth: percentiles alone collapse where all clusters agree, and are too narrow where they are few.
    """
    variance = float(means.var()) * (n_clusters / max(1, n_clusters - 1))
    spread = mean * (1 - mean)
    if spread <= 0 or variance <= 0:
        return wilson_interval(mean * n_clusters, n_clusters)
    worth = min(float(n), spread / variance)
    low, high = wilson_interval(mean * worth, worth, z=_student(n_clusters - 1))
    below, above = (float(x) for x in np.quantile(means, (0.025, 0.975)))
    return min(low, below), max(high, above)


def _difference(mean: float, means: NDArray[np.float64], *, n_clusters: int) -> Interval:
    """The percentiles, and never less than Student's interval: few clusters that agree prove little."""
    if n_clusters < 2:
        return -1.0, 1.0
    spread = float(means.std()) * (n_clusters / (n_clusters - 1)) ** 0.5
    half = spread * _student(n_clusters - 1) if spread > 0 else 1 - wilson_interval(n_clusters, n_clusters)[0]
    below, above = (float(x) for x in np.quantile(means, (0.025, 0.975)))
    return max(-1.0, min(below, mean - half)), min(1.0, max(above, mean + half))


def _student(freedom: int) -> float:
    """The 97.5 % point of Student's distribution (two terms of Cornish and Fisher's series from ten degrees on)."""
    if freedom <= len(_T):
        return _T[max(1, freedom) - 1]
    return _Z + (_Z**3 + _Z) / (4 * freedom) + (5 * _Z**5 + 16 * _Z**3 + 3 * _Z) / (96 * freedom**2)


def hashed_integers(n: int, *, seed: int, key: str) -> NDArray[np.uint64]:
    """`n` 32-bit integers: eight from each SHA-256("bootstrap" | seed | key | counter)."""
    prefix = hashlib.sha256(f"bootstrap|{seed}|{key}|".encode())
    blocks: list[bytes] = []
    for counter in range(-(-n // 8)):
        block = prefix.copy()
        block.update(counter.to_bytes(8, "big"))
        blocks.append(block.digest())
    return np.frombuffer(b"".join(blocks), dtype=">u4")[:n].astype(np.uint64)

"""A sample of pairs that nobody could choose: drawn by the manifest's signed roots and a nonce of the auditor's.

Owns the order of the draw, the digest that names a sample, and the bound on the share of errors that follows from it.
It must not read a file.

Key of a pair = SHA-256 of the text `hrmbuild-sample-1|ROOT|NONCE|LEAF`, where ROOT is SHA-256(0x02 ‖ train ‖ dev ‖
test) of the salted roots in lower-case hex and LEAF the pair's salted leaf in lower-case hex; the sample is the n
smallest keys. The roots were signed before the nonce was known, so no seed can be tried until the sample looks clean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from hrmbuild.audit.rows import content_root
from hrmbuild.fingerprint import hash_value, sha256_hex
from hrmbuild.records.manifest import Manifest

PURPOSE = "hrmbuild-sample-1"
CONFIDENCE = 0.95
BOUND_SOURCE = "Clopper and Pearson 1934, Biometrika 26:404 (one-sided, exact)"
_HALVINGS = 60


def sample_root(manifest: Manifest) -> str:
    """What the draw hangs on: one hash over the three salted roots."""
    return content_root(manifest.roots)


def key_prefix(root: str, nonce: str) -> str:
    """What stands before the leaf in the text that is hashed."""
    return f"{PURPOSE}|{root}|{nonce}|"


def sample_key(root: str, nonce: str, leaf: str) -> str:
    """Place of a pair in the draw's order; smallest first."""
    return sha256_hex(f"{key_prefix(root, nonce)}{leaf}".encode())


def sample_digest(*, manifest_sha256: str, root: str, nonce: str, leaves: Sequence[str]) -> str:
    """What an approval of a sample signs: which manifest, which nonce, which pairs in which order."""
    return hash_value({"format": 1, "leaves": list(leaves), "manifest": manifest_sha256, "nonce": nonce, "root": root})


def upper_bound(n_errors: int, n: int, *, confidence: float = CONFIDENCE) -> float:
    """Largest share of errors that still gives so few in a sample of `n` with a chance of 1 - confidence.

    Exact for draws with replacement; for draws without it, as here, it is on the safe side. Source: `BOUND_SOURCE`.

    Raises:
        ValueError: more errors than draws, or none drawn.
    """
    if not 0 <= n_errors <= n or n < 1:
        raise ValueError(f"{n_errors} errors of {n}")
    if n_errors == n:
        return 1.0
    low, high = n_errors / n, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _at_most(n_errors, n, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def _at_most(k: int, n: int, p: float) -> float:
    """Chance of at most `k` errors among `n` where each is one with chance `p`, 0 < p < 1."""
    whole = math.lgamma(n + 1)
    return sum(
        math.exp(whole - math.lgamma(i + 1) - math.lgamma(n - i + 1) + i * math.log(p) + (n - i) * math.log1p(-p))
        for i in range(k + 1)
    )

"""RFC 6962 hash trees over rows: leaves, nodes, roots, inclusion proofs, and the content root over the three splits.

Owns the tree's arithmetic on 32-byte digests. It must not know what a row is, nor read or write a file.
Source: RFC 6962, section 2.1; promoting an odd node level by level gives the same tree as its split at the largest
power of two, which `tests/audit/test_merkle.py` holds against a recursive reading of the RFC.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

LEAF, NODE, CONTENT = b"\x00", b"\x01", b"\x02"
EMPTY_ROOT = hashlib.sha256(b"").digest()
"""Root of a tree without leaves (RFC 6962: the hash of nothing)."""
SALT_BYTES = 32


def leaf(row: bytes) -> bytes:
    """H(0x00 || row): the content leaf."""
    return hashlib.sha256(LEAF + row).digest()


def salted_leaf(salt: bytes, row: bytes) -> bytes:
    """H(0x00 || salt || row): the leaf that is shown outside, which nobody can confirm by guessing the row.

    Raises:
        ValueError: the salt is not 32 bytes long.
    """
    if len(salt) != SALT_BYTES:
        raise ValueError(f"a salt has {SALT_BYTES} bytes, got {len(salt)}")
    return hashlib.sha256(LEAF + salt + row).digest()


def node(left: bytes, right: bytes) -> bytes:
    """H(0x01 || left || right)."""
    return hashlib.sha256(NODE + left + right).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """The root over leaves in the given order; the odd one of a level is promoted."""
    level = list(leaves)
    if not level:
        return EMPTY_ROOT
    while len(level) > 1:
        level = _next_level(level)
    return level[0]


def _next_level(level: list[bytes]) -> list[bytes]:
    above = [node(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
    return above + level[-1:] if len(level) % 2 else above


def proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The audit path of leaf `index` (0-based), from the bottom up.

    Raises:
        IndexError: there is no such leaf.
    """
    if not 0 <= index < len(leaves):
        raise IndexError(f"leaf {index} of {len(leaves)}")
    path: list[bytes] = []
    level = list(leaves)
    while len(level) > 1:
        sibling = index ^ 1
        if sibling < len(level):
            path.append(level[sibling])
        level, index = _next_level(level), index // 2
    return path


def root_of_proof(row_leaf: bytes, *, index: int, n_leaves: int, path: Sequence[bytes]) -> bytes | None:
    """The root that an audit path leads to; None when the path's length does not fit the tree."""
    here, hashes, width = row_leaf, list(path), n_leaves
    while width > 1:
        if index ^ 1 < width:
            if not hashes:
                return None
            sibling = hashes.pop(0)
            here = node(sibling, here) if index % 2 else node(here, sibling)
        index, width = index // 2, (width + 1) // 2
    return None if hashes else here


def content_root(train: bytes, dev: bytes, test: bytes) -> bytes:
    """H(0x02 || train || dev || test)."""
    return hashlib.sha256(CONTENT + train + dev + test).digest()

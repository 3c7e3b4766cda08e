"""Inclusion proofs: the leaves of a pack as they are sorted, a root for each 65,536 of them, and the paths between.

Owns two files of the evidence pack. `leaves.bin`: the salted leaves of train, dev and test, 32 bytes each, sorted in
each split; the manifest says how many. `chunks.json`: the root of each run of 65,536 leaves of a split. A proof then
reads 2 MiB of leaves and one hash a chunk, however many rows there are. Packs of earlier releases have neither file:
the leaves are taken from `pairs.parquet`. It must not decide who may see a row.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hrmbuild.audit import evidence, merkle
from hrmbuild.audit.checks import Check
from hrmbuild.audit.leaf_table import HASH_BYTES, LeafTable, pieces
from hrmbuild.errors import InputError
from hrmbuild.fingerprint import canonical_json, strict_json
from hrmbuild.records.manifest import Manifest
from hrmbuild.records.pair import SPLITS, Split
from hrmbuild.records.proof import Proof

CHUNK_ROWS = 65_536
"""A power of two: the roots of whole chunks are nodes of the tree."""


def write_leaves(folder: Path, leaves: Mapping[Split, bytes]) -> None:
    """Write `leaves.bin` and `chunks.json`.

    Args:
        leaves: the salted leaves of each split, sorted, one after the other.
    """
    (folder / evidence.LEAVES_NAME).write_bytes(b"".join(leaves[split] for split in SPLITS))
    chunks = {split: [root.hex() for root in chunk_roots(leaves[split])] for split in SPLITS}
    told = {"format": 1, "chunk_rows": CHUNK_ROWS, "chunks": chunks}
    (folder / evidence.CHUNKS_NAME).write_bytes(canonical_json(told))


def chunk_roots(leaves: bytes) -> list[bytes]:
    """The root of each run of `CHUNK_ROWS` leaves; the last may be shorter."""
    step = CHUNK_ROWS * HASH_BYTES
    return [merkle.root(list(pieces(leaves[start : start + step]))) for start in range(0, len(leaves), step)]


def leaves_check(folder: Path, manifest: Manifest, table: LeafTable) -> Check | None:
    """Whether the sorted leaves and their chunk roots are those of the rows; None for a pack without them."""
    if evidence.LEAVES_NAME not in manifest.evidence or not table.has_all_salts:
        return None  # without salts the check of roots says so
    leaves = {split: part.sorted_salted() for split, part in table.splits.items()}
    wrong: list[str] = []
    try:
        same = (folder / evidence.LEAVES_NAME).read_bytes() == b"".join(leaves[split] for split in SPLITS)
        wrong += [] if same else [f"{evidence.LEAVES_NAME} holds other leaves"]
        chunks = _chunks(folder)
        if any(chunks.get(split) != [root.hex() for root in chunk_roots(leaves[split])] for split in SPLITS):
            wrong.append(f"{evidence.CHUNKS_NAME} holds other roots")
    except (OSError, InputError) as error:
        wrong.append(error.what if isinstance(error, InputError) else f"{error.strerror}")
    return Check("leaves", not wrong, "; ".join(wrong) or "sorted leaves and chunk roots are those of the rows")


def prove(folder: Path, manifest: Manifest, *, manifest_sha256: str, split: Split, leaf: str) -> Proof:
    """The proof that a salted leaf stands in a split.

    Raises:
        InputError: `evidence.unreadable`, `audit.no_leaf`.
    """
    n_leaves = manifest.splits[split].pairs
    leaves = _Leaves(folder, manifest, split)
    index = leaves.index(bytes.fromhex(leaf))
    if index is None:
        raise InputError("audit.no_leaf", "the sorted leaves of the pack do not hold this leaf", where=str(folder),
                         why="the pack was altered", fix=f"run: hrmbuild verify {folder}")  # fmt: skip
    chunk, inside = divmod(index, CHUNK_ROWS)
    path = [*merkle.proof(leaves.chunk(chunk), inside), *merkle.proof(leaves.roots, chunk)]
    return Proof(
        manifest_sha256=manifest_sha256, split=split, root=getattr(manifest.roots, split), n_leaves=n_leaves,
        index=index, leaf=leaf, path=tuple(one.hex() for one in path),
    )  # fmt: skip


def proof_problem(proof: Proof) -> str | None:
    """Why a proof does not show what it says, or None; what its root is worth says the manifest."""
    path = [bytes.fromhex(one) for one in proof.path]
    if proof.index >= proof.n_leaves:
        return "there is no such place in its tree"
    found = merkle.root_of_proof(bytes.fromhex(proof.leaf), index=proof.index, n_leaves=proof.n_leaves, path=path)
    if found is None or found.hex() != proof.root:
        return "the path does not lead from the leaf to the root"
    if (proof.row is None) != (proof.salt is None):
        return "row and salt go together"
    if proof.row is not None and proof.salt is not None:
        leaf = merkle.salted_leaf(bytes.fromhex(proof.salt), proof.row.encode())
        return None if leaf.hex() == proof.leaf else "the row and the salt give another leaf"
    return None


class _Leaves:
    """The sorted leaves of a split: on disk, or from `pairs.parquet` where an earlier release froze it."""

    def __init__(self, folder: Path, manifest: Manifest, split: Split) -> None:
        self._n = manifest.splits[split].pairs
        self._data: bytes | None = None
        self._path, self._from = folder / evidence.LEAVES_NAME, 0
        if evidence.LEAVES_NAME in manifest.evidence:
            before = SPLITS[: SPLITS.index(split)]
            self._from = sum(manifest.splits[one].pairs for one in before) * HASH_BYTES
            self.roots = [bytes.fromhex(one) for one in _chunks(folder).get(split, [])]
        else:
            self._data = b"".join(sorted(bytes.fromhex(one) for one in evidence.read_salted_leaves(folder, split)))
            self.roots = chunk_roots(self._data)

    def index(self, leaf: bytes) -> int | None:
        """Place of a leaf, by halving."""
        low, high = 0, self._n
        while low < high:
            middle = (low + high) // 2
            found = self._read(middle, 1)
            if found == leaf:
                return middle
            low, high = (middle + 1, high) if found < leaf else (low, middle)
        return None

    def chunk(self, number: int) -> list[bytes]:
        """The leaves of a chunk."""
        first = number * CHUNK_ROWS
        return list(pieces(self._read(first, min(CHUNK_ROWS, self._n - first))))

    def _read(self, first: int, n: int) -> bytes:
        start, size = first * HASH_BYTES, n * HASH_BYTES
        if self._data is not None:
            return self._data[start : start + size]
        try:
            with self._path.open("rb") as file:
                file.seek(self._from + start)
                return file.read(size)
        except OSError as error:
            raise InputError("evidence.unreadable", f"the leaves cannot be read: {error.strerror}",
                             where=str(self._path), fix="restore the manifest's folder") from error  # fmt: skip


def _chunks(folder: Path) -> dict[str, Any]:
    """Chunk roots by split.

    Raises:
        InputError: `evidence.unreadable`.
    """
    path = folder / evidence.CHUNKS_NAME
    try:
        value = strict_json(path.read_bytes())
        found = {split: value["chunks"][split] for split in SPLITS}
        all(bytes.fromhex(one) for roots in found.values() for one in roots)
        return found
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError("evidence.unreadable", f"the chunk roots cannot be read: {error}", where=str(path),
                         fix="restore the manifest's folder, or run: hrmbuild freeze") from error  # fmt: skip

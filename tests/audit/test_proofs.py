"""Inclusion proofs: every leaf of every tree is shown, nothing else is, and the stand-alone checker agrees."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hrmbuild.audit import evidence, merkle, proofs, standalone_check_proof
from hrmbuild.audit.leaf_table import pieces
from hrmbuild.audit.manifest import load_manifest_bytes, read_manifest
from hrmbuild.audit.proofs import chunk_roots, proof_problem, prove, write_leaves
from hrmbuild.fingerprint import sha256_hex
from hrmbuild.records.manifest import Manifest, Roots
from hrmbuild.records.pair import SPLITS, Split
from hrmbuild.records.proof import Proof

GOLDEN = Path(__file__).resolve().parent.parent / "golden" / "manifest_1"


def shown(proof: Proof, manifest: bytes = b"") -> bool:
    """What both checkers say, which must be the same."""
    alone = standalone_check_proof.main(json.loads(proof.canonical_bytes()), manifest)
    ours = proof_problem(proof) is None
    assert ours == alone.startswith("shown") or manifest, alone
    return alone.startswith("shown")


def manifest_with(n_leaves: dict[Split, int], leaves: dict[Split, bytes]) -> Manifest:
    golden = read_manifest(GOLDEN)
    counts = {split: golden.splits[split].model_copy(update={"pairs": n_leaves[split]}) for split in SPLITS}
    roots = {split: merkle.root(list(pieces(leaves[split]))).hex() for split in SPLITS}
    listed = {**golden.evidence, evidence.LEAVES_NAME: sha256_hex(b""), evidence.CHUNKS_NAME: sha256_hex(b"")}
    return golden.model_copy(update={"splits": counts, "roots": Roots(**roots), "evidence": listed})


def sorted_leaves(split: Split, n: int) -> bytes:
    return b"".join(sorted(bytes.fromhex(sha256_hex(f"{split} {i}".encode())) for i in range(n)))


def test_every_leaf_of_a_pack_with_chunks_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proofs, "CHUNK_ROWS", 4)
    for n_train in (1, 4, 5, 8, 11, 17):
        n_leaves: dict[Split, int] = {"train": n_train, "dev": 3, "test": 0}
        leaves: dict[Split, bytes] = {split: sorted_leaves(split, n) for split, n in n_leaves.items()}
        write_leaves(tmp_path, leaves)
        manifest = manifest_with(n_leaves, leaves)
        assert merkle.root(chunk_roots(leaves["train"])).hex() == manifest.roots.train
        for split in ("train", "dev"):
            for leaf in pieces(leaves[split]):
                proof = prove(tmp_path, manifest, manifest_sha256=sha256_hex(b""), split=split, leaf=leaf.hex())
                assert shown(proof) and proof.root == getattr(manifest.roots, split)


def test_a_pack_without_chunks_is_proved_from_its_rows_and_the_row_may_be_shown() -> None:
    manifest, data = read_manifest(GOLDEN), load_manifest_bytes(GOLDEN)
    salts = evidence.SaltTable(GOLDEN)
    for row in evidence.read_evidence(GOLDEN):
        proof = prove(GOLDEN, manifest, manifest_sha256=sha256_hex(data), split=row.split, leaf=row.salted_leaf)
        [salt] = salts.of([row.id])
        assert salt is not None and shown(proof, data)
        with_row = proof.model_copy(update={"row": row.row, "salt": salt.hex()})
        assert shown(with_row, data)
        assert not shown(with_row.model_copy(update={"row": row.row.replace("a", "b", 1)}))
        assert not shown(with_row.model_copy(update={"salt": sha256_hex(salt)}))


def test_an_altered_proof_shows_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proofs, "CHUNK_ROWS", 4)
    n_leaves: dict[Split, int] = {"train": 11, "dev": 0, "test": 0}
    leaves: dict[Split, bytes] = {split: sorted_leaves(split, n) for split, n in n_leaves.items()}
    write_leaves(tmp_path, leaves)
    manifest = manifest_with(n_leaves, leaves)
    leaf = list(pieces(leaves["train"]))[6].hex()
    good = prove(tmp_path, manifest, manifest_sha256=sha256_hex(b""), split="train", leaf=leaf)
    other, path = sha256_hex(b"other"), good.path
    changes: list[dict[str, object]] = [
        {"leaf": other}, {"root": other}, {"index": 5}, {"index": 11}, {"index": 6 + 16}, {"n_leaves": 3},
        {"path": path[:-1]}, {"path": (*path, other)}, {"path": ()}, {"path": (other, *path[1:])},
        {"path": tuple(reversed(path))},
    ]  # fmt: skip
    assert shown(good)
    assert [change for change in changes if shown(good.model_copy(update=change))] == []

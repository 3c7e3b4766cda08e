"""`hrmbuild audit prove`: that a pair stands in a frozen corpus, as a small file that a stranger can check.

Owns making the proof of a named pair and judging one that was handed over. The row is put into it only when it is asked
for and its label may be shown; without it the proof tells nothing about the pair.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hrmbuild.audit import evidence
from hrmbuild.audit.manifest import read_manifest
from hrmbuild.audit.proofs import proof_problem, prove
from hrmbuild.config.loading import Project
from hrmbuild.errors import AnswerIsNoError, InputError
from hrmbuild.files import write_atomic
from hrmbuild.fingerprint import canonical_json
from hrmbuild.pipelines.audit_pairs import FrozenPack, frozen_pack, shown_labels
from hrmbuild.pipelines.base_pairs import Base, bases, find_trained
from hrmbuild.pipelines.frozen_corpus import find_frozen
from hrmbuild.pipelines.manifests import all_manifests
from hrmbuild.records.proof import Proof


@dataclass(frozen=True)
class ProveReport:
    """A proof that was made."""

    proof: Proof
    base: Base | None = None
    """The included corpus whose root it leads to; None: the manifest's own."""

    def as_dict(self) -> dict[str, Any]:
        """The proof itself: what `--json` prints can be checked as it is."""
        return self.proof.canonical()


@dataclass(frozen=True)
class ProofCheck:
    """What became of checking a proof."""

    ok: bool
    detail: str
    proof: Proof
    against: str | None
    """The manifest whose root it was held against; None: none is at hand, so its root is nobody's word."""

    def as_dict(self) -> dict[str, Any]:
        """The keys of `--check --json`."""
        told = {name: getattr(self.proof, name) for name in ("leaf", "root", "split", "manifest_sha256")}
        return {"ok": self.ok, "detail": self.detail, **told, "against": self.against}


def prove_pair(
    project: Project | None,
    key: str,
    *,
    manifest: Path | None = None,
    with_row: bool = False,
    show_label: str | None = None,
    role: str | None = None,
    out: Path | None = None,
) -> ProveReport:
    """Prove that the pair named `key` stands in a manifest, or in a corpus that it includes: then in that one's root.

    Raises:
        UsageError, InputError: as `frozen_pack`, `find_trained` and `shown_labels`; `disk.*`.
        AnswerIsNoError: `audit.above_label`: the row may not be shown.
    """
    named = frozen_pack(project, manifest)
    base, row = find_trained(project, named, key)
    pack = base.pack if base is not None else named
    proof = prove(pack.folder, pack.manifest, manifest_sha256=pack.sha256, split=row.split, leaf=row.salted_leaf)
    if with_row:
        label = row.value["label"]
        if label not in shown_labels(named.manifest, show_label=show_label, role=role, project=project):
            raise AnswerIsNoError("audit.above_label", f"the row is {label}, which is not shown", where="--with-row",
                                  fix=f"leave --with-row out, or say --show-label {label} if you may")  # fmt: skip
        proof = proof.model_copy(update={"row": row.row, "salt": _salt(pack, row.id)})
    if out is not None:
        write_atomic(out, canonical_json(proof.canonical()) + b"\n")
    return ProveReport(proof, base)


def _salt(pack: FrozenPack, pair_id: str) -> str:
    [salt] = evidence.SaltTable(pack.folder).of([pair_id])
    if salt is None:
        raise InputError("audit.no_salt", "the pack holds no salt of this pair", where=str(pack.folder),
                         why="without its salt nobody can compute the leaf from the row",
                         fix="leave --with-row out: the proof of the leaf holds without it")  # fmt: skip
    return salt.hex()


def check_proof(project: Project | None, file: Path, *, manifest: Path | None = None) -> ProofCheck:
    """Check a proof: its path, its row where it has one, and its root against a manifest where one is at hand.

    Raises:
        InputError: `audit.bad_proof`, `manifest.*`.
    """
    proof = _read_proof(file)
    problem = proof_problem(proof)
    if problem is not None:
        return ProofCheck(False, problem, proof, None)
    found = manifest or (_known(project, proof.manifest_sha256) if project is not None else None)
    if found is None:
        told = "the path leads to its root; compare the root with a manifest that you trust (--manifest)"
        return ProofCheck(True, told, proof, None)
    pack = frozen_pack(None, found)
    stands = (pack.sha256, getattr(pack.manifest.roots, proof.split), pack.manifest.splits[proof.split].pairs)
    if stands != (proof.manifest_sha256, proof.root, proof.n_leaves):
        return ProofCheck(
            False, "this is not the manifest that the proof names, or it has another root", proof, str(found)
        )
    return ProofCheck(True, "the leaf stands in the manifest's root", proof, str(found))


def _known(project: Project, sha256: str) -> Path | None:
    """A manifest of the project, or one that any of them includes."""
    there = (base.pack.folder for base in _included(project) if base.pack.sha256 == sha256)
    return find_frozen(project, sha256) or next(there, None)


def _included(project: Project) -> Iterator[Base]:
    for folder in all_manifests(project):
        try:
            found = list(bases(project, folder, read_manifest(folder)))
        except InputError:
            continue  # `verify` says what is wrong with it
        yield from (base for base in found if isinstance(base, Base))


def _read_proof(file: Path) -> Proof:
    try:
        return Proof.model_validate(json.loads(file.read_bytes()))
    except (OSError, ValueError, RecursionError, ValidationError) as error:
        told = error.strerror if isinstance(error, OSError) else "it is no proof of format 1"
        raise InputError("audit.bad_proof", f"the proof cannot be read: {told}", where=str(file),
                         fix="give a file that hrmbuild audit prove wrote") from error  # fmt: skip

"""An inclusion proof, format 1: that a row stands in a frozen corpus, shown by a few hashes (RFC 6962, 2.1.1)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from hrmbuild.records.base import Noun, Sha256
from hrmbuild.records.pair import Split


class Proof(Noun):
    """Format 1. `audit.proofs` and the stand-alone `check_proof.py` follow the path from the leaf to the root."""

    format: Literal[1] = 1
    manifest_sha256: Sha256
    """Of the manifest whose `roots` hold the root."""
    split: Split
    root: Sha256
    """The salted root of the split: what is signed."""
    n_leaves: int = Field(ge=1)
    """Rows of the split."""
    index: int = Field(ge=0)
    """Place of the leaf among the split's salted leaves, which are sorted; from 0."""
    leaf: Sha256
    """The salted leaf, SHA-256(0x00 || salt || row): the pair's name outside."""
    path: tuple[Sha256, ...]
    """Siblings from the leaf to the root."""
    salt: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = None
    """Given with the row, so that whoever has the proof can compute the leaf; else nobody can guess the row."""
    row: str | None = None
    """The row's canonical JSON."""

"""What a manifest says of the manifests that it includes, and the root that binds both.

Owns those types. A manifest's content_root stays the root of its own rows: it can be computed from its own sources,
with no base mix at hand. Included rows are bound by their manifest's content_root and by the list of those left out,
and `training_root` binds everything that is trained on.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from hrmbuild.fingerprint import hash_value
from hrmbuild.records.base import DecimalText, Noun, Sha256
from hrmbuild.records.counts import Count, Roots
from hrmbuild.records.source import Source

LeftOutCode = Literal["include.leak", "include.duplicate", "include.contradiction", "include.withdrawn"]


class IncludedSource(Noun):
    """A source file of an included manifest."""

    source: Source
    """As the included manifest states it; `repeat` times that of the include."""
    count: Count
    """Pairs of it that are taken (by the first source of each), in tokens of the including manifest's tokenizer."""


class IncludedManifest(Noun):
    """A frozen corpus whose train rows are trained on too."""

    name: str
    content_root: Sha256
    manifest_sha256: Sha256
    """Of the bytes of its `manifest.json`."""
    label: str
    lineage: str
    content_roots: Roots
    splits: dict[Literal["train", "dev", "test"], int]
    """Pairs that it holds; only those of the train split are taken."""
    strata: tuple[str, ...] | None = None
    """Strata that are taken, sorted; absent: all."""
    repeat: int | None = Field(default=None, ge=2)
    """How often an epoch shows each of its pairs, beside what its sources say; absent: once."""
    leak_words: int | None = None
    """So many words in a row of a held-out pair are a leak; absent: only equal questions and equal pairs are."""
    leak_common: int = Field(ge=2)
    """Words in a row that more held-out pairs than this show are common text."""
    contradictions: Literal["left_out"] | None = None
    """Rows that answer the question of an own train pair (or of a row taken of an earlier include) otherwise, both in
    force, are left out; absent: not looked for, as in the first manifests."""
    near_duplicates: DecimalText | None = None
    """Jaccard likeness of word pairs from which on two texts say nearly the same: what is near to a held-out pair is a
    leak; absent: not looked for."""
    near: int | None = Field(default=None, ge=1)
    """Rows that are taken though an own train pair says nearly the same; absent: none."""
    left_out: dict[LeftOutCode, int]
    """Train rows that are not trained on, by reason; each stands in the evidence pack."""
    taken: Count
    """Train rows that are trained on, in tokens of the including manifest's tokenizer."""
    sources: tuple[IncludedSource, ...]
    """Those with a pair that is taken, sorted by path."""


class RunIncludes(Noun):
    """What a run was trained on beside its manifest's own rows."""

    content_roots: tuple[Sha256, ...]
    """Of the included manifests, in their order."""
    training_root: Sha256
    """Of all that is trained on: names the token files, and the order of the pairs is drawn by it."""


def told_names(includes: Iterable[IncludedManifest]) -> dict[str, str]:
    """What each include is called, by its content root: its name, with digits of the root where several have one."""
    listed = tuple(includes)
    names = [one.name for one in listed]
    return {
        one.content_root: one.name if names.count(one.name) == 1 else f"{one.name} {one.content_root[:12]}"
        for one in listed
    }


def training_root(content_root: str, includes: Iterable[IncludedManifest], *, left_out_sha256: str) -> str:
    """Hash of own root, included roots (with the strata taken) and the list of rows left out.

    Not of the included manifests' bytes: two equal builds of a base differ in their salts, and train the same model.
    """
    taken = [[one.content_root, list(one.strata) if one.strata is not None else None] for one in includes]
    return hash_value({"content_root": content_root, "includes": taken, "left_out": left_out_sha256})

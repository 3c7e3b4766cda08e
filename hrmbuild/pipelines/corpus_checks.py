"""A frozen pack beside the living corpus: are the rows that were frozen still there, as they were, and no others?

Owns that comparison; `verify` shows it and `train` refuses by it. Pairs of a later ingest are no difference: they
change nothing for an older manifest. Where the corpus says of itself that nothing was ingested since this manifest was
frozen, a pair that it would have taken and does not hold was put there by something else than ingest: it is extra.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hrmbuild.audit import merkle
from hrmbuild.audit.checks import Check, named
from hrmbuild.audit.evidence import read_leaves
from hrmbuild.audit.rows import row_bytes
from hrmbuild.errors import InputError
from hrmbuild.records.manifest import Manifest
from hrmbuild.store.corpus import Corpus


@dataclass(frozen=True)
class CorpusDifference:
    """Ids of rows by what is wrong with them; sorted."""

    missing: tuple[str, ...]
    """Frozen, and not in the corpus."""
    altered: tuple[str, ...]
    """Frozen, and in the corpus with other bytes."""
    extra: tuple[str, ...]
    """In the corpus, eligible under the manifest, and not frozen, though nothing was ingested since."""
    n_later: int
    """Pairs of the corpus that the manifest does not hold, the extra ones left out."""

    @property
    def is_empty(self) -> bool:
        """Every frozen row stands in the corpus as it was, and none beside them that ought to have been frozen."""
        return not self.missing and not self.altered and not self.extra

    @property
    def lost(self) -> tuple[str, ...]:
        """Rows that were frozen and are no longer there as they were."""
        return tuple(sorted((*self.missing, *self.altered)))

    def __str__(self) -> str:
        parts = [
            f"{len(ids)} {word} ({named([key[:12] for key in ids], limit=3)})"
            for word, ids in (("missing", self.missing), ("altered", self.altered), ("extra", self.extra))
            if ids
        ]
        return "; ".join(parts) or "every row stands in the corpus as it was frozen"


def compare_with_corpus(folder: Path, manifest: Manifest, *, corpus: Path) -> CorpusDifference:
    """Compare the rows of a manifest's folder with a corpus file.

    Raises:
        InputError: `store.*`: the corpus cannot be opened, or holds what hrmbuild did not make; `evidence.unreadable`.
    """
    with Corpus.open(corpus, read_only=True) as living:
        _refuse_foreign(living, corpus)
        found = living.compare_leaves(read_leaves(folder), max_label=manifest.max_label)
        altered = tuple(_altered(living, found.differing))
        untouched = living.frozen_content_root(manifest.max_label) == manifest.content_root
    extra = found.more if untouched else ()
    n_left_out = manifest.left_out if untouched else 0
    return CorpusDifference(found.missing, altered, extra, found.n_more - len(extra) - n_left_out)


def _refuse_foreign(living: Corpus, corpus: Path) -> None:
    """A view or macro of somebody else's could answer for the rows."""
    foreign = living.foreign_objects()
    if foreign:
        raise InputError("store.foreign_objects", f"this corpus holds what hrmbuild did not make: {named(foreign)}",
                         where=str(corpus), why="a view or macro in it could show other rows than it holds",
                         fix="move it away and run: hrmbuild ingest (it is made again from its sources)")  # fmt: skip


def _altered(living: Corpus, differing: dict[str, str]) -> Iterator[str]:
    """Of the rows that SQL wrote differently, those that differ as pairs too."""
    for key, pair in living.pairs_by_id(sorted(differing)):
        if pair is None or merkle.leaf(row_bytes(pair)).hex() != differing[key]:
            yield key


def check_corpus(folder: Path, manifest: Manifest, *, corpus: Path) -> Check:
    """The rows of a folder against a corpus file, as a check.

    Raises:
        InputError: `store.*`: the corpus cannot be opened.
    """
    try:
        found = compare_with_corpus(folder, manifest, corpus=corpus)
    except InputError as error:
        if error.code not in ("evidence.unreadable", "store.foreign_objects"):
            raise
        return Check("corpus", False, f"not compared: {error.what}")
    later = f" ({found.n_later} pairs came later)" if found.n_later else ""
    return Check("corpus", found.is_empty, f"{found}{later}")

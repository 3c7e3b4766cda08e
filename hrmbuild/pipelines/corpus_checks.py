"""A frozen pack beside the living corpus: are the rows that were frozen still there, as they were?

Owns that comparison; `verify` shows it and `train` refuses by it. Pairs that came later are no difference: later
ingests change nothing for an older manifest.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hrmbuild.audit import merkle
from hrmbuild.audit.checks import Check, named
from hrmbuild.audit.evidence import EvidenceRow, read_evidence
from hrmbuild.audit.pack_checks import PackContents
from hrmbuild.audit.rows import row_bytes
from hrmbuild.store.corpus import Corpus


@dataclass(frozen=True)
class CorpusDifference:
    """Ids of frozen rows that the corpus no longer holds, or holds with other bytes; sorted."""

    missing: tuple[str, ...]
    altered: tuple[str, ...]
    n_later: int
    """Pairs of the corpus that the manifest does not hold."""

    @property
    def is_empty(self) -> bool:
        """Every frozen row stands in the corpus as it was."""
        return not self.missing and not self.altered

    def __str__(self) -> str:
        parts = [
            f"{len(ids)} {word} ({named([key[:12] for key in ids], limit=3)})"
            for word, ids in (("missing", self.missing), ("altered", self.altered))
            if ids
        ]
        return "; ".join(parts) or "every row stands in the corpus as it was frozen"


def compare_with_corpus(folder: Path, corpus: Path) -> CorpusDifference:
    """Compare the rows of a manifest's folder with a corpus file.

    Raises:
        InputError: `store.*`: the corpus cannot be opened; `evidence.unreadable`.
    """
    return _compare(read_evidence(folder), corpus)


def _compare(rows: Iterable[EvidenceRow], path: Path) -> CorpusDifference:
    frozen = {row.id: row.leaf for row in rows}
    with Corpus.open(path, read_only=True) as corpus:
        living = {pair.id: merkle.leaf(row_bytes(pair)).hex() for pair in corpus.pairs()}
    return CorpusDifference(
        missing=tuple(sorted(frozen.keys() - living.keys())),
        altered=tuple(sorted(key for key in frozen.keys() & living.keys() if frozen[key] != living[key])),
        n_later=len(living.keys() - frozen.keys()),
    )


def check_corpus(pack: PackContents, corpus: Path) -> Check:
    """The rows of a pack against a corpus file, as a check.

    Raises:
        InputError: `store.*`: the corpus cannot be opened.
    """
    found = _compare((row for row, _ in pack.rows), corpus)
    later = f" ({found.n_later} pairs came later)" if found.n_later else ""
    return Check("corpus", found.is_empty, f"{found}{later}")

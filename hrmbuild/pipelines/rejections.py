"""`hrmbuild rejections`: what was turned down or is held, each with the digest that `release` takes.

Owns the list. Text, message and headings are shown only where the label of all that they show is not above the one that
was asked for; what gates kept no text of has none to show. It must not change anything.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hrmbuild.audit.shown_text import Clearance, clearance, numbers_of
from hrmbuild.config.loading import Project
from hrmbuild.fingerprint import hash_value
from hrmbuild.pipelines.decided import NEVER_RELEASED, rejection_digest
from hrmbuild.records.locator import Locator
from hrmbuild.store.corpus import Corpus
from hrmbuild.store.reading import StoredRejection

HELD = "quarantine"
NOT_SHOWN = "its words are above the label that is shown (--show-label)"


@dataclass(frozen=True)
class ListedRejection:
    """One row."""

    digest: str
    code: str
    detail: str
    path: str
    place: str
    source_sha256: str
    held: bool
    """It waits for a decision."""
    releasable: bool
    text: str | None
    """None: not kept, or above the label that may be shown."""
    pair_id: str | None

    def as_dict(self) -> dict[str, Any]:
        """As `rejections --json` lists it."""
        return dict(vars(self))


@dataclass(frozen=True)
class RejectionsReport:
    """Rows that were asked for."""

    rows: tuple[ListedRejection, ...]
    total: int
    """Rows that match, those beyond the limit included."""
    by_code: dict[str, int]

    def as_dict(self) -> dict[str, Any]:
        """The keys of `rejections --json`."""
        return {"rejections": [one.as_dict() for one in self.rows], "total": self.total, "by_code": self.by_code}


def rejections(
    project: Project, *, code: str | None = None, source: str | None = None, held: bool = False,
    show_label: str | None = None, role: str | None = None, limit: int = 20,
) -> RejectionsReport:  # fmt: skip
    """List rejections.

    Args:
        code: only this reason code.
        source: only this source's path.
        held: only those that wait for a decision.
        show_label: words up to this label are shown, and up to what `role` reads; with neither, up to the lowest.

    Raises:
        UsageError: `audit.unknown_label`, `audit.unknown_role`.
        InputError: `store.*`.
    """
    allowed = clearance(project.config.labels, show_label, role=role, roles=project.config.roles)
    rows: list[ListedRejection] = []
    by_code: Counter[str] = Counter()
    with Corpus.open(project.corpus_path, read_only=True) as corpus:
        for one in listed_rejections(corpus, allowed=allowed):
            if code in (None, one.code) and source in (None, one.path) and one.held >= held:
                by_code[one.code] += 1
                if len(rows) < limit:
                    rows.append(one)
    return RejectionsReport(tuple(rows), by_code.total(), dict(sorted(by_code.items())))


def listed_rejections(corpus: Corpus, *, allowed: Clearance | None = None) -> Iterator[ListedRejection]:
    """All of them, sorted by path and place; without words of a label that is not `allowed` (None: all are)."""
    for one in corpus.rejections():
        yield _listed(one, shown=allowed is None or allowed.allows(one.label))


def _listed(one: StoredRejection, *, shown: bool) -> ListedRejection:
    place = json.loads(one.locator)
    told = str(Locator.model_validate(place if shown else numbers_of(place)))
    detail, text = (one.detail, one.text) if shown else (NOT_SHOWN, None)
    if one.pair_id is None:
        digest = hash_value([one.code, one.source_sha256, place])
    else:
        digest = rejection_digest(code=one.code, source_sha256=one.source_sha256, pair_id=one.pair_id)
    releasable = one.pair_id is not None and one.text is not None and one.code not in NEVER_RELEASED
    return ListedRejection(digest, one.code, detail, one.path, told, one.source_sha256, one.stage == HELD, releasable,
                           text, one.pair_id)  # fmt: skip

"""`hrmbuild rejections`: what was turned down or is held, each with the digest that `release` takes.

Owns the list. A text is shown only where its source's label is not above the one that was asked for; what gates kept no
text of has none to show. It must not change anything.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hrmbuild.config.loading import Project
from hrmbuild.errors import UsageError
from hrmbuild.fingerprint import hash_value
from hrmbuild.pipelines.decided import NEVER_RELEASED, rejection_digest
from hrmbuild.records.locator import Locator
from hrmbuild.store.corpus import Corpus
from hrmbuild.store.reading import StoredRejection

HELD = "quarantine"


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
    show_label: str | None = None, limit: int = 20,
) -> RejectionsReport:  # fmt: skip
    """List rejections.

    Args:
        code: only this reason code.
        source: only this source's path.
        held: only those that wait for a decision.
        show_label: texts of sources up to this label are shown; absent: the lowest.

    Raises:
        UsageError: `rejections.unknown_label`.
        InputError: `store.*`.
    """
    labels = project.config.labels
    if show_label is not None and show_label not in labels:
        raise UsageError("rejections.unknown_label", f"{show_label!r} is no label", where="--show-label",
                         fix=f"the labels are, lowest first: {', '.join(labels)}")  # fmt: skip
    shown = set(labels[: labels.index(show_label or labels[0]) + 1])
    rows: list[ListedRejection] = []
    by_code: Counter[str] = Counter()
    with Corpus.open(project.corpus_path, read_only=True) as corpus:
        readable = {one.source.path for one in corpus.sources() if one.source.label in shown}
        for one in listed_rejections(corpus, shown=readable):
            if code in (None, one.code) and source in (None, one.path) and one.held >= held:
                by_code[one.code] += 1
                if len(rows) < limit:
                    rows.append(one)
    return RejectionsReport(tuple(rows), by_code.total(), dict(sorted(by_code.items())))


def listed_rejections(corpus: Corpus, *, shown: set[str] | None = None) -> Iterator[ListedRejection]:
    """All of them, sorted by path and place; of other files than those `shown` (absent: all) without text."""
    for one in corpus.rejections():
        told = _listed(one)
        yield told if shown is None or one.path in shown else ListedRejection(**{**vars(told), "text": None})


def _listed(one: StoredRejection) -> ListedRejection:
    place = json.loads(one.locator)
    if one.pair_id is None:
        digest = hash_value([one.code, one.source_sha256, place])
    else:
        digest = rejection_digest(code=one.code, source_sha256=one.source_sha256, pair_id=one.pair_id)
    releasable = one.pair_id is not None and one.text is not None and one.code not in NEVER_RELEASED
    return ListedRejection(digest, one.code, one.detail, one.path, str(Locator.model_validate(place)),
                           one.source_sha256, one.stage == HELD, releasable, one.text, one.pair_id)  # fmt: skip

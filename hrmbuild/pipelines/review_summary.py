"""What reviews come to, for the manifest: how much of what is kept was looked at, and how far two persons agree.

Owns the counts and Cohen's kappa (J. Cohen, A coefficient of agreement for nominal scales, 1960). It must not say which
pairs may stay: `decided` does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from itertools import combinations
from pathlib import Path
from typing import get_args

from hrmbuild.audit.checks import Check
from hrmbuild.audit.decisions import DECISIONS_NAME, Recorded, read
from hrmbuild.audit.edits import EDITS_NAME, read_edits
from hrmbuild.audit.evidence import read_evidence
from hrmbuild.config.loading import Project
from hrmbuild.pipelines.decided import Decided, decided, standing_reviews
from hrmbuild.pipelines.freeze_pack import Selection
from hrmbuild.records.decision import EditedTexts
from hrmbuild.records.manifest import Agreement, Manifest, ReviewEntry
from hrmbuild.records.pair import Condition, Pair, pair_id

Verdicts = Mapping[str, Mapping[str, str]]
"""Pair id -> reviewer -> action."""


def review_entry(project: Project, selection: Selection) -> ReviewEntry | None:
    """The reviews of the corpus that is frozen; None where nobody reviewed."""
    recorded = read(project.work / DECISIONS_NAME).recorded
    if not standing_reviews(recorded):
        return None
    looked_at = _looked_at(decided(recorded, read_edits(project.work / EDITS_NAME)))
    found = (pair for _, pair in selection.corpus.pairs_by_id(sorted(looked_at)) if pair is not None)
    path_of = {one.source.sha256: one.source.path for one in selection.corpus.sources()}
    return _entry(recorded, (pair for pair in found if pair.label in selection.admitted), path_of)


def review_check(
    folder: Path, manifest: Manifest, recorded: Sequence[Recorded], edits: Mapping[str, EditedTexts]
) -> Check | None:
    """What the manifest says of reviews, against the decisions before it; None: neither tells of any.

    Raises:
        InputError: `evidence.unreadable`.
    """
    standing = standing_reviews(recorded)
    if not standing and manifest.review is None:
        return None
    wanted = None
    if standing:
        looked_at = _looked_at(decided(recorded, edits))
        rows = (row for row in read_evidence(folder) if row.id in looked_at) if looked_at else iter(())
        path_of = {one.source.sha256: one.source.path for one in manifest.sources}
        wanted = _entry(recorded, (Pair.model_validate_json(row.row) for row in rows), path_of)
    n = sum(wanted.splits.values()) if wanted else 0
    what = f"{n} pairs looked at, {len(standing)} decided on"
    ok = manifest.review == wanted
    return Check("reviews in the manifest", ok, what if ok else f"they differ from the decisions before it: {what}")


def _entry(recorded: Sequence[Recorded], pairs: Iterable[Pair], path_of: Mapping[str, str]) -> ReviewEntry:
    by_split: Counter[str] = Counter()
    by_source: Counter[str] = Counter()
    for pair in pairs:
        by_split[pair.split] += 1
        by_source.update({path_of[one.source_sha256] for one in pair.occurrences})
    standing = standing_reviews(recorded)
    verdicts = {pair: {who: one.decision.action for who, one in of.items()} for pair, of in standing.items()}
    return ReviewEntry(
        reviewers=len({who for of in verdicts.values() for who in of}),
        decided=dict(sorted(Counter(action for of in verdicts.values() for action in of.values()).items())),
        splits=dict(sorted(by_split.items())), sources=dict(sorted(by_source.items())), agreement=agreements(verdicts),
    )  # fmt: skip


def _looked_at(now: Decided) -> set[str]:
    """Ids of pairs that a person accepted, and of those that a person wrote."""
    written = {
        pair_id(condition, edit.instruction, edit.response)
        for edit in now.edits.values()
        for condition in get_args(Condition)
    }
    return {*now.accepted, *written}


def agreements(verdicts: Verdicts) -> tuple[Agreement, ...]:
    """Each two reviewers with pairs in common, by name."""
    everybody = sorted({who for of in verdicts.values() for who in of})
    found = (_agreement(one, other, verdicts) for one, other in combinations(everybody, 2))
    return tuple(entry for entry in found if entry is not None)


def _agreement(one: str, other: str, verdicts: Verdicts) -> Agreement | None:
    both = [(of[one], of[other]) for of in verdicts.values() if one in of and other in of]
    if not both:
        return None
    n, n_agreed = len(both), sum(first == second for first, second in both)
    kappa = cohens_kappa(both)
    return Agreement(between=(one, other), pairs=n, agreed=n_agreed, kappa=None if kappa is None else _text(kappa))


def cohens_kappa(both: Sequence[tuple[str, str]]) -> Fraction | None:
    """Agreement beyond chance, exactly; None where chance alone would agree on everything."""
    n = len(both)
    first, second = Counter(a for a, _ in both), Counter(b for _, b in both)
    seen = Fraction(sum(a == b for a, b in both), n)
    chance = sum((Fraction(first[action] * second[action], n * n) for action in first), Fraction(0))
    return None if chance == 1 else (seen - chance) / (1 - chance)


def _text(value: Fraction) -> str:
    exact = Decimal(value.numerator) / Decimal(value.denominator)
    return str(exact.quantize(Decimal("0.001"), rounding=ROUND_HALF_UP))

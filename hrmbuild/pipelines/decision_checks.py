"""A manifest beside the decisions of its project: are those that it names the ones that stood when it was frozen?

Owns that comparison. It must not judge who signed: `audit.decisions` and `audit.trust` do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from hrmbuild.audit.checks import Check, named, not_looked_at
from hrmbuild.audit.decisions import DECISIONS_NAME, Recorded, read
from hrmbuild.audit.edits import EDITS_NAME, altered_edits, read_edits
from hrmbuild.audit.evidence import read_leaves, read_rejections
from hrmbuild.audit.log import Log
from hrmbuild.fingerprint import sha256_hex
from hrmbuild.pipelines.decided import EDIT_FACT, REVIEW_EDITED, Decided, decided
from hrmbuild.pipelines.review_summary import review_check
from hrmbuild.records.manifest import Manifest

_NAME = "decisions in the manifest"


def manifest_decisions_checks(
    folder: Path, manifest: Manifest, data: bytes, *, log: Log, work: Path
) -> Iterator[Check]:
    """The decisions that the log tells before this freeze, against those that the manifest names, and the reviews.

    Args:
        data: the manifest's bytes.
        work: the project's folder, with its decisions.

    Raises:
        InputError: `evidence.unreadable`, `decisions.unreadable`.
    """
    numbers = {entry.sha256: entry.n for entry in reversed(log.entries)}
    frozen_as = numbers.get(sha256_hex(data))
    if frozen_as is None:
        return  # Said by the log's own check.
    before = [one for one in read(work / DECISIONS_NAME).recorded if numbers.get(one.sha256, frozen_as) < frozen_as]
    edits = read_edits(work / EDITS_NAME)
    yield from _edits_check(before, work)
    yield from filter(None, (_decisions_check(folder, manifest, decided(before, edits), any_before=bool(before)),))
    if _not_to_be_told(decided(before, edits), manifest) is None:
        yield from filter(None, (review_check(folder, manifest, before, edits),))


def _edits_check(before: Sequence[Recorded], work: Path) -> Iterator[Check]:
    told = [one.decision for one in before if EDIT_FACT in one.decision.facts]
    if told:
        altered = altered_edits(work / EDITS_NAME, {one.facts[EDIT_FACT]: one.subject.sha256 for one in told})
        wrong = named([f"pair {pair[:12]}" for pair in altered])
        yield Check("edited texts", not altered, f"altered: {wrong}" if altered else f"{len(told)} edits")


def _decisions_check(folder: Path, manifest: Manifest, found: Decided, *, any_before: bool) -> Check | None:
    if not any_before and manifest.decisions is None:
        return None
    if (why := _not_to_be_told(found, manifest)) is not None:
        return not_looked_at(_NAME, f"not compared: {why}")
    pairs = _pairs_of(folder) if found.refused or found.accepted else set[str]()
    wanted = found.entry(sources=[entry.source.sha256 for entry in manifest.sources], pairs=pairs)
    told = manifest.decisions.canonical() if manifest.decisions is not None else {}
    counts = ", ".join(f"{name} {n}" for name, n in sorted(wanted.get("counts", {}).items())) or "none"
    return Check(
        _NAME, told == wanted, counts if told == wanted else f"they differ from those that stood then: {counts}"
    )


def _not_to_be_told(found: Decided, manifest: Manifest) -> str | None:
    if any(code == REVIEW_EDITED and pair not in found.edits for pair, code in found.refused.items()):
        return "the texts of an edit were erased"
    if manifest.left_out and (found.refused or found.accepted):
        return "pairs above max_label stand in no row of the pack"
    return None


def _pairs_of(folder: Path) -> set[str]:
    """Ids of all pairs that gates let through, whatever the pass over the corpus made of them."""
    kept = {str(one) for batch in read_leaves(folder) for one in batch.column("id").to_pylist()}
    return kept | {one.pair_id for one in read_rejections(folder) if one.stage == "corpus" and one.pair_id is not None}

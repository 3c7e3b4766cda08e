"""Section of the audit report on what persons decided: each decision, whose key signed it, whether it stands.

Owns that reading for a person. Whether a manifest is approved is `pipelines.approvals`'s answer, which is given; it
must not count approvals again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hrmbuild.audit.decisions import Recorded, chain_problems
from hrmbuild.audit.log import Log
from hrmbuild.audit.report_input import ReportInput
from hrmbuild.audit.sample import sample_digest, sample_root

REVIEWS = frozenset({"review_accept", "review_reject", "review_edit", "review_undo"})
_EMPTY_LOG = Log((), ())


def decisions_section(given: ReportInput) -> dict[str, Any]:
    """All decisions that are about what stands in this manifest, and reviews by their number."""
    if given.decisions is None:
        return {"at_hand": False, "rows": [], "reviews": {}, "problems": [], "approval": None, "judged": False}
    recorded = given.decisions.recorded
    problems = list(chain_problems(given.decisions, given.log or _EMPTY_LOG, may_lack_last=True))
    reviews: dict[str, int] = {}
    for one in recorded:
        if one.decision.action in REVIEWS:
            reviews[one.decision.action] = reviews.get(one.decision.action, 0) + 1
    rows = [_row(given, one, recorded) for one in recorded if one.decision.action not in REVIEWS]
    return {
        "at_hand": True,
        "rows": rows,
        "reviews": dict(sorted(reviews.items())),
        "problems": problems,
        "approval": dict(given.approval) if given.approval is not None else None,
        "judged": given.trust is not None,
        "taken_in": given.manifest.decisions.canonical() if given.manifest.decisions else None,
    }


def _row(given: ReportInput, one: Recorded, recorded: Sequence[Recorded]) -> dict[str, Any]:
    decision, verdict = one.decision, one.judge(given.trust) if given.trust else None
    state, why = _state(given, one, recorded)
    if state == "stands" and one.keyid is None:
        state, why = "unsigned", f"nobody signed it; {why}"
    elif state == "stands" and verdict is not None and not verdict.ok:
        state, why = "does not count", verdict.detail
    return {
        "line": one.line, "at": decision.at, "action": decision.action, "kind": decision.subject.kind,
        "sha256": decision.subject.sha256, "name": decision.subject.name, "reason": decision.reason,
        "person": verdict.person if verdict and verdict.ok else decision.person, "role": decision.role,
        "key": one.keyid,
        "counts": verdict.ok if verdict else None, "counts_why": verdict.detail if verdict else None,
        "state": state, "state_why": why,
    }  # fmt: skip


def _state(given: ReportInput, one: Recorded, recorded: Sequence[Recorded]) -> tuple[str, str]:
    """`stands`, `lapsed`, `superseded` or `other`, and why; who signed is judged elsewhere."""
    decision, subject = one.decision, one.decision.subject
    later = [
        two for two in recorded
        if two.line > one.line and two.decision.subject == subject and two.keyid == one.keyid
        and two.decision.action != decision.action
    ]  # fmt: skip
    if later:
        return "superseded", f"the same key decided otherwise in line {later[-1].line}"
    match subject.kind:
        case "manifest":
            return _of_digest(subject.sha256 == given.manifest_sha256, "manifest")
        case "sample":
            return _of_digest(subject.sha256 == current_sample_digest(given), "sample")
        case "source":
            return _of_source(given, subject.sha256, subject.name)
        case _:
            return "stands", "as it was recorded"


def _of_digest(same: bool, what: str) -> tuple[str, str]:
    if same:
        return "stands", f"about exactly this {what}"
    return "lapsed", f"about another {what}: its digest is not this one's"


def _of_source(given: ReportInput, sha256: str, name: str | None) -> tuple[str, str]:
    sources = [one.source for one in given.manifest.sources]
    if any(source.sha256 == sha256 for source in sources):
        return "stands", "the file with these bytes is in this manifest"
    if any(source.path == name for source in sources):
        return "lapsed", "the file of this name has other bytes now"
    return "other", "no file with these bytes is in this manifest"


def current_sample_digest(given: ReportInput) -> str | None:
    """The digest of this report's sample; None where it has none."""
    if given.sample is None:
        return None
    return sample_digest(
        manifest_sha256=given.manifest_sha256, root=sample_root(given.manifest), nonce=given.sample.nonce,
        leaves=[leaf for leaf, _ in given.sample.rows],
    )  # fmt: skip

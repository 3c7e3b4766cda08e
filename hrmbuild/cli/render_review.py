"""The end of a review, and how a manifest stands, as lines for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hrmbuild.cli.output import visible

if TYPE_CHECKING:
    from hrmbuild.pipelines.approvals import Approval
    from hrmbuild.pipelines.review import ReviewReport, UndoReport
    from hrmbuild.records.manifest import Manifest


def review_lines(report: ReviewReport) -> list[str]:
    """What stands decided, what is left, and what to do now."""
    lines = [f"decisions     {report.decisions:,}: {report.accepted:,} pairs accepted, {report.rejected:,} rejected, "
             f"{report.edited:,} edited"]  # fmt: skip
    lines += [
        f"left          {report.left:,} pairs" + (f"; {report.before:,} were decided before" if report.before else "")
    ]
    lines += [f"reviewer      {report.reviewer}"]
    if not report.left and not report.decisions:
        lines += ["every pair of this draw is decided: take a larger --n or another --nonce"]
    if report.rejected or report.edited:
        lines += ["hrmbuild ingest leaves out what was rejected and takes the edited texts"]
    return lines


def undo_lines(report: UndoReport) -> list[str]:
    """What was taken back, and what to do now."""
    return [f"taken back    {report.was} of pair {report.pair[:12]} by {report.reviewer}",
            "hrmbuild ingest makes the corpus without it"]  # fmt: skip


def review_facts(manifest: Manifest) -> list[str]:
    """What was looked at of a frozen corpus, and how far its reviewers agree; nothing where nobody reviewed."""
    review = manifest.review
    if review is None:
        return []
    n_pairs = sum(count.pairs for count in manifest.splits.values())
    n_people = f"{review.reviewers} reviewer" + ("s" if review.reviewers > 1 else "")
    lines = [f"reviewed      {sum(review.splits.values()):,} of {n_pairs:,} pairs by {n_people}"]
    for one in review.agreement:
        share = f"{100 * one.agreed / one.pairs:.0f} % of {one.pairs:,} pairs"
        lines.append(
            f"agreement     {' and '.join(one.between)}: {share}" + (f", kappa {one.kappa}" if one.kappa else "")
        )
    return lines


def approval_lines(one: Approval) -> list[str]:
    """Whose approval counts, what is awaited, and what counts for nothing."""
    told = [("approved by", name) for name in one.approved_by] or [("approved by", "nobody yet")]
    told += [("rejected by", name) for name in one.rejected_by]
    told += [("awaits", what) for what in one.awaited] + [("not counted", what) for what in one.not_counted]
    return [f"manifest      {one.sha256[:12]}", *(f"{name:<13} {visible(what)}" for name, what in told)]

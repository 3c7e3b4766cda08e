"""The end of a review as lines for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hrmbuild.pipelines.review import ReviewReport, UndoReport


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

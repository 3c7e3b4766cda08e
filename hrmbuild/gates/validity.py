"""Whether a file is in force on the day that the settings name; the clock is never read.

Owns the comparison of days and its refusals. It must not decide which file supersedes which: the settings do.
"""

from __future__ import annotations

import datetime as dt

from hrmbuild.config.project import SourceConfig

Refusal = tuple[str, str]
"""Code and sentence."""


def refusal(source: SourceConfig, as_of: dt.date | None, *, superseded_by: str | None = None) -> Refusal | None:
    """`validity.not_yet`, `validity.superseded`, `validity.expired`; None: it is in force, or no day is given."""
    if as_of is None:
        return None
    if source.effective_from is not None and as_of < source.effective_from:
        return "validity.not_yet", f"it is in force from {source.effective_from} on, after {as_of}"
    if source.effective_until is None or as_of <= source.effective_until:
        return None
    if superseded_by is not None:
        return "validity.superseded", f"{superseded_by} holds in its place since {source.effective_until} ended"
    return "validity.expired", f"it was in force until {source.effective_until}, before {as_of}"

"""`trust.yaml`: whose keys count, for what, and from when to when. Kept by who verifies, never by who signs.

Owns the type; `schemas/trust.yaml.json` is generated from it. Dates are days in UTC.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from hrmbuild.records.base import DateText, Noun, Sha256

Role = Literal["ingester", "approver", "packager"]
"""What a key may sign: a frozen manifest, a decision, a package."""

Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class TrustedKey(Noun):
    """One key and the person behind it."""

    person: Words
    """Who answers for what it signs."""
    roles: tuple[Role, ...] = Field(min_length=1)
    """What it may sign."""
    public_key: Words
    """The public key: a PEM file (relative to this file), or the PEM text itself."""
    fingerprint: Sha256 | None = None
    """SHA-256 of the public key, as `hrmbuild keys show` prints it; given, it must be that of `public_key`."""
    valid_from: DateText
    """First day on which it may sign."""
    valid_until: DateText | None = None
    """Last day on which it may sign; what it signed before stays good."""
    revoked_at: DateText | None = None
    """The day from which nothing of it counts, whatever its date: a thief would date signatures back."""


class TrustFile(Noun):
    """The whole file."""

    format: Literal[1] = 1
    keys: tuple[TrustedKey, ...] = Field(min_length=1)

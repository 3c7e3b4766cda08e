"""An entry of `log.jsonl`, format 1: see `audit.log`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hrmbuild.records.base import Noun, Sha256


class LogEntry(Noun):
    """One line."""

    format: Literal[1] = 1
    n: int = Field(ge=1)
    """Number of the line."""
    event: str
    """`freeze`, `package`, `approve`, `reject`, …"""
    sha256: Sha256
    """What it is about: a manifest's bytes, a package's `manifest.json`, a decision."""
    at: str
    """UTC, ISO 8601, as the writer's clock said."""
    facts: dict[str, str] = {}
    """What else a reader looks for: a name, a root, the signer's fingerprint."""
    previous: Sha256
    """Link of the line before."""

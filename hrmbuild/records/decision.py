"""A decision of a person over one digest, format 1: see `audit.decisions`, which signs it and keeps it.

Owns the type; `schemas/decision.json` is generated from it. Decisions are hashed into nothing that must be equal twice,
so they may hold a clock.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hrmbuild.records.base import Noun, Sha256

Action = Literal[
    "approve", "reject", "release", "withdraw", "hold", "unhold", "erase", "review_accept", "review_reject",
    "review_edit", "review_undo",
]  # fmt: skip
SubjectKind = Literal["source", "sample", "manifest", "pair", "rejection", "run", "package"]
UNAUTHENTICATED = "unauthenticated"
"""Person of a decision that nobody signed: it counts for nothing where somebody's word is demanded."""
NO_HEAD = "0" * 64


class Subject(Noun):
    """What is decided about, by its digest: another digest is another thing."""

    kind: SubjectKind
    sha256: Sha256
    """A source's bytes, a manifest's bytes, a pair's id, a rejection's digest (`rejection_digest`), …"""
    name: str | None = None
    """A path or another name for a reader; the digest decides."""


class Decision(Noun):
    """One decision."""

    format: Literal[1] = 1
    action: Action
    subject: Subject
    reason: str = Field(min_length=1)
    """One sentence."""
    person: str = UNAUTHENTICATED
    """Who decides, as the signer states it; whose key it is says the trust file of whoever verifies."""
    role: str | None = None
    """As whom: `compliance`, `data owner`."""
    at: str
    """UTC, `2026-11-22T17:31:30Z`."""
    log_head: Sha256 = NO_HEAD
    """Head of `log.jsonl` before this decision; `append` fills it in."""
    facts: dict[str, str] = {}
    """What the decision needs besides: a rejection's code, an edit's texts."""


class EditedTexts(Noun):
    """What a reviewer wrote in place of a pair's texts, format 1: a line of `edits.jsonl`, named by its SHA-256."""

    format: Literal[1] = 1
    pair: Sha256
    """Id of the pair whose texts these replace."""
    instruction: str
    response: str
    answer: str
    """Value of the typed answer."""
    salt: Sha256
    """32 random bytes: once the texts are erased, nobody confirms a guess by the digest."""

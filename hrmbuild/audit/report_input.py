"""What an audit report is made from, as typed values.

Owns the types. Whoever fills them reads manifest, pack, decisions and log; what they mean for a reader
is `audit.report`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hrmbuild.audit.checks import Check
from hrmbuild.audit.decisions import Decisions
from hrmbuild.audit.evidence import EvidenceRejection
from hrmbuild.audit.log import Log
from hrmbuild.audit.shown_text import Clearance
from hrmbuild.audit.trust import Trust
from hrmbuild.records.manifest import Manifest


@dataclass
class PackFacts:
    """Counts of pairs by what the manifest does not count."""

    by: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])
    """Heading (derivation, label, book, condition) -> value -> pairs."""
    n_masked_pairs: int = 0
    """Pairs in which something was masked."""
    masked: dict[str, int] = field(default_factory=dict[str, int])
    """Kind of personal data -> words that were masked, counted once a place."""
    n_name_masks: int = 0
    """Names of persons that were put in another form, counted once a place."""


@dataclass(frozen=True)
class Sample:
    """Pairs that were drawn, and what an auditor found in them."""

    nonce: str
    n_asked: int
    rows: tuple[tuple[str, Mapping[str, Any]], ...]
    """Salted leaf and row, in the order of the draw."""
    n_errors: int | None = None
    """Errors that were found; None: nobody said that they were looked for."""
    marks: Mapping[str, tuple[bool, str]] = field(default_factory=dict[str, tuple[bool, str]])
    """Leaf -> whether it is an error, and the auditor's note."""
    of: int | None = None
    """Pairs that it was drawn from; None: all of the manifest."""


@dataclass(frozen=True)
class ConflictSide:
    """A pair that answers a question otherwise than another one."""

    pair_id: str
    path: str
    """Of its first source; that of an included one begun by the corpus's name."""
    row: Mapping[str, Any] | None
    """None: its pack is not at hand."""


@dataclass(frozen=True)
class IncludedConflict:
    """A row of an included corpus that was left out, beside the pair that holds."""

    own: ConflictSide
    included: ConflictSide


@dataclass(frozen=True)
class ReportInput:
    """Everything that a report is made from."""

    manifest: Manifest
    manifest_sha256: str
    clearance: Clearance
    folder_name: str
    facts: PackFacts | None
    """None: the evidence pack is not at hand."""
    rejections: Iterable[EvidenceRejection] | None
    """None: the evidence pack is not at hand."""
    decisions: Decisions | None
    """None: no project is at hand, so nobody knows."""
    approval: Mapping[str, Any] | None
    """How the manifest stands with those who must approve it; None: no project is at hand."""
    log: Log | None
    trust: Trust | None
    signature: tuple[Check, ...]
    """Who signed the manifest, as far as it was asked."""
    diff: dict[str, Any] | None
    """Against the manifest before; None: there is none, or it is not at hand."""
    sample: Sample | None
    model: Mapping[str, str] | None
    """What the settings say of the model: contact, intended and excluded use."""
    included_conflicts: tuple[IncludedConflict, ...] = ()
    """The first of the rows of included corpora that an own pair contradicts."""
    bases_at_hand: frozenset[str] = frozenset()
    """Content roots of the included corpora whose folders are at hand."""

"""A source file, as seen, and what a reader skipped in it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hrmbuild.records.base import DateText, Noun, Sha256
from hrmbuild.records.locator import Locator

SourceKind = Literal["rules", "memos", "tables", "pairs"]


class Source(Noun):
    """One file: its bytes by hash and what its owner declared of it."""

    path: str
    """POSIX path relative to the folder that source paths start at."""
    sha256: Sha256
    """Hash of the file's bytes, taken before anything parsed them."""
    n_bytes: int = Field(ge=0)
    """Size in bytes."""
    kind: SourceKind
    """Which compilers apply."""
    format: str
    """Name of the reader, e.g. `markdown`."""
    declared_by: str
    """The line of the config that declared it, e.g. `hrmbuild.yaml:12`."""
    owner: str | None = None
    """Who answers for it."""
    license: str | None = None
    """SPDX id, `internal`, or `contract:REF`."""
    label: str = "internal"
    """Sensitivity."""
    effective_from: DateText | None = None
    """First day it is in force."""
    effective_until: DateText | None = None
    """Last day it is in force."""
    retain_until: DateText | None = None
    """Last day on which it is to be kept; absent: none was declared."""
    maker: Literal["person", "model", "unknown"] | None = None
    """Who wrote it, as its owner declared; absent: nothing was declared."""
    stratum: str | None = None
    """Stratum of the training mix."""
    repeat: int | None = Field(default=None, ge=2)
    """How often an epoch shows each of its pairs; absent: once."""


class Skip(Noun):
    """Something in a file that was seen and not read, with its reason: never dropped in silence."""

    code: str
    """Stable reason, e.g. `read.hidden_sheet`."""
    detail: str
    """One sentence for a person."""
    locator: Locator
    """Where it stands."""

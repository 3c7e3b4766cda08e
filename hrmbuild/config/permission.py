"""Settings of two gates: what a file must declare before it is opened, and attributes that no question may turn on."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from hrmbuild.config.base import Settings

Name = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]


class PermissionConfig(Settings):
    """What a source must declare before it is opened."""

    owner: bool = False
    """Whether it must name an owner."""
    licenses: tuple[Name, ...] | None = Field(default=None, min_length=1)
    """Licences that are allowed, whole or as `contract:*`; absent: any, and none."""
    max_label: str | None = None
    """Highest label that may enter the corpus; absent: every label."""


class ProtectedException(Settings):
    """Why a protected attribute may be used all the same."""

    basis: Name
    """The rule or law that allows or demands it."""
    approver: Name
    """Who answers for that."""


class ProtectedAttribute(Settings):
    """An attribute by which nobody is to be judged."""

    proxies: tuple[Name, ...] = ()
    """Columns and facts that stand in for it (`postcode`)."""
    allowed: ProtectedException | None = None
    """Absent: it is no fact, filter or grouping of any question."""

"""Settings of a frozen corpus that is trained on too: a base mix, ingested and frozen once in a project of its own."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from hrmbuild.config.base import Settings


class IncludeConfig(Settings):
    """One entry of `include`."""

    manifest: str
    """Folder of the frozen corpus, relative to the config's folder. It enters no hash: the root names what is meant."""
    root: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    """Its content root, as `freeze` printed it: a folder that holds another corpus is refused."""
    repeat: int = Field(default=1, ge=1)
    """How often an epoch shows each of its pairs, beside what its sources say."""
    strata: tuple[str, ...] | None = Field(default=None, min_length=1)
    """Strata that are taken of it; absent: all."""

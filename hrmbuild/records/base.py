"""The base of every noun: frozen, strict, unknown fields refused, written as canonical JSON without absent keys."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, StringConstraints

from hrmbuild.fingerprint import canonical_json

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256 as 64 lower-case hex digits."""

DecimalText = Annotated[str, StringConstraints(pattern=r"^-?\d+(\.\d+)?$")]
"""An exact decimal as text: `-12.30`; never a float."""

DateText = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}$")]
"""An ISO 8601 day."""


class Noun(BaseModel):
    """A value that stages hand to one another."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    def canonical(self) -> dict[str, Any]:
        """The value as plain JSON types, absent keys left out."""
        return self.model_dump(mode="json", exclude_none=True, by_alias=True)

    def canonical_bytes(self) -> bytes:
        """RFC 8785 bytes of `canonical()`."""
        return canonical_json(self.canonical())

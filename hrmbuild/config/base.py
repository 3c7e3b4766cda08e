"""What every block of settings is: frozen, strict, and such that it can be hashed."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, field_validator

_LARGEST = 2**53 - 1
"""Largest whole number of canonical JSON, in which settings are hashed."""


class Settings(BaseModel):
    """Base of every block of settings: frozen, unknown keys refused, docstrings become descriptions."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, populate_by_name=True, allow_inf_nan=False
    )

    @field_validator("*")
    @classmethod
    def _can_be_hashed(cls, value: object) -> object:
        if isinstance(value, int) and abs(value) > _LARGEST:
            raise ValueError(f"numbers go up to {_LARGEST}")
        return value

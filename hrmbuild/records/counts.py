"""Roots and counts, as manifests state them of themselves and of what they include."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from hrmbuild.records.base import Noun, Sha256


class Roots(Noun):
    """RFC 6962 roots, one a split. An empty split has the hash of nothing, SHA-256('')."""

    train: Sha256
    dev: Sha256
    test: Sha256


class Count(Noun):
    """How much of the corpus falls under one heading."""

    pairs: int = Field(ge=0)
    instruction_tokens: int = Field(ge=0)
    """Content tokens of the instructions, control tokens left out."""
    response_tokens: int = Field(ge=0)
    """Content tokens of the responses, the end token left out."""


def total(counts: Iterable[Count]) -> Count:
    """The sum of counts."""
    listed = list(counts)
    return Count(
        pairs=sum(one.pairs for one in listed),
        instruction_tokens=sum(one.instruction_tokens for one in listed),
        response_tokens=sum(one.response_tokens for one in listed),
    )

"""`erased.json`: what an erasure says beside a manifest that never changes.

Owns that format. It must not say how rows are erased (`audit.erased`).
"""

from __future__ import annotations

from typing import Literal

from hrmbuild.records.base import Noun, Sha256


class Erased(Noun):
    """`erased.json`, format 1."""

    format: Literal[1] = 1
    sources: tuple[Sha256, ...]
    """Files whose rows were erased, sorted."""
    pairs: int
    """Rows without texts."""
    files: dict[str, Sha256]
    """Files of the pack as the erasure left them."""

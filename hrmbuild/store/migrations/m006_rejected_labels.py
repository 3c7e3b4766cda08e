"""Migration 6: the label of what a rejection shows, where it shows more than its own source.

A pair beside which a document of a higher label stands carries that label, refused or not.
"""

from __future__ import annotations

STATEMENTS = (
    # NULL: the label of the source.
    "ALTER TABLE rejection ADD COLUMN label VARCHAR",
)

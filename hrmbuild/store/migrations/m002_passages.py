"""Migration 2: passages that may be shown beside a question. They enter no manifest: pairs are what is trained on."""

from __future__ import annotations

STATEMENTS = (
    # A piece of a source as pairs show it; its label is that of its file, which `source` holds.
    """CREATE TABLE passage (
        unit VARCHAR NOT NULL, path VARCHAR NOT NULL, ordinal BIGINT NOT NULL, source_sha256 VARCHAR NOT NULL,
        locator VARCHAR NOT NULL, place BIGINT NOT NULL, title VARCHAR, heading VARCHAR, text VARCHAR NOT NULL)""",
)

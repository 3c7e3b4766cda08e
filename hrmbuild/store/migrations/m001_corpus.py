"""Migration 1: units, sources, what compilers made of them, and what the corpus-level pass decided.

No keys or indexes: DuckDB checks them eagerly, so that replacing a unit inside one transaction would fail; uniqueness
is asserted by `store.balance` instead. JSON columns hold canonical JSON (RFC 8785) as text.
"""

from __future__ import annotations

STATEMENTS = (
    # A unit of work: a file, or the files of an entry that need one another. `key` hashes all that decides its outcome.
    "CREATE TABLE unit (name VARCHAR NOT NULL, key VARCHAR NOT NULL)",
    # One file. `meta` is records.Source; `max_pairs` the cap of its entry.
    """CREATE TABLE source (
        path VARCHAR NOT NULL, unit VARCHAR NOT NULL, sha256 VARCHAR NOT NULL, meta VARCHAR NOT NULL,
        max_pairs INTEGER, status VARCHAR NOT NULL, reason VARCHAR,
        n_records BIGINT NOT NULL, n_productive BIGINT NOT NULL, n_barren BIGINT NOT NULL, n_made BIGINT NOT NULL)""",
    # A file that was found and not opened: no bytes, so no hash.
    """CREATE TABLE refused (
        path VARCHAR NOT NULL, code VARCHAR NOT NULL, detail VARCHAR NOT NULL, declared_by VARCHAR NOT NULL)""",
    # Something in a file that its reader saw and did not read.
    """CREATE TABLE skip (
        unit VARCHAR NOT NULL, path VARCHAR NOT NULL, ordinal BIGINT NOT NULL,
        code VARCHAR NOT NULL, detail VARCHAR NOT NULL, locator VARCHAR NOT NULL)""",
    # A compiled pair that passed the gates: one occurrence of a pair.
    """CREATE TABLE candidate (
        unit VARCHAR NOT NULL, ordinal BIGINT NOT NULL, path VARCHAR NOT NULL, pair_id VARCHAR NOT NULL,
        condition VARCHAR NOT NULL, instruction VARCHAR NOT NULL, response VARCHAR NOT NULL,
        kind VARCHAR NOT NULL, stratum VARCHAR NOT NULL, split VARCHAR NOT NULL, axis VARCHAR,
        boundary BOOLEAN NOT NULL, book VARCHAR NOT NULL, derivation VARCHAR NOT NULL, answer VARCHAR NOT NULL,
        content_key VARCHAR NOT NULL, label VARCHAR NOT NULL, valid_from VARCHAR, valid_until VARCHAR,
        occurrence VARCHAR NOT NULL)""",
    # What readers, compilers and gates turned down.
    """CREATE TABLE rejection (
        unit VARCHAR NOT NULL, ordinal BIGINT NOT NULL, path VARCHAR NOT NULL, stage VARCHAR NOT NULL,
        code VARCHAR NOT NULL, detail VARCHAR NOT NULL, source_sha256 VARCHAR NOT NULL, locator VARCHAR NOT NULL,
        text VARCHAR, pair_id VARCHAR, gate VARCHAR)""",
    # What the corpus-level pass turned down: a candidate without a verdict is kept.
    """CREATE TABLE verdict (
        unit VARCHAR NOT NULL, ordinal BIGINT NOT NULL, code VARCHAR NOT NULL, detail VARCHAR NOT NULL)""",
    # A kept pair; `unit` and `ordinal` name the candidate that its texts are read from.
    """CREATE TABLE pair (
        id VARCHAR NOT NULL, unit VARCHAR NOT NULL, ordinal BIGINT NOT NULL, split VARCHAR NOT NULL, axis VARCHAR,
        boundary BOOLEAN NOT NULL, label VARCHAR NOT NULL, valid_from VARCHAR, valid_until VARCHAR)""",
    # 32 random bytes a pair, drawn once and kept.
    "CREATE TABLE salt (pair_id VARCHAR NOT NULL, salt BLOB NOT NULL)",
    # Single values: `settled` (what the last corpus-level pass saw); as JSON `ingest` (what the last ingest was told)
    # and `frozen` (the content root that was computed last, and of what).
    "CREATE TABLE state (name VARCHAR NOT NULL, value VARCHAR NOT NULL)",
)

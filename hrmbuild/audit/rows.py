"""Row bytes, and from them leaves and roots: what `freeze` writes and `verify` computes again.

Owns the order of rows under both kinds of root. It must not read or write a file.
A row is the canonical JSON (RFC 8785, absent keys left out) of a `Pair`, format 1.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from hrmbuild.audit import merkle
from hrmbuild.fingerprint import canonical_json
from hrmbuild.records.manifest import Roots
from hrmbuild.records.pair import SPLITS, Pair, Split, pair_id


def row_bytes(pair: Pair) -> bytes:
    """The bytes of a pair that are hashed."""
    return pair.canonical_bytes()


@dataclass(frozen=True, slots=True)
class Leaf:
    """One row as the trees see it."""

    split: Split
    id: str
    content: bytes
    """H(0x00 || row)."""
    salted: bytes | None
    """H(0x00 || salt || row); None where the salt is gone."""


def leaf_of(pair_key: str, split: Split, *, row: bytes, salt: bytes | None) -> Leaf:
    """The two leaves of a row."""
    salted = None if salt is None else merkle.salted_leaf(salt, row)
    return Leaf(split, pair_key, merkle.leaf(row), salted)


def content_roots(leaves: Iterable[Leaf]) -> Roots:
    """A root a split over content leaves, ordered by pair id."""
    by_split = _by_split(leaves)
    return _roots({split: [x.content for x in sorted(by_split[split], key=_id)] for split in SPLITS})


def salted_roots(leaves: Iterable[Leaf]) -> Roots | None:
    """A root a split over salted leaves, ordered by leaf; None when a salt is missing."""
    by_split: dict[str, list[bytes]] = {split: [] for split in SPLITS}
    for one in leaves:
        if one.salted is None:
            return None
        by_split[one.split].append(one.salted)
    return _roots({split: sorted(by_split[split]) for split in SPLITS})


def content_root(roots: Roots) -> str:
    """H(0x02 || train || dev || test) as hex."""
    return merkle.content_root(*(bytes.fromhex(getattr(roots, split)) for split in SPLITS)).hex()


def _id(one: Leaf) -> str:
    return one.id


def _by_split(leaves: Iterable[Leaf]) -> dict[str, list[Leaf]]:
    by_split: dict[str, list[Leaf]] = {split: [] for split in SPLITS}
    for one in leaves:
        by_split[one.split].append(one)
    return by_split


def _roots(leaves: Mapping[str, list[bytes]]) -> Roots:
    return Roots(**{split: merkle.root(leaves[split]).hex() for split in SPLITS})


def parse_row(text: str) -> dict[str, Any] | str:
    """The row as a value, or one sentence saying why this text is no row of format 1 (its id included).

    The bytes are held against the value as parsed, not against today's type: an optional field that is added later must
    not make an old row look altered.
    """
    try:
        value = json.loads(text)
        canonical = canonical_json(value)
        pair = Pair.model_validate(value)
    except ValidationError as error:
        return f"it is no row of format 1 ({error.errors()[0]['msg']})"
    except (ValueError, TypeError, RecursionError) as error:
        return f"it is no canonical JSON ({error})"
    if canonical != text.encode():
        return "its bytes are not the canonical ones"
    if pair.id != pair_id(pair.condition, pair.instruction, pair.response):
        return "its id is not the hash of condition, instruction and response"
    return value

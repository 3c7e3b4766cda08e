"""Leaves of many rows in little memory: 96 bytes a row, and the roots over them.

Owns that table. It must not know where rows come from. A million rows as Python values take gigabytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from hrmbuild.audit import merkle
from hrmbuild.audit.rows import Leaf
from hrmbuild.records.manifest import Roots
from hrmbuild.records.pair import SPLITS, Split

HASH_BYTES = 32


@dataclass
class SplitLeaves:
    """The leaves of one split, in the order of the rows."""

    ids: bytearray = field(default_factory=bytearray)
    content: bytearray = field(default_factory=bytearray)
    salted: bytearray = field(default_factory=bytearray)
    """Of the rows that have a salt."""

    @property
    def n(self) -> int:
        """Rows."""
        return len(self.ids) // HASH_BYTES

    def content_root(self) -> bytes:
        """Over content leaves, ordered by pair id."""
        return merkle.root([leaf for _, leaf in sorted(zip(pieces(self.ids), pieces(self.content), strict=True))])

    def salted_root(self) -> bytes:
        """Over salted leaves, ordered by leaf."""
        return merkle.root(list(pieces(self.sorted_salted())))

    def sorted_salted(self) -> bytes:
        """The salted leaves in their order, one after the other."""
        return b"".join(sorted(pieces(self.salted)))


@dataclass
class LeafTable:
    """The leaves of all splits."""

    splits: dict[Split, SplitLeaves] = field(default_factory=lambda: {split: SplitLeaves() for split in SPLITS})

    @property
    def n(self) -> int:
        """Rows of all splits."""
        return sum(one.n for one in self.splits.values())

    @property
    def has_all_salts(self) -> bool:
        """Whether every row had a salt."""
        return all(len(one.salted) == len(one.ids) for one in self.splits.values())

    def in_two_splits(self) -> list[str]:
        """Ids that stand in more than one split, sorted: what is scored was trained on."""
        train, dev, test = (self.splits[split].ids for split in SPLITS)
        held, tested = set(pieces(dev)), set(pieces(test))
        both = (held & tested) | {one for one in pieces(train) if one in held or one in tested}
        return sorted(one.hex() for one in both)

    def add(self, leaf: Leaf) -> None:
        """One row."""
        split = self.splits[leaf.split]
        split.ids += bytes.fromhex(leaf.id)
        split.content += leaf.content
        split.salted += leaf.salted or b""

    def extend(self, other: LeafTable) -> None:
        """The rows of another table, after these."""
        for name, split in self.splits.items():
            more = other.splits[name]
            split.ids += more.ids
            split.content += more.content
            split.salted += more.salted

    def content_roots(self) -> Roots:
        """A root a split over content leaves."""
        return Roots(**self._hex({name: split.content_root() for name, split in self.splits.items()}))

    def salted_roots(self) -> Roots | None:
        """A root a split over salted leaves; None when a salt is missing."""
        if not self.has_all_salts:
            return None
        return Roots(**self._hex({name: split.salted_root() for name, split in self.splits.items()}))

    @staticmethod
    def _hex(roots: dict[Split, bytes]) -> dict[Any, str]:
        return {name: root.hex() for name, root in roots.items()}


def pieces(packed: bytes | bytearray) -> Iterator[bytes]:
    """Hashes that stand one after the other."""
    data = bytes(packed)
    return (data[start : start + HASH_BYTES] for start in range(0, len(data), HASH_BYTES))

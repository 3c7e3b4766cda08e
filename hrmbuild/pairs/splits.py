"""Which side of train, dev and test a pair falls on.

Owns the order of the draws and the shares. It must not look at a pair's text or at other pairs: a side depends on the
seed and on keys alone, so that adding a file never moves a pair. Source: `SplitKeys` in `records.pair`.

First match wins: the declared side of the rule set or document; its variant; its wording; its decision cell. A key that
falls on the train side is no match, and the next key is looked at.
"""

from __future__ import annotations

from collections.abc import Sequence

from hrmbuild.fingerprint import draw_fraction, draw_integer
from hrmbuild.records.pair import Axis, Split, SplitKeys

DEV_FRACTION = 0.05
TEST_FRACTION = 0.10
HELD_OUT_WORDINGS = 2
"""Wordings of a kind that are never trained on, for kinds that have more than twice as many."""


def side(key: str, seed: int) -> Split:
    """The drawn side of one key: 5 % dev, 10 % test, else train."""
    fraction = draw_fraction("split", seed, key)
    if fraction < DEV_FRACTION:
        return "dev"
    return "test" if fraction < DEV_FRACTION + TEST_FRACTION else "train"


def assign(keys: SplitKeys, seed: int) -> tuple[Split, Axis | None]:
    """The side of a pair and, where it is held out, the axis on which it is new.

    A declared `document_side` ends the search even when it is train: the owner has said so.
    """
    if keys.document_side is not None:
        return keys.document_side, None if keys.document_side == "train" else "document"
    drawn: tuple[tuple[Axis, str | None, Split | None], ...] = (
        ("variant", keys.variant, keys.variant_side),
        ("wording", keys.wording, keys.wording_side),
        ("cell", keys.cell, keys.cell_side),
    )
    for axis, key, known in drawn:
        if key is None and known is None:
            continue
        found = known or side(key or "", seed)
        if found != "train":
            return found, axis
    return "train", None


def wording_side(name: str, all_names: Sequence[str], seed: int) -> Split:
    """`test` for the two wordings of a kind with the smallest draws, else `train`.

    A kind with four wordings or fewer holds none out: too few would be left to learn from.
    """
    return "test" if name in held_out_wordings(all_names, seed) else "train"


def held_out_wordings(all_names: Sequence[str], seed: int) -> frozenset[str]:
    """The wordings of a kind that are never trained on."""
    if len(all_names) <= 2 * HELD_OUT_WORDINGS:
        return frozenset()
    drawn = sorted(set(all_names), key=lambda name: (draw_integer("wording_side", seed, name), name))
    return frozenset(drawn[:HELD_OUT_WORDINGS])

"""Rows of existing pairs that are plain at a look at their bytes: certain without SQL, and without a JSON parser.

Owns that judgement, over whole Arrow arrays. A plain text is of the visible letters of ASCII and blanks between them,
without the few that may mean something (`"`, `\\`, `<`, `#`): NFC and `strip` leave it as it is, JSON writes it as it
is, and there is no mark in it to take away. So what is plain is certain in the sense of `imported_sql`, and what is
not plain goes there: this may be cautious, and must never be bold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from hrmbuild.config.project import PairsMapping
from hrmbuild.pairs.imported import CONTEXT_BYTES
from hrmbuild.pairs.imported_shapes import LIST_END, OPTIONAL_END, SHAPES
from hrmbuild.pairs.imported_sql import is_known
from hrmbuild.pairs.imported_stretches import CONDITIONS, Bytes, Places, Stretches, Truths, letters_of, made_batch
from hrmbuild.records.arrays import arrow_truths, numbers_of, truths_of

QUOTE, _BLANK = 0x22, 0x20
_VISIBLE = 0x7E - _BLANK
_LOOK_BYTES = 1 << 16
"""Compared at a time: it stays in the processor's cache."""
_MEANING = (0x5C, 0x3C, 0x23)
"""`\\`, `<`, `#`."""


@dataclass(frozen=True)
class Roles:
    """The fields that make a pair, where one alone is the instruction."""

    instruction: str
    response: str
    condition: str | None
    """None: the rows say nothing of it, and `fixed` holds."""
    fixed: str = "direct"


def roles_of(names: Sequence[str], mapping: PairsMapping | None) -> Roles | None:
    """What fields of these names, all of them texts, are to a pair; None where that is not simple."""
    if not is_known(mapping):
        return None
    if mapping is not None and (mapping.instruction or mapping.response):
        return _declared(names, mapping)
    spelt = {name.lower(): name for name in names}
    for _, asked, answered in SHAPES:
        first = "instruction" if "instruction" in asked else asked[-1]
        if first in spelt and answered in spelt:
            is_alone = [name for name in asked if name in spelt] == [first]
            return Roles(spelt[first], spelt[answered], spelt.get("condition")) if is_alone else None
    return None


def _declared(names: Sequence[str], mapping: PairsMapping) -> Roles | None:
    asked, answered, told = mapping.instruction or (), mapping.response, mapping.condition
    if len(asked) != 1 or asked[0] not in names or answered not in names:
        return None
    if answered is None or any(name.endswith((LIST_END, OPTIONAL_END)) for name in (asked[0], answered)):
        return None
    if told is not None and told.startswith("="):
        return Roles(asked[0], answered, None, told[1:]) if told[1:] in CONDITIONS else None
    return Roles(asked[0], answered, told if told in names else None)


def plain_columns(batch: pa.RecordBatch, roles: Roles) -> tuple[Truths, pa.RecordBatch]:
    """Which rows of a batch are plain, and the table `made` of these."""
    condition = _conditions(batch, roles)
    asked, answered = batch.column(roles.instruction), batch.column(roles.response)
    is_plain = (condition >= 0) & _are_plain(asked, most=CONTEXT_BYTES) & _are_plain(answered)
    line = batch.column("line").filter(arrow_truths(is_plain))
    texts = [_whole(column).chosen(is_plain) for column in (asked, answered)]
    return is_plain, made_batch(line, condition[is_plain], *texts)


def _conditions(batch: pa.RecordBatch, roles: Roles) -> Places:
    """Number of each row's condition, -1 where it is none of those known."""
    if roles.condition is None:
        return np.full(len(batch), CONDITIONS.index(roles.fixed))
    told = batch.column(roles.condition).dictionary_encode("encode")
    found = {name: n for n, name in enumerate(CONDITIONS)}
    numbers = np.array([found.get(name, -1) for name in told.dictionary.to_pylist()], dtype=np.int64)
    return numbers[numbers_of(told.indices.cast(pa.int64()))]


def _whole(texts: pa.StringArray) -> Stretches:
    bounds = letters_of(texts)[1].astype(np.int64)
    return Stretches(texts, bounds[:-1] - bounds[0], bounds[1:] - bounds[0])


def _are_plain(texts: pa.StringArray, most: int | None = None) -> Truths:
    (data, bounds), whole = letters_of(texts), _whole(texts)
    n_odd = np.diff(np.searchsorted(places_of(odd(data, QUOTE)), bounds - bounds[0]))
    is_plain = (n_odd == 0) & are_trimmed(data, whole, most)
    return is_plain if not texts.null_count else is_plain & truths_of(texts.is_valid())


def odd(data: Bytes, *more: int) -> Truths:
    """Bytes that no plain text has; the quotation mark is none of them unless it is one of `more`."""
    found = np.empty(len(data), dtype=np.bool_)
    for at in range(0, len(data), _LOOK_BYTES):
        some, here = data[at : at + _LOOK_BYTES], found[at : at + _LOOK_BYTES]
        np.greater(some - _BLANK, _VISIBLE, out=here)  # what is below a blank wraps around
        for one in (*_MEANING, *more):
            here |= some == one
    return found


def places_of(found: Truths) -> Places:
    """Where it is true. Eight at a time are looked at first, for it is seldom true."""
    n_whole = len(found) // 8 * 8
    eights = found[:n_whole].reshape(-1, 8)
    which = np.flatnonzero(eights.view(np.uint64))
    row, column = np.nonzero(eights[which])
    return np.concatenate((which[row] * 8 + column, np.flatnonzero(found[n_whole:]) + n_whole))


def are_trimmed(data: Bytes, texts: Stretches, most: int | None = None) -> Truths:
    """Whether texts are not empty, have no blank at an end, and have at most so many bytes."""
    starts, ends = texts.starts, texts.ends
    there = ends > starts
    if not there.any():
        return there
    first, last = data[np.where(there, starts, 0)], data[np.where(there, ends - 1, 0)]
    fits = there & (first != _BLANK) & (last != _BLANK)
    return fits if most is None else fits & (ends - starts <= most)

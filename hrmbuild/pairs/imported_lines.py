"""Lines of JSON that are plain and spelt as their writer spells all of them, read by the places of their marks.

Owns that reading. A line with no odd byte and as many quotation marks as its keys and texts need, and between these
byte for byte what the first such line has, is an object with these keys and with what stands between as their texts:
nothing is left that a parser could find. Every other line goes to one. The texts are not copied.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from hrmbuild.config.project import PairsMapping
from hrmbuild.pairs.imported import CONTEXT_BYTES
from hrmbuild.pairs.imported_plain import QUOTE, Roles, are_trimmed, odd, places_of, roles_of
from hrmbuild.pairs.imported_stretches import CONDITIONS, Bytes, Places, Stretches, Truths, letters_of, made_batch
from hrmbuild.records.arrays import arrow_truths

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+(?: [A-Za-z0-9_-]+)*")
_MOST_KEYS = 8
_HABITS = ((": ", ", "), (":", ","))
"""Between key and text, and between members."""


@dataclass(frozen=True)
class Spelling:
    """How lines are written: what stands before, between and behind their texts."""

    keys: tuple[str, ...]
    roles: Roles
    between: tuple[bytes, ...]
    """One more than there are keys."""

    def plain(self, batch: pa.RecordBatch) -> tuple[Truths, pa.RecordBatch]:
        """Which rows of `line` and `text` are plain and spelt so, and the table `made` of these."""
        lines = _Lines.of(batch.column("text"), n_keys=len(self.keys))
        condition, asked, answered = self._conditions(lines), *(lines.text(self.keys.index(key)) for key in self._texts)
        fits = self._is_spelt(lines) & (condition >= 0)
        fits &= are_trimmed(lines.data, asked, CONTEXT_BYTES) & are_trimmed(lines.data, answered)
        is_plain = lines.is_regular.copy()
        is_plain[is_plain] = fits
        line = batch.column("line").filter(arrow_truths(is_plain))
        return is_plain, made_batch(line, condition[fits], asked.chosen(fits), answered.chosen(fits))

    @property
    def _texts(self) -> tuple[str, str]:
        return self.roles.instruction, self.roles.response

    def _is_spelt(self, lines: _Lines) -> Truths:
        begins, ends = lines.around()
        told = zip(begins, ends, self.between, strict=True)
        return np.logical_and.reduce([_equal(lines.data, *one) for one in told])

    def _conditions(self, lines: _Lines) -> Places:
        """Number of each row's condition, -1 where it is none of those known."""
        if self.roles.condition is None:
            return np.full(len(lines.marks), CONDITIONS.index(self.roles.fixed))
        told = lines.text(self.keys.index(self.roles.condition))
        found = np.full(len(lines.marks), -1)
        for number, name in enumerate(CONDITIONS):
            found[_equal(lines.data, told.starts, told.ends, name.encode())] = number
        return found


@dataclass(frozen=True)
class _Lines:
    """The lines of an array that have no odd byte but their newline, and four quotation marks a key."""

    array: pa.StringArray
    data: Bytes
    bounds: Places
    is_regular: Truths
    marks: Places
    """Places of the marks: one row a regular line."""

    @classmethod
    def of(cls, texts: pa.StringArray, *, n_keys: int) -> _Lines:
        data, places = letters_of(texts)
        bounds = places.astype(np.int64) - places[0]
        n_odd = np.diff(np.searchsorted(places_of(odd(data)), bounds))
        marks = np.flatnonzero(data == QUOTE)
        first = np.searchsorted(marks, bounds)
        is_regular = (n_odd == 1) & (np.diff(first) == 4 * n_keys) & (data[bounds[1:] - 1] == 0x0A)
        return cls(texts, data, bounds, is_regular, marks[first[:-1][is_regular][:, None] + np.arange(4 * n_keys)])

    def text(self, at: int) -> Stretches:
        """The texts of a key."""
        return Stretches(self.array, self.marks[:, 4 * at + 2] + 1, self.marks[:, 4 * at + 3])

    def around(self) -> tuple[list[Places], list[Places]]:
        """Where that begins and ends which stands before, between and behind the texts, the marks included."""
        opening, closing = self.marks[:, 2::4] + 1, self.marks[:, 3::4]
        begins = [self.bounds[:-1][self.is_regular], *closing.T]
        return begins, [*opening.T, self.bounds[1:][self.is_regular]]


def spelling_of(texts: Sequence[str], mapping: PairsMapping | None) -> Spelling | None:
    """How the first of these lines is written that is an object of texts alone, in one of the usual habits."""
    for text in texts:
        try:
            row = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict) and 0 < len(row) <= _MOST_KEYS and all(type(one) is str for one in row.values()):
            for colon, comma in _HABITS:
                if json.dumps(row, ensure_ascii=False, separators=(comma, colon)) == text.removesuffix("\n"):
                    return _spelling(tuple(row), colon, comma, mapping)
    return None


def _spelling(keys: tuple[str, ...], colon: str, comma: str, mapping: PairsMapping | None) -> Spelling | None:
    roles = roles_of(keys, mapping)
    if roles is None or not all(_PLAIN_KEY.fullmatch(key) for key in keys):
        return None
    if len({key.lower() for key in keys}) < len(keys):
        return None
    before = [("{" if at == 0 else f'"{comma}') + f'"{key}"{colon}"' for at, key in enumerate(keys)]
    return Spelling(keys, roles, tuple(one.encode() for one in (*before, '"}\n')))


def _equal(data: Bytes, starts: Places, ends: Places, literal: bytes) -> Truths:
    """Which stretches of the data are these bytes."""
    fits = ends - starts == len(literal)
    if not fits.any():
        return fits
    windows = np.lib.stride_tricks.sliding_window_view(data, len(literal))
    same = windows[starts[fits]] == np.frombuffer(literal, dtype=np.uint8)
    fits[fits] = same.all(axis=1)
    return fits

"""Words at a place: a quoted text, where it stands exactly, and the masks between file and pair.

Owns narrowing a block's locator to some of its words, joining wrapped lines, and the record of what was replaced (a
line break by a space, a person's name by a role). "Stands at its span" means: the file's text at the locator, after
`apply_masks`, equals the occurrence's text. It must not read files.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hrmbuild.records.locator import Locator
from hrmbuild.records.pair import MASKS


class Mask(NamedTuple):
    """Replace the characters start..end (end excluded) of the exact text."""

    start: int
    end: int
    replacement: str


class Quote(NamedTuple):
    """Some words as shown to the model, with their place and masks."""

    text: str
    locator: Locator
    masks: tuple[Mask, ...] = ()

    def inputs(self) -> dict[str, str] | None:
        """The masks as an occurrence records them; None where there are none."""
        return {MASKS: json.dumps([list(mask) for mask in self.masks])} if self.masks else None


_WRAP = re.compile(r"[ \t]*\n[ \t]*|[ \t]{2,}|\t")


def line_masks(text: str) -> list[Mask]:
    """Masks that join wrapped lines and runs of blanks into single spaces."""
    return [Mask(m.start(), m.end(), " ") for m in _WRAP.finditer(text)]


_MARKS = re.compile(
    r"\[\^[^\]\s]{1,20}\]|(?P<open>!?\[)(?P<words>[^\[\]]+)(?P<close>\]\([^()\s]*(?:\([^()\s]*\)[^()\s]*)?\)|\]\[[^\]]*\])|"
    r"(?P<left>\*\*|(?<![^\s(\[{\"“‘'>*–—-])__|(?<![\w*])\*|(?<!\w)_)(?=\S)(?P<strong>[^*_\n]+?)(?<=\S)(?P<right>(?P=left))(?![\w*])"
)
"""Two underscores are a mark only where a word may begin: in `$__ a year` they are a blank to be filled in."""


def mark_masks(text: str) -> list[Mask]:
    """Masks that take Markdown's marks away and leave the words: links, emphasis, footnote signs."""
    found: list[Mask] = []
    for match in _MARKS.finditer(text):
        for opening, closing in (("open", "close"), ("left", "right")):
            if match[opening]:
                found += [Mask(*match.span(opening), ""), Mask(*match.span(closing), "")]
        if not match["open"] and not match["left"]:
            found.append(Mask(match.start(), match.end(), ""))
        inner = match["words"] or ""
        offset = match.start("words")
        found += [Mask(m.start + offset, m.end + offset, m.replacement) for m in mark_masks(inner)] if inner else []
    return found


def without_marks(text: str) -> str:
    """The words alone."""
    return apply_masks(text, merge_masks(mark_masks(text), line_masks(text)))


def name_masks(text: str, names: Mapping[str, str]) -> list[Mask]:
    """Masks that put a role where a name stands as whole words; longer names first."""
    if not names:
        return []
    options = "|".join(re.escape(name) for name in sorted(names, key=lambda n: (-len(n), n)))
    found = re.finditer(rf"(?<!\w)(?:{options})(?!\w)", text)
    return [Mask(m.start(), m.end(), names[m.group()]) for m in found]


def merge_masks(*groups: Sequence[Mask]) -> tuple[Mask, ...]:
    """All masks by position; of two that overlap the first group's stays."""
    kept: list[Mask] = []
    for mask in (mask for group in groups for mask in group):
        # What is kept does not overlap, so only the last that begins before this one's end can.
        before = bisect_left(kept, mask.end, key=lambda one: one.start)
        if not before or kept[before - 1].end <= mask.start:
            insort(kept, mask)
    return tuple(kept)


def apply_masks(text: str, masks: Sequence[Mask]) -> str:
    """The text after its masks, which do not overlap."""
    pieces: list[str] = []
    at = 0
    for mask in sorted(masks):
        pieces += [text[at : mask.start], mask.replacement]
        at = max(at, mask.end)
    return "".join([*pieces, text[at:]])


def read_masks(inputs: Mapping[str, str] | None) -> tuple[Mask, ...]:
    """The masks that an occurrence's inputs record."""
    if not inputs or MASKS not in inputs:
        return ()
    return tuple(Mask(start, end, replacement) for start, end, replacement in json.loads(inputs[MASKS]))


def narrow(locator: Locator, text: str, start: int, end: int) -> Locator:
    """The locator of text[start:end], where `text` stands at `locator`.

    Without character offsets (or where they do not fit the text, as after NFC shortened it) the lines are kept as they
    are: a wider place that is true beats an exact one that may not be.
    """
    exact = locator.char_from is not None and locator.char_to == locator.char_from + len(text)
    if not exact or locator.char_from is None:
        return locator
    changes: dict[str, int] = {"char_from": locator.char_from + start, "char_to": locator.char_from + end}
    if locator.line_from is not None:
        changes["line_from"] = locator.line_from + text.count("\n", 0, start)
        changes["line_to"] = locator.line_from + text.count("\n", 0, max(start, end - 1))
    return locator.model_copy(update=changes)


def quote(
    text: str,
    locator: Locator,
    *,
    start: int = 0,
    end: int | None = None,
    names: Mapping[str, str] | None = None,
) -> Quote:
    """The words text[start:end] as shown: lines joined, marks and names masked, with their place.

    Where the locator's offsets do not fit the text (see `narrow`) the place is the whole block's, and the masks record
    that the words before and after were cut.
    """
    end = len(text) if end is None else end
    exact = narrow(locator, text, start, end)
    words = text[start:end]
    masks = merge_masks(name_masks(words, names or {}), mark_masks(words), line_masks(words))
    shown = apply_masks(words, masks)
    if exact is locator and (start, end) != (0, len(text)):
        moved = tuple(Mask(m.start + start, m.end + start, m.replacement) for m in masks)
        cut = [mask for mask in (Mask(0, start, ""), Mask(end, len(text), "")) if mask.start < mask.end]
        masks = merge_masks(cut, moved)
    return Quote(shown, exact, masks)


def mask_over(first: Sequence[Mask], second: Sequence[Mask]) -> tuple[Mask, ...]:
    """One set of masks that does what `first` and then `second` do; the offsets of `second` are into the masked text.

    A mask of `second` that touches what `first` put in swallows it: what is left of that stands in its replacement.
    """
    kept = sorted(first)
    for mask in sorted(second, reverse=True):
        kept = _with(kept, mask)
    return tuple(kept)


def _with(first: list[Mask], mask: Mask) -> list[Mask]:
    """`first`, sorted, and one mask over its outcome. Masks go in from the last: those before it do not move."""
    shift = 0  # exact offset = masked offset - shift, after the masks seen so far
    start = end = None
    before = after = ""
    inside: set[Mask] = set()
    for one in first:
        here, there = one.start + shift, one.start + shift + len(one.replacement)
        if start is None and mask.start < here:
            start = mask.start - shift
        if end is None and mask.end <= here:
            end = mask.end - shift
        if here < mask.end and there > mask.start:
            inside.add(one)
            if start is None and mask.start >= here:
                start, before = one.start, one.replacement[: mask.start - here]
            if mask.end <= there:
                end, after = one.end, one.replacement[mask.end - here :]
        elif here == there and mask.start < here < mask.end:
            inside.add(one)
        shift += len(one.replacement) - (one.end - one.start)
    start = mask.start - shift if start is None else start
    end = mask.end - shift if end is None else end
    whole = Mask(start, end, before + mask.replacement + after)
    return sorted([*(one for one in first if one not in inside), whole])

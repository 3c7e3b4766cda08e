"""What a detector is, and how several of them read one text without claiming the same characters twice.

Owns the two types and the order of claims: detectors stand in the order of their precision, and what one has claimed no
later one takes (an IBAN's digits are no card number). It must not know any kind.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Found:
    """Something that was found in a text: text[start:end]."""

    kind: str
    start: int
    end: int


def _always(text: str, start: int, end: int) -> bool:
    return True


@dataclass(frozen=True)
class Detector:
    """One pattern of one kind."""

    kind: str
    pattern: re.Pattern[str]
    """The group `v` is what was found; without such a group it is the whole match."""
    hints: tuple[str, ...]
    """The pattern is tried where one of these stands in the lower-case text; none: where digits stand close together.
    Looking for a few letters costs a hundredth of a pattern."""
    confirm: Callable[[str, int, int], bool] = _always
    """Whether text[start:end] is what it looks like: check digits, words before it."""
    digits: int = 0
    """A text with fewer digits holds nothing of the kind: the fewest that the pattern and the confirmation take."""

    def find(self, text: str) -> Iterable[Found]:
        """What the pattern finds and the confirmation leaves."""
        group = "v" if "v" in self.pattern.groupindex else 0
        for match in self.pattern.finditer(text):
            start, end = match.span(group)
            if self.confirm(text, start, end):
                yield Found(self.kind, start, end)


_DIGIT = re.compile(r"\d")
_CLOSE_DIGITS = re.compile(
    r"\d(?:[ .\-/()]{0,3}\d){4}|[A-Z]{2}\d{2}[A-Z ]|\d\.\d{1,3}\.\d|[0-9a-fA-F:]{2}::?[0-9a-fA-F:]{2}"
)


def find_all(text: str, detectors: Sequence[Detector]) -> list[Found]:
    """Everything that the detectors find, by place; of two that overlap the earlier detector's stays."""
    lower = text.lower()
    n_digits: int | None = None
    has_digits: bool | None = None
    kept: list[Found] = []
    for detector in detectors:
        if detector.digits:
            n_digits = len(_DIGIT.findall(text)) if n_digits is None else n_digits
            if n_digits < detector.digits:
                continue
        if detector.hints:
            for hint in detector.hints:  # half the time of `any` over a generator, and most detectors end here
                if hint in lower:
                    break
            else:
                continue
        else:
            has_digits = bool(_CLOSE_DIGITS.search(text)) if has_digits is None else has_digits
            if not has_digits:
                continue
        for found in detector.find(text):
            if all(found.end <= other.start or found.start >= other.end for other in kept):
                kept.append(found)
    return sorted(kept, key=lambda found: found.start)


def words_before(text: str, start: int, *, within: int) -> str:
    """The lower-case text just before a place, on the same line or the one above."""
    return text[max(0, start - within) : start].lower()

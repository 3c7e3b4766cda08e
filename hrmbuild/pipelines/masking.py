"""Masks for personal data in what one record yields: numbered, the same words always the same number, and no way back.

Owns putting masks into pairs, passages and messages such that evidence stays true: an occurrence records its masks as
offsets into the exact text at its place, so "stands at its span" holds after them. The numbers of a record live in
memory while it is compiled and are written nowhere. It must not decide what is personal: the gate does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

from hrmbuild.config.project import GatesConfig
from hrmbuild.fingerprint import hash_value
from hrmbuild.gates.finding import Redaction
from hrmbuild.gates.personal_data import found_words
from hrmbuild.gates.secrets import find_secrets
from hrmbuild.pairs.spans import MASKS, Mask, mask_over, read_masks
from hrmbuild.records.locator import Locator
from hrmbuild.records.pair import REDACTED, Answer, CompiledPair, Occurrence, Rejection
from hrmbuild.records.passage import SourcePassage
from hrmbuild.records.source import Skip

_SECRET = "[SECRET]"


@dataclass
class Masker:
    """The masks of one record."""

    config: GatesConfig
    _numbers: dict[tuple[str, str], int] = field(default_factory=dict)
    """(kind, letters and digits) -> number."""
    _counts: dict[str, int] = field(default_factory=dict)

    def mask(self, kind: str, words: str) -> str:
        """`[EMAIL_1]`: spellings that differ in blanks, signs and case only share a number."""
        key = (kind, "".join(filter(str.isalnum, words)).casefold())
        if key not in self._numbers:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            self._numbers[key] = self._counts[kind]
        return f"[{kind.upper()}_{self._numbers[key]}]"

    def pair(self, pair: CompiledPair, redaction: Redaction) -> CompiledPair:
        """The pair with masks in all its texts; its content key is that of what is left."""
        shown = self._shown(redaction.words)
        answer = _answer(pair.answer, shown)
        occurrence = _occurrence(pair.occurrence, shown, redaction)
        instruction, response = _put(pair.instruction, shown), _put(pair.response, shown)
        return pair.model_copy(update={
            "instruction": instruction, "response": response, "answer": answer, "occurrence": occurrence,
            "content_key": _content_key(pair, instruction, answer, occurrence),
        })  # fmt: skip

    def passage(self, passage: SourcePassage) -> SourcePassage | None:
        """The passage as it may be shown; None where it holds a secret, or a kind that is refused."""
        places = (*(passage.locator.heading_path or ()), passage.locator.sheet)
        texts = [text for text in (passage.title, passage.heading, passage.text, *places) if text]
        if any(find_secrets(text) for text in texts):
            return None
        words = found_words(texts, self.config)
        if any(self.config.verdict_on(kind) == "reject" for kind, _ in words):
            return None
        if not words:
            return passage
        shown = self._shown(words)
        return passage.model_copy(update={
            "title": passage.title and _put(passage.title, shown),
            "heading": passage.heading and _put(passage.heading, shown),
            "text": _put(passage.text, shown), "locator": _locator(passage.locator, shown),
        })  # fmt: skip

    def rejection(self, rejection: Rejection, *, keeps_text: bool = True) -> Rejection:
        """A refusal as it may be kept: without text and id where the text is personal or secret."""
        text = rejection.text or ""
        clean = keeps_text and not find_secrets(text) and not found_words([text], self.config)
        return rejection.model_copy(update={
            "detail": self.message(rejection.detail),
            "text": rejection.text if clean else None,
            "pair_id": rejection.pair_id if clean else None,
            "locator": self.place(rejection.locator),
        })  # fmt: skip

    def skip(self, skip: Skip) -> Skip:
        """A skip whose message names nobody and no secret."""
        return skip.model_copy(update={"detail": self.message(skip.detail), "locator": self.place(skip.locator)})

    def place(self, locator: Locator) -> Locator:
        """A place of which headings, names of sheets and keys name nobody and no secret."""
        told = {name: getattr(locator, name) for name in ("sheet", "part", "pointer")}
        masked: dict[str, Any] = {name: self.message(words) for name, words in told.items() if words}
        if locator.heading_path:
            masked["heading_path"] = tuple(map(self.message, locator.heading_path))
        return locator.model_copy(update=masked) if masked else locator

    def everywhere(self, value: Any) -> Any:
        """A value of dataclasses, lists and mappings with every text in it masked, keys too."""
        if isinstance(value, str):
            return self.message(value)
        if isinstance(value, Mapping):
            return {self.everywhere(key): self.everywhere(one) for key, one in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(map(self.everywhere, value))
        if is_dataclass(value) and not isinstance(value, type):
            told = {part.name: self.everywhere(getattr(value, part.name)) for part in fields(value) if part.init}
            return replace(value, **told)
        return value

    def message(self, text: str) -> str:
        """A sentence of ours that may quote a source: masked."""
        text = without_secrets(text)
        return _put(text, self._shown(found_words([text], self.config)))

    def _shown(self, words: tuple[tuple[str, str], ...]) -> dict[str, str]:
        return {one: self.mask(kind, one) for kind, one in words}


def without_secrets(text: str) -> str:
    """A message that may quote what somebody typed or a file holds: each secret in it is `[SECRET]`."""
    for found in reversed(find_secrets(text)):
        text = text[: found.start] + _SECRET + text[found.end :]
    return text


def _put(text: str, shown: dict[str, str]) -> str:
    return _pattern(shown).sub(lambda match: shown[match.group()], text) if shown else text


def _pattern(shown: dict[str, str]) -> re.Pattern[str]:
    """The words as whole words, the longest first."""
    longest_first = sorted(shown, key=lambda words: (-len(words), words))
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)")


def _answer(answer: Answer, shown: dict[str, str]) -> Answer:
    choices = tuple(_put(choice, shown) for choice in answer.choices) if answer.choices else answer.choices
    return answer.model_copy(update={"value": _put(answer.value, shown), "choices": choices})


def _locator(locator: Locator, shown: dict[str, str]) -> Locator:
    told: dict[str, Any] = {"sheet": _put(locator.sheet, shown)} if locator.sheet else {}
    if locator.heading_path:
        told["heading_path"] = tuple(_put(title, shown) for title in locator.heading_path)
    return locator.model_copy(update=told) if told else locator


def _occurrence(occurrence: Occurrence, shown: dict[str, str], redaction: Redaction) -> Occurrence:
    old = occurrence.inputs or {}
    inputs = {name: value if name == MASKS else _put(value, shown) for name, value in old.items()}
    spans = [Mask(*match.span(), shown[match.group()]) for match in _pattern(shown).finditer(occurrence.text)]
    if spans and occurrence.locator.char_from is not None:
        masks = mask_over(read_masks(old), spans)
        inputs[MASKS] = json.dumps([list(mask) for mask in masks])
    counts: dict[str, int] = {}
    for kind, _ in redaction.words:
        counts[kind] = counts.get(kind, 0) + 1
    inputs[REDACTED] = ", ".join(f"{kind} {counts[kind]}" for kind in sorted(counts))
    return occurrence.model_copy(update={
        "text": _put(occurrence.text, shown), "inputs": inputs, "locator": _locator(occurrence.locator, shown),
        "query": occurrence.query and _put(occurrence.query, shown),
    })  # fmt: skip


def _content_key(pair: CompiledPair, instruction: str, answer: Answer, occurrence: Occurrence) -> str:
    """Over masked text only: a hash over what was masked would be a way back by guessing."""
    if pair.derivation == "imported":
        return hash_value(["masked", instruction, answer.value])
    place = occurrence.canonical()
    return hash_value(["masked", pair.kind, place["source_sha256"], place["locator"], occurrence.text, answer.value])

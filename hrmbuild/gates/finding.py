"""What a gate says, and what a gate is.

Owns the types. A gate looks at one pair and at thresholds from the settings; it must not change the pair (it says what
is to be masked), and it must not know other pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hrmbuild.config.project import GatesConfig
from hrmbuild.records.pair import CompiledPair


@dataclass(frozen=True)
class Finding:
    """A refusal: the pair does not enter the corpus."""

    code: str
    """Stable reason, e.g. `gate.control_token`."""
    detail: str
    """One sentence for a person."""
    keeps_text: bool = True
    """False: of the pair only its place and this reason are kept."""


@dataclass(frozen=True)
class Redaction:
    """The pair may enter the corpus once these words are masked, wherever they stand in it."""

    words: tuple[tuple[str, str], ...]
    """(kind, words as they stand), in the order in which they were found, each once."""


Verdict = Finding | Redaction | None

Check = Callable[[CompiledPair, GatesConfig], Verdict]


@dataclass(frozen=True)
class Gate:
    """One check with its name in manifests."""

    name: str
    check: Check


def texts_of(pair: CompiledPair) -> tuple[tuple[str, str], ...]:
    """The texts that a model would be trained on, with what to call them."""
    return ("instruction", pair.instruction), ("response", pair.response)


def named(char: str) -> str:
    """A character for a message: `U+200B`."""
    return f"U+{ord(char):04X}"


def shown_texts(pair: CompiledPair) -> list[str]:
    """Every text of a pair that the corpus would keep, those left out that stand whole in one before."""
    inputs = pair.occurrence.inputs or {}
    texts = [pair.instruction, pair.response, pair.answer.value, pair.occurrence.text, pair.occurrence.query or ""]
    texts += [*(pair.answer.choices or ()), *(pair.occurrence.locator.heading_path or ())]
    texts += [f"{name}: {value}" for name, value in inputs.items() if name not in _NO_WORDS]
    kept: list[str] = []
    for text in texts:
        if text and not any(text in other for other in kept):
            kept.append(text)
    return kept


_NO_WORDS = frozenset({"masks", "stripped", "instance", "redacted"})
"""Inputs that hold offsets and names of ours."""

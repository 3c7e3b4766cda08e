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


def shown_text(pair: CompiledPair) -> str:
    """Every text of a pair that the corpus would keep, as one, those left out that stand whole in one before.

    Between two of them stands a character that no pattern takes, so that nothing is found across.
    """
    occurrence, answer = pair.occurrence, pair.answer
    facts = "".join(f"{name}: {value}{_BETWEEN}" for name, value in (occurrence.inputs or {}).items()
                    if name not in _NO_WORDS)  # fmt: skip
    shown = f"{pair.instruction}{_BETWEEN}{pair.response}{_BETWEEN}{facts}"
    for text in (answer.value, occurrence.text, occurrence.query, *(answer.choices or ()),
                 *(occurrence.locator.heading_path or ()), occurrence.locator.sheet):  # fmt: skip
        if text and text not in shown:
            shown += f"{_BETWEEN}{text}"
    return shown


_BETWEEN = "\n\x00\n"
_NO_WORDS = frozenset({"masks", "stripped", "instance", "redacted"})
"""Inputs that hold offsets and names of ours."""

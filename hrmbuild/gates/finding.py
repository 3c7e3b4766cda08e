"""What a gate says, and what a gate is.

Owns the two types. A gate looks at one pair and at thresholds from the settings; it must not change the pair, and it
must not know other pairs.
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


Check = Callable[[CompiledPair, GatesConfig], Finding | None]


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

"""A few questions for a person to read: shown text and question, the answer, the expected answer.

Owns the choice. It must not favour right answers: questions are drawn by id, one axis after another; long ones are
left out, because these are to be read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hrmbuild.evaluation.questions import drawn_pairs
from hrmbuild.evaluation.scores import Answered

READABLE_CHARACTERS = 900
"""Longer instructions are not shown as examples; they are scored like all others."""


@dataclass(frozen=True)
class Example:
    """One question as it was asked."""

    instruction: str
    response: str
    expected: str
    exact: bool
    axis: str
    kind: str

    def as_dict(self) -> dict[str, object]:
        """The example as `--json` shows it."""
        return dict(vars(self))


def examples_for_demo(answered: Sequence[Answered], n: int, *, seed: int) -> tuple[Example, ...]:
    """`n` held-out questions about rules where there are such, else of any kind."""
    short = [one for one in answered if len(one.pair.instruction) <= READABLE_CHARACTERS]
    about_rules = [one for one in short if one.pair.kind.startswith("rules.")]
    by_id = {one.pair.id: one for one in (about_rules if len(about_rules) >= n else short)}
    drawn = drawn_pairs([one.pair for one in by_id.values()], n=n, seed=seed, purpose="example")
    return tuple(_example(by_id[pair.id]) for pair in drawn)


def _example(one: Answered) -> Example:
    pair = one.pair
    return Example(pair.instruction, one.response, pair.response, one.exact, pair.axis or pair.split, pair.kind)

"""Declining, counted: a model that always declines and one that never does are equally useless.

Owns the two shares: declined where nothing shown answers the question, and declined where something does. It must not
score what was said otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hrmbuild.evaluation.answers import answer_part, declines
from hrmbuild.evaluation.intervals import wilson_interval
from hrmbuild.records.pair import Pair


@dataclass(frozen=True)
class Abstention:
    """Answers that declined, by whether they should."""

    n_absent: int
    """Questions that nothing shown answers."""
    declined: int
    """Of these, declined."""
    n_answerable: int
    declined_wrongly: int
    """Of the answerable ones, declined."""

    @property
    def recall(self) -> float:
        """Share of the unanswerable that was declined; 0 of nothing."""
        return self.declined / self.n_absent if self.n_absent else 0.0

    @property
    def overreach(self) -> float:
        """Share of the answerable that was declined; 0 of nothing."""
        return self.declined_wrongly / self.n_answerable if self.n_answerable else 0.0

    @property
    def precision(self) -> float:
        """Share of what was declined that should be; 0 where nothing was."""
        total = self.declined + self.declined_wrongly
        return self.declined / total if total else 0.0

    def as_dict(self) -> dict[str, float | int]:
        """The counts and shares as `--json` shows them."""
        low, high = wilson_interval(self.declined, self.n_absent)
        return {
            **vars(self),
            "recall": round(self.recall, 4),
            "recall_low": round(low, 4),
            "recall_high": round(high, 4),
            "precision": round(self.precision, 4),
            "overreach": round(self.overreach, 4),
        }


def abstention(pairs: Sequence[Pair], responses: Sequence[str]) -> Abstention:
    """Count over questions and their responses, in one order."""
    counts = {True: [0, 0], False: [0, 0]}
    for pair, response in zip(pairs, responses, strict=True):
        count = counts[pair.answer.type == "absent"]
        count[0] += 1
        count[1] += declines(answer_part(response, condition=pair.condition))
    return Abstention(*counts[True], *counts[False])

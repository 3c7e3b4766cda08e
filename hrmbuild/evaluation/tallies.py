"""Right answers counted under every heading: all, axis, stratum, kind, boundary, and what is new about rule pairs.

Owns the headings and the counts. It must not decide what is right.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from hrmbuild.evaluation.baselines import is_as_written
from hrmbuild.evaluation.intervals import wilson_interval
from hrmbuild.records.pair import Pair

MODEL = "model"
HEADINGS = ("all", "axis", "rules", "boundary", "stratum", "kind")
_NEW = {"cell": "new facts", "variant": "new variant", "wording": "new wording", "document": "new rule set"}


@dataclass(frozen=True)
class Tally:
    """Right answers of some pairs."""

    n: int
    n_right: int

    @property
    def exact(self) -> float:
        """Share of right answers; 0 of nothing."""
        return self.n_right / self.n if self.n else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval (Wilson)."""
        return wilson_interval(self.n_right, self.n)

    def as_dict(self) -> dict[str, float | int]:
        """The tally as `--json` shows it."""
        low, high = self.interval
        return {"n": self.n, "exact": round(self.exact, 4), "low": round(low, 4), "high": round(high, 4)}


@dataclass(frozen=True)
class Slice:
    """One row of the table."""

    heading: str
    """One of `HEADINGS`."""
    name: str
    columns: dict[str, Tally] = field(default_factory=dict[str, Tally])
    """By who answered; who has nothing to say of a slice is absent."""

    def beats(self, other: str) -> bool:
        """Whether the model's interval lies above the other's."""
        return self.columns[MODEL].interval[0] > self.columns[other].interval[1]


def slice_names(pair: Pair) -> Iterator[tuple[str, str]]:
    """(heading, name) of every row that a pair counts in."""
    yield "all", "all"
    if pair.axis is not None:
        yield "axis", pair.axis
    if pair.kind.startswith("rules.") and pair.axis is not None:
        as_written = ", as written" if pair.axis == "cell" and is_as_written(pair) else ""
        yield "rules", f"{pair.kind.removeprefix('rules.')}: {_NEW[pair.axis]}{as_written}"
    if pair.kind.startswith("rules."):
        yield "boundary", "at a threshold" if pair.boundary else "away from thresholds"
    yield "stratum", pair.stratum
    yield "kind", pair.kind


def tally(pairs: Sequence[Pair], right: Mapping[str, Sequence[bool | None]]) -> tuple[Slice, ...]:
    """Count each column under every heading.

    Args:
        right: column -> for each pair, whether its answer is right; None where the column does not apply.
    """
    counts: dict[tuple[str, str], dict[str, list[int]]] = defaultdict(dict)
    for number, pair in enumerate(pairs):
        for key in slice_names(pair):
            for column, answers in right.items():
                answer = answers[number]
                if answer is not None:
                    count = counts[key].setdefault(column, [0, 0])
                    count[0] += 1
                    count[1] += answer
    ordered = sorted(counts.items(), key=lambda item: (HEADINGS.index(item[0][0]), item[0][1]))
    return tuple(
        Slice(heading, name, {column: Tally(*count) for column, count in columns.items()})
        for (heading, name), columns in ordered
    )

"""Right answers counted under every heading: all, axis, stratum, kind, answer type, boundary, what is new about rules.

Owns the headings and the counts. It must not decide what is right.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from hrmbuild.evaluation.baselines import is_as_written
from hrmbuild.evaluation.clusters import cluster_of
from hrmbuild.evaluation.intervals import Estimate, Interval, Resamples, wilson_interval
from hrmbuild.records.pair import Pair

MODEL = "model"
HEADINGS = ("all", "axis", "new", "rules", "boundary", "type", "stratum", "kind")
_NEW = {"cell": "new facts", "variant": "new variant", "wording": "new wording", "document": "new rule set"}
Right = Mapping[str, Sequence[bool | None]]
"""Column -> for each pair, whether its answer is right; None where the column does not apply."""


@dataclass(frozen=True)
class Tally:
    """Right answers of some pairs."""

    n: int
    n_right: int
    n_clusters: int | None = None
    """Clusters that the pairs fall into; None: each pair is one."""
    bounds: Interval | None = None
    """95 % interval over clusters; None: Wilson's."""

    @property
    def exact(self) -> float:
        """Share of right answers; 0 of nothing."""
        return self.n_right / self.n if self.n else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval."""
        return self.bounds or wilson_interval(self.n_right, self.n)

    def as_dict(self) -> dict[str, float | int]:
        """The tally as `--json` shows it."""
        low, high = self.interval
        clusters = self.n if self.n_clusters is None else self.n_clusters
        shares = {"exact": round(self.exact, 4), "low": round(low, 4), "high": round(high, 4)}
        return {"n": self.n, "clusters": clusters, **shares}


@dataclass(frozen=True)
class Slice:
    """One row of the table."""

    heading: str
    """One of `HEADINGS`."""
    name: str
    columns: dict[str, Tally] = field(default_factory=dict[str, Tally])
    """By who answered; who has nothing to say of a slice is absent."""
    leads: dict[str, Estimate] = field(default_factory=dict[str, Estimate])
    """The model's share less another column's, over the questions that both answered."""
    f1: Estimate | None = None
    """Mean token F1 of the model's answers."""

    def beats(self, other: str) -> bool:
        """Whether the model is ahead of a column beyond the interval of their difference."""
        return self.leads[other].low > 0

    def loses_to(self, other: str) -> bool:
        """Whether the model is behind a column beyond the interval of their difference."""
        return self.leads[other].high < 0


def slice_names(pair: Pair) -> Iterator[tuple[str, str]]:
    """(heading, name) of every row that a pair counts in."""
    yield "all", "all"
    if pair.axis is not None:
        yield "axis", pair.axis
    if pair.kind.startswith("rules.") and pair.axis is not None:
        new = _NEW[pair.axis] + (", as written" if pair.axis == "cell" and is_as_written(pair) else "")
        yield "new", new
        yield "rules", f"{pair.kind.removeprefix('rules.')}: {new}"
    if pair.kind.startswith("rules."):
        yield "boundary", "at a threshold" if pair.boundary else "away from thresholds"
    yield "type", pair.answer.type
    yield "stratum", pair.stratum
    yield "kind", pair.kind


def tally(
    pairs: Sequence[Pair],
    right: Right,
    *,
    f1: Sequence[float] | None = None,
    seed: int = 0,
) -> tuple[Slice, ...]:
    """Count each column under every heading.

    Args:
        f1: token F1 of the model's answers, one a pair.
        seed: of the resamples.
    """
    members: dict[tuple[str, str], list[int]] = defaultdict(list)
    for number, pair in enumerate(pairs):
        for key in slice_names(pair):
            members[key].append(number)
    resamples = Resamples([cluster_of(pair) for pair in pairs], seed=seed)
    ordered = sorted(members.items(), key=lambda item: (HEADINGS.index(item[0][0]), item[0][1]))
    return tuple(_slice(key, set(numbers), right, f1=f1, resamples=resamples) for key, numbers in ordered)


def _slice(
    key: tuple[str, str], inside: set[int], right: Right, *, f1: Sequence[float] | None, resamples: Resamples
) -> Slice:
    own = {name: [one if i in inside else None for i, one in enumerate(column)] for name, column in right.items()}
    answered = {name: column for name, column in own.items() if any(one is not None for one in column)}
    leads = {
        name: resamples.difference(answered[MODEL], column)
        for name, column in answered.items()
        if name != MODEL and MODEL in answered
    }
    overlap = resamples.mean([one if i in inside else None for i, one in enumerate(f1)]) if f1 is not None else None
    return Slice(*key, {name: _tally(resamples, column) for name, column in answered.items()}, leads, overlap)


def _tally(resamples: Resamples, column: Sequence[bool | None]) -> Tally:
    found = resamples.mean(column)
    return Tally(found.n, sum(one is True for one in column), found.n_clusters, found.interval)

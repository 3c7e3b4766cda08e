"""Cases for rules: at, just below and just above each threshold, at exceptions, overlaps and gaps, and uniform ones.

Owns which cases are drawn. The decision cells of a variant (an interval between thresholds, or a category, for each
fact that rules read) are evaluated first. Cases are then drawn in layers, deciding rule, cell, value, each with the
same chance, so that rare exceptions and the default are met as often as common rules and no outcome drowns the others;
as written, every cell is visited before that. (Balanced by outcome, a pilot met the default too rarely to learn it.)
What a case's outcome is, DuckDB says again for the case itself. It must not render text.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from hrmbuild.fingerprint import draw_below, draw_fraction, draw_integer, draw_one, draw_order
from hrmbuild.pairs.context import SqlConnection
from hrmbuild.pairs.rules_checked import CheckedRules
from hrmbuild.pairs.rules_domains import Domain
from hrmbuild.pairs.rules_evaluate import Case, Decision, evaluate
from hrmbuild.pairs.splits import DEV_FRACTION, TEST_FRACTION
from hrmbuild.pairs.variants import Variant
from hrmbuild.records.pair import Split

MAX_CELLS = 4096
"""Cells looked at as written; beyond, a drawn share of them."""
_VARIANT_CELLS = 1024
"""The same of a variant with more than `MAX_CELLS`: tens of cases are drawn from them."""
_CELLS_AT_ONCE = 50_000
"""Cells of how many variants are held at a time: those of hundreds fill gigabytes."""
SMALL_SPACE = 40
"""Cases of a space that is used up whole."""
_ATTEMPTS_PER_SCENARIO = 16
"""Refused draws a scenario (repeated cases, or boundary where none was wished) before the space counts as used up."""
_PATIENCE = 8
"""Refused draws a scenario before the wish for boundary cases, or for others, is given up."""
_NEAR_FRACTION = 0.5
"""Chance of each number of a boundary case to be near a threshold; one always is."""

Interval: TypeAlias = range
Cell: TypeAlias = tuple[Interval, ...]
"""One interval of indices a fact; a category is an interval of one, an irrelevant fact has its whole range."""


@dataclass(frozen=True)
class Scenario:
    """A case of a variant with its decision."""

    variant: Variant
    case: Case
    decision: Decision
    boundary: bool
    """Some number stands at, just below or just above a threshold of a rule of the variant."""
    cell: str
    """Decision cell, the same for the same intervals in every variant."""


@dataclass(frozen=True)
class Space:
    """The ranges of a variant's facts, cut by its thresholds."""

    intervals: tuple[tuple[Interval, ...], ...]
    """One tuple a fact: what a cell may have there."""
    near: tuple[frozenset[int], ...]
    """One set a fact: the indices at, just below and just above thresholds of rules that the variant has."""

    @property
    def n_cells(self) -> int:
        """All of them."""
        return math.prod(map(len, self.intervals))

    def cells(self, *, seed: int, key: str, most: int = MAX_CELLS) -> list[Cell]:
        """All cells; `most` drawn ones where there are more than `MAX_CELLS`."""
        if self.n_cells <= MAX_CELLS:
            return list(itertools.product(*self.intervals))
        drawn = (self._drawn_cell(seed, f"{key}/{i}") for i in range(2 * most))
        return list(dict.fromkeys(drawn))[:most]

    def _drawn_cell(self, seed: int, key: str) -> Cell:
        return tuple(draw_one(options, "cell", seed, f"{key}.{i}") for i, options in enumerate(self.intervals))

    def is_boundary(self, case: Case) -> bool:
        """Whether some number of the case is near a threshold."""
        return any(index in near for index, near in zip(case, self.near, strict=True))


def space_of(rules: CheckedRules, variant: Variant) -> Space:
    """Each fact's range, cut by all thresholds of the set, also of rules left out: cells keep their names."""
    intervals: list[tuple[Interval, ...]] = []
    near: list[frozenset[int]] = []
    for domain in rules.domains:
        intervals.append(_intervals(rules, domain, variant))
        near.append(_near(rules, domain, variant))
    return Space(tuple(intervals), tuple(near))


def _intervals(rules: CheckedRules, domain: Domain, variant: Variant) -> tuple[Interval, ...]:
    if domain.name not in rules.read:
        return (range(domain.size),)
    if not domain.ordered:
        return tuple(range(i, i + 1) for i in range(domain.size))
    cuts = {0, domain.size}
    for threshold in itertools.chain.from_iterable(rules.thresholds):
        if threshold.fact == domain.name:
            cuts.add(domain.first(threshold.position(variant.parameters), edge=threshold.edge))
    return tuple(range(a, b) for a, b in itertools.pairwise(sorted(cuts)))


def _near(rules: CheckedRules, domain: Domain, variant: Variant) -> frozenset[int]:
    positions = {
        threshold.position(variant.parameters)
        for rule in variant.order
        for threshold in rules.thresholds[rule]
        if threshold.fact == domain.name
    }
    return frozenset().union(*(domain.near(position) for position in positions))


def cell_name(rules: CheckedRules, space: Space, case: Case) -> str:
    """`travel|fare:2|client=true`: for each fact that rules read, its interval's number or its category."""
    parts = [rules.ruleset.ruleset]
    for domain, options, index in zip(rules.domains, space.intervals, case, strict=True):
        if domain.name in rules.read:
            number = next(i for i, interval in enumerate(options) if index in interval)
            parts.append(f"{domain.name}:{number}" if domain.ordered else f"{domain.name}={domain.text(index)}")
    return "|".join(parts)


def build_scenarios(
    rules: CheckedRules,
    wanted: Sequence[tuple[Variant, int]],
    *,
    boundary_fraction: float,
    seed: int,
    connection: SqlConnection,
) -> list[Scenario]:
    """Scenarios of several variants, distinct within each by the facts that rules read.

    Args:
        wanted: variants with the number of scenarios of each; a variant with a small space gets fewer.
        boundary_fraction: share of them with a number near a threshold, as far as the space has such and other cases.
    """
    spaces = [space_of(rules, variant) for variant, _ in wanted]
    layers = _layers(rules, [variant for variant, _ in wanted], spaces, seed=seed, connection=connection)
    cases: list[tuple[Variant, Case]] = []
    owners: list[Space] = []
    for (variant, n), space, layer in zip(wanted, spaces, layers, strict=True):
        drawn = _draw_cases(rules, space, layer, n=n, boundary_fraction=boundary_fraction, seed=seed, variant=variant)
        cases += [(variant, case) for case in drawn]
        owners += [space] * len(drawn)
    decisions = evaluate(rules, cases, connection)
    return [
        Scenario(variant, case, decision, space.is_boundary(case), cell_name(rules, space, case))
        for (variant, case), decision, space in zip(cases, decisions, owners, strict=True)
    ]


Layers: TypeAlias = Mapping[int, Sequence[Cell]]
"""Deciding rule (-1 in a gap) -> its cells."""


def _layers(
    rules: CheckedRules, variants: Sequence[Variant], spaces: Sequence[Space], *, seed: int, connection: SqlConnection
) -> Iterator[Layers]:
    """What decides in each cell, asked of its middle. Where thresholds hang on other facts this is a guide only."""
    at_once = max(1, _CELLS_AT_ONCE // max((min(space.n_cells, MAX_CELLS) for space in spaces), default=1))
    cells = (_cells(variant, space, seed=seed) for variant, space in zip(variants, spaces, strict=True))
    owners = iter(variants)
    while own := list(itertools.islice(cells, at_once)):
        middles = [(v, _middle(cell)) for some, v in zip(own, owners, strict=False) for cell in some]
        decisions = iter(evaluate(rules, middles, connection))
        yield from (_layered(some, decisions) for some in own)


def _cells(variant: Variant, space: Space, *, seed: int) -> list[Cell]:
    return space.cells(seed=seed, key=f"{variant.key}", most=MAX_CELLS if variant.key is None else _VARIANT_CELLS)


def _layered(cells: Sequence[Cell], decisions: Iterator[Decision]) -> Layers:
    """The next decisions are those of the cells."""
    found: dict[int, list[Cell]] = {}
    for cell in cells:
        decided = next(decisions).decided_by
        found.setdefault(-1 if decided is None else decided, []).append(cell)
    return found


def _middle(cell: Cell) -> Case:
    return tuple(interval[len(interval) // 2] for interval in cell)


def _draw_cases(
    rules: CheckedRules,
    space: Space,
    layers: Layers,
    *,
    n: int,
    boundary_fraction: float,
    seed: int,
    variant: Variant,
) -> list[Case]:
    """Up to `n` cases: as written each cell once (for at most half of them), then by layers."""
    key = variant.key or f"{rules.ruleset.ruleset}/as written"
    seen: set[Case] = set()
    found: list[Case] = []
    first = _all_cells(layers, seed=seed, key=key)[: n // 2] if variant.key is None else []
    n = min(n, _most(rules, variant))
    counted = rules.read_by(variant.order) if variant.is_excerpt else rules.read
    n_refused = 0
    for number, cell in enumerate(itertools.chain(first, _cells_by_layer(layers, seed=seed, key=key))):
        if len(found) == n or n_refused > n * _ATTEMPTS_PER_SCENARIO:
            break
        wish = int((len(found) + 1) * boundary_fraction) > int(len(found) * boundary_fraction)
        case = _draw_case(space, cell, near=wish, seed=seed, at=f"{key}#{number}")
        known = tuple(i for i, domain in zip(case, rules.domains, strict=True) if domain.name in counted)
        unlike = space.is_boundary(case) != wish and number >= len(first) and n_refused < n * _PATIENCE
        if known in seen or unlike:
            n_refused += 1
            continue
        seen.add(known)
        found.append(case)
    return found


def _most(rules: CheckedRules, variant: Variant) -> int:
    """Half of all cases: more would leave no choice, and with it no balance of outcomes. Small spaces go whole."""
    counted = rules.read_by(variant.order) if variant.is_excerpt else rules.read
    n_cases = math.prod(domain.size for domain in rules.domains if domain.name in counted)
    return n_cases if n_cases <= SMALL_SPACE else n_cases // 2


def _all_cells(layers: Layers, *, seed: int, key: str) -> list[Cell]:
    cells = [cell for _, own in sorted(layers.items()) for cell in own]
    return draw_order(cells, "cover", seed, key)


def _cells_by_layer(layers: Layers, *, seed: int, key: str) -> Iterator[Cell]:
    deciding = sorted(layers)
    for number in itertools.count():
        at = f"{key}#{number}"
        yield draw_one(layers[draw_one(deciding, "rule", seed, at)], "cell", seed, at)


def _draw_case(space: Space, cell: Cell, *, near: bool, seed: int, at: str) -> Case:
    """One value a fact inside the cell: near a threshold or away from all, as wished, where the interval has such."""
    close = [sorted(set(interval) & own) if own else [] for interval, own in zip(cell, space.near, strict=True)]
    able = [i for i, options in enumerate(close) if options]
    must = draw_one(able, "near", seed, at) if near and able else None
    case: list[int] = []
    for i, interval in enumerate(cell):
        here = near and close[i] and (i == must or draw_fraction("near", seed, f"{at}.{i}") < _NEAR_FRACTION)
        case.append(
            draw_one(close[i], "value", seed, f"{at}.{i}")
            if here
            else _draw_away(interval, close[i], seed, f"{at}.{i}")
        )
    return tuple(case)


def _draw_away(interval: Interval, close: Sequence[int], seed: int, at: str) -> int:
    """A value of the interval that is near no threshold, or any where there is no such."""
    if len(close) == len(interval):
        return interval[draw_below(len(interval), "value", seed, at)]
    avoid = set(close)
    for attempt in itertools.count():
        index = interval[draw_below(len(interval), "value", seed, f"{at}~{attempt}")]
        if index not in avoid:
            return index
    raise AssertionError("unreachable: the interval has a value away from thresholds")


def cell_sides(scenarios: Sequence[Scenario], *, seed: int) -> dict[str, Split]:
    """The held-out decision cells with their sides; all others are trained on.

    Draws decide which cells, ranks how many: of the cells that one rule decides as written a tenth are test and a
    twentieth dev, one of each at least where five cells or more are there, and none where a rule has one or two. A rule
    set has some thirty cells, too few for a coin: it may leave a rule set without a test, or a rule without training.
    """
    by_rule: dict[int | None, set[str]] = {}
    for scenario in scenarios:
        if scenario.variant.key is None:
            by_rule.setdefault(scenario.decision.decided_by, set()).add(scenario.cell)
    sides: dict[str, Split] = {}
    for cells in by_rule.values():
        drawn = sorted(cells, key=lambda cell: (draw_integer("split", seed, cell), cell))
        n_test = max(round(TEST_FRACTION * len(drawn)), int(len(drawn) > 2))
        n_dev = max(round(DEV_FRACTION * len(drawn)), int(len(drawn) > 4))
        for rank, cell in enumerate(drawn[: n_test + n_dev]):
            sides[cell] = "test" if rank < n_test else "dev"
    return sides

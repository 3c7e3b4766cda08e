"""Variants of a rule set: other thresholds, exceptions left out, other priorities.

Owns what a variant changes and on which side it falls. The side is drawn first; then each varied threshold comes from
that side's share of its grid, so that the thresholds of a held-out variant never occurred in training and can only be
read from the shown text. It must not render text and must not evaluate rules.

The values as written belong to train.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TypeAlias

from hrmbuild.fingerprint import draw_below, draw_fraction, draw_integer, draw_one, draw_order
from hrmbuild.pairs.splits import side
from hrmbuild.records.pair import Split
from hrmbuild.records.ruleset import Parameter, RuleSet

LEFT_OUT_FRACTION = 0.25
"""Chance that a variant leaves out an optional rule."""
DEV_SHARE, TEST_SHARE = 0.1, 0.25
"""Shares of a threshold's grid for held-out variants: few enough that trained values lie close by, so that the axis
measures reading and not extrapolation."""
MOST_EXCERPT_RULES = 3
HELD_OUT: tuple[Split, ...] = ("dev", "test")
_ATTEMPTS = 200

Shares: TypeAlias = dict[Split, list[Decimal]]
"""Values of one parameter by side, rising."""


@dataclass(frozen=True)
class Variant:
    """One version of a rule set."""

    key: str | None
    """`travel/v007`; None is the rule set as written."""
    side: Split
    """Drawn before the thresholds; as written: train."""
    parameters: Mapping[str, Decimal]
    order: tuple[int, ...]
    """Positions of the rules that are in it, in the order of decision."""
    left_out: tuple[str, ...] = ()
    """Ids of rules in force that it does not have."""
    is_excerpt: bool = False
    """A few rules only: cases state only the facts that these read."""


def as_written(ruleset: RuleSet, *, in_force: tuple[int, ...]) -> Variant:
    """The rule set as its owner wrote it."""
    values = {name: Decimal(p.value) for name, p in ruleset.parameters.items()}
    return Variant(None, "train", values, decision_order(ruleset, in_force, {}))


def build_variants(ruleset: RuleSet, *, in_force: tuple[int, ...], n: int, seed: int) -> list[Variant]:
    """Up to `n` different variants; fewer when the declared ranges do not allow so many, none when nothing varies."""
    written = as_written(ruleset, in_force=in_force)
    seen = {_identity(written)}
    shares = threshold_sides(ruleset, seed=seed)
    found: list[Variant] = []
    for number in range(n):
        variant = _new_variant(ruleset, in_force, shares, key=f"{ruleset.ruleset}/v{number:03d}", seed=seed, seen=seen)
        if variant is not None:
            seen.add(_identity(variant))
            found.append(variant)
    return found


def threshold_sides(ruleset: RuleSet, *, seed: int) -> dict[str, Shares]:
    """For each parameter the values that each side may use, at least one each where the range has them.

    A draw a value decides. Few values are held out, so a draw may leave few combinations that keep the declared
    order of thresholds: then all are drawn again until every combination of held-out values keeps it.
    """
    for attempt in range(_ATTEMPTS):
        shares = {name: _shares(ruleset, name, seed=seed, attempt=attempt) for name in ruleset.parameters}
        if all(_always_ordered(ruleset, shares, where) for where in HELD_OUT):
            return shares
    return {name: _shares(ruleset, name, seed=seed, attempt=0) for name in ruleset.parameters}


def _shares(ruleset: RuleSet, name: str, *, seed: int, attempt: int) -> Shares:
    parameter = ruleset.parameters[name]
    values, key = grid(parameter), f"{ruleset.ruleset}.{name}#{attempt}"
    # The ends of the range stay in train: held-out variants ask for reading between trained values, not beyond them.
    inner = [value for value in values[1:-1] if value != Decimal(parameter.value)]
    drawn = sorted(inner, key=lambda value: (draw_integer("threshold", seed, f"{key}={value}"), value))
    if len(drawn) < 2:
        return {"train": values, "dev": [], "test": []}
    n_dev, n_test = max(1, round(DEV_SHARE * len(drawn))), max(1, round(TEST_SHARE * len(drawn)))
    dev, test = drawn[:n_dev], drawn[n_dev : n_dev + n_test]
    train = [value for value in values if value not in dev and value not in test]
    return {"train": train, "dev": sorted(dev), "test": sorted(test)}


def _always_ordered(ruleset: RuleSet, shares: Mapping[str, Shares], where: Split) -> bool:
    for name, parameter in ruleset.parameters.items():
        smaller, greater = shares[name][where], shares.get(parameter.less_than or "", {}).get(where, [])
        if smaller and greater and smaller[-1] >= greater[0]:
            return False
    return True


def grid(parameter: Parameter) -> list[Decimal]:
    """All values that a parameter may take, rising; the written one alone where no range is declared."""
    if parameter.min is None or parameter.max is None:
        return [Decimal(parameter.value)]
    low, step = Decimal(parameter.min), Decimal(parameter.step)
    return [low + i * step for i in range(int((Decimal(parameter.max) - low) // step) + 1)]


def decision_order(ruleset: RuleSet, positions: tuple[int, ...], priorities: Mapping[int, int]) -> tuple[int, ...]:
    """Positions in the order of decision: higher priority first, then the order of the file."""
    return tuple(sorted(positions, key=lambda i: (-priorities.get(i, ruleset.rules[i].priority), i)))


def _new_variant(
    ruleset: RuleSet,
    in_force: tuple[int, ...],
    shares: Mapping[str, Shares],
    *,
    key: str,
    seed: int,
    seen: set[object],
) -> Variant | None:
    """The first draw that keeps the declared order of thresholds and was not drawn before."""
    where = side(key, seed)
    for attempt in range(_ATTEMPTS):
        variant = _drawn(ruleset, in_force, shares, key=key, where=where, seed=seed, attempt=attempt)
        if variant is None:
            return None
        if _is_ordered(ruleset, variant.parameters) and _identity(variant) not in seen:
            return variant
    return None


def _drawn(
    ruleset: RuleSet,
    in_force: tuple[int, ...],
    shares: Mapping[str, Shares],
    *,
    key: str,
    where: Split,
    seed: int,
    attempt: int,
) -> Variant | None:
    at = f"{key}#{attempt}"
    parameters: dict[str, Decimal] = {}
    for name, parameter in ruleset.parameters.items():
        varies = parameter.min is not None
        options = shares[name][where] if varies else [Decimal(parameter.value)]
        if not options:
            return None
        parameters[name] = draw_one(options, "variant", seed, f"{at}.{name}")
    left_out = _left_out(ruleset, in_force, seed=seed, at=at)
    kept = tuple(i for i in in_force if ruleset.rules[i].id not in left_out)
    priorities = {
        i: draw_one(ruleset.rules[i].priorities, "priority", seed, f"{at}.{i}")
        for i in kept
        if ruleset.rules[i].priorities
    }
    return Variant(key, where, parameters, decision_order(ruleset, kept, priorities), left_out)


def _left_out(ruleset: RuleSet, in_force: tuple[int, ...], *, seed: int, at: str) -> tuple[str, ...]:
    optional = [ruleset.rules[i].id for i in in_force if ruleset.rules[i].optional]
    return tuple(i for i in optional if draw_fraction("left_out", seed, f"{at}.{i}") < LEFT_OUT_FRACTION)


def _is_ordered(ruleset: RuleSet, parameters: Mapping[str, Decimal]) -> bool:
    return all(
        parameter.less_than is None or parameters[name] < parameters[parameter.less_than]
        for name, parameter in ruleset.parameters.items()
    )


def _identity(variant: Variant) -> object:
    return tuple(sorted(variant.parameters.items())), variant.order


def excerpt(ruleset: RuleSet, variant: Variant, *, seed: int, key: str) -> Variant | None:
    """One to three of a variant's conditional rules with those that always hold; None when that is all of them."""
    conditional = [i for i in variant.order if ruleset.rules[i].when is not None]
    most = min(MOST_EXCERPT_RULES, len(conditional) - 1)
    if most < 1:
        return None
    n = 1 + draw_below(most, "excerpt", seed, key)
    return cut_to(ruleset, variant, draw_order(conditional, "excerpt rules", seed, key)[:n])


def cut_to(ruleset: RuleSet, variant: Variant, kept: Iterable[int]) -> Variant:
    """The variant with only these conditional rules, and those that always hold."""
    chosen = set(kept)
    order = tuple(i for i in variant.order if i in chosen or ruleset.rules[i].when is None)
    dropped = tuple(ruleset.rules[i].id for i in sorted(variant.order) if i not in order)
    return replace(variant, order=order, left_out=(*variant.left_out, *dropped), is_excerpt=True)

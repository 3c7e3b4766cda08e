"""Settings of executable rule sets: how many scenarios, and of which kinds of question."""

from __future__ import annotations

from pydantic import Field

from hrmbuild.config.base import Settings


class RulesConfig(Settings):
    """How executable rule sets become scenarios."""

    scenarios: int = Field(default=2000, ge=0)
    """Scenarios of each rule set as written."""
    variants: int = Field(default=200, ge=0)
    """Variants of each rule set (thresholds moved in their declared ranges)."""
    variant_scenarios: int = Field(default=20, ge=0)
    """Scenarios of each variant."""
    boundary_fraction: float = Field(default=0.5, ge=0, le=1)
    """Share of scenarios at, just below or just above a threshold."""
    absent_fraction: float = Field(default=0.1, ge=0, le=0.5)
    """Share of scenarios from which a fact is withheld."""
    excerpt_fraction: float = Field(default=1, ge=0, le=2)
    """Scenarios of a few rules of a set, per scenario of the whole set: short ones, from which comparing is learnt."""
    check_fraction: float = Field(default=0.1, ge=0, le=2)
    """Questions whether one rule holds, per scenario of the whole set."""
    plain_fraction: float = Field(default=0, ge=0, le=1)
    """Share of cases told in the rule set's own order and the plainest wording. A model of a million parameters learns
    to find a fact by its name five times as fast from these; the others keep order, wording and numbers varied."""
    lookup_fraction: float = Field(default=0.05, ge=0, le=1)
    """Questions about the rule text (which rule decides, which threshold, which change), per scenario."""
    facts_fraction: float = Field(default=0.05, ge=0, le=1)
    """Questions for the facts of a case as JSON, per scenario, excerpts included. From these a model learns to feed a
    rule engine, which `eval` then shows beside it. They are not the aim, so they are few; a model of a million
    parameters that is trained for minutes pays for each of them in outcomes: 0 leaves them out."""
    sole_change_fraction: float | None = Field(default=None, ge=0, le=1)
    """Share of the scenarios, excerpts included, of which it is asked which single fact could alter the outcome: those
    in which exactly one can. Absent: none."""

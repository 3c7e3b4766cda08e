"""An executable rule set: the YAML that a rule owner writes, as a checked value.

Owns the shape. Expressions are SQL text here; their allow-list lives in `pairs.expressions`, which also evaluates them.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from hrmbuild.records.base import DateText, DecimalText, Noun

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
"""An identifier: lower case, digits, underscores."""


class Fact(Noun):
    """One input of the rules."""

    type: Literal["integer", "decimal", "choice", "boolean", "date"]
    text: str
    """What the case calls it: `claim amount`."""
    unit: str | None = None
    """Unit as written after a number: `EUR`, `days`."""
    min: DecimalText | None = None
    """Smallest value of a number."""
    max: DecimalText | None = None
    """Largest value of a number."""
    step: DecimalText = "1"
    """Grid of a number: values are `min + i * step`."""
    values: tuple[str, ...] = ()
    """The choices, in the owner's order."""


class Parameter(Noun):
    """A threshold that the rules read and that variants change."""

    value: DecimalText
    """The value in force."""
    unit: str | None = None
    min: DecimalText | None = None
    """Smallest value a variant may take; without min and max the parameter never varies."""
    max: DecimalText | None = None
    step: DecimalText = "1"


class Rule(Noun):
    """One rule: the first that fires, by priority and then by order, decides."""

    id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.\-]+$")]
    """As cited: `R1`, `4.2`."""
    when: str | None = None
    """SQL over facts and parameters; absent means always (the default rule)."""
    then: str
    """The outcome: one of `outcomes`, or an SQL amount where the rule set decides an amount."""
    text: str
    """The sentence shown to a reader, with `{parameter}` places: rendered again for each variant."""
    because: str
    """The ground in a few words, with `{parameter}` places."""
    citation: str | None = None
    priority: int = 0
    """Higher wins; equal priorities keep the order of the file."""
    effective_from: DateText | None = None
    effective_until: DateText | None = None
    optional: bool = False
    """A variant may leave this rule out (an exception that another company would not have)."""


class RuleSet(Noun):
    """Facts, parameters and rules of one decision."""

    format: Literal[1] = 1
    ruleset: Name
    """Its identifier, unique in the project."""
    title: str
    question: str
    """What is asked: `Is the claim approved, referred or rejected?`"""
    citation: str | None = None
    """The policy it puts into force: `TRV-2`."""
    facts: dict[Name, Fact]
    parameters: dict[Name, Parameter] = {}
    outcomes: tuple[str, ...] = ()
    """The possible outcomes in words; empty when the rules give an amount."""
    amount_unit: str | None = None
    """Unit of the amount where `outcomes` is empty."""
    amount_decimals: Annotated[int, Field(ge=0, le=6)] = 2
    rules: Annotated[tuple[Rule, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _names_are_apart(self) -> RuleSet:
        shared = set(self.facts) & set(self.parameters)
        if shared:
            raise ValueError(f"facts and parameters share the names {', '.join(sorted(shared))}")
        ids = [rule.id for rule in self.rules]
        if len(ids) != len(set(ids)):
            raise ValueError("two rules have the same id")
        unknown = [r.then for r in self.rules if self.outcomes and r.then not in self.outcomes]
        if unknown:
            raise ValueError(f"'then' must be one of the outcomes {list(self.outcomes)}, got {unknown[0]!r}")
        return self

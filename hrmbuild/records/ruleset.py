"""An executable rule set: the YAML that a rule owner writes, as a checked value.

Owns the shape and what can be checked without SQL: names, ranges, grids and the places of texts. Expressions are SQL
text here; their allow-list lives in `pairs.expressions`, which also evaluates them.
"""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from hrmbuild.records.base import DateText, DecimalText, Noun

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
"""An identifier: lower case, digits, underscores."""

PLACE = re.compile(r"\{([^{}]*)\}")
"""A place of a text that a parameter's value takes: `{limit}`."""

FIRST_DECIDES = "The first rule that holds decides."


_BEARABLE = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,9})?")


class Fact(Noun):
    """One input of the rules. A fact that no rule reads is irrelevant, and cases show it now and then."""

    type: Literal["integer", "decimal", "choice", "boolean", "date"]
    text: str
    """What the case calls it: `claim amount`."""
    unit: str | None = None
    """Unit as written after a number: `EUR`, `days`."""
    min: DecimalText | DateText | None = None
    """Smallest value of a number or date."""
    max: DecimalText | DateText | None = None
    """Largest value of a number or date."""
    step: DecimalText = "1"
    """Grid of a number: values are `min + i * step`; of a date in days."""
    values: tuple[str, ...] = ()
    """The choices, in the owner's order."""
    yes: str | None = None
    """Words for a boolean that is true, as a case has them: `police report filed`."""
    no: str | None = None
    """Words for a boolean that is false: `no police report`."""

    @model_validator(mode="after")
    def _has_a_range(self) -> Fact:
        if self.type == "choice":
            if len(set(self.values)) < 2 or len(set(self.values)) != len(self.values):
                raise ValueError("a choice needs at least two different 'values'")
        elif self.values:
            raise ValueError(f"'values' belong to a choice, not to a fact of type {self.type}")
        if self.type in ("integer", "decimal", "date"):
            _check_range(self.min, self.max, self.step, dated=self.type == "date")
        if self.type in ("integer", "date") and not _is_whole(self.step):
            raise ValueError(f"'step' of a fact of type {self.type} must be a whole number")
        if (self.yes is None) != (self.no is None):
            raise ValueError("'yes' and 'no' go together")
        return self


class Parameter(Noun):
    """A threshold that the rules read and that variants change."""

    value: DecimalText
    """The value in force."""
    unit: str | None = None
    min: DecimalText | None = None
    """Smallest value a variant may take; without min and max the parameter never varies."""
    max: DecimalText | None = None
    step: DecimalText = "1"
    text: str | None = None
    """What a question calls it: `the limit for storm claims`; without it no question asks for it."""
    less_than: Name | None = None
    """Another parameter that must stay greater in every variant."""

    @model_validator(mode="after")
    def _value_is_on_its_grid(self) -> Parameter:
        _number(self.value)
        if self.min is None and self.max is None:
            return self
        _check_range(self.min, self.max, self.step, dated=False)
        low, high, value = Decimal(self.min or 0), Decimal(self.max or 0), Decimal(self.value)
        if not low <= value <= high or (value - low) % Decimal(self.step):
            raise ValueError(f"'value' {self.value} is none of {self.min}, {self.min} + {self.step} … {self.max}")
        return self


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
    """The ground in a few words, with `{parameter}` and `{fact}` places: `fare {fare} over {limit}`."""
    citation: str | None = None
    priority: int = 0
    """Higher wins; equal priorities keep the order of the file."""
    priorities: tuple[int, ...] = ()
    """Priorities that a variant may give it; the shown text follows the order of decision."""
    effective_from: DateText | None = None
    effective_until: DateText | None = None
    optional: bool = False
    """A variant may leave this rule out (an exception that another company would not have)."""

    @model_validator(mode="after")
    def _days_exist(self) -> Rule:
        for day in (self.effective_from, self.effective_until):
            _day(day or "2000-01-01")
        return self


class RuleSet(Noun):
    """Facts, parameters and rules of one decision."""

    format: Literal[1] = 1
    ruleset: Name
    """Its identifier, unique in the project."""
    title: str
    question: str
    """What is asked: `Is the claim approved, referred or rejected?`"""
    preamble: str = FIRST_DECIDES
    """The sentence above the rules; it says how several rules that hold are settled."""
    hit_policy: Literal["first", "unique", "any", "priority"] = "first"
    """Of a decision table: `unique` rules never hold together, `any` rules that do agree; `priority` is already in the
    rules' priorities. Cases that break the promise of `unique` or `any` have no answer, and make no pair."""
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

    @model_validator(mode="after")
    def _texts_name_what_is_declared(self) -> RuleSet:
        for rule in self.rules:
            for place in PLACE.findall(rule.text):
                if place not in self.parameters:
                    raise ValueError(f"rule {rule.id}: the text has a place {{{place}}}, which is no parameter")
            for place in PLACE.findall(rule.because):
                if place not in self.parameters and place not in self.facts:
                    raise ValueError(f"rule {rule.id}: 'because' has a place {{{place}}}, neither parameter nor fact")
        for name, parameter in self.parameters.items():
            if parameter.less_than is not None and parameter.less_than not in self.parameters:
                raise ValueError(f"parameter {name}: 'less_than' names {parameter.less_than}, which is no parameter")
            other = self.parameters.get(parameter.less_than or "")
            if other is not None and Decimal(parameter.value) >= Decimal(other.value):
                raise ValueError(f"parameter {name} is not less than {parameter.less_than} as written")
        return self


def _check_range(low: str | None, high: str | None, step: str, *, dated: bool) -> None:
    if low is None or high is None:
        raise ValueError("a range needs 'min' and 'max'")
    if dated != ("-" in low[1:]) or dated != ("-" in high[1:]):
        raise ValueError("'min' and 'max' of a date are ISO days, those of a number are numbers")
    if _number(step) <= 0:
        raise ValueError("'step' must be greater than zero")
    if not dated and _number(low) > _number(high):
        raise ValueError(f"'min' {low} is greater than 'max' {high}")
    if dated and _day(low) > _day(high):
        raise ValueError(f"'min' {low} is after 'max' {high}")


def _number(text: str) -> Decimal:
    """Sums, products and shares of such numbers stay exact in 28 digits."""
    if not _BEARABLE.fullmatch(text):
        raise ValueError(f"{text[:40]} is no number of at most 15 digits and 9 decimals")
    return Decimal(text)


def _day(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text[:40]} is no day of the calendar") from None


def _is_whole(number: str) -> bool:
    return Decimal(number) == Decimal(number).to_integral_value()

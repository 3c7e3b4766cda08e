"""The values that a fact can have, numbered: `min + i * step`, the choices, false and true.

Owns the grid of each fact, the places where a threshold cuts it, and canonical texts of values. A case is a tuple of
such numbers, so that drawing, intervals and "just below" are whole-number arithmetic. It must not evaluate rules.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from hrmbuild.pairs.expression_nodes import Boolean, Day, Numeric, Text, ValueType
from hrmbuild.records.ruleset import Fact, Parameter

FLAGS = ("false", "true")
"""Canonical texts of a boolean, by number."""

Edge = Literal["from", "after"]
"""`from`: the upper side begins at the threshold (`>=`, `<`); `after`: behind it (`>`, `<=`)."""


@dataclass(frozen=True)
class Domain:
    """One fact's values, numbered from 0 to `size - 1`; ordered for numbers and days."""

    name: str
    fact: Fact
    low: Decimal
    step: Decimal
    size: int
    scale: int
    """Decimals of a number."""

    @property
    def ordered(self) -> bool:
        """Whether thresholds make sense: a number or a day."""
        return self.fact.type in ("integer", "decimal", "date")

    def position(self, index: int) -> Decimal:
        """The number at an index; for days the proleptic ordinal."""
        return self.low + index * self.step

    def text(self, index: int) -> str:
        """The canonical text of a value: `420`, `12.50`, `storm`, `true`, `2024-03-01`."""
        match self.fact.type:
            case "choice":
                return self.fact.values[index]
            case "boolean":
                return FLAGS[index]
            case "date":
                return dt.date.fromordinal(int(self.position(index))).isoformat()
            case _:
                return f"{self.position(index):.{self.scale}f}"

    def first(self, position: Decimal, *, edge: Edge) -> int:
        """The first index at (`from`) or behind (`after`) a position, clipped to 0..size."""
        if position < self.low:
            return 0
        steps, rest = divmod(position - self.low, self.step)
        return min(int(steps) + (1 if rest or edge == "after" else 0), self.size)

    def near(self, position: Decimal) -> frozenset[int]:
        """The indices at, just below and just above a position; none when it lies outside the grid."""
        if not self.position(0) <= position <= self.position(self.size - 1):
            return frozenset()
        at, behind = self.first(position, edge="from"), self.first(position, edge="after")
        return frozenset(i for i in (at - 1, at, behind) if 0 <= i < self.size)

    @property
    def type(self) -> ValueType:
        """The type that expressions see."""
        match self.fact.type:
            case "choice":
                return Text(self.fact.values)
            case "boolean":
                return Boolean()
            case "date":
                return Day(self.text(0), self.text(self.size - 1))
            case _:
                return Numeric(self.position(0), self.position(self.size - 1), self.scale)


def domain_of(name: str, fact: Fact) -> Domain:
    """The numbered values of a declared fact."""
    if fact.type in ("choice", "boolean"):
        return Domain(name, fact, Decimal(0), Decimal(1), len(fact.values) or len(FLAGS), 0)
    low, high = _position(fact.min or "0"), _position(fact.max or "0")
    step = Decimal(fact.step)
    scale = 0 if fact.type == "date" else max(decimals(low), decimals(step))
    return Domain(name, fact, low, step, int((high - low) // step) + 1, scale)


def parameter_type(parameter: Parameter) -> Numeric:
    """The type of a parameter over all its variants."""
    values = [Decimal(v) for v in (parameter.value, parameter.min, parameter.max) if v is not None]
    scale = max(decimals(v) for v in (*values, Decimal(parameter.step)))
    return Numeric(min(values), max(values), scale)


def decimals(number: Decimal) -> int:
    """Digits after the point, as written."""
    return max(0, -int(number.as_tuple().exponent))


def _position(text: str) -> Decimal:
    if "-" in text[1:]:
        return Decimal(dt.date.fromisoformat(text).toordinal())
    return Decimal(text)

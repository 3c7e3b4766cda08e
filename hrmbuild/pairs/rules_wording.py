"""The words of a rule set and of its cases: passages, facts in three forms, grounds.

Owns what templates are given. It must not decide what is asked, and it must not draw outcomes: a style is drawn by the
caller's key, so that a case and its twin are told alike.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal

from hrmbuild.fingerprint import draw_fraction, draw_order
from hrmbuild.pairs.environment import Templates
from hrmbuild.pairs.prompt import Passage
from hrmbuild.pairs.rules_checked import CheckedRules
from hrmbuild.pairs.rules_domains import Domain, decimals
from hrmbuild.pairs.rules_evaluate import Case
from hrmbuild.pairs.variants import Variant
from hrmbuild.records.ruleset import PLACE, Rule

PASSAGE = "rules/passage.j2"
IRRELEVANT_FRACTION = 0.25
"""Chance of a fact that no rule reads to be told all the same."""


@dataclass(frozen=True)
class Style:
    """How a case is told."""

    units: bool
    grouped: bool
    """Thousands apart: `1,250`."""
    plain: bool = False
    """The rule set's own order of facts, no irrelevant one, the plainest wording."""


def style_of(plain_fraction: float, seed: int, key: str) -> Style:
    """The drawn style of one telling."""
    if draw_fraction("plain", seed, key) < plain_fraction:
        return Style(units=False, grouped=False, plain=True)
    return Style(draw_fraction("units", seed, key) < 0.5, draw_fraction("grouped", seed, key) < 0.5)


def told_facts(rules: CheckedRules, variant: Variant, *, plain: bool, seed: int, key: str) -> list[int]:
    """Positions of the facts that a telling states: those that rules read, and now and then others, in a drawn order;
    a plain one keeps to what is read, in the rule set's order.

    An excerpt states what its own rules read; any other variant what the whole set reads, so that a rule that is left
    out leaves an irrelevant fact behind.
    """
    read = rules.read_by(variant.order) if variant.is_excerpt else rules.read
    if plain:
        return [i for i, domain in enumerate(rules.domains) if domain.name in read]
    told = [i for i, domain in enumerate(rules.domains) if domain.name in read or _is_told(domain, variant, seed, key)]
    return draw_order(told, "facts", seed, key)


def _is_told(domain: Domain, variant: Variant, seed: int, key: str) -> bool:
    return not variant.is_excerpt and draw_fraction("irrelevant", seed, f"{key}.{domain.name}") < IRRELEVANT_FRACTION


def fact_words(domain: Domain, index: int, style: Style) -> dict[str, str]:
    """One fact in the forms that wordings choose from.

    `entry` is a line of a form (`fare: 45`), `words` a bare telling (`fare 45 EUR`, `rail`, `client pays`), `clause` a
    part of a sentence (`fare is 45`); `label` and `value` are its parts.
    """
    label, value = domain.fact.text, value_words(domain, index, style)
    if domain.fact.type == "boolean" and domain.fact.yes is not None and domain.fact.no is not None:
        phrase = domain.fact.yes if index else domain.fact.no
        return {"label": label, "value": value, "entry": phrase, "words": phrase, "clause": phrase}
    words = value if domain.fact.type == "choice" else f"{label} {value}"
    return {
        "label": label,
        "value": value,
        "entry": f"{label}: {value}",
        "words": words,
        "clause": f"{label} is {value}",
    }


def value_words(domain: Domain, index: int, style: Style) -> str:
    """The value alone: `45 EUR`, `45`, `rail`, `yes`."""
    text = domain.text(index)
    if domain.fact.type == "boolean":
        return "yes" if index else "no"
    if domain.fact.type not in ("integer", "decimal"):
        return text
    number = f"{Decimal(text):,}" if style.grouped else text
    return f"{number} {domain.fact.unit}" if style.units and domain.fact.unit else number


def parameter_words(rules: CheckedRules, variant: Variant, name: str) -> str:
    """A threshold as the rule text has it: plain, with the decimals that its owner wrote, or more where its value has
    more: a variant's 1.5 of a threshold written as 2 must not be shown as 2."""
    value, written = variant.parameters[name], Decimal(rules.ruleset.parameters[name].value)
    return f"{value:.{max(decimals(written), decimals(value.normalize()))}f}"


def rule_words(rules: CheckedRules, variant: Variant, rule: Rule) -> str:
    """The sentence of a rule with the variant's thresholds."""
    return _filled(rule.text, {name: parameter_words(rules, variant, name) for name in rules.ruleset.parameters})


def because_words(rules: CheckedRules, variant: Variant, rule: Rule, case: Case, style: Style) -> str:
    """The ground of a rule with the variant's thresholds and the case's facts."""
    values = {name: parameter_words(rules, variant, name) for name in rules.ruleset.parameters}
    for domain, index in zip(rules.domains, case, strict=True):
        values[domain.name] = value_words(domain, index, Style(False, style.grouped))
    return _filled(rule.because, values)


def _filled(text: str, values: Mapping[str, str]) -> str:
    """Every place takes its value in one pass: a value is never read as a place."""
    return PLACE.sub(lambda place: values[place.group(1)], text)


def passage(
    rules: CheckedRules, variant: Variant, templates: Templates, *, only: Collection[int] | None = None
) -> Passage:
    """The rule text that is shown: the variant's rules in the order of decision, or some of them."""
    shown = [rules.ruleset.rules[i] for i in variant.order if only is None or i in only]
    text = templates.render(
        PASSAGE,
        preamble=rules.ruleset.preamble if only is None else "",
        rules=[{"id": rule.id, "text": rule_words(rules, variant, rule)} for rule in shown],
    )
    return Passage(rules.ruleset.title, text.strip())

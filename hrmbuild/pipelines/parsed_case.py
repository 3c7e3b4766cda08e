"""A shown rule text and a case told in words, read by regular expressions alone.

Owns the reading: which rules of a known rule set are shown, with which thresholds, in which order; and which facts the
case states. It was written from the rule set's own words (labels, values, units), apart from the compilers and their
templates, so that an error of theirs is not repeated here. What is not found is absent, never guessed. It must not
evaluate rules.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from hrmbuild.pairs.rules_checked import CheckedRules
from hrmbuild.pairs.rules_domains import Domain
from hrmbuild.pairs.variants import Variant, as_written
from hrmbuild.records.ruleset import PLACE

_NUMBER = r"[-−]?\d{1,3}(?:,\d{3})+(?:\.\d+)?|[-−]?\d+(?:\.\d+)?"
_DAY = r"\d{4}-\d{2}-\d{2}"
_LINK = r"\s*(?::|=|\bis\b|\bof\b)?\s*"
"""What may stand between a fact's name and its value."""
_YES, _NO = ("yes", "true"), ("no", "false")


@dataclass(frozen=True)
class ParsedCase:
    """What the text shows."""

    variant: Variant
    """The shown rules in their order, with the shown thresholds."""
    facts: dict[int, int]
    """Position of a fact -> index of its value."""
    question: str
    """What follows the rules: the case and what is asked."""


def parse_case(rules: CheckedRules, instruction: str) -> ParsedCase | None:
    """Read an instruction; None where no rule of this set is shown in it."""
    shown: list[tuple[int, int, int, dict[str, Decimal]]] = []
    for position, rule in enumerate(rules.ruleset.rules):
        found = re.search(rf"(?m)^{re.escape(rule.id)}\. {_pattern(rule.text)}$", instruction)
        if found:
            thresholds = {name: _decimal(value) for name, value in found.groupdict().items()}
            shown.append((found.start(), found.end(), position, thresholds))
    if not shown:
        return None
    shown.sort()
    written = as_written(rules.ruleset, in_force=rules.in_force)
    parameters = dict(written.parameters) | {name: value for *_, own in shown for name, value in own.items()}
    order = tuple(position for _, _, position, _ in shown)
    left_out = tuple(rules.ruleset.rules[i].id for i in rules.in_force if i not in order)
    question = instruction[max(end for _, end, _, _ in shown) :].strip()
    variant = Variant("parsed", "test", parameters, order, left_out)
    return ParsedCase(variant, _facts(rules, question), question)


def _pattern(text: str) -> str:
    """The rule's sentence with a group for each threshold; a threshold that stands twice must be the same."""
    parts, seen, end = [], set[str](), 0
    for place in PLACE.finditer(text):
        name = place.group(1)
        parts.append(re.escape(text[end : place.start()]))
        parts.append(f"(?P={name})" if name in seen else f"(?P<{name}>{_NUMBER})")
        seen.add(name)
        end = place.end()
    return "".join([*parts, re.escape(text[end:])])


def _decimal(text: str) -> Decimal:
    return Decimal(text.replace(",", "").replace("−", "-"))


def _facts(rules: CheckedRules, question: str) -> dict[int, int]:
    found: dict[int, int] = {}
    for position, domain in enumerate(rules.domains):
        index = _READERS[domain.fact.type](domain, question)
        if index is not None:
            found[position] = index
    return found


def _named(domain: Domain, value: str, text: str) -> list[str]:
    """Values that stand behind the fact's name."""
    label = rf"(?<!\w){re.escape(domain.fact.text)}(?!\w)"
    return [str(one) for one in re.findall(rf"(?i){label}{_LINK}({value})(?![\w])", text)]


def _number(domain: Domain, text: str) -> int | None:
    values = {_decimal(one) for one in _named(domain, _NUMBER, text)}
    return _on_grid(domain, values.pop()) if len(values) == 1 else None


def _day(domain: Domain, text: str) -> int | None:
    values = set(_named(domain, _DAY, text))
    try:
        return _on_grid(domain, Decimal(dt.date.fromisoformat(values.pop()).toordinal())) if len(values) == 1 else None
    except (ValueError, InvalidOperation):
        return None


def _on_grid(domain: Domain, value: Decimal) -> int | None:
    steps, rest = divmod(value - domain.low, domain.step)
    return int(steps) if not rest and 0 <= steps < domain.size else None


def _choice(domain: Domain, text: str) -> int | None:
    """The value behind the fact's name, else the only value of the fact that the text names at all."""
    options = sorted(domain.fact.values, key=lambda value: (-len(value), value))
    either = "|".join(re.escape(value) for value in options)
    named = {one.casefold() for one in _named(domain, either, text)}
    bare = {one.casefold() for one in re.findall(rf"(?i)(?<!\w)({either})(?!\w)", text)}
    values = named or bare
    folded = [value.casefold() for value in domain.fact.values]
    return folded.index(values.pop()) if len(values) == 1 else None


def _boolean(domain: Domain, text: str) -> int | None:
    if domain.fact.yes is None or domain.fact.no is None:
        said = {one.casefold() for one in _named(domain, "|".join((*_YES, *_NO)), text)}
        return None if len(said) != 1 else int(said.pop() in _YES)
    phrases = {domain.fact.yes.casefold(): 1, domain.fact.no.casefold(): 0}
    either = "|".join(re.escape(phrase) for phrase in sorted(phrases, key=lambda phrase: (-len(phrase), phrase)))
    found = {phrases[one.casefold()] for one in re.findall(rf"(?i)(?<!\w)({either})(?!\w)", text)}
    return found.pop() if len(found) == 1 else None


_READERS = {
    "integer": _number,
    "decimal": _number,
    "date": _day,
    "choice": _choice,
    "boolean": _boolean,
}

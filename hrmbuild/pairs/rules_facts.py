"""The facts of a case as JSON: the kind from which a model learns to feed a rule engine.

Owns the kind `rules.facts`, the form in which a model is asked for facts (in training and at inference alike), and the
reading of what it says. It must not decide a case.

The rules are not shown: what is shown is the list of the rule set's facts, each with its key and the values that it may
have, so that facts of a rule set that was never trained on can be asked for. Under it stands the case in the words of
`rules.outcome`, its question included, so that at inference any such question can be put as it came. Held-out wordings
of that kind tell no case here: what is new there must stay new.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal

from hrmbuild.fingerprint import draw_fraction, draw_one
from hrmbuild.pairs.environment import Templates
from hrmbuild.pairs.prompt import Passage, open_book_instruction
from hrmbuild.pairs.rules_checked import CheckedRules
from hrmbuild.pairs.rules_domains import FLAGS, Domain
from hrmbuild.pairs.rules_pairs import Compilation, Question, plainest
from hrmbuild.pairs.rules_wording import fact_words
from hrmbuild.pairs.scenarios import Scenario
from hrmbuild.pairs.splits import held_out_wordings
from hrmbuild.records.json_object import JsonValue, read_json_object
from hrmbuild.records.pair import Answer, CompiledPair
from hrmbuild.records.ruleset import RuleSet

KIND = "rules.facts"
TOLD_AS = "rules.outcome"
"""The kind whose wordings tell the case."""
FACT_LIST = "rules/fact_list.j2"
_FORMS = {"integer": "number", "decimal": "number", "date": "YYYY-MM-DD", "boolean": " | ".join(reversed(FLAGS))}

Problem = Literal["not_json", "missing_fact", "unknown_fact", "out_of_range"]


def facts_pairs(compilation: Compilation, scenarios: Sequence[Scenario]) -> Iterator[CompiledPair]:
    """The drawn share of the scenarios, each as a question for its facts."""
    seed, fraction = compilation.context.seed, compilation.context.settings.rules.facts_fraction
    for scenario in scenarios:
        if draw_fraction("facts", seed, compilation.key(scenario)) < fraction:
            yield facts_pair(compilation, scenario)


def facts_pair(compilation: Compilation, scenario: Scenario) -> CompiledPair:
    """The case as told, and its facts; one that is withheld, or that nothing tells, is null."""
    rules, templates = compilation.rules, compilation.context.templates
    empty = Answer(type="json", value="{}")
    question = compilation.question(KIND, scenario, answer=empty, response="")
    told = _told(compilation, question)
    response = facts_json(rules, {i: scenario.case[i] for i in told})
    return compilation.pair(
        replace(
            question,
            shown=fact_list(rules, templates),
            told=told,
            case_text=_case_text(compilation, question, told),
            shows_rules=False,
            answer=Answer(type="json", value=response),
            response=response,
        )
    )


def _told(compilation: Compilation, question: Question) -> list[int]:
    """What the telling states, less one fact in as many cases as outcomes are asked for without one."""
    told, context = list(question.told), compilation.context
    if len(told) > 1 and draw_fraction("facts without", context.seed, question.telling) < (
        context.settings.rules.absent_fraction
    ):
        told.remove(draw_one(told, "fact untold", context.seed, question.telling))
    return told


def _case_text(compilation: Compilation, question: Question, told: Sequence[int]) -> str:
    """The case in a trained wording of `rules.outcome`."""
    rules, context = compilation.rules, compilation.context
    names = _trained(context.templates, TOLD_AS, context.seed)
    plain = question.style.plain
    name = plainest(names) if plain else draw_one(names, "case wording", context.seed, question.telling)
    facts = [fact_words(rules.domains[i], question.case[i], question.style) for i in told]
    return context.templates.render(name, facts=facts, **_values(rules.ruleset)).strip()


def _trained(templates: Templates, kind: str, seed: int) -> list[str]:
    names = templates.wordings(kind)
    held_out = held_out_wordings(names, seed)
    return [name for name in names if name not in held_out]


def _values(ruleset: RuleSet) -> dict[str, object]:
    return {"title": ruleset.title, "question": ruleset.question, "outcomes": list(ruleset.outcomes)}


def facts_instruction(rules: CheckedRules, templates: Templates, *, case: str, seed: int) -> str:
    """The instruction that asks for the facts of a case, as training has it, in the plainest wording of it.

    Args:
        case: the case in words, with whatever question it came with.
        seed: of the corpus: it decides which wordings were trained.
    """
    asked = templates.render(plainest(_trained(templates, KIND, seed)), facts=[], **_values(rules.ruleset))
    return open_book_instruction(templates, passages=[fact_list(rules, templates)], question=asked.strip(), case=case)


def fact_list(rules: CheckedRules, templates: Templates) -> Passage:
    """The facts of a rule set with their keys and values, as they are shown."""
    declared = [{"name": one.name, "label": one.fact.text, "form": _form(one)} for one in rules.domains]
    return Passage(rules.ruleset.title, templates.render(FACT_LIST, declared=declared).strip())


def _form(domain: Domain) -> str:
    """`number in EUR`, `rail | car | air`, `true (client pays) | false (we pay)`, `YYYY-MM-DD`."""
    fact = domain.fact
    if fact.type == "choice":
        return " | ".join(fact.values)
    if fact.type == "boolean" and fact.yes is not None and fact.no is not None:
        return f"true ({fact.yes}) | false ({fact.no})"
    unit = f" in {fact.unit}" if fact.type in ("integer", "decimal") and fact.unit else ""
    return f"{_FORMS[fact.type]}{unit}"


def facts_json(rules: CheckedRules, facts: Mapping[int, int]) -> str:
    """Compact JSON, all facts in the rule set's order: numbers with their own decimals, null for what is not known.

    Args:
        facts: position of a fact -> index of its value.
    """
    parts = [
        f"{json.dumps(domain.name)}:{_json_value(domain, facts[i]) if i in facts else 'null'}"
        for i, domain in enumerate(rules.domains)
    ]
    return "{" + ",".join(parts) + "}"


def _json_value(domain: Domain, index: int) -> str:
    text = domain.text(index)
    return json.dumps(text, ensure_ascii=False) if domain.fact.type in ("choice", "date") else text


def longest_facts(rules: CheckedRules) -> str:
    """A response about as long as one can be: what bounds the tokens of an answer."""
    longest = {
        i: max(_sampled(domain), key=lambda index, own=domain: len(_json_value(own, index)))
        for i, domain in enumerate(rules.domains)
    }
    return facts_json(rules, longest)


def _sampled(domain: Domain) -> Sequence[int]:
    """All values of a choice; of a range its ends, between which no number is longer."""
    return (0, domain.size - 1) if domain.ordered else range(domain.size)


@dataclass(frozen=True)
class ReadFacts:
    """What a model's answer says, or why it says nothing."""

    facts: dict[int, int]
    """Position of a fact -> index of its value; null is left out."""
    problem: Problem | None = None


def read_facts(rules: CheckedRules, text: str) -> ReadFacts:
    """Read an answer strictly: every fact of the list with a value of its range or null, and nothing else."""
    given = read_json_object(text.strip())
    if given is None:
        return ReadFacts({}, "not_json")
    names = [domain.name for domain in rules.domains]
    if not given.keys() >= set(names):
        return ReadFacts({}, "missing_fact")
    if len(given) > len(names):
        return ReadFacts({}, "unknown_fact")
    stated = {i: domain for i, domain in enumerate(rules.domains) if given[domain.name] is not None}
    found = {i: _index(domain, given[domain.name]) for i, domain in stated.items()}
    facts = {i: index for i, index in found.items() if index is not None}
    return ReadFacts(facts) if len(facts) == len(found) else ReadFacts({}, "out_of_range")


def _index(domain: Domain, value: JsonValue) -> int | None:
    """The number of a value; None where the fact cannot have it."""
    match domain.fact.type:
        case "choice":
            return domain.fact.values.index(value) if isinstance(value, str) and value in domain.fact.values else None
        case "boolean":
            return int(value) if isinstance(value, bool) else None
        case "date":
            return _on_grid(domain, _ordinal(value))
        case _:
            return _on_grid(domain, value if isinstance(value, Decimal) else None)


def _ordinal(value: JsonValue) -> Decimal | None:
    try:
        return Decimal(dt.date.fromisoformat(value).toordinal()) if isinstance(value, str) else None
    except ValueError:
        return None


def _on_grid(domain: Domain, value: Decimal | None) -> int | None:
    if value is None or not domain.position(0) <= value <= domain.position(domain.size - 1):
        return None
    index = domain.first(value, edge="from")
    return index if domain.position(index) == value else None

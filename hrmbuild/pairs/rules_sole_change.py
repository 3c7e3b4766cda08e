"""Which single change would alter the outcome? Asked only of cases in which exactly one fact can.

Owns the kind `rules.sole_change`. The answer is computed over every fact that the rules read and every value that it
can have (one for each interval between thresholds), with all others as they are; nothing is sampled. A rule set with a
fact whose range cannot be gone through is never asked about, nor a case of which a change leads to rules that promise
not to hold together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from hrmbuild.fingerprint import draw_fraction
from hrmbuild.pairs.rules_checked import CheckedRules
from hrmbuild.pairs.rules_evaluate import breaks_promise, evaluate
from hrmbuild.pairs.rules_missing import changed_cases, withholdable
from hrmbuild.pairs.rules_pairs import Compilation
from hrmbuild.pairs.scenarios import Scenario
from hrmbuild.records.pair import Answer, CompiledPair

KIND = "rules.sole_change"


def sole_change_pairs(compilation: Compilation, scenarios: Sequence[Scenario]) -> Iterator[CompiledPair]:
    """The drawn share of the scenarios, of those the cases that one fact alone can turn."""
    rules, seed = compilation.rules, compilation.context.seed
    fraction = compilation.context.settings.rules.sole_change_fraction or 0
    facts = [i for i, domain in enumerate(rules.domains) if domain.name in rules.read]
    if not fraction or facts != withholdable(rules) or not _told_apart(rules):
        return
    drawn = [one for one in scenarios if draw_fraction("sole change", seed, compilation.key(one)) < fraction]
    for scenario, others in zip(drawn, _other_outcomes(compilation, drawn, facts), strict=True):
        if others is not None and len(others) == 1:
            [(fact, outcomes)] = others.items()
            pair = _pair(compilation, scenario, fact, outcomes)
            if pair is not None:
                yield pair


def _told_apart(rules: CheckedRules) -> bool:
    names = [domain.fact.text for domain in rules.domains]
    return len(set(names)) == len(names)


def _other_outcomes(
    compilation: Compilation, scenarios: Sequence[Scenario], facts: Sequence[int]
) -> Iterator[dict[int, list[str]] | None]:
    """For each scenario: fact -> the outcomes that it alone can lead to; None where a change breaks the hit policy."""
    rules = compilation.rules
    asked = [(one, fact, case) for one in scenarios for fact in facts for case in changed_cases(rules, one, fact)]
    decisions = evaluate(rules, [(one.variant, case) for one, _, case in asked], compilation.connection)
    found: dict[int, dict[int, set[str]] | None] = {id(one): {} for one in scenarios}
    for (scenario, fact, _), decision in zip(asked, decisions, strict=True):
        own = found[id(scenario)]
        if own is None or breaks_promise(rules.ruleset, decision):
            found[id(scenario)] = None
        elif decision.outcome != scenario.decision.outcome:
            own.setdefault(fact, set()).add(decision.outcome)
    for one in scenarios:
        own = found[id(one)]
        yield None if own is None else {fact: sorted(outcomes) for fact, outcomes in own.items()}


def _pair(compilation: Compilation, scenario: Scenario, fact: int, outcomes: list[str]) -> CompiledPair | None:
    """None where the case tells of no other fact: there would be nothing to choose."""
    rules = compilation.rules
    value = rules.domains[fact].fact.text
    # Amounts may be many: then the answer stays at the fact.
    response = compilation.response("sole_change", answer=value, others=outcomes if rules.ruleset.outcomes else [])
    question = compilation.question(KIND, scenario, answer=Answer(type="text", value=value), response=response)
    choices = tuple(sorted(rules.domains[i].fact.text for i in question.told))
    if len(choices) < 2:
        return None
    return compilation.pair(replace(question, answer=Answer(type="choice", value=value, choices=choices)))

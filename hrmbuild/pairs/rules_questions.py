"""Smaller questions about rules: does one rule hold, which rule decides, which threshold, could one fact change it.

Owns these kinds. Outcomes of cases stand in `rules_executable`, which calls this module.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from hrmbuild.fingerprint import draw_fraction, draw_one
from hrmbuild.pairs.rules_checked import CheckedRules
from hrmbuild.pairs.rules_missing import Withheld, possibilities, withholdable
from hrmbuild.pairs.rules_pairs import Compilation
from hrmbuild.pairs.rules_wording import because_words, parameter_words, passage
from hrmbuild.pairs.scenarios import Scenario
from hrmbuild.pairs.variants import Variant, cut_to
from hrmbuild.records.pair import Answer, CompiledPair
from hrmbuild.records.ruleset import PLACE

PLAIN_RULE_FRACTION = 0.15
"""Chance of a rule without a threshold to be asked about, where there are rules with one: comparing is what is hard."""


def single_rule(rules: CheckedRules, variant: Variant, *, seed: int, key: str) -> Variant | None:
    """The variant cut to one drawn rule, mostly one with a threshold; None when no rule has a condition."""
    conditional = [i for i in variant.order if rules.conditions[i] is not None]
    compared = [i for i in conditional if rules.thresholds[i]]
    plain = draw_fraction("plain rule", seed, key) < PLAIN_RULE_FRACTION
    options = conditional if plain or not compared else compared
    return cut_to(rules.ruleset, variant, [draw_one(options, "single rule", seed, key)]) if options else None


def condition_pair(compilation: Compilation, scenario: Scenario) -> CompiledPair:
    """Does the one rule of a cut variant hold for the case? Only that rule is shown."""
    rules, variant = compilation.rules, scenario.variant
    position = next(i for i in variant.order if rules.conditions[i] is not None)
    rule, holds = rules.ruleset.rules[position], position in scenario.decision.fired
    word, style = "yes" if holds else "no", compilation.style(scenario)
    because = because_words(rules, variant, rule, scenario.case, style) if holds else None
    response = compilation.response("condition", answer=word, rule=rule.id, because=because)
    question = compilation.question(
        "rules.condition", scenario, answer=Answer(type="boolean", value=word), response=response
    )
    only = passage(rules, variant, compilation.context.templates, only={position})
    return compilation.pair(replace(question, shown=only, values={"rule": rule.id}))


def lookup_pairs(compilation: Compilation, scenarios: Sequence[Scenario]) -> Iterator[CompiledPair]:
    """Which rule decides, which threshold stands in the text, could another value change the outcome."""
    seed, fraction = compilation.context.seed, compilation.context.settings.rules.lookup_fraction
    for kind, ask in (("which rule", which_rule_pair), ("threshold", threshold_pair)):
        for scenario in scenarios:
            if draw_fraction(kind, seed, compilation.key(scenario)) < fraction:
                pair = ask(compilation, scenario)
                if pair is not None:
                    yield pair
    yield from _change_pairs(compilation, scenarios, fraction=fraction)


def which_rule_pair(compilation: Compilation, scenario: Scenario) -> CompiledPair | None:
    """The deciding rule first, then its outcome; nothing in a gap."""
    decided = scenario.decision.decided_by
    if decided is None:
        return None
    ids = tuple(f"rule {compilation.rule_id(i)}" for i in scenario.variant.order)
    answer = Answer(type="choice", value=f"rule {compilation.rule_id(decided)}", choices=ids)
    response = compilation.response("which_rule", answer=answer.value, outcome=scenario.decision.outcome)
    return compilation.pair(compilation.question("rules.which_rule", scenario, answer=answer, response=response))


def threshold_pair(compilation: Compilation, scenario: Scenario) -> CompiledPair | None:
    """A threshold as the shown text has it; only where the owner gave the parameter words."""
    rules, variant = compilation.rules, scenario.variant
    named = [(name, i) for name in rules.ruleset.parameters for i in variant.order if _states(rules, i, name)]
    asked = [(name, i) for name, i in named if rules.ruleset.parameters[name].text]
    if not asked:
        return None
    name, position = draw_one(asked, "threshold asked", compilation.context.seed, compilation.key(scenario))
    parameter = rules.ruleset.parameters[name]
    value = parameter_words(rules, variant, name)
    answer = Answer(type="number", value=value, unit=parameter.unit)
    rule = compilation.rule_id(position)
    response = compilation.response("threshold", value=value, unit=parameter.unit, rule=rule)
    question = compilation.question("rules.threshold", scenario, answer=answer, response=response)
    return compilation.pair(
        replace(
            question,
            told=(),
            boundary=False,
            cell=None,
            content=(name,),
            values={"asked": parameter.text},
        )
    )


def _states(rules: CheckedRules, position: int, parameter: str) -> bool:
    return parameter in PLACE.findall(rules.ruleset.rules[position].text)


def _change_pairs(
    compilation: Compilation, scenarios: Sequence[Scenario], *, fraction: float
) -> Iterator[CompiledPair]:
    seed = compilation.context.seed
    able = withholdable(compilation.rules)
    drawn = [s for s in scenarios if draw_fraction("change", seed, compilation.key(s)) < fraction]
    if not able:
        return
    asked = [(s, draw_one(able, "fact changed", seed, compilation.key(s))) for s in drawn]
    for found in possibilities(compilation.rules, asked, compilation.connection):
        yield change_pair(compilation, found)


def change_pair(compilation: Compilation, found: Withheld) -> CompiledPair:
    """Could another value of one named fact alone lead to another outcome, and to which?"""
    scenario, domain = found.scenario, compilation.rules.domains[found.fact]
    others = [outcome for outcome in found.outcomes if outcome != scenario.decision.outcome]
    word = "yes" if others else "no"
    # Amounts may be many: then the answer stays at yes or no.
    named = others if compilation.rules.ruleset.outcomes else []
    response = compilation.response("change", answer=word, others=named)
    question = compilation.question(
        "rules.change", scenario, answer=Answer(type="boolean", value=word), response=response
    )
    return compilation.pair(replace(question, content=(domain.name,), values={"fact": domain.fact.text}))

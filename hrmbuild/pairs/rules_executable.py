"""The compiler of executable rules: scenarios as pairs.

Owns which pairs a rule set gives: outcomes of scenarios as written and of variants, excerpts of a few rules, cases with
a fact withheld and their twins; further kinds stand in `rules_questions`. It must not evaluate or draw: `scenarios`,
`variants` and `rules_missing` do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hrmbuild.pairs.context import CompileContext, SqlConnection
from hrmbuild.pairs.prompt import Passage
from hrmbuild.pairs.rules_checked import CheckedRules, check_rules
from hrmbuild.pairs.rules_evaluate import NO_RULE
from hrmbuild.pairs.rules_missing import Withheld, withhold
from hrmbuild.pairs.rules_pairs import Question, build_pair
from hrmbuild.pairs.rules_wording import Style, because_words, passage, style_of, told_facts
from hrmbuild.pairs.scenarios import Scenario, build_scenarios, kept_in_train
from hrmbuild.pairs.variants import Variant, as_written, build_variants, excerpt
from hrmbuild.records.document import RuleSetFile
from hrmbuild.records.locator import Locator
from hrmbuild.records.pair import Answer, CompiledPair, Rejection

EXCERPTS = 40
"""Different excerpts of the rule set as written; each variant has one."""


@dataclass(frozen=True)
class Compilation:
    """A checked rule set on its way to pairs."""

    rules: CheckedRules
    context: CompileContext
    connection: SqlConnection
    locator: Locator
    kept: frozenset[str]
    """Cells that must stay in train."""

    def pair(self, question: Question) -> CompiledPair:
        """The pair of a question."""
        return build_pair(question, self.rules, self.context, self.locator)

    def cell(self, scenario: Scenario) -> str | None:
        """The cell that may hold a scenario out."""
        return None if scenario.cell in self.kept or scenario.variant.is_excerpt else scenario.cell


def compile_ruleset(record: RuleSetFile, context: CompileContext) -> Iterator[CompiledPair | Rejection]:
    """All pairs of a rule set.

    Raises:
        InputError: an expression is outside the allow-list (`compile.expression`), or no day says which rules hold.
        ValueError: no connection was handed in, which is our bug.
    """
    if context.connection is None:
        raise ValueError("executable rules need a connection")
    rules = check_rules(record.ruleset, path=record.path, connection=context.connection, as_of=context.as_of)
    whole, excerpts = draw_scenarios(rules, context, context.connection)
    kept = kept_in_train(whole, seed=context.seed)
    compilation = Compilation(rules, context, context.connection, record.locator, kept)
    seen: set[str] = set()
    for pair in _pairs(compilation, whole, excerpts):
        # Draws meet: two excerpts may be the same rules, and two cases the same without their withheld fact.
        if pair.content_key not in seen:
            seen.add(pair.content_key)
            yield pair


def _pairs(compilation: Compilation, whole: list[Scenario], excerpts: list[Scenario]) -> Iterator[CompiledPair]:
    for scenario in (*whole, *excerpts):
        yield outcome_pair(compilation, scenario)
    rules, context = compilation.rules, compilation.context
    fraction = context.settings.rules.absent_fraction
    for withheld in withhold(rules, whole, fraction=fraction, seed=context.seed, connection=compilation.connection):
        yield withheld_pair(compilation, withheld)


def draw_scenarios(
    rules: CheckedRules, context: CompileContext, connection: SqlConnection
) -> tuple[list[Scenario], list[Scenario]]:
    """Scenarios of the whole set (as written, then variants), and of excerpts."""
    settings, seed, ruleset = context.settings.rules, context.seed, rules.ruleset
    written = as_written(ruleset, in_force=rules.in_force)
    variants = build_variants(ruleset, in_force=rules.in_force, n=settings.variants, seed=seed)
    wanted = [(written, settings.scenarios), *((variant, settings.variant_scenarios) for variant in variants)]
    whole = _scenarios(rules, wanted, context, connection)
    share = settings.excerpt_fraction
    short: list[tuple[Variant, int]] = []
    for number in range(EXCERPTS):
        found = excerpt(ruleset, written, seed=seed, key=f"{ruleset.ruleset}/e{number}")
        if found is not None:
            short.append((found, round(share * settings.scenarios / EXCERPTS)))
    for variant in variants:
        found = excerpt(ruleset, variant, seed=seed, key=f"{variant.key}/e")
        if found is not None:
            short.append((found, round(share * settings.variant_scenarios)))
    return whole, _scenarios(rules, short, context, connection)


def _scenarios(
    rules: CheckedRules,
    wanted: Sequence[tuple[Variant, int]],
    context: CompileContext,
    connection: SqlConnection,
) -> list[Scenario]:
    fraction = context.settings.rules.boundary_fraction
    return build_scenarios(rules, wanted, boundary_fraction=fraction, seed=context.seed, connection=connection)


def outcome_pair(compilation: Compilation, scenario: Scenario) -> CompiledPair:
    """The outcome of a whole case."""
    rules, seed = compilation.rules, compilation.context.seed
    key = telling_key(rules, scenario)
    style = style_of(seed, key)
    kind = "rules.excerpt" if scenario.variant.is_excerpt else "rules.outcome"
    return compilation.pair(
        Question(
            kind=kind,
            variant=scenario.variant,
            shown=shown(compilation, scenario.variant),
            told=told_facts(rules, scenario.variant, seed=seed, key=key),
            case=scenario.case,
            style=style,
            answer=outcome_answer(rules, scenario.decision.outcome),
            response=outcome_response(compilation, scenario, style=style),
            derivation="evaluated",
            telling=key,
            cell=compilation.cell(scenario),
            boundary=scenario.boundary,
        )
    )


def withheld_pair(compilation: Compilation, withheld: Withheld) -> CompiledPair:
    """The same case, told alike, without one fact: undecidable, or with the outcome it has anyway."""
    rules, scenario, seed = compilation.rules, withheld.scenario, compilation.context.seed
    key = telling_key(rules, scenario)
    style = style_of(seed, key)
    told = [i for i in told_facts(rules, scenario.variant, seed=seed, key=key) if i != withheld.fact]
    missing = rules.domains[withheld.fact].fact.text
    refusal = f"cannot be decided without {missing}"
    return compilation.pair(
        Question(
            kind="rules.missing_fact" if withheld.is_open else "rules.outcome",
            variant=scenario.variant,
            shown=shown(compilation, scenario.variant),
            told=told,
            case=scenario.case,
            style=style,
            answer=Answer(type="absent", value=refusal)
            if withheld.is_open
            else outcome_answer(rules, scenario.decision.outcome),
            response=_missing_response(compilation, withheld, refusal)
            if withheld.is_open
            else outcome_response(compilation, scenario, style=style),
            derivation="absent" if withheld.is_open else "evaluated",
            telling=key,
            content=("without", rules.domains[withheld.fact].name),
            cell=compilation.cell(scenario),
            boundary=scenario.boundary,
        )
    )


def telling_key(rules: CheckedRules, scenario: Scenario) -> str:
    """Key of all draws about how a scenario is told."""
    variant = scenario.variant
    return f"{rules.ruleset.ruleset}/{variant.key}/{','.join(variant.left_out)}/{scenario.case}"


def shown(compilation: Compilation, variant: Variant) -> Passage:
    """The rule text of a variant."""
    return passage(compilation.rules, variant, compilation.context.templates)


def outcome_answer(rules: CheckedRules, outcome: str) -> Answer:
    """A choice among the outcomes, or an amount."""
    if rules.ruleset.outcomes or outcome == NO_RULE:
        return Answer(type="choice", value=outcome, choices=(*rules.ruleset.outcomes, NO_RULE))
    return Answer(type="number", value=outcome, unit=rules.ruleset.amount_unit)


def outcome_response(compilation: Compilation, scenario: Scenario, *, style: Style) -> str:
    """Outcome first, then the deciding rule and its ground."""
    rules, decision = compilation.rules, scenario.decision
    decided = None if decision.decided_by is None else rules.ruleset.rules[decision.decided_by]
    unit = "" if rules.ruleset.outcomes or decided is None else f" {rules.ruleset.amount_unit or ''}"
    return compilation.context.templates.render(
        "rules/answer/outcome.j2",
        outcome=f"{decision.outcome}{unit}".rstrip(),
        rule=decided.id if decided else None,
        because=because_words(rules, scenario.variant, decided, scenario.case, style) if decided else None,
        citation=decided.citation if decided else None,
        fired=[rules.ruleset.rules[i].id for i in decision.fired],
        checks=checks(rules, scenario.variant, decision.fired),
    ).strip()


def checks(rules: CheckedRules, variant: Variant, fired: Sequence[int]) -> list[dict[str, object]]:
    """Each rule of the variant with whether it holds, in the order of decision."""
    return [{"id": rules.ruleset.rules[i].id, "holds": i in fired} for i in variant.order]


def _missing_response(compilation: Compilation, withheld: Withheld, refusal: str) -> str:
    rule = compilation.rules.ruleset.rules[withheld.turns_on] if withheld.turns_on is not None else None
    return compilation.context.templates.render(
        "rules/answer/missing_fact.j2",
        refusal=refusal,
        rule=rule.id if rule else None,
        outcomes=list(withheld.outcomes),
    ).strip()

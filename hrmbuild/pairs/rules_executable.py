"""The compiler of executable rules: scenarios as pairs.

Owns which pairs a rule set gives: outcomes of scenarios as written and of variants, excerpts of a few rules, cases with
a fact withheld and their twins; further kinds stand in `rules_questions`, `rules_facts` and `rules_sole_change`. It
must not evaluate or draw: `scenarios`, `variants` and `rules_missing` do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from hrmbuild.pairs.context import CompileContext, SqlConnection
from hrmbuild.pairs.rules_checked import CheckedRules, check_rules
from hrmbuild.pairs.rules_evaluate import NO_RULE, breaks_promise
from hrmbuild.pairs.rules_facts import facts_pairs
from hrmbuild.pairs.rules_missing import Withheld, withhold
from hrmbuild.pairs.rules_pairs import Compilation, Question
from hrmbuild.pairs.rules_questions import condition_pair, lookup_pairs, single_rule
from hrmbuild.pairs.rules_sole_change import sole_change_pairs
from hrmbuild.pairs.rules_wording import because_words
from hrmbuild.pairs.scenarios import Scenario, build_scenarios, cell_sides
from hrmbuild.pairs.variants import Variant, as_written, build_variants, excerpt
from hrmbuild.records.document import RuleSetFile
from hrmbuild.records.pair import Answer, CompiledPair, Rejection
from hrmbuild.records.ruleset import RuleSet

CUTS_AS_WRITTEN = 40
"""Excerpts and single rules drawn from the rule set as written; each variant has one of each."""


MAX_TEXT_BYTES = 65_536
"""Of a rule set's rules: four times what an instruction may hold. Tables of data declared as rules reach it."""


@dataclass(frozen=True)
class Drawn:
    """The scenarios that pairs are made from."""

    whole: list[Scenario]
    """Under all rules: as written, then variant by variant."""
    excerpts: list[Scenario]
    """Under a few rules."""
    singles: list[Scenario]
    """Under one rule, to ask whether it holds."""


def compile_ruleset(record: RuleSetFile, context: CompileContext) -> Iterator[CompiledPair | Rejection]:
    """All pairs of a rule set.

    Raises:
        InputError: an expression is outside the allow-list (`compile.expression`), or no day says which rules hold.
        ValueError: no connection was handed in, which is our bug.
    """
    if context.connection is None:
        raise ValueError("executable rules need a connection")
    rules = check_rules(record.ruleset, path=record.path, connection=context.connection, as_of=context.as_of)
    if _n_bytes(rules.ruleset) > MAX_TEXT_BYTES:
        yield _too_long(rules, record, context)
        return
    drawn = draw_scenarios(rules, context, context.connection)
    broken = [scenario for scenario in drawn.whole if breaks_promise(rules.ruleset, scenario.decision)]
    if broken:
        yield _no_single_answer(rules, broken, record, context)
    drawn = Drawn(*(_kept(rules.ruleset, one) for one in (drawn.whole, drawn.excerpts, drawn.singles)))
    sides = cell_sides(drawn.whole, seed=context.seed)
    compilation = Compilation(rules, context, context.connection, record.locator, sides, record.places)
    seen: set[str] = set()
    for pair in _pairs(compilation, drawn):
        # Draws meet: two excerpts may be the same rules, and two cases the same without their withheld fact.
        if pair.content_key not in seen:
            seen.add(pair.content_key)
            yield pair


def _n_bytes(ruleset: RuleSet) -> int:
    return sum(len(rule.text.encode()) for rule in ruleset.rules)


def _too_long(rules: CheckedRules, record: RuleSetFile, context: CompileContext) -> Rejection:
    """Why nothing is asked: no question shows it whole, and its variants would be computed for minutes."""
    return Rejection(
        stage="compile",
        code="compile.too_long",
        detail=f"the text of its {len(rules.ruleset.rules):,} rules has {_n_bytes(rules.ruleset):,} bytes, more than "
        f"{MAX_TEXT_BYTES:,}: divide it, or declare it with 'kind: tables' if its rows are data and no rules",
        path=context.source.path,
        source_sha256=context.source.sha256,
        locator=record.locator,
    )


def _kept(ruleset: RuleSet, scenarios: Sequence[Scenario]) -> list[Scenario]:
    return [scenario for scenario in scenarios if not breaks_promise(ruleset, scenario.decision)]


def _no_single_answer(
    rules: CheckedRules, broken: Sequence[Scenario], record: RuleSetFile, context: CompileContext
) -> Rejection:
    """The cases under which rules hold together that, by the hit policy, should not."""
    first = broken[0]
    ids = " and ".join(rules.ruleset.rules[i].id for i in first.decision.fired[:2])
    told = ", ".join(f"{d.fact.text} {d.text(i)}" for d, i in zip(rules.domains, first.case, strict=True))
    return Rejection(
        stage="compile",
        code="compile.overlap",
        detail=f"hit policy {rules.ruleset.hit_policy}, but {ids} hold together (as for {told}); {len(broken)} cases "
        "of this kind make no pair",
        path=context.source.path,
        source_sha256=context.source.sha256,
        locator=record.locator,
    )


def _pairs(compilation: Compilation, drawn: Drawn) -> Iterator[CompiledPair]:
    for scenario in (*drawn.whole, *drawn.excerpts):
        yield outcome_pair(compilation, scenario)
    for scenario in drawn.singles:
        yield condition_pair(compilation, scenario)
    rules, context = compilation.rules, compilation.context
    fraction = context.settings.rules.absent_fraction
    for withheld in withhold(
        rules, drawn.whole, fraction=fraction, seed=context.seed, connection=compilation.connection
    ):
        yield withheld_pair(compilation, withheld)
    yield from lookup_pairs(compilation, drawn.whole)
    yield from facts_pairs(compilation, (*drawn.whole, *drawn.excerpts))
    yield from sole_change_pairs(compilation, (*drawn.whole, *drawn.excerpts))


def draw_scenarios(rules: CheckedRules, context: CompileContext, connection: SqlConnection) -> Drawn:
    """Scenarios of the rule set as written and of its variants, whole and cut."""
    settings, ruleset = context.settings.rules, rules.ruleset
    written = as_written(ruleset, in_force=rules.in_force)
    variants = build_variants(ruleset, in_force=rules.in_force, n=settings.variants, seed=context.seed)
    wanted = [(written, settings.scenarios), *((variant, settings.variant_scenarios) for variant in variants)]
    cuts = _cuts(rules, wanted, seed=context.seed)
    whole, excerpts, singles = (
        _scenarios(rules, versions, context, connection)
        for versions in (
            wanted,
            [(short, round(n * settings.excerpt_fraction)) for short, _, n in cuts if short is not None],
            [(single, round(n * settings.check_fraction)) for _, single, n in cuts if single is not None],
        )
    )
    return Drawn(whole, excerpts, singles)


def _cuts(
    rules: CheckedRules, wanted: Sequence[tuple[Variant, int]], *, seed: int
) -> list[tuple[Variant | None, Variant | None, float]]:
    """For each version some excerpts and single rules, with the scenarios of the whole that fall to each."""
    found: list[tuple[Variant | None, Variant | None, float]] = []
    for version, n in wanted:
        n_cuts = CUTS_AS_WRITTEN if version.key is None else 1
        for number in range(n_cuts):
            key = f"{rules.ruleset.ruleset}/{version.key}/cut{number}"
            short = excerpt(rules.ruleset, version, seed=seed, key=key)
            found.append((short, single_rule(rules, version, seed=seed, key=key), n / n_cuts))
    return found


def _scenarios(
    rules: CheckedRules,
    wanted: Sequence[tuple[Variant, int]],
    context: CompileContext,
    connection: SqlConnection,
) -> list[Scenario]:
    fraction = context.settings.rules.boundary_fraction
    return build_scenarios(rules, wanted, boundary_fraction=fraction, seed=context.seed, connection=connection)


def outcome_pair(compilation: Compilation, scenario: Scenario) -> CompiledPair:
    """The outcome of a case, under the whole rule set or an excerpt of it."""
    kind = "rules.excerpt" if scenario.variant.is_excerpt else "rules.outcome"
    return compilation.pair(_outcome_question(compilation, scenario, kind=kind))


def withheld_pair(compilation: Compilation, withheld: Withheld) -> CompiledPair:
    """The same case, told alike, without one fact: undecidable, or with the outcome it has anyway."""
    domain = compilation.rules.domains[withheld.fact]
    if withheld.is_open:
        question = _open_question(compilation, withheld, missing=domain.fact.text)
    else:
        question = _outcome_question(compilation, withheld.scenario, kind="rules.outcome")
    told = [i for i in question.told if i != withheld.fact]
    return compilation.pair(replace(question, told=told, content=("without", domain.name)))


def _open_question(compilation: Compilation, withheld: Withheld, *, missing: str) -> Question:
    refusal = f"cannot be decided without {missing}"
    rule = None if withheld.turns_on is None else compilation.rule_id(withheld.turns_on)
    response = compilation.response("missing_fact", refusal=refusal, rule=rule, outcomes=list(withheld.outcomes))
    answer = Answer(type="absent", value=refusal)
    question = compilation.question("rules.missing_fact", withheld.scenario, answer=answer, response=response)
    return replace(question, derivation="absent")


def _outcome_question(compilation: Compilation, scenario: Scenario, *, kind: str) -> Question:
    answer = outcome_answer(compilation.rules, scenario.decision.outcome)
    return compilation.question(kind, scenario, answer=answer, response=_outcome_response(compilation, scenario))


def outcome_answer(rules: CheckedRules, outcome: str) -> Answer:
    """A choice among the outcomes, or an amount."""
    if rules.ruleset.outcomes or outcome == NO_RULE:
        return Answer(type="choice", value=outcome, choices=(*rules.ruleset.outcomes, NO_RULE))
    return Answer(type="number", value=outcome, unit=rules.ruleset.amount_unit)


def _outcome_response(compilation: Compilation, scenario: Scenario) -> str:
    """Outcome first, then the deciding rule and its ground."""
    rules, decision = compilation.rules, scenario.decision
    decided = None if decision.decided_by is None else rules.ruleset.rules[decision.decided_by]
    unit = rules.ruleset.amount_unit if decided and not rules.ruleset.outcomes else None
    style = compilation.style(scenario)
    return compilation.response(
        "outcome",
        outcome=f"{decision.outcome} {unit}" if unit else decision.outcome,
        rule=decided.id if decided else None,
        because=because_words(rules, scenario.variant, decided, scenario.case, style) if decided else None,
        citation=decided.citation if decided else None,
        fired=[compilation.rule_id(i) for i in decision.fired],
        checks=[
            {"id": compilation.rule_id(i), "holds": i in decision.fired}
            for i in scenario.variant.order
            if rules.conditions[i] is not None
        ],
    )

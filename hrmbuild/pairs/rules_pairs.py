"""From a question about rules to a compiled pair: wording, instruction, keys, evidence.

Owns the draw of wordings and what an occurrence of a rule pair records. It must not know any kind of question.

Evidence: `occurrence.text` is the shown rule text, word for word as it stands in the instruction. `occurrence.inputs`
holds `ruleset`, `variant` (absent as written), `left_out` (ids of rules), `fact.<name>` and `parameter.<name>`, all as
canonical texts: with the file they are enough to evaluate the rules again. Where no rule is shown but the list of facts
(`rules.facts`), that list is the text and the inputs are the facts alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hrmbuild.fingerprint import draw_fraction, draw_one, hash_value
from hrmbuild.pairs.context import CompileContext, SqlConnection
from hrmbuild.pairs.draft import document_key, document_side, stratum
from hrmbuild.pairs.prompt import Passage, open_book_instruction
from hrmbuild.pairs.rules_checked import CheckedRules
from hrmbuild.pairs.rules_evaluate import Case
from hrmbuild.pairs.rules_wording import Style, fact_words, passage, style_of, told_facts
from hrmbuild.pairs.scenarios import Scenario
from hrmbuild.pairs.splits import held_out_wordings
from hrmbuild.pairs.variants import Variant
from hrmbuild.records.locator import Locator
from hrmbuild.records.pair import Answer, CompiledPair, Derivation, Occurrence, Split, SplitKeys

HELD_OUT_FRACTION = 0.06
"""Share of the pairs, of those nothing else holds out, that take a wording that is never trained on."""

PLAINEST = ("policy_2", "policy_1", "policy_3")
"""Wordings that a plain telling takes: the first of them that is not held out."""


@dataclass(frozen=True)
class Question:
    """A question about a rule set with its answer, before wording."""

    kind: str
    """`rules.outcome`; its wordings stand in the folder of that name."""
    variant: Variant
    shown: Passage
    told: Sequence[int]
    """Positions of the facts that the case states, in their order; empty where there is no case."""
    case: Case
    style: Style
    answer: Answer
    response: str
    telling: str
    """Key of the draw of the wording: a twin shares it."""
    derivation: Derivation = "evaluated"
    values: Mapping[str, object] = field(default_factory=dict)
    """Further values for wordings."""
    content: tuple[str, ...] = ()
    """What sets it apart from other questions about the same facts."""
    cell: str | None = None
    """Decision cell; None where the pair must not be held out by it."""
    cell_side: Split = "train"
    boundary: bool = False
    case_text: str | None = None
    """The case where it stands apart from the question; None where the wording tells it."""
    rule: str | None = None
    """Id of the deciding rule, where one decides."""
    shows_rules: bool = True
    """Whether the shown text is of rules: where it is not, variant and thresholds are no part of the question."""


@dataclass(frozen=True)
class Compilation:
    """A checked rule set on its way to pairs."""

    rules: CheckedRules
    context: CompileContext
    connection: SqlConnection
    locator: Locator
    cell_sides: Mapping[str, Split]
    """The held-out decision cells."""
    places: Mapping[str, Locator] = field(default_factory=dict)
    """Rule id -> its row in a decision table."""

    def question(self, kind: str, scenario: Scenario, *, answer: Answer, response: str) -> Question:
        """A question about a whole scenario, told in the scenario's own way."""
        key, style = self.key(scenario), self.style(scenario)
        return Question(
            kind=kind,
            variant=scenario.variant,
            shown=passage(self.rules, scenario.variant, self.context.templates),
            told=told_facts(self.rules, scenario.variant, plain=style.plain, seed=self.context.seed, key=key),
            case=scenario.case,
            style=style,
            answer=answer,
            response=response,
            telling=key,
            cell=None if scenario.variant.is_excerpt else scenario.cell,
            cell_side=self.cell_sides.get(scenario.cell, "train"),
            boundary=scenario.boundary,
            rule=None if scenario.decision.decided_by is None else self.rule_id(scenario.decision.decided_by),
        )

    def pair(self, question: Question) -> CompiledPair:
        """The pair of a question."""
        return build_pair(question, self.rules, self.context, self.places.get(question.rule or "", self.locator))

    def response(self, kind: str, /, **values: object) -> str:
        """A response by its template in `rules/answer/`."""
        return self.context.templates.render(f"rules/answer/{kind}.j2", **values).strip()

    def key(self, scenario: Scenario) -> str:
        """Key of all draws about how a scenario is told: a twin shares them."""
        variant = scenario.variant
        return f"{self.rules.ruleset.ruleset}/{variant.key}/{','.join(variant.left_out)}/{scenario.case}"

    def style(self, scenario: Scenario) -> Style:
        """How the scenario is told."""
        return style_of(self.context.settings.rules.plain_fraction, self.context.seed, self.key(scenario))

    def rule_id(self, position: int) -> str:
        """A rule as it is cited."""
        return self.rules.ruleset.rules[position].id


def build_pair(question: Question, rules: CheckedRules, context: CompileContext, locator: Locator) -> CompiledPair:
    """The pair in a drawn wording."""
    name, is_new = _wording(question, context)
    facts = [fact_words(rules.domains[i], question.case[i], question.style) for i in question.told]
    asked = context.templates.render(
        name,
        title=rules.ruleset.title,
        question=rules.ruleset.question,
        facts=facts,
        outcomes=list(rules.ruleset.outcomes),
        **question.values,
    )
    inputs = _inputs(question, rules)
    return CompiledPair(
        instruction=open_book_instruction(
            context.templates, passages=[question.shown], question=asked.strip(), case=question.case_text
        ),
        response=question.response,
        kind=question.kind,
        stratum=stratum(context),
        derivation=question.derivation,
        answer=question.answer,
        content_key=hash_value([question.kind, inputs, list(question.content)]),
        label=context.source.label,
        valid_from=context.source.effective_from,
        valid_until=context.source.effective_until,
        boundary=question.boundary,
        split_keys=_split_keys(question, context, wording=name, is_new=is_new),
        occurrence=Occurrence(
            source_sha256=context.source.sha256,
            locator=locator,
            text=question.shown.text,
            template_sha256=context.templates.sha256(name),
            inputs=inputs,
        ),
    )


def _split_keys(question: Question, context: CompileContext, *, wording: str, is_new: bool) -> SplitKeys:
    variant = question.variant
    return SplitKeys(
        document=document_key(context),
        document_side=document_side(context),
        variant=variant.key,
        variant_side=variant.side if variant.key else None,
        wording=wording,
        wording_side="test" if is_new else "train",
        cell=question.cell,
        cell_side=question.cell_side if question.cell else None,
    )


def _wording(question: Question, context: CompileContext) -> tuple[str, bool]:
    """A wording, and whether it is one that is held out.

    Only pairs that nothing else holds out take one of those, so that each axis shows one new thing at a time.
    """
    names = context.templates.wordings(question.kind)
    held_out = held_out_wordings(names, context.seed)
    cell_is_new = question.cell is not None and question.cell_side != "train"
    trained = question.variant.side == "train" and not cell_is_new and not context.settings.split
    takes_new = trained and draw_fraction("new wording", context.seed, question.telling) < HELD_OUT_FRACTION
    options = [name for name in names if (name in held_out) == (takes_new and bool(held_out))]
    if question.style.plain and not takes_new:
        return plainest(options), False
    name = draw_one(options, "wording", context.seed, question.telling)
    return name, name in held_out


def plainest(names: Sequence[str]) -> str:
    """The wording that a plain telling takes."""
    return min(names, key=_plainness)


def _plainness(name: str) -> tuple[int, str]:
    """Orders wordings of a kind: those in the rules' own words first, the same one for all kinds that have it."""
    stem = name.rpartition("/")[2].removesuffix(".j2")
    return (PLAINEST.index(stem) if stem in PLAINEST else len(PLAINEST), name)


def _inputs(question: Question, rules: CheckedRules) -> dict[str, str]:
    variant = question.variant
    inputs = {"ruleset": rules.ruleset.ruleset}
    if variant.key is not None and question.shows_rules:
        inputs["variant"] = variant.key
    if variant.left_out and question.shows_rules:
        inputs["left_out"] = ",".join(variant.left_out)
    if question.shows_rules:
        inputs |= {f"parameter.{name}": f"{value:f}" for name, value in variant.parameters.items()}
    return inputs | {
        f"fact.{rules.domains[i].name}": rules.domains[i].text(question.case[i]) for i in sorted(question.told)
    }

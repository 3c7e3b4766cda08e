"""A memo's exception applied to a rule set: rules and memo are shown, and the memo's sentence comes before the rules.

Owns these pairs. What the sentence means is declared beside it (`exception` of the source), never guessed: it becomes a
rule ahead of all others, and DuckDB evaluates both. Memo and rules each support every pair.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hrmbuild.config.joined import ExceptionConfig
from hrmbuild.errors import InputError
from hrmbuild.fingerprint import draw_one, hash_value
from hrmbuild.pairs.clauses import Clause
from hrmbuild.pairs.context import CompileContext
from hrmbuild.pairs.draft import split_keys, stratum
from hrmbuild.pairs.prompt import Passage, open_book_instruction
from hrmbuild.pairs.rules_checked import CheckedRules, check_rules
from hrmbuild.pairs.rules_executable import outcome_answer
from hrmbuild.pairs.rules_wording import because_words, fact_words, passage, style_of, told_facts
from hrmbuild.pairs.scenarios import Scenario, build_scenarios
from hrmbuild.pairs.spans import Quote
from hrmbuild.pairs.variants import as_written
from hrmbuild.records.document import Document, RuleSetFile
from hrmbuild.records.pair import CompiledPair, Occurrence
from hrmbuild.records.ruleset import Rule, RuleSet

KIND = "memos.exception"
_ID = "memo"


@dataclass(frozen=True)
class _Exception:
    """The memo's sentence with the rules that it goes before."""

    quote: Quote
    """The sentence as it may be shown, with its place."""
    file: RuleSetFile
    rules: CheckedRules
    """With the exception as the rule at position 0."""
    shown: tuple[Passage, Passage]
    """The rules as their owner wrote them, and the memo's sentence."""
    context: CompileContext


def exception_pairs(record: Document, clauses: Sequence[Clause], context: CompileContext) -> Iterator[CompiledPair]:
    """Cases under the rules and the memo's exception; none where the memo does not hold the declared sentence.

    Args:
        clauses: what may be shown of the memo, names masked: a sentence of quoted replies or signatures is none.

    Raises:
        InputError: `compile.not_a_case`: no rule set, or the declared rule is none of it; `compile.expression`.
    """
    declared = context.settings.exception
    said = [(one, s) for one in clauses for s in one.sentences if declared and s.text == declared.sentence.strip()]
    if declared is None or not said:
        return
    clause, sentence = said[0]
    found = _prepared(record, clause.quote(sentence), declared, context)
    assert context.connection is not None
    written = as_written(found.rules.ruleset, in_force=found.rules.in_force)
    for scenario in build_scenarios(
        found.rules, [(written, declared.scenarios)], boundary_fraction=context.settings.rules.boundary_fraction,
        seed=context.seed, connection=context.connection,
    ):  # fmt: skip
        yield from _pairs(found, scenario)


def _prepared(record: Document, quote: Quote, declared: ExceptionConfig, context: CompileContext) -> _Exception:
    files = [one for one in context.siblings if isinstance(one, RuleSetFile)]
    if len(files) != 1 or context.connection is None:
        what = f"{declared.ruleset} is {len(files)} rule sets that can be read, and one is needed"
        raise InputError("compile.not_a_case", what, where=context.source.path)
    (file,) = files
    own, before = (
        check_rules(one, path=file.path, connection=context.connection, as_of=context.as_of)
        for one in (file.ruleset, _with_exception(file.ruleset, declared, context))
    )
    written = as_written(own.ruleset, in_force=own.in_force)
    memo = Passage(record.title, quote.text)
    return _Exception(quote, file, before, (passage(own, written, context.templates), memo), context)


def _with_exception(ruleset: RuleSet, declared: ExceptionConfig, context: CompileContext) -> RuleSet:
    first = max(rule.priority for rule in ruleset.rules) + 1
    rule = Rule(id=_ID, when=declared.when, then=declared.then, text="exception", because="exception", priority=first)
    if ruleset.outcomes and declared.then not in ruleset.outcomes:
        what = f"{declared.then!r} is no outcome of {ruleset.ruleset}: {', '.join(ruleset.outcomes)}"
        raise InputError("compile.not_a_case", what, where=context.source.path, fix="correct `exception` of the source")
    return ruleset.model_copy(update={"rules": (rule, *ruleset.rules)})


def _pairs(found: _Exception, scenario: Scenario) -> Iterator[CompiledPair]:
    context, rules = found.context, found.rules
    key = f"{KIND}/{found.quote.text}/{scenario.case}"
    style = style_of(0, context.seed, key)
    told = told_facts(rules, scenario.variant, plain=False, seed=context.seed, key=key)
    inputs = {"ruleset": rules.ruleset.ruleset, "exception": rules.ruleset.rules[0].when or ""}
    inputs |= {f"parameter.{name}": f"{value:f}" for name, value in scenario.variant.parameters.items()}
    inputs |= {f"fact.{rules.domains[i].name}": rules.domains[i].text(scenario.case[i]) for i in sorted(told)}
    content = hash_value([KIND, context.source.sha256, inputs])
    names = context.templates.wordings(KIND)
    name = draw_one(names, "wording", context.seed, content)
    facts = [fact_words(rules.domains[i], scenario.case[i], style) for i in told]
    by_memo = Occurrence(
        source_sha256=context.source.sha256, locator=found.quote.locator, text=found.quote.text,
        template_sha256=context.templates.sha256(name),
        inputs={**inputs, **(found.quote.inputs() or {})},
    )  # fmt: skip
    pair = CompiledPair(
        instruction=open_book_instruction(
            context.templates, passages=found.shown, question=context.templates.render(name, facts=facts)
        ),
        response=_response(found, scenario, key),
        kind=KIND,
        stratum=stratum(context),
        derivation="evaluated",
        answer=outcome_answer(rules, scenario.decision.outcome),
        content_key=content,
        label=context.source.label,
        valid_from=context.source.effective_from,
        valid_until=context.source.effective_until,
        boundary=scenario.boundary,
        split_keys=split_keys(context, content, name, names),
        occurrence=by_memo,
    )
    yield pair
    file = found.file
    by_rules = by_memo.model_copy(
        update={
            "source_sha256": file.source_sha256,
            "locator": file.locator,
            "text": found.shown[0].text,
            "inputs": inputs,
        }
    )
    label = context.shown_labels.get(file.source_sha256, context.source.label)
    yield pair.model_copy(update={"occurrence": by_rules, "label": label})


def _response(found: _Exception, scenario: Scenario, key: str) -> str:
    """Outcome first, then what decides: the memo, or a rule."""
    rules, decided = found.rules, scenario.decision.decided_by
    unit = rules.ruleset.amount_unit if decided is not None and not rules.ruleset.outcomes else None
    outcome = f"{scenario.decision.outcome} {unit}" if unit else scenario.decision.outcome
    if decided is None:
        return f"{outcome}."
    rule = rules.ruleset.rules[decided]
    if rule.id == _ID:
        return f"{outcome}. The memo's exception comes before the rules."
    because = because_words(rules, scenario.variant, rule, scenario.case, style_of(0, found.context.seed, key))
    return f"{outcome}. The memo's exception does not hold. Rule {rule.id}: {because}."

"""The rule engine with parsed facts: what the rules themselves say of a case whose facts a plain parser read.

Owns finding the rule sets behind a manifest, and an engine's answers by kind of question. The model has no part in it:
it is the column that says how well the questions are answered without a model, where rules exist as data. It must not
read the facts that compilers recorded, only the text that the model is shown.
"""

from __future__ import annotations

import datetime as dt
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from hrmbuild.config.loading import Project
from hrmbuild.config.project import SourceConfig
from hrmbuild.errors import HrmbuildError
from hrmbuild.evaluation.baselines import Baseline
from hrmbuild.pairs.context import SqlConnection
from hrmbuild.pairs.rules_checked import CheckedRules, check_rules
from hrmbuild.pairs.rules_evaluate import Case, Decision, evaluate
from hrmbuild.pairs.rules_wording import parameter_words
from hrmbuild.pairs.scenarios import space_of
from hrmbuild.pipelines.parsed_case import ParsedCase, parse_case
from hrmbuild.pipelines.source_files import expand_glob
from hrmbuild.readers.registry import RULE_FORMATS
from hrmbuild.readers.worker import read_guarded
from hrmbuild.records.document import RuleSetFile
from hrmbuild.records.manifest import Manifest
from hrmbuild.records.pair import Pair
from hrmbuild.records.source import Source

ENGINE = "rule engine with parsed facts"
_MOST_CASES = 4096
"""Ways to fill in facts that the case does not state; beyond, the engine has nothing to say."""


@dataclass(frozen=True)
class FoundRules:
    """Rule sets whose files are still what was frozen."""

    rules: tuple[CheckedRules, ...]
    missing: tuple[str, ...]
    """Paths of those that are not."""


def find_rules(project: Project, manifest: Manifest, connection: SqlConnection) -> FoundRules:
    """Read again the rule sets and decision tables that a manifest names, where their bytes are the frozen ones."""
    rules: list[CheckedRules] = []
    missing: list[str] = []
    as_of = None if manifest.as_of is None else dt.date.fromisoformat(manifest.as_of)
    named = [entry.source for entry in manifest.sources]
    declared = _declared(project) if any(one.kind == "rules" and one.format in RULE_FORMATS for one in named) else {}
    for source in named:
        if source.kind != "rules" or source.format not in RULE_FORMATS:
            continue
        settings = declared.get(source.path, SourceConfig(path=source.path, kind=source.kind))
        try:
            records = _frozen_rules(project, source, settings)
            rules += [check_rules(one.ruleset, path=source.path, connection=connection, as_of=as_of) for one in records]
        except (HrmbuildError, OSError):
            missing.append(source.path)
    return FoundRules(tuple(rules), tuple(missing))


def _declared(project: Project) -> dict[str, SourceConfig]:
    """What the settings say of each file of rules: `columns:` says which column of a decision table is what."""
    entries = [(i, one) for i, one in enumerate(project.config.sources) if one.kind == "rules"]
    return {file.relative: one for i, one in entries for file in expand_glob(project, one.path, entry=i)}


def _frozen_rules(project: Project, source: Source, settings: SourceConfig) -> list[RuleSetFile]:
    """The rule sets of a file.

    Raises:
        InputError: the file is not as it was frozen, or no longer read.
    """
    result = read_guarded(
        project.folder / source.path, relative=source.path, sha256=source.sha256, source=settings, format=source.format,
        limits=project.config.limits,
    )  # fmt: skip
    return [one for one in result.records if isinstance(one, RuleSetFile)]


def rule_engine(rules: Sequence[CheckedRules], connection: SqlConnection) -> Baseline:
    """Answers for every question that shows rules of these sets; None elsewhere."""

    def answer(pair: Pair) -> str | None:
        if not pair.kind.startswith(("rules.", "questions.")):
            return None
        shown = shown_case(rules, pair)
        return None if shown is None else engine_answer(*shown, pair, connection)

    return answer


def shown_case(rules: Sequence[CheckedRules], pair: Pair) -> tuple[CheckedRules, ParsedCase] | None:
    """The rule set of which most rules are shown, with what the text says; None where none is shown."""
    parsed = [(own, case) for own in rules if (case := parse_case(own, pair.instruction)) is not None]
    return max(parsed, key=lambda item: len(item[1].variant.order)) if parsed else None


def engine_answer(rules: CheckedRules, case: ParsedCase, pair: Pair, connection: SqlConnection) -> str | None:
    """What the shown rules say of the facts of a case; None where they say nothing to this kind of question."""
    if pair.kind == "rules.threshold":
        return _threshold(rules, case)
    if pair.kind in ("rules.change", "rules.sole_change"):
        return None
    decisions = _decisions(rules, case, connection)
    if not decisions:
        return None
    match pair.kind:
        case "rules.condition":
            holds = {bool(decision.fired) for decision in decisions}
            return ("yes" if holds.pop() else "no") if len(holds) == 1 else None
        case "rules.which_rule":
            deciding = {decision.decided_by for decision in decisions}
            only = deciding.pop() if len(deciding) == 1 else None
            return None if only is None else f"rule {rules.ruleset.rules[only].id}"
        case _:
            return _outcome(rules, case, decisions)


def _outcome(rules: CheckedRules, case: ParsedCase, decisions: Sequence[Decision]) -> str:
    outcomes = {decision.outcome for decision in decisions}
    if len(outcomes) == 1:
        return outcomes.pop()
    missing = _missing(rules, case)[0]
    return f"cannot be decided without {rules.domains[missing].fact.text}"


def _missing(rules: CheckedRules, case: ParsedCase) -> list[int]:
    read_here = rules.read_by(case.variant.order)
    return [i for i, domain in enumerate(rules.domains) if domain.name in read_here and i not in case.facts]


def _decisions(rules: CheckedRules, case: ParsedCase, connection: SqlConnection) -> list[Decision]:
    """What the rules say for every way to fill in what is not stated; empty where there are too many ways."""
    missing = _missing(rules, case)
    intervals = space_of(rules, case.variant).intervals
    options: list[list[int]] = []
    for position, domain in enumerate(rules.domains):
        if position in case.facts:
            options.append([case.facts[position]])
        elif position not in missing:
            options.append([0])
        elif domain.name in rules.entangled:
            options.append(list(range(domain.size)))
        else:
            options.append([interval[0] for interval in intervals[position]])
    if math.prod(map(len, options)) > _MOST_CASES:
        return []
    cases: list[Case] = list(itertools.product(*options))
    return evaluate(rules, [(case.variant, one) for one in cases], connection)


def _threshold(rules: CheckedRules, case: ParsedCase) -> str | None:
    """The shown threshold whose name the question has; the longest name, where one is a part of another."""
    named = [
        (len(parameter.text), name)
        for name, parameter in rules.ruleset.parameters.items()
        if parameter.text and parameter.text.casefold() in case.question.casefold()
    ]
    return parameter_words(rules, case.variant, max(named)[1]) if named else None

"""The rule engine with extracted facts: the model says what the case states, the rules themselves say what follows.

Owns asking a packaged model for facts in the form it was trained on, and what becomes of its answers: what cannot be
read strictly is no fact, so the engine says nothing and the answer counts as wrong. It must not read the facts that
compilers recorded, nor those that the parser reads; the rules are those that the question shows, as for parsed facts.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from hrmbuild.evaluation.baselines import Baseline
from hrmbuild.evaluation.scores import BATCH_SIZE, SPARE_TOKENS
from hrmbuild.inference.generate import Limits, Prompt, encode, generate
from hrmbuild.inference.load import LoadedModel
from hrmbuild.pairs.context import SqlConnection
from hrmbuild.pairs.environment import Templates
from hrmbuild.pairs.rules_checked import CheckedRules
from hrmbuild.pairs.rules_facts import facts_instruction, longest_facts, read_facts
from hrmbuild.pipelines.parsed_case import ParsedCase
from hrmbuild.pipelines.rule_engine import engine_answer, shown_case
from hrmbuild.records.pair import Pair

EXTRACTED = "rule engine with extracted facts"
ASKED_KINDS = ("rules.outcome", "rules.excerpt", "rules.missing_fact")
"""Kinds that ask what follows from a case, told in words from which giving facts was trained."""
_VALIDATOR = "questions."
UNREADABLE = ("too_long", "not_json", "missing_fact", "unknown_fact", "out_of_range", "undecided")
"""Why an answer came to nothing: the prompt fills the context; no flat JSON object; a fact of the list is not in it;
one is that the list does not have; a value that its fact cannot have; so many facts null that the engine gives up."""


@dataclass(frozen=True)
class Extracted:
    """What came of asking for facts."""

    answers: dict[str, str]
    """Id of each pair that was asked -> the engine's answer, empty where the facts could not be read."""
    failures: dict[str, int]
    """Counts by the names of `UNREADABLE`."""
    seconds: float
    """Asking and deciding."""

    def baseline(self) -> Baseline:
        """As a column of the table."""
        return lambda pair: self.answers.get(pair.id)

    @property
    def n_failed(self) -> int:
        """Questions for which no facts could be had."""
        return sum(self.failures.values())

    def as_dict(self) -> dict[str, int]:
        """As `--json` shows it."""
        return {"n": len(self.answers), "failed": self.n_failed, **self.failures}


class AskedCase(NamedTuple):
    """A case whose facts are asked for."""

    pair: Pair
    rules: CheckedRules
    case: ParsedCase
    prompt: Prompt


def extract_facts(
    loaded: LoadedModel,
    pairs: Sequence[Pair],
    *,
    rules: Sequence[CheckedRules],
    templates: Templates,
    seed: int,
    connection: SqlConnection,
    advance: Callable[[int], None],
) -> Extracted:
    """Ask for the facts of every case that an outcome is asked of, and let the shown rules decide.

    Args:
        pairs: other kinds, and questions that show none of these rules, are left out.
        seed: of the corpus: it decides which wordings were trained.
    """
    started_at_s = time.monotonic()
    asked = list(asked_cases(pairs, rules, templates, seed))
    responses = _responses(loaded, asked, advance)
    failures: Counter[str] = Counter()
    answers: dict[str, str] = {}
    for one, response in zip(asked, responses, strict=True):
        answer, failure = decided(one, response, connection)
        answers[one.pair.id] = answer
        if failure is not None:
            failures[failure] += 1
    counts = {name: failures[name] for name in UNREADABLE}
    return Extracted(answers, counts, time.monotonic() - started_at_s)


def asked_cases(
    pairs: Sequence[Pair], rules: Sequence[CheckedRules], templates: Templates, seed: int
) -> Iterator[AskedCase]:
    """The cases that an outcome is asked of, with the prompt for their facts."""
    for pair in pairs:
        if pair.kind not in ASKED_KINDS and not pair.kind.startswith(_VALIDATOR):
            continue
        shown = shown_case(rules, pair)
        if shown is not None:
            own, case = shown
            text = facts_instruction(own, templates, case=case.question, seed=seed)
            yield AskedCase(pair, own, case, Prompt(text))


def _responses(loaded: LoadedModel, asked: Sequence[AskedCase], advance: Callable[[int], None]) -> list[str | None]:
    """Greedy answers in order; None where a prompt fills the context."""
    model, tokenizer = loaded.model, loaded.tokenizer
    context = model.config.context_tokens
    fitting = [i for i, one in enumerate(asked) if len(encode(tokenizer, one.prompt)) < context]
    responses: list[str | None] = [None] * len(asked)
    for start in range(0, len(fitting), BATCH_SIZE):
        group = fitting[start : start + BATCH_SIZE]
        longest = tokenizer.encode_batch([longest_facts(asked[i].rules) for i in group])
        limits = Limits(max(map(len, longest)) + SPARE_TOKENS, BATCH_SIZE)
        given = generate(model, tokenizer, [asked[i].prompt for i in group], limits=limits)
        for i, one in zip(group, given, strict=True):
            responses[i] = one.text
        advance(len(group))
    return responses


def decided(one: AskedCase, response: str | None, connection: SqlConnection) -> tuple[str, str | None]:
    """The engine's answer, or an empty one with the reason."""
    if response is None:
        return "", "too_long"
    found = read_facts(one.rules, response)
    if found.problem is not None:
        return "", found.problem
    answer = engine_answer(one.rules, replace(one.case, facts=found.facts), one.pair, connection)
    return (answer, None) if answer is not None else ("", "undecided")

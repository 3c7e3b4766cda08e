"""What a model must beat: answers that need no model, found in the training pairs alone.

Owns three baselines. Majority: the most frequent answer to this kind of question about this source. Nearest: the answer
of the training question whose words are most like this one's, among those of its kind. Tree: a decision tree on the
facts, grown on the rule set as written; it sees the facts as numbers, and never the shown text, so it cannot follow a
variant. A baseline that has nothing to say of a pair says None. It must not generate text.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from hrmbuild.evaluation.nearest import NearestTexts
from hrmbuild.evaluation.tree import DecisionTree, grow_tree
from hrmbuild.records.pair import Pair

Baseline = Callable[[Pair], str | None]
"""A pair -> the answer's value, or None where the baseline does not apply."""

_FACT = "fact."


class _Rules(NamedTuple):
    """Which rules a scenario is about, and what it says."""

    key: tuple[str, str]
    """(rule set, kind of question)."""
    facts: dict[str, str]
    as_written: bool


def baselines_from(train: Sequence[Pair]) -> dict[str, Baseline]:
    """All baselines, by the name of their column."""
    return {"majority": majority(train), "nearest": nearest(train), "tree": tree(train)}


def majority(train: Iterable[Pair]) -> Baseline:
    """The most frequent possible answer of (kind, source), else of the kind, else of the type of answer (a validator's
    questions are of no trained kind); the first in order of equals.

    Where the question has choices only they are possible: on a rule set that was never trained on, the habits of
    others would otherwise score nothing and flatter the model.
    """
    counts: dict[tuple[str, str | None], Counter[str]] = defaultdict(Counter)
    for pair in train:
        for key in _keys(pair):
            counts[key][pair.answer.value] += 1

    def answer(pair: Pair) -> str | None:
        choices = pair.answer.choices
        for key in _keys(pair):
            possible = {value: n for value, n in counts.get(key, {}).items() if choices is None or value in choices}
            if possible:
                return min(possible, key=lambda value: (-possible[value], value))
        return choices[0] if choices and counts else None

    return answer


def _keys(pair: Pair) -> tuple[tuple[str, str | None], ...]:
    return (pair.kind, pair.occurrences[0].source_sha256), (pair.kind, None), (_of_type(pair), None)


def _of_type(pair: Pair) -> str:
    return f"type {pair.answer.type}"


def nearest(train: Iterable[Pair]) -> Baseline:
    """The answer of the most similar training question of the same kind, else of the same type of answer; indexes are
    built when first asked.
    """
    groups: dict[str, list[Pair]] = defaultdict(list)
    for pair in train:
        groups[pair.kind].append(pair)
        groups[_of_type(pair)].append(pair)
    indexes: dict[str, NearestTexts] = {}

    def answer(pair: Pair) -> str | None:
        group = next((name for name in (pair.kind, _of_type(pair)) if name in groups), None)
        if group is None:
            return None
        if group not in indexes:
            indexes[group] = NearestTexts([one.instruction for one in groups[group]])
        return groups[group][indexes[group].nearest(pair.instruction)].answer.value

    return answer


def tree(train: Iterable[Pair]) -> Baseline:
    """A tree a rule set and kind of question, grown on the scenarios of the rule set as written."""
    cases: dict[tuple[str, str], list[tuple[Mapping[str, str], str]]] = defaultdict(list)
    for pair in train:
        rules = _rules(pair)
        if rules is not None and rules.as_written:
            cases[rules.key].append((rules.facts, pair.answer.value))
    trees: dict[tuple[str, str], DecisionTree] = {
        key: grow_tree([facts for facts, _ in known], [value for _, value in known])
        for key, known in sorted(cases.items())
    }

    def answer(pair: Pair) -> str | None:
        rules = _rules(pair)
        return trees[rules.key].predict(rules.facts) if rules is not None and rules.key in trees else None

    return answer


def _rules(pair: Pair) -> _Rules | None:
    """What the occurrence of a rule pair records; None for other pairs, for questions without a case, and for those
    that ask for the facts themselves: a tree that is handed the answer is no baseline.
    """
    inputs = pair.occurrences[0].inputs or {}
    facts = {name.removeprefix(_FACT): value for name, value in inputs.items() if name.startswith(_FACT)}
    if "ruleset" not in inputs or not facts or pair.answer.type == "json":
        return None
    return _Rules((inputs["ruleset"], pair.kind), facts, is_as_written(pair))


def is_as_written(pair: Pair) -> bool:
    """Whether a rule pair is about its rule set as its owner wrote it, whole."""
    inputs = pair.occurrences[0].inputs or {}
    return "ruleset" in inputs and "variant" not in inputs and "left_out" not in inputs

"""The rendered instruction alone decides: a plain Python reader of English recomputes every kind of rule pair.

It shares no code with the compilers and sees no rule set, no SQL and no facts: only the text that a model is given.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from ruleset_support import EXAMPLES, context_of, example_record, opened

from hrmbuild.pairs.rules_executable import compile_ruleset
from hrmbuild.records.pair import CompiledPair

NUMBERS = ("amount", "days")
CATEGORIES = {
    "home-claims": ("cause", ("storm", "water", "theft")),
    "premium-refunds": ("reason", ("sale", "switch", "death")),
    "travel-expenses": ("carrier", ("rail", "car", "air")),
}
FLAGS = {
    "home-claims": ("photos", "photos", "no photos"),
    "premium-refunds": ("claim", "claim made", "no claim"),
    "travel-expenses": ("payer", "client pays", "we pay"),
}
GRID = range(10, 100, 5)
Case = dict[str, object]


@dataclass(frozen=True)
class Reading:
    """What a reader of English finds in an instruction."""

    rules: list[tuple[str, list[str], str]]
    """Number, conditions as written, outcome; the line `Else` has no conditions."""
    case: Case
    told: str


def read(name: str, instruction: str) -> Reading:
    text, _, told = instruction.partition("\n\n")
    rules = []
    for line in text.splitlines():
        if match := re.fullmatch(r"(\d+)\. (?:If (.+)|Else): (\w+)\.", line):
            number, conditions, outcome = match.groups()
            rules.append((number, conditions.split(" and ") if conditions else [], outcome))
    return Reading(rules, read_case(name, told), told)


def read_case(name: str, told: str) -> Case:
    case: Case = {}
    for word in NUMBERS:
        if match := re.search(rf"\b{word}(?:: | is | )(\d+)\b", told):
            case[word] = int(match.group(1))
    category, values = CATEGORIES[name]
    for value in values:
        if re.search(rf"\b{value}\b", told):
            case[category] = value
    flag, yes, no = FLAGS[name]
    if re.search(rf"\b{no}\b", told):
        case[flag] = False
    elif re.search(rf"\b{yes}\b", told):
        case[flag] = True
    return case


def holds(name: str, condition: str, case: Case) -> bool:
    if match := re.fullmatch(r"(\w+) (over|under|at least|at most) (\d+)", condition):
        value, limit = case[match.group(1)], int(match.group(3))
        assert isinstance(value, int)
        return {"over": value > limit, "under": value < limit, "at least": value >= limit, "at most": value <= limit}[
            match.group(2)
        ]
    flag, yes, no = FLAGS[name]
    if condition in (yes, no):
        return case[flag] is (condition == yes)
    category, values = CATEGORIES[name]
    assert condition in values, condition
    return case[category] == condition


def fired(name: str, reading: Reading, case: Case) -> list[tuple[str, str]]:
    return [(n, outcome) for n, parts, outcome in reading.rules if all(holds(name, part, case) for part in parts)]


def ways(name: str, case: Case, missing: str) -> Iterator[Case]:
    """The case with every value that a missing fact can have."""
    category, values = CATEGORIES[name]
    options = values if missing == category else (True, False) if missing == FLAGS[name][0] else GRID
    for value in options:
        yield {**case, missing: value}


def possible(name: str, reading: Reading, missing: str) -> set[str]:
    return {fired(name, reading, case)[0][1] for case in ways(name, reading.case, missing)}


def read_outcome(name: str, pair: CompiledPair) -> str:
    reading = read(name, pair.instruction)
    missing = [w for w in (*NUMBERS, CATEGORIES[name][0], FLAGS[name][0]) if w not in reading.case]
    if pair.kind == "rules.outcome" and missing:
        (outcome,) = possible(name, reading, missing[0])
        return outcome
    found = fired(name, reading, reading.case)
    checks = [f"{n} {'yes' if (n, o) in found else 'no'}" for n, parts, o in reading.rules if parts]
    assert pair.response.startswith(f"{found[0][1]}. {', '.join(checks)}. Rule {found[0][0]}: "), pair.response
    return found[0][1]


def read_answer(name: str, pair: CompiledPair) -> str:
    reading = read(name, pair.instruction)
    match pair.kind:
        case "rules.outcome" | "rules.excerpt":
            return read_outcome(name, pair)
        case "rules.missing_fact":
            (missing,) = [w for w in (*NUMBERS, CATEGORIES[name][0], FLAGS[name][0]) if w not in reading.case]
            assert len(possible(name, reading, missing)) > 1
            return f"cannot be decided without {missing}"
        case "rules.condition":
            ((_, parts, _),) = reading.rules
            return "yes" if all(holds(name, part, reading.case) for part in parts) else "no"
        case "rules.which_rule":
            return f"rule {fired(name, reading, reading.case)[0][0]}"
        case "rules.facts":
            return read_facts(name, pair.instruction)
        case "rules.change":
            facts = (*NUMBERS, CATEGORIES[name][0], FLAGS[name][0])
            return changes(name, reading, facts, pair)
        case _:
            number = re.fullmatch(r"(\d+)(?: .+)?\. Rule (\d+)\.", pair.response)
            assert number is not None
            (line,) = [parts for n, parts, _ in reading.rules if n == number.group(2)]
            assert re.search(rf"\b{number.group(1)}\b", " ".join(line))
            return number.group(1)


def read_facts(name: str, instruction: str) -> str:
    """The list that is shown says which facts there are; the case under it says what they are."""
    shown, _, told = instruction.partition("\n\n")
    case, facts = read_case(name, told), dict[str, object]()
    for line in shown.splitlines()[1:]:
        key, _, form = line.partition(": ")
        label = form.partition(", ")[0] if ", " in form else key
        said = [value for value in form.split(" | ") if re.search(rf"\b{value}\b", told)]
        known = label in (*NUMBERS, CATEGORIES[name][0], FLAGS[name][0])
        facts[key] = case.get(label) if known else next(iter(said), None)
    return json.dumps(facts, separators=(",", ":"))


def changes(name: str, reading: Reading, facts: tuple[str, ...], pair: CompiledPair) -> str:
    """The asked fact is one that the last line names: the others there are the case's own."""
    decided = fired(name, reading, reading.case)[0][1]
    answers = {}
    for fact in facts:
        others = sorted(possible(name, reading, fact) - {decided})
        answers[fact] = f"yes. {', '.join(others)}." if others else "no."
    question = re.sub(r"(?:: |\b)(?:\d+|no claim|no photos)", "", reading.told.splitlines()[-1])
    asked = [fact for fact in facts if len(re.findall(rf"\b{fact}\b", question)) > 0]
    assert any(pair.response == answers[fact] for fact in asked), (pair.instruction, pair.response, answers)
    return pair.answer.value


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_reader_of_the_text_alone_comes_to_the_same_answers(name: str) -> None:
    record = example_record(name)
    n_checked = 0
    kinds = set()
    with opened() as connection:
        context = context_of(record, connection, scenarios=300, variants=40, variant_scenarios=10, lookup_fraction=0.1,
                             facts_fraction=0.2)  # fmt: skip
        for pair in compile_ruleset(record, context):
            assert isinstance(pair, CompiledPair)
            assert read_answer(name, pair) == pair.answer.value, pair.instruction
            assert pair.response.startswith(pair.answer.value)
            n_checked += 1
            kinds.add(pair.kind)
    assert n_checked > 1000
    assert len(kinds) == 8

"""Which single change alters the outcome: the rendered text alone decides, read and gone through by hand."""

from __future__ import annotations

import pytest
from ruleset_support import EXAMPLES, context_of, example_record, opened, record_of, ruleset
from test_rules_read_by_hand import CATEGORIES, FLAGS, NUMBERS, fired, possible, read

from hrmbuild.pairs.rules_executable import compile_ruleset
from hrmbuild.records.document import RuleSetFile
from hrmbuild.records.pair import CompiledPair

FRACTION = 0.5


def asked(record: RuleSetFile, **settings: float) -> list[CompiledPair]:
    told = {"scenarios": 60, "variants": 8, "variant_scenarios": 6, "facts_fraction": 0, **settings}
    with opened() as connection:
        made = list(compile_ruleset(record, context_of(record, connection, **told)))
    return [pair for pair in made if isinstance(pair, CompiledPair) and pair.kind == "rules.sole_change"]


@pytest.mark.parametrize("name", [EXAMPLES[0], *(pytest.param(one, marks=pytest.mark.slow) for one in EXAMPLES[1:])])
def test_a_reader_of_the_text_alone_finds_the_same_fact_and_no_other(name: str) -> None:
    pairs = asked(example_record(name), sole_change_fraction=FRACTION)
    answers = set[str]()
    for pair in pairs:
        reading = read(name, pair.instruction)
        decided = fired(name, reading, reading.case)[0][1]
        told = [fact for fact in (*NUMBERS, CATEGORIES[name][0], FLAGS[name][0]) if fact in reading.case]
        others = {fact: sorted(possible(name, reading, fact) - {decided}) for fact in told}
        able = [fact for fact in told if others[fact]]
        assert able == [pair.answer.value], pair.instruction
        assert pair.response == f"{able[0]}. Then: {', '.join(others[able[0]])}."
        assert pair.answer.choices is not None and set(told) <= set(pair.answer.choices)
        answers.add(able[0])
    # Of the travel rules the first asks for the amount alone, so no other fact is ever the only one.
    assert len(pairs) > 20 and len(answers) >= (1 if name == "travel-expenses" else 3)


def test_nothing_is_asked_unless_it_was_asked_for_and_nothing_else_moves() -> None:
    record = record_of(ruleset())
    assert asked(record) == [] and asked(record, sole_change_fraction=0) == []
    assert asked(record, sole_change_fraction=1) != []


def test_a_rule_set_with_a_fact_that_nobody_can_go_through_is_not_asked_about() -> None:
    tested = ruleset(rules=[
        {"id": "R1", "when": "distance is null", "then": "refuse", "text": "No distance: refuse.", "because": "none"},
        {"id": "R2", "when": "permit", "then": "give", "text": "Permit: give.", "because": "permit"},
    ], parameters={})  # fmt: skip
    assert asked(record_of(tested), sole_change_fraction=1) == []

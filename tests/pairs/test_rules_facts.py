"""Facts as JSON: what is asked, what is answered, and how strictly an answer is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruleset_support import PARKING, context_of, example_record, opened, record_of, ruleset, templates

from hrmbuild.evaluation.answers import score_response
from hrmbuild.pairs.registry import compile_record
from hrmbuild.pairs.rules_checked import CheckedRules, check_rules
from hrmbuild.pairs.rules_facts import facts_instruction, facts_json, longest_facts, plainest, read_facts
from hrmbuild.pairs.splits import assign, held_out_wordings
from hrmbuild.records.pair import CompiledPair

LEAVE: dict[str, Any] = PARKING | {
    "facts": PARKING["facts"] | {
        "pay": {"type": "decimal", "text": "monthly pay", "unit": "EUR", "min": "-5", "max": "2000", "step": "0.50"},
        "start": {"type": "date", "text": "first day", "min": "2026-01-01", "max": "2026-12-31"},
    }
}  # fmt: skip


def pairs_of(record: Any, **rules: Any) -> list[CompiledPair]:
    with opened() as connection:
        context = context_of(record, connection, **{"scenarios": 200, "variants": 12, "variant_scenarios": 8} | rules)
        return [pair for pair in compile_record(record, context) if isinstance(pair, CompiledPair)]


@pytest.fixture(scope="module")
def travel() -> list[CompiledPair]:
    found = pairs_of(example_record("travel-expenses"), facts_fraction=0.6, absent_fraction=0.2)
    return [pair for pair in found if pair.kind == "rules.facts"]


@pytest.fixture(scope="module")
def leave() -> Iterator[CheckedRules]:
    with opened() as connection:
        yield check_rules(ruleset(**LEAVE), path="leave.yaml", connection=connection)


def test_without_them_every_other_pair_is_the_same() -> None:
    record = record_of(ruleset())
    without, some = pairs_of(record, facts_fraction=0), pairs_of(record, facts_fraction=0.5)
    assert without == [pair for pair in some if pair.kind != "rules.facts"] and len(some) > len(without)


def test_the_response_holds_every_fact_and_null_for_what_is_not_told(travel: list[CompiledPair]) -> None:
    assert len(travel) > 100
    nulls = Counter[int]()
    for pair in travel:
        inputs = pair.occurrence.inputs or {}
        told = {key.removeprefix("fact."): value for key, value in inputs.items() if key.startswith("fact.")}
        parts = {key: told.get(key, "null") for key in ("amount", "days", "carrier", "client", "branch")}
        expected = ",".join(
            f'"{key}":"{value}"' if key in ("carrier", "branch") and value != "null" else f'"{key}":{value}'
            for key, value in parts.items()
        )
        assert pair.response == pair.answer.value == "{" + expected + "}"
        assert pair.occurrence.text in pair.instruction and pair.answer.type == "json"
        nulls[pair.response.count("null")] += 1
    assert nulls[0] and nulls[1] and nulls[2]


def test_a_case_is_asked_for_its_facts_once_and_shows_no_held_out_wording(travel: list[CompiledPair]) -> None:
    assert len({pair.content_key for pair in travel}) == len(travel)
    held_out = held_out_wordings(templates().wordings("rules.facts"), 0)
    sides = Counter(assign(pair.split_keys, 0) for pair in travel)
    assert sides["train", None] > sides["test", "cell"] > 0 and sides["test", "variant"] > 0
    tails = _tails_of_held_out_cases()
    for pair in travel:
        is_new = assign(pair.split_keys, 0) == ("test", "wording")
        assert (pair.split_keys.wording in held_out) == is_new
        assert not any(tail in pair.instruction for tail in tails)


def _tails_of_held_out_cases() -> list[str]:
    """Last lines that only wordings of outcomes have which are never trained on."""
    names = templates().wordings("rules.outcome")
    tails = {name: templates().render(name, facts=[]).strip().splitlines()[-1] for name in names}
    held_out = held_out_wordings(names, 0)
    return [f"\n{tail}\n" for name, tail in tails.items() if name in held_out and " . " not in tail]


def test_at_inference_the_instruction_is_the_trained_one(travel: list[CompiledPair]) -> None:
    trained = [name for name in templates().wordings("rules.facts")
               if name not in held_out_wordings(templates().wordings("rules.facts"), 0)]  # fmt: skip
    plain = [pair for pair in travel if pair.split_keys.wording == plainest(trained)]
    assert plain
    with opened() as connection:
        record = example_record("travel-expenses")
        rules = check_rules(record.ruleset, path=record.path, connection=connection)
    for pair in plain:
        _, case, _ = pair.instruction.split("\n\n")
        assert facts_instruction(rules, templates(), case=case, seed=0) == pair.instruction


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_what_is_written_is_read_again(leave: CheckedRules, data: st.DataObject) -> None:
    facts = {
        i: data.draw(st.integers(0, domain.size - 1))
        for i, domain in enumerate(leave.domains)
        if data.draw(st.booleans())
    }
    text = facts_json(leave, facts)
    assert read_facts(leave, f" {text}\n").facts == facts
    assert len(text) <= len(longest_facts(leave)) + 4 * len(leave.domains)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("}", "", "not_json"),
        ("}", "}.", "not_json"),
        ("}", ',"permit":true}', "not_json"),
        (":12.50", ":NaN", "not_json"),
        (":12.50", ":[12.50]", "not_json"),
        ('"pay":12.50,', "", "missing_fact"),
        ("}", ',"mood":null}', "unknown_fact"),
        (":12.50", ":12.51", "out_of_range"),
        (":12.50", ":1e999999", "out_of_range"),
        (":12.50", ':"12.50"', "out_of_range"),
        (":12.50", ":true", "out_of_range"),
        ('"clerk"', '"Clerk"', "out_of_range"),
        (":true", ":1", "out_of_range"),
        ("2026-03-05", "2026-02-30", "out_of_range"),
        ("2026-03-05", "2027-03-05", "out_of_range"),
    ],
)
def test_what_is_not_exactly_the_facts_is_no_answer(leave: CheckedRules, old: str, new: str, problem: str) -> None:
    right = '{"distance":7,"role":"clerk","permit":true,"colour":null,"pay":12.50,"start":"2026-03-05"}'
    assert read_facts(leave, right).problem is None
    assert old in right and read_facts(leave, right.replace(old, new)).problem == problem


def test_facts_are_scored_by_value_and_the_order_says_nothing(travel: list[CompiledPair]) -> None:
    answer = travel[0].answer.model_copy(update={"value": '{"a":12.50,"b":true,"c":null}'})
    for text, right in [
        ('{"b": true, "a": 12.5, "c": null}', True),
        ('{"a":12.50,"b":1,"c":null}', False),
        ('{"a":12.50,"b":true}', False),
        ('{"a":12.51,"b":true,"c":null}', False),
        ('{"a":12.50,"b":true,"c":null} yes', False),
    ]:
        assert score_response(answer, text, expected=answer.value).exact is right

"""The compiler of executable rules: twins, sides, evidence, amounts, dated rules."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from ruleset_support import PARKING, context_of, example_record, opened, record_of, ruleset

from hrmbuild.errors import InputError
from hrmbuild.pairs.registry import compile_record
from hrmbuild.pairs.splits import assign
from hrmbuild.records.pair import CompiledPair, Rejection

SMALL: dict[str, Any] = {"scenarios": 120, "variants": 20, "variant_scenarios": 10, "absent_fraction": 0.3}


def pairs_of(record: Any, *, seed: int = 0, as_of: dt.date | None = None, **settings: Any) -> list[CompiledPair]:
    with opened() as connection:
        context = replace(context_of(record, connection, seed=seed, **{**SMALL, **settings}), as_of=as_of)
        found = list(compile_record(record, context))
    assert all(isinstance(pair, CompiledPair) for pair in found)
    return [pair for pair in found if isinstance(pair, CompiledPair)]


@pytest.fixture(scope="module")
def travel() -> list[CompiledPair]:
    return pairs_of(example_record("travel-expenses"), scenarios=600, variants=60)


def inputs(pair: CompiledPair) -> dict[str, str]:
    assert pair.occurrence.inputs is not None
    return pair.occurrence.inputs


def test_content_keys_are_distinct_and_a_second_run_gives_the_same_pairs(travel: list[CompiledPair]) -> None:
    assert len({pair.content_key for pair in travel}) == len(travel)
    assert pairs_of(example_record("travel-expenses"), scenarios=600, variants=60) == travel


def test_the_rule_text_stands_in_the_instruction_word_for_word(travel: list[CompiledPair]) -> None:
    assert all(pair.occurrence.text in pair.instruction for pair in travel)


def test_the_response_begins_with_the_typed_answer(travel: list[CompiledPair]) -> None:
    assert all(pair.response.startswith(pair.answer.value) for pair in travel)


def test_each_undecidable_case_has_a_twin_with_the_fact_on_the_same_side(travel: list[CompiledPair]) -> None:
    def told(pair: CompiledPair) -> dict[str, str]:
        return {k: v for k, v in inputs(pair).items() if k.startswith("fact.")}

    absent = [pair for pair in travel if pair.kind == "rules.missing_fact"]
    assert len(absent) > 50
    whole = [pair for pair in travel if pair.kind == "rules.outcome"]
    for pair in absent:
        twins = [
            twin
            for twin in whole
            if inputs(twin).items() >= inputs(pair).items() and len(told(twin)) == len(told(pair)) + 1
        ]
        assert any(assign(twin.split_keys, 0) == assign(pair.split_keys, 0) for twin in twins)
        assert pair.answer.type == "absent" and pair.derivation == "absent"


def test_held_out_pairs_are_new_on_one_axis_only(travel: list[CompiledPair]) -> None:
    sides = Counter(assign(pair.split_keys, 0) for pair in travel if pair.kind == "rules.outcome")
    assert set(sides) == {
        ("train", None),
        *((s, a) for s in ("dev", "test") for a in ("variant", "cell")),
        ("test", "wording"),
    }
    for pair in travel:
        keys = pair.split_keys
        news = [keys.variant_side not in (None, "train"), keys.wording_side == "test"]
        news.append(keys.cell is not None and keys.cell_side != "train" and keys.variant_side in (None, "train"))
        assert sum(news) <= 1


def test_held_out_wordings_are_never_seen_in_training(travel: list[CompiledPair]) -> None:
    trained = {p.split_keys.wording for p in travel if assign(p.split_keys, 0)[0] == "train"}
    held = {p.split_keys.wording for p in travel if assign(p.split_keys, 0) == ("test", "wording")}
    assert held and not held & trained


def test_a_declared_side_keeps_every_pair_there() -> None:
    record = record_of(ruleset())
    with opened() as connection:
        context = context_of(record, connection, **SMALL)
        declared = replace(context, settings=context.settings.model_copy(update={"split": "test"}))
        found = list(compile_record(record, declared))
    assert {assign(p.split_keys, 0) for p in found if isinstance(p, CompiledPair)} == {("test", "document")}


def test_a_gap_is_answered_as_such() -> None:
    gaps = [p for p in pairs_of(record_of(ruleset())) if p.answer.value == "no rule applies"]
    assert gaps
    assert all("yes" not in pair.response and "Rule" not in pair.response for pair in gaps)


def test_irrelevant_facts_are_told_now_and_then_and_never_matter() -> None:
    pairs = [p for p in pairs_of(record_of(ruleset())) if p.kind == "rules.outcome"]
    told = ["fact.colour" in inputs(p) for p in pairs]
    assert 0.1 < sum(told) / len(told) < 0.4


def amounts(**changes: Any) -> dict[str, Any]:
    rules = [
        {"id": "A", "when": "nights > cap", "then": "round(nights * rate / 3, 2)", "text": "Over {cap}: a third.",
         "because": "nights {nights}"},
        {"id": "B", "then": "nights * 12.50", "text": "Else 12.50 a night.", "because": "no other rule"},
    ]  # fmt: skip
    return {
        "ruleset": "allowance",
        "title": "Allowance",
        "question": "How much is paid?",
        "amount_unit": "EUR",
        "facts": {
            "nights": {"type": "integer", "text": "nights", "min": "1", "max": "30"},
            "rate": {"type": "decimal", "text": "rate", "min": "10", "max": "20", "step": "0.5"},
        },
        "parameters": {"cap": {"value": "7", "min": "3", "max": "20"}},
        "rules": rules,
        **changes,
    }


def test_amounts_are_exact_and_hang_on_the_facts_they_read() -> None:
    pairs = pairs_of(record_of(ruleset(**{"outcomes": [], "parameters": {}, **amounts()})))
    outcomes = [p for p in pairs if p.kind == "rules.outcome" and {"fact.nights", "fact.rate"} <= set(inputs(p))]
    assert len(outcomes) > 100
    for pair in outcomes:
        given = inputs(pair)
        nights, rate2, cap = (
            int(given["fact.nights"]),
            round(2 * float(given["fact.rate"])),
            int(given["parameter.cap"]),
        )
        cents = (nights * rate2 * 100 * 2 + 6) // 12 if nights > cap else nights * 1250
        assert pair.answer.value == f"{cents // 100}.{cents % 100:02d}"
        assert pair.response.startswith(f"{pair.answer.value} EUR.")
    missing = [p for p in pairs if p.kind == "rules.missing_fact"]
    assert {p.answer.value for p in missing} == {"cannot be decided without nights", "cannot be decided without rate"}


def test_dated_rules_hold_on_their_days_only() -> None:
    rules = [{**rule} for rule in PARKING["rules"]]
    rules[0] |= {"effective_from": "2026-07-01"}
    record = record_of(ruleset(rules=rules))
    with pytest.raises(InputError) as caught:
        pairs_of(record)
    assert caught.value.code == "compile.no_as_of"
    before, after = (pairs_of(record, as_of=dt.date(2026, month, 1)) for month in (6, 8))
    assert not any("R1." in pair.instruction for pair in before)
    assert any("R1." in pair.instruction for pair in after)


def broken(change: Callable[[list[dict[str, Any]]], None]) -> InputError:
    rules = [{**rule} for rule in PARKING["rules"]]
    change(rules)
    with pytest.raises(InputError) as caught:
        pairs_of(record_of(ruleset(rules=rules)))
    return caught.value


def test_faulty_expressions_are_all_named_at_once_with_rule_and_file() -> None:
    def change(rules: list[dict[str, Any]]) -> None:
        rules[0]["when"] = "distance < random()"
        rules[2]["when"] = "distance > (select 3)"

    error = broken(change)
    assert error.code == "compile.expression"
    assert [error.where, *(more.where for more in error.more)] == ["rules/x.yaml, rule R1", "rules/x.yaml, rule R3"]
    assert "random" in error.what


def test_a_text_with_braces_in_a_case_is_never_a_place() -> None:
    facts = {**PARKING["facts"], "role": {"type": "choice", "text": "role", "values": ["{near}", "guest"]}}
    pairs = pairs_of(record_of(ruleset(facts=facts)))
    assert any("permit, {near}" in pair.response for pair in pairs)


def test_a_table_of_data_that_was_declared_as_rules_is_refused_before_minutes_of_computing() -> None:
    rules = [{"id": f"R{n}", "when": f"distance > {n % 40}", "then": "give", "text": "words " * 150, "because": "so"}
             for n in range(80)]  # fmt: skip
    record = record_of(ruleset(rules=rules))
    with opened() as connection:
        [rejection] = compile_record(record, context_of(record, connection, seed=0, **SMALL))
    assert isinstance(rejection, Rejection)
    assert rejection.code == "compile.too_long" and "'kind: tables'" in rejection.detail

"""Variants: which thresholds each side may use, and what stays in order."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import pytest
from ruleset_support import EXAMPLES, PARKING, example_record, opened, ruleset

from hrmbuild.pairs.rules_checked import check_rules
from hrmbuild.pairs.rules_wording import parameter_words
from hrmbuild.pairs.variants import as_written, build_variants, cut_to, excerpt, threshold_sides
from hrmbuild.records.ruleset import RuleSet


@pytest.mark.parametrize("name", EXAMPLES)
def test_thresholds_of_held_out_variants_never_occur_in_training(name: str) -> None:
    rules = example_record(name).ruleset
    variants = build_variants(rules, in_force=tuple(range(len(rules.rules))), n=300, seed=0)
    sides = Counter(v.side for v in variants)
    assert sides["train"] > 100 and sides["test"] >= 2 and sides["dev"] >= 2
    for parameter in rules.parameters:
        used = {side: {v.parameters[parameter] for v in variants if v.side == side} for side in sides}
        assert not used["test"] & used["train"] and not used["dev"] & used["train"]


def test_as_written_belongs_to_train_and_so_do_the_ends_of_the_range() -> None:
    rules = ruleset()
    for name, parameter in rules.parameters.items():
        sides = threshold_sides(rules, seed=3)[name]
        for value in (parameter.value, parameter.min, parameter.max):
            assert Decimal(str(value)) in sides["train"]
        assert sorted(sides["train"] + sides["dev"] + sides["test"]) == [
            Decimal(i) for i in range(int(str(parameter.min)), int(str(parameter.max)) + 1)
        ]
    assert as_written(rules, in_force=(0, 1, 2)).side == "train"


def test_declared_order_of_thresholds_holds_in_every_variant() -> None:
    parameters = {
        "near": {"value": "5", "min": "2", "max": "28", "less_than": "far"},
        "far": {"value": "20", "min": "3", "max": "30"},
    }
    variants = build_variants(ruleset(parameters=parameters), in_force=(0, 1, 2), n=200, seed=0)
    assert len(variants) > 100
    assert all(v.parameters["near"] < v.parameters["far"] for v in variants)


def test_variants_differ_and_some_leave_out_the_optional_rule_only() -> None:
    variants = build_variants(ruleset(), in_force=(0, 1, 2), n=150, seed=0)
    assert len({(tuple(sorted(v.parameters.items())), v.order) for v in variants}) == len(variants)
    assert {v.left_out for v in variants} == {(), ("R2",)}
    assert 0.1 < sum(v.left_out == ("R2",) for v in variants) / len(variants) < 0.4


def test_priorities_of_a_variant_change_the_order_of_decision() -> None:
    rules = [dict(rule) for rule in PARKING["rules"]]
    rules[2] |= {"priority": "1", "priorities": ["0", "1"]}
    changed = RuleSet.model_validate({**PARKING, "rules": rules})
    assert as_written(changed, in_force=(0, 1, 2)).order == (2, 0, 1)
    orders = {v.order for v in build_variants(changed, in_force=(0, 1, 2), n=60, seed=0) if not v.left_out}
    assert orders == {(2, 0, 1), (0, 1, 2)}


def test_nothing_varies_without_declared_ranges() -> None:
    rules = [{**rule, "optional": "false"} for rule in PARKING["rules"]]
    fixed = ruleset(parameters={"near": {"value": "5"}, "far": {"value": "20"}}, rules=rules)
    assert build_variants(fixed, in_force=(0, 1, 2), n=20, seed=0) == []


def test_every_variant_shows_the_very_threshold_that_decides() -> None:
    near = {"value": "5", "min": "2", "max": "15", "step": "0.25", "text": "distance below which no bay is given"}
    facts = {**PARKING["facts"], "distance": {**PARKING["facts"]["distance"], "type": "decimal", "step": "0.25"}}
    rules = ruleset(parameters={**PARKING["parameters"], "near": near}, facts=facts)
    with opened() as connection:
        checked = check_rules(rules, path="x.yaml", connection=connection)
    shown = {}
    for variant in build_variants(rules, in_force=(0, 1, 2), n=60, seed=0):
        shown[variant.parameters["near"]] = Decimal(parameter_words(checked, variant, "near"))
    assert len(shown) > 10 and all(value == told for value, told in shown.items())


def test_an_excerpt_keeps_the_order_and_the_rules_that_always_hold() -> None:
    rules = example_record("travel-expenses").ruleset
    written = as_written(rules, in_force=(0, 1, 2, 3, 4))
    sizes = set()
    for number in range(40):
        short = excerpt(rules, written, seed=0, key=f"k{number}")
        assert short is not None and short.is_excerpt
        assert short.order == tuple(sorted(short.order)) and short.order[-1] == 4
        assert set(short.left_out) == {str(i + 1) for i in range(5)} - {str(i + 1) for i in short.order}
        sizes.add(len(short.order) - 1)
    assert sizes == {1, 2, 3}
    assert cut_to(rules, written, [2]).order == (2, 4)

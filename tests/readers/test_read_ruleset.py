"""Rule sets in YAML: numbers stay text, every problem has its place."""

from __future__ import annotations

import pytest

from hrmbuild.errors import InputError

RULES = """ruleset: meals
title: Meals
question: Is the claim approved or rejected?
facts:
  amount: {type: decimal, text: claim amount, unit: EUR, min: 0, max: 900.50, step: 0.50}
  receipt: {type: choice, text: receipt, values: [yes, no]}
parameters:
  limit: {value: 40.00, unit: EUR, min: 20, max: 60}
outcomes: [approved, rejected]
rules:
  - id: R1
    when: amount > limit and receipt = 'no'
    then: rejected
    text: Above {limit} a receipt is needed.
    because: no receipt above {limit}
    priority: 5
  - id: R2
    then: approved
    text: Other claims are approved.
    because: no rule forbids it
"""


def test_a_rule_set_is_read_and_decimals_keep_their_digits(read_file):
    ruleset = read_file("meals.yaml", RULES).records[0].ruleset
    assert ruleset.parameters["limit"].value == "40.00"
    assert ruleset.facts["receipt"].values == ("yes", "no")
    assert ruleset.rules[0].priority == 5


@pytest.mark.parametrize(
    ("old", "new", "code", "where"),
    [
        ("title: Meals", "titel: Meals", "read.bad_ruleset", "meals.yaml:2:1"),
        ("type: decimal", "type: float", "read.bad_ruleset", "meals.yaml:5:12"),
        ("id: R2", "id: R1", "read.bad_ruleset", "meals.yaml:17:5"),
        ("then: approved", "then: granted", "read.bad_ruleset", "meals.yaml:18:5"),
        ("value: 40.00", "value: 4e1", "read.bad_ruleset", "meals.yaml:8:11"),
        ("title: Meals", "title: Meals\ntitle: Again", "read.duplicate_key", "meals.yaml:3:1"),
        ("title: Meals", "title: &a Meals\nextra: *a", "read.yaml_alias", "meals.yaml:3:8"),
        ("title: Meals", "title: [Meals", "read.not_yaml", "meals.yaml:3:9"),
        ("title: Meals", "title: " + "[" * 50 + "]" * 50, "read.yaml_too_deep", "meals.yaml:2:47"),
        ("ruleset: meals", "name: meals", "read.not_a_ruleset", "meals.yaml"),
    ],
)
def test_each_problem_is_named_with_line_and_column(read_file, old, new, code, where):
    with pytest.raises(InputError) as caught:
        read_file("meals.yaml", RULES.replace(old, new))
    problems = [caught.value, *caught.value.more]
    assert (code, where) in [(problem.code, problem.where) for problem in problems]


def test_all_problems_are_told_at_once(read_file):
    broken = (
        RULES.replace("title: Meals\n", "")
        .replace("type: decimal", "type: float")
        .replace("unit: EUR, min: 20", "unt: EUR")
    )
    with pytest.raises(InputError) as caught:
        read_file("meals.yaml", broken)
    assert len(caught.value.more) == 2
    assert caught.value.exit_status == 3


@pytest.mark.parametrize("content", ["", "- a\n- b\n", "7\n"])
def test_other_yaml_is_no_rule_set(read_file, content):
    for format, code in ((None, "read.no_text"), ("ruleset", "read.not_a_ruleset")):
        with pytest.raises(InputError) as caught:
            read_file("other.yml", content, format=format)
        assert caught.value.code == code

"""Damaged files that once ended a reader (`tests/benchmarks/fuzz_ingest.py` found them): each is refused in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from hrmbuild.errors import InputError

DECISION = """decision_table: fee
inputs: {weight: {type: decimal, min: 0, max: 20, step: 0.5, unit: kg}}
output: {text: fee, amount: true}
rows:
- {weight: <=2, fee: 4}
- {weight: ">2", fee: 6}
"""
DAYS = """decision_table: fee
inputs: {day: {type: date, min: 2024-01-01, max: 2024-12-31}}
rows:
- {day: <=2024-05-01, decision: a}
- {day: ">2024-05-01", decision: b}
"""
RULES = """ruleset: meals
title: Meals
question: Is the claim approved or rejected?
facts:
  amount: {type: decimal, text: claim amount, min: 0, max: 900, step: 0.50}
  day: {type: date, text: day, min: 2024-01-01, max: 2024-12-31}
parameters: {limit: {value: 40, min: 20, max: 60}}
outcomes: [approved, rejected]
rules:
- {id: R1, then: approved, text: All., because: none, effective_from: 2024-01-01}
"""


@pytest.mark.parametrize(
    ("content", "old", "new"),
    [
        (DECISION, "max: 20", "max: _"),
        (DECISION, "max: 20", "max: [20]"),
        (DECISION, "max: 20", "max: 1e400"),
        (DECISION, "max: 20", "max: -1"),
        (DECISION, "step: 0.5", "step: 0"),
        (DECISION, "<=2", "<=" + "9" * 400),
        (DECISION, "unit: kg", "unit: {a: b}"),
        (DECISION, "unit: kg", "values: 5"),
        (DECISION, "type: decimal", "type: [decimal]"),
        (DECISION, "text: fee", "text: {fee: fee}"),
        (DECISION, "table: fee", "table: [fee]"),
        (DAYS, "max: 2024-12-31", "max: 2024-13-31"),
        (DAYS, "<=2024-05-01", "<=0001-01-01"),
        (DAYS, ", max: 2024-12-31", ", step: 0.5"),
        (RULES, "max: 900", "max: " + "9" * 400),
        (RULES, "max: 2024-12-31", "max: 2024-12-32"),
        (RULES, "from: 2024-01-01", "from: 2024-02-31"),
        (RULES, "value: 40", "value: 40." + "0" * 40),
    ],
)
def test_a_damaged_rule_set_is_refused_with_its_line(read_file, content: str, old: str, new: str) -> None:
    read_file("fine.yaml", content, kind="rules")
    assert content.count(old) >= 1
    with pytest.raises(InputError) as refused:
        read_file("bad.yaml", content.replace(old, new), kind="rules")
    assert refused.value.code in ("read.bad_decision_table", "read.bad_ruleset")
    assert (refused.value.where or "").startswith("bad.yaml:")


def test_a_sheet_of_rule_ids_alone_is_no_decision_table(read_file) -> None:
    with pytest.raises(InputError, match="no column of conditions"):
        read_file("ids.csv", "U,reason\nA1,none\nA2,none\n", kind="rules")


def test_half_a_workbook_is_refused_and_ends_no_worker(read_file, shared_data: Path) -> None:
    (whole,) = shared_data.glob("nasty/calamine-sheets/files/**/date.xls")
    with pytest.raises(InputError, match="parser gave up") as refused:
        read_file("half.xls", whole.read_bytes()[:4096], kind="tables")
    assert refused.value.code == "read.not_a_workbook"

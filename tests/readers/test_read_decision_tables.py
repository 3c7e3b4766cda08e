"""Decision tables of spreadsheets, YAML and DMN: what rows mean, what is declared or shown, what is refused where."""

from __future__ import annotations

import io
from decimal import Decimal
from pathlib import Path

import pytest
from openpyxl import Workbook

from hrmbuild.assets import asset_folder
from hrmbuild.errors import InputError
from hrmbuild.readers.decision_cells import CellError, parse_cell
from hrmbuild.readers.decision_table import amount_sql
from hrmbuild.records.ruleset import RuleSet

TABLE = """U,if amount (EUR) [0..2000],if category,if signed,then decision,reason
A1,<=500,"meals, taxi",-,approved,small claims up to 500
A2,]500..1000],"meals, taxi",yes,referred,
A3,>1000,-,-,rejected,
A4,<=1000,not(meals),no,approved,
"""
PLANTED = (
    "random()", "> random()", "current_date", "(select 1)", "read_csv('/etc/passwd')", "1; drop table x",
    "x' or '1'='1",
    "getenv(\"HOME\")", "function(x) external {java: {class: \"R\"}}", "{{ 7*7 }}", "<= now()", "not(random())", "[1..",
    "1..now()", "date(\"2024-02-30\")", "\"a\" + \"b\"", "if 1 then 2 else 3", "5..1", "1,000", "> meals",
)  # fmt: skip


def dmn(
    rows: str, *, version: str = "20191111", policy: str = 'hitPolicy="UNIQUE"', more: str = "", head: str = ""
) -> str:
    """A model with one table of a number and a word."""
    return f"""<?xml version="1.0" encoding="UTF-8"?>{head}
<dmn:definitions xmlns:dmn="https://www.omg.org/spec/DMN/{version}/MODEL/" name="m" namespace="urn:m">
 <dmn:decision name="Loan check" id="d1"><dmn:decisionTable {policy}>
  <dmn:input label="age">
   <dmn:inputExpression typeRef="integer"><dmn:text>applicant.age</dmn:text></dmn:inputExpression></dmn:input>
  <dmn:input><dmn:inputExpression typeRef="string"><dmn:text>Class</dmn:text></dmn:inputExpression></dmn:input>
  <dmn:output name="answer" typeRef="string"/>{rows}
 </dmn:decisionTable></dmn:decision>{more}</dmn:definitions>"""


def dmn_row(age: str, word: str, answer: str) -> str:
    """One rule."""
    cells = (age.replace("<", "&lt;"), word.replace("<", "&lt;"))
    entries = "".join(f"<dmn:inputEntry><dmn:text>{cell}</dmn:text></dmn:inputEntry>" for cell in cells)
    return f"<dmn:rule>{entries}<dmn:outputEntry><dmn:text>{answer}</dmn:text></dmn:outputEntry></dmn:rule>"


ROWS = dmn_row("&lt; 18", "-", '"no"') + dmn_row("[18..65]", '"a","b"', '"yes"') + dmn_row("> 65", 'not("c")', '"ask"')


def only(result) -> RuleSet:
    (record,) = result.records
    return record.ruleset


def test_one_row_of_a_csv_file_is_one_rule_with_its_place(read_file):
    result = read_file("claims.csv", TABLE, kind="rules")
    rules = only(result)
    assert rules.hit_policy == "unique" and rules.outcomes == ("approved", "referred", "rejected")
    assert rules.facts["amount"].unit == "EUR" and rules.facts["amount"].max == "2000"
    assert rules.rules[1].when == (
        """(("amount" > "amount_at_1" AND "amount" <= "amount_at_2")) AND """
        """(("category" = 'meals') OR ("category" = 'taxi')) AND (("signed"))"""
    )
    assert (
        rules.rules[0].text
        == "amount at most {amount_at_1}, category meals or taxi: approved (small claims up to {amount_at_1})."
    )
    assert [p.row_from for p in result.records[0].places.values()] == [1, 2, 3, 4]
    assert result.records[0].places["A3"].line_from == 4
    assert any("hit policy unique, declared" in note for note in result.notes)


def test_a_threshold_varies_less_than_half_the_way_to_the_next(read_file):
    one, two = only(read_file("claims.csv", TABLE, kind="rules")).parameters.values()
    assert (one.value, two.value) == ("500", "1000")
    assert Decimal(one.max) < Decimal(750) < Decimal(two.min) and Decimal(one.min) > 250


def test_sheets_of_a_workbook_are_tables_and_one_that_is_none_is_a_skip(read_file):
    book = Workbook()
    sheet = book.active
    sheet.title = "Fees"
    for row in (["when km", "then fee (EUR)"], ["<=2.5", 4.5], [">2.5", "4.50 + km"]):
        sheet.append(row)
    other = book.create_sheet("Bad")
    for row in (["when km", "decision"], ["random()", "a"], ["<2", "b"]):
        other.append(row)
    stored = io.BytesIO()
    book.save(stored)
    result = read_file("fees.xlsx", stored.getvalue(), kind="rules")
    rules = only(result)
    assert (rules.outcomes, rules.amount_unit, rules.amount_decimals) == ((), "EUR", 2)
    assert rules.rules[1].then == '4.50 + "km"' and rules.facts["km"].step == "0.1"
    assert result.records[0].places["R2"].cells == "A3:B3"
    (bad,) = [one for one in result.skips if one.code == "read.bad_decision_table"]
    assert "A2:B2" in bad.detail and "'when km'" in bad.detail and "expected" in bad.detail
    assert any("no hit policy" in note for note in result.notes)
    assert any("no range declared, cases have km 0 to 3.7" in note for note in result.notes), result.notes


def test_the_examples_are_read(read_file):
    for path in sorted((asset_folder("examples") / "decision-tables").iterdir()):
        if path.suffix != ".md":
            assert only(read_file(path.name, path.read_bytes(), kind="rules")).rules, path.name


def test_a_priority_is_the_order_of_the_declared_outcomes(read_file):
    text = Path(asset_folder("examples") / "decision-tables" / "glass-cover.dmn").read_text()
    result = read_file("g.dmn", text, kind="rules")
    assert [(rule.then, rule.priority) for rule in only(result).rules] == [("pay", 1), ("reject", 2), ("refer", 3)]
    (left,) = result.skips
    assert "literalExpression" in left.detail and left.locator.pointer


@pytest.mark.parametrize("version", ["20191111", "20211108", "20230324"])
def test_dmn_of_each_version_is_read_by_either_name(read_file, version):
    for name in ("loan.dmn", "loan.xml"):
        rules = only(read_file(name, dmn(ROWS, version=version), kind="rules"))
        assert rules.ruleset == "loan_check" and rules.facts["age"].type == "integer"
        assert [rule.then for rule in rules.rules] == ["no", "yes", "ask"]
        assert rules.rules[2].text == "age over {age_at_2}, Class not c: ask."


@pytest.mark.parametrize(
    ("policy", "rows", "told"),
    [
        ('hitPolicy="COLLECT" aggregation="SUM"', ROWS, "aggregates"),
        ('hitPolicy="RULE ORDER"', ROWS, "hit policy"),
        ("", dmn_row("random()", "-", '"no"'), "no value"),
        ("", dmn_row("&lt; 5", '"a" or 1', '"no"'), "no value"),
        ("", dmn_row("&lt; 5", "-", "today()"), "no value"),
    ],
)
def test_what_is_outside_the_subset_of_dmn_is_named(read_file, policy, rows, told):
    with pytest.raises(InputError) as refused:
        read_file("loan.dmn", dmn(rows, policy=policy), kind="rules")
    assert refused.value.code == "read.no_decision_table" and told in str(refused.value)


def test_entities_in_dmn_are_refused(read_file):
    with pytest.raises(InputError, match="entities"):
        read_file("x.dmn", dmn(ROWS, head='<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>'), kind="rules")


@pytest.mark.parametrize("feel", [True, False])
def test_no_planted_form_passes_as_a_cell(feel):
    for planted in PLANTED:
        if planted not in (("1,000",) if feel else ("current_date", "if 1 then 2 else 3")):
            with pytest.raises(CellError):
                parse_cell(planted, feel=feel)


def test_bare_words_of_a_sheet_stay_words():
    assert [value.sort for value in parse_cell("current_date", feel=False).values] == ["text"]


@pytest.mark.parametrize("planted", ["random()", "km / 0", "(select 1)", "current_date", "4 + now()", "km; 1", "'x'"])
def test_no_planted_form_passes_as_an_amount(planted):
    with pytest.raises(ValueError, match="is not read"):
        amount_sql(planted, {"km": '"km"'}, ValueError)


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("<=500", "<=random()", "line 2, row 1, column 'if amount"),
        ("]500..1000]", "]500..", "line 3, row 2, column 'if amount"),
        (">1000,-,-,rejected", ">1000,-,-,", "line 4, row 3, column 'then decision'"),
        (">1000,-", "meals,-", "column 'if amount"),
        ("<=500", "<=5000", "column 'if amount"),
        ("U,", "C,", "first cell"),
        ("A3,>1000,-,-,rejected,", "A3,>1000,-", "claims.csv"),
    ],
)
def test_a_cell_that_cannot_be_read_is_named_with_what_is_expected(read_file, old, new, where):
    with pytest.raises(InputError) as refused:
        read_file("claims.csv", TABLE.replace(old, new, 1), kind="rules")
    assert refused.value.code == "read.bad_decision_table" and where in refused.value.where and refused.value.fix


def test_roles_may_be_declared_by_the_source(read_file):
    text = "km,answer,remark\n<=5,near,x\n>5,far,y\n"
    result = read_file("a.csv", text, kind="rules", columns={"answer": "outcome", "remark": "ignore"})
    assert only(result).outcomes == ("near", "far")
    with pytest.raises(InputError, match="calls it"):
        read_file("a.csv", text, kind="rules", columns={"answer": "result"})


def test_a_misspelt_key_of_a_yaml_table_has_its_line(read_file):
    text = "decision_table: t\nrows:\n  - {km: <=5, decision: near}\n  - {km: '>5', decison: far}\n"
    with pytest.raises(InputError) as refused:
        read_file("a.yaml", text.replace("rows:", "inputs: {km: {}}\nrows:"), kind="rules")
    assert refused.value.where.startswith("a.yaml:5:") and "decison" in refused.value.what

"""JSON lines and marked cases."""

from __future__ import annotations

import pytest

from hrmbuild.errors import InputError
from hrmbuild.readers.result import ReadResult


def test_lines_become_fields_with_pointers_and_numbers_as_written(read_file):
    line = '{"q": "A?", "n": 1.50, "big": 12345678901234567890, "ok": true, "no": null, "in": [{"a/b": "x"}]}'
    result = read_file("p.jsonl", line + "\n", kind="pairs")
    assert result.records[0].fields == {
        "q": "A?", "n": "1.50", "big": "12345678901234567890", "ok": "true", "in/0/a~1b": "x",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        ("{broken", "read.bad_json"),
        ('{"a": NaN}', "read.bad_json"),
        ('{"a": 1, "a": 2}', "read.duplicate_key"),
        ("[1]", "read.not_an_object"),
        ('{"a": "\\ud800"}', "read.bad_unicode"),
        ('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "read.too_deep"),
    ],
)
def test_a_bad_line_is_a_skip_with_its_line_and_the_rest_is_read(read_file, bad, code):
    result: ReadResult = read_file("p.jsonl", f'{{"a": "1"}}\n\n{bad}\n{{"a": "2"}}\n', kind="pairs")
    assert [record.fields["a"] for record in result.records] == ["1", "2"]
    assert [record.locator.row_from for record in result.records] == [1, 2]
    assert [(skip.code, skip.locator.line_from) for skip in result.skips] == [(code, 3)]


def test_json_lines_named_json_are_read_as_lines_and_a_json_document_as_one(read_file):
    rows = read_file("p.json", '{"a": "1"}\n{"a": "2"}\n', kind="pairs").records
    assert [row.locator.line_from for row in rows] == [1, 2]
    assert [row.fields for row in read_file("q.json", '{\n "a": 1\n}\n', kind="pairs").records] == [{"a": "1"}]


def test_json_lines_are_a_table_where_tables_are_declared(read_file):
    table = read_file("shop.jsonl", '{"a": "x", "n": 1.50}\n{"a": "y", "b": {"c": true}}\n', kind="tables").records[0]
    assert [(c.name, c.cells) for c in table.columns] == [
        ("a", ("x", "y")), ("n", ("1.50", None)), ("b/c", (None, "true")),
    ]  # fmt: skip
    assert (table.name, table.locator.row_to) == ("shop", 2)


CASE = """% Text
% Ada earned $500 in 2017.
% She lives alone.

% Question
% Is Ada a resident? Entailment

% Facts
:- secret.
answer(ada).

% Test
:- halt.
"""
CASES = {"blocks": ["Text", "Question"]}


def test_only_the_declared_blocks_of_a_case_are_read_and_the_rest_is_one_skip(read_file):
    result = read_file("case.pl", CASE, cases=CASES)
    assert result.records[0].fields == {
        "Text": "Ada earned $500 in 2017.\nShe lives alone.",
        "Question": "Is Ada a resident? Entailment",
    }
    assert len(result.skips) == 1
    place = result.skips[0].locator
    assert CASE[place.char_from : place.char_to].startswith("% Facts") and (place.line_from, place.line_to) == (8, 13)


def test_facts_right_below_the_question_still_do_not_become_part_of_it(read_file):
    result = read_file("case.pl", CASE.replace("Entailment\n\n", "Entailment\n"), cases=CASES)
    assert result.records[0].fields["Question"] == "Is Ada a resident? Entailment"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (CASE.replace("% Question", "% Other"), "read.missing_block"),
        (CASE + "\n% Text\n% again\n", "read.repeated_block"),
    ],
)
def test_a_case_without_its_blocks_is_refused(read_file, content, code):
    with pytest.raises(InputError) as caught:
        read_file("case.pl", content, cases=CASES)
    assert caught.value.code == code

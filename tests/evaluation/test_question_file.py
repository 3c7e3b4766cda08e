"""A validator's file: read whole or refused whole, every bad line told with its number."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hrmbuild.errors import InputError
from hrmbuild.evaluation.question_file import read_questions
from hrmbuild.records.question import ValidatorQuestion

GOOD = [
    {"id": "q1", "instruction": "Rule 1. Above 5 EUR: no.\n\nThe claim is 4 EUR. Allowed?", "type": "choice",
     "choices": ["yes", "no"], "expected": "yes"},
    {"id": 2, "group": "g", "question": "How much?", "passages": ["It costs 12.50 EUR."], "type": "number",
     "expected": "12.50", "unit": "EUR", "tolerance": "1%"},
    {"id": "q3", "question": "Who?", "passages": [{"title": "Memo", "text": "Signed: the desk."}], "type": "f1",
     "expected": "the desk", "condition": "cot", "label": "public"},
    {"id": "q4", "question": "When?", "passages": ["Nothing."], "type": "abstain"},
    {"id": "q5", "instruction": "Say yes.", "type": "exact", "expected": "yes"},
]  # fmt: skip


def written(folder: Path, text: str, name: str = "questions.jsonl") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_every_type_becomes_a_typed_answer(tmp_path: Path) -> None:
    found = read_questions(written(tmp_path, "\ufeff" + "\n\n".join(json.dumps(row) for row in GOOD) + "\n"))
    assert [one.id for one in found.questions] == ["q1", "2", "q3", "q4", "q5"]
    assert found.lines == (1, 3, 5, 7, 9)
    answers = [one.answer() for one in found.questions]
    assert [one.type for one in answers] == ["choice", "number", "text", "absent", "text"]
    assert (answers[1].tolerance, answers[1].unit, answers[3].value) == ("0.125", "EUR", "not stated")


def test_a_table_says_the_same(tmp_path: Path) -> None:
    text = (
        "id;type;expected;choices;question;passage_1;passage_2\n"
        'a;choice;yes;yes|no;"Two\nlines?";One text.;Another.\n'
        "\n"
        "b;abstain;;;Who?;Nothing.;\n"
    )
    found = read_questions(written(tmp_path, text, "questions.csv"))
    assert found.lines == (2, 5)
    first, second = found.questions
    assert first.question == "Two\nlines?" and [one.text for one in first.passages] == ["One text.", "Another."]
    assert first.choices == ("yes", "no") and second.expected is None


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"type": "guess"}, "type"),
        ({"expected": "maybe"}, "none of 'choices'"),
        ({"choices": []}, "'choices' belong"),
        ({"answer": "yes"}, "answer: Extra inputs"),
        ({"instruction": None}, "either 'instruction' or 'question'"),
        ({"passages": ["x"]}, "whole prompt"),
        ({"id": ""}, "id"),
        ({"tolerance": "1"}, "belong to type number"),
        ({"type": "number", "choices": [], "expected": "12,5"}, "pattern"),
        ({"condition": "loud"}, "condition"),
    ],
)
def test_a_bad_line_is_told_with_its_number_and_nothing_is_read(
    tmp_path: Path, changed: dict[str, object], told: str
) -> None:
    rows = [
        json.dumps(GOOD[0] | {"id": "other"}),
        json.dumps({k: v for k, v in (GOOD[0] | changed).items() if v is not None}),
    ]
    with pytest.raises(InputError) as caught:
        read_questions(written(tmp_path, "\n".join(rows)))
    assert caught.value.code == "eval.bad_question"
    assert caught.value.where is not None and caught.value.where.endswith(":2")
    assert told in caught.value.what


def test_all_bad_lines_are_told_at_once_and_no_text_of_them(tmp_path: Path) -> None:
    secret = "the secret sum"
    lines = ["not json", json.dumps([secret]), json.dumps(GOOD[4] | {"choices": [secret]}), json.dumps(GOOD[4]),
             json.dumps(GOOD[4])]  # fmt: skip
    with pytest.raises(InputError) as caught:
        read_questions(written(tmp_path, "\n".join(lines)))
    places = [caught.value.where, *(one.where for one in caught.value.more)]
    assert [place.rpartition(":")[2] for place in places if place] == ["1", "2", "3", "5"]
    assert secret not in str(caught.value)


def test_many_bad_lines_are_counted_not_listed(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_questions(written(tmp_path, "x\n" * 80))
    assert len(caught.value.more) == 50 and "30 more" in caught.value.more[-1].what


@pytest.mark.parametrize(("name", "text", "told"), [
    ("q.csv", "id,type,expected,question\na,exact,yes\n", "3 cells under 4 columns"),
    ("q.csv", "id,id\na,b\n", "stands twice"),
    ("q.csv", 'id,type\n"a"b,exact\n', "no CSV"),
])  # fmt: skip
def test_a_broken_table_is_refused(tmp_path: Path, name: str, text: str, told: str) -> None:
    with pytest.raises(InputError) as caught:
        read_questions(written(tmp_path, text, name))
    assert told in str(caught.value)


def test_no_file_no_text_and_no_question_are_three_errors(tmp_path: Path) -> None:
    codes = []
    (tmp_path / "latin.jsonl").write_bytes(b"\xff\xfe\xff")
    for path in (tmp_path / "none.jsonl", tmp_path / "latin.jsonl", written(tmp_path, "\n \n")):
        with pytest.raises(InputError) as caught:
            read_questions(path)
        codes.append(caught.value.code)
    assert codes == ["eval.questions_unreadable", "eval.questions_unreadable", "eval.questions_empty"]


def test_a_tolerance_in_percent_is_exact() -> None:
    row = {"id": "n", "instruction": "?", "type": "number", "expected": "-0.3", "tolerance": "10%"}
    assert ValidatorQuestion.model_validate(row).answer().tolerance == "0.03"

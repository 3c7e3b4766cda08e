"""Existing pairs: the usual shapes, the rule of ####, what is stripped, and cases with the provision they cite."""

from __future__ import annotations

from pathlib import Path

import pytest
from text_support import compile_all, compile_example, pairs_of, read_files, source_of

from hrmbuild.config.project import PairsMapping, SourceConfig
from hrmbuild.pairs.imported_shapes import ShapeError, shape_rows
from hrmbuild.records.document import Fields
from hrmbuild.records.locator import Locator
from hrmbuild.records.pair import CompiledPair, Rejection

SARA = {
    "path": "rules/sara-tax-statutes/files/*.pl",
    "kind": "pairs",
    "format": "cases",
    "group": r"([^/]+?)(?:_pos|_neg)?\.pl$",
    "cases": {"mark": "% ", "blocks": ["Text", "Question"]},
    "mapping": {
        "instruction": ["Text", "Question"],
        "response": "Question",
        "response_pattern": r"(Entailment|Contradiction|\$[\d,.]+)\s*$",
        "context": "rules/sara-tax-statutes/common/statutes/*",
    },
}


@pytest.mark.parametrize(
    ("fields", "instruction", "response"),
    [
        ({"instruction": "Add", "input": "1 2", "output": "3"}, "Add\n\n1 2", "3"),
        ({"instruction": "Add", "input": "", "output": "3"}, "Add", "3"),
        ({"prompt": "Hi", "completion": "Yes"}, "Hi", "Yes"),
        ({"QUESTION": "Why?", "ANSWER": "So"}, "Why?", "So"),
        ({"context": "A is 1.", "question": "A?", "answer": "1"}, "A is 1.\n\nA?", "1"),
        ({"condition": "cot", "instruction": "Q", "response": "R"}, "Q", "R"),
        (
            {"messages/0/role": "user", "messages/0/content": "Q", "messages/1/role": "assistant",
             "messages/1/content": "R"},
            "Q", "R",
        ),
        (
            {"conversations/0/from": "human", "conversations/0/value": "Q", "conversations/1/from": "gpt",
             "conversations/1/value": "R"},
            "Q", "R",
        ),
    ],
)  # fmt: skip
def test_the_usual_shapes_are_recognised(fields: dict[str, str], instruction: str, response: str) -> None:
    (shaped,) = shape_rows(fields, None)
    assert (shaped.instruction, shaped.response) == (instruction, response)


def test_nested_instances_are_several_pairs() -> None:
    fields = {"instruction": "Sort", "instances/0/input": "b a", "instances/0/output": "a b",
              "instances/1/input": "d c", "instances/1/output": "c d"}  # fmt: skip
    assert [(s.instruction, s.response) for s in shape_rows(fields, None)] == [
        ("Sort\n\nb a", "a b"),
        ("Sort\n\nd c", "c d"),
    ]


def test_unknown_fields_and_long_conversations_are_refused_with_a_reason() -> None:
    with pytest.raises(ShapeError, match="declare them under 'mapping'"):
        list(shape_rows({"a": "1", "b": "2"}, None))
    turns = {f"messages/{i}/role": role for i, role in enumerate(("user", "assistant", "user", "assistant"))}
    turns |= {f"messages/{i}/content": "x" for i in range(4)}
    with pytest.raises(ShapeError, match="one question and one answer"):
        list(shape_rows(turns, None))


def compile_row(fields: dict[str, str], **values: object) -> list[CompiledPair | Rejection]:
    config = SourceConfig.model_validate({"path": "x", "kind": "pairs", **values})
    row = Fields(source_sha256="0" * 64, path="x.jsonl", fields=fields, locator=Locator(line_from=1, row_from=1))
    return compile_all([(source_of("x.jsonl", config), row)], config)


def test_hashes_make_a_direct_and_a_reasoned_pair_on_one_side() -> None:
    direct, cot = pairs_of(
        compile_row({"question": "2 + 1,000?", "answer": "2 + 1000 = <<2+1000=1002>>1002\n#### 1,002"})
    )
    assert (direct.condition, direct.response, direct.answer.value) == ("direct", "1,002", "1002")
    assert (cot.condition, cot.response) == ("cot", "2 + 1000 = 1002\nAnswer: 1,002")
    assert direct.split_keys == cot.split_keys and (cot.occurrence.inputs or {}) == {}


def test_visible_reasoning_is_stripped_and_an_empty_rest_is_rejected() -> None:
    (pair,) = pairs_of(compile_row({"prompt": "Hi", "completion": "<think>hm\nhm</think>Yes"}))
    assert pair.response == "Yes"
    (rejected,) = compile_row({"prompt": "Hi", "completion": "<think>hm</think>"})
    assert isinstance(rejected, Rejection) and rejected.code == "compile.empty"


@pytest.mark.parametrize(
    ("fields", "mapping", "code"),
    [
        ({"q": "Hi"}, {"instruction": ["q"], "response": "a"}, "compile.no_mapping"),
        (
            {"q": "Hi", "a": "x"},
            {"instruction": ["q"], "response": "a", "response_pattern": "(y)"},
            "compile.no_answer",
        ),
        ({"question": "Hi", "answer": "3"}, {"answer_rule": "after_hashes"}, "compile.no_answer"),
        ({"prompt": "Hi", "completion": ""}, None, "compile.empty"),
        ({"instruction": "Hi", "response": "x", "condition": "wild"}, None, "compile.unknown_condition"),
    ],
)
def test_a_row_that_is_no_pair_is_one_rejection(fields: dict[str, str], mapping: object, code: str) -> None:
    (rejected,) = compile_row(fields, mapping=mapping)
    assert isinstance(rejected, Rejection) and rejected.code == code


def test_answers_are_typed_where_their_form_is_plain() -> None:
    (amount,) = pairs_of(compile_row({"prompt": "Q", "completion": "$1,200.50"}))
    assert (amount.answer.type, amount.answer.value, amount.answer.unit) == ("number", "1200.50", "USD")
    (words,) = pairs_of(compile_row({"prompt": "Q", "completion": "about 3"}))
    assert words.answer.type == "text"


def test_the_example_pairs_all_come_in() -> None:
    compiled = compile_example("pairs", "pairs")
    assert len(pairs_of(compiled)) == len(compiled) == 16 * 2 + 12


@pytest.fixture(scope="module")
def sara(shared_data: Path) -> list[CompiledPair | Rejection]:
    settings = SourceConfig.model_validate(SARA)
    statutes = SourceConfig.model_validate({"path": "x", "kind": "rules"})
    folder = shared_data / "rules/sara-tax-statutes"
    shown = [record for _, record in read_files(list((folder / "common/statutes").iterdir()), statutes)]
    return compile_all(read_files(list((folder / "files").glob("*.pl")), settings), settings, shown=shown)


def test_a_case_shows_the_cited_provision_and_never_its_answer(sara: list[CompiledPair | Rejection]) -> None:
    pairs = pairs_of(sara)
    assert {pair.answer.value for pair in pairs} == {"Entailment", "Contradiction"}
    for pair in pairs:
        question = pair.instruction.rsplit("\n\n", 1)[1]
        assert "Entailment" not in pair.instruction and "Contradiction" not in question
        assert "§" in pair.instruction.split("\n", 1)[0] and ":-" not in pair.instruction


def test_a_case_and_its_twin_stay_on_one_side(sara: list[CompiledPair | Rejection]) -> None:
    sides: dict[str, set[str | None]] = {}
    for pair in pairs_of(sara):
        sides.setdefault(pair.split_keys.document, set()).add(pair.split_keys.document_side)
    assert all(len(found) == 1 and None not in found for found in sides.values())
    assert {"train", "test"} <= {side for found in sides.values() for side in found}


def test_tax_cases_that_want_every_section_are_counted_as_too_long(sara: list[CompiledPair | Rejection]) -> None:
    rejected = [one for one in sara if isinstance(one, Rejection)]
    made = {(pair.instruction, pair.response) for pair in pairs_of(sara)}  # a pair has a place in each shown statute
    assert {one.code for one in rejected} == {"compile.too_long"}
    assert len(rejected) + len(made) == 221


def test_a_declared_list_is_joined_and_an_optional_field_may_be_missing():
    mapping = PairsMapping(instruction=("question", "options/*", "note?"), response="correct")
    fields = {"question": "Which?", "options/0": "A)1", "options/1": "B)2", "correct": "A"}
    [shaped] = shape_rows(fields, mapping)
    assert shaped.instruction == "Which?\n\nA)1\nB)2"
    [shaped] = shape_rows({**fields, "note": "Think."}, mapping)
    assert shaped.instruction.endswith("\n\nThink.")
    with pytest.raises(ShapeError, match="'options/\\*' is missing"):
        list(shape_rows({"question": "Which?", "correct": "A"}, mapping))

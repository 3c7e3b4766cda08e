"""JSON by RFC 8259: what must be accepted and refused, rows wherever they stand, documents with pointers, contexts."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from hrmbuild import readers
from hrmbuild.config.project import SourceConfig
from hrmbuild.errors import InputError
from hrmbuild.fingerprint import sha256_hex
from hrmbuild.readers.contexts_json import amount, evaluate
from hrmbuild.readers.json_file import parsed_file
from hrmbuild.readers.result import SourceFile


def test_an_array_of_objects_is_pairs_or_a_table_as_declared(read_file):
    text = '[{"question": "1+1?", "answer": 2.50, "more": {"a/b": [true, null]}}, {"question": "2?", "answer": 1e400}]'
    rows = read_file("a.json", text, kind="pairs").records
    assert [row.fields for row in rows] == [
        {"question": "1+1?", "answer": "2.50", "more/a~1b/0": "true"},
        {"question": "2?", "answer": "1e400"},
    ]
    assert [row.locator.pointer for row in rows] == ["/0", "/1"]
    table = read_file("a.json", text, kind="tables").records[0]
    assert [(c.name, c.cells) for c in table.columns] == [
        ("question", ("1+1?", "2?")), ("answer", ("2.50", "1e400")), ("more/a~1b/0", ("true", None)),
    ]  # fmt: skip


def test_rows_are_found_inside_objects_and_named_by_their_place(read_file):
    text = '{"v": 1, "data": {"shops": [{"a": 1}, {"a": 2}], "grid": [["x", "y"], [1, 2]]}}'
    tables = read_file("a.json", text, kind="tables").records
    assert [(table.name, table.locator.pointer, table.n_rows) for table in tables] == [
        ("shops", "/data/shops", 2), ("grid", "/data/grid", 1),
    ]  # fmt: skip
    by_id = read_file("a.json", '{"7": {"q": "a"}, "8": {"q": "b"}}', kind="pairs").records
    assert [row.locator.pointer for row in by_id] == ["/7", "/8"]


def test_a_document_has_headings_paragraphs_and_pointers(read_file):
    text = '{"chapters": [{"text": "Nobody may smoke here.", "id": "x1", "title": "Fire"}]}'
    result = read_file("a.json", text)
    blocks = result.records[0].blocks
    assert [(b.kind, b.text, b.locator.pointer, b.locator.heading_path) for b in blocks] == [
        ("heading", "Fire", "/chapters/0/title", None),
        ("paragraph", "Nobody may smoke here.", "/chapters/0/text", ("Fire",)),
    ]
    assert [skip.code for skip in result.skips] == ["read.not_prose"]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ('[{"a": NaN}]', "read.bad_json"),
        ('[{"a": 1},]', "read.bad_json"),
        ("[" * 100_000, "read.too_deep"),
        ('[{"a": "ü"}]'.encode("latin-1"), "read.bad_encoding"),
        ('[{"a": "b"}]'.encode("utf-16"), "read.bad_encoding"),
        ("", "read.bad_json"),
        ("[1, 2]", "read.no_rows"),
    ],
)
def test_what_is_no_json_or_holds_no_rows_is_refused(read_file, content, code):
    with pytest.raises(InputError) as caught:
        read_file("a.json", content, kind="pairs")
    assert caught.value.code == code


def test_a_key_that_stands_twice_costs_its_row_and_no_other(read_file):
    result = read_file("a.json", '[{"a": "1", "a": "2"}, {"a": "3"}, {"a": "\\ud800"}]', kind="pairs")
    assert [row.fields for row in result.records] == [{"a": "3"}]
    assert [(skip.code, skip.locator.pointer) for skip in result.skips] == [
        ("read.duplicate_key", "/0"), ("read.bad_unicode", "/2"),
    ]  # fmt: skip


def test_brackets_in_texts_are_no_depth(read_file):
    assert read_file("a.json", json.dumps([{"a": "[{" * 9000 + '\\"'}]), kind="pairs").records


CONTEXT = {
    "table": {"uid": "t", "table": [["", "2019", "2018"], ["Sales", "$ 1,496.5", "(12.3)"], ["Costs", "7", "8"]]},
    "paragraphs": [{"uid": "p", "order": 1, "text": "In millions."}],
}


def question(answer: object, derivation: str, **more: str) -> dict[str, object]:
    return {"question": "How?", "answer": answer, "derivation": derivation, "answer_type": "arithmetic", "scale": "",
            **more}  # fmt: skip


def test_contexts_give_tables_and_questions_whose_arithmetic_holds(read_file):
    asked = [question(-12.3, "-12.3"), question("1508.8", "1,496.5-(-12.3)", scale="million"), question(5, "2+2"),
             question(50, "(3-2)/2", scale="percent"), question("x", "", answer_type="span")]  # fmt: skip
    text = json.dumps([{**CONTEXT, "questions": asked}])
    table = read_file("a.json", text, kind="tables").records[0]
    assert [(c.name, c.cells[0]) for c in table.columns] == [
        ("item", "Sales"),
        ("2019", "$ 1,496.5"),
        ("2018", "(12.3)"),
    ]
    result = read_file("a.json", text, kind="pairs")
    assert [row.fields["answer"] for row in result.records] == ["-12.3", "1508.8 million", "50%", "x"]
    assert (
        result.records[0].fields["context"]
        == " | 2019 | 2018\nSales | $ 1,496.5 | (12.3)\nCosts | 7 | 8\n\nIn millions."
    )
    assert [(s.code, s.locator.pointer) for s in result.skips] == [("read.derivation_disagrees", "/0/questions/2")]


@pytest.mark.parametrize(
    ("text", "value"),
    [("(12.3)", "-12.3"), ("$1,496.5", "1496.5"), ("-$ 3", "-3"), ("41.6%", "41.6"), (".5", "0.5")],
)
def test_amounts_are_read_as_they_are_written(text, value):
    assert amount(text) == Decimal(value)


def test_a_derivation_is_arithmetic_and_nothing_else():
    assert evaluate("[1,000 + 2,000] / 2 × 3") == 4500
    for bad in ("__import__('os')", "9**9**9", "a+1", "1 if 2 else 3", "(" * 300, "'a'*3"):
        with pytest.raises((ValueError, SyntaxError)):
            evaluate(bad)


def test_the_json_test_suite_is_met(shared_data):
    wrong: list[str] = []
    paths = sorted((shared_data / "nasty/json-test-suite/files").rglob("*.json"))
    for path in paths:
        data = path.read_bytes()
        file = SourceFile(path, path.name, sha256_hex(data), data, SourceConfig(path="x", kind="pairs"))
        try:
            parsed_file(file)
            accepted = True
        except InputError:
            accepted = False
        wrong += [path.name] if (path.name[:2], accepted) in (("y_", False), ("n_", True)) else []
    assert (wrong, len(paths)) == ([], 229)


def test_answers_of_annual_reports_are_recomputed(shared_data, read_file):
    counts = []
    for path in sorted((shared_data / "tables/tat-qa/files").glob("*.json")):
        result = read_file(path.name, path.read_bytes(), kind="pairs")
        counts.append((len(result.records), [skip.code for skip in result.skips]))
    assert counts == [(869, ["read.derivation_disagrees"]), (384, [])]  # the one mixes millions and thousands


def test_yaml_without_rules_is_read_as_the_same_json_is(tmp_path):
    value = {"title": "Access to the store", "parts": [{"id": "a", "prose": "A key is handed out by the guard."}]}
    (tmp_path / "a.json").write_text(json.dumps(value))
    (tmp_path / "a.yaml").write_text(
        "title: Access to the store\nparts:\n  - id: a\n    prose: A key is handed out by the guard.\n"
    )
    read = {}
    for name in ("a.json", "a.yaml"):
        data = (tmp_path / name).read_bytes()
        source = SourceConfig(path="x", kind="rules")
        format = readers.choose_format(tmp_path / name, data, source)
        result = readers.read(tmp_path / name, relative=name, sha256=sha256_hex(data), source=source, format=format)
        [document] = result.records
        for block in document.blocks:
            assert readers.resolve(tmp_path / name, block.locator, format=format) == block.text
        read[format] = [(block.text, block.locator) for block in document.blocks]
    assert read["json"] == read["yaml"] and ("A key is handed out by the guard.", "/parts/0/prose") in [
        (text, place.pointer) for text, place in read["yaml"]
    ]

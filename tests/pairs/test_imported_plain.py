"""What a look at the bytes calls plain is what the parser and the compiler make of a row; odd rows are left to them."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hrmbuild.config.project import PairsMapping
from hrmbuild.pairs.imported_lines import spelling_of
from hrmbuild.pairs.imported_plain import plain_columns, roles_of
from hrmbuild.pairs.imported_shapes import shape_rows
from hrmbuild.pairs.imported_sql import shaped_columns
from hrmbuild.readers.jsonl import parse_line
from hrmbuild.readers.spans import Line

FIRST = '{"condition": "direct", "instruction": "What is due?", "response": "The claim of Monday"}'
ODD = (
    FIRST.replace("direct", ""), FIRST.replace("direct", "Direct"), FIRST.replace("What", "  What"),
    FIRST.replace("Monday", "Monday "), FIRST.replace("due", "d\\u00fce"), FIRST.replace("due", "düe"),
    FIRST.replace("due", "<think>"), FIRST.replace("due", "#### 4"), FIRST.replace("due", 'd\\"e'), FIRST[:-1],
    FIRST.replace('"The claim of Monday"', '""'), FIRST.replace('"The claim of Monday"', "17"), FIRST + " ",
    FIRST.replace('": "What', '":"What'), FIRST.replace("{", '{"k": "v", '), FIRST.replace("}", ', "k": "v"}'),
    FIRST.replace("}", ', "response": "another"}'), FIRST.replace('"instruction"', '"condition"'), f"[{FIRST}]",
    FIRST.replace('"The claim of Monday"', '{"a": "b"}'), FIRST.replace("What is", "What\tis"), "", "{}", FIRST + FIRST,
    FIRST.replace('"condition": "direct", ', ""), FIRST.replace(', "response": "The', '. "response": "The'),
)  # fmt: skip
PLAIN = (
    FIRST, FIRST.replace("direct", "synth+cot"), FIRST.replace("What is due?", "7"), FIRST.replace("Monday", "M" * 900),
    FIRST.replace("What is due?", "{'a': [1, 2]}, :  }"), FIRST.replace("The claim of Monday", "x" * 12),
    FIRST.replace("The claim of Monday", "y" * 13),
)  # fmt: skip


def made_of(lines: list[str], mapping: PairsMapping | None = None) -> dict[int, tuple[str, str, str]]:
    """Condition, instruction and response of the plain lines, by their place; the array begins in a larger one."""
    spelling = spelling_of([FIRST + "\n"], mapping)
    assert spelling is not None
    texts = pa.array(["before\n", *(line + "\n" for line in lines)], pa.string()).slice(1)
    batch = pa.record_batch({"line": pa.array(np.arange(len(lines))), "text": texts})
    is_plain, made = spelling.plain(batch)
    made.validate(full=True)
    rows = {row["line"]: (row["condition"], row["instruction"], row["response"]) for row in made.to_pylist()}
    assert sorted(rows) == np.flatnonzero(is_plain).tolist()
    return rows


def test_plain_lines_are_read_as_the_parser_reads_them_and_odd_ones_are_left() -> None:
    found = made_of([*PLAIN, *ODD])
    assert sorted(found) == list(range(len(PLAIN)))
    for at, line in enumerate(PLAIN):
        row = json.loads(line)
        assert found[at] == (row["condition"], row["instruction"], row["response"])


CHANGES = st.tuples(st.sampled_from((*PLAIN, *ODD)), st.integers(0, 90), st.sampled_from((*'{}",:\\ <#\x7fé0a', "")))
"""A line, a place in it, and what is put there."""


@settings(max_examples=60, deadline=None)
@given(st.lists(CHANGES))
def test_no_line_is_called_plain_that_the_parser_would_read_otherwise(drawn: list[tuple[str, int, str]]) -> None:
    lines = [line[:at] + letter + line[at + (at % 2) :] for line, at, letter in drawn]
    for at, (condition, *texts) in made_of(lines).items():
        fields = parse_line(Line(1, 0, lines[at]))
        [shaped] = shape_rows(fields, None)
        assert [condition, *texts] == [shaped.condition, shaped.instruction.strip(), shaped.response.strip()]


def test_plain_columns_are_those_without_a_doubt() -> None:
    texts = [
        "a",
        " a",
        "a ",
        "",
        None,
        'say "a"',
        "é",
        "a" * 20_000,
        "two\nlines",
        "longer than a view",
        "#",
        "\x7f",
    ]
    batch = pa.record_batch({
        "line": pa.array(range(len(texts) + 3)), "prompt": pa.array([*texts, "a", "b", "c"]),
        "completion": pa.array([*["fine"] * len(texts), None, "f", "g"]),
        "condition": pa.array([*["cot"] * len(texts), "cot", "direct", "other"]),
    })  # fmt: skip
    roles = roles_of(["prompt", "completion", "condition"], None)
    assert roles is not None
    is_plain, made = plain_columns(batch, roles)
    assert made.column("instruction").to_pylist() == ["a", "longer than a view", "b"]
    assert made.column("condition").to_pylist() == ["cot", "cot", "direct"]
    assert np.flatnonzero(is_plain).tolist() == made.column("line").to_pylist() == [0, 9, 13]


@pytest.mark.parametrize(
    ("names", "mapping"),
    [
        (("instruction", "input", "output"), None),
        (("instruction", "response"), PairsMapping(answer_rule="after_hashes")),
        (("instruction", "response"), PairsMapping(response_pattern="(Yes|No)$")),
        (("a", "b"), PairsMapping(instruction=("a", "b"), response="b")),
        (("a", "b"), PairsMapping(instruction=("a",), response="b", condition="=other")),
        (("a", "b"), None),
    ],
)
def test_what_is_not_simple_has_no_roles(names: tuple[str, ...], mapping: PairsMapping | None) -> None:
    assert roles_of(names, mapping) is None


def test_sql_maps_nothing_under_a_rule_for_answers_that_it_does_not_know() -> None:
    columns = {"instruction": "i", "response": "r"}
    assert shaped_columns(columns, None) is not None
    for mapping in (PairsMapping(answer_rule="after_hashes"), PairsMapping(response_pattern="(Yes|No)$")):
        assert shaped_columns(columns, mapping) is None

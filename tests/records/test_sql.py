"""The SQL that is made of a model and the model itself, on the same rows."""

from __future__ import annotations

from typing import Annotated, Any

import duckdb
import pytest
from pydantic import Field, ValidationError

from hrmbuild.fingerprint import draw_below, draw_one
from hrmbuild.records.base import Noun
from hrmbuild.records.pair import Pair
from hrmbuild.records.sql import predicate

SHA = "0123456789abcdef" * 4
TEXTS = (
    *(
        "",
        "a",
        "äää",
        "direct",
        "cot",
        "train",
        "test",
        "open",
        "imported",
        "number",
        "text",
        "12",
        "-1.50",
        "1.",
        "1e5",
    ),
    *("2024-01-31", "٢٠٢٤-٠١-٣١", "2024-1-31", "2024-01-31\n", SHA, SHA.upper(), SHA[:-1], f"{SHA}\n"),
)
LOCATOR = {"line_from": "BIGINT", "line_to": "BIGINT", "char_from": "BIGINT", "char_to": "BIGINT",
           "heading_path": "VARCHAR[]", "paragraph": "BIGINT", "page": "BIGINT", "part": "VARCHAR", "sheet": "VARCHAR",
           "cells": "VARCHAR", "row_from": "BIGINT", "row_to": "BIGINT", "pointer": "VARCHAR"}  # fmt: skip


def struct(fields: dict[str, str]) -> str:
    return f"STRUCT({', '.join(f'{name} {type_}' for name, type_ in fields.items())})"


ANSWER = {"type": "VARCHAR", "value": "VARCHAR", "unit": "VARCHAR", "scale": "VARCHAR", "tolerance": "VARCHAR",
          "choices": "VARCHAR[]"}  # fmt: skip
OCCURRENCE = {"source_sha256": "VARCHAR", "locator": struct(LOCATOR), "text": "VARCHAR", "template_sha256": "VARCHAR",
              "query": "VARCHAR", "inputs": "MAP(VARCHAR, VARCHAR)"}  # fmt: skip
TYPES = dict.fromkeys(Pair.model_fields, "VARCHAR") | {
    "boundary": "BOOLEAN", "answer": struct(ANSWER), "occurrences": f"{struct(OCCURRENCE)}[]"}  # fmt: skip
GOOD: dict[str, Any] = {
    "id": SHA, "instruction": "Is it due?", "response": "yes", "condition": "direct", "kind": "pairs.text",
    "stratum": "pairs", "split": "train", "axis": None, "boundary": False, "book": "open", "derivation": "imported",
    "answer": dict.fromkeys(ANSWER) | {"type": "text", "value": "yes"}, "content_key": SHA, "label": "internal",
    "valid_from": "2024-01-31", "valid_until": None,
    "occurrences": [dict.fromkeys(OCCURRENCE) | {"source_sha256": SHA, "template_sha256": SHA, "text": "yes",
                    "locator": dict.fromkeys(LOCATOR) | {"line_from": 1}, "inputs": {"a": "b"}}],
}  # fmt: skip


def mutated(value: Any, key: str) -> Any:
    """The value with one part changed to something that the column can hold."""
    if isinstance(value, dict) and value and draw_below(8, "nothing", 0, key):
        name = draw_one(sorted(value), "part", 0, key)
        return {**value, name: mutated(_example(name) if value[name] is None else value[name], f"{key}.{name}")}
    if isinstance(value, list) and value and draw_below(4, "list", 0, key):
        return [mutated(value[0], f"{key}[]"), *value[1:]]
    if draw_below(3, "null", 0, key) == 0:
        return None
    if isinstance(value, list):
        return draw_one([[], value * 2], "size", 0, key)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return draw_one([-1, 0, 1, 7], "whole", 0, key)
    return draw_one(TEXTS, "text", 0, key) if isinstance(value, str) else value


def _example(name: str) -> Any:
    if isinstance(GOOD.get(name), bool | dict | list):
        return GOOD[name]
    if name == "locator":
        return dict.fromkeys(LOCATOR)
    if name in ("choices", "heading_path"):
        return ["a"]
    if name == "inputs":
        return {"a": "b"}
    return 1 if LOCATOR.get(name) == "BIGINT" else "a"


def accepts(row: dict[str, Any]) -> bool:
    try:
        Pair.model_validate(row)
    except ValidationError:
        return False
    return True


def agreement(n: int) -> tuple[list[bool], list[bool]]:
    """What the model and the SQL say of `n` drawn rows."""
    rows = [GOOD]
    for number in range(n - 1):
        row = GOOD
        for turn in range(1 + draw_below(2, "turns", 0, str(number))):
            row = mutated(row, f"{number}/{turn}") or GOOD
        rows.append(row)
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE row (n BIGINT, {', '.join(f'{name} {TYPES[name]}' for name in GOOD)})")
        connection.executemany(f"INSERT INTO row VALUES ({', '.join('?' * (len(GOOD) + 1))})",
                               [[number, *row.values()] for number, row in enumerate(rows)])  # fmt: skip
        told = connection.execute(f"SELECT {predicate(Pair, {name: name for name in GOOD})} FROM row ORDER BY n")
        return [accepts(row) for row in rows], [answer for (answer,) in told.fetchall()]


def test_sql_and_model_agree_on_drawn_rows() -> None:
    ours, sql = agreement(200)
    assert sql == ours
    assert 20 < sum(ours) < 180, "both outcomes have to occur"


@pytest.mark.slow
def test_sql_and_model_agree_on_ten_thousand_drawn_rows() -> None:
    ours, sql = agreement(10_000)
    assert sql == ours
    assert 1000 < sum(ours) < 9000


def test_a_constraint_without_a_translation_is_refused() -> None:
    class Odd(Noun):
        number: Annotated[int, Field(multiple_of=3)]
        share: float = 0.5

    with pytest.raises(ValueError, match="multipleOf"):
        predicate(Odd, {"number": "number"}, without=("share",))
    with pytest.raises(ValueError, match="'number'"):
        predicate(Odd, {"share": "share"}, without=("number",))
    with pytest.raises(ValueError, match="differ"):
        predicate(Odd, {"number": "number"})

"""Tables: what a column is taken for, exact numbers, and what is refused as ambiguous."""

from __future__ import annotations

import json
from decimal import ROUND_HALF_UP, Decimal

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from text_support import compile_all, pairs_of, source_of

from hrmbuild.config.project import SourceConfig
from hrmbuild.errors import ConfigError
from hrmbuild.pairs.draft import INSTRUCTION_BYTES
from hrmbuild.pairs.table_ask import ratio_sql
from hrmbuild.pairs.table_columns import describe_columns, read_numbers
from hrmbuild.records.document import Column, Table
from hrmbuild.records.locator import Locator
from hrmbuild.records.pair import CompiledPair, Rejection


def table(name: str, /, **columns: list[str | None]) -> Table:
    rows = len(next(iter(columns.values())))
    return Table(
        source_sha256="0" * 64,
        path=f"{name}.csv",
        name=name,
        columns=tuple(Column(name=column, cells=tuple(cells)) for column, cells in columns.items()),
        locator=Locator(row_from=1, row_to=rows),
    )


def config(**values: object) -> SourceConfig:
    return SourceConfig.model_validate({"path": "x", "kind": "tables", **values})


def roles(made: Table, *siblings: Table, **values: object) -> dict[str, str]:
    return {column.name: column.role for column in describe_columns(made, config(**values), siblings)}


@pytest.mark.parametrize(
    ("cells", "numbers", "unit"),
    [
        (["1", "2.50", None], ["1", "2.50", None], None),
        (["$1,496.5", "$3"], ["1496.5", "3"], "USD"),
        (["(12.3)", "4"], ["-12.3", "4"], None),
        (["-7", "+8"], ["-7", "8"], None),
        (["1.234,50", "7,25"], ["1234.50", "7.25"], None),
        (["12%", "3.5%"], ["12", "3.5"], "percent"),
        (["007", "008"], None, None),
        (["1", "two"], None, None),
        (["1,2,3", "4"], None, None),
        (["1,25", "2.5"], None, None),
        ([None, None], None, None),
    ],
)
def test_numbers_are_read_exactly_or_not_at_all(
    cells: list[str | None], numbers: list[str | None] | None, unit: str | None
) -> None:
    found = read_numbers(cells)
    if numbers is None:
        assert found is None
        return
    assert found is not None and found.unit == unit
    assert list(found.values) == [None if number is None else Decimal(number) for number in numbers]


def test_columns_are_taken_for_what_their_cells_and_names_say() -> None:
    made = table(
        "claims",
        claim_id=["L1", "L2", "L3", "L4", "L5", "L6"],
        policy_id=["P1", "P2", "P1", "P2", "P1", "P2"],
        email=["a@x", "b@x", "c@x", "d@x", "e@x", "f@x"],
        amount_eur=["1.50", "2", "3", None, "5", "6"],
        reported=["2025-01-01", "2025-01-02", "2025-01-03", "2025-01-04", "2025-01-05", "2025-01-06"],
        american=["1/2/2025", "3/4/2025", "5/6/2025", "7/8/2025", "9/10/2025", "1/1/2025"],
        status=["open", "paid", "open", "paid", "open", "open"],
        flag=["0", "1", "0", "1", "1", "1"],
        note=["a b", "c d", "e f", "g h", "i j", "k l"],
    )
    policies = table("policies", policy_id=["P1", "P2", "P3"], product=["home", "motor", "home"])
    assert roles(made, policies) == {
        "claim_id": "key",
        "policy_id": "foreign_key",
        "email": "personal",
        "amount_eur": "number",
        "reported": "date",
        "american": "text",
        "status": "category",
        "flag": "category",
        "note": "text",
    }
    (amount,) = [c for c in describe_columns(made, config(), [policies]) if c.name == "amount_eur"]
    assert (amount.unit, amount.decimals) == ("EUR", 2)


def test_names_say_what_is_no_quantity_no_key_and_no_name() -> None:
    made = table(
        "t",
        RespondentID=["3", "3", "5", "6"],
        year=["2020", "2021", "2020", "2023"],
        paid=["3", "4", "5", "6"],
        column_7=["1", "2", "3", "4"],
    )
    assert roles(made) == {"RespondentID": "text", "year": "text", "paid": "number"}


def test_the_owner_may_say_otherwise() -> None:
    made = table("t", id=["1", "2", "3"], weight=["4", "5", "6"], outcome=["a", "b", "a"])
    declared = {"t.weight": "number:kg", "outcome": "label"}
    (_, weight, outcome) = describe_columns(made, config(columns=declared), [])
    assert (weight.role, weight.unit, outcome.role) == ("number", "kg", "label")
    with pytest.raises(ConfigError, match="declared as 'nmber'"):
        describe_columns(made, config(columns={"weight": "nmber"}), [])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**9), st.integers(1, 10**6), st.integers(0, 4))
def test_ratios_in_sql_round_half_away_from_zero_exactly(above: int, below: int, decimals: int) -> None:
    with duckdb.connect() as connection:
        ((found,),) = connection.execute(f"SELECT {ratio_sql(str(above), str(below), decimals)}").fetchall()
    exact = Decimal(above) / Decimal(below)
    assert found == exact.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP)


def test_numbers_too_long_for_exact_sums_are_not_asked_about() -> None:
    made = table("t", id=["a", "b", "c"], big=["12345678901234567890", "1", "2"], fine=["0.12345678", "1", "2"])
    assert roles(made) == {"id": "key", "big": "text", "fine": "text"}


def test_a_tie_is_ambiguous_and_makes_no_pair() -> None:
    made = table(
        "t",
        id=[f"R{i}" for i in range(12)],
        group=["a", "b", "c"] * 4,
        amount=["5"] * 12,
    )
    compiled = compile_all([(source_of("t.csv", config()), made)], config())
    kinds = {pair.kind for pair in pairs_of(compiled)}
    codes = {one.code for one in compiled if isinstance(one, Rejection)}
    assert codes == {"compile.ambiguous"} and "tables.sum" in kinds
    assert not kinds & {"tables.argmax", "tables.second_highest", "tables.top_three"}


def test_a_table_of_which_nothing_can_be_asked_says_what_its_columns_were_taken_for() -> None:
    made = table("people", name=["Ada", "Bo", "Cy"], note=["a", "b", "c"])
    (rejected,) = compile_all([(source_of("people.csv", config()), made)], config())
    assert isinstance(rejected, Rejection) and rejected.code == "compile.no_question"


def test_keys_and_personal_columns_are_never_asked_about_or_shown_without_need(
    example_table_pairs: list[CompiledPair],
) -> None:
    for pair in example_table_pairs:
        assert "first_name" not in pair.instruction and "last_name" not in pair.instruction
        assert not pair.answer.value.startswith(("C0", "P0", "L0", "Z0", "B0")) or pair.answer.type == "sql"


def test_no_table_drowns_the_others_and_every_instruction_fits(example_table_pairs: list[CompiledPair]) -> None:
    per_table = dict.fromkeys({pair.occurrence.source_sha256 for pair in example_table_pairs}, 0)
    made = {(pair.instruction, pair.response): pair for pair in reversed(example_table_pairs)}
    for pair in made.values():
        per_table[pair.occurrence.source_sha256] += 1
    assert len(per_table) == 5 and max(per_table.values()) <= 500
    assert max(len(pair.instruction.encode()) for pair in example_table_pairs) <= INSTRUCTION_BYTES


def test_a_recorded_query_holds_its_rows_and_gives_the_answer_anywhere(example_table_pairs: list[CompiledPair]) -> None:
    sample = [pair for pair in example_table_pairs if pair.answer.type == "number"][:150]
    with duckdb.connect() as connection:
        for pair in sample:
            ((found,),) = connection.execute(pair.occurrence.query or "").fetchall()
            assert Decimal(found) == Decimal(pair.answer.value)


def test_cells_are_data_for_sql_and_for_templates() -> None:
    nasty = "x'); DROP TABLE t; --"
    made = table(
        "t",
        id=[f"R{i}" for i in range(9)],
        kind=[nasty, "{{ 7 * 7 }}", "plain"] * 3,
        amount=[str(i) for i in range(9)],
    )
    pairs = pairs_of(compile_all([(source_of("t.csv", config()), made)], config()))
    text = json.dumps([pair.instruction for pair in pairs])
    assert "{{ 7 * 7 }}" in text and "DROP TABLE" in text and len(pairs) > 50


def test_names_that_sql_keeps_for_itself_are_quoted_and_equal_names_are_left_out() -> None:
    made = table(
        "table",
        id=[f"R{i}" for i in range(9)],
        order=["a", "b", "c"] * 3,
        select=[str(i) for i in range(9)],
        City=["x", "y", "z"] * 3,
        city=["u", "v", "w"] * 3,
    )
    assert set(roles(made)) == {"id", "order", "select"}
    pairs = pairs_of(compile_all([(source_of("t.csv", config()), made)], config()))
    assert any('"order"' in (pair.occurrence.query or "") for pair in pairs) and len(pairs) > 50


def test_calendar_parts_ranks_and_frame_indices_are_no_quantities() -> None:
    names = ("month", "day_of_week", "Rank", "fy", "__index_level_0__", "births")
    cells = ("1", "23", "7")
    made = table("t", **{name: list(cells) for name in names})
    assert roles(made) == {"month": "text", "day_of_week": "text", "Rank": "text", "fy": "text", "births": "number"}


def test_a_day_may_be_written_with_midnight_and_with_no_other_time() -> None:
    made = table("t", at=["2013-01-01 00:00:00", "2013-02-01", None], seen=["2013-01-01 09:30:00", "2013-01-02", None])
    told = roles(made)
    assert told["at"] == "date" and told["seen"] != "date"

"""Answers about tables that nobody here wrote, recomputed apart from the compilers.

*Read* questions from the words and the shown rows; *query* questions from the words and the file as `csv` (or DuckDB,
for Parquet) reads it; and every recorded statement once more in an empty database. Slow: thousands of pairs.
"""

from __future__ import annotations

import csv
from collections import Counter
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import duckdb
import pytest
from test_tables_independently import (
    Row,
    differences,
    query_result,
    read_pairs,
    read_shown,
    understand,
)
from text_support import compile_all, pairs_of, read_files

from hrmbuild.config.project import SourceConfig
from hrmbuild.records.document import Table
from hrmbuild.records.pair import CompiledPair

pytestmark = pytest.mark.slow

REAL = {
    "telco-churn": ("telco-churn/files/Telco-Customer-Churn.dev.csv",),
    "german-credit": ("german-credit/files/german_credit_data_biased_training.dev.csv",),
    "sp500": ("sp500-financials/files/constituents-financials.dev.csv", "sp500-financials/files/constituents.dev.csv"),
    "hate-crimes": ("fivethirtyeight/files/hate-crimes/hate_crimes.csv",),
    "tarantino": ("fivethirtyeight/files/tarantino/tarantino.csv",),
    "recent-grads": ("fivethirtyeight/files/college-majors/recent-grads.csv",),
    "births": ("fivethirtyeight/files/births/US_births_1994-2003_CDC_NCHS.csv",),
    "sec-statements": (
        "sec-statements-parquet/files/is_standardized/result.parquet",
        "sec-statements-parquet/files/is_standardized/stats.parquet",
    ),
}
SETTINGS = SourceConfig.model_validate({"path": "x", "kind": "tables"})
Made = tuple[list[CompiledPair], dict[str, list[Row]]]


def raw_rows(path: Path) -> list[Row]:
    if path.suffix == ".parquet":
        with duckdb.connect() as connection:
            found = connection.execute("SELECT COLUMNS(*)::VARCHAR FROM read_parquet(?)", [str(path)])
            names = [column[0] for column in found.description or ()]
            return [dict(zip(names, (cell or "" for cell in row), strict=True)) for row in found.fetchall()]
    with path.open(newline="", encoding="utf-8-sig") as file:
        return [{name: (cell or "").strip() for name, cell in row.items()} for row in csv.DictReader(file)]


@pytest.fixture(scope="module", params=sorted(REAL))
def made(request: pytest.FixtureRequest, shared_data: Path) -> Made:
    paths = [shared_data / "tables" / name for name in REAL[request.param]]
    records = read_files(paths, SETTINGS)
    raw = {path.name: raw_rows(path) for path in paths}
    tables = {record.name: raw[source.path] for source, record in records if isinstance(record, Table)}
    return pairs_of(compile_all(records, SETTINGS)), tables


def test_every_read_answer_stands_in_the_shown_rows(made: Made) -> None:
    pairs = read_pairs(made[0])
    assert len(pairs) > 300
    assert differences(pairs) == []


def same(found: str, expected: str) -> bool:
    try:
        return Decimal(found) == Decimal(expected)
    except ArithmeticError:
        return found == expected


def test_every_query_answer_stands_in_the_file(made: Made) -> None:
    pairs, tables = made
    columns = tuple(sorted({name for rows in tables.values() for name in rows[0]}))
    cells = {cell for rows in tables.values() for row in rows for cell in row.values()}
    checked: Counter[str] = Counter()
    for pair in pairs:
        if pair.kind.startswith("tables.query"):
            question = pair.instruction.split("\n\n", 1)[1]
            kind, values = understand(question, columns, {*columns, *cells}, "tables/query")
            result = (pair.occurrence.inputs or {})["result"]
            assert same(result, query_result(kind, values, tables)), pair.instruction
            checked[kind] += 1
    assert checked


def test_every_recorded_statement_finds_the_answer_again(made: Made) -> None:
    with duckdb.connect(config={"enable_external_access": "false", "threads": "1"}) as connection:
        for pair in read_pairs(made[0]):
            rows = connection.execute(pair.occurrence.query or "").fetchall()
            decimals = len(pair.answer.value.partition(", ")[0].partition(".")[2])
            assert ", ".join(said(row[0], decimals) for row in rows) == pair.answer.value, pair.occurrence.query


def said(value: object, decimals: int) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Decimal):
        return f"{value.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP):f}"
    return str(value)


def test_no_question_shows_a_person_or_asks_for_a_key(made: Made) -> None:
    private = {"gender", "SeniorCitizen", "Sex", "Age"}
    for pair in read_pairs(made[0]):
        header, rows, _ = read_shown(pair.instruction)
        assert not private & set(header)
        assert pair.answer.value not in {row.get("customerID", "") for row in rows}

"""The allow-list of expressions: what may be said, what is refused, and that DuckDB computes it exactly."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hrmbuild.errors import InputError
from hrmbuild.pairs.expression_nodes import Boolean, Day, Numeric, Text, ValueType, column_names, to_sql
from hrmbuild.pairs.expressions import parse_amount, parse_condition, parse_expression

COLUMNS: dict[str, ValueType] = {
    "amount": Numeric(Decimal("-999.99"), Decimal("999.99"), 2),
    "days": Numeric(Decimal(0), Decimal(400), 0),
    "shares": Numeric(Decimal(1), Decimal(50), 0),
    "cap": Numeric(Decimal(100), Decimal(900), 0),
    "cause": Text(("storm", "water")),
    "photos": Boolean(),
    "lost_on": Day("2024-01-01", "2024-12-31"),
    "told_on": Day("2024-01-01", "2025-12-31"),
}
WHERE = "rules/claims.yaml, rule R2"


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        yield opened


ALLOWED = [
    "amount > cap",
    "amount >= 12.50 and not photos",
    "cause in ('storm', 'water') or photos = false",
    "days between 3 and 30",
    "days not between 3 and 30",
    "cause is not null",
    "round(amount / shares, 2) > 10",
    "round(amount / nullif(days, 0), 2) > 10",
    "least(amount, cap) * 2 < greatest(days, 5, shares)",
    "date_diff('day', lost_on, told_on) > 30",
    "told_on - lost_on > 30",
    "lost_on >= DATE '2024-03-01'",
    "-amount < 5",
    "photos",
]


@pytest.mark.parametrize("text", ALLOWED)
def test_what_rules_need_is_allowed_and_runs(text: str, connection: duckdb.DuckDBPyConnection) -> None:
    node = parse_condition(text, columns=COLUMNS, connection=connection, where=WHERE)
    values = {"amount": "'10.00'", "days": "7", "shares": "3", "cap": "500", "cause": "'storm'", "photos": "true"}
    values |= {"lost_on": "'2024-02-01'", "told_on": "'2024-03-15'"}
    row = ", ".join(f'CAST({v} AS {COLUMNS[k].sql}) AS "{k}"' for k, v in values.items())
    assert connection.execute(f"SELECT {to_sql(node)} FROM (SELECT {row})").fetchall()[0][0] in (True, False)


REFUSED = [
    ("random() < 0.5", "random"),
    ("lost_on < current_date", "current_date"),
    ("lost_on < now()", "now"),
    ("amount > (select 1)", "subquery"),
    ("exists (select 1)", "subquery"),
    ("amount = any([1, 2])", "subquery"),
    ("amount / shares > 1", "quotient"),
    ("round(amount / days, 2) > 1", "divisor can be zero"),
    ("round(amount / nullif(days, 1), 2) > 1", "nullif"),
    ("read_text('/etc/passwd') = 'x'", "read_text"),
    ("getenv('HOME') = 'x'", "getenv"),
    ("list_transform([1], lambda x: x) is null", "list_transform"),
    ("row_number() over () > 1", "window"),
    ("cast(amount as double) > 1", "casts"),
    ("try_cast(cause as date) is null", "casts"),
    ("DATE '2024-02-30' < lost_on", "2024-02-30"),
    ("case when photos then true else false end", "case"),
    ("cause like 's%'", "~~"),
    ("cause || 'x' = 'y'", "||"),
    ("cause > 'a'", "equal or different"),
    ("cause = 'strom'", "strom"),
    ("cause in ('strom')", "strom"),
    ("amonut > 5", "amonut"),
    ("t.amount > 5", "t.amount"),
    ("amount > 'a'", "compares"),
    ("amount", "not true or false"),
    ("photos and amount", "join conditions"),
    ("amount > 1e3", "plain decimal"),
    ("amount > ?", "more than one plain expression"),
    ("amount > $1", "more than one plain expression"),
    ("sum(amount) > 1", "sum"),
    ("main.round(amount) > 1", "round"),
    ("round(amount, days) > 1", "decimals"),
    ("amount % 2 = 0", "%"),
    ("amount is distinct from 5", "comparison"),
    ("cap * cap * cap * cap * cap * cap * cap > 0", "digits"),
    ("photos, photos", "row"),
    ("photos) from range(3) where (true", "more than one plain expression"),
    ("photos); drop table x; select (true", "SQL expression"),
    ("photos) limit (1", "more than one plain expression"),
    ("amount >", "SQL expression"),
    ("", "empty"),
    ("*", "star"),
    ("date_diff('month', lost_on, told_on) > 1", "counts days"),
]


@pytest.mark.parametrize(("text", "because"), REFUSED)
def test_everything_else_is_refused_naming_rule_and_file(
    text: str, because: str, connection: duckdb.DuckDBPyConnection
) -> None:
    with pytest.raises(InputError) as caught:
        parse_condition(text, columns=COLUMNS, connection=connection, where=WHERE)
    assert caught.value.code == "compile.expression"
    assert caught.value.where == WHERE
    assert because in caught.value.what
    assert caught.value.fix


def test_a_comment_cannot_hide_the_rest_of_the_statement(connection: duckdb.DuckDBPyConnection) -> None:
    node = parse_condition("photos -- and random() < 1", columns=COLUMNS, connection=connection, where=WHERE)
    assert to_sql(node) == '"photos"'


def test_an_amount_must_be_a_number(connection: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(InputError, match="must be a number"):
        parse_amount("photos", columns=COLUMNS, connection=connection, where=WHERE)


def test_the_columns_of_an_expression_are_known(connection: duckdb.DuckDBPyConnection) -> None:
    node = parse_expression("amount > cap and days in (1, 2)", columns=COLUMNS, connection=connection, where=WHERE)
    assert column_names(node) == {"amount", "cap", "days"}


def test_the_sql_that_is_run_is_ours_and_not_the_owners(connection: duckdb.DuckDBPyConnection) -> None:
    node = parse_condition(
        "AMOUNT>=cap /* x */", columns={**COLUMNS, "AMOUNT": COLUMNS["amount"]}, connection=connection, where=WHERE
    )
    assert to_sql(node) == '("AMOUNT" >= "cap")'


@settings(max_examples=60, deadline=None)
@given(
    cents=st.integers(-99999, 99999),
    shares=st.integers(1, 50),
    decimals=st.integers(0, 6),
)
def test_quotients_are_exact_and_round_half_away_from_zero(
    connection: duckdb.DuckDBPyConnection, cents: int, shares: int, decimals: int
) -> None:
    text = f"round(amount / shares, {decimals})"
    node = parse_amount(text, columns=COLUMNS, connection=connection, where=WHERE)
    amount = Decimal(cents) / 100
    values = f"CAST('{amount}' AS DECIMAL(5, 2)) AS amount, CAST({shares} AS DECIMAL(2, 0)) AS shares"
    found = connection.execute(f"SELECT {to_sql(node)} FROM (SELECT {values})").fetchall()[0][0]
    assert found == (amount / shares).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)


@settings(max_examples=40, deadline=None)
@given(cents=st.integers(-99999, 99999), days=st.integers(0, 400))
def test_sums_and_products_stay_exact(connection: duckdb.DuckDBPyConnection, cents: int, days: int) -> None:
    node = parse_amount(
        "round(amount * days * 0.15 - least(days, 9.99), 2)", columns=COLUMNS, connection=connection, where=WHERE
    )
    amount = Decimal(cents) / 100
    values = f"CAST('{amount}' AS DECIMAL(5, 2)) AS amount, CAST({days} AS DECIMAL(3, 0)) AS days"
    found = connection.execute(f"SELECT {to_sql(node)} FROM (SELECT {values})").fetchall()[0][0]
    exact = amount * days * Decimal("0.15") - min(Decimal(days), Decimal("9.99"))
    assert found == exact.quantize(Decimal("0.01"), ROUND_HALF_UP)

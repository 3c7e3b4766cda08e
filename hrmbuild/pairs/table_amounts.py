"""Questions about shown rows that compute or compare: sums, means, shares, differences, extremes.

Owns these kinds of the *read* sort and their rounding: sums and differences keep the column's decimals, means and
shares get two more and the question says so, half away from zero. A function gives None where its question makes no
sense for the drawn rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal

from hrmbuild.pairs.table_ask import Ask, Build, Columns, Draws, ratio, ratio_sql, text_literal
from hrmbuild.pairs.table_columns import ColumnProfile
from hrmbuild.pairs.table_names import sql_name
from hrmbuild.pairs.table_view import View, show

_AGGREGATES: dict[str, Callable[[list[Decimal]], Decimal]] = {
    "sum": lambda values: sum(values, Decimal(0)),
    "min": min,
    "max": max,
}


def _sum_of(number: ColumnProfile, rows: Iterable[int]) -> Decimal:
    return sum((number.number_at(row) for row in rows), Decimal(0))


def aggregate(function: str, word: str) -> Build:
    def build(view: View, columns: Columns, draws: Draws) -> Ask | None:
        (number,) = columns
        sql = f"SELECT {function}({number.sql_name}) FROM {sql_name(view.table)}"
        ground = f"{word} of {number.name} over {len(view.rows)} rows."
        found = (_AGGREGATES[function](view.numbers(number)),)
        return Ask(sql, {"number": number.name}, found, unit=number.unit, decimals=number.decimals, ground=ground)

    return build


def sum_where(view: View, columns: Columns, draws: Draws) -> Ask | None:
    group, number = columns
    value = draws.value(view, group, "value")
    return Ask(
        f"SELECT sum({number.sql_name}) FROM {sql_name(view.table)} WHERE {group.sql_name} = {text_literal(value)}",
        {"group": group.name, "value": value, "number": number.name},
        (_sum_of(number, view.rows_with(group, value)),),
        unit=number.unit,
        decimals=number.decimals,
        ground=f"Sum of {number.name} with {group.name} {value}.",
    )


def spread(view: View, columns: Columns, draws: Draws) -> Ask | None:
    (number,) = columns
    n = number.sql_name
    return Ask(
        f"SELECT max({n}) - min({n}) FROM {sql_name(view.table)}",
        {"number": number.name},
        (max(view.numbers(number)) - min(view.numbers(number)),),
        unit=number.unit,
        decimals=number.decimals,
        ground=f"Highest {number.name} less the lowest.",
    )


def _negative(view: View, number: ColumnProfile) -> bool:
    return any(isinstance(value, Decimal) and value < 0 for value in view.values(number))


def _integer(expression: str, number: ColumnProfile) -> str:
    """A sum in units of the column's last decimal: ratios of integers are exact, DuckDB's of decimals are floats."""
    return f"sum({expression}) * {10**number.decimals}"


def mean(view: View, columns: Columns, draws: Draws) -> Ask | None:
    (number,) = columns
    if _negative(view, number):
        return None
    decimals = number.decimals + 2
    below = f"(count(*) * {10**number.decimals})"
    return Ask(
        f"SELECT {ratio_sql(_integer(number.sql_name, number), below, decimals)} FROM {sql_name(view.table)}",
        {"number": number.name, "decimals": decimals},
        (ratio(_sum_of(number, view.rows), Decimal(len(view.rows)), decimals),),
        unit=number.unit,
        decimals=decimals,
        ground=f"Mean of {number.name} over {len(view.rows)} rows.",
    )


def share_of_sum(view: View, columns: Columns, draws: Draws) -> Ask | None:
    group, number = columns
    if _negative(view, number) or not any(view.values(number)):
        return None
    value = draws.value(view, group, "value")
    part = f"CASE WHEN {group.sql_name} = {text_literal(value)} THEN {number.sql_name} ELSE 0 END"
    above, below = f"{_integer(part, number)} * 100", _integer(number.sql_name, number)
    return Ask(
        f"SELECT {ratio_sql(above, below, 2)} FROM {sql_name(view.table)}",
        {"group": group.name, "value": value, "number": number.name, "decimals": 2},
        (ratio(_sum_of(number, view.rows_with(group, value)) * 100, _sum_of(number, view.rows), 2),),
        unit="percent",
        decimals=2,
        ground=f"Share of {number.name} with {group.name} {value}.",
    )


def _of_row(view: View, key: ColumnProfile, column: ColumnProfile, row: int) -> str:
    where = f"WHERE {key.sql_name} = {text_literal(key.values[row])}"
    return f"(SELECT {column.sql_name} FROM {sql_name(view.table)} {where})"


def difference(view: View, columns: Columns, draws: Draws) -> Ask | None:
    key, number = columns
    low, high = sorted(draws.two_rows(view), key=number.number_at)
    if number.values[low] == number.values[high]:
        return None
    return Ask(
        f"SELECT {_of_row(view, key, number, high)} - {_of_row(view, key, number, low)}",
        {"key": key.name, "number": number.name, "high": key.values[high], "low": key.values[low]},
        (number.number_at(high) - number.number_at(low),),
        unit=number.unit,
        decimals=number.decimals,
        ground=f"{show(number.values[high], number)} less {show(number.values[low], number)}.",
    )


def compare(view: View, columns: Columns, draws: Draws) -> Ask | None:
    key, number = columns
    first, second = draws.two_rows(view)
    if number.values[first] == number.values[second]:
        return None
    a, b = show(number.values[first], number), show(number.values[second], number)
    is_more = number.number_at(first) > number.number_at(second)
    return Ask(
        f"SELECT {_of_row(view, key, number, first)} > {_of_row(view, key, number, second)}",
        {"key": key.name, "number": number.name, "first": key.values[first], "second": key.values[second]},
        (is_more,),
        answer="boolean",
        ground=f"{a} against {b}.",
    )


def days_between(view: View, columns: Columns, draws: Draws) -> Ask | None:
    key, day = columns
    first, second = sorted(draws.two_rows(view), key=day.day_at)
    if day.values[first] == day.values[second]:
        return None
    return Ask(
        f"SELECT {_of_row(view, key, day, second)} - {_of_row(view, key, day, first)}",
        {"key": key.name, "day": day.name, "first": key.values[first], "second": key.values[second]},
        ((day.day_at(second) - day.day_at(first)).days,),
        unit="days",
        ground=f"From {day.values[first]} to {day.values[second]}.",
    )


def second_highest(view: View, columns: Columns, draws: Draws) -> Ask | None:
    (number,) = columns
    n, table = number.sql_name, sql_name(view.table)
    first, second, *_ = sorted(view.numbers(number), reverse=True)
    return Ask(
        f"SELECT {n} FROM {table} ORDER BY {n} DESC LIMIT 1 OFFSET 1",
        {"number": number.name},
        (second,),
        unit=number.unit,
        decimals=number.decimals,
        ground=f"Second in {number.name}.",
        only_if=f"SELECT count(*) FROM {table} WHERE {n} = (SELECT max({n}) FROM {table})",
        is_clear=second < first,
    )


def top_three(view: View, columns: Columns, draws: Draws) -> Ask | None:
    (number,) = columns
    n, table = number.sql_name, sql_name(view.table)
    values = view.numbers(number)
    return Ask(
        f"SELECT {n} FROM {table} ORDER BY {n} DESC LIMIT 3",
        {"number": number.name},
        tuple(sorted(values, reverse=True)[:3]),
        answer="text",
        decimals=number.decimals,
        only_if=f"SELECT count(*) = count(DISTINCT {n}) FROM {table}",
        is_clear=len(set(values)) == len(values),
    )


def sorted_values(view: View, columns: Columns, draws: Draws) -> Ask | None:
    (number,) = columns
    n = number.sql_name
    sql = f"SELECT {n} FROM {sql_name(view.table)} ORDER BY {n}"
    found = tuple(sorted(view.numbers(number)))
    return Ask(sql, {"number": number.name}, found, answer="text", decimals=number.decimals)


def extreme_group(order: str, word: str) -> Build:
    def build(view: View, columns: Columns, draws: Draws) -> Ask | None:
        group, number = columns
        n, table = number.sql_name, sql_name(view.table)
        function = "max" if order == "DESC" else "min"
        best = _AGGREGATES[function](view.numbers(number))
        rows = view.rows_with(number, best)
        return Ask(
            f"SELECT {group.sql_name} FROM {table} ORDER BY {n} {order} LIMIT 1",
            {"group": group.name, "number": number.name},
            (group.values[rows[0]],),
            answer="text",
            ground=f"{word} {number.name}.",
            only_if=f"SELECT count(*) FROM {table} WHERE {n} = (SELECT {function}({n}) FROM {table})",
            is_clear=len(rows) == 1,
        )

    return build


def sum_difference(view: View, columns: Columns, draws: Draws) -> Ask | None:
    group, number = columns
    values = sorted({str(value) for value in view.values(group)})
    if len(values) != 2:
        return None
    sums = {value: _sum_of(number, view.rows_with(group, value)) for value in values}
    low, high = sorted(values, key=lambda value: sums[value])
    if sums[low] == sums[high]:
        return None
    part = f"(SELECT sum({number.sql_name}) FROM {sql_name(view.table)} WHERE {group.sql_name} = "
    return Ask(
        f"SELECT {part}{text_literal(high)}) - {part}{text_literal(low)})",
        {"group": group.name, "number": number.name, "high": high, "low": low},
        (sums[high] - sums[low],),
        unit=number.unit,
        decimals=number.decimals,
        ground=f"Sum of {number.name} for {high} less {low}.",
    )

"""Questions about shown rows that look up, count, list or name: each a small function from a view to its SQL.

Owns these kinds of the *read* sort. A function gives None where its question makes no sense for the drawn rows; that is
not an ambiguous question, it is none.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

from hrmbuild.pairs.table_ask import AnswerType, Ask, Build, Columns, Draws, ratio, ratio_sql, text_literal
from hrmbuild.pairs.table_names import sql_name
from hrmbuild.pairs.table_view import View, show


def lookup(view: View, columns: Columns, draws: Draws) -> Ask | None:
    key, asked = columns
    row = view.rows[draws.below(len(view.rows), "row")]
    kinds: dict[str, AnswerType] = {"number": "number", "date": "date"}
    return Ask(
        f"SELECT {asked.sql_name} FROM {sql_name(view.table)} WHERE {key.sql_name} = {text_literal(key.values[row])}",
        {"column": asked.name, "key": key.name, "row": key.values[row]},
        tuple(asked.values[other] for other in view.rows_with(key, key.values[row])),
        answer=kinds.get(asked.role, "text"),
        unit=asked.unit,
        decimals=asked.decimals,
        ground=f"Row {key.values[row]}.",
    )


def count_ask(condition: str, view: View, n_rows: int, ground: str, /, **values: object) -> Ask:
    return Ask(f"SELECT count(*) FROM {sql_name(view.table)} WHERE {condition}", values, (n_rows,), ground=ground)


def count_where(view: View, columns: Columns, draws: Draws) -> Ask | None:
    (group,) = columns
    value = draws.value(view, group, "value")
    condition = f"{group.sql_name} = {text_literal(value)}"
    n_rows = len(view.rows_with(group, value))
    return count_ask(condition, view, n_rows, f"Rows with {group.name} {value}.", group=group.name, value=value)


def count_above(view: View, columns: Columns, draws: Draws) -> Ask | None:
    return _count_compared(view, columns, draws, ">", "above")


def count_below(view: View, columns: Columns, draws: Draws) -> Ask | None:
    return _count_compared(view, columns, draws, "<", "below")


def _count_compared(view: View, columns: Columns, draws: Draws, sign: str, word: str) -> Ask:
    (number,) = columns
    value = draws.value(view, number, "value")
    shown = show(value, number)
    ground = f"Rows with {number.name} {word} {shown}."
    limit = Decimal(shown)
    n_rows = sum(n > limit if sign == ">" else n < limit for n in view.numbers(number))
    return count_ask(f"{number.sql_name} {sign} {shown}", view, n_rows, ground, number=number.name, value=shown)


def count_between(view: View, columns: Columns, draws: Draws) -> Ask | None:
    (number,) = columns
    low, high = sorted(number.number_at(row) for row in draws.two_rows(view))
    if low == high:
        return None
    a, b = show(low, number), show(high, number)
    ground = f"Rows with {number.name} from {a} to {b}."
    n_rows = sum(low <= n <= high for n in view.numbers(number))
    return count_ask(f"{number.sql_name} BETWEEN {a} AND {b}", view, n_rows, ground, number=number.name, low=a, high=b)


def count_both(view: View, columns: Columns, draws: Draws) -> Ask | None:
    group, number = columns
    value, limit = draws.value(view, group, "value"), show(draws.value(view, number, "limit"), number)
    condition = f"{group.sql_name} = {text_literal(value)} AND {number.sql_name} > {limit}"
    ground = f"Rows with {group.name} {value} and {number.name} above {limit}."
    n_rows = sum(number.number_at(row) > Decimal(limit) for row in view.rows_with(group, value))
    return count_ask(condition, view, n_rows, ground, group=group.name, value=value, number=number.name, limit=limit)


def count_empty(view: View, columns: Columns, draws: Draws) -> Ask | None:
    (column,) = columns
    n_rows = len(view.rows_with(column, None))
    return count_ask(f"{column.sql_name} IS NULL", view, n_rows, f"Rows without {column.name}.", column=column.name)


def count_distinct(view: View, columns: Columns, draws: Draws) -> Ask | None:
    (group,) = columns
    sql = f"SELECT count(DISTINCT {group.sql_name}) FROM {sql_name(view.table)}"
    found = (len(set(view.values(group))),)
    return Ask(sql, {"group": group.name}, found, ground=f"Different values of {group.name}.")


def share_where(view: View, columns: Columns, draws: Draws) -> Ask | None:
    (group,) = columns
    value = draws.value(view, group, "value")
    counted = f"count(*) FILTER (WHERE {group.sql_name} = {text_literal(value)}) * 100"
    return Ask(
        f"SELECT {ratio_sql(counted, 'count(*)', 2)} FROM {sql_name(view.table)}",
        {"group": group.name, "value": value, "decimals": 2},
        (ratio(Decimal(len(view.rows_with(group, value)) * 100), Decimal(len(view.rows)), 2),),
        unit="percent",
        decimals=2,
        ground=f"Share of rows with {group.name} {value}.",
    )


def list_where(view: View, columns: Columns, draws: Draws) -> Ask | None:
    group, number = columns
    value = draws.value(view, group, "value")
    n = number.sql_name
    where = f"WHERE {group.sql_name} = {text_literal(value)}"
    return Ask(
        f"SELECT {n} FROM {sql_name(view.table)} {where} ORDER BY {n}",
        {"group": group.name, "value": value, "number": number.name},
        tuple(sorted(number.number_at(row) for row in view.rows_with(group, value))),
        answer="text",
        decimals=number.decimals,
    )


def extreme_day(function: str, word: str) -> Build:
    def build(view: View, columns: Columns, draws: Draws) -> Ask | None:
        (day,) = columns
        sql = f"SELECT {function}({day.sql_name}) FROM {sql_name(view.table)}"
        found = sorted(day.day_at(row) for row in view.rows)[0 if function == "min" else -1]
        return Ask(sql, {"day": day.name}, (found,), answer="date", ground=f"{word} of {len(view.rows)} rows.")

    return build


def most_common(view: View, columns: Columns, draws: Draws) -> Ask | None:
    (group,) = columns
    g, table = group.sql_name, sql_name(view.table)
    counts = f'(SELECT count(*) AS "n rows" FROM {table} GROUP BY {g})'
    (first, n_first), *others = Counter(view.values(group)).most_common()
    return Ask(
        f"SELECT {g} FROM {table} GROUP BY {g} ORDER BY count(*) DESC LIMIT 1",
        {"group": group.name},
        (first,),
        answer="text",
        ground=f"Most rows by {group.name}.",
        only_if=f'SELECT count(*) FROM {counts} WHERE "n rows" = (SELECT max("n rows") FROM {counts})',
        is_clear=all(n < n_first for _, n in others),
    )


def above_mean(view: View, columns: Columns, draws: Draws) -> Ask | None:
    (number,) = columns
    n, table = number.sql_name, sql_name(view.table)
    condition = f"{n} * (SELECT count(*) FROM {table}) > (SELECT sum({n}) FROM {table})"
    values = view.numbers(number)
    n_rows = sum(value * len(values) > sum(values) for value in values)
    return count_ask(condition, view, n_rows, f"Rows above the mean of {number.name}.", number=number.name)

"""The *query* sort: a schema and a question, answered by one SQL statement that was run over the whole tables.

Owns the statements: counts, sums and extremes over a table, and joins along foreign keys. The statement is the answer;
a result that is empty, tied or longer than ten rows makes it ambiguous. Means stay out: DuckDB averages in floats.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from hrmbuild.fingerprint import draw_order
from hrmbuild.pairs.context import CompileContext, SqlConnection
from hrmbuild.pairs.draft import Draft, Piece, rejection
from hrmbuild.pairs.spans import Quote
from hrmbuild.pairs.table_ask import text_literal
from hrmbuild.pairs.table_columns import ColumnProfile, describe_columns
from hrmbuild.pairs.table_names import sql_name
from hrmbuild.pairs.table_view import show
from hrmbuild.records.document import Table
from hrmbuild.records.pair import Answer, Rejection

_MOST_ANSWERS = 10
_BATCH = 50
"""Statements that are planned together."""
_MOST_COLUMNS = 9
"""A schema of more columns would leave no room for a second table."""


@dataclass(frozen=True)
class Schema:
    """A table with its columns, as a query sees it."""

    table: Table
    columns: tuple[ColumnProfile, ...]

    @property
    def name(self) -> str:
        """As SQL writes it."""
        return sql_name(self.table.name)

    def of(self, *roles: str) -> list[ColumnProfile]:
        """Columns of these roles."""
        return [column for column in self.columns if column.role in roles]

    def text(self, used: Sequence[str]) -> str:
        """`claims(claim_id key, status: open, refused, ...)`: used columns, keys, and others as far as they fit."""
        first = [c for c in self.columns if c.name in used or c.role in ("key", "foreign_key")]
        others = [c for c in self.columns if c not in first and c.role in ("number", "date", "category")]
        kept = {c.name for c in (first + others)[:_MOST_COLUMNS]}
        return f"{self.table.name}({'; '.join(c.describe() for c in self.columns if c.name in kept)})"


@dataclass(frozen=True)
class Statement:
    """A question about whole tables and its SQL."""

    kind: str
    sql: str
    values: Mapping[str, object]
    schemas: tuple[Schema, ...]
    used: tuple[str, ...]
    only_if: str | None = None


def query_drafts(
    record: Table, tables: Sequence[Table], context: CompileContext, n_pairs: int
) -> Iterator[Draft | Rejection]:
    """Drafts of one table: statements over it, and over it joined with a table that it refers to."""
    connection = context.connection
    if connection is None:
        return
    schemas = {t.name: Schema(t, describe_columns(t, context.settings, tables)) for t in (*tables, record)}
    own = schemas[record.name]
    statements = {s.sql: s for s in (*_single(own), *_joined(own, schemas))}
    by_kind: dict[str, list[str]] = {}
    for sql in draw_order(sorted(statements), "statement", context.seed, record.source_sha256):
        by_kind.setdefault(statements[sql].kind, []).append(sql)
    for schema in _used_schemas(statements):
        _load(schema, connection)
    asked = [statements[sql] for sql in _taking_turns(by_kind, n_pairs)]
    for start in range(0, len(asked), _BATCH):
        batch = asked[start : start + _BATCH]
        for statement, result in zip(batch, _results(batch, connection), strict=True):
            yield _draft(record, statement, context, result)


def _used_schemas(statements: dict[str, Statement]) -> list[Schema]:
    used = {schema.table.name: schema for statement in statements.values() for schema in statement.schemas}
    return [used[name] for name in sorted(used)]


def _taking_turns(by_kind: dict[str, list[str]], n_most: int) -> list[str]:
    """One of each kind, then the second of each: no kind drowns the others."""
    rounds = zip_longest(*(by_kind[kind] for kind in sorted(by_kind)))
    return [sql for turn in rounds for sql in turn if sql is not None][:n_most]


def _load(schema: Schema, connection: SqlConnection) -> None:
    """The table as a temporary one, exact types; keys and texts as words."""
    columns = [c for c in schema.columns if c.role in ("key", "foreign_key", "number", "date", "category")]
    if not columns:
        return
    cells = [[None if v is None else show(v, column) for v in column.values] for column in columns]
    parts = ", ".join(f"CAST(unnest(?::VARCHAR[]) AS {c.sql_type}) AS {c.sql_name}" for c in columns)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {schema.name} AS SELECT {parts}", cells)


def _results(batch: Sequence[Statement], connection: SqlConnection) -> list[list[str | None]]:
    """What each statement finds, as texts; nothing for one whose `only_if` does not hold. All run in one go: to plan
    them one by one takes most of the time."""
    asked = [(2 * number, statement.sql) for number, statement in enumerate(batch)]
    asked += [(2 * number + 1, statement.only_if) for number, statement in enumerate(batch) if statement.only_if]
    parts = (f"(SELECT {place}, CAST(found AS VARCHAR) FROM ({sql}) AS one(found))" for place, sql in asked)
    found: dict[int, list[str | None]] = {}
    for place, value in connection.execute(" UNION ALL ".join(parts)).fetchall():
        found.setdefault(place, []).append(value)
    clear = (found.get(2 * number + 1, ["1"]) == ["1"] for number in range(len(batch)))
    return [found.get(2 * number, []) if is_clear else [] for number, is_clear in enumerate(clear)]


def _draft(
    record: Table, statement: Statement, context: CompileContext, found: Sequence[str | None]
) -> Draft | Rejection:
    if not 1 <= len(found) <= _MOST_ANSWERS or any(value is None for value in found):
        return rejection(
            context,
            code="compile.ambiguous",
            detail="the statement's result is empty, tied or longer than ten rows",
            locator=record.locator,
            text=statement.sql,
        )
    shown = "\n".join(schema.text(statement.used) for schema in statement.schemas)
    joined = [schema.table for schema in statement.schemas if schema.table.source_sha256 != record.source_sha256]
    return Draft(
        kind=f"tables.query.{statement.kind}",
        values=statement.values,
        title="Tables" if len(statement.schemas) > 1 else "Table",
        needed=(Piece(0, shown),),
        distractors=(),
        answer=Answer(type="sql", value=statement.sql),
        response=statement.sql,
        derivation="queried",
        content=(*(s.table.source_sha256 for s in statement.schemas), statement.sql),
        evidence=Quote(shown, record.locator),
        query=statement.sql,
        n_wordings=1,
        inputs={"result": ", ".join(str(value) for value in found)},
        beside=tuple((table.source_sha256, table.locator) for table in joined),
    )


def _values(column: ColumnProfile) -> list[str]:
    return sorted(column.words)


def _single(own: Schema) -> Iterator[Statement]:
    """Statements over one table."""
    one = (own,)
    for group in own.of("category"):
        g = group.sql_name
        for value in _values(group):
            where = f"WHERE {g} = {text_literal(value)}"
            facts = {"table": own.table.name, "group": group.name, "value": value}
            yield Statement("count_where", f"SELECT count(*) FROM {own.name} {where}", facts, one, (group.name,))
            for number in own.of("number"):
                sql = f"SELECT sum({number.sql_name}) FROM {own.name} {where}"
                used = (group.name, number.name)
                yield Statement("sum_where", sql, {**facts, "number": number.name}, one, used)
        yield _most_common(own, group)
    for number in own.of("number"):
        for word, function in (("highest", "max"), ("lowest", "min")):
            sql = f"SELECT {function}({number.sql_name}) FROM {own.name}"
            facts = {"table": own.table.name, "number": number.name, "word": word}
            yield Statement("extreme", sql, facts, one, (number.name,))
    yield from _by_year(own)


def _most_common(own: Schema, group: ColumnProfile) -> Statement:
    g = group.sql_name
    counts = f'(SELECT count(*) AS "n rows" FROM {own.name} WHERE {g} IS NOT NULL GROUP BY {g})'
    return Statement(
        "most_common",
        f"SELECT {g} FROM {own.name} WHERE {g} IS NOT NULL GROUP BY {g} ORDER BY count(*) DESC LIMIT 1",
        {"table": own.table.name, "group": group.name},
        (own,),
        (group.name,),
        only_if=f'SELECT count(*) FROM {counts} WHERE "n rows" = (SELECT max("n rows") FROM {counts})',
    )


def _by_year(own: Schema) -> Iterator[Statement]:
    for day in own.of("date"):
        years = sorted({value.year for value in day.values if isinstance(value, dt.date)})
        for year in years:
            sql = f"SELECT count(*) FROM {own.name} WHERE year({day.sql_name}) = {year}"
            facts = {"table": own.table.name, "day": day.name, "year": year}
            yield Statement("count_year", sql, facts, (own,), (day.name,))


def _joined(own: Schema, schemas: dict[str, Schema]) -> Iterator[Statement]:
    """Statements over a table and one that it refers to."""
    for link in own.of("foreign_key"):
        table, _, key = (link.references or "").partition(".")
        other = schemas.get(table)
        if other is None or not any(column.name == key for column in other.columns):
            continue
        join = f"FROM {own.name} JOIN {other.name} USING ({link.sql_name})"
        if link.name != key:
            continue  # USING wants one name; a declared reference between different names waits for its wording
        for group in other.of("category"):
            if any(column.name == group.name for column in own.columns):
                continue
            yield from _joined_on(own, other, group, join)


def _joined_on(own: Schema, other: Schema, group: ColumnProfile, join: str) -> Iterator[Statement]:
    both = (own, other)
    for value in _values(group):
        where = f"WHERE {group.sql_name} = {text_literal(value)}"
        facts = {"table": own.table.name, "other": other.table.name, "group": group.name, "value": value}
        yield Statement("join_count", f"SELECT count(*) {join} {where}", facts, both, (group.name,))
        for number in own.of("number"):
            if all(column.name != number.name for column in other.columns):
                sql = f"SELECT sum({number.sql_name}) {join} {where}"
                used = (group.name, number.name)
                yield Statement("join_sum", sql, {**facts, "number": number.name}, both, used)

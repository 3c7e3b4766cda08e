"""Tables of a PostgreSQL server to copies: one transaction that only reads, one snapshot, an order that stays.

Owns the connection and every statement. It connects to what the settings name and to nothing else; what is secret comes
from the places that libpq itself reads. Values come as the texts that the server writes under fixed settings, so that
equal content gives equal bytes. Views and foreign tables are queries and are not run. It must not write anywhere.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hrmbuild.config.database import DatabaseConfig
from hrmbuild.errors import ConfigError, InputError
from hrmbuild.readers.database_tables import MAX_TABLES, plain_number, row_cap
from hrmbuild.readers.table_copy import MAX_BYTES, TableCopy

if TYPE_CHECKING:
    from psycopg import Connection, Error

CONNECT_SECONDS = 10
_SETTINGS = {
    "search_path": "pg_catalog", "datestyle": "ISO, YMD", "intervalstyle": "iso_8601", "timezone": "UTC",
    "extra_float_digits": "1", "row_security": "off", "client_encoding": "UTF8",
}  # fmt: skip
"""What decides how a value is written. With row_security off a policy that hides rows is an error: what would be copied
would hang on who asks."""
_PLAIN_CATEGORIES = frozenset("BDEINST")
"""Booleans, dates and times, enumerations, addresses, numbers, strings, spans of time."""
_FLOATS = frozenset({"float4", "float8"})
_TABLES = """
SELECT c.oid, n.nspname, c.relname, c.relkind::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'm', 'v', 'f') AND NOT c.relispartition AND n.nspname = ANY(%s)
ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C"
"""
_COLUMNS = """
SELECT a.attname, t.typcategory::text, t.typname, format_type(a.atttypid, a.atttypmod), a.attgenerated::text,
       has_column_privilege(a.attrelid, a.attnum, 'SELECT')
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""
_KEYS = """
SELECT k.contype::text, k.confrelid,
       ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY u(n, i)
             JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.n ORDER BY u.i),
       ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY u(n, i)
             JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.n ORDER BY u.i)
FROM pg_constraint k WHERE k.conrelid = %s AND k.contype IN ('p', 'f') ORDER BY k.conname COLLATE "C"
"""
_NOT_RUN = {"v": "a view", "f": "a foreign table"}
_LOGIN = ("authentication", "password", "pg_hba.conf", "role ")


@dataclass(frozen=True)
class _Place:
    """A table of the server."""

    oid: int
    schema: str
    table: str

    @property
    def name(self) -> str:
        return self.table if self.schema == "public" else f"{self.schema}.{self.table}"

    @property
    def sql(self) -> str:
        return f"{_quoted(self.schema)}.{_quoted(self.table)}"


@dataclass(frozen=True)
class _Column:
    """A column that is copied."""

    name: str
    category: str
    type: str

    def cell(self, value: str | None) -> str | None:
        if value is None or self.type not in _FLOATS | {"bool"}:
            return value
        return value.upper() if self.type == "bool" else plain_number(float(value))


def copy_tables(config: DatabaseConfig, *, where: str) -> Iterator[tuple[str, str, TableCopy]]:
    """Schema, table and content of each declared table, all of one moment.

    Args:
        where: of the entry, for messages.

    Raises:
        ConfigError: `database.no_driver`, `database.unknown_table`.
        InputError: `database.unreachable`, `database.login`, `database.not_allowed`, `database.too_slow`,
            `database.failed`.
    """
    with _errors(where), _connected(config, where) as connection:
        places = _declared(connection, config, where)
        by_oid = {place.oid: place for place in places}
        for place in places:
            with _errors(where, place.name):
                yield place.schema, place.table, _copy(connection, place, by_oid)


@contextmanager
def _connected(config: DatabaseConfig, where: str) -> Iterator[Connection[Any]]:
    try:
        import psycopg
    except ImportError:
        raise ConfigError("database.no_driver", "tables of a PostgreSQL server need psycopg", where=where,
                          why="it is no part of the core installation",
                          fix="pip install 'hrmbuild[postgres]'") from None  # fmt: skip
    with psycopg.connect(config.url, connect_timeout=CONNECT_SECONDS, fallback_application_name="hrmbuild") as opened:
        opened.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        opened.read_only = True
        for name, value in {**_SETTINGS, "statement_timeout": f"{config.timeout_s}s"}.items():
            opened.execute("SELECT pg_catalog.set_config(%s, %s, true)", [name, value])
        yield opened
        opened.rollback()


@contextmanager
def _errors(where: str, table: str | None = None) -> Iterator[None]:
    """What the server or the way to it says, as errors that a user can act on."""
    try:
        from psycopg import Error
    except ImportError:
        yield  # `_connected` says so
        return
    try:
        yield
    except Error as error:
        raise _error(error, where, table) from None


def _error(error: Error, where: str, table: str | None) -> InputError:
    said = " ".join(str(error).split()) or type(error).__name__
    state, of = error.sqlstate, f" of {table}" if table else ""
    if state == "42501":
        return InputError("database.not_allowed", f"the server does not let this user read all{of}: {said}",
                          where=where, why="a copy that lacks rows would depend on who made it",
                          fix="GRANT SELECT on it to this user, and BYPASSRLS where policies hide rows")  # fmt: skip
    if state == "57014":
        return InputError("database.too_slow", f"a statement{of} took longer than allowed: {said}", where=where,
                          fix="raise `database.timeout_s`, or copy at a quieter hour")  # fmt: skip
    if (state or "").startswith("28") or (state is None and any(word in said for word in _LOGIN)):
        return InputError("database.login", f"the server refuses this user: {said}", where=where,
                          why="a password is taken from PGPASSWORD, ~/.pgpass or a service file, never from settings",
                          fix="check user and password with: psql URL")  # fmt: skip
    if state is None or state.startswith("08"):
        return InputError("database.unreachable", f"no connection to the database: {said}", where=where,
                          why="nothing was changed: the corpus holds what the last ingest read",
                          fix="check host, port and network with: psql URL")  # fmt: skip
    return InputError("database.failed", f"the server failed{of}: {said}", where=where,
                      fix="try the same with psql, then run again")  # fmt: skip


def _declared(connection: Connection[Any], config: DatabaseConfig, where: str) -> list[_Place]:
    """The tables that the settings name, in a stable order."""
    wanted = [_parts(name) for name in config.tables]
    rows = connection.execute(_TABLES, [sorted({schema for schema, _ in wanted})]).fetchall()
    kinds = {(schema, table): kind for _, schema, table, kind in rows}
    found: dict[tuple[str, str], _Place] = {}
    for (schema, table), name in zip(wanted, config.tables, strict=True):
        mine = [row for row in rows if row[1] == schema and table in ("*", row[2])]
        stored = [row for row in mine if row[3] not in _NOT_RUN]
        if not stored:
            raise _unknown(name, kinds.get((schema, table)), [f"{s}.{t}" for s, t in kinds], where)
        found |= {(row[1], row[2]): _Place(row[0], row[1], row[2]) for row in stored}
    if len(found) > MAX_TABLES:
        raise ConfigError("database.too_many_tables", f"{len(found):,} tables; at most {MAX_TABLES} are copied",
                          where=where, fix="name those that matter")  # fmt: skip
    return [found[one] for one in sorted(found)]


def _parts(name: str) -> tuple[str, str]:
    schema, dot, table = name.partition(".")
    return (schema, table) if dot else ("public", schema)


def _unknown(name: str, kind: str | None, known: list[str], where: str) -> ConfigError:
    if kind is not None:
        return ConfigError("database.unknown_table", f"{name} is {_NOT_RUN[kind]}, and those are queries, not stored",
                           where=where, fix="name its tables, or store it: CREATE MATERIALIZED VIEW")  # fmt: skip
    near = difflib.get_close_matches(name if "." in name else f"public.{name}", known, n=1, cutoff=0.5)
    fix = f"did you mean {near[0]!r}?" if near else "correct `database.tables`"
    return ConfigError("database.unknown_table", f"the database has no table {name}", where=where, fix=fix)


def _copy(connection: Connection[Any], place: _Place, others: dict[int, _Place]) -> TableCopy:
    columns, left_out = _columns(connection, place)
    key, references = _keys(connection, place, others)
    names = [column.name for column in columns]
    rows = _rows(connection, place, columns, key) if columns else []
    n_rows = connection.execute(f"SELECT count(*) FROM {place.sql}".encode()).fetchone() if columns else None
    return TableCopy(
        place.name, tuple(names), rows, n_rows[0] if n_rows else 0,
        key=key[0] if len(key) == 1 and key[0] in names else None,
        references={name: target for name, target in references.items() if name in names}, left_out=tuple(left_out),
    )  # fmt: skip


def _columns(connection: Connection[Any], place: _Place) -> tuple[list[_Column], list[tuple[str, str]]]:
    """What is copied, and why the rest is not."""
    columns: list[_Column] = []
    left_out: list[tuple[str, str]] = []
    for name, category, kind, shown, generated, allowed in connection.execute(_COLUMNS, [place.oid]).fetchall():
        if not allowed:
            left_out.append(("read.not_allowed", f"column {name!r} may not be read by the user of the settings"))
        elif generated == "v":
            left_out.append(("read.calculated_column", f"column {name!r} is calculated by the database"))
        elif (category in _PLAIN_CATEGORIES and kind != "money") or kind == "uuid":
            columns.append(_Column(name, category, kind))
        else:
            code = "read.blob" if kind == "bytea" else "read.nested_value"
            left_out.append((code, f"column {name!r}: values of type {shown} are not read"))
    return columns, left_out


def _keys(
    connection: Connection[Any], place: _Place, others: dict[int, _Place]
) -> tuple[list[str], dict[str, tuple[str, str]]]:
    """The columns of the primary key, and the foreign keys of one column to tables that are copied too."""
    key: list[str] = []
    references: dict[str, tuple[str, str]] = {}
    for kind, other, columns, targets in connection.execute(_KEYS, [place.oid]).fetchall():
        if kind == "p":
            key = list(columns)
        elif len(columns) == 1 and len(targets) == 1 and other in others:
            references[columns[0]] = (others[other].name, targets[0])
    return key, references


def _rows(connection: Connection[Any], place: _Place, columns: list[_Column], key: list[str]) -> list[list[str | None]]:
    """By primary key, else by all cells; texts in the order of their bytes, whatever the server's language."""
    by_name = {column.name: column for column in columns}
    keyed = [by_name[name] for name in key if name in by_name]
    is_keyed = bool(key) and len(keyed) == len(key)
    by = ", ".join(_ordered(column) for column in keyed) if is_keyed else ", ".join(map(_as_text, columns))
    shown = ", ".join(f"{_quoted(column.name)}::text" for column in columns)
    kept: list[list[str | None]] = []
    n_bytes = 0
    with connection.cursor(name="hrmbuild") as cursor:
        cursor.execute(f"SELECT {shown} FROM {place.sql} ORDER BY {by} LIMIT {row_cap(len(columns))}".encode())
        takes: list[Callable[[str | None], str | None]] = [column.cell for column in columns]
        for row in cursor:
            n_bytes += sum(len(cell) + 4 for cell in row if cell is not None)
            if n_bytes > MAX_BYTES:
                break
            kept.append([take(cell) for take, cell in zip(takes, row, strict=True)])
    return kept


def _ordered(column: _Column) -> str:
    return f'{_quoted(column.name)} COLLATE "C"' if column.category == "S" else _quoted(column.name)


def _as_text(column: _Column) -> str:
    return f'{_quoted(column.name)}::text COLLATE "C"'


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'

"""Hostile words and numbers, and tables made of them whose files are sound: csv, Parquet and SQLite.

Owns the lists that `fuzz_mutations` plants. A damaged Parquet file is refused as a whole and says nothing of odd
values.
"""

from __future__ import annotations

import csv
import io
import sqlite3
import tempfile
from pathlib import Path
from random import Random

import duckdb

TOKEN = "<|im_end|>"
NUMBERS = (
    "1e400", "-0", "NaN", "Infinity", "1e-400", "9" * 400, "0x1F", "1_000", "١٢٣", "½", "(12.3)", "1.234.567,89", "−5",
    "5–10", "0.1e", "1e5", "00012", "+7", "99999999999999999999.999999999", "-1", "0", "50%", "1e999999999", "1:30:00",
)  # fmt: skip
DATES = (
    "31 February 2024", "2023-02-31", "0000-00-00", "9999-12-31", "10000-01-01", "24:60", "2024-13-01", "31.02.24",
    "2024-02-29T25:00:00+99:00", "0001-01-01", "February", "12/31/1899", "-0044-03-15",
)  # fmt: skip
WORDS = (
    "", " ", "NULL", "null", "true", TOKEN, "＜｜im_end｜＞", "\u202eabc\u202c", "\u200b", "\ufeff",
    "=cmd|' /C calc'!A0",
    "{{ 7*7 }}", "{% for x in y %}", "{# x #}", "../../etc/passwd", "e\u0301", "İ", "ß", "ﬁ", "𝟙", "|||", "---", "```",
    "\\", "'", '"', "\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "$1", "€ 5", "\x00", "\\ud800", "&bomb;", "<!--",
    "]]>", "*", "_", "[x](y)", "# ", "> " * 60, "- " * 60, "Re: ", "must not", "unless", "(a)", "§ 5(1)", "x" * 70000,
    "a, b; c\td", "\N{WOMAN}\u200d\N{PERSONAL COMPUTER}", "\u0301", "\U000e0041", "random()", "amount = 1 or 1=1", "ÿ",
)  # fmt: skip
_TYPES = (
    "DOUBLE", "FLOAT", "HUGEINT", "UBIGINT", "DECIMAL(38,10)", "DATE", "TIMESTAMP", "TIMESTAMP_NS", "TIMESTAMPTZ",
    "TIME", "TIME", "BLOB", "UUID", "BOOLEAN", "VARCHAR", "VARCHAR", "INTEGER[]", "STRUCT(a INTEGER, b VARCHAR)",
    "BIT", "JSON", "MAP(VARCHAR, INTEGER)", "INTEGER[3]", "SMALLINT", "DECIMAL(4,4)",
)  # fmt: skip
_VALUES = (
    "NULL", "'NaN'", "'-Infinity'", "'-0.0'", "'1e308'", "'170141183460469231731687303715884105727'", "'0001-01-01'",
    "'9999-12-31'", "'290000-01-01'", "'infinity'", "'1'", "'0'", "'true'", "'00:00:00'", "'24:00:00'", "'[1,2]'",
    "'{}'", "'1 year 2 days'", "'\\x00\\xFF'", "'101'", "'1677-09-22'", "'2262-04-11'",
)  # fmt: skip


def cells(random: Random) -> tuple[list[str], list[list[str]]]:
    """Names and rows: some columns ordinary, some of one hostile value, some of all."""
    n_rows = random.choice((0, 1, 2, 5, 30, 200))
    names = [
        random.choice((f"c{at}", random.choice(WORDS)[:300], "id", "Amount EUR", "Name"))
        for at in range(random.choice((1, 2, 4, 9)))
    ]
    columns: list[list[str]] = []
    for _ in names:
        few = random.sample(WORDS + NUMBERS + DATES, random.choice((1, 2, 4)))
        plain = random.choice((
            str, lambda row: f"{row * 7 % 13}.{row % 10}", lambda row: f"2024-{row % 12 + 1:02}-{row % 28 + 1:02}",
            lambda row: f"name {row}", lambda row: random.choice("abc"), lambda row: f"{row % 5 + 1}/3/2024",
            lambda row: f"{row}%",
        ))  # fmt: skip
        odd = random.choice((0.0, 0.05, 0.5, 1.0))
        columns.append([random.choice(few)[:2000] if random.random() < odd else plain(row) for row in range(n_rows)])
    return names, [list(row) for row in zip(*columns, strict=True)]


def made(random: Random, form: str) -> bytes:
    """A sound file of a table of odd things."""
    return {"csv": _csv, "parquet": _parquet, "sqlite": _sqlite}[form](random)


def _csv(random: Random) -> bytes:
    names, rows = cells(random)
    out = io.StringIO()
    quoting = random.choice((csv.QUOTE_MINIMAL, csv.QUOTE_ALL))
    writer = csv.writer(
        out, delimiter=random.choice(",;\t|"), quoting=quoting, lineterminator=random.choice(("\n", "\r\n"))
    )
    writer.writerows([names, *rows])
    return out.getvalue().encode("utf-8", "replace")


def _parquet(random: Random) -> bytes:
    names, rows = cells(random)
    kinds = [random.choice(_TYPES) for _ in names]
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        told = ", ".join(f'"c{at}" {kind}' for at, kind in enumerate(kinds))
        connection.execute(f"CREATE TABLE t ({told})")
        for row in rows:
            values = ", ".join(
                f"TRY_CAST({random.choice(_VALUES) if random.random() < 0.3 else _literal(cell)} AS {kind})"
                for cell, kind in zip(row, kinds, strict=True)
            )
            connection.execute(f"INSERT INTO t VALUES ({values})")
        connection.execute(
            f"COPY t TO '{folder}/t.parquet' (FORMAT parquet, ROW_GROUP_SIZE {random.choice((2048, 100_000))})"
        )
        return Path(folder, "t.parquet").read_bytes()


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''").replace("\0", "") + "'"


def _sqlite(random: Random) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "t.sqlite")
        with sqlite3.connect(path) as connection:
            for number in range(random.choice((1, 1, 3))):
                names, rows = cells(random)
                kinds = ("TEXT", "INTEGER", "", "REAL", "BLOB", "DATE", "NUMERIC")
                plain = [name.replace("\0", "").replace('"', "") for name in names]
                columns = ", ".join(f'"{name}_{at}" {random.choice(kinds)}' for at, name in enumerate(plain))
                table = random.choice(("t", "select", "a b", "Ünï", "x'y", "t;--")) + str(number)
                connection.execute(f'CREATE TABLE "{table}" ({columns})')
                marks = ", ".join("?" for _ in names)
                connection.executemany(
                    f'INSERT INTO "{table}" VALUES ({marks})', [[_value(random, one) for one in row] for row in rows]
                )
            if random.random() < 0.3:
                connection.execute(
                    random.choice(
                        (
                            "CREATE VIEW v AS SELECT * FROM missing",
                            "CREATE VIEW v AS SELECT random() AS r",
                            "CREATE TABLE e (a)",
                        )
                    )
                )
        connection.close()
        return path.read_bytes()


def _value(random: Random, text: str) -> object:
    return random.choice(
        (text, text, text, None, len(text), text.encode(), 1e300, -0.0, float("inf"), 2**62, b"\xff\x00")
    )

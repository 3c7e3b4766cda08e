"""Names of tables and columns as SQL writes them.

Owns which names need quotes. The words are those that DuckDB 2.0 does not accept everywhere as a name
(`duckdb_keywords()`, all categories but `unreserved`).
"""

from __future__ import annotations

import re

_KEYWORDS = frozenset(
    word
    for line in (
        "all analyse analyze and anti any array as asc asof asymmetric at authorization between bigint binary bit",
        "boolean both by case cast char character check coalesce collate collation column columns concurrently",
        "constraint create cross dec decimal default deferrable desc describe distinct do else end except exists",
        "extract false fetch float for foreign freeze from full generated glob group grouping grouping_id having",
        "ilike in initially inner inout int integer intersect interval into is isnull join lambda lateral leading",
        "left like limit map national natural nchar none not notnull null nullif numeric offset on only or order",
        "out outer overlaps overlay pivot pivot_longer pivot_wider placing position positional precision primary",
        "qualify real references returning right row select semi setof show similar smallint some struct substring",
        "summarize symmetric table tablesample then time timestamp to trailing treat trim true try_cast tuple union",
        "unique unpack unpivot using values varchar variadic verbose when where window with xmlattributes xmlconcat",
        "xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable",
    )
    for word in line.split()
)


def sql_name(name: str) -> str:
    """The name, quoted only where SQL asks for it, so that statements stay short."""
    plain = re.fullmatch(r"[a-z_][a-z0-9_]*", name) and name not in _KEYWORDS
    return name if plain else '"' + name.replace('"', '""') + '"'

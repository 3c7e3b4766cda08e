"""Table answers are recomputed from the rendered question and the shown rows alone, in plain Python.

Written apart from the compilers: no SQL, no column profiles. A question is understood by matching its words against the
wordings' files; exactly one kind must fit, so this also shows that no wording can be taken for another kind's.
"""

from __future__ import annotations

import csv
import datetime as dt
import re
from collections import Counter
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from pathlib import Path

from text_support import compile_all, pairs_of, read_files

from hrmbuild.assets import asset_folder
from hrmbuild.config.project import SourceConfig
from hrmbuild.fingerprint import hash_file
from hrmbuild.records.pair import CompiledPair

Row = dict[str, str]
CELL_VALUES = ("value", "row", "low", "high", "limit", "first", "second")
COLUMN_VALUES = ("column", "group", "number", "day", "key")


@cache
def wordings(folder: str, columns: tuple[str, ...]) -> list[tuple[str, re.Pattern[str]]]:
    """(kind, expression) of every wording in the folders of templates/<folder>."""
    root = asset_folder("templates") / folder
    paths = sorted(root.glob("*/*.j2"))
    return [(path.parent.name, re.compile(pattern(path.read_text().rstrip("\n"), columns))) for path in paths]


def pattern(text: str, columns: tuple[str, ...]) -> str:
    """A wording as an expression: a column's place takes a column's name, a value's place any words."""
    names = "|".join(re.escape(name) for name in sorted(columns, key=len, reverse=True))
    seen: set[str] = set()

    def group(match: re.Match[str]) -> str:
        name = match.group(1)
        if name in seen:
            return f"(?P={name})"
        seen.add(name)
        words = {"table": r"\w+", "other": r"\w+", "word": "highest|lowest"}.get(name, ".+?")
        return f"(?P<{name}>{names if name in COLUMN_VALUES else words})"

    parts = re.split(r"(\{\{ \w+ \}\})", text)
    return "".join(
        re.sub(r"\{\{ (\w+) \}\}", group, part) if part.startswith("{{") else re.escape(part) for part in parts
    )


def understand(
    question: str, columns: tuple[str, ...], named: set[str], folder: str = "tables"
) -> tuple[str, dict[str, str]]:
    """The one kind that the words fit, and the values in them; what a question names stands in a cell or the header."""
    fits: dict[str, dict[str, str]] = {}
    for kind, expression in wordings(folder, columns):
        match = expression.fullmatch(question)
        checked = (name for name in (*CELL_VALUES, *COLUMN_VALUES) if match and name in match.groupdict())
        if match and all(match[name] in named for name in checked):
            fits[kind] = match.groupdict()
    assert len(fits) == 1, f"{question!r} fits {sorted(fits)}"
    return next(iter(fits.items()))


def read_shown(instruction: str) -> tuple[list[str], list[Row], str]:
    shown, question = instruction.split("\n\n", 1)
    _, head, *lines = shown.split("\n")
    header = head.split(" | ")
    return header, [dict(zip(header, line.split(" | "), strict=True)) for line in lines], question


def numbers(rows: list[Row], column: str) -> list[Decimal]:
    return [Decimal(row[column]) for row in rows]


def places(rows: list[Row], column: str) -> int:
    return max(len(row[column].partition(".")[2]) for row in rows)


def rounded(value: Decimal, decimals: int) -> str:
    return f"{value.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP):f}"


def where(rows: list[Row], values: dict[str, str]) -> list[Row]:
    return [row for row in rows if row[values["group"]] == values["value"]]


def row_of(rows: list[Row], name: str) -> Row:
    (found,) = [row for row in rows if name in row.values()]
    return found


def days(row: Row, column: str) -> dt.date:
    return dt.date.fromisoformat(row[column])


def most_common(rows: list[Row], column: str) -> str:
    (first, n), *rest = Counter(row[column] for row in rows).most_common()
    assert all(count < n for _, count in rest)
    return first


def total(rows: list[Row], column: str, shown: list[Row]) -> str:
    return rounded(sum(numbers(rows, column), Decimal(0)), places(shown, column))


def only_extreme(rows: list[Row], column: str, best: Callable[[list[Decimal]], Decimal]) -> Row:
    (found,) = [row for row in rows if Decimal(row[column]) == best(numbers(rows, column))]
    return found


def ordered(rows: list[Row], column: str, *, falling: bool = False) -> str:
    return ", ".join(row[column] for row in sorted(rows, key=lambda row: Decimal(row[column]), reverse=falling))


Answer = Callable[[list[Row], dict[str, str]], str]
ANSWERS: dict[str, Answer] = {
    "lookup": lambda r, v: row_of(r, v["row"])[v["column"]],
    "count_where": lambda r, v: str(len(where(r, v))),
    "count_above": lambda r, v: str(sum(n > Decimal(v["value"]) for n in numbers(r, v["number"]))),
    "count_below": lambda r, v: str(sum(n < Decimal(v["value"]) for n in numbers(r, v["number"]))),
    "count_between": lambda r, v: str(
        sum(Decimal(v["low"]) <= n <= Decimal(v["high"]) for n in numbers(r, v["number"]))
    ),
    "count_both": lambda r, v: str(sum(n > Decimal(v["limit"]) for n in numbers(where(r, v), v["number"]))),
    "count_empty": lambda r, v: str(sum(row[v["column"]] == "-" for row in r)),
    "count_distinct": lambda r, v: str(len({row[v["group"]] for row in r})),
    "sum": lambda r, v: total(r, v["number"], r),
    "sum_where": lambda r, v: total(where(r, v), v["number"], r),
    "mean": lambda r, v: rounded(sum(numbers(r, v["number"])) / len(r), int(v["decimals"])),
    "min": lambda r, v: rounded(min(numbers(r, v["number"])), places(r, v["number"])),
    "max": lambda r, v: rounded(max(numbers(r, v["number"])), places(r, v["number"])),
    "range": lambda r, v: rounded(max(numbers(r, v["number"])) - min(numbers(r, v["number"])), places(r, v["number"])),
    "difference": lambda r, v: rounded(
        Decimal(row_of(r, v["high"])[v["number"]]) - Decimal(row_of(r, v["low"])[v["number"]]), places(r, v["number"])
    ),
    "compare": lambda r, v: (
        "yes" if Decimal(row_of(r, v["first"])[v["number"]]) > Decimal(row_of(r, v["second"])[v["number"]]) else "no"
    ),
    "share_where": lambda r, v: rounded(Decimal(len(where(r, v)) * 100) / len(r), 2),
    "share_of_sum": lambda r, v: rounded(
        sum(numbers(where(r, v), v["number"])) * 100 / sum(numbers(r, v["number"])), 2
    ),
    "second_highest": lambda r, v: rounded(sorted(numbers(r, v["number"]))[-2], places(r, v["number"])),
    "top_three": lambda r, v: ", ".join(ordered(r, v["number"], falling=True).split(", ")[:3]),
    "sorted": lambda r, v: ordered(r, v["number"]),
    "list_where": lambda r, v: ordered(where(r, v), v["number"]),
    "argmax": lambda r, v: only_extreme(r, v["number"], max)[v["group"]],
    "argmin": lambda r, v: only_extreme(r, v["number"], min)[v["group"]],
    "earliest": lambda r, v: min(row[v["day"]] for row in r),
    "latest": lambda r, v: max(row[v["day"]] for row in r),
    "days_between": lambda r, v: str(
        (days(row_of(r, v["second"]), v["day"]) - days(row_of(r, v["first"]), v["day"])).days
    ),
    "most_common": lambda r, v: most_common(r, v["group"]),
    "above_mean": lambda r, v: str(sum(n * len(r) > sum(numbers(r, v["number"])) for n in numbers(r, v["number"]))),
}


def sum_difference(rows: list[Row], v: dict[str, str]) -> str:
    high, low = (
        sum(numbers([row for row in rows if row[v["group"]] == value], v["number"])) for value in (v["high"], v["low"])
    )
    return rounded(Decimal(high - low), places(rows, v["number"]))


ANSWERS["sum_difference"] = sum_difference


def recompute(pair: CompiledPair, columns: tuple[str, ...]) -> str:
    header, rows, question = read_shown(pair.instruction)
    kind, values = understand(question, columns, {*header, *(cell for row in rows for cell in row.values())})
    assert pair.kind == f"tables.{kind}"
    return ANSWERS[kind](rows, values)


def differences(pairs: list[CompiledPair]) -> list[tuple[str, str]]:
    columns = tuple(sorted({name for pair in pairs for name in read_shown(pair.instruction)[0]}))
    return [(p.instruction, p.answer.value) for p in pairs if recompute(p, columns) != p.answer.value]


def read_pairs(pairs: list[CompiledPair]) -> list[CompiledPair]:
    return [pair for pair in pairs if not pair.kind.startswith("tables.query")]


def test_every_example_answer_is_what_plain_python_finds_in_the_shown_rows(
    example_table_pairs: list[CompiledPair],
) -> None:
    pairs = read_pairs(example_table_pairs)
    assert len(pairs) > 1500 and differences(pairs) == []
    assert {pair.kind.removeprefix("tables.") for pair in pairs} == set(ANSWERS)


def test_every_real_answer_is_what_plain_python_finds_in_the_shown_rows(shared_data: Path) -> None:
    settings = SourceConfig.model_validate({"path": "x", "kind": "tables"})
    files = list((shared_data / "tables/telco-churn/files").glob("*.csv"))
    pairs = read_pairs(pairs_of(compile_all(read_files(files, settings), settings)))
    assert len(pairs) > 300 and differences(pairs) == []


def test_the_response_begins_with_the_answer(example_table_pairs: list[CompiledPair]) -> None:
    assert all(pair.response.startswith(pair.answer.value) for pair in example_table_pairs)


def load_examples() -> dict[str, list[Row]]:
    tables = {}
    for path in sorted((asset_folder("examples") / "tables").glob("*.csv")):
        with path.open(newline="") as file:
            tables[path.stem] = list(csv.DictReader(file))
    return tables


def query_result(kind: str, values: dict[str, str], tables: dict[str, list[Row]]) -> str:
    rows = tables[values["table"]]
    if kind.startswith("join"):
        (link,) = set(rows[0]) & set(tables[values["other"]][0])
        keys = {row[link] for row in tables[values["other"]] if row[values["group"]] == values["value"]}
        rows = [row for row in rows if row[link] in keys]
    elif kind in ("count_where", "sum_where"):
        rows = where(rows, values)
    if kind == "count_year":
        return str(sum(row[values["day"]][:4] == values["year"] for row in rows))
    if kind == "most_common":
        return most_common([row for row in rows if row[values["group"]]], values["group"])
    if kind == "extreme":
        found = [Decimal(row[values["number"]]) for row in rows if row[values["number"]]]
        return str(max(found) if values["word"] == "highest" else min(found))
    if kind in ("sum_where", "join_sum"):
        return str(sum(Decimal(row[values["number"]]) for row in rows if row[values["number"]]))
    return str(len(rows))


def test_every_statement_gives_what_plain_python_finds_in_the_files(example_table_pairs: list[CompiledPair]) -> None:
    tables = load_examples()
    columns = tuple(sorted({name for rows in tables.values() for name in rows[0]}))
    cells = {cell for rows in tables.values() for row in rows for cell in row.values()}
    checked: Counter[str] = Counter()
    for pair in example_table_pairs:
        if not pair.kind.startswith("tables.query") or "branches" in pair.instruction.split("\n\n")[1]:
            continue
        kind, values = understand(pair.instruction.split("\n\n", 1)[1], columns, {*columns, *cells}, "tables/query")
        inputs = pair.occurrence.inputs or {}
        assert inputs["result"] == query_result(kind, values, tables), pair.instruction
        checked[kind] += 1
    assert len(checked) == 7 and checked.total() > 150


def test_a_join_stands_in_both_of_its_files(example_table_pairs: list[CompiledPair]) -> None:
    hashes = {hash_file(path) for path in (asset_folder("examples") / "tables").iterdir()}
    places: dict[str, set[str]] = {}
    for pair in example_table_pairs:
        if pair.kind.startswith("tables.query.join"):
            places.setdefault(pair.instruction, set()).add(pair.occurrence.source_sha256)
    assert places and all(len(files) == 2 and files <= hashes for files in places.values())

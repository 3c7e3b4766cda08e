"""Decision tables as YAML: `decision_table: NAME`, `inputs`, `output`, `rows`; each problem with its line.

Owns that layout. It must not know the grammar of cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hrmbuild.errors import InputError
from hrmbuild.readers.decision_cells import CellError, ValueSort
from hrmbuild.readers.decision_domains import Condition
from hrmbuild.readers.decision_sheets import records_of
from hrmbuild.readers.decision_table import DecisionTable, HitPolicy, Output, Refusal, hit_policy, range_notes
from hrmbuild.readers.result import ReadResult, SourceFile
from hrmbuild.readers.yaml_text import YamlText
from hrmbuild.records.locator import Locator

_KEYS = ("decision_table", "title", "question", "hit_policy", "inputs", "output", "rows")
_INPUT_KEYS = ("text", "type", "unit", "min", "max", "step", "values")
_OUTPUT_KEYS = ("text", "unit", "values", "amount")
_ANNOTATIONS = ("id", "reason", "citation")
_SORTS: dict[str, ValueSort] = {
    "integer": "number",
    "decimal": "number",
    "choice": "text",
    "boolean": "boolean",
    "date": "date",
}


def yaml_rules(file: SourceFile, parsed: YamlText) -> ReadResult:
    """The rule set of a YAML decision table.

    Raises:
        InputError: `read.bad_decision_table`.
    """
    value = parsed.value
    rows = value.get("rows")
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise _error(file, parsed, ("rows",), "it has no list of rows", "rows: - {amount: <=500, decision: approved}")
    places = [_place(parsed, ("rows", i)) for i in range(len(rows))]
    table, notes = _table(file, parsed, value, rows)
    refuse = _refusal(file, parsed)
    whole = Locator(line_from=1, line_to=max(place.line_to or 1 for place in places))
    records = records_of(file, table, places, whole, refuse)
    return ReadResult(records, notes=[*notes, *range_notes(table, records)])


def _place(parsed: YamlText, path: tuple[str | int, ...]) -> Locator:
    node = parsed.nodes[path]
    last = node.end_mark.line + (1 if node.end_mark.column else 0)
    first = node.start_mark.line + 1
    return Locator(line_from=first, line_to=max(first, last), pointer="/" + "/".join(map(str, path)))


def _refusal(file: SourceFile, parsed: YamlText) -> Refusal:
    def refuse(row: int | None, column: str, what: str, expected: str) -> InputError:
        path = ("inputs",) if row is None else ("rows", row, column)
        return _error(file, parsed, path, what if row is None or not column else f"{column}: {what}", expected)

    return refuse


def _error(file: SourceFile, parsed: YamlText, path: tuple[str | int, ...], what: str, expected: str) -> InputError:
    while path and path not in parsed.places:
        path = path[:-1]
    line, column = parsed.places.get(path, (1, 1))
    return InputError("read.bad_decision_table", what, where=f"{file.relative}:{line}:{column}",
                      fix=f"expected: {expected}")  # fmt: skip


def _table(
    file: SourceFile, parsed: YamlText, value: dict[str, Any], rows: list[dict[str, Any]]
) -> tuple[DecisionTable, list[str]]:
    _known(file, parsed, (), value, _KEYS)
    output = value.get("output", "decision")
    settings = output if isinstance(output, dict) else {"text": output}
    _known(file, parsed, ("output",), settings, _OUTPUT_KEYS)
    words = _Words(file, parsed)
    label = words.one(("output",), settings, "text") or "decision"
    inputs = value.get("inputs") or {name: {} for row in rows for name in row if name not in (*_ANNOTATIONS, label)}
    if not isinstance(inputs, dict):
        raise _error(file, parsed, ("inputs",), "inputs is no mapping", "inputs: {amount: {unit: EUR}}")
    for i, row in enumerate(rows):
        _known(file, parsed, ("rows", i), row, (*inputs, *_ANNOTATIONS, label))
    policy, told = _policy(file, parsed, value)
    name = words.one((), value, "decision_table") or "table"
    table = DecisionTable(
        name=name,
        title=words.one((), value, "title") or name.replace("_", " ").capitalize(),
        hit_policy=policy,
        conditions=tuple(_condition(words, name, one) for name, one in inputs.items()),
        inputs=tuple(tuple(_text(row.get(name)) for row in rows) for name in inputs),
        outputs=(_output(words, label, settings, rows),),
        ids=tuple(_text(row.get("id")) for row in rows),
        reasons=tuple(_text(row.get("reason")) for row in rows),
        citations=tuple(_text(row.get("citation")) for row in rows),
        question=words.one((), value, "question"),
    )
    return table, [f"decision table: conditions {', '.join(inputs)}; outcome {label}", told]


@dataclass(frozen=True)
class _Words:
    """Settings of a table that must be one word or number, or a list of them."""

    file: SourceFile
    parsed: YamlText

    def one(self, path: tuple[str | int, ...], settings: dict[str, Any], key: str) -> str | None:
        value = settings.get(key)
        if isinstance(value, list | dict):
            raise _error(self.file, self.parsed, (*path, key), f"{key} is no single value", "one word or number")
        return value

    def several(self, path: tuple[str | int, ...], settings: dict[str, Any]) -> tuple[str, ...]:
        values = settings.get("values")
        if values is None:
            return ()
        if not isinstance(values, list) or not all(isinstance(one, str) for one in values):
            raise _error(self.file, self.parsed, (*path, "values"), "values is no list of words", "[low, medium, high]")
        return tuple(values)


def _output(words: _Words, label: str, settings: dict[str, Any], rows: list[dict[str, Any]]) -> Output:
    amount = {"true": True, "yes": True, "false": False, "no": False}.get(str(settings.get("amount")).lower())
    return Output(label, tuple(_text(row.get(label)) for row in rows), order=words.several(("output",), settings),
                  unit=words.one(("output",), settings, "unit"), is_amount=amount)  # fmt: skip


def _policy(file: SourceFile, parsed: YamlText, value: dict[str, Any]) -> tuple[HitPolicy, str]:
    if "hit_policy" not in value:
        return "first", "no hit_policy: the first row that holds decides"
    try:
        policy = hit_policy(str(value["hit_policy"]))
    except CellError as error:
        raise _error(file, parsed, ("hit_policy",), error.what, error.expected) from None
    return policy, f"hit policy {policy}, declared"


def _condition(words: _Words, name: str, declared: Any) -> Condition:
    path, settings = ("inputs", name), declared or {}
    _known(words.file, words.parsed, path, settings, _INPUT_KEYS)
    kind = words.one(path, settings, "type")
    if kind is not None and kind not in _SORTS:
        raise _error(words.file, words.parsed, (*path, "type"), f"the type {kind!r} is not read", ", ".join(_SORTS))
    return Condition(
        words.one(path, settings, "text") or name, (), sort=None if kind is None else _SORTS[kind],
        whole=kind == "integer", unit=words.one(path, settings, "unit"), low=words.one(path, settings, "min"),
        high=words.one(path, settings, "max"), step=words.one(path, settings, "step"),
        values=words.several(path, settings),
    )  # fmt: skip


def _known(file: SourceFile, parsed: YamlText, path: tuple[str | int, ...], value: Any, keys: tuple[str, ...]) -> None:
    if not isinstance(value, dict):
        raise _error(file, parsed, path, f"{value!r} is no mapping", f"keys: {', '.join(keys)}")
    for key in value:
        if key not in keys:
            raise _error(file, parsed, (*path, key), f"{key!r} is no column or key of this table", ", ".join(keys))


def _text(value: Any) -> str | None:
    return None if value is None else ", ".join(map(str, value)) if isinstance(value, list) else str(value)

"""JSON lines to rows of fields: each line is read by itself, a bad one is a skip with its line and the rest goes on.

Owns the flattening: nested values are named by JSON pointer without its first slash (`instances/0/input`); numbers
keep the spelling of the file, true and false are those words, null is absent. It must not choose which fields mean
what.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from hrmbuild.readers.decoding import decode
from hrmbuild.readers.result import ReadResult, SourceFile, skip
from hrmbuild.readers.spans import Line, SourceText, nfc
from hrmbuild.records.document import Fields
from hrmbuild.records.locator import Locator
from hrmbuild.records.source import Skip

_MAX_FIELDS = 10_000
"""A line with more values is data of another kind than a pair."""


class _BadLine(Exception):
    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


def read_jsonl(file: SourceFile) -> ReadResult:
    """One Fields for each line that holds a JSON object.

    Raises:
        InputError: `read.no_json_lines`: no line is a JSON object.
    """
    decoded = decode(file.data, where=file.relative)
    records: list[Fields] = []
    skips: list[Skip] = []
    for line in SourceText(decoded.text).lines:
        if line.is_blank:
            continue
        place = Locator(line_from=line.number, line_to=line.number, row_from=len(records) + 1, row_to=len(records) + 1)
        try:
            fields = parse_line(line)
            records.append(Fields(source_sha256=file.sha256, path=file.relative, fields=fields, locator=place))
        except _BadLine as error:
            skips.append(skip(error.code, error.detail, Locator(line_from=line.number, line_to=line.number)))
    if not records:
        reason = skips[0].detail if skips else "the file is empty"
        raise file.error("read.no_json_lines", f"no line of this file is a JSON object: {reason}",
                         fix="write one JSON object a line")  # fmt: skip
    return ReadResult(list(records), skips, decoded.notes)


def parse_line(line: Line) -> dict[str, str]:
    """The fields of one line; raises `_BadLine` with the skip's code and sentence."""
    try:
        value = json.loads(line.text, parse_float=_Number, parse_int=_Number, parse_constant=_refuse_constant,
                           object_pairs_hook=_object)  # fmt: skip
    except json.JSONDecodeError as error:
        raise _BadLine("read.bad_json", f"not valid JSON at column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise _BadLine("read.too_deep", "values nest too deep to be read") from None
    if not isinstance(value, dict):
        raise _BadLine("read.not_an_object", "the line holds a JSON value that is no object")
    fields = dict(_flattened(value, ""))
    if len(fields) > _MAX_FIELDS:
        raise _BadLine(
            "read.too_many_fields", f"the line holds {len(fields):,} values; at most {_MAX_FIELDS:,} are read"
        )
    return fields


class _Number(str):
    """A number as the file spells it."""


def _refuse_constant(name: str) -> str:
    raise _BadLine("read.bad_json", f"{name} is no JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise _BadLine("read.duplicate_key", f"the key {twice!r} stands twice in one object")
    return dict(pairs)


def _flattened(value: Any, pointer: str) -> Iterator[tuple[str, str]]:
    """Pointers and texts; a stack instead of recursion keeps deep values from ending the process."""
    stack = [(pointer, value)]
    while stack:
        pointer, value = stack.pop()
        if isinstance(value, dict):
            stack += [(_child(pointer, name), child) for name, child in reversed(value.items())]
        elif isinstance(value, list):
            stack += [(_child(pointer, str(i)), child) for i, child in reversed(list(enumerate(value)))]
        elif value is not None:
            yield pointer, _text(value)


def _child(pointer: str, name: str) -> str:
    escaped = _text(name).replace("~", "~0").replace("/", "~1")
    return f"{pointer}/{escaped}" if pointer else escaped


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise _BadLine("read.bad_unicode", "a text holds half of a surrogate pair, which no encoding can write")
    return nfc(text)
